//! memcached 1.6.18 (Debian 12) with 2 MB and 64 connections, and one with a password.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
};

use super::{assert_stands_still, assert_strangers_are_known, limit, looked, with};
use crate::{
    kinds::rig::{self, Server, figure},
    support::eventually,
};
use cas::model::exam::{Protocol, Reading, Trouble};

const KIND: Protocol = Protocol::Memcached;

fn start(more: &[&str]) -> Server {
    let port = rig::free_port();
    let number = port.to_string();
    let mut arguments = vec!["-u", "root", "-l", "127.0.0.1", "-p", &number, "-U", "0", "-t", "1"];
    arguments.extend(more);
    Server::start(rig::dir(), port, &rig::program("memcached", "memcached"), &arguments)
}

fn look(server: &Server) -> Reading {
    looked(KIND, &server.target())
}

fn fill(server: &Server, count: usize) {
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", server.port)).unwrap());
    let value = "x".repeat(1000);
    for number in 0..count {
        stream.get_mut().write_all(format!("set key-{number} 0 0 1000\r\n{value}\r\n").as_bytes()).unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        assert_eq!(line, "STORED\r\n");
    }
    for number in 0..1200 {
        stream.get_mut().write_all(format!("get nothing-{number}\r\n").as_bytes()).unwrap();
        stream.read_line(&mut String::new()).unwrap();
    }
}

#[test]
fn a_memcached_tells_how_it_is_and_its_figures_follow_what_happens() {
    let server = start(&["-m", "2", "-c", "64"]);
    rig::until_ready(&server, KIND, &server.target());
    assert_strangers_are_known(KIND);
    let first = look(&server);
    assert_eq!(first.server.as_deref(), Some("memcached 1.6.18"));
    assert_eq!(limit(&first, "memory"), 2.0 * 1024.0 * 1024.0);
    assert_eq!(limit(&first, "connections"), 64.0);
    assert_eq!(figure(&first, "evictions"), 0.0);
    assert!(!first.measures.iter().any(|measure| measure.name == "hit-share" || measure.name == "evicted-young"));

    fill(&server, 20_000);
    let full = look(&server);
    assert!(figure(&full, "memory") > figure(&first, "memory"));
    assert!(figure(&full, "items") > 0.0 && figure(&full, "evictions") > 0.0, "{full:#?}");
    assert!(figure(&full, "commands") >= 21_200.0);
    assert_eq!(figure(&full, "hit-share"), 0.0);
    assert!(figure(&full, "evicted-young") < 60.0);

    // Newcomers are told so, or wait.
    let held: Vec<TcpStream> = (0..80).map(|_| TcpStream::connect(("127.0.0.1", server.port)).unwrap()).collect();
    eventually("it is full", || matches!(rig::ready(KIND, &server.target()), Err(Trouble::Busy(_))));
    drop(held);
    rig::until_ready(&server, KIND, &server.target());
    let after = look(&server);
    assert!(figure(&after, "listen-disabled") + figure(&after, "rejected-connections") >= 1.0, "{after:#?}");
    assert_stands_still(&server, KIND, &server.target());
}

#[test]
fn a_memcached_with_a_password_lets_in_who_has_it() {
    let dir = rig::dir();
    let file = dir.path().join("users");
    std::fs::write(&file, "probe:right-horse\n").unwrap();
    let server = start(&["-Y", &file.display().to_string()]);
    let target = with(server.target(), Some("probe"), "right-horse");
    rig::until_ready(&server, KIND, &target);
    assert!(rig::look(KIND, &target).is_ok());
    let none = rig::ready(KIND, &server.target()).unwrap_err();
    assert!(matches!(&none, Trouble::Refused(why) if why.contains("check: memcached://")), "{none:?}");
    let wrong = rig::ready(KIND, &with(server.target(), Some("probe"), "wrong-horse")).unwrap_err();
    assert!(matches!(&wrong, Trouble::Refused(why) if !why.contains("horse")), "{wrong:?}");
}
