//! Services that write what a terminal must never see, and windows that change their size all the time.

use super::terminal::{Launch, Project, Terminal};

/// Everything that would change a terminal, then a sign that it is over; then it stays.
const HOSTILE: &str = r#"import sys, time
out = sys.stdout.buffer
def say(data):
    out.write(data + b"\n")
    out.flush()
out.write(b"x" * 10_000_000 + b"\n")
say(b"clip \x1b]52;c;UEFZTE9BRA==\x07 \x1b]52;c;UEFZTE9BRA==\x1b\\ clip")
say(b"title \x1b]0;PWNED-TITLE\x07 \x1b]2;PWNED-TITLE\x1b\\ title")
say(b"link \x1b]8;;http://evil.example/PWNED-LINK\x1b\\text\x1b]8;;\x1b\\ link")
say(b"dcs \x1bP$qPWNED-DCS\x1b\\ apc \x1b_PWNED-APC\x1b\\ pm \x1b^PWNED-PM\x1b\\ sos \x1bXPWNED-SOS\x1b\\")
say(b"cursor \x1b[2J\x1b[H\x1b[10;10HPLACED\x1b[?1049l\x1b[?25h\x1bc\x1b[3;5r\x1b[?1000l\x1b(0qqq\x1b[20T\x1b[5i")
say(b"nul \x00\x00\x00 bell \x07 back \x08\x08\x08\x08 tab \t vt \x0b ff \x0c so \x0e si \x0f del \x7f")
say(b"utf8 \xff\xfe\xc3\x28\xf0\x28\x8c\x28 \xed\xa0\x80 end")
say(b"c1raw \x9b31m\x9d52;c;cmF3\x9c end")
say("c1 \u009b31m\u009d52;c;UEFZTE9BRA==\u009c\u0090PWNED\u009c end".encode())
say("bidi \u202eesrever\u202c \u2066iso\u2069 \u200b\u200d\ufeff end".encode())
say("wide \U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f \U0001f1e9\U0001f1ea \u4f60\u597d e\u0301\u0323 \u05d0\u05d1\u05d2".encode())
say(b"return overwritten\rPWNED-CR")
say(b"open \x1b]0;never closed")
say(b"colour \x1b[31mred\x1b[0m \x1b[38;2;1;2;3mrgb\x1b[m \x1b[7;5mloud")
say(b"the hostile part is over")
time.sleep(1000)
"#;

/// What must never come out of `cas`, whatever a service writes.
const FORBIDDEN: [(&str, &[u8]); 12] = [
    ("an operating system command", b"\x1b]"),
    ("a device control string", b"\x1bP"),
    ("an application program command", b"\x1b_"),
    ("a privacy message", b"\x1b^"),
    ("a start of string", b"\x1bX"),
    ("a reset", b"\x1bc"),
    ("a change of the character set", b"\x1b(0"),
    ("a bell", b"\x07"),
    ("NUL", b"\x00"),
    ("an override of direction", "\u{202e}".as_bytes()),
    ("C1 CSI", "\u{9b}".as_bytes()),
    ("C1 OSC", "\u{9d}".as_bytes()),
];

fn contains(raw: &[u8], wanted: &[u8]) -> bool {
    raw.windows(wanted.len()).any(|window| window == wanted)
}

fn project() -> Project {
    let project = Project::yaml(
        "  evil: {command: [python3, -u, hostile.py], autostart: true}\n  quiet: {command: [sleep, '1000'], autostart: true}\n",
    );
    project.write("hostile.py", HOSTILE);
    project
}

fn is_corner(c: char) -> bool {
    "╭╮╰╯┌┐└┘╔╗╚╝".contains(c)
}

