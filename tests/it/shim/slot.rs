//! The slot: who may have it, what is refused, what a client can do to a shim.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    process::Command,
};

use cas::{
    model::{ids::ServiceName, service::Limits},
    shim_format::{Notice, Request, exit_kind, phase, stage},
    world::cgroup::Cgroups,
};
use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    io::Errno,
    net::{SendFlags, send},
    process::Signal,
};

use super::rig::{ENDED, RUNNING, Slot, by_signal, code, is_alive, packet, shell, signal, stat, write_state};
use crate::support::eventually;

#[test]
fn of_two_shims_for_one_slot_one_wins_and_the_other_says_so() {
    let slot = Slot::new();
    let (first, _) = slot.shim();
    let second = slot.launch(None);
    assert_eq!(second.expect(Notice::Refused).i32(), Errno::BUSY.raw_os_error());
    assert_eq!(slot.bury(), Some(75));
    assert_eq!(first.greet().phase, phase::FRESH);
}

#[test]
fn of_ten_shims_started_at_once_one_wins() {
    let slot = Slot::new();
    let lines: Vec<_> = (0..10).map(|_| slot.launch(None)).collect();
    for line in &lines {
        line.ask(Request::Greet, &[]);
    }
    let answers: Vec<_> = lines.iter().map(|line| line.hear(60_000).unwrap().notice).collect();
    assert_eq!(answers.iter().filter(|notice| **notice == Notice::Welcome).count(), 1, "{answers:?}");
}

#[test]
fn a_second_run_is_refused_while_one_is_there() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    let pid = line.spawn(1, 0, &shell("sleep 300"));
    line.order(2, 0, &shell("touch never"));
    assert_eq!(line.expect(Notice::Refused).i32(), Errno::BUSY.raw_os_error());
    assert!(is_alive(pid));
}

#[test]
fn a_failed_spawn_says_where_and_leaves_the_slot_usable() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    let failed = |service| {
        line.order(1, 0, service);
        let mut said = line.expect(Notice::SpawnFailed);
        (said.u64(), Errno::from_raw_os_error(said.i32()), said.u8())
    };
    let mut service = shell("true");
    service.directory = "/nowhere".into();
    assert_eq!(failed(&service), (1, Errno::NOENT, stage::DIRECTORY));
    assert_eq!(line.greet().phase, phase::FRESH);
    let mut service = shell("true");
    service.cgroups.push("/nowhere/cgroup.procs".into());
    assert_eq!(failed(&service), (1, Errno::NOENT, stage::CGROUP));
    let mut service = shell("true");
    service.program = "/nowhere/program".into();
    assert_eq!(failed(&service), (1, Errno::NOENT, stage::EXEC));
    assert_eq!((line.greet().phase, line.greet().exit), (ENDED, code(127)));
    let mut service = shell("true");
    service.arguments.clear();
    assert_eq!(failed(&service), (1, Errno::INVAL, stage::PAYLOAD));
    line.spawn(2, 0, &shell("exit 4"));
    assert_eq!(line.exited().exit, code(4));
}

#[test]
fn a_script_without_an_interpreter_line_is_run_by_the_shell() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    let script = slot.dir.parent().unwrap().join("script");
    fs::write(&script, "echo $0 $1 $CAS_RUN; exit 9\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let mut service = shell("");
    service.program = script.to_str().unwrap().into();
    service.arguments = vec!["script".into(), "an argument".into()];
    line.spawn(6, 0, &service);
    assert_eq!(line.exited().exit, code(9));
    assert_eq!(slot.output().out(), format!("{} an argument 6\n", script.display()));
}

