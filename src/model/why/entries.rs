//! What of the timeline matters to a question: causes first, repetitions told once.
//!
//! Never: changes the order in which things happened.

use std::sync::Arc;

use super::{Next, end_of, exit_meaning};
use crate::model::{
    exam::Grade,
    ids::ServiceId,
    phase::Phase,
    probe::ProbeKind,
    snapshot::{ServiceView, Snapshot},
    standing,
    time::Timestamp,
    timeline::{Entry, Severity, What},
};

/// Things that are told of the service itself.
const OWN: usize = 6;
/// … and of each other that it is up to.
const OTHERS: usize = 2;
/// Things that are told before an entry, and after it.
const AROUND: usize = 4;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Happened {
    /// When, of several the last time.
    pub at: Timestamp,
    /// To whom; none: to a project or to cas.
    pub service: Option<ServiceId>,
    /// Who made it happen.
    pub who: &'static str,
    /// How loudly it is shown.
    pub severity: Severity,
    /// What, as a clause.
    pub sentence: String,
    /// Why; empty where it is not known.
    pub why: String,
    /// How often in a row, at least 1.
    pub times: u32,
    /// What was written then: last words, output of a hook.
    pub lines: Vec<String>,
}

impl Happened {
    fn of(entry: &Entry) -> Self {
        let id = entry.service.clone().zip(entry.project.clone());
        Self {
            at: entry.at,
            service: id.map(|(service, project)| ServiceId { project, service }),
            who: entry.who.label(),
            severity: entry.severity(),
            sentence: entry.sentence(),
            why: entry.why.clone(),
            times: 1,
            lines: entry.what.lines().to_vec(),
        }
    }

    /// The clause, how often, and why: `exited with code 1 after 3.2 s (8 times) — nobody asked for it`.
    #[must_use]
    pub fn told(&self) -> String {
        let times = if self.times > 1 { format!(" ({} times)", self.times) } else { String::new() };
        let why = if self.why.is_empty() || self.sentence.contains(&self.why) {
            String::new()
        } else {
            format!(" — {}", self.why)
        };
        format!("{}{times}{why}", self.sentence)
    }
}

/// How bad what an entry tells is.
pub(super) const fn grade(entry: &Entry) -> Grade {
    match entry.severity() {
        Severity::Info | Severity::Good => Grade::Good,
        Severity::Warning => Grade::Warning,
        Severity::Error => Grade::Critical,
    }
}

fn is_of(entry: &Entry, id: &ServiceId) -> bool {
    entry.service.as_ref() == Some(&id.service) && entry.project.as_ref() == Some(&id.project)
}

/// Whether an entry can be a cause of how its service stands.
fn matters(entry: &Entry) -> bool {
    // Alarms say again what other entries have said.
    let is_alarm = matches!(entry.what, What::AlarmFired { .. } | What::AlarmResolved { .. } | What::NotSent { .. });
    if entry.severity() >= Severity::Warning && !is_alarm {
        return true;
    }
    match &entry.what {
        What::Requested { .. }
        | What::Started { attempt: 0, .. }
        | What::Ready { .. }
        | What::Recovered { .. }
        | What::Exited { .. }
        | What::Stopping { .. }
        | What::Stopped
        | What::Signalled { .. }
        | What::Held { .. }
        | What::Maintenance { .. }
        | What::Reloaded { .. }
        | What::Adopted { .. } => true,
        What::ProjectOpened { .. }
        | What::Started { .. }
        | What::Unhealthy { .. }
        | What::Flapping { .. }
        | What::Steady
        | What::Stable { .. }
        | What::Forked { .. }
        | What::SpawnFailed { .. }
        | What::Hook { .. }
        | What::RestartScheduled { .. }
        | What::RestartWithheld { .. }
        | What::GaveUp { .. }
        | What::Blocked { .. }
        | What::Killed { .. }
        | What::Survivors { .. }
        | What::ReloadRefused { .. }
        | What::AutopilotSet { .. }
        | What::Stalled { .. }
        | What::Unverifiable { .. }
        | What::Suspended { .. }
        | What::Paused
        | What::Resumed { .. }
        | What::Handled { .. }
        | What::Continued { .. }
        | What::ProjectClosed
        | What::Released { .. }
        | What::ShimReplaced
        | What::OutputDropped { .. }
        | What::ScheduleMissed { .. }
        | What::ScheduleSkipped { .. }
        | What::RunBegun { .. }
        | What::RunEnded { .. }
        | What::LogRotated { .. }
        | What::Found { .. }
        | What::AlarmFired { .. }
        | What::AlarmResolved { .. }
        | What::NotSent { .. }
        | What::Silenced { .. }
        | What::Unsilenced
        | What::Remedied { .. }
        | What::RemedyJudged { .. }
        | What::Escalated { .. }
        | What::NewPattern { .. }
        | What::RateChanged { .. }
        | What::MorePatterns { .. }
        | What::Trouble { .. } => false,
    }
}

