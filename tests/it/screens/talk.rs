//! What keys, lines and clicks ask of the engine and of the terminal.

use std::sync::Arc;

use cas::{
    insight::filter::{Pattern, Reading},
    model::{
        log::LogNews,
        policy::{Consent, Origin},
    },
    tui::{
        Message, Pane, UiEffect,
        action::{Action, Layer},
        key,
        keymap::{DEFAULTS, Keymap},
    },
};
use crossterm::event::{MouseButton, MouseEventKind};

use super::{
    fixture::{batch, id, named},
    harness::{Console, LARGE, MEDIUM, SMALL},
};

fn asked(world: &str, keys: &str) -> Vec<String> {
    let mut console = Console::open(world, MEDIUM);
    console.keys(keys);
    console.lines()
}

#[test]
fn restart_asks_for_the_selected_service_by_its_full_name() {
    assert_eq!(asked("demo", "r"), ["restart demo/api"]);
    assert_eq!(asked("demo", "jjR"), ["restart demo/worker --with-dependents"]);
}

#[test]
fn one_key_starts_what_is_down_and_stops_what_is_up() {
    assert_eq!(asked("two_down", "s"), ["stop shop/web"]);
    assert_eq!(asked("two_down", "js"), ["start shop/db"]);
    assert_eq!(asked("two_down", "*s"), ["start shop/db shop/mailer"]);
}

#[test]
fn a_command_goes_to_all_that_are_marked() {
    assert_eq!(asked("demo", "<space><space>r"), ["restart demo/api demo/cache"]);
    assert_eq!(asked("demo", "*Ar"), ["restart demo/api"]);
}

#[test]
fn a_key_that_does_not_apply_asks_nothing_and_says_why() {
    let mut console = Console::open("held", MEDIUM);
    console.keys("jjjjjK");
    assert!(console.lines().is_empty());
    let text = console.text();
    assert!(text.contains("kill does nothing to idle: it is stopped"), "{text}");
    assert!(text.contains("stopped by you 2h 30m ago"), "{text}");
}

#[test]
fn keys_ask_first_and_a_yes_carries_the_fingerprint_of_what_was_shown() {
    let mut console = Console::open("demo", MEDIUM);
    console.keys("K").ask_consent();
    let first = console.requests().pop().unwrap();
    assert_eq!((first.origin, first.consent), (Origin::Key, Consent::Ask));
    console.keys("y");
    let second = console.requests().pop().unwrap();
    assert_eq!((second.command, second.consent), (first.command, Consent::Given(42)));
}

#[test]
fn a_no_asks_for_nothing_more() {
    for no in ["n", "<esc>", "q"] {
        let mut console = Console::open("demo", MEDIUM);
        console.keys("X").ask_consent().keys(no);
        assert_eq!(console.lines(), ["stop --all"]);
    }
}

#[test]
fn the_palette_runs_a_line_as_typed() {
    let mut console = Console::open("demo", MEDIUM);
    console.keys(":stop worker --grace 3s<enter>");
    assert_eq!(console.lines(), ["stop worker --grace 3s"]);
    assert_eq!(console.requests()[0].origin, Origin::Palette);
}

#[test]
fn the_palette_completes_commands_and_services_by_a_few_letters() {
    assert_eq!(asked("demo", ":rest<tab>wrk<tab><enter>"), ["restart worker"]);
    assert_eq!(asked("demo", ":sig<tab>hup<tab>cach<tab><enter>"), ["signal HUP cache"]);
}

#[test]
fn the_palette_remembers_lines() {
    assert_eq!(asked("demo", ":start migrate<enter>:<up><enter>"), ["start migrate", "start migrate"]);
}

#[test]
fn the_palette_runs_actions_of_the_screen() {
    let mut console = Console::open("demo", MEDIUM);
    console.keys(":timeline-pane<enter>");
    assert_eq!(console.ui.focus(), Pane::Timeline);
}

#[test]
fn a_line_with_a_fault_stays_and_is_explained() {
    let mut console = Console::open("demo", MEDIUM);
    console.keys(":stop<enter>");
    assert!(console.lines().is_empty());
    assert!(console.text().contains("SERVICE"), "{}", console.text());
}

#[test]
fn signals_are_picked_from_a_list() {
    assert_eq!(asked("demo", "xjj<enter>"), ["signal HUP demo/api"]);
}

