//! Output of a slot: tailed, cut into lines, numbered, handed on. A plain reader of segments and their index.

mod lines;
mod watch;

use std::{
    collections::VecDeque,
    fs, io,
    os::{fd::OwnedFd, unix::fs::FileExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{net::unix::pipe, sync::mpsc};

use self::lines::{Cutter, Draft, LastWords};
pub(super) use self::watch::Question;
use crate::{
    model::{
        ids::{RunId, ServiceId},
        intake::{Cursor, Position},
        log::{LogBatch, Stream},
        service::ServiceSpec,
    },
    shim_format::{INDEX_BYTES, IndexKind, IndexRecord, STDERR},
};

/// Most that is read at once.
const READ_BYTES: usize = 256 * 1024;

/// What goes to the hub: a batch for readers and how far it brings the cursor.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The lines.
    pub batch: Arc<LogBatch>,
    /// Key of the project.
    pub place: Arc<str>,
    /// How far output is taken in with them.
    pub cursor: Cursor,
}

/// A pipe: our end, and the one for the child.
pub(super) fn open_pipe() -> io::Result<(pipe::Receiver, OwnedFd)> {
    let (ours, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    Ok((pipe::Receiver::from_owned_fd(ours)?, theirs))
}

/// What is in a pipe right now, read past the runtime: it may not have heard of it yet. At most what was there when the
/// reading began, so that a writer who goes on cannot hold us; true where the pipe has ended.
pub(super) fn read_what_is_there(pipe: &pipe::Receiver, buffer: &mut Vec<u8>) -> bool {
    let mut waiting = rustix::io::ioctl_fionread(pipe).unwrap_or(0) as usize;
    loop {
        buffer.reserve(waiting.max(1));
        match rustix::io::read(pipe, rustix::buffer::spare_capacity(buffer)) {
            Ok(0) => return true,
            Ok(read) if read < waiting => waiting -= read,
            Ok(_) | Err(rustix::io::Errno::AGAIN) => return false,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return true,
        }
    }
}

/// The reader of one slot, over all its runs.
#[derive(Debug)]
pub(super) struct Capture {
    slot: PathBuf,
    place: Arc<str>,
    service: ServiceId,
    run: RunId,
    at: Position,
    records: u64,
    next_seq: u64,
    cutters: [Cutter; 2],
    pending: VecDeque<(i64, RunId, Position, Draft)>,
    words: LastWords,
    watches: watch::Watches,
    answered: Vec<Question>,
    dropped: u64,
}

impl Capture {
    pub(super) fn open(slot: &Path, place: Arc<str>, service: ServiceId, cursor: Cursor) -> Self {
        Self {
            slot: slot.to_owned(),
            place,
            service,
            run: RunId(0),
            at: cursor.stdout.min(cursor.stderr),
            records: 0,
            next_seq: cursor.next_seq,
            cutters: [Cutter::new(Stream::Stdout), Cutter::new(Stream::Stderr)],
            pending: VecDeque::new(),
            words: LastWords::default(),
            watches: watch::Watches::default(),
            answered: Vec::new(),
            dropped: 0,
        }
    }

    pub(super) fn begin_run(&mut self, run: RunId, spec: &ServiceSpec) {
        self.run = run;
        self.words = LastWords::default();
        self.watches = watch::Watches::of(spec);
    }

    pub(super) fn read(&mut self) -> bool {
        if self.at.segment == 0 || !self.file("log").exists() {
            let Some(first) = self.first_segment() else { return false };
            self.at = Position { segment: first, offset: 0 };
            self.records = 0;
        }
        let mut budget = READ_BYTES;
        let (Ok(log), Ok(index)) = (fs::File::open(self.file("log")), fs::File::open(self.file("idx"))) else {
            return false;
        };
        while budget > 0 {
            let mut bytes = [0; INDEX_BYTES];
            if index.read_exact_at(&mut bytes, self.records * INDEX_BYTES as u64).is_err() {
                let next = Position { segment: self.at.segment + 1, offset: 0 };
                let has_next = self.slot.join(format!("idx.{:06}", next.segment)).exists();
                if has_next {
                    (self.at, self.records) = (next, 0);
                }
                return has_next;
            }
            self.records += 1;
            let Some(record) = IndexRecord::decode(&bytes) else { continue };
            budget = budget.saturating_sub(record.len as usize + INDEX_BYTES);
            self.take(&log, &record);
        }
        true
    }

    fn take(&mut self, log: &fs::File, record: &IndexRecord) {
        match record.kind {
            IndexKind::Dropped | IndexKind::Removed => self.dropped += record.count,
            IndexKind::Data | IndexKind::Recovered if record.offset + u64::from(record.len) > self.at.offset => {
                let from = record.offset.max(self.at.offset);
                let end = record.offset + u64::from(record.len);
                let mut bytes = vec![0; (end - from) as usize];
                if log.read_exact_at(&mut bytes, from).is_ok() {
                    let mut draft = Draft::default();
                    self.cutters[usize::from(record.stream == STDERR)].feed(&bytes, &mut draft);
                    self.at.offset = end;
                    self.push(record.wall_us, RunId(record.run), draft);
                }
            }
            IndexKind::Data | IndexKind::Recovered => {}
        }
    }

    fn push(&mut self, wall_us: i64, run: RunId, draft: Draft) {
        if !draft.lines.is_empty() {
            self.words.hear(&draft);
            self.answered.append(&mut self.watches.look(&draft));
            self.pending.push_back((wall_us, run, self.at, draft));
        }
    }

    pub(super) fn drain(&mut self, end: Position) {
        while self.at < end && (self.read() || self.at < end && self.file("idx").exists() && self.read()) {}
        let mut draft = Draft::default();
        for cutter in &mut self.cutters {
            cutter.show_unfinished(&mut draft);
        }
        self.push(super::clock::now().wall_us, self.run, draft);
    }

    fn file(&self, name: &str) -> PathBuf {
        self.slot.join(format!("{name}.{:06}", self.at.segment))
    }

    fn first_segment(&self) -> Option<u64> {
        let names = fs::read_dir(&self.slot).ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        names.filter_map(|name| name.strip_prefix("log.")?.parse().ok()).filter(|found| *found >= self.at.segment).min()
    }

    pub(super) fn end(&self) -> Position {
        self.at
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(super) fn hand_on(&mut self, place: mpsc::Permit<'_, Taken>) {
        let Some((wall_us, run, at, draft)) = self.pending.pop_front() else { return };
        let first_seq = self.next_seq;
        self.next_seq += draft.lines.len() as u64;
        let batch = Arc::new(LogBatch {
            service: self.service.clone(),
            run,
            wall_us,
            first_seq,
            text: draft.text.into_boxed_str(),
            lines: draft.lines.into_boxed_slice(),
        });
        let cursor = Cursor { stdout: at, stderr: at, next_seq: self.next_seq };
        place.send(Taken { batch, place: Arc::clone(&self.place), cursor });
    }

    pub(super) fn hand_on_now(&mut self, output: &mpsc::Sender<Taken>) {
        while self.has_pending() {
            match output.try_reserve() {
                Ok(place) => self.hand_on(place),
                Err(mpsc::error::TrySendError::Full(())) => return,
                Err(mpsc::error::TrySendError::Closed(())) => self.drop_pending(),
            }
        }
    }

    pub(super) fn drop_pending(&mut self) {
        self.pending.clear();
    }

    pub(super) fn watch(&mut self, question: Question, pattern: &str) -> Result<bool, String> {
        self.watches.ask(question, pattern)
    }

    pub(super) fn has_matched(&mut self, pattern: &str) -> Result<bool, String> {
        self.watches.has_matched(pattern)
    }

    pub(super) fn take_answered(&mut self) -> Vec<Question> {
        std::mem::take(&mut self.answered)
    }

    pub(super) fn last_words(&self) -> Vec<String> {
        self.words.spoken()
    }

    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}
