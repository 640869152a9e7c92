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
fn what_is_typed_faster_than_the_service_reads_is_kept_and_said_to_be_typed() {
    let slot = Slot::new();
    let (line, _) = slot.shim();
    let go = slot.path("go");
    let script =
        format!("stty raw -echo; echo ready; until [ -e {} ]; do sleep 0.01; done; head -c 200000", go.display());
    line.spawn(1, spawn_flags::TTY, &shell(&script));
    eventually("it is there", || slot.output().out().contains("ready"));
    let typed = (0..50_000).map(|number| (100 + number % 900).to_string() + "\n").collect::<String>();
    let mut pieces = typed.as_bytes().chunks(4000);
    let mut is_full = false;
    for piece in pieces.by_ref() {
        line.ask(Request::Input, &[piece]);
        // A shim hears a few packets in a turn, and says at its end what it owes.
        let said: Vec<Notice> = (0..20)
            .flat_map(|_| {
                line.ask(Request::Count, &[]);
                let before = std::iter::from_fn(|| Some(line.hear(60_000).unwrap().notice));
                before.take_while(|notice| *notice != Notice::Census).collect::<Vec<_>>()
            })
            .collect();
        is_full = !said.contains(&Notice::Typed);
        if is_full {
            break;
        }
    }
    assert!(is_full, "a terminal that nobody reads takes less than that");
    // More is refused, other requests are not.
    line.ask(Request::Input, &[b"lost"]);
    assert_eq!(line.expect(Notice::Refused).i32(), Errno::AGAIN.raw_os_error());
    assert!(line.count() > 0);
    std::fs::write(go, "").unwrap();
    line.expect(Notice::Typed);
    for piece in pieces {
        line.ask(Request::Input, &[piece]);
        line.expect(Notice::Typed);
    }
    assert_eq!(line.exited().exit, code(0));
    assert!(
        slot.output().out().strip_prefix("ready\r\n").or(slot.output().out().strip_prefix("ready\n")) == Some(&typed)
    );
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
