//! Looks every 15 s how large and how old log files are, tells what is due, and carries out rounds, on a thread of its own; compressing never hurries.
//!
//! Promise: each round is answered once. A clock that was set does not make it remove much. Never: begins a round by itself.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::fs::{AtFlags, StatxFlags};

use super::{
    Declared, News, Users,
    follower::Handed,
    names, open,
    place::{Identity, Owners, Place, identity, why_closed},
    round::{self, Means},
    steps,
};
use crate::{
    model::{
        ids::ServiceId,
        log_file::{self, DueBy, DueFile, LogFileView, LogFiles, MOST_FILES, RotationRound, Stand},
        time::Timestamp,
    },
    world::clock::{self, Clock},
};

/// Between two looks at what processes have open.
const FIND: Duration = Duration::from_mins(1);
/// Between two looks at what was set aside.
const TIDY: Duration = Duration::from_mins(10);
/// While a file is awaited it is looked for so often.
const GLANCE: Duration = Duration::from_millis(20);
/// How much nicer than others it is compressed.
const NICENESS: i32 = 10;
/// The wall clock was set where it moved by so much against the boot clock; after that nothing is removed by age for so long.
const STEP_US: u64 = 60_000_000;
const MISTRUST: Duration = Duration::from_hours(24);

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Rotator(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    bell: Condvar,
    users: Arc<Users>,
    clock: ClockOf,
}

/// A clock has nothing to show.
struct ClockOf(Clock);

impl std::fmt::Debug for ClockOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a clock")
    }
}

#[derive(Debug, Default)]
struct State {
    declared: Arc<[Declared]>,
    /// A pass is to be made at once.
    is_new: bool,
    rounds: VecDeque<RotationRound>,
    seen: BTreeMap<PathBuf, Seen>,
    found: BTreeMap<ServiceId, Vec<LogFileView>>,
    has_ended: bool,
}

/// What the last pass has seen of a file.
#[derive(Debug, Clone)]
struct Seen {
    id: Identity,
    bytes: u64,
    at: Timestamp,
    bytes_per_s: Option<f64>,
    /// When it was last rotated, microseconds since the Unix epoch, also where what was set aside is kept no longer.
    rotated_us: Option<i64>,
    /// Why it was not rotated when it was last tried.
    failed: Option<String>,
    /// Why not all is done that is to be done with what was set aside.
    untidy: Option<String>,
    tidied: Option<Timestamp>,
}

impl Seen {
    fn trouble(&self) -> Option<String> {
        self.failed.clone().or_else(|| self.untidy.clone())
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.state.lock().unwrap_or_else(PoisonError::into_inner)
}

type Tell = Box<dyn Fn(News) + Send>;

impl Rotator {
    /// Starts with no file.
    pub(super) fn start(
        users: Arc<Users>,
        handed: Arc<Handed>,
        tell: Tell,
        clock: Clock,
        pause: Duration,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), bell: Condvar::new(), users, clock: ClockOf(clock) });
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new().name("cas-rotate".to_owned()).spawn(move || {
            Work { shared: &theirs, handed: &handed, tell, found: None, passed: None, offset_us: None, mistrust: None }
                .run(pause);
        })?;
        Ok(Self(shared))
    }

    /// Looks after the files of these services from now on and no others.
    pub(super) fn watch(&self, declared: Arc<[Declared]>) {
        let mut state = lock(&self.0);
        state.declared = declared;
        state.is_new = true;
        self.0.bell.notify_all();
    }

    /// A round to be carried out.
    pub(super) fn rotate(&self, round: RotationRound) {
        lock(&self.0).rounds.push_back(round);
        self.0.bell.notify_all();
    }

    /// Looks at the files of one service or of all. Blocks.
    pub(super) fn look(&self) -> impl FnOnce(Option<&ServiceId>) -> Vec<LogFileView> + Send + 'static {
        let shared = Arc::clone(&self.0);
        move |service| {
            let (declared, seen, found) = {
                let state = lock(&shared);
                (Arc::clone(&state.declared), state.seen.clone(), state.found.clone())
            };
            let now = (shared.clock.0)();
            let mut views = Vec::new();
            for one in declared.iter().filter(|one| service.is_none_or(|service| *service == one.service)) {
                views.extend(views_of(one, &seen, &shared.users, now));
                views.extend(found.get(&one.service).into_iter().flatten().cloned());
            }
            views
        }
    }
}

