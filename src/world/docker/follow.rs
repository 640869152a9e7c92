//! What a container writes, as Docker kept it: followed from a time on. Promise: each line comes with the stream it was written to and Docker's time
//! for it, and what was kept before does not come again. Never: holds more than a line and a few batches.

use std::time::Duration;

use bollard::{container::LogOutput, query_parameters::LogsOptions};
use chrono::DateTime;
use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::call::Failure;
use crate::model::log::Stream;

/// Lines of one stream that come together are one batch, up to so many bytes.
const BATCH: usize = 64 * 1024;
/// Of a container that nobody followed before, so many of its last lines are taken in.
const FIRST_LINES: &str = "5000";
/// Longest line of a terminal's output that is waited for.
const LONGEST_LINE: usize = 1 << 20;
/// What does not come in this time makes no batch with what came.
const TOGETHER: Duration = Duration::from_millis(5);

/// Some output of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Which.
    pub(super) stream: Stream,
    /// Bytes.
    pub(super) bytes: Vec<u8>,
    /// Docker's time of the last line in it, nanoseconds since the Unix epoch.
    pub(super) ns: u64,
}

/// From where on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// Behind this time, nanoseconds since the Unix epoch.
    Behind(u64),
    /// Its last lines.
    Tail,
    /// All that it ever wrote.
    Beginning,
}

/// Gives what a container wrote to `pieces`, until it ends (`follow`) or all that is there was given.
pub(super) async fn follow(
    docker: &bollard::Docker,
    id: &str,
    from: From,
    follow: bool,
    pieces: &mpsc::Sender<Piece>,
) -> Result<(), Failure> {
    let (since, tail, behind) = match from {
        // Whole seconds are all that can be asked for.
        From::Behind(ns) => (i32::try_from(ns / 1_000_000_000).unwrap_or(0), "all", ns),
        From::Tail => (0, FIRST_LINES, 0),
        From::Beginning => (0, "all", 0),
    };
    let options = LogsOptions {
        follow,
        stdout: true,
        stderr: true,
        since,
        timestamps: true,
        tail: tail.to_owned(),
        ..LogsOptions::default()
    };
    let mut frames = Box::pin(docker.logs(id, Some(options)));
    let mut reader = Reader { behind, batch: None, line: Vec::new(), last_ns: behind };
    loop {
        let next = match reader.batch {
            Some(_) => match tokio::time::timeout(TOGETHER, frames.next()).await {
                Ok(next) => next,
                Err(_quiet) => {
                    reader.flush(pieces).await;
                    continue;
                }
            },
            None => frames.next().await,
        };
        match next {
            Some(Ok(LogOutput::StdOut { message } | LogOutput::StdIn { message })) => {
                reader.take(Stream::Stdout, &message, pieces).await;
            }
            Some(Ok(LogOutput::StdErr { message })) => reader.take(Stream::Stderr, &message, pieces).await,
            Some(Ok(LogOutput::Console { message })) => reader.take_terminal(&message, pieces).await,
            Some(Err(error)) => {
                reader.flush(pieces).await;
                return Err(Failure::of(&error));
            }
            None => {
                let rest = std::mem::take(&mut reader.line);
                reader.take(Stream::Stdout, &rest, pieces).await;
                reader.flush(pieces).await;
                return Ok(());
            }
        }
    }
}

struct Reader {
    behind: u64,
    batch: Option<Piece>,
    line: Vec<u8>,
    last_ns: u64,
}