#[test]
fn quitting_asks_what_becomes_of_services_and_not_where_another_process_keeps_them() {
    let mut left = Console::open("demo", MEDIUM);
    left.keys("qy<enter>r");
    assert_eq!(left.effects, [], "yes is no answer to it, and it stays open");
    left.keys("d");
    assert_eq!(left.effects, [UiEffect::LeaveRunning]);
    let mut stays = Console::open("demo", MEDIUM);
    stays.keys("q<esc>d");
    assert_eq!(stays.effects, [], "d is the key of the detail again");
    let mut local = Console::open("demo", MEDIUM);
    local.keys("q");
    assert!(local.effects.is_empty());
    local.keys("s");
    assert_eq!(local.effects, [UiEffect::StopAllAndQuit]);
    local.keys("q");
    assert_eq!(local.effects, [UiEffect::StopAllAndQuit, UiEffect::Quit]);
    let mut connected = Console::open("connected", MEDIUM);
    connected.keys("q");
    assert_eq!(connected.effects, [UiEffect::Quit]);
    let mut empty = Console::open("empty", MEDIUM);
    empty.keys("q");
    assert_eq!(empty.effects, [UiEffect::Quit]);
}

#[test]
fn a_service_with_a_terminal_is_attached_to_and_the_others_say_why_not() {
    let mut world = named("demo");
    let api = Arc::make_mut(&mut world.snapshot.services[0]);
    api.tty = true;
    let id = api.id.clone();
    let mut console = Console::new(world, MEDIUM);
    console.keys("a");
    assert_eq!(console.effects, [UiEffect::Attach(id)]);
    let mut other = Console::open("demo", MEDIUM);
    other.keys("a");
    assert_eq!(other.effects, []);
    assert!(other.text().contains("attach: api has no terminal"), "{}", other.text());
}

#[test]
fn the_header_says_how_long_the_daemon_runs_and_whether_one_only_looks() {
    let mut world = named("connected");
    world.snapshot.engine.daemon = true;
    world.snapshot.engine.version = env!("CARGO_PKG_VERSION").to_owned();
    let mut console = Console::new(world, LARGE);
    assert!(console.text().lines().next().unwrap().contains("⇄ daemon "), "{}", console.text());
    assert!(!console.text().contains("read-only"));
    let mut looking = Console::only_looking(named("connected"), LARGE);
    assert!(looking.text().lines().next().unwrap().contains("read-only"), "{}", looking.text());
}

#[test]
fn who_only_looks_is_offered_nothing_that_acts_and_asks_for_nothing() {
    let footer = |console: &mut Console| console.text().lines().last().unwrap().to_owned();
    assert!(footer(&mut Console::open("connected", LARGE)).contains("r restart"));
    let mut looking = Console::only_looking(named("connected"), LARGE);
    let offered = footer(&mut looking);
    for label in ["restart", "stop", "kill", "signal", "shell", "edit", "start all"] {
        assert!(!offered.contains(label), "{label}: {offered}");
    }
    assert!(offered.contains("l logs") && offered.contains("d detail"), "{offered}");
    for keys in ["r", "R", "s", "K", "x", "S", "X", "e", "o", "a", "dr", ":restart api<enter>", ":stop-all<enter>"] {
        let mut looking = Console::only_looking(named("connected"), LARGE);
        looking.keys(keys);
        assert_eq!(looking.effects, [], "{keys}");
        assert!(looking.text().contains("this console only looks"), "{keys}: {}", looking.text());
    }
    looking.keys(":");
    let palette = looking.text();
    assert!(!palette.contains(" command ") || !palette.contains("▸ start"), "{palette}");
    assert!(!palette.contains("stop-all") && palette.contains("focus-next"), "{palette}");
    let mut looking = Console::only_looking(named("connected"), LARGE);
    looking.keys("y");
    assert!(matches!(looking.effects.as_slice(), [UiEffect::Copy(_)]), "{:?}", looking.effects);
}

#[test]
fn a_sentence_does_not_cover_why_the_selected_service_is_where_it_is() {
    let mut console = Console::open("demo", SMALL);
    let why = |text: &str| text.lines().rev().nth(1).unwrap().to_owned();
    let before = why(&console.text());
    console.keys("y");
    assert!(console.text().contains("copied"), "{}", console.text());
    assert_eq!(why(&console.text()), before);
}

#[test]
fn a_daemon_of_another_version_is_a_line_with_what_to_do() {
    let mut world = named("connected");
    world.snapshot.engine.daemon = true;
    world.snapshot.engine.version = "0.0.9".to_owned();
    let mut console = Console::new(world, LARGE);
    assert!(console.text().contains("the daemon is cas 0.0.9") && console.text().contains("cas daemon restart"));
}

#[test]
fn a_shell_and_the_editor_open_beside_the_selected_service() {
    let mut console = Console::open("demo", MEDIUM);
    console.keys("je!");
    let edit = UiEffect::Edit { file: "/srv/demo/cas.yaml".into(), line: Some(12) };
    assert_eq!(console.effects, [edit, UiEffect::Shell(id("demo", "cache"))]);
}

