//! One connection: who may, how often it may ask, how long it may hold us up.
//!
//! Never: a peer whose user the kernel did not name, or a write that waits for ever for somebody who does not read.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{UnixStream, unix::UCred},
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep},
};

use crate::{host::peer::asker, model::policy::Asker};

/// Requests in a second that one connection may put, and so many at once.
const RATE: f64 = 100.0;

/// A stream whose reader takes nothing for so long is closed: it comes back when it can read, and asks for what it missed.
const STREAM_PATIENCE: Duration = Duration::from_secs(5);

/// The same for one whole answer, which costs nothing more while it waits.
const ANSWER_PATIENCE: Duration = Duration::from_mins(1);

/// Who may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admitted {
    /// This user and root.
    Owner,
    /// And members of this group.
    OwnerAnd(u32),
}

impl Admitted {
    /// Whether the kernel's word for the peer is enough.
    pub(super) fn admits(self, peer: UCred) -> bool {
        let owner = peer.uid() == rustix::process::geteuid().as_raw() || peer.uid() == 0;
        owner
            || match self {
                Self::Owner => false,
                Self::OwnerAnd(group) => peer.gid() == group || is_member(peer.pid(), group),
            }
    }
}

/// Whether a process has a group beside its first one. The socket's own mode has let it in already; this is the second look.
fn is_member(pid: Option<i32>, group: u32) -> bool {
    let Some(pid) = pid.filter(|pid| *pid > 0) else { return false };
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let groups = status.lines().find_map(|line| line.strip_prefix("Groups:")).unwrap_or_default();
    groups.split_ascii_whitespace().any(|word| word.parse() == Ok(group))
}

/// What is known of a connection while any of it lives; its seat is given back with it.
#[derive(Debug)]
pub(super) struct Connection {
    streams: AtomicBool,
    allowance: Mutex<Allowance>,
    peer: Option<Asker>,
    _seat: OwnedSemaphorePermit,
}

/// A token bucket.
#[derive(Debug)]
struct Allowance {
    left: f64,
    at: Instant,
}

impl Connection {
    pub(super) fn new(seat: OwnedSemaphorePermit, peer: UCred) -> Arc<Self> {
        let own = rustix::process::geteuid().as_raw();
        let user = (peer.uid() != own).then_some(peer.uid());
        let peer = peer.pid().and_then(|pid| u32::try_from(pid).ok()).map(|pid| asker(pid, user));
        let allowance = Mutex::new(Allowance { left: RATE, at: Instant::now() });
        Arc::new(Self { streams: AtomicBool::new(false), allowance, peer, _seat: seat })
    }

    /// The program at the other end, as the kernel named it when it connected.
    pub(super) fn peer(&self) -> Option<Asker> {
        self.peer.clone()
    }

    /// From here on it is a stream: whoever does not read it is let go sooner.
    pub(super) fn becomes_stream(&self) {
        self.streams.store(true, Ordering::Relaxed);
    }

    /// Whether one more request may be put now.
    pub(super) fn may_ask(&self) -> bool {
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let gained = now.duration_since(allowance.at).as_secs_f64() * RATE;
        *allowance = Allowance { left: (allowance.left + gained).min(RATE), at: now };
        let may = allowance.left >= 1.0;
        if may {
            allowance.left -= 1.0;
        }
        may
    }

    fn patience(&self) -> Duration {
        if self.streams.load(Ordering::Relaxed) { STREAM_PATIENCE } else { ANSWER_PATIENCE }
    }
}

/// A connected socket whose writes fail when nothing is taken for too long.
#[derive(Debug)]
pub(super) struct Guarded {
    stream: UnixStream,
    connection: Arc<Connection>,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Guarded {
    pub(super) const fn new(stream: UnixStream, connection: Arc<Connection>) -> Self {
        Self { stream, connection, stalled: None }
    }

    /// Passes on what a write came to; one that has waited for too long has failed.
    fn watch(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.connection.patience();
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
