//! The logs: what is looked for and found, in memory and in the store; and the patterns behind them.

use std::sync::Arc;

use cas::{
    model::{
        log::{LogBatch, LogNews},
        log_search::Towards,
    },
    tui::{Message, Pane, UiEffect},
};
use crossterm::event::{MouseButton, MouseEventKind};
use insta::assert_snapshot;

use super::{
    fixture::{ago, batch, entry, id, named},
    harness::{Console, LARGE, MEDIUM, SMALL, Stored, screen},
    logbook::patterns,
};

macro_rules! shots {
    ($($name:ident: $size:ident, $keys:literal;)*) => {
        $(
            #[test]
            fn $name() {
                assert_snapshot!(screen("logbook", $size, $keys));
            }
        )*
    };
}

shots! {
    all_services_small: SMALL, "4L";
    all_services_large: LARGE, "4Lzt";
    structured_lines_are_message_and_fields: MEDIUM, "4z";
    structured_lines_as_they_were_written: MEDIUM, "4zb";
    a_structured_line_is_unfolded: MEDIUM, "4zk<enter>";
    a_traceback_is_folded_between_what_happened: MEDIUM, "jl";
    a_traceback_is_unfolded: MEDIUM, "jlzu";
    only_errors: MEDIUM, "4Lzii";
    several_filters: MEDIUM, "4Lz/order<enter>&status>=500<enter>";
    lines_around_matches: MEDIUM, "4z/refused<enter>c";
    a_match_among_all_lines: MEDIUM, "4z/refused<enter>kv";
    another_filter_being_typed: SMALL, "4/order<enter>&status>";
    histogram_small: SMALL, "4LH";
    histogram_large: LARGE, "4LzH";
    a_stretch_of_the_histogram: MEDIUM, "4LzH[[{";
    where_lines_are_to_go: MEDIUM, "4zkVkkY";
}

fn with_patterns(size: (u16, u16), keys: &str) -> Console {
    let mut console = Console::open("logbook", size);
    console.keys("7");
    assert!(console.effects.contains(&UiEffect::AskPatterns(vec![id("demo", "api")])), "{:?}", console.effects);
    console.say(Message::Patterns(Ok(patterns())));
    console.keys(keys);
    console
}

#[test]
fn patterns_small() {
    assert_snapshot!(with_patterns(SMALL, "").text());
}

#[test]
fn patterns_large() {
    assert_snapshot!(with_patterns(LARGE, "j").text());
}

#[test]
fn patterns_that_are_new_since_the_last_start() {
    assert_snapshot!(with_patterns(MEDIUM, "<space>").text());
}

#[test]
fn a_pattern_leads_to_its_lines() {
    let mut console = with_patterns(MEDIUM, "/refused<enter>");
    let text = console.text();
    assert!(text.contains("payment of order <*> refused") && !text.contains("cache <*> hit"), "{text}");
    console.keys("<esc>/taken<enter><enter>");
    assert_eq!(console.ui.focus(), Pane::Logs);
    let text = console.text();
    assert!(text.contains("pattern pattern:order <*> taken in <*> ms"), "{text}");
    console.keys("<esc><esc>7");
    assert_eq!(console.ui.focus(), Pane::Patterns);
}

#[test]
fn patterns_that_cannot_be_had_say_why() {
    let mut console = Console::open("logbook", SMALL);
    console.keys("7");
    console.say(Message::Patterns(Err("the engine is of an earlier version".to_owned())));
    assert!(console.text().contains("the engine is of an earlier version"), "{}", console.text());
}

fn selected_line(console: &mut Console) -> String {
    let theme = cas::tui::theme::Theme::default();
    let style = theme.style(cas::tui::theme::Role::Selection);
    let buffer = console.draw().clone();
    let area = buffer.area;
    let is_selected =
        |y: u16| buffer[(4, y)].bg == style.bg.unwrap_or_default() && buffer[(1, y)].bg == buffer[(4, y)].bg;
    let row = (2..area.height - 1).find(|y| is_selected(*y)).expect("a row is selected");
    (0..area.width).map(|x| buffer[(x, row)].symbol()).collect()
}