/// From here on back a story begins: it was well, or somebody started it on purpose.
fn begins(entry: &Entry) -> bool {
    matches!(entry.what, What::Started { attempt: 0, .. } | What::Ready { .. } | What::Recovered { .. })
}

/// What two entries have in common that tell the same twice; of each such row the last is told.
fn theme(entry: &Entry) -> String {
    match &entry.what {
        What::Exited { exit, .. } => format!("exit {exit}"),
        What::Unhealthy { probe, .. } => format!("unhealthy {}", probe.label()),
        What::Found { check, grade, .. } => format!("found {check} {}", grade.label()),
        What::RestartScheduled { .. } => "restart".to_owned(),
        What::NewPattern { pattern, .. } => format!("new {pattern}"),
        What::RateChanged { pattern, .. } => format!("rate of {pattern}"),
        What::Requested { .. }
        | What::ProjectOpened { .. }
        | What::Started { .. }
        | What::Ready { .. }
        | What::Recovered { .. }
        | What::Flapping { .. }
        | What::Steady
        | What::Stable { .. }
        | What::Forked { .. }
        | What::SpawnFailed { .. }
        | What::Hook { .. }
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
        | What::Adopted { .. }
        | What::Unverifiable { .. }
        | What::Suspended { .. }
        | What::Paused
        | What::Resumed { .. }
        | What::Handled { .. }
        | What::Continued { .. }
        | What::ProjectClosed
        | What::Released { .. }
        | What::ShimReplaced
        | What::OutputDropped { .. }
        | What::ScheduleMissed { .. }
        | What::ScheduleSkipped { .. }
        | What::RunBegun { .. }
        | What::RunEnded { .. }
        | What::LogRotated { .. }
        | What::AlarmFired { .. }
        | What::AlarmResolved { .. }
        | What::NotSent { .. }
        | What::Silenced { .. }
        | What::Unsilenced
        | What::Remedied { .. }
        | What::RemedyJudged { .. }
        | What::Escalated { .. }
        | What::Maintenance { .. }
        | What::MorePatterns { .. }
        | What::Trouble { .. } => entry.sentence(),
    }
}

/// The newest story of a service, oldest first: from when it was last well, or was started on purpose, and at most `most` things.
fn story<'a>(timeline: &'a [Arc<Entry>], id: &ServiceId, most: usize) -> Vec<(&'a Entry, u32)> {
    // Newest first, while it is gathered.
    let mut told: Vec<(&Entry, String, u32)> = Vec::new();
    let mut is_first_restart = true;
    let mut has_trouble = false;
    for entry in timeline.iter().rev().map(AsRef::as_ref).filter(|entry| is_of(entry, id) && matters(entry)) {
        if let What::RestartScheduled { .. } = entry.what {
            // Only the one that is under way says anything.
            if !std::mem::take(&mut is_first_restart) || has_trouble {
                continue;
            }
        }
        let theme = theme(entry);
        has_trouble |= entry.severity() >= Severity::Warning;
        if let Some(same) = told.iter_mut().find(|(_, known, _)| *known == theme) {
            same.2 += 1;
        } else {
            if told.len() == most {
                break;
            }
            told.push((entry, theme, 1));
        }
        if begins(entry) && has_trouble {
            break;
        }
    }
    told.reverse();
    told.into_iter().map(|(entry, _, times)| (entry, times)).collect()
}

fn happened((entry, times): (&Entry, u32)) -> Happened {
    Happened { times, ..Happened::of(entry) }
}