#[test]
fn a_service_gets_back_what_the_shim_changed_for_itself() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    let script = "umask; cat /proc/self/oom_score_adj; grep -E '^Sig(Blk|Ign)' /proc/self/status; \
                  ls /proc/self/fd | tr '\\n' ' '; readlink /proc/self/fd/0; ps -o sid= -p $$ | tr -d ' '; echo $$";
    line.spawn(1, 0, &shell(script));
    line.exited();
    let out = slot.output().out();
    let here = |command: &str| {
        String::from_utf8(Command::new("/bin/sh").args(["-c", command]).output().unwrap().stdout).unwrap()
    };
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(format!("{}\n", lines[0]), here("umask"));
    assert_eq!(format!("{}\n", lines[1]), here("cat /proc/self/oom_score_adj"));
    assert_eq!(lines[2], "SigBlk:\t0000000000000000");
    let ignored = u64::from_str_radix(lines[3].strip_prefix("SigIgn:\t").unwrap(), 16).unwrap();
    // 32 and 33 belong to the C library, which lets nobody set them.
    assert_eq!(ignored & !0x1_8000_0000, 0, "{ignored:x}");
    assert_eq!(lines[4], "0 1 2 3 /dev/null", "3 is the directory that ls itself reads");
    assert_eq!(lines[5], lines[6], "it leads its own session");
}

