//! Shims die; services, output and exit codes do not.

use std::fs;

use cas::shim_format::{Notice, Request, exit_kind, phase, spawn_flags};
use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    io::Errno,
    process::Signal,
};

use super::rig::{ENDED, RUNNING, Service, Slot, by_signal, code, is_alive, numbered, shell, signal};
use crate::support::eventually;

/// Numbers its lines, on both streams, at a pace.
fn numbering(lines: u32, exit: i32) -> Service {
    let script = format!(
        "import os,time\nfor i in range(1,{lines}+1):\n  os.write(1,b'out %d\\n'%i)\n  os.write(2,b'err %d\\n'%i)\n  if i%50==0: time.sleep(0.004)\nos._exit({exit})"
    );
    let mut service = shell("");
    service.program = "/usr/bin/env".into();
    service.arguments = vec!["env".into(), "python3".into(), "-c".into(), script];
    service
}

#[test]
fn shims_that_are_killed_again_and_again_lose_neither_service_nor_line_nor_exit_code() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    let pid = line.spawn(1, spawn_flags::SPLIT, &numbering(20_000, 7));
    drop(line);
    let mut kills = 0;
    let exit = loop {
        if kills < 40 {
            let size = |slot: &Slot| slot.segments().iter().map(|no| slot.index(*no).len()).sum::<usize>();
            let before = size(&slot);
            // Somewhere in the middle of its work.
            eventually("it wrote something or the run ended", || {
                size(&slot) > before || slot.text("exit").contains("run=1")
            });
            slot.kill_shim();
            kills += 1;
        }
        let (line, welcome) = slot.shim();
        if welcome.phase == ENDED {
            break welcome.exit;
        }
        assert_eq!((welcome.phase, welcome.run, welcome.pid), (RUNNING, 1, pid));
        if kills == 40 {
            break line.exited().exit;
        }
    };
    assert!(kills >= 20, "{kills} kills only");
    assert_eq!(exit, code(7));
    let output = slot.output();
    let both = output.out() + &output.err();
    for stream in ["out", "err"] {
        let expected = numbered(&format!("{stream} "), 20_000, "\n");
        let lines: String =
            both.lines().filter(|line| line.starts_with(stream)).flat_map(|line| [line, "\n"]).collect();
        // A recovered batch of standard error stands under standard output: the order within a stream may show that.
        let mut lines: Vec<&str> = lines.lines().collect();
        let mut expected: Vec<&str> = expected.lines().collect();
        lines.sort_unstable();
        expected.sort_unstable();
        assert_eq!(lines.len(), expected.len());
        assert!(lines == expected);
    }
}

#[test]
fn with_one_stream_the_order_is_exact_over_kills_too() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    line.spawn(1, 0, &shell("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo $i; done; exit 3"));
    drop(line);
    while !slot.text("exit").contains("run=1") {
        slot.kill_shim();
        let (line, welcome) = slot.shim();
        let (segment, offset) = welcome.end;
        if welcome.phase == RUNNING {
            // More output, or the end of the run.
            line.ask(Request::Arm, &[&segment.to_le_bytes(), &offset.to_le_bytes()]);
            line.hear(60_000);
        }
    }
    let expected = numbered("", 20_000, "\n");
    eventually("all is in", || slot.shim_end() == expected.len() as u64);
    assert!(slot.output().out() == expected);
}

#[test]
fn an_adopted_run_tells_its_exit_code() {
    for (script, expected) in [("exit 42", code(42)), ("kill -TERM $$", by_signal(15)), ("exit 0", code(0))] {
        let slot = Slot::new();
        let (line, _) = slot.shim();
        let wait = format!("until test -e go; do sleep 0.01; done; echo last words; {script}");
        line.spawn(1, 0, &shell(&wait).within(&slot));
        slot.kill_shim();
        let (line, welcome) = slot.shim();
        assert_eq!(welcome.phase, RUNNING);
        fs::write(slot.path("go"), "").unwrap();
        let exited = line.exited();
        assert_eq!((exited.run, exited.exit), (1, expected));
        assert_eq!((slot.output().out().as_str(), exited.end), ("last words\n", (1, 11)));
    }
}

