//! Nothing that is typed, clicked, resized or printed ends the console.

use cas::tui::{Message, key, keymap::Keymap, theme::Theme};
use crossterm::event::{MouseButton, MouseEventKind};
use proptest::prelude::*;

use super::{
    fixture::{NOW, batch, id, named},
    harness::Console,
};

const WORLDS: [&str; 12] = [
    "demo",
    "empty",
    "unborn",
    "two_down",
    "held",
    "hostile",
    "refused",
    "retrying",
    "connected",
    "ward",
    "harbour",
    "no_docker",
];

/// Something that a person or a terminal does.
#[derive(Debug, Clone)]
enum Deed {
    Key(usize),
    Letter(char),
    Resize(u16, u16),
    Mouse(u8, u16, u16),
    World(usize),
    Log(String),
    Paste(String),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        8 => any::<usize>().prop_map(Deed::Key),
        2 => any::<char>().prop_map(Deed::Letter),
        2 => (0_u16..220, 0_u16..70).prop_map(|(width, height)| Deed::Resize(width, height)),
        1 => (0_u16..4, 0_u16..4).prop_map(|(width, height)| Deed::Resize(width, height)),
        2 => (0_u8..5, 0_u16..220, 0_u16..70).prop_map(|(kind, column, row)| Deed::Mouse(kind, column, row)),
        1 => (0..WORLDS.len()).prop_map(Deed::World),
        1 => ".{0,300}".prop_map(Deed::Log),
        1 => ".{0,40}".prop_map(Deed::Paste),
    ]
}

fn act(console: &mut Console, deed: Deed, seq: u64) {
    let keymap = Keymap::default();
    let keys: Vec<key::Chord> = keymap.bindings().iter().flat_map(|binding| binding.keys.clone()).collect();
    match deed {
        Deed::Key(number) => console.say(Message::Key(keys[number % keys.len()].event())),
        Deed::Letter(letter) => {
            if let Ok(chord) = letter.to_string().parse::<key::Chord>() {
                console.say(Message::Key(chord.event()));
            }
        }
        Deed::Resize(width, height) => {
            console.resize(width, height);
        }
        Deed::Mouse(kind, column, row) => {
            let kinds = [
                MouseEventKind::Down(MouseButton::Left),
                MouseEventKind::Drag(MouseButton::Left),
                MouseEventKind::Up(MouseButton::Left),
                MouseEventKind::ScrollDown,
                MouseEventKind::ScrollUp,
            ];
            console.mouse(kinds[usize::from(kind) % kinds.len()], column, row);
        }
        Deed::World(number) => {
            let world = named(WORLDS[number]);
            console.say(Message::Snapshot(std::sync::Arc::new(world.snapshot)));
            console.say(Message::Link(world.link));
        }
        Deed::Log(text) => {
            let line = text.replace('\n', " ");
            let batch = batch(&id("demo", "api"), 5, 1000 + seq, 0, &[&line]);
            console.say(Message::Log(cas::model::log::LogNews::Batch(batch)));
        }
        Deed::Paste(text) => console.say(Message::Paste(text)),
    }
    if console.effects.contains(&cas::tui::UiEffect::LoadThemes) {
        console.effects.clear();
        console.say(Message::Themes(vec![Theme::default(), Theme::no_color()]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn random_keys_clicks_sizes_and_lines_never_panic(
        start in 0..WORLDS.len(),
        deeds in prop::collection::vec(deed(), 1..60),
    ) {
        let mut console = Console::open(WORLDS[start], (120, 36));
        for (seq, deed) in (0..).zip(deeds) {
            act(&mut console, deed, seq);
            console.draw();
        }
    }

    #[test]
    fn whatever_is_printed_reaches_the_screen_without_control_characters(lines in prop::collection::vec("\\PC{0,40}|[\\x00-\\x1f\\x7f-\\u{9f}a]{0,40}", 1..20)) {
        let mut world = named("empty");
        world.snapshot.services = named("demo").snapshot.services;
        let lines: Vec<String> = lines.into_iter().map(|line| line.replace('\n', " ")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        world.logs = vec![batch(&id("demo", "api"), 1, 0, 1, &lines)];
        let mut console = Console::new(world, (120, 36));
        let buffer = console.draw();
        let is_safe = |c: char| !c.is_control();
        prop_assert!(buffer.content().iter().all(|cell| cell.symbol().chars().all(is_safe)));
    }
}

#[test]
fn every_size_down_to_nothing_is_drawn_in_every_world() {
    for name in WORLDS {
        let mut console = Console::open(name, (120, 36));
        for (width, height) in [
            (0, 0),
            (1, 1),
            (1, 50),
            (200, 1),
            (2, 2),
            (27, 6),
            (28, 7),
            (29, 8),
            (59, 31),
            (60, 32),
            (99, 29),
            (100, 30),
            (300, 100),
        ] {
            console.resize(width, height);
            for keys in [
                "", "1", "3", "4", "5", "?", "<esc>", ":", "<esc>", "d", "<esc>", "h", "<esc>", "w", "<esc>", "/x",
                "<esc>", "q", "n",
            ] {
                console.keys(keys).draw();
            }
        }
    }
}

#[test]
fn a_terminal_that_is_one_cell_says_what_fits() {
    let mut console = Console::open("demo", (1, 1));
    assert_eq!(console.text().trim_end(), "t");
}

#[test]
fn the_picture_comes_back_after_the_window_was_tiny() {
    let mut console = Console::open("demo", (120, 36));
    let before = console.text();
    console.resize(1, 1).draw();
    console.resize(120, 36);
    assert_eq!(console.text(), before);
}

#[test]
fn a_thousand_services_scroll_to_the_end_and_only_visible_ones_are_drawn() {
    let mut console = Console::open("thousand", (120, 36));
    let text = console.keys("G").text();
    assert!(text.contains("worker-249"), "{text}");
    assert!(text.lines().count() == 36);
}

#[test]
fn a_second_without_news_changes_nothing_but_the_clock() {
    let mut console = Console::open("thousand", (120, 36));
    let before = console.text();
    console.later(NOW.plus(std::time::Duration::from_secs(1)));
    let after = console.text();
    let changed: Vec<(&str, &str)> = before.lines().zip(after.lines()).filter(|(a, b)| a != b).collect();
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert_eq!(changed[0].0.replace("14:03:07", ""), changed[0].1.replace("14:03:08", ""));
}
