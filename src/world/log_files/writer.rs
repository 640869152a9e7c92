//! The one thread that writes output to disk.

mod sink;

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use self::sink::Sink;
use super::{Retention, segments};
use crate::{
    model::{
        ids::{RunId, ServiceId},
        log::LogBatch,
        time::Timestamp,
    },
    world::clock,
};

/// Batches that may wait for the writer; beyond it, and beyond [`QUEUE_BYTES`], lines are dropped and counted.
const QUEUE: usize = 16_384;
/// Bytes that may wait for the writer.
const QUEUE_BYTES: usize = 64 << 20;
/// With more than this waiting, who can wait should.
const BEHIND_BYTES: usize = 4 << 20;
/// Longest time from the arrival of a line to its writing.
const LATEST: Duration = Duration::from_millis(50);
/// A service's buffer is written when it has grown to this.
const BUFFER_BYTES: usize = 64 * 1024;
/// First pause after a failed write; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long it is said that lines were dropped.
const NOTICE: Duration = Duration::from_mins(1);
/// Files that are kept open; those of services that have been silent longest are closed first.
const OPEN_FILES: usize = 512;

enum Message {
    Batch(Arc<LogBatch>),
    Flush(SyncSender<()>),
}

/// What writer and handle share.
#[derive(Debug, Default)]
struct Shared {
    /// Bytes in the queue.
    queued: AtomicUsize,
    /// Lines that will never be on disk.
    dropped: AtomicU64,
    /// Of which these have no mark in their file yet, with the run of the newest.
    unmarked: Mutex<HashMap<ServiceId, (u64, RunId)>>,
}

impl Shared {
    fn drop_lines(&self, service: &ServiceId, run: RunId, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
        let mut unmarked = self.unmarked.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = unmarked.entry(service.clone()).or_insert((0, run));
        *entry = (entry.0 + lines, run);
    }
}

/// The handle: a bounded channel to the thread that writes. Dropping it writes what is left.
#[derive(Debug)]
pub struct LogWriter {
    messages: Option<SyncSender<Message>>,
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

impl LogWriter {
    /// Begins to write below `dir`, on a thread of its own; returns at once.
    ///
    /// `on_trouble` is called on that thread with a sentence (what, where, what next) when output cannot be kept, and with nothing
    /// when it can again.
    #[must_use]
    pub fn start(dir: PathBuf, retention: Retention, on_trouble: impl Fn(Option<String>) + Send + 'static) -> Self {
        let (messages, inbox) = mpsc::sync_channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let files = Files {
            dir,
            retention,
            sinks: HashMap::new(),
            shared: Arc::clone(&shared),
            on_trouble: Box::new(on_trouble),
            trouble: None,
            told_dropped: 0,
            pause: FIRST_PAUSE,
            paused_until: None,
            due: None,
            notice: None,
        };
        // Where no thread is to be had, everything is dropped and counted, as with a full queue.
        let writer = thread::Builder::new().name("cas-logs".to_owned()).spawn(move || files.run(&inbox)).ok();
        Self { messages: Some(messages), shared, writer }
    }

    /// Keeps a batch. Never waits: if the disk is that far behind, its lines are dropped and counted.
    pub fn write(&self, batch: Arc<LogBatch>) {
        let weight = batch.weight();
        let queued = self.shared.queued.fetch_add(weight, Ordering::Relaxed);
        let refused = match &self.messages {
            Some(_) if queued > QUEUE_BYTES => Some(batch),
            Some(messages) => match messages.try_send(Message::Batch(batch)) {
                Ok(()) => None,
                Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) => match message {
                    Message::Batch(batch) => Some(batch),
                    Message::Flush(_) => None,
                },
            },
            None => Some(batch),
        };
        if let Some(batch) = refused {
            self.shared.queued.fetch_sub(weight, Ordering::Relaxed);
            self.shared.drop_lines(&batch.service, batch.run, batch.lines.len() as u64);
        }
    }

    /// True where so much waits that whoever brings more should pause a moment.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.shared.queued.load(Ordering::Relaxed) > BEHIND_BYTES
    }

    /// Lines that were dropped so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Returns when everything given before is written, or could not be. **Blocks**.
    pub fn flush(&self) {
        let (done, written) = mpsc::sync_channel(1);
        if let Some(messages) = &self.messages
            && messages.send(Message::Flush(done)).is_ok()
        {
            // An error means that the writer is gone, and that there is nothing to wait for.
            let _written = written.recv();
        }
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.messages = None;
        if let Some(writer) = self.writer.take() {
            // A panic of the writer was already reported by the panic hook.
            let _ended = writer.join();
        }
    }
}

/// The thread's state.
struct Files {
    dir: PathBuf,
    retention: Retention,
    sinks: HashMap<ServiceId, Sink>,
    shared: Arc<Shared>,
    on_trouble: Box<dyn Fn(Option<String>) + Send>,
    trouble: Option<String>,
    told_dropped: u64,
    pause: Duration,
    paused_until: Option<Timestamp>,
    /// When buffers are to be written, if there is anything in them.
    due: Option<Timestamp>,
    notice: Option<(String, Timestamp)>,
}