/// What led to how `view` stands, causes first; `chain` is whom it is up to.
pub(super) fn led_to(snapshot: &Snapshot, view: &ServiceView, chain: &[&ServiceView]) -> Vec<Happened> {
    let mut entries = story(&snapshot.timeline, &view.id, OWN);
    for other in chain {
        entries.extend(story(&snapshot.timeline, &other.id, OTHERS));
    }
    entries.sort_by_key(|(entry, _)| (entry.at.mono_us, entry.seq));
    entries.into_iter().map(happened).collect()
}

/// The last thing that explains how `view` stands.
pub(super) fn last_cause(snapshot: &Snapshot, view: &ServiceView) -> Option<Happened> {
    story(&snapshot.timeline, &view.id, OWN)
        .into_iter()
        .rev()
        // That it is started again follows from what is wrong, and is not it.
        .filter(|(entry, _)| !matches!(entry.what, What::RestartScheduled { .. }))
        .find(|(entry, _)| entry.severity() >= Severity::Warning || matches!(entry.what, What::Stopped))
        .map(happened)
}

/// The same subject: the service, or where an entry has none the project.
fn is_akin(entry: &Entry, other: &Entry) -> bool {
    entry.project == other.project && (entry.service.is_none() || entry.service == other.service)
}

/// What came before an entry and matters, and the entry itself, oldest first.
pub(super) fn before(snapshot: &Snapshot, entry: &Entry) -> Vec<Happened> {
    let earlier =
        snapshot.timeline.iter().map(AsRef::as_ref).filter(|other| other.seq < entry.seq && is_akin(entry, other));
    let mut told: Vec<Happened> = earlier.filter(|other| matters(other)).rev_take(AROUND);
    told.push(Happened::of(entry));
    told
}

/// What came after an entry and matters.
pub(super) fn followed(snapshot: &Snapshot, entry: &Entry) -> Vec<Next> {
    let later = snapshot.timeline.iter().filter(|other| other.seq > entry.seq && is_akin(entry, other));
    let told = later.filter(|other| matters(other) || matches!(other.what, What::Started { .. })).take(AROUND);
    told.map(|other| Next::when(format!("then {}", other.sentence()), other.at)).collect()
}

/// The last few of what is told, still in order.
trait RevTake {
    fn rev_take(self, most: usize) -> Vec<Happened>;
}

impl<'a, I: DoubleEndedIterator<Item = &'a Entry>> RevTake for I {
    fn rev_take(self, most: usize) -> Vec<Happened> {
        let mut last: Vec<Happened> = self.rev().take(most).map(Happened::of).collect();
        last.reverse();
        last
    }
}

/// What such an entry means, where that is more than it says.
pub(super) fn meaning(entry: &Entry) -> Option<String> {
    if let What::Exited { exit, .. } = &entry.what {
        return exit_meaning(exit);
    }
    if let What::Unhealthy { probe, .. } = &entry.what {
        return Some(
            match probe {
                ProbeKind::Startup => "a startup probe that fails for good ends the run, and the policy decides",
                ProbeKind::Readiness => "a readiness probe decides what is shown and what waits for it",
                ProbeKind::Liveness => "a liveness probe that fails for good ends the run, and the policy decides",
            }
            .to_owned(),
        );
    }
    if let What::GaveUp { .. } = entry.what {
        return Some(
            "so many starts in a row never held that another would not either; a person has to look".to_owned(),
        );
    }
    if let What::Flapping { .. } = entry.what {
        return Some("no probe ends it until it has held for a while".to_owned());
    }
    if let What::RestartWithheld { .. } = entry.what {
        return Some("the autopilot is off: it only says what it would do".to_owned());
    }
    None
}

/// `db is stopped`, `db exited with code 1`: a dependency in a clause.
pub(super) fn clause(view: &ServiceView) -> String {
    let name = &view.id.service;
    match (end_of(view), &view.phase) {
        (Some(end), Phase::GaveUp { .. }) => format!("{name} has given up ({end})"),
        (Some(end), _) => format!("{name} {end}"),
        (None, phase) => format!("{name} {}", standing::clause(phase.label())),
    }
}
