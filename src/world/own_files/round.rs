//! A round: files of one service that are rotated together, so that it is told once for all of them.
//!
//! Promise: each file of a round has exactly one outcome; one that was not opened anew has its old name again. Never: renames a file of a process that the signal
//! would end; empties one whose writer does not append.

use std::{collections::BTreeMap, io, time::Duration};

use rustix::fs::{FileType, OFlags};

use super::{
    Declared, News, Users,
    follower::Handed,
    names, open,
    place::{Owners, Place, identity, why_closed},
    steps,
};
use crate::model::{
    ids::RunId,
    log_file::{How, LogFiles, Rotated, Rotation, RotationRound},
    signal::Signal,
};

/// A service opens its files anew within this.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What a round needs of others.
pub(super) struct Means<'a> {
    pub(super) users: &'a Users,
    pub(super) handed: &'a Handed,
    pub(super) tell: &'a dyn Fn(News),
    /// Waits until a condition holds, or for so long; true where it holds.
    pub(super) await_until: &'a dyn Fn(Duration, &dyn Fn() -> bool) -> bool,
}

/// A file of the round.
struct Target {
    files: LogFiles,
    rotation: Rotation,
    place: Place,
    name: String,
}

/// How one is rotated now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Signal(RunId, Signal),
    /// Nobody has it open.
    Rename,
    Copy,
}

impl Target {
    fn outcome(&self, outcome: Result<u64, String>) -> Rotated {
        Rotated { path: self.files.path(&self.name), shown: self.files.shown(&self.name), outcome }
    }

    fn bytes_of(&self, name: &str) -> Option<u64> {
        let found = self.place.stat(name).ok()?;
        let is_plain = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        is_plain.then(|| u64::try_from(found.st_size).unwrap_or(0))
    }

    fn is_unfinished(&self) -> bool {
        self.bytes_of(&names::moved(&self.name)).is_some()
    }
}

/// Rotates the files of a round, and says what became of each.
pub(super) fn perform(declared: &Declared, round: &RotationRound, means: &Means<'_>) -> Vec<Rotated> {
    let mut outcomes = Vec::new();
    let targets = targets(declared, round, &mut outcomes);
    let owners = means.users.owners_within(&declared.service, Duration::ZERO);
    let mut signalled: BTreeMap<(RunId, Signal), Vec<Target>> = BTreeMap::new();
    for target in targets {
        let objection = target.place.stat(&target.name).ok().and_then(|found| owners.objection(&found));
        let way = objection.map_or_else(|| way(&target, declared, round.run, means), Err);
        match way {
            Ok(Way::Signal(run, signal)) => signalled.entry((run, signal)).or_default().push(target),
            Ok(Way::Rename) => {
                let done = set_aside(&target, declared, means).and_then(|()| settle(&target));
                outcomes.push(target.outcome(done.map_err(|error| said(&error))));
            }
            Ok(Way::Copy) => {
                let done = copy(&target, &owners, declared, means);
                outcomes.push(target.outcome(done));
            }
            Err(why) => outcomes.push(target.outcome(Err(why))),
        }
    }
    for ((run, signal), targets) in signalled {
        outcomes.extend(by_signal(declared, (run, signal), targets, means));
    }
    outcomes
}

/// The files that are meant: those that the round names, or all that may be rotated and are not empty.
fn targets(declared: &Declared, round: &RotationRound, outcomes: &mut Vec<Rotated>) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for files in declared.files.iter() {
        let Some(rotation) = files.rotate else { continue };
        let open = || Place::open(files);
        let names = match open().and_then(|place| meant(&place, files)) {
            Ok(names) => names,
            Err(error) if round.files.is_empty() && error.kind() != io::ErrorKind::NotFound => {
                let outcome = Err(why_closed(&error));
                outcomes.push(Rotated { path: files.path(&files.name), shown: files.pattern(), outcome });
                continue;
            }
            Err(_told) => continue,
        };
        for name in names {
            let path = files.path(&name);
            let is_meant = round.files.is_empty() || round.files.contains(&path);
            let is_twice = targets.iter().any(|one| one.files.path(&one.name) == path);
            let Ok(place) = open() else { continue };
            let target = Target { files: files.clone(), rotation, place, name };
            let has_something = target.bytes_of(&target.name).is_none_or(|bytes| bytes > 0) || target.is_unfinished();
            if is_meant && !is_twice && has_something {
                targets.push(target);
            }
        }
    }
    targets
}