#[test]
fn an_edited_file_is_read_again() {
    let mut console = Console::open("demo", MEDIUM);
    console.say(Message::Edited);
    assert_eq!(console.lines(), ["reload"]);
}

fn copied(world: &str, keys: &str) -> String {
    let mut console = Console::open(world, SMALL);
    console.keys(keys);
    match console.effects.pop() {
        Some(UiEffect::Copy(text)) => text,
        other => panic!("{other:?} instead of a copy"),
    }
}

#[test]
fn copy_takes_the_selected_lines_without_escape_sequences() {
    assert_eq!(
        copied("demo", "4kky"),
        "GET /orders/17 200 3.8 ms".replace("3.8", "2.7").replace("orders/17", "health")
    );
    assert_eq!(copied("demo", "4k<space>ky"), "GET /health 200 2.7 ms\nGET /orders/17 200 3.8 ms");
    assert!(copied("demo", "y").starts_with("demo/api\trunning"));
    assert!(copied("demo", "dy").contains("/usr/bin/api --serve"));
}

#[test]
fn what_is_too_long_for_the_clipboard_goes_to_a_file() {
    let mut world = named("demo");
    let long = "y".repeat(60_000);
    world.logs = vec![batch(&id("demo", "api"), 1, 0, 1, &[&long, &long, &long])];
    let mut console = Console::new(world, MEDIUM);
    console.keys("4kV<up>y");
    let [UiEffect::Save { name, text, why }] = console.effects.as_slice() else { panic!("{:?}", console.effects) };
    assert!(name == "cas-copy" && text.len() == 120_001 && why.contains("too many"), "{name} {} {why}", text.len());
}

#[test]
fn a_pinned_log_stays_where_it_is_while_lines_come() {
    let mut console = Console::open("demo", SMALL);
    let before = console.keys("4kkkkk").text();
    for number in 0..500 {
        let line = format!("new line {number}");
        console.say(Message::Log(LogNews::Batch(batch(&id("demo", "api"), 5, 200 + number, 0, &[&line]))));
    }
    let after = console.text();
    let body = |text: &str| text.lines().skip(3).take(17).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(body(&before), body(&after));
    assert!(console.keys("G").text().contains("new line 499"));
}

#[test]
fn lines_that_come_before_the_history_stand_after_it_and_once() {
    let mut world = named("demo");
    let mut history = std::mem::take(&mut world.logs);
    let newest = batch(&id("demo", "api"), 5, 500, 0, &["the newest line"]);
    history.push(Arc::clone(&newest));
    let mut console = Console::before_history(world, SMALL);
    console.keys("4");
    console.say(Message::Log(LogNews::Batch(newest)));
    assert!(console.text().contains("asking for earlier lines"));
    console.say(Message::LogHistory(history));
    let text = console.keys("").text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(text.matches("the newest line").count(), 1, "{text}");
    assert!(lines[21].contains("the newest line"), "{text}");
}

#[test]
fn the_ring_keeps_the_newest_lines_within_its_bound() {
    use cas::tui::logs::store::LogStore;
    let mut store = LogStore::bounded(100_000, 150_000, 0);
    for number in 0..5_000 {
        for name in ["a", "b"] {
            store.take(batch(&id("demo", name), 1, number, 0, &["a line of some length, to fill the ring"]));
        }
        assert!(store.bytes() <= 151_000, "{}", store.bytes());
    }
    assert!(store.rings().iter().all(|ring| ring.lines() > 100));
}

#[test]
fn a_batch_that_comes_twice_is_taken_once() {
    use cas::tui::logs::store::LogStore;
    let mut store = LogStore::default();
    let twice = batch(&id("demo", "a"), 1, 0, 5, &["one", "two"]);
    assert!(store.take(Arc::clone(&twice)).is_some());
    assert!(store.take(twice).is_none());
}

#[test]
fn a_filter_holds_while_lines_come_and_go() {
    let mut console = Console::open("demo", SMALL);
    console.keys("4/needle<enter>");
    for number in 0..60_000 {
        let line = if number % 1000 == 0 {
            format!("needle {number}")
        } else {
            format!("{number} hay hay hay hay hay hay hay")
        };
        console.say(Message::Log(LogNews::Batch(batch(&id("demo", "api"), 5, 200 + number, 0, &[&line]))));
    }
    let text = console.text();
    assert!(text.contains("needle 59000"), "{text}");
    assert!(!text.contains("hay"), "{text}");
}

#[test]
fn patterns_have_smart_case_and_fall_back_to_plain_text() {
    assert!(Pattern::parse("err").unwrap().accepts("ERROR"));
    assert!(!Pattern::parse("Err").unwrap().accepts("ERROR"));
    let broken = Pattern::parse("[5").unwrap();
    assert_eq!(broken.reading(), Reading::Text);
    assert!(broken.accepts("index [5]"));
    assert!(Pattern::parse("!err").unwrap().accepts("fine"));
    assert!(Pattern::parse("").is_none() && Pattern::parse("!").is_none());
}

