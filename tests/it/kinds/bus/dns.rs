//! Against dnsmasq 2.90 of Debian 12.

use std::{net::UdpSocket, thread};

use cas::model::exam::{Grade, Protocol, Target, Trouble};

use super::{assert_known, assert_silent, remark, with};
use crate::{
    kinds::rig::{Server, at, dir, figure, free_port, look, program, ready, until_ready},
    support::eventually,
};

const DNS: Protocol = Protocol::Dns;

fn start() -> Server {
    let port = free_port();
    let number = format!("--port={port}");
    // More than fits into 4096 bytes.
    let long: Vec<_> = (0..30).map(|number| format!("--txt-record=long.test,{number}{}", "x".repeat(200))).collect();
    let mut arguments = vec![
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--user=root",
        &number,
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        "--no-resolv",
        "--no-hosts",
        "--pid-file=",
        "--address=/localhost/127.0.0.1",
        "--host-record=app.test,10.1.2.3",
        "--local=/app.test/",
        "--local=/gone.test/",
        "--log-facility=-",
    ];
    arguments.extend(long.iter().map(String::as_str));
    Server::start(dir(), port, &program("dnsmasq", "dnsmasq-base"), &arguments)
}

fn named(target: &Target, name: &str) -> Target {
    with(target, "name", name)
}

#[test]
fn dnsmasq_answers_refuses_and_tells_of_its_cache() {
    let server = start();
    let target = server.target();
    until_ready(&server, DNS, &target);
    let reading = look(DNS, &target).unwrap();
    assert_eq!(reading.server.as_deref(), Some("dnsmasq-2.90"));
    assert_eq!((figure(&reading, "failures"), figure(&reading, "cache-size")), (0.0, 150.0));
    assert!(reading.remarks.is_empty() && figure(&reading, "latency") < 1.0, "{reading:?}");
    assert_known("dns", &reading);
    let before = figure(&reading, "cache-hits");
    eventually("what it answers itself is counted", || figure(&look(DNS, &target).unwrap(), "cache-hits") > before);

    assert_eq!(ready(DNS, &named(&target, "app.test")), Ok(()));
    // A name may have addresses at which nobody listens.
    let by_name = Target { host: "localhost".to_owned(), ..target.clone() };
    assert_eq!(ready(DNS, &by_name), Ok(()));
    // Over TCP, as the answer is cut.
    assert_eq!(ready(DNS, &with(&named(&target, "long.test"), "type", "txt")), Ok(()));
    let answer = ready(DNS, &named(&target, "x.gone.test"));
    let Err(Trouble::Unready(why)) = answer else { panic!("{answer:?}") };
    assert!(why.contains("NXDOMAIN"), "{why}");
    let reading = look(DNS, &named(&target, "x.gone.test")).unwrap();
    assert_eq!(figure(&reading, "failures"), 1.0);
    assert!(remark(&reading, "answers", Grade::Critical).contains("NXDOMAIN"));
    let answer = ready(DNS, &with(&named(&target, "app.test"), "type", "MX"));
    assert!(matches!(answer, Err(Trouble::Unready(_))), "{answer:?}");
    // It has nobody to ask.
    let answer = ready(DNS, &named(&target, "elsewhere.example"));
    let Err(Trouble::Refused(why)) = answer else { panic!("{answer:?}") };
    assert!(why.contains("REFUSED"), "{why}");
    for wrong in [named(&target, "a..b"), with(&target, "type", "EVERYTHING")] {
        let answer = ready(DNS, &wrong);
        assert!(matches!(&answer, Err(Trouble::Refused(why)) if why.contains("option")), "{answer:?}");
    }

    server.signal("STOP");
    assert_silent(DNS, &target);
    server.signal("CONT");
    assert_eq!(ready(DNS, &target), Ok(()));
}

/// A server that changes the question into an answer (RFC 1035, section 4.1.1).
fn answering(change: impl Fn(&mut Vec<u8>) + Send + 'static) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let mut answer = buffer[..length].to_vec();
            change(&mut answer);
            let _gone = socket.send_to(&answer, from);
        }
    });
    port
}

#[test]
fn codes_of_dns_are_told_apart_and_answers_to_other_questions_are_none() {
    let code = |code: u8| answering(move |answer| (answer[2], answer[3]) = (0x81, 0x80 | code));
    let answer = ready(DNS, &at(code(2)));
    assert!(matches!(&answer, Err(Trouble::Unready(why)) if why.contains("SERVFAIL")), "{answer:?}");
    let answer = ready(DNS, &at(code(5)));
    assert!(matches!(&answer, Err(Trouble::Refused(why)) if why.contains("name=example.org")), "{answer:?}");
    let answer = ready(DNS, &at(code(4)));
    assert!(matches!(&answer, Err(Trouble::Foreign(why)) if why.contains("NOTIMP")), "{answer:?}");
    let answer = ready(DNS, &at(answering(|answer| answer.fill(b'x'))));
    assert!(matches!(answer, Err(Trouble::Foreign(_))), "{answer:?}");
    // Another number.
    let answer = ready(DNS, &at(answering(|answer| (answer[1], answer[2]) = (!answer[1], 0x81))));
    assert!(matches!(answer, Err(Trouble::Foreign(_))), "{answer:?}");
}
