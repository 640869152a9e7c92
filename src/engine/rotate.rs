//! Log files that services write themselves: when they are rotated, and what is told of it.
//!
//! What is due is a fact of the world (`model::log_file::due`); whether it is done now is decided here. It is undone by nobody and needs no consent: a rotated
//! file is still there, and what is removed is what the project file says is kept no longer.
//!
//! Never: two rounds of a service at once; more than [`MOST`] by themselves in [`BUSY`]; one by itself during a maintenance; a signal to another run than the one
//! whose files were moved; the same failure told again and again; a file that waits for another one that could not be rotated.

use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::model::{
    effect::Effect,
    ids::{RunId, ServiceId},
    log_file::{DueFile, Rotated, RotationRound},
    policy::Origin,
    signal::Signal,
    time::Timestamp,
    timeline::What,
};

use super::{
    Engine, Life,
    plan::Draft,
    state::{Service, Stage},
    timeline::About,
};

/// So many rounds of a service begin by themselves within [`BUSY`].
const MOST: usize = 30;
const BUSY: Duration = Duration::from_hours(1);
/// A file that could not be rotated is not tried again by itself for so long, and after each further failure for twice as long.
const AFTER_FAILURE: Duration = Duration::from_mins(5);
const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// A round that the world has not answered for so long is not waited for any more: copying a large file takes its time.
const LOST: Duration = Duration::from_mins(15);
/// The same failure is told again after so long.
const TOLD_AGAIN: Duration = Duration::from_hours(6);

/// The rounds of one service.
#[derive(Debug, Default)]
pub(super) struct Rotations {
    /// The round that is under way.
    round: Option<Round>,
    /// When those of the last hour began by themselves.
    begun: VecDeque<Timestamp>,
    /// Files that could not be rotated.
    setbacks: BTreeMap<PathBuf, Setback>,
    /// It was told that there were too many.
    told_busy: bool,
}

/// A file that could not be rotated.
#[derive(Debug)]
struct Setback {
    /// So often in a row.
    failures: u32,
    /// Until then it is not tried by itself.
    not_before: Timestamp,
    /// What was told of it, and when.
    told: Option<(String, Timestamp)>,
}

#[derive(Debug)]
struct Round {
    since: Timestamp,
    by: Origin,
    /// Of each file why; empty where a person asked.
    why: BTreeMap<PathBuf, String>,
}

impl Rotations {
    fn is_under_way(&self, now: Timestamp) -> bool {
        self.round.as_ref().is_some_and(|round| now.since(round.since) < LOST)
    }

    /// Whether one may begin by itself; `Err` the first time that there are too many.
    fn may_begin(&mut self, now: Timestamp) -> Result<bool, ()> {
        while self.begun.front().is_some_and(|begun| now.since(*begun) >= BUSY) {
            self.begun.pop_front();
        }
        if self.is_under_way(now) {
            return Ok(false);
        }
        if self.begun.len() < MOST {
            self.told_busy = false;
            return Ok(true);
        }
        if std::mem::replace(&mut self.told_busy, true) { Ok(false) } else { Err(()) }
    }

    /// Whether a file is not tried now.
    fn waits(&self, file: &Path, now: Timestamp) -> bool {
        self.setbacks.get(file).is_some_and(|setback| !now.has_reached(setback.not_before))
    }

    /// A file was rotated.
    fn succeeded(&mut self, file: &Path) {
        self.setbacks.remove(file);
    }

    /// A file could not be rotated; whether that is news.
    fn failed(&mut self, file: &Path, error: &str, now: Timestamp) -> bool {
        // Of a file that was not tried again for so long nothing is known.
        self.setbacks.retain(|_, setback| now.since(setback.not_before) < TOLD_AGAIN);
        let setback =
            self.setbacks.entry(file.to_owned()).or_insert(Setback { failures: 0, not_before: now, told: None });
        let wait = AFTER_FAILURE.saturating_mul(1 << setback.failures.min(8)).min(LONGEST_WAIT);
        setback.failures = setback.failures.saturating_add(1);
        setback.not_before = now.plus(wait);
        let is_known = setback.told.as_ref().is_some_and(|(told, at)| told == error && now.since(*at) < TOLD_AGAIN);
        if !is_known {
            setback.told = Some((error.to_owned(), now));
        }
        !is_known
    }
}

impl Service {
    /// The run whose main process is there.
    fn writer(&self) -> Option<RunId> {
        self.run.as_ref().filter(|run| run.stage == Stage::Spawned && run.exit.is_none()).map(|run| run.id)
    }

    fn rotates(&self) -> bool {
        self.spec.log_files.iter().any(|files| files.rotate.is_some())
    }
}