#[test]
fn hostile_output_changes_neither_the_terminal_nor_the_frames() {
    let project = project();
    project.write(
        "hostile.py",
        &HOSTILE.replacen(
            "import sys, time",
            "import sys, time\nwhile not __import__('os').path.exists('go'): time.sleep(0.02)",
            1,
        ),
    );
    let mut terminal = Terminal::open(&project);
    terminal.eventually("both run", |s| s.is("evil", "running") && s.is("quiet", "running"));
    let frames = terminal.screen().places(is_corner);
    assert!(frames.len() >= 20, "five panes have four corners each:\n{}", terminal.screen().text());

    project.write("go", "");
    terminal.until_shows("the hostile part is over");
    assert_eq!(terminal.screen().places(is_corner), frames, "{}", terminal.screen().text());

    // All of it in the largest view, and the long line again and again on the way.
    terminal.type_keys("4zgGggG");
    terminal.eventually("only the logs are there", |s| s.shows("PWNED-CR") && s.places(is_corner).len() == 4);
    for row in terminal.screen().text().lines().skip(3).take(30) {
        assert!(row.starts_with('│'), "a frame is broken at {row:?}:\n{}", terminal.screen().text());
    }
    terminal.type_keys("W");
    terminal.type_keys("WG");
    terminal.until_shows("the hostile part is over");
    terminal.type_keys("z2");
    terminal.eventually("the keys still work", |s| s.is("evil", "running") && s.places(is_corner) == frames);

    let raw = terminal.raw();
    for (what, bytes) in FORBIDDEN {
        assert!(!contains(&raw, bytes), "{what} came through");
    }
    for payload in ["UEFZTE9BRA==", "PWNED-TITLE", "PWNED-LINK", "PWNED-DCS"] {
        assert!(!contains(&raw, payload.as_bytes()), "{payload} came through");
    }
    terminal.type_keys("qs");
    assert_eq!(terminal.ends(), 0);
    terminal.is_given_back();
    assert_eq!(project.living(""), []);
}

#[test]
fn hostile_output_is_as_harmless_in_plain_logs() {
    let project = project();
    let mut terminal = Terminal::launch(&project, &Launch { arguments: &["up", "--no-tui"], ..Launch::default() });
    terminal.until_shows("the hostile part is over");
    let raw = terminal.raw();
    for (what, bytes) in FORBIDDEN {
        assert!(!contains(&raw, bytes), "{what} came through");
    }
    terminal.type_keys("\x03");
    assert_eq!(terminal.ends(), 130);
    assert_eq!(project.living(""), []);
}

#[test]
fn a_window_that_changes_its_size_all_the_time_stays_usable_in_a_flood() {
    let project = Project::yaml(
        "  flood: {command: [python3, -u, flood.py], autostart: true}\n  web: {command: [sleep, '1000'], autostart: true}\n",
    );
    project.write(
        "flood.py",
        "import time\nn = 0\nwhile True:\n    for _ in range(100):\n        n += 1\n        print(n, 'flood \u{1f600} ' * 12)\n    time.sleep(0.02)\n",
    );
    let mut terminal = Terminal::open(&project);
    terminal.eventually("both run", |s| s.is("flood", "running") && s.is("web", "running"));
    let mut dice = fastrand::Rng::with_seed(39);
    let special = [(1, 1), (2, 2), (1, 36), (120, 1), (3, 2), (28, 7), (27, 6), (400, 100)];
    let walk = (0..40).map(|_| (dice.u16(1..200), dice.u16(1..60)));
    // In the end they leave everything as it was, whatever the window did meanwhile.
    let keys = ["j", "4", "WW", "5", "zz", "2", "\t", "?q", "g", "G", "3"];
    for (step, (cols, rows)) in special.into_iter().chain(walk).enumerate() {
        let before = terminal.received();
        terminal.resize(cols, rows, false);
        terminal.type_keys(keys[step % keys.len()]);
        crate::support::eventually("it draws at every size", || terminal.received() > before);
    }
    terminal.resize(120, 36, true);
    terminal.type_keys("2");
    terminal.eventually("all is there again", |s| s.is("flood", "running") && s.is("web", "running"));
    terminal.type_keys("qs");
    assert_eq!(terminal.ends(), 0);
    terminal.is_given_back();
    assert_eq!(project.living(""), []);
}

#[test]
fn without_colours_there_is_none_at_all() {
    let project = Project::yaml("  web: {command: [sleep, '1000'], autostart: true}\n");
    let launch = Launch { environment: &[("NO_COLOR", "1")], ..Launch::default() };
    let mut terminal = Terminal::launch(&project, &launch);
    terminal.eventually("it runs", |s| s.is("web", "running"));
    terminal.type_keys("?");
    terminal.until_shows("Everywhere");
    terminal.type_keys("qqs");
    assert_eq!(terminal.ends(), 0);
    let raw = String::from_utf8(terminal.raw()).unwrap();
    for sequence in raw.split("\x1b[").skip(1) {
        let end = sequence.find(|c: char| c.is_ascii_alphabetic()).unwrap();
        if sequence.as_bytes()[end] != b'm' || sequence.starts_with('>') {
            continue;
        }
        for code in sequence[..end].split(';').filter(|code| !code.is_empty()) {
            let code: u16 = code.parse().unwrap();
            let is_colour = (30..=38).contains(&code) || (40..=48).contains(&code) || (90..=107).contains(&code);
            assert!(!is_colour, "SGR {}", &sequence[..end]);
        }
    }
}