impl Drop for Rotator {
    fn drop(&mut self) {
        lock(&self.0).has_ended = true;
        self.0.bell.notify_all();
    }
}

/// What can be said of the declared files of a service.
fn views_of(declared: &Declared, seen: &BTreeMap<PathBuf, Seen>, users: &Users, now: Timestamp) -> Vec<LogFileView> {
    let owners = users.owners(&declared.service);
    let mut views: Vec<LogFileView> = Vec::new();
    for files in declared.files.iter() {
        let (place, names) = match Place::open(files).and_then(|place| Ok((place.names(files)?, place))) {
            Ok((names, place)) => (Some(place), names),
            Err(error) => {
                let mut view = LogFileView::of(&declared.service, files, &files.name);
                view.trouble = Some(why_closed(&error));
                views.push(view);
                continue;
            }
        };
        if names.is_empty() {
            views.push(LogFileView::of(&declared.service, files, &files.name));
        }
        for name in names {
            let mut view = LogFileView::of(&declared.service, files, &name);
            if views.iter().any(|one| one.path == view.path) {
                continue;
            }
            if let Some(place) = &place {
                let seen = seen.get(&view.path);
                describe(&mut view, (place, &name), files, (seen, &owners), now);
            }
            views.push(view);
        }
    }
    views
}

fn describe(
    view: &mut LogFileView,
    (place, name): (&Place, &str),
    files: &LogFiles,
    (seen, owners): (Option<&Seen>, &Owners),
    now: Timestamp,
) {
    let Ok(found) = place.stat(name) else { return };
    view.trouble = owners.objection(&found);
    if view.trouble.is_some() {
        return;
    }
    let bytes = u64::try_from(found.st_size).unwrap_or(0);
    view.bytes = Some(bytes);
    view.bytes_per_s = seen.and_then(|seen| seen.bytes_per_s);
    view.rotated_us = rotated_us(place, name, seen, identity(&found));
    if let Some(rotation) = &files.rotate {
        let stand = Stand { bytes, since_us: since_us(place, name, view.rotated_us) };
        view.next = log_file::next(rotation, stand, view.bytes_per_s, now.wall_us);
        view.trouble = seen.and_then(Seen::trouble);
    }
}

/// When a file was last rotated: when its newest rotated one got its name. Where that one is kept no longer it is what was seen of it before: a file that is
/// copied and emptied stays as old as it is.
fn rotated_us(place: &Place, name: &str, before: Option<&Seen>, id: Identity) -> Option<i64> {
    let newest = place.stat(&names::rotated(name, 1, false)).ok().map(|found| {
        let micros = i64::try_from(found.st_ctime_nsec / 1000).unwrap_or(0);
        found.st_ctime.saturating_mul(1_000_000).saturating_add(micros)
    });
    newest.or_else(|| before.filter(|before| before.id == id)?.rotated_us)
}

/// Since when a file grows: its last rotation, else its birth where the file system knows it.
fn since_us(place: &Place, name: &str, rotated_us: Option<i64>) -> Option<i64> {
    rotated_us.or_else(|| {
        let file = place.file(name, rustix::fs::OFlags::RDONLY).ok()?;
        let born = rustix::fs::statx(&file, "", AtFlags::EMPTY_PATH, StatxFlags::BTIME).ok()?;
        let is_known = born.stx_mask & StatxFlags::BTIME.bits() != 0 && born.stx_btime.tv_sec > 0;
        is_known.then(|| {
            born.stx_btime.tv_sec.saturating_mul(1_000_000).saturating_add(i64::from(born.stx_btime.tv_nsec / 1000))
        })
    })
}

struct Work<'a> {
    shared: &'a Shared,
    handed: &'a Handed,
    tell: Tell,
    /// When it was last looked what processes have open.
    found: Option<Timestamp>,
    /// When the last pass began, by the clock of this machine.
    passed: Option<Timestamp>,
    /// Wall clock minus boot clock at the last pass, microseconds.
    offset_us: Option<i64>,
    /// Until when the wall clock is mistrusted.
    mistrust: Option<Timestamp>,
}

