//! Checks of a project's own, and what is done where one is not well.
//!
//! Each subject is one file with a `look`; what a look finds is a reading that the engine judges. A fix is carried out only where the engine asks.
//!
//! Never: changes anything in a look (a ping that is asked for apart); follows a symbolic link below a declared directory; reads without a bound.

mod certificate;
mod deadletter;
mod der;
mod echo;
mod figure;
mod fresh;
mod place;
mod queue;
mod resp;
mod sql;
mod storage;
mod token;
mod webhook;

use std::{sync::Arc, time::Duration};

use super::{
    Running, Shared, clock,
    probe::exec::{self, Done, Ending, Job},
    process::environment_of,
};
use crate::model::{
    event::Event,
    exam::{Exam, Reading, Trouble},
    hooks::{HookOutcome, HookResult, KEPT_LINES},
    ids::RunId,
    own::{Fix, FixRound, Fixed, Own, OwnCheck},
    service::{CommandLine, ServiceSpec},
    time::short_duration,
};

/// A command that mends something may take so long.
const LONGEST_FIX: Duration = Duration::from_mins(10);

/// Whose check it is.
struct Whose<'a> {
    shared: &'a Arc<Shared>,
    running: &'a Running,
    spec: &'a ServiceSpec,
    run: RunId,
}

impl Whose<'_> {
    /// The value of a variable as the service has it: secrets, its own, what it begins with.
    fn variable(&self, name: &str) -> Option<String> {
        let secret = self.running.secrets.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        secret.or_else(|| self.spec.environment.get(name).cloned()).or_else(|| match &self.spec.base_environment {
            Some(base) => base.0.get(name).cloned(),
            None => std::env::var(name).ok(),
        })
    }

    /// Runs a command where and as the service runs.
    async fn run(&self, command: &CommandLine, timeout: Duration) -> Result<Done, String> {
        let environment = environment_of(self.run, self.spec, &self.running.secrets);
        let job = Job { spec: self.spec, environment, command, timeout };
        exec::run(self.shared, job, self.running.ended.cancelled()).await
    }

    /// What a command that ended with 0 has written.
    async fn output(&self, command: &CommandLine, timeout: Duration) -> Result<String, Trouble> {
        let what = command.display();
        let done = self.run(command, timeout).await.map_err(Trouble::Foreign)?;
        let last = done.tail.lines(1).pop().map_or_else(String::new, |line| format!(": {line}"));
        match done.ending {
            Ending::Over(Ok(status)) if status.success() => done.tail.whole().ok_or_else(|| {
                Trouble::Foreign(format!("{what} wrote more than 4 KiB, which is no figure and no token"))
            }),
            Ending::Over(Ok(status)) => Err(Trouble::Foreign(format!("{what} ended with {status}{last}"))),
            Ending::Over(Err(error)) => Err(Trouble::Foreign(format!("{what}: {error}"))),
            Ending::Late => Err(Trouble::Unreachable(format!(
                "{what} was not over within {}; it was ended",
                short_duration(timeout)
            ))),
            Ending::CalledOff => Err(Trouble::Unreachable("the run has ended".to_owned())),
        }
    }
}

/// Looks at what an exam of one's own names, within its time.
pub(super) async fn look(
    shared: &Arc<Shared>,
    running: &Running,
    run: RunId,
    exam: &Exam,
    own: &Own,
) -> Result<Reading, Trouble> {
    let Some(spec) = running.spec.clone() else {
        return Err(Trouble::Unready("nobody has taken its run over yet".to_owned()));
    };
    let whose = Whose { shared, running, spec: &spec, run };
    let timeout = exam.timeout;
    let looked = async {
        match &own.check {
            OwnCheck::Certificate(of) => certificate::look(of).await,
            OwnCheck::Token(of) => token::look(&whose, of, timeout).await,
            OwnCheck::Webhook(webhook) => webhook::look(&whose, webhook, timeout).await,
            OwnCheck::Echo { target, text } => echo::look(target, text).await,
            OwnCheck::Storage(storage) => storage::look(storage).await,
            OwnCheck::Fresh(of) => fresh::look(of).await,
            OwnCheck::Queue(of) => queue::look(of).await,
            OwnCheck::Figure(command) => figure::look(&whose, command, timeout).await,
        }
    };
    // A command is ended at its time, and says so: that is waited for.
    let bound = if own.check.command().is_some() { timeout.saturating_add(Duration::from_secs(5)) } else { timeout };
    tokio::time::timeout(bound, looked).await.unwrap_or_else(|_| {
        Err(Trouble::Unreachable(format!(
            "{} was not answered within {}",
            own.check.summary(),
            short_duration(timeout)
        )))
    })
}

