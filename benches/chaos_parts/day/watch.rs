//! Whoever asks the services from outside, each by a small client of its own, every 50 ms.
//!
//! Promise: what is called down was asked and did not answer well within a second. Never: cas's own word for it.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use cas::{model::time::Timestamp, world::clock};

use crate::rig::pause;

/// From the end of one question to the next.
const RHYTHM: Duration = Duration::from_millis(50);
/// A question that has no good answer by then has none.
const PATIENCE: Duration = Duration::from_secs(1);
/// Good answers for so long make it up.
pub(crate) const HOLDS: Duration = Duration::from_secs(2);
/// A heartbeat that is older is none.
const BEAT: Duration = Duration::from_millis(800);

/// How a service is asked.
#[derive(Debug, Clone)]
pub(crate) enum Asks {
    /// GET of a path: status 200.
    Http(u16, &'static str),
    /// `PING` is answered with `+PONG`.
    Redis(u16),
    /// Login and `SELECT 1`.
    Postgres(u16),
    /// The protocol header is answered with a method frame.
    Amqp(u16),
    /// A file with a pid that lives, written lately.
    Beat(PathBuf),
}

/// Answers of one sort in a row.
#[derive(Debug, Clone, Copy)]
struct Span {
    good: bool,
    /// When the first of them was asked for.
    asked: Timestamp,
    /// When the first of them was there.
    first: Timestamp,
    /// When the last of them was there.
    last: Timestamp,
}

/// What a service has answered so far.
#[derive(Debug, Default)]
struct Track(Vec<Span>);

impl Track {
    fn take(&mut self, asked: Timestamp, now: Timestamp, good: bool) {
        match self.0.last_mut() {
            Some(span) if span.good == good => span.last = now,
            Some(_) | None => self.0.push(Span { good, asked, first: now, last: now }),
        }
    }
}

/// One who asks, until it is dropped.
#[derive(Debug)]
pub(crate) struct Watcher {
    track: Arc<Mutex<Track>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What the answers since an instant say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No good answers for long enough.
    NotYet,
    /// There was no bad one.
    NeverDown,
    /// Up again since then.
    UpSince(Timestamp),
}

impl Watcher {
    pub(crate) fn start(asks: Asks) -> Self {
        let track = Arc::new(Mutex::new(Track::default()));
        let ends = Arc::new(AtomicBool::new(false));
        let (writes, ended) = (track.clone(), ends.clone());
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let asked = clock::now();
                let good = ask(&asks);
                let now = clock::now();
                writes.lock().unwrap_or_else(PoisonError::into_inner).take(asked, now, good);
                pause(RHYTHM);
            }
        });
        Self { track, ends, thread: Some(thread) }
    }

    fn track(&self) -> MutexGuard<'_, Track> {
        self.track.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is up again after what was done to it at `from`.
    pub(crate) fn since(&self, from: Timestamp) -> Verdict {
        let track = self.track();
        let Some(last) = track.0.last() else { return Verdict::NotYet };
        let begun = if last.first.has_reached(from) { last.first } else { from };
        if !last.good || last.last.since(begun) < HOLDS {
            return Verdict::NotYet;
        }
        let was_down = track.0.iter().any(|span| !span.good && span.last.has_reached(from));
        if was_down { Verdict::UpSince(last.first) } else { Verdict::NeverDown }
    }

    /// When it was not up, from one instant to another: from the first question without a good answer to the next good answer.
    pub(crate) fn down(&self, from: Timestamp, to: Timestamp) -> Vec<(u64, u64)> {
        let track = self.track();
        let ends = track.0.iter().skip(1).map(|next| next.first).chain([to]);
        track
            .0
            .iter()
            .zip(ends)
            .filter(|(span, end)| !span.good && end.has_reached(from) && to.has_reached(span.asked))
            .map(|(span, end)| (span.asked.mono_us.max(from.mono_us), end.mono_us.min(to.mono_us)))
            .collect()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell.
            let _ended = thread.join();
        }
    }
}

/// Asks once.
pub(crate) fn ask(asks: &Asks) -> bool {
    match asks {
        Asks::Http(port, path) => {
            http(*port, path).is_some_and(|answer| answer.starts_with(b"HTTP/1.") && answer.get(9..12) == Some(b"200"))
        }
        Asks::Redis(port) => tell(*port, b"PING\r\n", 5).is_some_and(|answer| answer == b"+PONG"),
        Asks::Postgres(port) => postgres(*port).is_some(),
        // A frame of type 1 (method) on channel 0: AMQP 0-9-1, sections 2.2.4 and 2.3.5, https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf
        Asks::Amqp(port) => tell(*port, b"AMQP\0\0\x09\x01", 3).is_some_and(|answer| answer == b"\x01\0\0"),
        Asks::Beat(path) => beats(path),
    }
}

fn open(port: u16) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    Some(stream)
}

/// GET; the first bytes of the answer.
pub(crate) fn http(port: u16, path: &str) -> Option<Vec<u8>> {
    tell(port, format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes(), 12)
}

fn tell(port: u16, words: &[u8], answers: usize) -> Option<Vec<u8>> {
    let mut stream = open(port)?;
    stream.write_all(words).ok()?;
    let mut answer = vec![0; answers];
    stream.read_exact(&mut answer).ok()?;
    Some(answer)
}

/// Login and a query: <https://www.postgresql.org/docs/current/protocol-flow.html>.
fn postgres(port: u16) -> Option<()> {
    let mut stream = open(port)?;
    let words = b"user\0watch\0database\0postgres\0\0";
    let mut login = u32::try_from(words.len() + 8).ok()?.to_be_bytes().to_vec();
    login.extend_from_slice(&196_608_u32.to_be_bytes());
    login.extend_from_slice(words);
    stream.write_all(&login).ok()?;
    until_ready(&mut stream)?;
    stream.write_all(b"Q\0\0\0\x0dSELECT 1\0").ok()?;
    until_ready(&mut stream)?;
    stream.write_all(b"X\0\0\0\x04").ok()
}

/// Reads messages up to `ReadyForQuery`; none after an error.
fn until_ready(stream: &mut TcpStream) -> Option<()> {
    for _ in 0..64 {
        let mut head = [0; 5];
        stream.read_exact(&mut head).ok()?;
        let length = usize::try_from(u32::from_be_bytes([head[1], head[2], head[3], head[4]])).ok()?;
        let mut body = vec![0; length.checked_sub(4).filter(|length| *length < 65_536)?];
        stream.read_exact(&mut body).ok()?;
        match head[0] {
            b'E' => return None,
            b'Z' => return Some(()),
            _ => {}
        }
    }
    None
}

fn beats(path: &Path) -> bool {
    let Ok(age) = fs::metadata(path).and_then(|meta| meta.modified()).map(|at| at.elapsed().unwrap_or_default()) else {
        return false;
    };
    let pid = fs::read_to_string(path).unwrap_or_default();
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    let lives = stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']));
    age < BEAT && lives
}
