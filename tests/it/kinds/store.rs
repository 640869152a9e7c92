//! What keeps data: databases, caches, job queues in them, object stores.

#![allow(clippy::float_cmp, reason = "figures here are whole numbers, or the same computation")]
#![allow(clippy::format_collect, reason = "a few short strings")]

mod clickhouse;
mod elasticsearch;
mod liars;
mod memcached;
mod mongo;
mod mysql;
mod postgres;
mod redis;
mod s3;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

use super::rig;
use cas::model::exam::{Grade, Hidden, Protocol, Reading, Remark, Target, Trouble};

/// A figure about something: the one whose `about` contains `what`.
pub(crate) fn figure_about(reading: &Reading, name: &str, what: &str) -> f64 {
    let about = |about: &Option<String>| about.as_deref().is_some_and(|about| about.contains(what));
    let found = reading.measures.iter().find(|measure| measure.name == name && about(&measure.about));
    found.unwrap_or_else(|| panic!("no {name} about {what} in {reading:#?}")).value
}

/// What a figure is about.
pub(crate) fn about<'a>(reading: &'a Reading, name: &str) -> &'a str {
    let found = reading.measures.iter().find(|measure| measure.name == name);
    found.and_then(|measure| measure.about.as_deref()).unwrap_or_else(|| panic!("no {name} in {reading:#?}"))
}

/// The most that a figure can be.
pub(crate) fn limit(reading: &Reading, name: &str) -> f64 {
    let found = reading.measures.iter().find(|measure| measure.name == name);
    found.and_then(|measure| measure.limit).unwrap_or_else(|| panic!("no limit of {name} in {reading:#?}"))
}

/// What was seen by a check.
pub(crate) fn remark<'a>(reading: &'a Reading, check: &str) -> Option<&'a Remark> {
    reading.remarks.iter().find(|remark| remark.check == check)
}

/// That a check saw something so bad.
#[track_caller]
pub(crate) fn assert_remark(reading: &Reading, check: &str, grade: Grade) {
    let found = remark(reading, check).unwrap_or_else(|| panic!("no remark {check} in {reading:#?}"));
    assert_eq!(found.grade, grade, "{found:?}");
}

/// A target with user and password.
pub(crate) fn with(target: Target, user: Option<&str>, password: &str) -> Target {
    Target { user: user.map(str::to_owned), password: Some(Hidden(password.to_owned())), ..target }
}

/// Somebody who says the same to everyone, whatever is asked, and then waits to be left.
pub(crate) fn says(words: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = stream;
                let _sent = stream.write_all(words);
                let mut asked = [0; 4096];
                while stream.read(&mut asked).is_ok_and(|count| count > 0) {}
            });
        }
    });
    port
}

/// Somebody who sends without an end.
pub(crate) fn floods(first: &'static [u8], byte: u8) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = stream;
                let _sent = stream.write_all(first);
                while stream.write_all(&[byte; 4096]).is_ok() {}
            });
        }
    });
    port
}

/// Somebody who takes a connection and closes it.
pub(crate) fn hangs_up() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().flatten().for_each(|stream: TcpStream| drop(stream)));
    port
}

/// What a small HTTP server answers to a request: status line without the version, headers, body.
pub(crate) type Page = (String, Vec<(String, String)>, String);

/// A small HTTP server; `answer` gets the whole head of a request (method, path, headers, as sent).
pub(crate) fn http(answer: impl Fn(&str) -> Page + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                let mut stream = stream;
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count > 0) {
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let length = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
                });
                let mut body = vec![0; length.unwrap_or(0)];
                let _whole = stream.read_exact(&mut body);
                let asked = format!("{head}{}", String::from_utf8_lossy(&body));
                let (status, headers, body) = answer(&asked);
                let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let length = body.len();
                let _sent = stream.write_all(
                    format!(
                        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
                    )
                    .as_bytes(),
                );
            });
        }
    });
    port
}

/// What everybody must answer who asks where nobody is, somebody else is, or somebody lies.
pub(crate) fn assert_strangers_are_known(protocol: Protocol) {
    let nobody = rig::at(rig::free_port());
    assert!(
        matches!(rig::ready(protocol, &nobody), Err(Trouble::Unreachable(_))),
        "{:?}",
        rig::ready(protocol, &nobody)
    );
    assert!(matches!(rig::look(protocol, &nobody), Err(Trouble::Unreachable(_))));
    let closes = rig::ready(protocol, &rig::at(hangs_up()));
    assert!(matches!(closes, Err(Trouble::Unreachable(_))), "{closes:?}");
    for port in [says(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), floods(b"x", b'x')] {
        for answer in [rig::ready(protocol, &rig::at(port)), rig::look(protocol, &rig::at(port)).map(drop)] {
            assert!(matches!(answer, Err(Trouble::Foreign(_))), "{protocol:?}: {answer:?}");
        }
    }
}

/// That a server which stands still is not taken for one that serves.
pub(crate) fn assert_stands_still(server: &rig::Server, protocol: Protocol, target: &Target) {
    server.signal("STOP");
    let asked = rig::run(async {
        tokio::time::timeout(Duration::from_secs(1), cas::world::kinds::ready(protocol, target)).await
    });
    server.signal("CONT");
    assert!(asked.is_err(), "{asked:?}");
    rig::until_ready(server, protocol, target);
}

/// A look, of which every figure has a rule in the catalogue.
pub(crate) fn looked(protocol: Protocol, target: &Target) -> Reading {
    let reading = rig::look(protocol, target).unwrap();
    let kind = cas::config::kinds::named(protocol.label()).unwrap();
    for measure in &reading.measures {
        let rule = kind.rules.iter().find(|rule| rule.name == measure.name);
        let rule = rule.unwrap_or_else(|| panic!("{} has no rule {}", kind.id, measure.name));
        let share = rule.reads == cas::model::exam::Reads::Share;
        assert!(measure.value.is_finite() && (!share || measure.limit.is_none_or(|most| most > 0.0)), "{measure:?}");
    }
    reading
}

/// Something that several threads write and a test reads.
pub(crate) type Shared<T> = Arc<Mutex<T>>;