#[test]
fn planted_links_and_foreign_files_are_refused() {
    for name in ["lock", "out", "err", "log.000001", "idx.000001"] {
        let slot = Slot::new();
        let target = slot.dir.parent().unwrap().join("target");
        if name == "out" || name == "err" {
            mknodat(CWD, &target, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        } else {
            fs::write(&target, "precious").unwrap();
        }
        if name == "idx.000001" {
            fs::write(slot.path("log.000001"), "").unwrap();
        }
        symlink(&target, slot.path(name)).unwrap();
        let line = slot.launch(None);
        assert_eq!(line.expect(Notice::Refused).i32(), Errno::LOOP.raw_os_error(), "{name}");
        assert_eq!(slot.bury(), Some(77), "{name}");
        if target.is_file() {
            assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
        }
    }
    let slot = Slot::new();
    fs::write(slot.path("out"), "a plain file").unwrap();
    assert_eq!(slot.launch(None).expect(Notice::Refused).i32(), Errno::PERM.raw_os_error());
}

#[test]
fn a_slot_that_others_can_write_to_or_that_is_a_link_is_refused() {
    let slot = Slot::new();
    fs::set_permissions(&slot.dir, fs::Permissions::from_mode(0o770)).unwrap();
    assert_eq!(slot.launch(None).expect(Notice::Refused).i32(), Errno::PERM.raw_os_error());
    let link = slot.dir.parent().unwrap().join("link");
    symlink(&slot.dir, &link).unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_cas-shim")).arg(link).status().unwrap();
    assert_eq!(status.code(), Some(77));
}

#[test]
fn files_and_socket_are_for_their_owner_only() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    line.spawn(1, 0, &shell("echo secret"));
    line.exited();
    for name in ["lock", "out", "err", "state", "exit", "ctl.sock", "log.000001", "idx.000001"] {
        let mode = fs::metadata(slot.path(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
}

#[test]
fn a_state_of_a_foreign_process_ends_unknown_and_sends_no_signal() {
    let mut foreign = Command::new("sleep").arg("300").spawn().unwrap();
    let (_, start) = stat(foreign.id()).unwrap();
    let slot = Slot::new();
    write_state(&slot.dir, 8, foreign.id(), start + 1, None);
    let (line, welcome) = slot.shim();
    assert_eq!((welcome.phase, welcome.run, welcome.exit.0), (ENDED, 8, exit_kind::UNKNOWN));
    assert_eq!(line.end_all(0), [0_u32; 0]);
    assert!(slot.text("exit").contains("run=8\nkind=2\n"));
    line.spawn(9, 0, &shell("sleep 300"));
    line.end_all(0);
    assert!(is_alive(foreign.id()));
    foreign.kill().unwrap();
    foreign.wait().unwrap();
}

#[test]
fn a_process_that_nothing_proves_is_never_touched_and_never_doubled() {
    let mut foreign = Command::new("sleep").arg("300").spawn().unwrap();
    let (_, start) = stat(foreign.id()).unwrap();
    let slot = Slot::new();
    write_state(&slot.dir, 8, foreign.id(), start, None);
    let (line, welcome) = slot.shim();
    assert_eq!((welcome.phase, welcome.run, welcome.pid), (phase::UNVERIFIABLE, 8, foreign.id()));
    line.order(9, 0, &shell("true"));
    assert_eq!(line.expect(Notice::Refused).i32(), Errno::BUSY.raw_os_error());
    line.ask(Request::Escalate, &[&0_u64.to_le_bytes()]);
    assert_eq!(line.expect(Notice::Refused).i32(), Errno::PERM.raw_os_error());
    assert!(is_alive(foreign.id()));
    foreign.kill().unwrap();
    foreign.wait().unwrap();
    assert_eq!(line.exited().exit.0, exit_kind::UNKNOWN, "it goes by itself: the slot is free again");
    line.spawn(9, 0, &shell("exit 2"));
    assert_eq!(line.exited().exit, code(2));
}

#[test]
fn a_state_of_another_boot_is_a_reboot() {
    let slot = Slot::new();
    write_state(&slot.dir, 8, std::process::id(), stat(std::process::id()).unwrap().1, Some("another-boot"));
    let (line, welcome) = slot.shim();
    assert_eq!((welcome.phase, welcome.run, welcome.exit.0), (ENDED, 8, exit_kind::REBOOT));
    assert_eq!(line.end_all(0), [0_u32; 0]);
}

#[test]
fn a_state_cut_short_anywhere_never_doubles_a_run_that_is_there() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    let pid = line.spawn(5, 0, &shell("sleep 300"));
    let whole = slot.text("state");
    drop(line);
    for len in [0, 1, whole.len() / 2, whole.len() - 1] {
        slot.kill_shim();
        fs::write(slot.path("state"), &whole[..len]).unwrap();
        let (line, welcome) = slot.shim();
        assert_eq!((welcome.phase, welcome.pid), (phase::UNVERIFIABLE, pid), "cut to {len}");
        line.order(6, 0, &shell("true"));
        assert_eq!(line.expect(Notice::Refused).i32(), Errno::BUSY.raw_os_error());
    }
    slot.kill_shim();
    fs::write(slot.path("state"), whole).unwrap();
    assert_eq!(slot.shim().1.phase, RUNNING);
    assert!(is_alive(pid));
}

#[test]
fn garbage_is_refused_and_the_shim_goes_on() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    let garbage = slot.connect();
    let mut random = fastrand::Rng::with_seed(4);
    for round in 0..2000_usize {
        let mut bytes: Vec<u8> = (0..random.usize(1..300)).map(|_| random.u8(..)).collect();
        if let Some(second) = bytes.get_mut(1) {
            // Numbers that mean nothing.
            *second |= 0x80;
        }
        if round % 500 == 0 {
            bytes.resize(6000, 7);
        }
        send(&garbage.socket, &bytes, SendFlags::NOSIGNAL).unwrap();
        assert_eq!(garbage.expect(Notice::Refused).i32(), Errno::INVAL.raw_os_error());
    }
    for request in [Request::Spawn, Request::Escalate, Request::Arm, Request::Keep, Request::Resize] {
        send(&garbage.socket, &packet(request, &[&[0, 0, 0]]), SendFlags::NOSIGNAL).unwrap();
        assert_eq!(garbage.expect(Notice::Refused).i32(), Errno::INVAL.raw_os_error(), "{request:?}");
    }
    line.order(1, 0, &shell("exit 1"));
    assert_eq!(line.exited().exit, code(1));
}

#[test]
fn a_client_that_never_reads_holds_nobody_up_and_is_told_its_exit_later() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    let deaf = slot.connect();
    deaf.greet();
    for _ in 0..3000 {
        let count = packet(Request::Count, &[]);
        match send(&deaf.socket, &count, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(_) | Err(Errno::AGAIN) => {}
            Err(error) => panic!("{error}"),
        }
    }
    line.order(1, 0, &shell("seq 1 5000; exit 6"));
    eventually("the exit record is there", || slot.text("exit").contains("value=6"));
    assert!(slot.output().out().ends_with("5000\n"));
    assert_eq!(deaf.exited().exit, code(6), "the newest that greeted is told as soon as it reads");
    assert_eq!(line.greet().exit, code(6));
}

