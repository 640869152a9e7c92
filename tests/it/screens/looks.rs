//! What catches the eye and what keeps still; and, with `CAS_PICTURES=DIR`, pictures of it.

use cas::tui::{Message, theme::Theme};
use crossterm::event::{MouseButton, MouseEventKind};
use ratatui::style::Modifier;

use super::{
    fixture::named,
    harness::{Console, LARGE, MEDIUM, SMALL},
};

#[test]
fn every_mood_can_be_drawn_in_every_theme_and_size() {
    for theme in ["catppuccin-mocha", "catppuccin-latte", "high-contrast", "terminal"] {
        for world in ["demo", "two_down", "held", "refused"] {
            for (name, size) in [("80", SMALL), ("100", (100, 30)), ("120", MEDIUM), ("200", LARGE)] {
                let world_ = named(world);
                let logs = world_.logs.clone();
                let mut console = Console::themed(world_, size, Theme::load(theme, None).unwrap());
                console.say(Message::LogHistory(logs));
                console.keys("j");
                crate::picture::show(console.draw(), &format!("{theme}-{world}-{name}"));
            }
        }
    }
}

/// Rows from the top at which the frames of the left and of the right half of the screen begin.
fn frames(text: &str) -> (Vec<usize>, Vec<usize>) {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for (row, line) in text.lines().enumerate() {
        let middle = line.chars().count() / 2;
        for (column, _) in line.chars().enumerate().filter(|(_, letter)| *letter == '╭') {
            if column < middle { left.push(row) } else { right.push(row) }
        }
    }
    (left, right)
}

#[test]
fn a_short_list_of_services_leaves_the_room_to_the_logs() {
    let (left, right) = frames(&Console::open("demo", LARGE).text());
    assert_eq!(left, [1, 6, 16]);
    assert!(right[1] > left[2], "the graphs keep their room: {right:?}");
}

#[test]
fn a_long_list_of_services_leaves_most_of_the_column_to_the_logs() {
    let (left, _) = frames(&Console::open("thousand", LARGE).text());
    let (services, logs) = (left[2] - left[1], 49 - left[2]);
    assert!(services >= 20 && services * 100 <= 48 * 45 && logs > 20, "{left:?}");
}

#[test]
fn heights_are_moved_by_keys_beside_the_focus_and_stay_when_services_come() {
    let mut console = Console::open("demo", LARGE);
    let (left, right) = frames(&console.text());
    let (taller, same) = frames(&console.keys("++").text());
    assert_eq!((taller[2] - left[2], &same), (2, &right));
    let (same, shorter) = frames(&console.keys("5-").text());
    assert_eq!((&same, right[1] - shorter[1]), (&taller, 1));
    console.say(Message::Snapshot(std::sync::Arc::new(named("thousand").snapshot)));
    assert_eq!(frames(&console.text()).0[2], taller[2]);
    assert!(frames(&console.keys("=").text()).0[2] > taller[2]);
}

#[test]
fn every_border_between_panes_follows_the_pointer() {
    for (from, to) in [((30, 6), (30, 12)), ((30, 16), (30, 30)), ((150, 25), (150, 40)), ((150, 25), (150, 9))] {
        let mut console = Console::open("demo", LARGE);
        console.mouse(MouseEventKind::Down(MouseButton::Left), from.0, from.1);
        console.mouse(MouseEventKind::Drag(MouseButton::Left), to.0, to.1);
        console.mouse(MouseEventKind::Up(MouseButton::Left), to.0, to.1);
        let text = console.text();
        let (left, right) = frames(&text);
        let side = if from.0 < 100 { left } else { right };
        assert!(side.contains(&usize::from(to.1)), "{from:?} to {to:?}: {text}");
    }
}

#[test]
fn what_is_broken_is_a_block_and_what_is_well_is_not() {
    let mut console = Console::open("two_down", MEDIUM);
    let text = console.text();
    let is_block = |console: &mut Console, word: &str| {
        let (row, line) = text.lines().enumerate().find(|(_, line)| line.contains(word)).expect("it is shown");
        let column = line[..line.find(word).unwrap()].chars().count();
        let cell = &console.draw()[(u16::try_from(column).unwrap(), u16::try_from(row).unwrap())];
        cell.modifier.contains(Modifier::REVERSED)
    };
    for word in ["gave-up", "failed", "✗2"] {
        assert!(is_block(&mut console, word), "{word}: {text}");
    }
    for word in ["running", "healthy", "●1"] {
        assert!(!is_block(&mut console, word), "{word}: {text}");
    }
}

#[test]
fn counts_autopilot_and_clock_are_in_the_header_of_every_common_size() {
    for world in ["demo", "held", "retrying", "connected", "thousand"] {
        for size in [SMALL, MEDIUM, LARGE] {
            let text = Console::open(world, size).text();
            let header = text.lines().next().unwrap();
            assert!(header.contains("14:03:07") && header.contains("auto") && header.contains('●'), "{header}");
        }
    }
}

#[test]
fn the_timeline_does_not_say_twice_what_the_row_says_and_the_details_do() {
    use cas::model::{policy::Origin, timeline::What};
    let mut world = named("demo");
    let started = What::Started { pid: 77, attempt: 0 };
    let again = What::Started { pid: 78, attempt: 2 };
    let told = [
        super::fixture::entry(1, 9, Origin::Config, "api", started, "started by the project file"),
        super::fixture::entry(2, 9, Origin::Healer, "api", again, "restarted by the healer after exit code 3, try 2"),
    ];
    world.snapshot.timeline = told.into_iter().map(std::sync::Arc::new).collect();
    let mut console = Console::new(world, LARGE);
    let text = console.text();
    assert!(text.contains("│14:02:58 · api  healer restarted, pid 78, try 2 — after exit code 3  "), "{text}");
    assert!(text.contains("│         · api  file   started, pid 77  "), "{text}");
    assert!(console.keys("5j<enter>").text().contains("started by the project file"));
}

#[test]
fn the_names_of_a_chart_stand_still_while_its_numbers_change() {
    let mut console = Console::open("demo", LARGE);
    let mut legends = Vec::new();
    for rate in [0.0, 900.0, 34_000.0, 1.2e6, 900e6] {
        let mut snapshot = (**console.ui.snapshot()).clone();
        snapshot.revision += 1;
        snapshot.at = snapshot.at.plus(std::time::Duration::from_secs(20));
        snapshot.host.net_rx.push(rate);
        console.say(Message::Snapshot(std::sync::Arc::new(snapshot)));
        let text = console.text();
        let line = text.lines().find(|line| line.contains("net in")).unwrap();
        legends.push(line[..line.find("net in").unwrap()].chars().count());
    }
    legends.dedup();
    assert_eq!(legends.len(), 1, "{legends:?}");
}
