//! The restart policy and the backoff, as functions of what happened.
//!
//! Never: looks at the machine, the autopilot or the budget; those come after.

use std::time::Duration;

use crate::model::{
    phase::Exit,
    service::{Backoff, RestartPolicy},
};

/// Why the policy does not want a service again; `Ok` where it does.
///
/// `failed_probe`: the healer ended it, which counts as a failure whatever its exit says. `attempt`: consecutive restarts
/// that were already made.
pub(super) fn wants_again(policy: RestartPolicy, exit: &Exit, failed_probe: bool, attempt: u32) -> Result<(), String> {
    let failed = failed_probe || !exit.is_success();
    match policy {
        RestartPolicy::Always | RestartPolicy::UnlessStopped => Ok(()),
        RestartPolicy::No if failed => Err(format!("policy no: ended with {exit}, not restarted")),
        RestartPolicy::No => Err("policy no: ended with code 0, nothing to do".to_owned()),
        RestartPolicy::OnFailure { .. } if !failed => {
            Err("policy on-failure: ended with code 0, nothing to do".to_owned())
        }
        RestartPolicy::OnFailure { max_retries: Some(most) } if attempt >= most => {
            Err(format!("policy on-failure: {attempt} of {most} restarts are used up; last: {exit}"))
        }
        RestartPolicy::OnFailure { .. } => Ok(()),
    }
}

/// The wait before consecutive restart `attempt` (1-based): nothing after a run that went well, else full jitter.
pub(super) fn delay(backoff: &Backoff, attempt: u32, ran_well: bool, rng: &mut fastrand::Rng) -> Duration {
    if ran_well || backoff.base.is_zero() {
        return Duration::ZERO;
    }
    let most = u64::try_from(backoff.bound(attempt).as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(rng.u64(0..=most))
}
