//! A service's terminal, taken and given back.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use super::terminal::{Launch, Project, Terminal};
use crate::support::eventually;

/// Draws its screen when the window changes, and else never; leaves everything as it likes it.
const EDITOR: &str = r#"printf '\033[?1049h\033[?25l\033[?2004h\033[?1000h\033[?1h\033=\033[>4;2m\033[6n'
draw() { printf '\033[H\033[2JPICTURE of %s' "$(stty size)"; }
trap draw WINCH
draw
while :; do sleep 0.05; done
"#;

fn good(project: &Project, arguments: &[&str]) -> String {
    let ran = project.cas(arguments, &[]);
    assert!(ran.status.success(), "cas {arguments:?}: {ran:?}");
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

/// A daemon with one service that has a terminal and runs `script`.
fn with(script: &str) -> Project {
    let project = Project::yaml("  it: {command: [sh, script.sh], tty: true}\n");
    project.write("script.sh", script);
    good(&project, &["up", "--detach"]);
    project
}

fn attach(project: &Project) -> Terminal {
    let terminal = Terminal::launch(project, &Launch { arguments: &["attach", "it"], ..Launch::default() });
    terminal.eventually("it is attached", |screen| screen.shows("lets go of it") || screen.shows("PICTURE"));
    terminal
}

fn stop(project: &Project) {
    good(project, &["daemon", "stop", "--down"]);
    eventually("nothing is left", || project.relatives().is_empty());
}

/// Its main process.
fn main(project: &Project) -> Pid {
    let status: serde_json::Value = serde_json::from_str(&good(project, &["status", "--json"])).unwrap();
    let pid = status["services"][0]["pid"].as_i64().unwrap();
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

#[test]
fn who_attaches_late_gets_the_screen_drawn_and_gives_the_terminal_back_as_it_was() {
    let project = with(EDITOR);
    for is_late in [false, true] {
        // The second time the window has its size already.
        let mut terminal = attach(&project);
        terminal.until_shows("PICTURE of 36 120");
        terminal.eventually("on the other screen, as the service wants it", |screen| {
            let screen = screen.emulated();
            screen.alternate_screen() && screen.hide_cursor() && screen.bracketed_paste() && screen.application_cursor()
        });
        terminal.resize(80, 24, true);
        terminal.until_shows("PICTURE of 24 80");
        terminal.resize(120, 36, true);
        terminal.until_shows("PICTURE of 36 120");
        terminal.type_keys("\x1d");
        assert_eq!(terminal.ends(), 0);
        terminal.is_given_back();
        for undone in ["\x1b[>4m", "\x1b[?1l", "\x1b>", "\x1b[?1049l"] {
            eventually(undone, || memchr::memmem::find(&terminal.raw(), undone.as_bytes()).is_some());
        }
        let raw = terminal.raw();
        assert!(
            !is_late || memchr::memmem::find(&raw, b"\x1b[6n").is_none(),
            "no terminal answers what was asked of another"
        );
    }
    // As a terminal says the key where a program has asked it to say more.
    let mut terminal = attach(&project);
    terminal.until_shows("PICTURE");
    terminal.type_keys("\x1b[27;5;93~");
    assert_eq!(terminal.ends(), 0);
    terminal.is_given_back();
    stop(&project);
}

#[test]
fn a_paste_is_whole_however_slowly_it_is_read() {
    let script = "stty raw -echo; echo ready; sleep 1; head -c 300000 > pasted; echo done; sleep 1000\n";
    let project = with(script);
    let mut terminal = attach(&project);
    terminal.until_shows("ready");
    let text = (1_000_000..1_000_000 + 300_000 / 8).map(|number| number.to_string() + "\n").collect::<String>();
    terminal.type_keys(&text);
    terminal.until_shows("done");
    assert!(fs::read_to_string(project.root().join("pasted")).unwrap() == text);
    terminal.type_keys("\x1d");
    assert_eq!(terminal.ends(), 0);
    stop(&project);
}

#[test]
fn typing_and_showing_do_not_wait_for_each_other() {
    let project = with("stty raw -echo; echo ready; exec cat\n");
    let mut terminal = attach(&project);
    terminal.until_shows("ready");
    let before = terminal.received();
    let text = "0123456789abcde\n".repeat(64 * 1024);
    terminal.type_keys(&text);
    eventually("all of it comes back", || terminal.received() >= before + text.len());
    terminal.type_keys("\x1d");
    assert_eq!(terminal.ends(), 0);
    stop(&project);
}

#[test]
fn who_types_into_a_service_that_never_reads_can_leave() {
    let project = with("stty raw -echo; echo ready; sleep 1000\n");
    let mut terminal = attach(&project);
    terminal.until_shows("ready");
    terminal.type_keys(&"unheard\n".repeat(40_000));
    terminal.type_keys("\x1d");
    assert_eq!(terminal.ends(), 0);
    terminal.until_shows("let go of");
    stop(&project);
}

#[test]
fn the_last_words_of_a_service_are_shown_and_that_it_has_ended() {
    let project = with("read x; seq 1 20000; echo the very last; exit 3\n");
    let mut terminal = attach(&project);
    terminal.type_keys("\r");
    assert_eq!(terminal.ends(), 0);
    terminal.until_shows("the very last");
    terminal.until_shows("has ended, and its terminal with it");
    terminal.is_given_back();
    stop(&project);
}

#[test]
fn an_engine_that_is_killed_leaves_a_clean_terminal_and_a_service_that_goes_on() {
    let project = with(EDITOR);
    let mut terminal = attach(&project);
    terminal.until_shows("PICTURE");
    let service = main(&project);
    let status: serde_json::Value = serde_json::from_str(&good(&project, &["daemon", "status", "--json"])).unwrap();
    let daemon = Pid::from_raw(i32::try_from(status["pid"].as_i64().unwrap()).unwrap()).unwrap();
    kill_process(daemon, Signal::KILL).unwrap();
    assert_eq!(terminal.ends(), 1);
    terminal.is_given_back();
    terminal.until_shows("the engine does not answer any more");
    assert!(project.living("it").contains(&service), "it goes on");
    good(&project, &["daemon", "start"]);
    eventually("it is taken over", || project.cas(&["status"], &[]).status.success());
    let mut terminal = attach(&project);
    terminal.until_shows("PICTURE");
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.ends(), 130);
    terminal.is_given_back();
    stop(&project);
}

#[test]
fn the_key_of_the_users_file_lets_go_and_the_built_in_one_is_typed_then() {
    let project = with("stty raw -echo; while :; do head -c 1 | od -An -tx1; done");
    let config = project.environment().into_iter().find(|(name, _)| *name == "CAS_CONFIG_DIR").unwrap().1;
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("config.yaml"), "detach_key: ctrl-q\n").unwrap();
    let mut terminal = attach(&project);
    terminal.until_shows("Ctrl-Q lets go of it");
    terminal.type_keys("\x1d");
    terminal.until_shows("1d");
    terminal.type_keys("\x11");
    assert_eq!(terminal.ends(), 0);
    // The same from the console.
    let mut console = Terminal::open(&project);
    console.eventually("it is attached to the daemon", |screen| screen.is("it", "running"));
    console.type_keys("a");
    console.until_shows("Ctrl-Q lets go of it");
    console.type_keys("\x11");
    console.eventually("it is the console again", |screen| screen.is("it", "running"));
    console.type_keys("q");
    assert_eq!(console.ends(), 0);
    stop(&project);
}
