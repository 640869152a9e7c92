//! Web servers, proxies, exporters and stores that are asked over HTTP: real ones, and fakes of those that cannot be had here.

#![allow(clippy::float_cmp, reason = "what is counted is whole")]

mod bolt;
mod exporters;
mod fake;
mod fpm;
mod http;
mod proxies;
mod stores;
pub(in crate::kinds) mod tls;

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
    time::Duration,
};

use super::rig::{at, free_port, look, ready};

use crate::support::eventually;
use cas::{
    config::kinds as catalogue,
    model::exam::{Grade, Measure, Protocol, Reading, Target, Trouble},
    world::kinds,
};

/// The sentences of all remarks of a check, with their grades.
fn remarks<'r>(reading: &'r Reading, check: &str) -> Vec<(&'r str, Grade)> {
    let of_check = reading.remarks.iter().filter(|remark| remark.check == check);
    of_check.map(|remark| (remark.sentence.as_str(), remark.grade)).collect()
}

/// A whole figure.
#[track_caller]
fn measure<'r>(reading: &'r Reading, name: &str) -> &'r Measure {
    reading.measures.iter().find(|measure| measure.name == name).unwrap_or_else(|| panic!("no {name} in {reading:?}"))
}

/// A server that was stopped gives no answer, neither good nor bad. On a busy machine the last thread stops a moment later.
#[track_caller]
fn silent(protocol: Protocol, target: &Target) {
    eventually("a stopped server is silent", || {
        let asked = async { tokio::time::timeout(Duration::from_secs(2), kinds::ready(protocol, target)).await };
        super::rig::run(asked).is_err()
    });
}

/// Every figure that is read has a rule in its kind, so that it has a title and a unit.
#[track_caller]
fn known(kind: &str, reading: &Reading) {
    let rules = &catalogue::named(kind).unwrap().rules;
    for measure in &reading.measures {
        assert!(rules.iter().any(|rule| rule.name == measure.name), "{kind} has no rule for {}", measure.name);
    }
}

#[test]
fn nobody_and_somebody_else_are_told_apart_in_every_protocol() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // As Redis answers whatever it does not know (https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors).
    let other = at(listener.local_addr().unwrap().port());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _read = stream.read(&mut [0; 1024]);
            let _gone = stream.write_all(b"-ERR unknown command, with args beginning with:\r\n");
        }
    });
    for protocol in [
        Protocol::Http,
        Protocol::Prometheus,
        Protocol::Nginx,
        Protocol::Haproxy,
        Protocol::PhpFpm,
        Protocol::Influxdb,
        Protocol::Neo4j,
        Protocol::Qdrant,
        Protocol::Weaviate,
        Protocol::Registry,
    ] {
        let nobody = at(free_port());
        let refused = Trouble::Unreachable(format!("connection refused: nothing listens on {}", nobody.place()));
        assert_eq!(ready(protocol, &nobody), Err(refused.clone()), "{protocol:?}");
        assert_eq!(look(protocol, &nobody), Err(refused), "{protocol:?}");
        let (answer, reading) = (ready(protocol, &other), look(protocol, &other));
        assert!(matches!(answer, Err(Trouble::Foreign(_))), "{protocol:?}: {answer:?}");
        assert!(matches!(reading, Err(Trouble::Foreign(_))), "{protocol:?}: {reading:?}");
    }
}
