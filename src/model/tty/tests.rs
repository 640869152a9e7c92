//! Sequences as programs write them.

use super::{Past, Watched};

/// What an editor does at its start and leaves undone while it runs.
const EDITOR: &[u8] = b"\x1b[?1049h\x1b[22;0;0t\x1b[>4;2m\x1b[?1h\x1b=\x1b[?2004h\x1b[1;24r\x1b[?12h\x1b[?25l\
    \x1b[>c\x1b]11;?\x07\x1b[6n\x1b[2 q\x1b[>1u\x1b]12;red\x07~\r\n";

#[test]
fn what_was_done_to_a_terminal_is_undone_wherever_it_was_cut() {
    let mut whole = Watched::default();
    whole.saw(EDITOR);
    let undo = whole.undo();
    for piece in [
        "\x1b[?1049l",
        "\x1b[>4m",
        "\x1b[?1l",
        "\x1b>",
        "\x1b[?2004l",
        "\x1b[r",
        "\x1b[?25h",
        "\x1b[0 q",
        "\x1b[<1u",
        "\x1b]112\x1b\\",
    ] {
        assert!(undo.contains(piece), "{piece:?} is missing in {undo:?}");
    }
    assert!(undo.ends_with("\x1b[?1049l") && whole.is_alternate());
    let mut cut = Watched::default();
    for byte in EDITOR {
        cut.saw(&[*byte]);
    }
    assert_eq!(cut.undo(), undo);
    // Half of a string: ended, not swallowed.
    cut.saw(b"\x1b]0;a title without an end");
    assert!(cut.undo().starts_with("\x1b\\"));
}

#[test]
fn who_cleans_up_leaves_nothing_to_undo() {
    let mut watched = Watched::default();
    watched.saw(b"plain \x1b[31mred\x1b[0m\r\n");
    let fresh = watched.undo();
    assert!(!fresh.contains("1049"), "the cursor of a terminal that was never left is not moved: {fresh:?}");
    watched.saw(EDITOR);
    watched.saw(b"\x1b[?1049l\x1b[>4m\x1b[?1l\x1b>\x1b[?2004l\x1b[r\x1b[?25h\x1b[0 q\x1b[<u\x1b]112\x07");
    assert_eq!(watched.undo(), fresh);
}

#[test]
fn a_sequence_without_an_end_costs_bounded_memory_and_what_follows_is_seen() {
    let mut watched = Watched::default();
    watched.saw(b"\x1b]52;c;");
    for _ in 0..64 {
        watched.saw(&[b'a'; 16 * 1024]);
    }
    watched.saw(b"\x1b[?1000h");
    assert!(watched.undo().contains("\x1b[?1000l"));
}

#[test]
fn who_looks_later_sees_the_text_and_gets_the_modes_but_no_question() {
    let mut past = Past::new(100);
    past.saw("old\r\n".repeat(100).as_bytes());
    past.saw("\x1b[31mrot 漢字\x1b[0m\x1b[6n\x1b[c\x1b]11;?\x07\r\n$ \x08\x1b[K\x1b[?2004h".as_bytes());
    let shown = past.show();
    assert!(shown.ends_with("\x1b[31mrot 漢字\x1b[0m\r\n$ \u{8}\x1b[0K\x1b[?2004h"), "{shown:?}");
    assert!(shown.starts_with("old\r\n") && shown.len() < 120, "{shown:?}");
    assert!(!past.must_draw());
}

#[test]
fn who_looks_later_at_an_editor_gets_an_empty_screen_for_it_to_draw_on() {
    let mut past = Past::new(4096);
    past.saw(b"$ vim\r\n");
    past.saw(EDITOR);
    let shown = past.show();
    assert!(shown.starts_with("\x1b[?1049h\x1b[H\x1b[2J") && !shown.contains('~'), "{shown:?}");
    for piece in ["\x1b[>4;2m", "\x1b[?1h", "\x1b=", "\x1b[?2004h", "\x1b[?25l", "\x1b[2 q", "\x1b[>1u"] {
        assert!(shown.contains(piece), "{piece:?} is missing in {shown:?}");
    }
    for question in ["\x1b[6n", "\x1b[>c", "11;?"] {
        assert!(!shown.contains(question), "{question:?} is in {shown:?}");
    }
    assert!(past.must_draw());
    past.saw(b"\x1b[?1049l$ ");
    assert!(past.show().starts_with("$ vim\r\n$ "), "{:?}", past.show());
}