/// Names that are there, and those whose last rotation was not finished.
pub(super) fn meant(place: &Place, files: &LogFiles) -> io::Result<Vec<String>> {
    if !files.is_pattern() {
        let is_there = [&files.name, &names::moved(&files.name)].into_iter().any(|name| place.stat(name).is_ok());
        return Ok(if is_there { vec![files.name.clone()] } else { Vec::new() });
    }
    let mut names = place.names(files)?;
    let unfinished = place.all_names()?.into_iter().filter_map(|other| {
        let name = other.strip_suffix(names::moved("").as_str())?;
        files.matches(name).then(|| name.to_owned())
    });
    for name in unfinished.collect::<Vec<_>>() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// How a file is rotated now, or why it is not.
fn way(target: &Target, declared: &Declared, run: Option<RunId>, means: &Means<'_>) -> Result<Way, String> {
    let writer = means.users.runs.writer(&declared.service);
    let (signal, or_copy) = match target.rotation.how {
        How::CopyTruncate if target.is_unfinished() => return Ok(Way::Rename),
        How::CopyTruncate => return Ok(Way::Copy),
        How::Signal(signal) => (signal, false),
        How::SignalIfCaught(signal) => (signal, true),
    };
    let Some((running, pid)) = writer else {
        return Ok(if or_copy && !target.is_unfinished() { Way::Copy } else { Way::Rename });
    };
    if Some(running) != run {
        return Err("another run of the service has begun meanwhile".to_owned());
    }
    match open::catches(pid, signal) {
        Some(true) => Ok(Way::Signal(running, signal)),
        _ if target.is_unfinished() && or_copy => Ok(Way::Rename),
        Some(false) | None if or_copy => Ok(Way::Copy),
        // Nobody can tell: it is taken at the word of its project file.
        None => Ok(Way::Signal(running, signal)),
        Some(false) => Err(format!(
            "its main process (pid {pid}) does not catch {signal} and would be ended by it: is it a shell around the server? write exec before the command, or how: copytruncate"
        )),
    }
}

/// Gives the file the name of one that waits; one that waits since an earlier round keeps it.
fn set_aside(target: &Target, declared: &Declared, means: &Means<'_>) -> io::Result<()> {
    if target.is_unfinished() {
        return Ok(());
    }
    if target.files.follow {
        let file = target.place.file(&target.name, OFlags::RDONLY)?;
        means.handed.rename((declared.service.clone(), target.files.shown(&target.name)), file);
    }
    target.place.rename_free(&target.name, &names::moved(&target.name))
}

/// Gives what waits its number.
fn settle(target: &Target) -> io::Result<u64> {
    let moved = names::moved(&target.name);
    let bytes = target.bytes_of(&moved).unwrap_or(0);
    steps::settle(&target.place, &target.name, &moved, target.rotation.keep)?;
    Ok(bytes)
}

fn by_signal(
    declared: &Declared,
    (run, signal): (RunId, Signal),
    targets: Vec<Target>,
    means: &Means<'_>,
) -> Vec<Rotated> {
    let mut outcomes = Vec::new();
    let mut waiting = Vec::new();
    for target in targets {
        match set_aside(&target, declared, means) {
            Ok(()) => waiting.push(target),
            Err(error) => outcomes.push(target.outcome(Err(said(&error)))),
        }
    }
    let is_open = |target: &Target| target.place.stat(&target.name).is_ok();
    if !waiting.iter().all(is_open) {
        (means.tell)(News::Moved(declared.service.clone(), run, signal));
        (means.await_until)(PATIENCE, &|| waiting.iter().all(is_open));
    }
    for target in waiting {
        let outcome =
            if is_open(&target) { settle(&target).map_err(|error| said(&error)) } else { put_back(&target, signal) };
        outcomes.push(target.outcome(outcome));
    }
    outcomes
}

/// It was not opened anew: it gets its name back.
fn put_back(target: &Target, signal: Signal) -> Result<u64, String> {
    let moved = names::moved(&target.name);
    match target.place.rename_free(&moved, &target.name) {
        Ok(()) => Err(format!(
            "the service did not open it anew within {} s after {signal}, so it has its old name again: another signal may be the right one, or how: copytruncate",
            PATIENCE.as_secs()
        )),
        // It was opened a moment ago.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => settle(target).map_err(|error| said(&error)),
        Err(error) => {
            Err(format!("the service did not open it anew after {signal}, and it is called {moved} now: {error}"))
        }
    }
}

fn copy(target: &Target, owners: &Owners, declared: &Declared, means: &Means<'_>) -> Result<u64, String> {
    let Target { place, name, rotation, files: _ } = target;
    let found = place.stat(name).map_err(|error| said(&error))?;
    let leaves_hole = || {
        let mut processes = means.users.runs.processes(&declared.service);
        // Of a container no other is known.
        processes.extend(means.users.runs.writer(&declared.service).map(|(_, pid)| pid));
        let written = open::written(&processes);
        written.get(&identity(&found)).is_some_and(|one| !one.appends)
    };
    // Numbers of descriptors change while they are read: what is so stays so.
    if (0..5).all(|_| leaves_hole()) {
        return Err(
            "the service writes it without O_APPEND: emptied, it would begin with a hole; rotate it by a signal, or open it to append (>> in a shell)"
                .to_owned(),
        );
    }
    // What is kept no longer makes room first.
    steps::prune(place, name, rotation.keep.saturating_sub(1).max(1), None).map_err(|error| said(&error))?;
    if let Some(why) = steps::lacks_room(place, u64::try_from(found.st_size).unwrap_or(0)) {
        return Err(why);
    }
    let mut copied = steps::copy(place, name, (&found, owners)).map_err(|error| said(&error))?;
    let set = copied.catch_up().and_then(|()| steps::settle(place, name, &names::part(name), rotation.keep));
    // The copy is on disk under its name before the file is emptied.
    if let Err(error) = set.and_then(|()| place.sync()) {
        copied.undo(place, name);
        return Err(said(&error));
    }
    let mut left = means.handed.hold();
    let emptied = copied.empty(place, name).map_err(|error| said(&error))?;
    if target.files.follow {
        left.emptied.entry(identity(&found)).or_default().push(copied.to);
    }
    match emptied.unsure {
        None => Ok(emptied.bytes),
        Some(error) => Err(format!(
            "it was emptied, and the end of its copy {} may not be on disk yet: {}",
            names::rotated(name, 1, false),
            said(&error)
        )),
    }
}

/// What is done to what was set aside, after a round and now and then; why it is not all done, a clause.
pub(super) fn tidy(place: &Place, name: &str, rotation: &Rotation, oldest_us: Option<i64>) -> Option<String> {
    let tidied = steps::sweep(place, name)
        .and_then(|()| steps::prune(place, name, rotation.keep, oldest_us))
        .and_then(|()| if rotation.compress { steps::compress_older(place, name) } else { Ok(None) });
    tidied.unwrap_or_else(|error| Some(said(&error)))
}

fn said(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::PermissionDenied {
        format!("{error}: cas needs to write to its directory")
    } else if error.kind() == io::ErrorKind::StorageFull {
        "its disk is full".to_owned()
    } else {
        error.to_string()
    }
}