#[test]
fn keys_go_from_error_to_error_and_from_warning_to_warning() {
    let mut console = Console::open("logbook", MEDIUM);
    let is_refused = |line: &str| line.contains("502") || line.contains("refused");
    console.keys("4LzE");
    assert!(is_refused(&selected_line(&mut console)));
    console.keys("EE");
    assert!(selected_line(&mut console).contains("Traceback"));
    console.keys("e");
    assert!(is_refused(&selected_line(&mut console)));
    console.keys("gw");
    let first = selected_line(&mut console);
    assert!(is_refused(&first), "{first}");
    console.keys("ww");
    assert!(selected_line(&mut console).contains("slow consumer"));
    console.keys("GW");
    assert!(is_refused(&selected_line(&mut console)));
}

#[test]
fn digits_are_times_in_the_logs_and_panes_elsewhere() {
    let mut console = Console::open("logbook", MEDIUM);
    console.keys("5");
    assert_eq!(console.ui.focus(), Pane::Timeline);
    console.keys("4");
    assert_eq!(console.ui.focus(), Pane::Logs);
    console.keys("1");
    let text = console.text();
    assert!(text.contains(" last 1 m "), "{text}");
    console.keys("1");
    assert!(!console.text().contains(" last 1 m "), "the same key again shows all");
    console.keys("<alt-2>");
    assert_eq!(console.ui.focus(), Pane::Services);
    console.keys("e");
    assert!(matches!(console.effects.as_slice(), [UiEffect::Edit { .. }]), "elsewhere e edits: {:?}", console.effects);
}

#[test]
fn esc_takes_off_what_narrows_the_lines_one_after_the_other() {
    let mut console = Console::open("logbook", MEDIUM);
    console.keys("4Lzi2/order<enter>&!refused<enter>");
    for (gone, left) in [("!refused", "order"), ("regex order", "last 5 m"), ("last 5 m", "≥ warn")] {
        assert!(console.text().contains(gone), "{gone}: {}", console.text());
        console.keys("<esc>");
        let text = console.text();
        assert!(!text.contains(gone) && text.contains(left), "{gone}: {text}");
    }
    console.keys("<esc>");
    assert!(!console.text().contains("≥ warn"));
}

#[test]
fn what_happened_before_this_console_stands_between_lines_that_come_after_the_first_picture() {
    let mut console = Console::open("logbook", MEDIUM);
    console.keys("jlz");
    let text = console.text();
    let place = |word: &str| text.find(word).unwrap_or_else(|| panic!("{word}: {text}"));
    assert!(place("queue is empty") < place("Traceback") && place("Traceback") < place("exited with code 1"), "{text}");
}

#[test]
fn a_traceback_that_comes_line_by_line_is_one_entry() {
    let mut console = Console::open("logbook", SMALL);
    console.keys("jl");
    let lines =
        ["!Traceback (most recent call last):", "!  File \"x.py\", line 1, in f", "!    boom()", "!KeyError: 'slow'"];
    for (seq, line) in (9..).zip(lines) {
        console.say(Message::Log(LogNews::Batch(batch(&id("demo", "jobs"), 8, seq, 0, &[line]))));
    }
    console.say(Message::Log(LogNews::Batch(batch(&id("demo", "jobs"), 8, 13, 0, &["level=info msg=on"]))));
    let text = console.text();
    assert!(text.contains("KeyError: 'slow' ⤷ +3"), "{text}");
    console.keys("/boom<enter>");
    let text = console.text();
    assert!(
        text.contains("Traceback") && text.contains("boom()") && !text.contains("msg=on"),
        "what is found is seen: {text}"
    );
    console.keys("k<enter>");
    assert!(console.text().contains("⤷ +3"), "{}", console.text());
}

/// What the row of chips says: so many lines are shown, of so many.
fn shown_of_all(text: &str) -> (usize, usize) {
    let counts = regex::Regex::new(r"  (\d+) of (\d+)").unwrap();
    let found = counts.captures(text).unwrap_or_else(|| panic!("no count in {text}"));
    (found[1].parse().unwrap(), found[2].parse().unwrap())
}

#[test]
fn lines_are_counted_and_what_stands_between_them_is_not() {
    let mut console = Console::open("logbook", SMALL);
    console.keys("4Lz6");
    let (shown, all) = shown_of_all(&console.text());
    assert!(all > 0, "{}", console.text());
    assert_eq!(shown, all, "{}", console.text());
    let mut console = Console::open("logbook", SMALL);
    console.keys("jl/boom<enter>");
    let (_, all) = shown_of_all(&console.text());
    let lines = ["!Traceback (most recent call last):", "!  File \"x.py\", line 1, in f"];
    console.say(Message::Log(LogNews::Batch(batch(&id("demo", "jobs"), 8, 9, 0, &lines))));
    console.say(Message::Log(LogNews::Batch(batch(&id("demo", "jobs"), 8, 11, 0, &["!    boom()", "!KeyError: 1"]))));
    assert_eq!(shown_of_all(&console.text()), (4, all + 4), "an entry is counted with all its lines");
}