impl Engine {
    /// Files of a service are to be rotated by what is declared of them.
    pub(super) fn log_files_due(&mut self, id: &ServiceId, files: &[DueFile]) {
        if self.life != Life::Working || self.is_leaving(&id.project) {
            return;
        }
        let now = self.now;
        let Some(service) = self.services.get_mut(id).filter(|service| !service.is_undeclared()) else { return };
        if !service.rotates() || service.maintenance.is_some() {
            return;
        }
        let tried = files.iter().filter(|file| !service.rotations.waits(&file.path, now));
        let why: BTreeMap<_, _> = tried.map(|file| (file.path.clone(), file.why.to_string())).collect();
        if why.is_empty() {
            return;
        }
        match service.rotations.may_begin(now) {
            Ok(true) => {}
            Ok(false) => return,
            Err(()) => {
                let text = format!(
                    "its log files were rotated {MOST} times within an hour, and are not again within it: they grow faster than log_files.rotate.max_size allows for"
                );
                return self.record(About::Service(id), Origin::Config, What::Trouble { text }, "");
            }
        }
        service.rotations.begun.push_back(now);
        self.begin_rotation(id, Origin::Config, why);
    }

    /// Somebody wants the files of a service rotated now.
    pub(super) fn rotate_asked(&mut self, id: &ServiceId, by: Origin) {
        self.begin_rotation(id, by, BTreeMap::new());
    }

    fn begin_rotation(&mut self, id: &ServiceId, by: Origin, why: BTreeMap<PathBuf, String>) {
        let now = self.now;
        let Some(service) = self.services.get_mut(id) else { return };
        let files = why.keys().cloned().collect();
        let run = service.writer();
        service.rotations.round = Some(Round { since: now, by, why });
        self.effects.push(Effect::Rotate(RotationRound { service: id.clone(), run, files }));
    }

    /// Files have other names now: who writes them is told to open them anew.
    pub(super) fn log_files_moved(&mut self, id: &ServiceId, run: RunId, signal: Signal) {
        let Some(service) = self.service(id) else { return };
        let by = service.rotations.round.as_ref().map_or(Origin::Config, |round| round.by);
        if service.writer() != Some(run) {
            return;
        }
        self.effects.push(Effect::Signal { run, signal });
        self.record(About::Run(id, run), by, What::Signalled { signal }, "to have it open its log files anew");
    }

    /// What became of the files of a round.
    pub(super) fn log_files_rotated(&mut self, id: &ServiceId, files: Vec<Rotated>) {
        let now = self.now;
        let Some(service) = self.services.get_mut(id) else { return };
        let round = service.rotations.round.take();
        let by = round.as_ref().map_or(Origin::Config, |round| round.by);
        let is_asked = by != Origin::Config;
        let mut entries = Vec::new();
        for Rotated { path, shown, outcome } in files {
            let why = round.as_ref().and_then(|round| round.why.get(&path)).cloned().unwrap_or_default();
            match outcome {
                Ok(bytes) => {
                    service.rotations.succeeded(&path);
                    entries.push((What::LogRotated { file: shown, bytes, error: None }, why));
                }
                Err(error) => {
                    if service.rotations.failed(&path, &error, now) || is_asked {
                        entries.push((What::LogRotated { file: shown, bytes: 0, error: Some(error) }, why));
                    }
                }
            }
        }
        for (what, why) in entries {
            self.record(About::Service(id), by, what, why);
        }
    }

    /// What `rotate` would do.
    pub(super) fn draft_rotate(&self, targets: &[ServiceId]) -> Draft {
        let now = self.now;
        let touched = self.chosen(targets, |service| service.rotates() && !service.rotations.is_under_way(now));
        let steps = touched.iter().filter_map(|id| Some((id, self.service(id)?))).flat_map(|(id, service)| {
            let name = self.short(id);
            let files = service.spec.log_files.iter().filter_map(|files| Some((files.pattern(), files.rotate?)));
            files.map(move |(pattern, rotate)| {
                format!("rotate {pattern} of {name} ({}, {} kept)", rotate.how.label(), rotate.keep)
            })
        });
        let steps = steps.collect();
        let mut draft = self.drafted(crate::model::command::Verb::Rotate, targets, touched, steps);
        draft.title = draft.title.replacen("rotate ", "rotate the log files of ", 1);
        if let [only] = targets {
            let name = self.short(only);
            draft.idle = match self.service(only) {
                Some(service) if service.rotates() => format!("log files of {name} are being rotated already"),
                Some(_) | None => {
                    format!("{name} has no log files to rotate: log_files with rotate in its project file names them")
                }
            };
        }
        draft
    }
}
