//! What becomes of closed segments: those that were taken in are compressed, those that are too old or too many deleted.
//!
//! Promise: whenever it dies, each segment is there whole in one form at least; where both are there, the raw one counts and the other is
//! removed. A clock that was set does not make it delete much. An archive is as old as what it was made of. Never touches the newest segment, or one that
//! was not taken in; never writes but beside what it compresses, and there only while the disk has room to spare; never hurries.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::fs::{Timespec, Timestamps};

use super::{
    data::Data,
    index, pack,
    segments::{self, Form, Segment},
};
use crate::{
    model::{intake::Position, time::Timestamp},
    world::{
        clock::{self, Clock},
        store::private,
    },
};

/// Between two passes.
const PAUSE: Duration = Duration::from_secs(15);

/// A segment that was closed so long ago is compressed.
const CLOSED_FOR: Duration = Duration::from_secs(30);

/// The wall clock was set where it moved by so much against the boot clock since the last pass.
const STEP_US: u64 = 60_000_000;

/// After that it is mistrusted for so long, and deletes by age once an hour at most a tenth of the segments.
const MISTRUST: Duration = Duration::from_hours(24);
const MISTRUSTED_PAUSE: Duration = Duration::from_hours(1);

/// How the name of an archive ends while it is being written; and how it did in earlier versions.
const HALF: &str = ".zst.tmp";
const EARLIER_HALF: &str = ".gz.tmp";

/// How much nicer than others the thread is.
const NICENESS: i32 = 10;

/// A slot that is looked after.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tended {
    /// Closed segments whose newest line is older are deleted; none: kept.
    pub max_age: Option<Duration>,
    /// The oldest closed segments are deleted while all files together are larger, bytes; none: kept. The shim sees to it before, unless it is
    /// of a version that does not know all forms of archives.
    pub max_size: Option<u64>,
    /// Everything before was taken in.
    pub taken: Position,
}

#[derive(Debug, Default)]
struct State {
    slots: BTreeMap<PathBuf, Tended>,
    has_ended: bool,
}

/// The thread that looks after closed segments; it ends when this is dropped.
#[derive(Debug)]
pub struct Archivist(Arc<(Mutex<State>, Condvar)>);

impl Archivist {
    /// Starts it with nothing to do.
    ///
    /// # Errors
    /// A thread could not be made.
    pub fn start() -> io::Result<Self> {
        Self::with_clock(Arc::new(clock::now), PAUSE)
    }

    /// The same by another clock than that of this machine, with so much of real time between two passes.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn with_clock(clock: Clock, pause: Duration) -> io::Result<Self> {
        let shared = Arc::new((Mutex::new(State::default()), Condvar::new()));
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new().name("archivist".to_owned()).spawn(move || work(&theirs, &clock, pause))?;
        Ok(Self(shared))
    }

    /// Looks after a slot from now on; what was known of how far it was taken in stays known. For the bounds see [`Tended`].
    pub fn tend(&self, slot: PathBuf, max_age: Option<Duration>, max_size: Option<u64>) {
        let mut state = lock(&self.0.0);
        let tended = state.slots.entry(slot).or_default();
        (tended.max_age, tended.max_size) = (max_age, max_size);
    }

    /// A slot that is looked after was taken in up to there.
    pub fn taken(&self, slot: &Path, up_to: Position) {
        if let Some(tended) = lock(&self.0.0).slots.get_mut(slot) {
            tended.taken = up_to;
        }
    }

    /// Looks no more after the slots in `dir`.
    pub fn leave(&self, dir: &Path) {
        lock(&self.0.0).slots.retain(|slot, _| !slot.starts_with(dir));
    }
}

