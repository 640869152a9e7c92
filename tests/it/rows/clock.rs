//! The wall clock of a daemon is set by an hour, forth and back, while its services run.

use std::{fs, path::Path};

use super::{daemon, end, good, json, service};
use crate::{pty::terminal::Project, support::eventually};

const HOUR: i64 = 3600;

/// The library that fakes the wall clock for one process.
fn library() -> String {
    let found = ["x86_64", "aarch64"]
        .map(|machine| format!("/usr/lib/{machine}-linux-gnu/faketime/libfaketimeMT.so.1"))
        .into_iter()
        .find(|path| Path::new(path).exists());
    found.expect("libfaketime is needed: apt-get install faketime (make test-needs)")
}

/// Sets the clock of the daemon by so many seconds from the true time.
fn set(file: &Path, seconds: i64) {
    let fresh = file.with_extension("new");
    fs::write(&fresh, format!("{seconds:+}\n")).unwrap();
    fs::rename(fresh, file).unwrap();
}

fn segments(slot: &Path) -> Vec<String> {
    let names = fs::read_dir(slot).into_iter().flatten().flatten().filter_map(|e| e.file_name().into_string().ok());
    let mut found: Vec<String> =
        names.filter(|name| name.starts_with("log.")).map(|name| name.trim_end_matches(".zst").to_owned()).collect();
    found.sort();
    found.dedup();
    found
}

fn now_us() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_micros()).unwrap()
}

#[test]
fn a_clock_that_is_set_by_an_hour_costs_no_run_no_uptime_no_output_and_no_order() {
    let project = Project::yaml(
        "  web: {command: [sleep, '1000'], healthcheck: {test: [CMD, 'true'], interval: 1s}}\n  worker: {command: [sleep, '1001']}\n  \
         writer: {shell: 'yes a line that is somewhat long and says nothing at all | head -n 30000; exec sleep 1002', \
         logs: {max_size: 2M, max_age: 30m}, restart: 'no'}\n",
    );
    let environment = project.environment();
    let state = &environment.iter().find(|(name, _)| *name == "CAS_STATE_DIR").unwrap().1;
    let clock = project.root().join("clock");
    set(&clock, 0);
    let library = library();
    let mut faked = project.command(
        &["daemon", "start"],
        &[
            ("LD_PRELOAD", &library),
            ("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            // Only what was set is another: not how long things take, not when files were changed.
            ("DONT_FAKE_MONOTONIC", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("NO_FAKE_STAT", "1"),
        ],
    );
    assert!(faked.status().unwrap().success());
    good(&project, &["up", "--detach"]);
    let pids = || ["web", "worker", "writer"].map(|name| service(&project, name)["pid"].clone());
    let before = pids();
    let slots = fs::read_dir(state.join("projects")).unwrap().flatten().next().unwrap().path().join("slots");
    let slot = slots.join("writer");
    let log = || fs::read_to_string(state.join("cas.log")).unwrap_or_default();
    eventually("there are closed segments", || segments(&slot).len() >= 6);
    let written = segments(&slot);

    for (at, seconds) in [(1, HOUR), (2, -HOUR)] {
        set(&clock, seconds);
        good(&project, &["restart", "worker"]);
        let newest = json_lines(&good(&project, &["events", "--json"])).pop().unwrap();
        let off = newest_us(&newest) - now_us() - seconds * 1_000_000;
        assert!(off.abs() < 600_000_000, "its clock is set: {newest}");
        for name in ["web", "worker", "writer"] {
            let now = service(&project, name);
            let uptime = now["uptime_s"].as_i64().unwrap();
            assert!((0..HOUR / 2).contains(&uptime) && now["restarts"] == 0, "{now}");
        }
        let own = json(&project, &["daemon", "status", "--json"]);
        assert!((0.0..1800.0).contains(&own["uptime_s"].as_f64().unwrap()), "{own}");
        // A pass of those who delete by age has seen the new time.
        eventually("it is noticed", || log().matches("the clock was set").count() >= at);
    }
    set(&clock, HOUR);
    eventually("it is noticed again", || log().matches("the clock was set").count() >= 3);
    let after = segments(&slot);
    let lost = written.iter().filter(|name| !after.contains(name)).count();
    assert!(lost <= 1, "a tenth at most, and that is less than one more: of {written:?} there is {after:?}");
    let now = pids();
    assert_eq!((&now[0], &now[2]), (&before[0], &before[2]), "nobody was started again");

    let events = json_lines(&good(&project, &["events", "--json"]));
    let numbers: Vec<i64> = events.iter().map(|event| event["seq"].as_i64().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers.len() > 10, "in the order in which they happened: {numbers:?}");
    assert!(daemon(&project).is_some());
    end(&project);
}

fn json_lines(text: &str) -> Vec<serde_json::Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn newest_us(event: &serde_json::Value) -> i64 {
    let text = event["at"].as_str().unwrap_or_else(|| panic!("{event}"));
    chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
}