impl Files {
    fn run(mut self, inbox: &Receiver<Message>) {
        loop {
            let message = match self.next_wake() {
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => inbox.recv_timeout(at.since(clock::now())),
            };
            match message {
                Ok(Message::Batch(batch)) => {
                    self.shared.queued.fetch_sub(batch.weight(), Ordering::Relaxed);
                    self.take(&batch);
                }
                Ok(Message::Flush(done)) => {
                    self.write_all(clock::now(), Retry::Now);
                    // An error means that nobody waits.
                    let _gone = done.send(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if let Some(at) = self.next_wake() {
                let now = clock::now();
                if now.has_reached(at) {
                    self.write_all(now, Retry::AfterPause);
                }
            }
        }
        self.write_all(clock::now(), Retry::Now);
    }

    fn next_wake(&self) -> Option<Timestamp> {
        let notice = self.notice.as_ref().map(|(_, until)| *until);
        [self.due, self.paused_until, notice].into_iter().flatten().min()
    }

    fn take(&mut self, batch: &LogBatch) {
        if !self.sinks.contains_key(&batch.service) {
            let directory = segments::directory(&self.dir, &batch.service);
            self.sinks.insert(batch.service.clone(), Sink::new(directory, self.retention));
        }
        let Some(sink) = self.sinks.get_mut(&batch.service) else { return };
        let full = sink.buffered() >= BUFFER_BYTES;
        if full && sink.is_failing() {
            self.shared.drop_lines(&batch.service, batch.run, batch.lines.len() as u64);
            return;
        }
        sink.take(batch);
        let now = clock::now();
        if sink.buffered() >= BUFFER_BYTES && !sink.is_failing() {
            if let Err(error) = write_one(sink, &batch.service, &self.shared, now) {
                self.fail(now, &batch.service, &error);
            }
        } else if self.due.is_none() {
            self.due = Some(now.plus(LATEST));
        }
    }

    /// Writes every buffer; those that failed before, once the pause is over.
    fn write_all(&mut self, now: Timestamp, retry: Retry) {
        self.due = None;
        let retry = retry == Retry::Now || self.paused_until.is_none_or(|until| now.has_reached(until));
        let mut failure = None;
        let mut failing = false;
        for (service, sink) in &mut self.sinks {
            if (!sink.is_failing() || retry)
                && let Err(error) = write_one(sink, service, &self.shared, now)
            {
                failure = Some((service.clone(), error));
            }
            failing |= sink.is_failing();
        }
        self.close_some();
        if let Some((service, error)) = failure {
            return self.fail(now, &service, &error);
        }
        if failing {
            return;
        }
        let was_failing = self.paused_until.take().is_some();
        self.pause = FIRST_PAUSE;
        self.notice_drops(now, was_failing);
    }

    /// Says once that lines were dropped because the disk is slow, and later that it is over.
    fn notice_drops(&mut self, now: Timestamp, was_failing: bool) {
        let dropped = self.shared.dropped.load(Ordering::Relaxed);
        if dropped > self.told_dropped && !was_failing {
            let text = format!(
                "{} lines of output are missing in {}: they came faster than they could be written; a line in the file says where",
                dropped - self.told_dropped,
                self.dir.display()
            );
            self.notice = Some((text, now.plus(NOTICE)));
        }
        self.told_dropped = dropped;
        if self.notice.as_ref().is_some_and(|(_, until)| now.has_reached(*until)) {
            self.notice = None;
        }
        self.tell(self.notice.as_ref().map(|(text, _)| text.clone()));
    }

    fn fail(&mut self, now: Timestamp, service: &ServiceId, error: &io::Error) {
        let until = now.plus(self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.paused_until = Some(until);
        let place = segments::directory(&self.dir, service);
        let advice = if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            "free some space there"
        } else if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) {
            "make it writable for you"
        } else {
            "cas tries again by itself"
        };
        self.tell(Some(format!(
            "output cannot be kept in {} ({error}): services run on and their newest lines are shown, but lines on disk will be \
             missing; {advice}",
            place.display()
        )));
    }

    fn tell(&mut self, text: Option<String>) {
        if text != self.trouble {
            self.trouble.clone_from(&text);
            (self.on_trouble)(text);
        }
    }

    /// Closes files beyond [`OPEN_FILES`], those unused for longest first.
    fn close_some(&mut self) {
        let open = self.sinks.values().filter(|sink| sink.is_open()).count();
        if open <= OPEN_FILES {
            return;
        }
        let mut used: Vec<(u64, &mut Sink)> =
            self.sinks.values_mut().filter(|sink| sink.is_open()).map(|sink| (sink.used_at_us(), sink)).collect();
        used.sort_by_key(|(at, _)| *at);
        for (_, sink) in used.into_iter().take(open - OPEN_FILES) {
            sink.close();
        }
    }
}

/// Whether a file that could not be written is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retry {
    Now,
    AfterPause,
}

/// Writes one buffer, and after it a mark where lines are missing.
fn write_one(sink: &mut Sink, service: &ServiceId, shared: &Shared, now: Timestamp) -> io::Result<()> {
    sink.flush(now)?;
    let missing = shared.unmarked.lock().unwrap_or_else(PoisonError::into_inner).remove(service);
    if let Some((lines, run)) = missing {
        sink.mark(now, run, lines);
        sink.flush(now)?;
    }
    Ok(())
}
