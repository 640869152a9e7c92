//! Output: in the segments, in the index, once.

use cas::shim_format::{ExitFile, IndexKind, Notice, Request, STDOUT, spawn_flags};
use rustix::process::Signal;

use super::rig::{Slot, by_signal, code, is_alive, numbered, shell, signal, stat};
use crate::support::eventually;

#[test]
fn what_a_run_writes_is_in_segment_and_index_and_the_exit_record_says_how_it_ended() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    line.spawn(1, spawn_flags::SPLIT, &shell("echo to out; echo to err >&2; printf unfinished; exit 7"));
    let exited = line.exited();
    assert_eq!((exited.run, exited.exit, exited.leftover), (1, code(7), 0));
    assert!(exited.max_rss_kib > 0);
    let output = slot.output();
    assert_eq!((output.out().as_str(), output.err().as_str()), ("to out\nunfinished", "to err\n"));
    assert_eq!(exited.end, (1, "to out\nto err\nunfinished".len() as u64));
    let record = slot.text("exit");
    let record = ExitFile::parse(&record).unwrap();
    assert_eq!((record.run, record.kind, record.value), (1, 0, 7));
}

#[test]
fn with_one_fifo_for_both_the_order_is_kept() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    line.spawn(1, 0, &shell("for i in 1 2 3 4 5 6 7 8 9; do echo o$i; echo e$i >&2; done; kill -9 $$"));
    assert_eq!(line.exited().exit, by_signal(9));
    let expected: String = (1..10).flat_map(|i| [format!("o{i}\n"), format!("e{i}\n")]).collect();
    assert_eq!(slot.output().out(), expected);
}

#[test]
fn several_runs_follow_each_other_in_one_slot_and_the_index_tells_them_apart() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    for run in 1..=5 {
        line.spawn(run, 0, &shell("echo hello"));
        assert_eq!(line.exited().run, run);
    }
    let output = slot.output();
    assert_eq!(output.out(), "hello\n".repeat(5));
    assert_eq!(output.runs.values().copied().collect::<Vec<_>>(), [6; 5]);
}

#[test]
fn a_reader_that_armed_is_told_once_when_there_is_more() {
    let slot = Slot::new();
    let (line, welcome) = slot.shim();
    let (segment, offset) = welcome.end;
    line.ask(Request::Arm, &[&segment.to_le_bytes(), &offset.to_le_bytes()]);
    line.spawn(1, 0, &shell("echo one; read never < /dev/zero; sleep 300"));
    let mut wrote = line.expect(Notice::Wrote);
    assert_eq!((wrote.u64(), wrote.u64()), (1, 4));
    line.ask(Request::Arm, &[&1_u64.to_le_bytes(), &0_u64.to_le_bytes()]);
    let mut wrote = line.expect(Notice::Wrote);
    assert_eq!((wrote.u64(), wrote.u64()), (1, 4), "what is there already is told at once");
}

#[test]
fn segments_are_rotated_and_the_oldest_go_when_all_are_too_large() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    line.keep(16_384, 65_536, false);
    line.spawn(1, 0, &shell("seq 1 40000"));
    line.exited();
    let segments = slot.segments();
    assert!(segments[0] > 1, "nothing was removed: {segments:?}");
    let size = |name: String| std::fs::metadata(slot.path(&name)).unwrap().len();
    let total: u64 = segments.iter().map(|no| size(format!("log.{no:06}")) + size(format!("idx.{no:06}"))).sum();
    assert!(total <= 65_536, "{total}");
    assert!(segments.iter().all(|no| size(format!("log.{no:06}")) <= 16_384));
    let all = numbered("", 40_000, "\n");
    let kept = slot.output().out();
    assert!(kept.len() > 30_000 && all.ends_with(&kept), "{}", kept.len());
    for name in std::fs::read_dir(&slot.dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()) {
        let index = name.strip_prefix("idx.").map(|number| number.parse::<u64>().unwrap());
        assert!(index.is_none_or(|number| segments.contains(&number)), "{name} was left");
    }
}