impl Drop for Archivist {
    fn drop(&mut self) {
        lock(&self.0.0).has_ended = true;
        self.0.1.notify_all();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(shared: &(Mutex<State>, Condvar), clock: &Clock, pause: Duration) {
    // On Linux this is the thread's alone. Without it we are only as important as others.
    let _no_nicer = rustix::process::setpriority_process(None, NICENESS);
    let mut rounds = Rounds::default();
    // Slots of which it was said that something does not go well.
    let mut told = BTreeSet::new();
    let mut state = lock(&shared.0);
    while !state.has_ended {
        let slots = state.slots.clone();
        drop(state);
        rounds.begin(clock());
        rounds.look_after(|slot| slots.contains_key(slot));
        told.retain(|slot| slots.contains_key(slot));
        for (slot, tended) in &slots {
            match rounds.visit(slot, tended, clock()) {
                Ok(()) => {
                    told.remove(slot);
                }
                Err(error) if told.insert(slot.clone()) => {
                    tracing::warn!(slot = %slot.display(), %error, "closed segments cannot be compressed; they stay as they are");
                }
                Err(_told) => {}
            }
            if lock(&shared.0).has_ended {
                return;
            }
        }
        state = lock(&shared.0);
        if !state.has_ended {
            state = shared.1.wait_timeout(state, pause).map_or_else(|error| error.into_inner().0, |waited| waited.0);
        }
    }
}

/// What must be known from one pass to the next. The clock is an argument.
#[derive(Debug)]
pub struct Rounds {
    /// A frame of an archive has about so many bytes of output.
    frame_bytes: u64,
    /// Wall clock minus boot clock at the last pass, microseconds.
    offset_us: Option<i64>,
    /// Until when the wall clock is mistrusted.
    mistrusted_until: Option<Timestamp>,
    /// When segments were last deleted by age with a mistrusted clock.
    last_aged: Option<Timestamp>,
    /// What age may delete in this pass.
    aging: Aging,
    /// What is known of each slot.
    known: BTreeMap<PathBuf, Known>,
}

/// What is known of one slot.
#[derive(Debug, Default)]
struct Known {
    /// Since when each closed segment that is not compressed is seen.
    closed: BTreeMap<u64, Timestamp>,
    /// Nothing that an earlier engine could not finish is there any more.
    is_swept: bool,
}

/// What age may delete in one pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Aging {
    #[default]
    All,
    /// Of the segments of a slot.
    ATenth,
    Nothing,
}

impl Default for Rounds {
    fn default() -> Self {
        Self::with_frames(pack::FRAME_BYTES)
    }
}

impl Rounds {
    /// Nothing is known, and archives have frames of about so many bytes of output.
    #[must_use]
    pub fn with_frames(frame_bytes: u64) -> Self {
        Self {
            frame_bytes,
            offset_us: None,
            mistrusted_until: None,
            last_aged: None,
            aging: Aging::default(),
            known: BTreeMap::new(),
        }
    }

    /// A pass begins.
    pub fn begin(&mut self, now: Timestamp) {
        let offset = now.wall_us.saturating_sub(i64::try_from(now.mono_us).unwrap_or(i64::MAX));
        let was_set = self.offset_us.is_some_and(|last| last.abs_diff(offset) > STEP_US);
        self.offset_us = Some(offset);
        if was_set {
            self.mistrusted_until = Some(now.plus(MISTRUST));
            tracing::warn!("the clock was set; old output is deleted slowly for a day");
        }
        let mistrusted = self.mistrusted_until.is_some_and(|until| !now.has_reached(until));
        let paused = self.last_aged.is_some_and(|last| now.since(last) < MISTRUSTED_PAUSE);
        self.aging = match (mistrusted, paused) {
            (false, _) => Aging::All,
            (true, true) => Aging::Nothing,
            (true, false) => Aging::ATenth,
        };
        if self.aging == Aging::ATenth {
            self.last_aged = Some(now);
        }
    }

    /// Knows only these slots from now on.
    pub fn look_after(&mut self, is_tended: impl Fn(&Path) -> bool) {
        self.known.retain(|slot, _| is_tended(slot));
    }

    /// Closed segments that wait for their turn, of all slots.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.known.values().map(|known| known.closed.len()).sum()
    }

    /// Does what is to do in one slot.
    ///
    /// # Errors
    /// The first of the segments that could not be compressed: they are there as they were, and are tried again with the next pass. What is to
    /// do to the others was done.
    pub fn visit(&mut self, slot: &Path, tended: &Tended, now: Timestamp) -> io::Result<()> {
        // The first segment is the oldest that can be closed and taken in.
        if tended.taken.segment <= 1 {
            self.known.remove(slot);
            return Ok(());
        }
        let there = segments::list(slot);
        let newest = there.last().map_or(0, |newest| newest.number);
        let is_closed = |segment: &&Segment| segment.number < newest && segment.number < tended.taken.segment;
        let mut closed: Vec<Segment> = there.iter().filter(is_closed).copied().collect();
        if let Some(max_age) = tended.max_age {
            let aged = self.delete_aged(slot, &closed, there.len(), max_age, now);
            closed.drain(..aged);
        }
        if let Some(max_size) = tended.max_size {
            let removed = delete_what_is_too_much(slot, &closed, max_size);
            closed.drain(..removed);
        }
        let raw: Vec<u64> =
            closed.iter().filter(|segment| segment.form == Form::Raw).map(|segment| segment.number).collect();
        let known = self.known.entry(slot.to_owned()).or_default();
        let mut done = if known.is_swept { Ok(()) } else { sweep(slot) };
        known.is_swept = done.is_ok();
        known.closed.retain(|number, _| raw.binary_search(number).is_ok());
        for number in raw {
            let since = *known.closed.entry(number).or_insert(now);
            if now.since(since) < CLOSED_FOR {
                continue;
            }
            match compress(slot, number, self.frame_bytes) {
                Ok(()) => {
                    known.closed.remove(&number);
                }
                Err(error) => done = done.and(Err(error)),
            }
        }
        done
    }

