//! What systemd knows and only it can say: whether the machine, or the session of its user, is going down, and whether the daemon is a unit
//! of its own. Never waits long for it, and never needs it.

use std::{process::Stdio, time::Duration};

use super::outside::Real;
use crate::cli::{
    outside::{Outside, Ran},
    render::unit::{UNIT, is_ours},
};

/// A manager that does not answer in this time says nothing.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// Variables that make an engine another one than that of the unit.
const PLACES: [&str; 2] = ["CAS_STATE_DIR", "CAS_RUNTIME_DIR"];

/// Whether whoever ends us now ends everything: the machine goes down, or the manager of our user does, as at the last logout.
pub(super) async fn goes_down(real: &Real) -> bool {
    let path = real.setup.environment.get("PATH").cloned();
    let cgroups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    is_stopping(path.as_deref(), &[]).await
        || (is_below_user_manager(&cgroups) && is_stopping(path.as_deref(), &["--user"]).await)
}

/// Whether processes of this cgroup end with the manager of their user.
fn is_below_user_manager(cgroups: &str) -> bool {
    cgroups.lines().filter_map(|line| line.splitn(3, ':').nth(2)).any(|path| {
        path.split('/').any(|part| part.strip_prefix("user@").is_some_and(|rest| rest.ends_with(".service")))
    })
}

async fn is_stopping(path: Option<&str>, manager: &[&str]) -> bool {
    let mut asking = tokio::process::Command::new("systemctl");
    asking.args(manager).arg("is-system-running").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    if let Some(path) = path {
        asking.env("PATH", path);
    }
    // It says so on its output and ends with an error.
    match tokio::time::timeout(ANSWERS_WITHIN, asking.output()).await {
        Ok(Ok(output)) => output.stdout.trim_ascii() == b"stopping",
        Ok(Err(_)) | Err(_) => false,
    }
}

/// Has systemd start the daemon where it is a unit that `cas daemon install` wrote; whether it did. Blocks until that one is ready.
pub(super) fn starts_unit(real: &Real) -> bool {
    let is_elsewhere =
        PLACES.iter().any(|name| real.setup.environment.get(*name).is_some_and(|value| !value.is_empty()));
    let unit = real.unit_directory().join(UNIT);
    if is_elsewhere || !std::fs::read_to_string(unit).is_ok_and(|text| is_ours(&text)) {
        return false;
    }
    let manager: &[&str] = if real.is_system() { &[] } else { &["--user"] };
    match real.tool("systemctl", &[manager, &["start", UNIT]].concat()) {
        Ran::Well => true,
        Ran::Missing => false,
        Ran::Badly(why) => {
            tracing::warn!(why, "systemd does not start the daemon, so it is started without it");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_below_user_manager;

    #[test]
    fn only_what_is_below_a_users_manager_ends_with_it() {
        assert!(is_below_user_manager("0::/user.slice/user-1000.slice/user@1000.service/app.slice/cas.service\n"));
        assert!(is_below_user_manager("4:memory:/\n1:name=systemd:/user.slice/user-7.slice/user@7.service/x\n"));
        assert!(!is_below_user_manager("0::/user.slice/user-1000.slice/session-3.scope\n"));
        assert!(!is_below_user_manager("0::/system.slice/cas.service\n"));
        assert!(!is_below_user_manager(""));
    }
}
