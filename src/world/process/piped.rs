//! Output of a run: read, cut into lines, numbered, handed on. Only this module knows that pipes carry it.
//!
//! Never waits for the end of a pipe before the end of a process, and never holds more than one batch that nobody takes.

mod lines;
mod watch;

use std::{
    collections::VecDeque,
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{net::unix::pipe, sync::mpsc};

use self::lines::{Cutter, Draft, LastWords};
use self::watch::Question;
use crate::{
    model::{
        ids::{RunId, ServiceId},
        intake::Cursor,
        log::{LogBatch, Stream},
        service::ServiceSpec,
    },
    world::{
        clock,
        output::{Taken, open_pipe, read_what_is_there},
    },
};

/// Most that is read at once from one descriptor: a quarter of what a pipe holds. It bounds a batch, and so what queues of batches weigh.
const READ_BYTES: usize = 16 * 1024;

/// Numbers the lines of one service, over all its runs.
#[derive(Debug, Default)]
pub(in crate::world) struct Numbering(Mutex<u64>);

/// One descriptor's end that we read.
#[derive(Debug)]
struct Source {
    pipe: Option<pipe::Receiver>,
    cutter: Cutter,
}

impl Source {
    fn read(&mut self, buffer: &mut Vec<u8>, draft: &mut Draft) {
        let Some(pipe) = &self.pipe else { return };
        buffer.clear();
        match pipe.try_read_buf(buffer) {
            Ok(0) => self.close(draft),
            Ok(_) => self.cutter.feed(buffer, draft),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => self.close(draft),
        }
    }

    fn drain(&mut self, buffer: &mut Vec<u8>, draft: &mut Draft) {
        let Some(pipe) = &self.pipe else { return };
        buffer.clear();
        let has_ended = read_what_is_there(pipe, buffer);
        self.cutter.feed(buffer, draft);
        if has_ended {
            self.close(draft);
        } else {
            self.cutter.show_unfinished(draft);
        }
    }

    fn close(&mut self, draft: &mut Draft) {
        self.cutter.finish(draft);
        self.pipe = None;
    }

    async fn readable(&self) {
        match &self.pipe {
            // An error is found again, and handled, by the read that follows.
            Some(pipe) => drop(pipe.readable().await),
            None => std::future::pending().await,
        }
    }
}

/// The child's ends.
#[derive(Debug)]
pub(super) struct ChildEnds {
    /// For descriptor 1.
    pub(super) stdout: OwnedFd,
    /// For descriptor 2.
    pub(super) stderr: OwnedFd,
}

/// The output of one run.
#[derive(Debug)]
pub(super) struct Capture {
    service: ServiceId,
    run: RunId,
    numbering: Arc<Numbering>,
    stdout: Source,
    stderr: Source,
    pending: VecDeque<(i64, Draft)>,
    words: LastWords,
    watches: watch::Watches,
    answered: Vec<Question>,
}

impl Capture {
    /// Opens the pipes.
    ///
    /// # Errors
    /// Those of pipe(2): too many open files.
    pub(super) fn open(run: RunId, spec: &ServiceSpec, numbering: Arc<Numbering>) -> io::Result<(Self, ChildEnds)> {
        let (out, stdout) = open_pipe()?;
        let (err, stderr) = open_pipe()?;
        let capture = Self {
            service: spec.id.clone(),
            run,
            numbering,
            stdout: Source { pipe: Some(out), cutter: Cutter::new(Stream::Stdout) },
            stderr: Source { pipe: Some(err), cutter: Cutter::new(Stream::Stderr) },
            pending: VecDeque::new(),
            words: LastWords::default(),
            watches: watch::Watches::of(spec),
            answered: Vec::new(),
        };
        Ok((capture, ChildEnds { stdout, stderr }))
    }

    /// Waits until there is something to read; for ever where both pipes have ended.
    pub(super) async fn readable(&self) {
        tokio::select! {
            () = self.stdout.readable() => {}
            () = self.stderr.readable() => {}
        }
    }

    /// Reads once what is there.
    pub(super) fn read(&mut self) {
        // Made anew each time: a thousand quiet services must not keep a thousand buffers.
        let mut buffer = Vec::with_capacity(READ_BYTES);
        let mut draft = Draft::default();
        self.stdout.read(&mut buffer, &mut draft);
        self.stderr.read(&mut buffer, &mut draft);
        self.take(draft);
    }

    /// The main process is gone: reads all that is there now, an unfinished line too.
    pub(super) fn drain(&mut self) {
        let mut buffer = Vec::new();
        let mut draft = Draft::default();
        self.stdout.drain(&mut buffer, &mut draft);
        self.stderr.drain(&mut buffer, &mut draft);
        self.take(draft);
    }

    fn take(&mut self, draft: Draft) {
        if draft.lines.is_empty() {
            return;
        }
        self.words.hear(&draft);
        self.answered.append(&mut self.watches.look(&draft));
        self.pending.push_back((clock::now().wall_us, draft));
    }

    /// True while a batch waits to be taken.
    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Both pipes have ended and everything was handed on.
    pub(super) fn is_finished(&self) -> bool {
        self.stdout.pipe.is_none() && self.stderr.pipe.is_none() && self.pending.is_empty()
    }

    /// Hands the oldest waiting batch on.
    pub(super) fn hand_on(&mut self, place: mpsc::Permit<'_, Taken>) {
        let Some((wall_us, draft)) = self.pending.pop_front() else { return };
        // Numbers and order agree even where an older run of the service still speaks.
        let mut next = self.numbering.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first_seq = *next;
        *next += draft.lines.len() as u64;
        let batch = Arc::new(LogBatch {
            service: self.service.clone(),
            run: self.run,
            wall_us,
            first_seq,
            text: draft.text.into_boxed_str(),
            lines: draft.lines.into_boxed_slice(),
        });
        place.send(Taken { batch, place: "".into(), cursor: Cursor { next_seq: *next, ..Cursor::default() } });
    }

    /// Hands on what there is room for now.
    pub(super) fn hand_on_now(&mut self, output: &mpsc::Sender<Taken>) {
        while self.has_pending() {
            match output.try_reserve() {
                Ok(place) => self.hand_on(place),
                Err(mpsc::error::TrySendError::Full(())) => return,
                Err(mpsc::error::TrySendError::Closed(())) => self.drop_pending(),
            }
        }
    }

    /// Nobody takes output any more.
    pub(super) fn drop_pending(&mut self) {
        self.pending.clear();
    }

    /// Watches for a pattern; true where it has appeared already.
    ///
    /// # Errors
    /// A sentence where the pattern cannot be compiled.
    pub(super) fn watch(&mut self, question: Question, pattern: &str) -> Result<bool, String> {
        self.watches.ask(question, pattern)
    }

    /// True where the pattern has appeared.
    ///
    /// # Errors
    /// As [`Self::watch`].
    pub(super) fn has_matched(&mut self, pattern: &str) -> Result<bool, String> {
        self.watches.has_matched(pattern)
    }

    /// Questions answered since it was last asked.
    pub(super) fn take_answered(&mut self) -> Vec<Question> {
        std::mem::take(&mut self.answered)
    }

    /// The last lines, oldest first, fit for a screen.
    pub(super) fn last_words(&self) -> Vec<String> {
        self.words.spoken()
    }
}
