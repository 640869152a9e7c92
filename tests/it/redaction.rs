//! Secrets do not leave: what is redacted and what is not, and every sink of a real daemon searched for canaries.

mod canaries;
mod properties;
mod raw;
mod secrets;
mod tables;

use std::{io::Read, io::Write, os::unix::net::UnixStream, path::PathBuf, time::Duration};

use crate::pty::terminal::Project;

/// The sockets of the daemon: its owner's, and the one that only shows.
fn sockets(project: &Project) -> [PathBuf; 2] {
    let runtime = project.environment().into_iter().find(|(name, _)| *name == "CAS_RUNTIME_DIR").unwrap().1;
    let socket = runtime.join("daemon.sock");
    let shows = cas::api::server::read_only_path(&socket);
    [socket, shows]
}

/// What is answered to a GET, head and all.
fn get(socket: &PathBuf, path: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: cas\r\nconnection: close\r\n\r\n").unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

/// What the live feed says until it has said `words`.
fn live_until(socket: &PathBuf, words: &[&str]) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(
        stream,
        "GET /v1/live?logs=* HTTP/1.1\r\nhost: cas\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nx-cas-api: {}\r\n\r\n",
        cas::api::wire::VERSION
    )
    .unwrap();
    let (mut said, mut part) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let length = stream.read(&mut part).unwrap();
        assert!(length > 0, "it ended: {}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&part[..length]);
        let text = String::from_utf8_lossy(&said);
        if words.iter().all(|word| text.contains(word)) {
            return text.into_owned();
        }
    }
}