    /// Deletes what is too old, oldest first. Returns how many segments.
    fn delete_aged(&self, slot: &Path, closed: &[Segment], all: usize, max_age: Duration, now: Timestamp) -> usize {
        let bound = match self.aging {
            Aging::All => closed.len(),
            Aging::ATenth => all / 10,
            Aging::Nothing => 0,
        };
        let max_age = i64::try_from(max_age.as_micros()).unwrap_or(i64::MAX);
        let oldest_kept = now.wall_us.saturating_sub(max_age);
        let is_aged = |segment: &&Segment| newest_us(slot, **segment).is_some_and(|newest| newest < oldest_kept);
        let aged: Vec<&Segment> = closed.iter().take(bound).take_while(is_aged).collect();
        for segment in &aged {
            delete(slot, segment.number);
        }
        aged.len()
    }
}

/// Deletes closed segments, oldest first, until all files of segments together are no larger than that. Returns how many.
fn delete_what_is_too_much(slot: &Path, closed: &[Segment], max_size: u64) -> usize {
    let size = |path: PathBuf| fs::symlink_metadata(path).map_or(0, |found| found.len());
    let of = |segment: &Segment| {
        let forms = Form::ALL.map(|form| size(segments::file(slot, Segment { form, ..*segment })));
        forms.iter().sum::<u64>() + size(segments::index_file(slot, segment.number))
    };
    let mut total: u64 = segments::list(slot).iter().map(of).sum();
    let too_much = closed.iter().take_while(|segment| {
        let is_too_much = total > max_size;
        total = total.saturating_sub(if is_too_much { of(segment) } else { 0 });
        is_too_much
    });
    let too_much = too_much.count();
    closed[..too_much].iter().for_each(|segment| delete(slot, segment.number));
    too_much
}

/// Deletes one segment in all its forms. The index last: what is left without one is still read.
fn delete(slot: &Path, number: u64) {
    for form in Form::ALL {
        // What is gone already is as good.
        let _gone = fs::remove_file(segments::file(slot, Segment { number, form }));
    }
    let _gone = fs::remove_file(segments::index_file(slot, number));
}

/// When the last line of a closed segment came: as its index says, and where that is missing or damaged, when it was last written to.
fn newest_us(slot: &Path, segment: Segment) -> Option<i64> {
    index::newest_us(slot, segment.number).or_else(|| Data::open(slot, segment).ok().map(|data| data.modified_us()))
}

/// Removes what an earlier engine left half written: it died, or the power was cut.
fn sweep(slot: &Path) -> io::Result<()> {
    for entry in fs::read_dir(slot)? {
        let entry = entry?;
        let is_half = entry.file_name().to_str().is_some_and(|name| {
            name.starts_with("log.") && [HALF, EARLIER_HALF].iter().any(|half| name.ends_with(half))
        });
        if is_half {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Compresses one segment: to a temporary file, which then takes the archive's name, and only then the raw one goes.
fn compress(slot: &Path, number: u64, frame_bytes: u64) -> io::Result<()> {
    let raw = segments::raw_file(slot, number);
    let [archive, earlier] = [Form::Archive, Form::Gzip].map(|form| segments::file(slot, Segment { number, form }));
    let half = slot.join(format!("log.{number:06}{HALF}"));
    // What an earlier pass could not finish.
    for leftover in [&half, &archive, &earlier] {
        if let Err(error) = fs::remove_file(leftover)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
    }
    let written = write_archive(slot, number, frame_bytes, &half).and_then(|()| fs::rename(&half, &archive));
    if let Err(error) = written {
        // The next pass tries again.
        let _gone = fs::remove_file(&half);
        return Err(error);
    }
    match fs::remove_file(raw) {
        // The shim made room meanwhile and deleted the segment.
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::remove_file(archive),
        removed => removed,
    }
}

fn write_archive(slot: &Path, number: u64, frame_bytes: u64, half: &Path) -> io::Result<()> {
    let from = segments::open(&segments::raw_file(slot, number))?;
    let found = from.metadata()?;
    has_room(&from, found.len())?;
    let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let to: File = private::options().write(true).create_new(true).custom_flags(flags).open(half)?;
    let to = pack::write(slot, number, frame_bytes, &from, to)?;
    // Where there is no index, that is the time of its lines.
    let time = Timespec { tv_sec: found.mtime(), tv_nsec: found.mtime_nsec() };
    rustix::fs::futimens(&to, &Timestamps { last_access: time, last_modification: time })?;
    // The raw one goes next: a lost power supply must not leave neither.
    to.sync_all()
}

/// The last of a disk is the services', not ours: their shims delete what is oldest where it is full.
fn has_room(on: &File, for_bytes: u64) -> io::Result<()> {
    let disk = rustix::fs::fstatvfs(on)?;
    let room = disk.f_bavail.saturating_mul(disk.f_frsize);
    if room < for_bytes.saturating_mul(2) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
}
