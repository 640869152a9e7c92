//! Queues, brokers, name servers, stores of agreement, and what is called over HTTP/2 or WebSocket.

#![expect(clippy::float_cmp, reason = "what is counted is exact")]

mod dns;
mod etcd;
mod grpc;
mod kafka;
mod mqtt;
mod nats;
mod rabbitmq;
mod smtp;
mod websocket;
mod zookeeper;

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use cas::{
    config,
    model::exam::{Grade, Protocol, Reading, Target, Trouble},
    world::kinds,
};

use futures_util::future::join_all;

use super::rig::{Server, at, free_port, ready, run};
use crate::support::eventually;

/// All of this file that speak over TCP.
const OVER_TCP: [Protocol; 9] = [
    Protocol::Rabbitmq,
    Protocol::Nats,
    Protocol::Kafka,
    Protocol::Mqtt,
    Protocol::Smtp,
    Protocol::Etcd,
    Protocol::Zookeeper,
    Protocol::Grpc,
    Protocol::Websocket,
];

/// Long enough for who is awake.
const SHORT: Duration = Duration::from_millis(900);

/// That every figure of a reading has a rule in the catalogue, so that it has a title and a unit.
fn assert_known(kind: &str, reading: &Reading) {
    let kind = config::kinds::named(kind).unwrap();
    for measure in &reading.measures {
        assert!(kind.rules.iter().any(|rule| rule.name == measure.name), "{} has no rule for {measure:?}", kind.id);
    }
}

/// That whoever is asked does not answer (any more: a process with several threads takes its time to stop).
fn assert_silent(protocol: Protocol, target: &Target) {
    eventually("it does not answer", || {
        run(async { tokio::time::timeout(SHORT, kinds::ready(protocol, target)).await }).is_err()
    });
}

/// That a sign of the catalogue is seen in what a server has written itself.
fn assert_sign(kind: &str, server: &Server, says: &str) {
    let kind = config::kinds::named(kind).unwrap();
    let sign = kind.signs.iter().find(|sign| sign.says.contains(says)).unwrap_or_else(|| panic!("no sign: {says}"));
    let pattern = regex::Regex::new(&sign.pattern).unwrap();
    eventually("its output has the sign", || server.output().lines().any(|line| pattern.is_match(line)));
}

/// The remark of a check; a reading without it fails.
fn remark<'a>(reading: &'a Reading, check: &str, grade: Grade) -> &'a str {
    let found = reading.remarks.iter().find(|remark| remark.check == check && remark.grade == grade);
    &found.unwrap_or_else(|| panic!("no remark {check} that is {grade:?} in {reading:?}")).sentence
}

/// What a figure is about.
fn about<'a>(reading: &'a Reading, name: &str) -> &'a str {
    let found = reading.measures.iter().find(|measure| measure.name == name);
    found
        .and_then(|measure| measure.about.as_deref())
        .unwrap_or_else(|| panic!("{name} is about nothing in {reading:?}"))
}

/// With a user and a password.
fn as_user(target: &Target, user: &str, password: &str) -> Target {
    let password = Some(cas::model::exam::Hidden(password.to_owned()));
    Target { user: Some(user.to_owned()), password, ..target.clone() }
}

/// With an option.
fn with(target: &Target, name: &str, value: &str) -> Target {
    let mut target = target.clone();
    target.options.insert(name.to_owned(), value.to_owned());
    target
}

/// A server that does the same with everybody, each in a thread of its own, until the test ends.
fn serve(each: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let each = each.clone();
            thread::spawn(move || each(stream));
        }
    });
    port
}

/// A server that says something to everybody and then nothing more, until they go.
fn speaker(words: &'static [u8]) -> u16 {
    serve(move |mut stream| {
        let _gone = stream.write_all(words);
        let _closed = stream.shutdown(Shutdown::Write);
        let _until_they_go = stream.read_to_end(&mut Vec::new());
    })
}

/// A web server: what it answers to who asks for a path, which is the second word of a request.
fn web(answer: impl Fn(&str) -> (u16, &'static str) + Send + Sync + Clone + 'static) -> u16 {
    serve(move |mut stream| {
        let mut asked = Vec::new();
        while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut more = [0; 1024];
            match stream.read(&mut more) {
                Ok(count) if count > 0 => asked.extend_from_slice(&more[..count]),
                Ok(_) | Err(_) => return,
            }
        }
        let asked = String::from_utf8(asked).unwrap();
        let (status, body) = answer(asked.split(' ').nth(1).unwrap());
        let length = body.len();
        let head = format!("HTTP/1.1 {status} So\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        let _gone = stream.write_all((head + body).as_bytes());
        let _closed = stream.shutdown(Shutdown::Write);
        let _until_they_go = stream.read_to_end(&mut Vec::new());
    })
}

#[test]
fn where_nothing_listens_or_the_door_is_shut_at_once_nobody_is_reached() {
    let shut = serve(drop);
    for protocol in OVER_TCP {
        for port in [free_port(), shut] {
            let answer = ready(protocol, &at(port));
            assert!(matches!(answer, Err(Trouble::Unreachable(_))), "{protocol:?}: {answer:?}");
        }
    }
    let answer = ready(Protocol::Dns, &at(free_port()));
    assert!(matches!(answer, Err(Trouble::Unreachable(_))), "{answer:?}");
}

#[test]
fn who_speaks_another_protocol_is_foreign() {
    // What OpenSSH says first (RFC 4253, section 4.2).
    let ssh = speaker(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n");
    for protocol in OVER_TCP {
        let answer = ready(protocol, &at(ssh));
        assert!(matches!(answer, Err(Trouble::Foreign(_))), "{protocol:?}: {answer:?}");
        assert!(answer.unwrap_err().to_string().lines().count() == 1);
    }
}

#[test]
fn who_floods_is_cut_off() {
    let flood = serve(|mut stream| {
        let block = vec![b'A'; 1 << 20];
        for _ in 0..256 {
            if stream.write_all(&block).is_err() {
                return;
            }
        }
    });
    for protocol in OVER_TCP {
        let answer = ready(protocol, &at(flood));
        assert!(matches!(answer, Err(Trouble::Foreign(_))), "{protocol:?}: {answer:?}");
        assert!(answer.unwrap_err().to_string().len() < 700);
    }
}

#[test]
fn a_server_that_takes_the_connection_and_says_nothing_is_waited_for() {
    let port = serve(|mut stream| {
        let _until_they_go = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let target = at(port);
    let answers = run(async {
        join_all(OVER_TCP.map(|protocol| tokio::time::timeout(SHORT, kinds::ready(protocol, &target)))).await
    });
    assert!(answers.iter().all(Result::is_err), "{answers:?}");
}