#[test]
fn a_run_that_ended_while_no_shim_looked_is_ended_unknown_with_all_its_output() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    let pid = line.spawn(1, 0, &shell("until test -e go; do sleep 0.01; done; echo alone; exit 5").within(&slot));
    slot.kill_shim();
    fs::write(slot.path("go"), "").unwrap();
    // Where another test has made this process a subreaper, its body stays with us.
    let is_dead = || fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "));
    eventually("it is gone", is_dead);
    let (_line, welcome) = slot.shim();
    assert_eq!((welcome.phase, welcome.run, welcome.exit.0), (ENDED, 1, exit_kind::UNKNOWN));
    eventually("its output was in the FIFO", || slot.output().out() == "alone\n");
}

#[test]
fn an_engine_that_goes_away_changes_nothing() {
    let slot = Slot::new();
    let (line, welcome) = slot.shim();
    let pid = line.spawn(1, 0, &shell("until test -e go; do sleep 0.01; done; exit 8").within(&slot));
    drop(line);
    let line = slot.connect();
    let again = line.greet();
    assert_eq!((again.shim, again.phase, again.run, again.pid), (welcome.shim, RUNNING, 1, pid));
    drop(line);
    fs::write(slot.path("go"), "").unwrap();
    eventually("the exit record is there", || slot.text("exit").contains("kind=0\nvalue=8\n"));
    assert_eq!(slot.connect().greet().exit, code(8));
}

#[test]
fn a_shim_killed_at_any_moment_of_a_spawn_never_leads_to_two_runs() {
    let slot = Slot::new();
    let mut random = fastrand::Rng::with_seed(2);
    let script = "echo $CAS_RUN >> starts; exec sleep 300";
    let service = shell(script).within(&slot);
    let (mut line, _) = slot.shim();
    let (mut begun, mut not_begun) = (0, 0);
    for run in 1..=60_u64 {
        line.order(run, 0, &service);
        for _ in 0..random.u32(0..200_000) {
            std::hint::spin_loop();
        }
        slot.kill_shim();
        let (next, welcome) = slot.shim();
        line = next;
        if welcome.run == run {
            assert_eq!(welcome.phase, RUNNING, "run {run}");
            begun += 1;
        } else {
            assert_ne!(welcome.phase, RUNNING);
            line.spawn(run, 0, &service);
            not_begun += 1;
        }
        eventually("it has started", || slot.text("starts").lines().any(|started| started == run.to_string()));
        assert_eq!(line.end_all(0), [0_u32; 0]);
    }
    let expected = numbered("", 60, "\n");
    println!("{begun} begun, {not_begun} not");
    assert_eq!(slot.text("starts"), expected);
}

#[test]
fn a_child_between_fork_and_exec_keeps_the_slot_locked() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    // Its way into the "cgroup" leads through a FIFO that nobody reads yet.
    let gate = slot.dir.parent().unwrap().join("gate");
    mknodat(CWD, &gate, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let mut service = shell("echo up; sleep 300");
    service.cgroups.push(gate.to_str().unwrap().to_owned());
    line.order(1, 0, &service);
    let waiting = line.greet();
    assert_eq!((waiting.phase, waiting.run), (RUNNING, 1), "the shim does not wait for it");
    assert_eq!(slot.text("state"), "");
    slot.kill_shim();
    let other = slot.launch(None);
    assert_eq!(other.expect(Notice::Refused).i32(), Errno::BUSY.raw_os_error());
    assert_eq!(slot.bury(), Some(75));
    let _open = fs::File::open(&gate).unwrap();
    let (line, welcome) = slot.shim();
    assert_eq!((welcome.phase, welcome.run, welcome.pid), (RUNNING, 1, waiting.pid));
    eventually("it runs", || slot.output().out() == "up\n");
    assert_eq!(line.end_all(0), [0_u32; 0]);
}

#[test]
fn signals_do_not_end_a_shim() {
    let slot = Slot::new();
    let (line, welcome) = slot.shim();
    for each in [Signal::HUP, Signal::INT, Signal::TERM, Signal::QUIT, Signal::PIPE, Signal::USR1, Signal::CHILD] {
        signal(welcome.shim, each);
    }
    assert_eq!(line.greet().phase, phase::FRESH);
    assert!(is_alive(welcome.shim));
}

#[test]
fn a_shim_whose_slot_was_deleted_ends_once_its_run_has() {
    let slot = Slot::new();
    let (line, welcome) = slot.shim();
    let pid = line.spawn(1, 0, &shell("exec sleep 300").within(&slot));
    fs::remove_dir_all(slot.path("")).unwrap();
    signal(pid, Signal::KILL);
    line.ask(Request::Retire, &[]);
    eventually("the shim has ended", || !is_alive(welcome.shim));
}