impl Work<'_> {
    fn run(mut self, pause: Duration) {
        loop {
            let mut state = lock(self.shared);
            if state.has_ended {
                return;
            }
            let declared = Arc::clone(&state.declared);
            if let Some(round) = state.rounds.pop_front() {
                drop(state);
                self.carry_out(&declared, &round);
                continue;
            }
            let left = self.passed.map_or(Duration::ZERO, |passed| pause.saturating_sub(clock::now().since(passed)));
            if !state.is_new && (declared.is_empty() || !left.is_zero()) {
                if declared.is_empty() {
                    drop(self.shared.bell.wait(state));
                } else {
                    drop(self.shared.bell.wait_timeout(state, left));
                }
                continue;
            }
            state.is_new = false;
            drop(state);
            self.passed = Some(clock::now());
            self.pass(&declared);
        }
    }

    fn carry_out(&self, declared: &[Declared], round: &RotationRound) {
        let files = declared.iter().find(|one| one.service == round.service).map_or_else(Vec::new, |one| {
            let means = Means {
                users: &self.shared.users,
                handed: self.handed,
                tell: &|news| (self.tell)(news),
                await_until: &|patience, holds| self.await_until(patience, holds),
            };
            round::perform(one, round, &means)
        });
        // What was set aside is compressed with the next pass: nobody waits for that.
        {
            let mut state = lock(self.shared);
            for file in &files {
                if let Some(seen) = state.seen.get_mut(&file.path) {
                    seen.tidied = None;
                    seen.failed = file.outcome.as_ref().err().map(|why| format!("not rotated: {why}"));
                }
            }
            state.is_new = true;
        }
        (self.tell)(News::Rotated(round.service.clone(), files));
    }

    /// Waits until it holds, for so long at most, or until all of this ends.
    fn await_until(&self, patience: Duration, holds: &dyn Fn() -> bool) -> bool {
        let begun = clock::now();
        while !holds() {
            let state = lock(self.shared);
            if state.has_ended || clock::now().since(begun) >= patience {
                return false;
            }
            // Woken or not, it is looked again.
            drop(self.shared.bell.wait_timeout(state, GLANCE));
        }
        true
    }

    fn pass(&mut self, declared: &[Declared]) {
        let now = (self.shared.clock.0)();
        self.look_at_clock(now);
        // What was seen before stays to be asked for meanwhile: compressing takes its time.
        let before = lock(self.shared).seen.clone();
        let mut seen = BTreeMap::new();
        let mut due: Vec<(ServiceId, Vec<DueFile>)> = Vec::new();
        for one in declared {
            let owners = self.shared.users.owners(&one.service);
            let mut of_service = Vec::new();
            for files in one.files.iter() {
                let Ok(place) = Place::open(files) else { continue };
                for name in round::meant(&place, files).unwrap_or_default() {
                    let path = files.path(&name);
                    let (file, why) = self.look_at((&place, &name), files, &owners, before.get(&path), now);
                    if let Some(why) = why {
                        of_service.push(DueFile { path: path.clone(), why });
                    }
                    seen.extend(file.map(|file| (path, file)));
                }
            }
            if !of_service.is_empty() {
                due.push((one.service.clone(), of_service));
            }
        }
        lock(self.shared).seen = seen;
        for (service, files) in due {
            (self.tell)(News::Due(service, files));
        }
        if self.found.is_none_or(|found| now.since(found) >= FIND || !now.has_reached(found)) {
            self.found = Some(now);
            self.find(declared);
        }
    }

    fn look_at(
        &self,
        (place, name): (&Place, &str),
        files: &LogFiles,
        owners: &Owners,
        before: Option<&Seen>,
        now: Timestamp,
    ) -> (Option<Seen>, Option<DueBy>) {
        let is_unfinished = place.stat(&names::moved(name)).is_ok();
        let why = is_unfinished.then_some(DueBy::Unfinished).filter(|_| files.rotate.is_some());
        let Ok(found) = place.stat(name) else { return (None, why) };
        if owners.objection(&found).is_some() {
            return (None, None);
        }
        let (id, bytes) = (identity(&found), u64::try_from(found.st_size).unwrap_or(0));
        let rotated_us = rotated_us(place, name, before, id);
        let (failed, untidy, tidied) =
            before.cloned().map_or((None, None, None), |before| (before.failed, before.untidy, before.tidied));
        let mut seen = Seen { id, bytes, at: now, bytes_per_s: None, rotated_us, failed, untidy, tidied };
        if let Some(before) = before {
            let passed = now.since(before.at).as_secs_f64();
            let grown = bytes.checked_sub(before.bytes).filter(|_| before.id == id && passed >= 1.0);
            // A pass that came too early, or after a rotation, says nothing new.
            seen.bytes_per_s = grown.map(|grown| grown as f64 / passed).or(before.bytes_per_s);
        }
        let Some(rotation) = &files.rotate else { return (Some(seen), None) };
        if seen.tidied.is_none_or(|tidied| now.since(tidied) >= TIDY) {
            seen.tidied = Some(now);
            let oldest = steps::oldest(rotation.keep_for, now.wall_us).filter(|_| self.mistrust.is_none());
            seen.untidy = nicely(|| round::tidy(place, name, rotation, oldest));
        }
        let stand = Stand { bytes, since_us: since_us(place, name, rotated_us) };
        (Some(seen), why.or_else(|| log_file::due(rotation, stand, now.wall_us)))
    }

    fn look_at_clock(&mut self, now: Timestamp) {
        let offset = now.wall_us.saturating_sub(i64::try_from(now.mono_us).unwrap_or(i64::MAX));
        if self.offset_us.is_some_and(|last| last.abs_diff(offset) > STEP_US) {
            self.mistrust = Some(now.plus(MISTRUST));
            tracing::warn!("the clock was set; no rotated log file is removed for its age for a day");
        }
        self.offset_us = Some(offset);
        self.mistrust = self.mistrust.filter(|until| !now.has_reached(*until));
    }

    /// What processes have open to write, looks like a log, and is not declared.
    fn find(&self, declared: &[Declared]) {
        let mut found = BTreeMap::new();
        for one in declared {
            let processes = self.shared.users.runs.processes(&one.service);
            if processes.is_empty() {
                continue;
            }
            let known = identities(one);
            let views: Vec<LogFileView> = open::written(&processes)
                .into_iter()
                .filter(|(id, file)| !known.contains(id) && open::looks_like_log(&file.path))
                .filter(|(_, file)| !was_set_aside(one, &file.path))
                .take(MOST_FILES)
                .map(|(_, file)| {
                    let below = file.path.strip_prefix(&one.directory).unwrap_or(&file.path);
                    let shown = below.to_string_lossy().into_owned();
                    LogFileView::found(&one.service, &file.path, shown, file.bytes)
                })
                .collect();
            if !views.is_empty() {
                found.insert(one.service.clone(), views);
            }
        }
        lock(self.shared).found = found;
    }
}