#[test]
fn the_exit_of_one_run_is_never_told_of_the_next() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    for _ in 0..500 {
        // Nobody reads the answers: there is no room for what is to be told.
        line.ask(Request::Count, &[]);
    }
    line.order(1, 0, &shell("exit 4"));
    eventually("the exit record is there", || slot.text("exit").contains("value=4"));
    let other = slot.connect();
    other.order(2, 0, &shell("sleep 300"));
    assert_eq!(other.expect(Notice::Refused).i32(), Errno::BUSY.raw_os_error());
    let exited = line.exited();
    assert_eq!((exited.run, exited.exit), (1, code(4)));
    line.spawn(2, 0, &shell("exit 5"));
    assert_eq!((line.exited().exit, slot.text("exit").contains("run=2")), (code(5), true));
}

#[test]
fn a_shim_that_told_an_exit_goes_when_it_is_sent_away_though_no_record_can_be_written() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    line.spawn(1, 0, &shell("until [ -e go ]; do sleep 0.01; done; exit 4").within(&slot));
    // As on a file system that has become read-only.
    fs::remove_file(slot.path("exit.tmp")).unwrap();
    fs::create_dir(slot.path("exit.tmp")).unwrap();
    fs::write(slot.path("go"), "").unwrap();
    assert_eq!(line.exited().exit, code(4));
    line.ask(Request::Retire, &[]);
    eventually("it is gone", || slot.has_ended());
    assert_eq!(slot.text("exit"), "");
}

#[test]
fn of_a_state_and_an_exit_the_one_of_the_newer_run_counts_whatever_the_clock_says() {
    let gone = {
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id()
    };
    let exit = |run: u64, wall: i64| format!("v=1\nrun={run}\nkind=1\nvalue=9\nwall={wall}\nuser=0\nsystem=0\nrss=0\n");
    // Killed before its state was written, and the clock was set back.
    let slot = Slot::new();
    write_state(&slot.dir, 6, gone, 1, None);
    fs::write(slot.path("exit"), exit(7, 5)).unwrap();
    let (_line, welcome) = slot.shim();
    assert_eq!((welcome.phase, welcome.run, welcome.exit), (ENDED, 7, (exit_kind::SIGNAL, 9)));
    // Its end was seen by nobody, and the clock was set back before it was made.
    let slot = Slot::new();
    write_state(&slot.dir, 8, gone, 1, None);
    fs::write(slot.path("exit"), exit(7, 2_000_000)).unwrap();
    let (_line, welcome) = slot.shim();
    assert_eq!((welcome.phase, welcome.run, welcome.exit), (ENDED, 8, (exit_kind::UNKNOWN, 0)));
}

#[test]
fn many_connections_do_not_lock_a_new_engine_out() {
    let slot = Slot::new();
    let (_line, _) = slot.shim();
    let idle: Vec<_> = (0..30).map(|_| slot.connect()).collect();
    assert_eq!(slot.connect().greet().phase, phase::FRESH);
    drop(idle);
}

#[test]
fn a_shim_ends_when_it_is_retired_and_nothing_is_left() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    line.spawn(1, 0, &shell("sleep 300"));
    line.ask(Request::Retire, &[]);
    assert_eq!(line.greet().phase, RUNNING, "not while a run is there");
    line.end_all(0);
    assert_eq!(slot.bury(), Some(0));
    assert!(line.is_cut() && !slot.path("ctl.sock").exists());
}

