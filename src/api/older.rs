//! Forms of the version before, for clients that name it: what they would not know is said in words that they do.

use std::sync::Arc;

use crate::model::{
    phase::{Exit, Phase},
    snapshot::{ServiceView, Snapshot},
    timeline::{Entry, What},
};

/// A picture for a client of version 1.
pub(super) fn picture(picture: &Snapshot) -> Snapshot {
    let mut older = picture.clone();
    for service in &mut older.services {
        if let Phase::BackingOff { exit, .. } | Phase::Exited { exit, .. } | Phase::GaveUp { exit, .. } = &service.phase
            && self::exit(exit) != *exit
        {
            *service = Arc::new(with_older_exit(service));
        }
    }
    for entry in &mut older.timeline {
        if let Some(changed) = changed(entry) {
            *entry = Arc::new(changed);
        }
    }
    older
}

/// An entry for a client of version 1.
pub(super) fn entry(entry: &Entry) -> Entry {
    changed(entry).unwrap_or_else(|| entry.clone())
}

fn with_older_exit(service: &ServiceView) -> ServiceView {
    let mut older = service.clone();
    if let Phase::BackingOff { exit, .. } | Phase::Exited { exit, .. } | Phase::GaveUp { exit, .. } = &mut older.phase {
        *exit = self::exit(exit);
    }
    older
}

fn exit(exit: &Exit) -> Exit {
    match exit {
        Exit::OutOfMemory { .. } => Exit::Signal(9),
        Exit::Rebooted | Exit::Removed => Exit::Unknown,
        Exit::Code(_) | Exit::Signal(_) | Exit::SpawnFailed(_) | Exit::Unknown => exit.clone(),
    }
}

/// The entry in older words; none where it has them already.
fn changed(entry: &Entry) -> Option<Entry> {
    let what = match &entry.what {
        What::Adopted { .. }
        | What::Unverifiable { .. }
        | What::ProjectClosed
        | What::Released { .. }
        | What::ShimReplaced
        | What::Suspended { .. }
        | What::Paused
        | What::Resumed { .. }
        | What::Handled { .. }
        | What::Continued { .. }
        | What::Forked { .. }
        | What::ScheduleMissed { .. }
        | What::ScheduleSkipped { .. }
        | What::RunBegun { .. }
        | What::RunEnded { .. }
        | What::LogRotated { .. }
        | What::Hook { .. }
        | What::Found { .. }
        | What::Remedied { .. }
        | What::RemedyJudged { .. }
        | What::Escalated { .. }
        | What::Maintenance { .. }
        | What::AlarmFired { .. }
        | What::AlarmResolved { .. }
        | What::NotSent { .. }
        | What::Silenced { .. }
        | What::Unsilenced
        | What::OutputDropped { .. } => What::Trouble { text: entry.sentence() },
        What::Exited { exit, after, last_words } if self::exit(exit) != *exit => {
            What::Exited { exit: self::exit(exit), after: *after, last_words: last_words.clone() }
        }
        What::RestartWithheld { exit } if self::exit(exit) != *exit => What::RestartWithheld { exit: self::exit(exit) },
        What::Requested { .. }
        | What::ProjectOpened { .. }
        | What::Started { .. }
        | What::Ready { .. }
        | What::Unhealthy { .. }
        | What::Recovered { .. }
        | What::Flapping { .. }
        | What::Steady
        | What::Stable { .. }
        | What::Exited { .. }
        | What::SpawnFailed { .. }
        | What::RestartScheduled { .. }
        | What::RestartWithheld { .. }
        | What::GaveUp { .. }
        | What::Held { .. }
        | What::Blocked { .. }
        | What::Stopping { .. }
        | What::Killed { .. }
        | What::Stopped
        | What::Survivors { .. }
        | What::Signalled { .. }
        | What::Reloaded { .. }
        | What::ReloadRefused { .. }
        | What::AutopilotSet { .. }
        | What::Stalled { .. }
        | What::Trouble { .. } => return None,
    };
    Some(Entry { what, ..entry.clone() })
}