#[test]
fn archives_count_and_are_removed_with_their_index() {
    for ending in ["zst", "gz"] {
        let slot = Slot::new();
        let archive = slot.path(&format!("log.000003.{ending}"));
        std::fs::write(&archive, vec![0; 60_000]).unwrap();
        std::fs::write(slot.path("idx.000003"), []).unwrap();
        let (line, welcome) = slot.shim();
        assert_eq!(welcome.end, (4, 0), "an archive is never written to");
        line.keep(16_384, 65_536, false);
        line.count();
        assert!(!archive.exists() && !slot.path("idx.000003").exists(), "{ending}");
        assert_eq!(slot.segments(), [4]);
    }
}

#[test]
fn bytes_that_a_dead_shim_could_not_index_are_recovered_and_nothing_is_overwritten() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    line.spawn(1, 0, &shell("echo known"));
    line.exited();
    slot.kill_shim();
    let mut log = std::fs::read(slot.path("log.000001")).unwrap();
    log.extend_from_slice(b"unsaid\n");
    std::fs::write(slot.path("log.000001"), log).unwrap();
    let mut index = std::fs::read(slot.path("idx.000001")).unwrap();
    index.extend_from_slice(&[1; 17]);
    std::fs::write(slot.path("idx.000001"), index).unwrap();
    let (line, welcome) = slot.shim();
    assert_eq!(welcome.end, (1, 13));
    line.spawn(2, 0, &shell("echo more"));
    line.exited();
    assert_eq!(slot.output().out(), "known\nunsaid\nmore\n");
    let recovered = slot.index(1)[1];
    assert_eq!((recovered.kind, recovered.offset, recovered.len), (IndexKind::Recovered, 6, 7));
    assert_eq!((recovered.run, recovered.stream), (1, STDOUT));
}

#[test]
fn an_index_that_is_ahead_of_its_segment_begins_a_new_one() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    line.spawn(1, 0, &shell("echo before the power cut"));
    line.exited();
    slot.kill_shim();
    std::fs::write(slot.path("log.000001"), b"bef").unwrap();
    let (_line, welcome) = slot.shim();
    assert_eq!(welcome.end, (2, 0));
}

#[test]
fn a_grandchild_that_keeps_the_output_open_does_not_delay_the_exit_and_is_read_on() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    line.spawn(1, 0, &shell("setsid sh -c 'trap \"echo later\" USR1; echo $$; while :; do sleep 0.05; done' & exit 3"));
    let exited = line.exited();
    assert_eq!((exited.exit, exited.leftover > 0), (code(3), true));
    eventually("the grandchild speaks", || slot.output().out().ends_with('\n'));
    let pid: u32 = slot.output().out().trim().parse().unwrap();
    eventually("its output is read on", || {
        signal(pid, Signal::USR1);
        slot.output().out().contains("later\n")
    });
    assert!(line.count() > 0);
    assert_eq!(line.end_all(0), [0_u32; 0]);
    assert!(!is_alive(pid));
}

#[test]
fn orphans_of_a_service_leave_no_zombies_with_the_shim() {
    let slot = Slot::new();
    let (line, welcome) = slot.shim();
    let script = "i=0; while [ $i -lt 50 ]; do (true & true & ) ; i=$((i+1)); done; sleep 300";
    let main = line.spawn(1, 0, &shell(script));
    let children = || std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", welcome.shim)).unwrap();
    eventually("the main process is its only child", || children().trim() == main.to_string());
}

#[test]
fn a_stopped_shim_blocks_its_service_and_nothing_is_lost() {
    let slot = Slot::new();
    let (line, welcome) = slot.shim();
    signal(welcome.shim, Signal::STOP);
    eventually("the shim stands", || stat(welcome.shim).unwrap().0 == 'T');
    signal(welcome.shim, Signal::CONT);
    let main = line.spawn(1, 0, &shell("read go < /dev/zero & seq 1 60000; exit 5"));
    signal(welcome.shim, Signal::STOP);
    eventually("the service is done or waits for room", || matches!(stat(main), Some(('S' | 'Z', _)) | None));
    signal(welcome.shim, Signal::CONT);
    assert_eq!(line.exited().exit, code(5));
    let expected = numbered("", 60_000, "\n");
    assert_eq!(slot.output().out(), expected);
}
