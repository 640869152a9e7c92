//! The demo as a newcomer sees it. With `CAS_PICTURES=DIR` its screens are written there as the pictures of the README.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::terminal::{Launch, Project, Terminal};
use crate::picture;

/// Demos that look for free ports at the same moment find the same ones.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the demo and waits until a crash was healed; for a picture also until the graphs have something to show.
fn demo(project: &Project, size: (u16, u16), keys: &str) -> Terminal {
    let mut terminal =
        Terminal::launch(project, &Launch { arguments: &["demo", "--seed", "7"], size, ..Launch::default() });
    terminal.eventually("a crash is healed", |screen| {
        let row = screen.row("payments");
        row.get(1).is_some_and(|state| state == "running") && row.iter().any(|word| word == "1")
    });
    if picture::is_wanted() {
        for age in ["20s", "40s"] {
            terminal.eventually("some history", |screen| screen.row("cache").iter().any(|word| word == age));
        }
    }
    terminal.type_keys(keys);
    terminal
}

fn leave(mut terminal: Terminal) {
    terminal.type_keys("q");
    terminal.until_shows("are you sure?");
    terminal.type_keys("s");
    assert_eq!(terminal.ends(), 0);
    terminal.is_given_back();
}

#[test]
fn a_newcomer_sees_a_crash_healed_on_one_screen() {
    let _turn = alone();
    let project = Project::yaml("  unused: { command: 'true' }\n");
    let terminal = demo(&project, (200, 50), "G");
    for text in ["cache", "healthy", "payments", "exited with code", "restart"] {
        terminal.until_shows(text);
    }
    picture::show_screen(&terminal.screen().emulated(), "console-200x50");
    leave(terminal);
}

#[test]
fn the_demo_fits_a_laptop() {
    let _turn = alone();
    let project = Project::yaml("  unused: { command: 'true' }\n");
    let mut terminal = demo(&project, (120, 36), "jjjjj4");
    terminal.until_shows("payments");
    picture::show_screen(&terminal.screen().emulated(), "console-120x36");
    terminal.type_keys(":");
    terminal.type_keys("restart ap");
    terminal.until_shows("restart ap");
    picture::show_screen(&terminal.screen().emulated(), "palette-120x36");
    terminal.type_keys("\x1b");
    terminal.eventually("the palette is closed", |screen| !screen.shows("restart ap"));
    leave(terminal);
}

#[test]
fn the_demo_fits_the_smallest_terminal() {
    let _turn = alone();
    let project = Project::yaml("  unused: { command: 'true' }\n");
    let terminal = demo(&project, (80, 24), "");
    picture::show_screen(&terminal.screen().emulated(), "console-80x24");
    leave(terminal);
}