#[test]
fn an_idle_shim_ends_by_itself_but_not_while_a_run_or_a_client_is_there() {
    let slot = Slot::new();
    let line = slot.launch(Some(1));
    assert_eq!(line.greet().phase, phase::FRESH);
    line.spawn(1, 0, &shell("until test -e go; do sleep 0.01; done").within(&slot));
    drop(line);
    let line = slot.connect();
    assert_eq!(line.greet().phase, RUNNING);
    fs::write(slot.path("go"), "").unwrap();
    eventually("the run ends", || line.greet().phase == ENDED);
    assert!(!slot.has_ended());
    drop(line);
    assert_eq!(slot.bury(), Some(0));
}

/// Linux ends at once what is born into a cgroup that was ended by `cgroup.kill` before (seen in 6.18).
#[test]
fn a_service_is_started_in_its_cgroup_also_after_everything_in_that_was_killed() {
    let cgroups = Cgroups::discover();
    let name = format!("castest-{}-{:016x}", std::process::id(), fastrand::u64(..));
    let web = ServiceName::new("web").unwrap();
    let Some(cage) = cgroups.prepare(&name, &web, &Limits::default()).unwrap() else {
        return assert!(cgroups.note().is_some(), "where there is no cgroup, it is said why");
    };
    let mut service = shell("exec sleep 300");
    service.cgroups = cage.procs_files().iter().map(|file| file.to_str().unwrap().to_owned()).collect();
    let slot = Slot::new();
    let (line, _) = slot.shim();
    for run in 1..=3 {
        let pid = line.spawn(run, 0, &service);
        assert_eq!(cage.members(), [pid]);
        cage.kill().unwrap();
        assert_eq!(line.exited().exit, by_signal(9));
        assert!(line.end_all(0).is_empty());
    }
    let gone = || {
        cage.remove();
        !cage.dir().exists()
    };
    eventually("its cgroup is removed", gone);
}

#[test]
fn a_shim_that_is_asked_to_end_does_not_stay_idle_and_its_run_is_not_touched() {
    let slot = Slot::new();
    let (line, welcome) = slot.shim();
    let main = line.spawn(1, 0, &shell("exec sleep 300"));
    signal(welcome.shim, Signal::TERM);
    assert!(is_alive(main) && line.greet().phase == RUNNING);
    signal(main, Signal::TERM);
    assert_eq!(line.exited().exit, by_signal(15));
    line.greet();
    drop(line);
    eventually("it does not stay for a minute", || slot.has_ended());
    assert!(slot.text("exit").contains("value=15"));
}

/// What the kernel says of a process's limit of processes: soft and hard.
fn process_limits(pid: u32) -> Vec<String> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max processes")).unwrap();
    line.split_ascii_whitespace().skip(2).take(2).map(str::to_owned).collect()
}

#[test]
fn a_limit_of_processes_holds_for_its_run_alone_and_engines_of_any_age_are_understood() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    let own = process_limits(std::process::id());
    // An older engine says nothing of it; one that is newer than the shim says more.
    let orders: [(&[u8], Vec<String>); 4] = [
        (&[], own.clone()),
        (&345_u64.to_le_bytes(), vec!["345".to_owned(); 2]),
        (&[&346_u64.to_le_bytes()[..], &[0xff; 32]].concat(), vec!["346".to_owned(); 2]),
        (&0_u64.to_le_bytes(), own),
    ];
    for (run, (more, wanted)) in (1..).zip(orders) {
        line.order_with(run, 0, &shell("exec sleep 300"), more);
        line.expect(Notice::Spawned);
        let welcome = line.greet();
        assert_eq!((welcome.run, process_limits(welcome.pid)), (run, wanted));
        assert_eq!(line.end_all(0), [0_u32; 0]);
    }
}