/// Does what takes long and is awaited by nobody on a thread that is nicer than others. This one is not: between the last look at a file and its emptying it must
/// not stand back.
fn nicely(work: impl FnOnce() -> Option<String> + Send) -> Option<String> {
    std::thread::scope(|scope| {
        let spawned = std::thread::Builder::new().name("cas-tidy".to_owned()).spawn_scoped(scope, || {
            // On Linux this is the thread's alone. Without it we are only as important as others.
            let _no_nicer = rustix::process::setpriority_process(None, NICENESS);
            work()
        });
        match spawned.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(trouble)) => trouble,
            Ok(Err(_panicked)) => Some("what was set aside could not be tidied".to_owned()),
            Err(error) => Some(format!("what was set aside is tidied later: {error}")),
        }
    })
}

/// What tells the declared files of a service from others.
fn identities(declared: &Declared) -> Vec<Identity> {
    let mut known = Vec::new();
    for files in declared.files.iter() {
        let Ok(place) = Place::open(files) else { continue };
        let names = place.names(files).unwrap_or_default();
        known.extend(names.iter().filter_map(|name| place.stat(name).ok()).map(|found| identity(&found)));
    }
    known
}

/// Whether a file is one of the declared ones under another name, which its service has not let go of yet.
fn was_set_aside(declared: &Declared, path: &std::path::Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    names::is_set_aside(&name)
        && declared.files.iter().any(|files| {
            let stem = |end: usize| name.get(..end).is_some_and(|stem| files.matches(stem));
            (0..name.len()).any(stem)
        })
}

#[cfg(test)]
mod tests;
