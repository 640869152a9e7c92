//! A full disk: the service does not notice, or waits, as it was chosen; what is lost is counted.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use cas::shim_format::Notice;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::rig::{Slot, code, is_alive, numbered, shell, stat};
use crate::support::eventually;

/// A small disk over a slot's directory.
struct Disk(PathBuf);

fn run(command: &str, arguments: &[&str], on: &Path) {
    let output = Command::new(command).args(arguments).arg(on).output().unwrap();
    assert!(
        output.status.success(),
        "a small disk needs root: `sudo {command} {} {}`: {}",
        arguments.join(" "),
        on.display(),
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Disk {
    fn over(slot: &Slot) -> Self {
        run("mount", &["-t", "tmpfs", "-o", "size=256k,mode=0700", "cas-test"], &slot.dir);
        fs::set_permissions(&slot.dir, fs::Permissions::from_mode(0o700)).unwrap();
        Self(slot.dir.clone())
    }
    fn grow(&self) {
        run("mount", &["-o", "remount,size=16m"], &self.0);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn lines(count: u32) -> String {
    numbered("", count, "\n")
}

#[test]
fn with_drop_the_service_never_notices_and_each_lost_byte_is_counted() {
    let slot = Slot::new();
    let disk = Disk::over(&slot);
    let (line, _) = slot.shim();
    line.keep(8 << 20, 64 << 20, false);
    line.spawn(1, 0, &shell("seq 1 200000; exit 4"));
    let exited = line.exited();
    assert_eq!(exited.exit, code(4));
    assert!(slot.text("exit").contains("value=4"), "the exit record has its room");
    let mut dropped = line.expect(Notice::Dropped);
    assert!(dropped.u64() > 0);
    disk.grow();
    line.spawn(2, 0, &shell("echo after"));
    assert_eq!(line.exited().exit, code(0));
    eventually("the loss is marked and writing goes on", || {
        let output = slot.output();
        if output.dropped > 0 && !output.out().ends_with("after\n") {
            // It came while the shim still waited, and is counted with the rest.
            let whole = lines(200_000).len() as u64 + "after\n".len() as u64;
            return output.out().len() as u64 + output.dropped == whole;
        }
        output.dropped > 0 && output.out().len() as u64 + output.dropped == lines(200_000).len() as u64 + 6
    });
    let kept = slot.output().out();
    assert!(lines(200_000).starts_with(kept.strip_suffix("after\n").unwrap_or(&kept)));
    line.spawn(3, 0, &shell("echo well again"));
    line.exited();
    assert!(slot.output().out().ends_with("well again\n"));
}

#[test]
fn the_oldest_segments_go_first_and_that_is_marked() {
    let slot = Slot::new();
    let _disk = Disk::over(&slot);
    let (line, _) = slot.shim();
    line.keep(32 << 10, 64 << 20, false);
    line.spawn(1, 0, &shell("seq 1 200000"));
    line.exited();
    let output = slot.output();
    let all = lines(200_000);
    assert!(output.removed > 0 && slot.segments()[0] > 1);
    assert_eq!(output.dropped, 0, "while there are older segments nothing new is lost");
    assert!(output.out().len() > 60_000 && all.ends_with(&output.out()));
}

#[test]
fn with_block_the_service_waits_and_nothing_is_lost() {
    let slot = Slot::new();
    let disk = Disk::over(&slot);
    let (line, welcome) = slot.shim();
    line.keep(8 << 20, 64 << 20, true);
    let main = line.spawn(1, 0, &shell("seq 1 200000; exit 4"));
    eventually("the disk is full", || slot.shim_end() > 150_000);
    let switches = || {
        let text = fs::read_to_string(format!("/proc/{}/status", welcome.shim)).unwrap();
        let numbers = text.lines().filter_map(|line| line.split_once("ctxt_switches:")?.1.trim().parse::<u64>().ok());
        numbers.sum::<u64>()
    };
    let mut last = (0, 0);
    eventually("the service waits", || {
        let now = (slot.shim_end(), last.1 + 1);
        last = if now.0 == last.0 { now } else { (now.0, 0) };
        last.1 > 40
    });
    let before = switches();
    assert!(line.hear(3000).is_none_or(|said| said.notice != Notice::Exited));
    assert!(switches() - before < 60, "it looks now and then, and does not spin");
    assert!(is_alive(main) && stat(main).is_some());
    disk.grow();
    let exited = line.exited();
    assert_eq!(exited.exit, code(4));
    assert_eq!(exited.end.1, lines(200_000).len() as u64);
    let output = slot.output();
    assert_eq!(output.dropped, 0);
    assert!(output.out() == lines(200_000));
}

#[test]
fn without_descriptors_for_a_new_segment_nothing_is_thrown_away() {
    let slot = Slot::new();
    let (line, welcome) = slot.shim();
    line.keep(4096, 1 << 20, false);
    let script =
        "until [ -e go ]; do sleep 0.01; done; seq 1 4000; until [ -e on ]; do sleep 0.01; done; seq 4001 8000";
    line.spawn(1, 0, &shell(script).within(&slot));
    let shim = Pid::from_raw(welcome.shim.cast_signed());
    let before = getrlimit(Resource::Nofile);
    let set = |current| prlimit(shim, Resource::Nofile, Rlimit { current, ..before }).unwrap();
    // As many as are polled: what is open stays so, and nothing more can be opened.
    set(Some(11));
    fs::write(slot.path("go"), "").unwrap();
    let first = numbered("", 4000, "\n");
    eventually("all of it is kept", || slot.shim_end() == first.len() as u64);
    assert_eq!(slot.segments(), [1]);
    set(before.current);
    fs::write(slot.path("on"), "").unwrap();
    assert_eq!(line.exited().exit, code(0));
    let output = slot.output();
    let all = numbered("", 8000, "\n");
    assert_eq!((output.dropped, output.out()), (0, all));
    assert!(slot.segments().len() > 2, "it is rotated again");
}
