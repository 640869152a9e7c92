//! Web servers, proxies, exporters and stores that are asked over HTTP: real ones, and fakes of those that cannot be had here.

#![allow(clippy::float_cmp, reason = "what is counted is whole")]

mod bolt;
mod exporters;
mod fake;
mod fpm;
mod http;
mod proxies;
mod stores;
mod tls;

use std::time::Duration;

use cas::{
    config::kinds as catalogue,
    model::exam::{Grade, Measure, Protocol, Reading, Target},
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

/// A server that was stopped gives no answer, neither good nor bad.
#[track_caller]
fn silent(protocol: Protocol, target: &Target) {
    let answer =
        super::rig::run(async { tokio::time::timeout(Duration::from_secs(2), kinds::ready(protocol, target)).await });
    assert!(answer.is_err(), "a stopped server answers: {answer:?}");
}

/// Every figure that is read has a rule in its kind, so that it has a title and a unit.
#[track_caller]
fn known(kind: &str, reading: &Reading) {
    let rules = &catalogue::named(kind).unwrap().rules;
    for measure in &reading.measures {
        assert!(rules.iter().any(|rule| rule.name == measure.name), "{kind} has no rule for {}", measure.name);
    }
}