/// Carries a fix out → `Fixed`; silent where the run ended first.
pub(super) async fn fix(shared: Arc<Shared>, running: Running, spec: Arc<ServiceSpec>, round: FixRound) {
    let begun = clock::now();
    let FixRound { run, exam, round, own } = round;
    let whose = Whose { shared: &shared, running: &running, spec: &spec, run };
    let Some(mending) = &own.mending else { return };
    let mended = async {
        match (&mending.fix, &own.check) {
            (Fix::Run(command), _) => ran(&whose, command).await,
            (Fix::Replay, OwnCheck::Webhook(webhook)) => webhook::replay(&whose, webhook).await,
            (Fix::Clean, OwnCheck::Storage(storage)) => storage::clean(storage).await,
            (Fix::Replay | Fix::Clean, _) => {
                (HookOutcome::Failed("it has nothing to do with this check".to_owned()), Vec::new())
            }
        }
    };
    let (outcome, mut output) = tokio::select! {
        () = running.ended.cancelled() => return,
        mended = tokio::time::timeout(LONGEST_FIX, mended) => mended.unwrap_or_else(|_| {
            (HookOutcome::Failed(format!("not over within {}", short_duration(LONGEST_FIX))), Vec::new())
        }),
    };
    let surplus = output.len().saturating_sub(KEPT_LINES);
    output.drain(..surplus);
    let result = HookResult { outcome, output, took: clock::now().since(begun) };
    shared.tell(Event::Fixed(Fixed { service: spec.id.clone(), run, exam, round, result })).await;
}

async fn ran(whose: &Whose<'_>, command: &CommandLine) -> (HookOutcome, Vec<String>) {
    let done = match whose.run(command, LONGEST_FIX).await {
        Ok(done) => done,
        Err(why) => return (HookOutcome::Failed(why), Vec::new()),
    };
    let outcome = match done.ending {
        Ending::Over(Ok(status)) if status.success() => HookOutcome::Passed,
        Ending::Over(Ok(status)) => HookOutcome::Failed(status.to_string()),
        Ending::Over(Err(error)) => HookOutcome::Failed(error.to_string()),
        Ending::Late => HookOutcome::Failed(format!("not over within {}; it was ended", short_duration(LONGEST_FIX))),
        Ending::CalledOff => HookOutcome::CalledOff,
    };
    (outcome, done.tail.lines(KEPT_LINES))
}

/// Work that blocks a thread; what it gives.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Trouble> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Trouble::Foreign(format!("the look broke off: {error}")))
}

/// Seconds from now to a moment in microseconds since 1970; 0 where it has passed.
fn seconds_until(moment: i64) -> f64 {
    moment.saturating_sub(clock::now().wall_us).max(0) as f64 / 1e6
}

/// Seconds from a moment in microseconds since 1970 to now; 0 where it is yet to come.
fn seconds_since(moment: i64) -> f64 {
    clock::now().wall_us.saturating_sub(moment).max(0) as f64 / 1e6
}

/// A moment as people read it, in UTC.
fn told(moment: i64) -> String {
    chrono::DateTime::from_timestamp_micros(moment)
        .map_or_else(|| "a time that no calendar has".to_owned(), |at| at.format("%Y-%m-%d %H:%M UTC").to_string())
}
