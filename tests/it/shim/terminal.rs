//! Services with a terminal.

use cas::shim_format::{Notice, Request, spawn_flags};
use rustix::io::Errno;

use super::rig::{RUNNING, Slot, code, numbered, shell};
use crate::support::eventually;

#[test]
fn a_terminal_is_one_takes_input_and_knows_its_size() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    let script = "test -t 0 && test -t 1 && test -t 2 && echo yes; stty size; \
                  read word; echo got $word; stty size; exec sleep 0";
    line.spawn(1, spawn_flags::TTY, &shell(script));
    eventually("it asks", || slot.output().out().contains("24 80\r\n"));
    line.ask(Request::Resize, &[&40_u16.to_le_bytes(), &100_u16.to_le_bytes()]);
    line.ask(Request::Input, &[b"hello\n"]);
    assert_eq!(line.exited().exit, code(0));
    assert_eq!(slot.output().out(), "yes\r\n24 80\r\nhello\r\ngot hello\r\n40 100\r\n");
}

#[test]
fn a_flood_through_a_terminal_is_whole_at_the_exit() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    line.spawn(1, spawn_flags::TTY, &shell("seq 1 20000"));
    let exited = line.exited();
    let expected = numbered("", 20_000, "\r\n");
    assert_eq!(exited.end, (1, expected.len() as u64));
    assert!(slot.output().out() == expected);
}

#[test]
fn a_terminal_outlives_its_shim() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    line.spawn(1, spawn_flags::TTY, &shell("echo ready; read word; echo got $word; exit 6"));
    eventually("it asks", || slot.output().out() == "ready\r\n");
    slot.kill_shim();
    let (line, welcome) = slot.shim();
    assert_eq!(welcome.phase, RUNNING);
    line.ask(Request::Input, &[b"again\n"]);
    assert_eq!(line.exited().exit, code(6));
    assert_eq!(slot.output().out(), "ready\r\nagain\r\ngot again\r\n");
}

#[test]
fn input_without_a_terminal_is_refused() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    line.ask(Request::Input, &[b"hello"]);
    assert_eq!(line.expect(Notice::Refused).i32(), Errno::NOTTY.raw_os_error());
}