#[test]
fn a_filter_finds_a_line_that_completes_an_entry_later() {
    let mut console = Console::open("logbook", SMALL);
    console.keys("jl/needle<enter>");
    for (seq, line) in
        (9..).zip(["!Traceback (most recent call last):", "!  File \"needle.py\", line 1, in f", "!KeyError: 1"])
    {
        console.say(Message::Log(LogNews::Batch(batch(&id("demo", "jobs"), 8, seq, 0, &[line]))));
    }
    let text = console.text();
    assert!(text.contains("Traceback") && text.contains("needle.py") && text.contains("KeyError: 1"), "{text}");
}

#[test]
fn a_match_from_the_store_comes_with_what_it_is_a_part_of_and_what_stands_around_it() {
    let mut world = named("logbook");
    let mut lines: Vec<String> = (0..3_000).map(|seq| format!("line {seq}")).collect();
    let traceback = ["Traceback (most recent call last):", "  File \"needle.py\", line 1, in f", "KeyError: 1"];
    lines.splice(500..503, traceback.map(str::to_owned));
    let all: Vec<Arc<LogBatch>> =
        (0..).zip(&lines).map(|(seq, line)| batch(&id("demo", "api"), 5, seq, 3_100 - seq, &[line])).collect();
    let kept = all[all.len() - 100..].to_vec();
    world.logs.clone_from(&kept);
    let mut console = Console::before_history(world, SMALL);
    console.stored = Stored { batches: all };
    console.say(Message::LogHistory(kept));
    console.keys("4/needle<enter>");
    let text = console.text();
    assert!(text.contains("Traceback") && text.contains("KeyError: 1") && !text.contains("line 499"), "{text}");
    console.keys("c");
    let text = console.text();
    for around in ["line 498", "line 499", "line 503", "line 504"] {
        assert!(text.contains(around), "{around}: {text}");
    }
    assert!(!text.contains("line 497") && !text.contains("line 505"), "{text}");
}

/// So many lines of `api` that are on disk, of which the last hundred are in memory, too.
fn with_store(lines: u64) -> Console {
    let mut world = named("logbook");
    let of_api = |seq: u64| {
        let word = if seq.is_multiple_of(500) { "needle" } else { "hay" };
        batch(&id("demo", "api"), 5, seq, 100 + lines - seq, &[&format!("line {seq} {word}")])
    };
    let all: Vec<Arc<LogBatch>> = (0..lines).map(of_api).collect();
    world.logs = all[all.len() - 100..].to_vec();
    let mut console = Console::before_history(world, SMALL);
    let kept = all[all.len() - 100..].to_vec();
    console.stored = Stored { batches: all };
    console.say(Message::LogHistory(kept));
    console.keys("4");
    console
}

#[test]
fn scrolling_up_goes_on_into_the_store() {
    let mut console = with_store(10_000);
    assert!(console.searches.is_empty(), "nobody has asked for what is older");
    for _ in 0..30 {
        console.keys("<ctrl-u>");
    }
    let text = console.text();
    assert!(text.contains("line 9730 hay"), "{text}");
    assert_eq!(console.searches[0].towards, Towards::Older);
    assert_eq!(console.searches[0].bounds[0].seq, 9900);
    console.keys("G");
    assert!(console.text().contains("line 9999 hay"));
}

#[test]
fn what_is_looked_for_is_found_in_the_store_without_scrolling() {
    let mut console = with_store(3_000);
    console.keys("/needle<enter>");
    let text = console.text();
    for found in ["line 0 needle", "line 500 needle", "line 2500 needle"] {
        assert!(text.contains(found), "{found}: {text}");
    }
    assert!(text.contains("of the store looked through"), "{text}");
    assert!(console.searches.iter().all(|search| search.wish.terms == ["needle"] || search.wish.terms.len() == 1));
}

#[test]
fn from_a_match_in_the_store_one_goes_to_what_stands_around_it() {
    let mut console = with_store(3_000);
    console.keys("/needle<enter>kkv");
    let text = console.text();
    assert!(
        text.contains("line 1500 needle") && text.contains("line 1499 hay") && text.contains("line 1501 hay"),
        "{text}"
    );
    assert!(selected_line(&mut console).contains("line 1500 needle"));
    console.keys(&"k".repeat(60));
    let text = console.text();
    assert!(text.contains("line 1440 hay") && !text.contains("run from"), "{text}");
}

