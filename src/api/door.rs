//! The listening socket: who comes in, how many, and what happens when there are no descriptors left.
//!
//! Promise: never more connections than there are seats, each refused one is told so at once, and running out of descriptors costs
//! a pause, not a core. Never: a socket that others may open for a moment between its making and its mode.

use std::{
    fs::File,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustix::{
    fs::{AtFlags, Gid, Mode, chownat, fchmod},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType},
};
use tokio::{
    net::{UnixListener, UnixStream, unix::UCred},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};

use super::{
    connection::{Admitted, Connection, Guarded},
    wire::RefusalBody,
};

/// Connections at a time: 64 clients, each with a stream of pictures and one of output.
pub(super) const SEATS: usize = 128;

/// Connections that may wait to be taken.
const BACKLOG: i32 = 1024;

/// The head of a request must be there by then; a connection where nothing is asked for so long is closed, too.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// Bytes that the head of a request may have.
const HEAD_LIMIT: usize = 64 * 1024;

/// Descriptors that are kept for the day when there are no others.
const RESERVED: usize = 8;

/// After an accept that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// Makes a listening socket at `path` with its mode on it from the first moment.
pub(super) fn bind(path: &Path, mode: Mode) -> io::Result<UnixListener> {
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    // Linux makes the file with the mode of the descriptor (and the umask off it).
    fchmod(&socket, mode)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(&socket, BACKLOG)?;
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode.as_raw_mode()))?;
    UnixListener::from_std(OwnedFd::into(socket))
}

/// Gives the socket at `path`, and the way to it, to a group. Only the way: nobody of the group can list or write the directory.
pub(super) fn open_to_group(directory: &OwnedFd, path: &Path, group: u32) -> io::Result<()> {
    let group = Gid::from_raw(group);
    let name = path.file_name().ok_or_else(|| io::Error::other("a socket without a name"))?;
    chownat(directory, name, None, Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
    rustix::fs::fchown(directory, None, Some(group))?;
    fchmod(directory, Mode::RWXU | Mode::XGRP)?;
    Ok(())
}

/// One listening socket.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) listener: UnixListener,
    pub(super) path: PathBuf,
    pub(super) admitted: Admitted,
    pub(super) seats: Arc<Semaphore>,
    pub(super) routes: Router,
}

impl Door {
    /// Serves until dropped, and its connections with it.
    pub(super) async fn serve(self) {
        let mut reserve = Reserve::new();
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_ended) = connections.join_next() => continue,
            };
            match accepted {
                Ok((stream, _)) => {
                    if let Some((stream, seat, peer)) = self.seat(stream) {
                        connections.spawn(converse(stream, seat, peer, self.routes.clone()));
                    }
                }
                Err(error) => {
                    tracing::warn!("cannot accept on {}: {error}", self.path.display());
                    if is_out_of_descriptors(&error) {
                        self.shed(&mut reserve).await;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Looks who it is and finds a seat; others are closed: strangers without a word, whoever finds no seat with one.
    fn seat(&self, stream: UnixStream) -> Option<(UnixStream, OwnedSemaphorePermit, UCred)> {
        let peer = match stream.peer_cred() {
            Ok(peer) if self.admitted.admits(peer) => peer,
            Ok(peer) => {
                tracing::warn!("refused a connection of user {}", peer.uid());
                return None;
            }
            Err(error) => {
                tracing::warn!("refused a connection without credentials: {error}");
                return None;
            }
        };
        let Ok(seat) = Arc::clone(&self.seats).try_acquire_owned() else {
            turn_away(&stream, "too many clients are connected: close some, or try again in a moment");
            return None;
        };
        Some((stream, seat, peer))
    }

    /// With the descriptors that were kept back: tells those who wait that there are none.
    async fn shed(&self, reserve: &mut Reserve) {
        for _ in 0..BACKLOG {
            reserve.open_one();
            // Those who wait are there already: no waiting for others.
            let waiting = tokio::time::timeout(Duration::from_millis(1), self.listener.accept()).await;
            let Ok(Ok((stream, _))) = waiting else { break };
            turn_away(&stream, "cas is out of file descriptors: try again in a moment, or raise the limit (ulimit -n)");
        }
        reserve.fill();
    }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

/// Descriptors that are held for nothing else than to be given up.
#[derive(Debug)]
struct Reserve(Vec<File>);

impl Reserve {
    fn new() -> Self {
        let mut reserve = Self(Vec::with_capacity(RESERVED));
        reserve.fill();
        reserve
    }

    /// Makes room for one connection.
    fn open_one(&mut self) {
        self.0.pop();
    }

    fn fill(&mut self) {
        while self.0.len() < RESERVED {
            let Ok(file) = File::open("/dev/null") else { return };
            self.0.push(file);
        }
    }
}

/// A refusal without a server behind it. What does not fit into the socket's empty buffer at once is not worth waiting for.
fn turn_away(stream: &UnixStream, sentence: &str) {
    let body = serde_json::to_string(&RefusalBody { error: sentence.to_owned() }).unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // An error means that the client has left already.
    let _left = stream.try_write(answer.as_bytes());
}

/// One connection until its end.
async fn converse(stream: UnixStream, seat: OwnedSemaphorePermit, peer: UCred, routes: Router) {
    let connection = Connection::new(seat, peer);
    let service = TowerToHyperService::new(routes.layer(Extension(Arc::clone(&connection))));
    let ended = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_LIMIT)
        .serve_connection(TokioIo::new(Guarded::new(stream, connection)), service)
        .with_upgrades()
        .await;
    if let Err(error) = ended {
        tracing::debug!("a connection has ended: {error}");
    }
}
