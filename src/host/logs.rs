//! The hub of output: gives each batch to the readers, to the files and to a bounded ring.
//!
//! Never looks into a line: sanitising is for whoever shows it.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use super::handle::LogFeed;
use crate::{
    model::{ids::ServiceId, log::LogBatch},
    world::{Taken, clock, log_files::LogWriter},
};

/// Bytes of output that are kept in memory over all services.
const TOTAL_BYTES: usize = 64 * 1024 * 1024;

/// Bytes of output that are kept in memory for one service at most.
const SERVICE_BYTES: usize = 2 * 1024 * 1024;

/// Bytes that every service may keep, however many there are.
const LEAST_BYTES: usize = 32 * 1024;

/// How long a disk that is behind may hold output up, until lines are dropped instead: a service may be slowed, never stopped.
const PATIENCE: Duration = Duration::from_millis(500);

/// Between two looks at a disk that is behind.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A question to the hub.
enum Question {
    /// What is in the ring?
    Recall { service: Option<ServiceId>, answer: oneshot::Sender<Vec<Arc<LogBatch>>> },
    /// Is everything that was captured on disk?
    Flush { done: oneshot::Sender<()> },
}

/// The hub's address.
#[derive(Debug, Clone)]
pub(super) struct Hub(mpsc::Sender<Question>);

impl Hub {
    /// Starts the hub's task; it ends when the world has gone and nobody can ask.
    pub(super) fn start(captured: mpsc::Receiver<Taken>, feed: LogFeed, writer: LogWriter) -> Self {
        let (questions, asked) = mpsc::channel(16);
        tokio::spawn(serve(captured, asked, feed, writer));
        Self(questions)
    }

    /// What is in memory of one service or of all, oldest first.
    pub(super) async fn recall(&self, service: Option<ServiceId>) -> Vec<Arc<LogBatch>> {
        let (answer, answered) = oneshot::channel();
        if self.0.send(Question::Recall { service, answer }).await.is_err() {
            return Vec::new();
        }
        answered.await.unwrap_or_default()
    }

    /// Returns when everything that was captured before is on disk, or could not be written.
    pub(super) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.0.send(Question::Flush { done }).await.is_ok() {
            // An error means that the hub has ended, and then its writer has written all.
            let _ended = flushed.await;
        }
    }
}

async fn serve(
    mut captured: mpsc::Receiver<Taken>,
    mut asked: mpsc::Receiver<Question>,
    feed: LogFeed,
    writer: LogWriter,
) {
    let mut ring = Ring::default();
    let mut disk = Disk::KeepsUp;
    let take = |batch: Arc<LogBatch>, ring: &mut Ring| {
        writer.write(Arc::clone(&batch));
        feed.publish(Arc::clone(&batch));
        ring.push(batch);
    };
    loop {
        tokio::select! {
            Some(taken) = captured.recv() => {
                take(taken.batch, &mut ring);
                disk = wait_for_disk(&writer, disk).await;
            }
            // In each arm, an error of `send` means that the asker has left.
            Some(question) = asked.recv() => match question {
                Question::Recall { service, answer } => {
                    let _left = answer.send(ring.recall(service.as_ref()));
                }
                Question::Flush { done } => {
                    while let Ok(taken) = captured.try_recv() {
                        take(taken.batch, &mut ring);
                    }
                    tokio::task::block_in_place(|| writer.flush());
                    let _left = done.send(());
                }
            },
            else => return,
        }
    }
}

/// What was last seen of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    KeepsUp,
    /// It was waited for in vain: until it has caught up, lines are dropped rather than services held up.
    Hangs,
}

/// While the disk is behind, nothing more is taken: pipes fill, and services write as fast as the disk does.
async fn wait_for_disk(writer: &LogWriter, disk: Disk) -> Disk {
    if !writer.is_behind() {
        return Disk::KeepsUp;
    }
    let begin = clock::now();
    while disk == Disk::KeepsUp && writer.is_behind() {
        if clock::now().since(begin) >= PATIENCE {
            return Disk::Hangs;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    disk
}

/// The newest batches of each service, bounded by bytes.
#[derive(Debug, Default)]
struct Ring {
    services: HashMap<ServiceId, Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    batches: VecDeque<Arc<LogBatch>>,
    bytes: usize,
}

impl Ring {
    fn push(&mut self, batch: Arc<LogBatch>) {
        let bound = (TOTAL_BYTES / (self.services.len() + 1)).clamp(LEAST_BYTES, SERVICE_BYTES);
        let kept = self.services.entry(batch.service.clone()).or_default();
        kept.bytes += batch.weight();
        kept.batches.push_back(batch);
        while kept.bytes > bound && kept.batches.len() > 1 {
            if let Some(dropped) = kept.batches.pop_front() {
                kept.bytes -= dropped.weight();
            }
        }
    }

    fn recall(&self, service: Option<&ServiceId>) -> Vec<Arc<LogBatch>> {
        let mut batches: Vec<_> = match service {
            Some(service) => {
                self.services.get(service).map(|kept| kept.batches.iter().cloned().collect()).unwrap_or_default()
            }
            None => self.services.values().flat_map(|kept| kept.batches.iter().cloned()).collect(),
        };
        batches.sort_by_key(|batch| batch.wall_us);
        batches
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Ring, SERVICE_BYTES};
    use crate::model::{
        ids::{ProjectName, RunId, ServiceId, ServiceName},
        log::{LogBatch, LogLine, Stream},
    };

    #[test]
    fn memory_is_bounded_and_the_newest_lines_stay() {
        let service = ServiceId { project: ProjectName::new("p").unwrap(), service: ServiceName::new("web").unwrap() };
        let mut ring = Ring::default();
        for seq in 0..10_000_u64 {
            ring.push(Arc::new(LogBatch {
                service: service.clone(),
                run: RunId(1),
                wall_us: i64::try_from(seq).unwrap(),
                first_seq: seq,
                text: "x".repeat(1000).into_boxed_str(),
                lines: Box::new([LogLine { start: 0, len: 1000, stream: Stream::Stdout, continued: false }]),
            }));
        }
        let kept = ring.recall(Some(&service));
        let bytes: usize = kept.iter().map(|batch| batch.weight()).sum();
        assert!(bytes <= SERVICE_BYTES && bytes > SERVICE_BYTES / 2, "{bytes}");
        assert_eq!(kept.last().unwrap().first_seq, 9_999);
        assert!(ring.recall(None).len() == kept.len());
    }
}