#[test]
fn the_top_is_the_oldest_line_of_all_and_the_gap_closes_on_the_way_down() {
    let mut console = with_store(5_000);
    console.keys("g");
    let text = console.text();
    assert!(text.contains("line 0 needle") && text.contains("line 1 hay"), "{text}");
    assert_eq!(console.searches[0].towards, Towards::Newer);
    for _ in 0..600 {
        console.keys("<ctrl-d>");
    }
    let text = console.text();
    assert!(text.contains("line 4999 hay") && !text.contains("not loaded"), "{text}");
    let mut seen = Vec::new();
    console.keys("g");
    for _ in 0..3 {
        seen.extend(
            console
                .text()
                .lines()
                .filter_map(|line| line.split("line ").nth(1)?.split(' ').next()?.parse::<u64>().ok()),
        );
        console.keys("<pgdn>");
    }
    assert!(seen.len() > 30 && seen.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{seen:?}");
}

#[test]
fn what_happened_stands_between_lines_from_the_store_too() {
    let mut console = with_store(3_000);
    let mut snapshot = (**console.ui.snapshot()).clone();
    // Of 3100 seconds the lines of the last hundred are in memory.
    let what = cas::model::timeline::What::Exited {
        exit: cas::model::phase::Exit::Code(7),
        after: std::time::Duration::from_secs(9),
        last_words: Vec::new(),
    };
    let crash = entry(90, 2_500, cas::model::policy::Origin::System, "api", what, "nobody asked for it");
    snapshot.timeline = [Arc::new(crash)].into_iter().chain(snapshot.timeline.iter().cloned()).collect();
    console.say(Message::Snapshot(Arc::new(snapshot)));
    // Begun anew, it knows what has happened.
    console.keys("LL/@-2502s<enter>");
    let text = console.text();
    let place = |word: &str| text.find(word).unwrap_or_else(|| panic!("{word}: {text}"));
    assert!(place("line 599 hay") < place("exited with code 7"), "{text}");
    assert!(place("exited with code 7") < place("line 601 hay"), "{text}");
}

#[test]
fn a_time_that_is_typed_is_gone_to_in_memory_and_in_the_store() {
    let mut console = with_store(3_000);
    console.keys("/@-150s<enter>");
    assert!(selected_line(&mut console).contains("line 2950 hay"), "{}", console.text());
    assert!(console.searches.is_empty(), "it is in memory");
    console.keys("/@-2000s");
    assert!(console.text().contains("to 2026-11-22 13:29:47"), "{}", console.text());
    console.keys("<enter>");
    assert!(selected_line(&mut console).contains("line 1100 hay"), "{}", console.text());
    let since = console.searches[0].wish.since_us;
    assert_eq!((console.searches[0].towards, since), (Towards::Newer, Some(ago(2000).wall_us)));
    console.keys("kkkk");
    assert!(selected_line(&mut console).contains("line 1096 hay"), "{}", console.text());
    // What is loaded is not loaded again.
    let asked = console.searches.len();
    console.keys("/@-1990s<enter>");
    assert!(selected_line(&mut console).contains("line 1110 hay") && console.searches.len() == asked);
    console.keys("/@-30s<enter>");
    assert!(console.text().contains("nothing is shown from 2026-11-22 14:02:37 on"), "{}", console.text());
    console.keys("/@noon<enter>");
    assert!(console.text().contains("\"noon\" is not a time"), "{}", console.text());
    console.keys("G");
    assert!(console.text().contains("▼ follow"), "{}", console.text());
}

#[test]
fn a_time_is_gone_to_among_what_was_found_and_takes_no_filter_off() {
    let mut console = with_store(3_000);
    console.keys("/needle<enter>&@-1700s<enter>");
    let text = console.text();
    assert!(text.contains("regex needle"), "{text}");
    assert!(selected_line(&mut console).contains("line 1500 needle"), "{text}");
    console.keys("&\\@-17<enter>");
    assert!(console.text().contains("no line matches"), "behind a backslash it is looked for: {}", console.text());
}

#[test]
fn lines_that_are_marked_are_found_again_and_shared() {
    let mut console = with_store(3_000);
    console.keys("kkkB/@-2000s<enter>B");
    assert_snapshot!(console.text());
    console.keys("jj\"");
    assert!(selected_line(&mut console).contains("line 1100 hay"), "{}", console.text());
    console.keys("BG\"");
    assert!(selected_line(&mut console).contains("line 2996 hay"), "{}", console.text());
    console.keys("jB\"");
    assert!(selected_line(&mut console).contains("line 2996 hay"), "{}", console.text());
    console.keys("Yjjjj");
    assert!(console.text().contains("what is marked    2 rows"), "{}", console.text());
    console.keys("<enter>");
    let copied = console.effects.pop();
    assert_eq!(copied, Some(UiEffect::Copy("line 2996 hay\nline 2997 hay".to_owned())));
    console.keys("'");
    assert!(selected_line(&mut console).contains("line 2997 hay"), "{}", console.text());
}

#[test]
fn an_answer_to_what_is_no_longer_looked_for_is_nobodys() {
    let mut console = with_store(3_000);
    console.keys("/needle<enter>");
    let rows = console.text().matches("needle").count();
    let finds = cas::model::log_search::LogFinds {
        batches: vec![batch(&id("demo", "api"), 5, 7, 0, &["stale needle"])],
        ..Default::default()
    };
    console.say(Message::LogFinds { ticket: 1, answer: Ok(finds) });
    let text = console.text();
    assert!(text.matches("needle").count() == rows && !text.contains("stale"), "{text}");
}

#[test]
fn lines_are_shared_with_a_file_a_pager_and_an_editor() {
    let shared = |keys: &str| {
        let mut console = Console::open("logbook", MEDIUM);
        console.keys("4z").keys(keys);
        console.effects.pop()
    };
    let whole = |text: &str| text.lines().count() == 30 && text.contains("order taken");
    assert!(matches!(shared("Y<enter>"), Some(UiEffect::Copy(text)) if whole(&text)));
    assert!(
        matches!(shared("Yj<enter>"), Some(UiEffect::Save { name, text, .. }) if name == "demo-api" && whole(&text))
    );
    assert!(matches!(shared("Yjj<enter>"), Some(UiEffect::Page(text)) if whole(&text)));
    assert!(matches!(shared("Yjjj<enter>"), Some(UiEffect::Peruse(text)) if whole(&text)));
    assert!(matches!(shared("kkVkY<enter>"), Some(UiEffect::Copy(text)) if text.lines().count() == 2));
}

#[test]
fn a_stretch_is_chosen_with_the_mouse_and_keeps_the_histogram() {
    let mut console = Console::open("logbook", MEDIUM);
    console.keys("4LzH");
    let before = console.text();
    console.mouse(MouseEventKind::Down(MouseButton::Left), 20, 5);
    console.mouse(MouseEventKind::Drag(MouseButton::Left), 30, 5);
    console.mouse(MouseEventKind::Up(MouseButton::Left), 30, 5);
    let after = console.text();
    assert!(after.contains("–14:0"), "{after}");
    let bars = |text: &str| text.lines().skip(3).take(5).filter(|line| line.contains('█')).map(str::len).max();
    assert!(bars(&before).is_some() && bars(&after).is_some());
    console.keys("<esc>");
    assert_eq!(console.text(), before);
}

#[test]
fn a_pane_that_grows_is_filled_although_it_does_not_follow() {
    let mut grown = Console::open("logbook", MEDIUM);
    grown.keys("4LzHkH");
    let mut large = Console::open("logbook", MEDIUM);
    large.keys("4Lzk");
    assert_eq!(grown.text(), large.text());
}

#[test]
fn a_stretch_that_was_chosen_shows_the_bars_of_what_is_looked_for_then() {
    let mut console = Console::open("logbook", MEDIUM);
    console.keys("4LzH[");
    let bars = |text: &str| text.lines().skip(3).take(3).map(str::to_owned).collect::<Vec<_>>();
    let before = bars(&console.text());
    console.keys("/nothing-has-this<enter>");
    assert_ne!(bars(&console.text()), before, "{}", console.text());
}

#[test]
fn what_happened_stands_between_the_lines_and_can_be_left_out() {
    let mut console = Console::open("logbook", MEDIUM);
    console.keys("jlz");
    let text = console.text();
    let place = |word: &str| text.find(word).unwrap_or_else(|| panic!("{word}: {text}"));
    assert!(place("Traceback") < place("exited with code 1") && place("exited with code 1") < place("begins again"));
    console.keys("I");
    assert!(!console.text().contains("exited with code 1"));
    let _ = ago(0);
}