impl Reader {
    /// One message: its time, a space, what was written.
    async fn take(&mut self, stream: Stream, message: &[u8], pieces: &mpsc::Sender<Piece>) {
        if message.is_empty() {
            return;
        }
        let (ns, bytes) = match split(message) {
            Some((ns, bytes)) => (ns, bytes),
            // No time: of whatever came before.
            None => (self.last_ns, message),
        };
        if self.behind > 0 && ns <= self.behind {
            return;
        }
        // Only what comes first can have been kept before: a clock that was set back later hides nothing.
        self.behind = 0;
        self.last_ns = ns;
        let fits = |batch: &Piece| batch.stream == stream && batch.bytes.len() + bytes.len() <= BATCH;
        match &mut self.batch {
            Some(batch) if fits(batch) => {
                batch.bytes.extend_from_slice(bytes);
                batch.ns = ns;
            }
            Some(_) | None => {
                self.flush(pieces).await;
                self.batch = Some(Piece { stream, bytes: bytes.to_vec(), ns });
            }
        }
    }

    /// A terminal's output has no frames: only its lines have times.
    async fn take_terminal(&mut self, message: &[u8], pieces: &mpsc::Sender<Piece>) {
        self.line.extend_from_slice(message);
        while let Some(at) = memchr::memchr(b'\n', &self.line) {
            let rest = self.line.split_off(at + 1);
            let line = std::mem::replace(&mut self.line, rest);
            self.take(Stream::Stdout, &line, pieces).await;
        }
        if self.line.len() > LONGEST_LINE {
            let line = std::mem::take(&mut self.line);
            self.take(Stream::Stdout, &line, pieces).await;
        }
    }

    async fn flush(&mut self, pieces: &mpsc::Sender<Piece>) {
        if let Some(batch) = self.batch.take() {
            // An error means that nobody looks after the container any more.
            let _gone = pieces.send(batch).await;
        }
    }
}

/// `2026-01-02T03:04:05.678901234Z text` (RFC 3339, <https://www.rfc-editor.org/rfc/rfc3339>).
fn split(message: &[u8]) -> Option<(u64, &[u8])> {
    let space = memchr::memchr(b' ', message.get(..40.min(message.len()))?)?;
    let (time, rest) = message.split_at(space);
    Some((nanoseconds(std::str::from_utf8(time).ok()?)?, &rest[1..]))
}

/// Of a time in RFC 3339, since the Unix epoch; none where it is none, or Docker's word for never.
pub(super) fn nanoseconds(time: &str) -> Option<u64> {
    let at = DateTime::parse_from_rfc3339(time).ok()?;
    u64::try_from(at.timestamp_nanos_opt()?).ok().filter(|ns| *ns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_kept_does_not_come_again_and_a_clock_set_back_hides_nothing() {
        let (pieces, mut inbox) = mpsc::channel(8);
        let behind = nanoseconds("2026-01-01T00:00:01Z").unwrap();
        let mut reader = Reader { behind, batch: None, line: Vec::new(), last_ns: behind };
        for line in ["2026-01-01T00:00:01.000000000Z old\n", "2026-01-01T00:00:01.000000001Z new\n"] {
            reader.take(Stream::Stdout, line.as_bytes(), &pieces).await;
        }
        reader.take(Stream::Stderr, b"2026-01-01T00:00:02Z err\n", &pieces).await;
        reader.take(Stream::Stderr, b"2026-01-01T00:00:00Z back\n", &pieces).await;
        reader.flush(&pieces).await;
        let first = inbox.recv().await.unwrap();
        assert_eq!((first.stream, first.bytes, first.ns), (Stream::Stdout, b"new\n".to_vec(), behind + 1));
        let second = inbox.recv().await.unwrap();
        assert_eq!((second.stream, second.bytes), (Stream::Stderr, b"err\nback\n".to_vec()));
    }

    #[tokio::test]
    async fn lines_of_a_terminal_lose_their_times_wherever_they_are_cut() {
        let (pieces, mut inbox) = mpsc::channel(8);
        let mut reader = Reader { behind: 0, batch: None, line: Vec::new(), last_ns: 0 };
        for part in ["2026-01-01T00:00:01Z a\r\n2026-01", "-01T00:00:02Z b\r\n"] {
            reader.take_terminal(part.as_bytes(), &pieces).await;
        }
        reader.flush(&pieces).await;
        assert_eq!(inbox.recv().await.unwrap().bytes, b"a\r\nb\r\n");
    }
}
