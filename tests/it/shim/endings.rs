//! Stopped means that nothing is left.

use cas::shim_format::{Request, exit_kind};
use rustix::process::Signal;

use super::rig::{RUNNING, Service, Slot, by_signal, is_alive, marked, shell, signal, stat};
use crate::support::eventually;

/// Ignores TERM, and leaves grandchildren in sessions of their own that ignore it too and are silent.
fn hostile(mark: &str) -> Service {
    let script = "trap '' TERM; \
        for i in 1 2 3 4 5; do (setsid sh -c 'trap \"\" TERM; (setsid sleep 301 >/dev/null 2>&1 &) ; sleep 302' >/dev/null 2>&1 &); done; \
        echo up; while :; do sleep 0.05; done";
    let mut service = shell(script);
    service.environment.push(mark.to_owned());
    service
}

fn mark() -> String {
    format!("SHIM_TEST={:016x}", fastrand::u64(..))
}

#[test]
fn a_hostile_tree_is_gone_after_its_escalation() {
    let (slot, mark) = (Slot::new(), mark());
    let (line, _) = slot.shim();
    let main = line.spawn(1, 0, &hostile(&mark));
    eventually("the whole tree is up", || marked(&mark).len() >= 11);
    signal(main, Signal::TERM);
    // The last of them may have been one that sleeps for a moment.
    eventually("all are counted", || line.count() >= 11);
    assert_eq!(line.end_all(0), [0_u32; 0]);
    assert_eq!(marked(&mark), [0_u32; 0]);
    assert_eq!(line.greet().exit, by_signal(9));
}

#[test]
fn an_escalation_goes_on_without_an_engine() {
    let (slot, mark) = (Slot::new(), mark());
    let (line, welcome) = slot.shim();
    line.spawn(1, 0, &hostile(&mark));
    eventually("the whole tree is up", || marked(&mark).len() >= 11);
    line.ask(Request::Escalate, &[&100_u64.to_le_bytes()]);
    drop(line);
    eventually("nothing is left", || marked(&mark).is_empty());
    assert!(is_alive(welcome.shim));
    let line = slot.connect();
    assert_eq!(line.greet().exit, by_signal(9));
    assert_eq!(line.empty(), [0_u32; 0], "the answer waits for whoever comes");
}

#[test]
fn an_escalation_can_be_called_off() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    let main = line.spawn(1, 0, &shell("while :; do sleep 0.05; done"));
    line.ask(Request::Escalate, &[&200_u64.to_le_bytes()]);
    line.ask(Request::Escalate, &[&u64::MAX.to_le_bytes()]);
    assert!(line.hear(400).is_none());
    assert!(is_alive(main));
}

#[test]
fn a_polite_service_is_empty_before_its_deadline() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    let main = line.spawn(1, 0, &shell("exec sleep 300"));
    line.ask(Request::Escalate, &[&3_600_000_u64.to_le_bytes()]);
    signal(main, Signal::TERM);
    assert_eq!(line.exited().exit, by_signal(15));
    assert_eq!(line.empty(), [0_u32; 0]);
}

#[test]
fn a_stopped_service_is_ended_all_the_same() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    let main = line.spawn(1, 0, &shell("sleep 300 & kill -STOP $$; wait"));
    eventually("it stands", || stat(main).is_some_and(|(state, _)| state == 'T'));
    assert_eq!(line.end_all(0), [0_u32; 0]);
    assert!(!is_alive(main));
}

#[test]
fn a_bomb_that_opens_sessions_is_ended() {
    let (slot, mark) = (Slot::new(), mark());
    let (line, _) = slot.shim();
    let bomb = "import os,time\nn=0\nwhile n<300:\n  n+=1\n  if os.fork()==0:\n    os.setsid()\n    if n%3==0: os.fork()\n    time.sleep(300)\ntime.sleep(300)";
    let mut service = shell("");
    service.program = "/usr/bin/env".into();
    service.arguments = ["env", "python3", "-c", bomb].map(str::to_owned).to_vec();
    service.environment.push(mark.clone());
    line.spawn(1, 0, &service);
    eventually("the bomb is big", || marked(&mark).len() > 350);
    assert_eq!(line.end_all(0), [0_u32; 0]);
    assert_eq!(marked(&mark), [0_u32; 0]);
}

#[test]
fn an_adopted_tree_is_ended_too() {
    let (slot, mark) = (Slot::new(), mark());
    let (line, _) = slot.shim();
    line.spawn(1, 0, &hostile(&mark));
    eventually("the whole tree is up", || marked(&mark).len() >= 11);
    slot.kill_shim();
    let (line, welcome) = slot.shim();
    assert_eq!(welcome.phase, RUNNING);
    assert!(line.count() >= 11);
    assert_eq!(line.end_all(0), [0_u32; 0]);
    assert_eq!(marked(&mark), [0_u32; 0]);
}

#[test]
fn what_an_unseen_run_left_is_counted_and_ended() {
    let (slot, mark) = (Slot::new(), mark());
    let (line, _) = slot.shim();
    let main = line.spawn(1, 0, &hostile(&mark));
    eventually("the whole tree is up", || marked(&mark).len() >= 11);
    slot.kill_shim();
    signal(main, Signal::KILL);
    eventually("the main process is gone", || !is_alive(main));
    let (line, welcome) = slot.shim();
    assert_eq!(welcome.exit.0, exit_kind::UNKNOWN);
    assert!(line.count() >= 10);
    assert_eq!(line.end_all(0), [0_u32; 0]);
    assert_eq!(marked(&mark), [0_u32; 0]);
}

#[test]
fn a_process_of_another_slot_with_the_same_run_number_is_left_alone() {
    let (slot, other) = (Slot::new(), Slot::new());
    let (line, _) = slot.shim();
    let (other_line, _) = other.shim();
    line.spawn(1, 0, &shell("sleep 300"));
    let bystander = other_line.spawn(1, 0, &shell("exec sleep 300 >/dev/null 2>&1"));
    slot.kill_shim();
    let (line, _) = slot.shim();
    assert_eq!(line.end_all(0), [0_u32; 0]);
    assert!(is_alive(bystander));
}
