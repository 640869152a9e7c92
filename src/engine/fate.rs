//! What became of one service between two engines: a pure judgement on its record and its slot.
//!
//! Never: takes what is not proven for the service's own; takes an end for news that an engine knew before.

use crate::model::{
    heritage::{Found, FoundState},
    ids::RunId,
    phase::Exit,
    policy::Origin,
    record::{Goal, HALTED, RunState, ServiceRecord, ServiceState},
    time::Timestamp,
};

/// The run of a slot whose records cannot be read: which one it is nobody knows.
const UNNAMED: RunId = RunId(0);

/// What became of a service.
#[derive(Debug, PartialEq)]
pub(super) enum Fate {
    /// Nothing is known, or its project was closed: as at a first opening.
    Fresh,
    /// As it was.
    Resume,
    /// Its run is there.
    Adopt { run: RunId, pid: u32, since: Timestamp },
    /// The main process of its run ended.
    Ended(Ended),
    /// It ended with the machine; how, where its shim had time to say so.
    Rebooted(Option<Exit>),
    /// Something that may be its run is there, and cannot be told from a stranger.
    Unverifiable { pid: u32 },
}

/// An end that nobody saw.
#[derive(Debug, PartialEq)]
pub(super) struct Ended {
    pub(super) run: RunId,
    pub(super) exit: Exit,
    pub(super) at: Timestamp,
    pub(super) leftover: usize,
}

/// What became of a service, and the run of its slot that is none of its own any more and has processes left.
pub(super) fn fate(
    record: Option<&ServiceRecord>,
    boot: &str,
    found: Option<Found>,
    now: Timestamp,
) -> (Fate, Option<RunId>) {
    let known = record.map(|record| &record.state);
    // The run of the record, or one that it does not know yet.
    let is_current = |run: RunId| {
        known.is_none_or(|known| run > known.last_run || known.run.as_ref().is_some_and(|own| own.id == run))
    };
    let rebooted = record.is_some_and(|record| {
        *record.boot == *HALTED || *record.boot != *boot && !boot.is_empty() && !record.boot.is_empty()
    });
    match found {
        Some(Found { run, state: FoundState::Running { pid, since }, .. }) if is_current(run) => {
            (Fate::Adopt { run, pid, since }, None)
        }
        // An earlier engine had given it up as one that could not be ended.
        Some(Found { run, state: FoundState::Running { .. }, .. }) => (without_found(known, now), Some(run)),
        Some(Found { run, state: FoundState::Ended { exit, leftover, .. }, .. }) if rebooted => {
            let ended = is_current(run).then_some(exit);
            (Fate::Rebooted(ended), (leftover > 0).then_some(run))
        }
        Some(Found { state: FoundState::Rebooted, .. }) => {
            (if known.is_some() { Fate::Rebooted(None) } else { Fate::Fresh }, None)
        }
        Some(Found { .. }) | None if rebooted => (Fate::Rebooted(None), None),
        Some(Found { run, state: FoundState::Unverifiable { pid }, .. }) if is_current(run) || run == UNNAMED => {
            (Fate::Unverifiable { pid }, None)
        }
        Some(Found { run, state: FoundState::Ended { exit, at, leftover }, .. }) => {
            let is_own = |own: &RunState| own.id == run;
            let matters = known.is_some_and(|known| known.goal == Goal::Up || known.run.as_ref().is_some_and(is_own));
            if matters && is_current(run) {
                return (Fate::Ended(Ended { run, exit, at, leftover }), None);
            }
            (without_found(known, now), (leftover > 0).then_some(run))
        }
        Some(Found { state: FoundState::Unverifiable { .. }, .. }) | None => (without_found(known, now), None),
    }
}

/// What became of a service whose slot holds nothing of its present run.
fn without_found(known: Option<&ServiceState>, now: Timestamp) -> Fate {
    let Some(known) = known else { return Fate::Fresh };
    match &known.run {
        Some(RunState { id, pid: Some(_), .. }) => {
            Fate::Ended(Ended { run: *id, exit: Exit::Unknown, at: now, leftover: 0 })
        }
        // A start that was never carried out.
        Some(RunState { pid: None, .. }) => Fate::Resume,
        None if known.closed => Fate::Fresh,
        None => Fate::Resume,
    }
}

/// Whether a person stopped it, so that it stays as it is.
pub(super) fn is_stopped_by_hand(known: &ServiceState) -> bool {
    known.stopped_by.is_some_and(is_by_hand) && known.goal == Goal::Down
}

/// Whether a person did it, or a program for one.
pub(super) const fn is_by_hand(origin: Origin) -> bool {
    match origin {
        Origin::Key | Origin::Palette | Origin::Cli | Origin::Api => true,
        Origin::Config | Origin::Healer | Origin::System => false,
    }
}