#[test]
fn a_click_selects_and_the_wheel_scrolls_what_is_under_the_pointer() {
    let mut console = Console::open("demo", MEDIUM);
    console.click(10, 9);
    assert_eq!(console.ui.selected(), Some(&id("demo", "cache")));
    console.click(90, 25);
    assert_eq!(console.ui.focus(), Pane::Timeline);
    console.mouse(MouseEventKind::ScrollDown, 10, 10);
    assert_eq!(console.ui.selected(), Some(&id("demo", "leaky")));
    assert_eq!(console.ui.focus(), Pane::Timeline);
}

#[test]
fn a_border_is_dragged() {
    let mut console = Console::open("demo", LARGE);
    let before = console.text();
    console.mouse(MouseEventKind::Down(MouseButton::Left), 120, 10);
    console.mouse(MouseEventKind::Drag(MouseButton::Left), 100, 10);
    console.mouse(MouseEventKind::Up(MouseButton::Left), 100, 10);
    let after = console.text();
    assert_ne!(before, after);
    assert_eq!(after.lines().nth(1).unwrap().chars().position(|c| c == '╮'), Some(99));
}

#[test]
fn a_tab_is_clicked() {
    let mut console = Console::open("demo", SMALL);
    console.click(30, 1);
    assert_eq!(console.ui.focus(), Pane::Graphs);
}

#[test]
fn a_theme_that_was_only_looked_at_goes_back() {
    let mut console = Console::open("demo", MEDIUM);
    let before = console.ui.theme().name().to_owned();
    console.keys("Tj");
    assert_ne!(console.ui.theme().name(), before);
    console.keys("<esc>");
    assert_eq!(console.ui.theme().name(), before);
    console.keys("Tj<enter>");
    assert_ne!(console.ui.theme().name(), before);
}

#[test]
fn the_mouse_is_released_and_taken() {
    let mut console = Console::open("demo", MEDIUM);
    console.keys("mm");
    assert_eq!(console.effects, [UiEffect::CaptureMouse(false), UiEffect::CaptureMouse(true)]);
}

#[test]
fn every_action_has_a_key_a_label_and_a_sentence() {
    let keymap = Keymap::default();
    for action in Action::ALL {
        let binding = keymap.binding(*action).unwrap_or_else(|| panic!("{} is not in the keymap", action.name()));
        assert!(!binding.keys.is_empty() && !binding.label.is_empty() && binding.help.len() > 5, "{}", action.name());
    }
}

#[test]
fn nothing_is_on_the_prefix_keys_of_tmux_and_screen_nor_on_function_keys_alone() {
    for binding in Keymap::default().bindings() {
        let names: Vec<String> = binding.keys.iter().map(ToString::to_string).collect();
        assert!(!names.iter().any(|name| name == "ctrl-a" || name == "ctrl-b"), "{names:?}");
        let is_function = |name: &String| name.starts_with('f') && name.len() > 1;
        assert!(!names.iter().all(is_function), "{names:?}");
    }
}

#[test]
fn keys_read_back_as_they_are_written() {
    for binding in Keymap::default().bindings() {
        for chord in &binding.keys {
            assert_eq!(chord.to_string().parse::<key::Chord>().as_ref(), Ok(chord));
        }
    }
}

#[test]
fn a_user_keymap_changes_one_key_and_keeps_the_rest() {
    let keymap = Keymap::with_overrides("[service]\nrestart = [\"ctrl-r\"]\n", "keymap.toml").unwrap();
    let pressed = |name: &str| keymap.action(Layer::Screen, &name.parse::<key::Chord>().unwrap().event());
    assert_eq!(pressed("ctrl-r").map(Action::name), Some("restart"));
    assert_eq!(pressed("r"), None);
    assert_eq!(pressed("q").map(Action::name), Some("quit"));
}

#[test]
fn keymap_problems_are_told_together() {
    let text = "[service]\nrestart = [\"q\"]\nrestrat = [\"u\"]\nkill = [\"ctrl-alt-nokey\"]\n[srevice]\nx = []\n";
    let problems = Keymap::with_overrides(text, "keymap.toml").unwrap_err().join("\n");
    for part in [
        "q is both global.quit and service.restart",
        "service.restrat: no such action",
        "\"ctrl-alt-nokey\" is not a key",
        "\"srevice\" is not a section",
    ] {
        assert!(problems.contains(part), "{part}: {problems}");
    }
}

#[test]
fn the_default_keymap_is_a_valid_override_of_itself() {
    assert_eq!(Keymap::with_overrides(DEFAULTS, "keymap.toml"), Ok(Keymap::default()));
}
