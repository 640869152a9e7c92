//! Widgets: right at every size, readable at the usual ones.

use cas::{
    model::{history::History, text::width},
    tui::{
        theme::{Role, Theme},
        widgets::{
            Chart, Column, Focus, Panel, Scale, Series, Shape, Unit, Viewport, badge, centred, columns, fit, fit_right,
            key_hints,
            log_line::{self, Fit},
            overlay, scrollbar,
            sparkline::sparkline,
            tab_at, tabs, units,
        },
    },
};
use proptest::prelude::*;
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
    text::Line,
    widgets::Widget,
};
use regex::Regex;

use crate::picture;

fn history(values: impl IntoIterator<Item = f32>) -> History {
    let mut history = History::default();
    values.into_iter().for_each(|value| history.push(value));
    history
}

fn text_of(buffer: &Buffer) -> String {
    let rows = buffer.content().chunks(usize::from(buffer.area.width.max(1)));
    rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned() + "\n")
        .collect()
}

fn texts(lines: &[Line<'_>]) -> Vec<String> {
    lines.iter().map(ToString::to_string).collect()
}

/// A minute that rises to a peak and falls.
fn hill() -> History {
    history((0..60_u8).map(|second| 80.0 - (f32::from(second) - 40.0).abs() * 2.0))
}

fn draw_chart(size: (u16, u16), chart: &Chart<'_>) -> Buffer {
    let mut buffer = Buffer::empty(Rect::new(0, 0, size.0, size.1));
    let theme = Theme::default();
    buffer.set_style(buffer.area, theme.style(Role::Text));
    chart.draw(buffer.area, &mut buffer, &theme);
    buffer
}

#[test]
fn a_chart_is_readable_at_twenty_by_five() {
    let hill = hill();
    let series = [Series { label: "cpu", history: &hill, role: Role::GraphCpu }];
    let chart = Chart { series: &series, seconds: 60, scale: Scale::Percent, unit: Unit::Percent, shape: Shape::Area };
    let text = text_of(&draw_chart((20, 5), &chart));
    for part in ["● cpu 42.0%", "100%┤", "0%┤", "-60s", "now"] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    assert!(text.contains('⣿'), "{text}");
}

#[test]
fn a_large_chart_has_more_marks_and_both_curves() {
    let (rx, tx) =
        (history((0..60).map(|n| n as f32 * 3000.0)), history((0..60).map(|n| 170_000.0 - n as f32 * 2000.0)));
    let series = [
        Series { label: "in", history: &rx, role: Role::GraphNetRx },
        Series { label: "out", history: &tx, role: Role::GraphNetTx },
    ];
    let chart = Chart {
        series: &series,
        seconds: 60,
        scale: Scale::Auto { floor: 1024.0 },
        unit: Unit::BytesPerSecond,
        shape: Shape::Line,
    };
    let buffer = draw_chart((80, 20), &chart);
    let text = text_of(&buffer);
    for part in ["256K┤", "192K┤", "128K┤", "64K┤", "0┤", "● in 173K/s  ● out  51K/s", "-60s", "-30s", "now"]
    {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    let theme = Theme::default();
    for role in [Role::GraphNetRx, Role::GraphNetTx] {
        let color = theme.style(role).fg.unwrap();
        let dots = |cell: &&ratatui::buffer::Cell| {
            cell.fg == color && cell.symbol() >= "\u{2801}" && cell.symbol() <= "\u{28ff}"
        };
        assert!(buffer.content().iter().filter(dots).count() > 30, "{role:?}\n{text}");
    }
}

#[test]
fn a_chart_without_samples_says_so() {
    let empty = History::default();
    let series = [Series { label: "cpu", history: &empty, role: Role::GraphCpu }];
    let chart = Chart { series: &series, seconds: 60, scale: Scale::Percent, unit: Unit::Percent, shape: Shape::Line };
    assert!(text_of(&draw_chart((40, 8), &chart)).contains("no samples yet"));
}

#[test]
fn a_chart_fits_into_any_area() {
    let (some, none, broken) = (hill(), History::default(), history([f32::NAN, f32::INFINITY, -3.0, 1e30]));
    for theme in ["catppuccin-mocha", "mono"].map(|name| Theme::load(name, None).unwrap()) {
        for history in [&some, &none, &broken] {
            for shape in [Shape::Line, Shape::Area] {
                for (wide, high) in
                    (0..30).flat_map(|wide| (0..14).map(move |high| (wide, high))).chain([(120, 20), (300, 1)])
                {
                    let series = [Series { label: "a label", history, role: Role::GraphCpu }; 2];
                    let chart = Chart {
                        series: &series,
                        seconds: 600,
                        scale: Scale::Auto { floor: 0.0 },
                        unit: Unit::Bytes,
                        shape,
                    };
                    let mut buffer = Buffer::empty(Rect::new(0, 0, 40, 16));
                    chart.draw(Rect::new(5, 1, wide, high), &mut buffer, &theme);
                    let outside = (0..16).flat_map(|y| (0..5).map(move |x| (x, y)));
                    assert!(
                        outside.clone().all(|place| buffer[place].symbol() == " "),
                        "{wide}×{high}\n{}",
                        text_of(&buffer)
                    );
                }
            }
        }
    }
}

#[test]
fn a_peak_survives_squeezing() {
    let mut values = vec![0.0; 600];
    values[333] = 100.0;
    let spike = history(values);
    let series = [Series { label: "", history: &spike, role: Role::GraphCpu }];
    let chart = Chart { series: &series, seconds: 600, scale: Scale::Percent, unit: Unit::Percent, shape: Shape::Line };
    let text = text_of(&draw_chart((40, 8), &chart));
    let top = text.lines().nth(1).unwrap();
    assert!(top.contains("100%┤") && top.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)), "{text}");
    assert!(text.contains("-10m"), "{text}");
    assert_eq!(sparkline(&spike, 600, 10, None).chars().filter(|c| *c == '█').count(), 1);
}

#[test]
fn noise_below_the_floor_stays_small() {
    let noise = history((0..60).map(|n| if n % 2 == 0 { 0.2 } else { 0.4 }));
    let series = [Series { label: "", history: &noise, role: Role::GraphCpu }];
    let chart = Chart {
        series: &series,
        seconds: 60,
        scale: Scale::Auto { floor: 10.0 },
        unit: Unit::Percent,
        shape: Shape::Area,
    };
    let text = text_of(&draw_chart((40, 10), &chart));
    assert!(text.contains("10%┤"), "{text}");
    assert!(text.lines().take(8).all(|line| !line.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c))), "{text}");
}

#[test]
fn a_sparkline_shows_a_minute_and_leaves_zero_blank() {
    assert_eq!(sparkline(&history([0.0, 1.0, 50.0, 100.0]), 4, 4, Some(100.0)), " ▁▄█");
    assert_eq!(sparkline(&history([0.0; 60]), 60, 10, None), " ".repeat(10));
    assert_eq!(sparkline(&History::default(), 60, 3, None), "   ");
    assert_eq!(sparkline(&history([5.0]), 60, 0, None), "");
    assert_eq!(sparkline(&history([900.0]), 4, 4, Some(100.0)), "   █");
}

#[test]
fn a_squeezed_peak_moves_without_changing() {
    // One peak, then zeros: at each second the columns are the same but for their place.
    let mut moving = history([0.0, 0.0, 0.0, 7.0]);
    for _ in 0..80 {
        let shown = sparkline(&moving, 60, 10, Some(8.0));
        assert!(shown.trim() == "▇" || shown.trim().is_empty(), "{shown:?}");
        moving.push(0.0);
    }
}

#[test]
fn numbers_are_short_and_say_their_unit() {
    for (value, text) in [
        (0, "0B"),
        (999, "999B"),
        (1000, "1.0K"),
        (1024, "1.0K"),
        (34 * 1024, "34K"),
        (1_023_000, "999K"),
        (1_048_575, "1.0M"),
        (1_288_490_189, "1.2G"),
        (u64::MAX, "16E"),
    ] {
        assert_eq!(units::bytes(value), text);
        assert!(width(text) <= 4);
    }
    assert_eq!(units::rate(34.0 * 1024.0), "34K/s");
    for (value, text) in
        [(0.0, "0.0"), (12.34, "12.3"), (99.96, "100"), (1600.4, "1600"), (f32::NAN, "0.0"), (-1.0, "0.0")]
    {
        assert_eq!(units::percent(value), text);
    }
    assert_eq!(Unit::Count.text(1500.0), "1.5k");
    assert_eq!(Unit::Percent.tick(50.0), "50%");
    assert_eq!(Unit::Bytes.tick(2.0 * 1024.0 * 1024.0), "2M");
}

#[test]
fn a_wide_letter_at_both_ends_of_a_cut_line_leaves_no_column_too_many() {
    let text = " 0A𐘀ﶒ0୦    A 🕨ΣA ꓐ𘳿A";
    let cut = log_line::render(text, Fit::Cut { from: 18, columns: 2 }, &[], &Theme::default(), Style::new());
    assert!(width(&cut[0].to_string()) <= 2, "{cut:?}");
}

proptest! {
    #[test]
    fn any_number_is_short(value in any::<f64>()) {
        prop_assert!(Unit::Bytes.text(value).len() <= 5, "{}", Unit::Bytes.text(value));
        prop_assert!(units::percent(value as f32).len() <= 5);
    }

    #[test]
    fn a_viewport_keeps_its_promises(actions in proptest::collection::vec((any::<bool>(), 0_usize..50, 0_usize..12), 0..40)) {
        let mut view = Viewport::default();
        for (resizes, len, height) in actions {
            if resizes { view.resize(len, height) } else { view.select(len) }
            let visible = view.visible();
            prop_assert!(view.selected() < view.len().max(1));
            prop_assert!(view.is_empty() || view.height() == 0 || visible.contains(&view.selected()), "{:?}", view);
            prop_assert!(view.len() < view.height() || visible.len() == view.height(), "{:?}", view);
            let mut buffer = Buffer::empty(Rect::new(0, 0, 1, 9));
            scrollbar(&view, buffer.area, &mut buffer, &Theme::default());
        }
    }

    #[test]
    fn columns_never_take_more_than_there_is(available in 0_u16..200, gap in 0_u16..4, wanted in proptest::collection::vec((0_u16..30, 0_u16..40, 0_u8..4), 0..10)) {
        let wanted: Vec<Column> = wanted.into_iter().map(|(min, more, priority)| Column { min, max: min + more, priority }).collect();
        let widths = columns(available, gap, &wanted);
        let shown = widths.iter().flatten().count() as u16;
        prop_assert!(widths.iter().flatten().sum::<u16>() + shown.saturating_sub(1) * gap <= available);
        for (column, width) in wanted.iter().zip(&widths) {
            prop_assert!(width.is_none_or(|width| width <= column.max));
        }
    }

    #[test]
    fn a_log_line_fits_whatever_it_says(text in any::<String>(), columns in 0_usize..20, from in 0_usize..20) {
        let theme = Theme::default();
        let cut = log_line::render(&text, Fit::Cut { from, columns }, &[], &theme, Style::new());
        prop_assert_eq!(cut.len(), 1);
        prop_assert!(width(&cut[0].to_string()) <= columns, "{:?}", cut);
        let columns = columns + 1;
        let wrapped = log_line::render(&text, Fit::Wrap { columns }, &[], &theme, Style::new());
        prop_assert!(wrapped.iter().all(|line| width(&line.to_string()) <= columns));
        prop_assert_eq!(wrapped.len(), log_line::rows(&text, columns));
        let wide = log_line::render(&text, Fit::Wrap { columns: columns + 24 }, &[], &theme, Style::new());
        prop_assert_eq!(texts(&wide).concat(), cas::model::text::plain(&text));
    }

    #[test]
    fn fitted_text_has_exactly_its_columns(text in "\\PC{0,20}", columns in 0_usize..20) {
        let text = cas::model::text::plain(&text);
        prop_assert_eq!(width(&fit(&text, columns)), columns);
        prop_assert_eq!(width(&fit_right(&text, columns)), columns);
    }
}

#[test]
fn a_viewport_follows_what_is_selected() {
    let mut view = Viewport::default();
    view.resize(100, 10);
    view.select(12);
    assert_eq!((view.selected(), view.offset()), (12, 3));
    view.select(7);
    assert_eq!((view.selected(), view.offset()), (7, 3));
    view.resize(5, 10);
    assert_eq!((view.selected(), view.offset()), (4, 0));
}

#[test]
fn less_important_columns_leave_first() {
    let wanted = [
        Column { min: 2, max: 2, priority: 0 },
        Column { min: 8, max: 20, priority: 0 },
        Column { min: 6, max: 6, priority: 2 },
        Column { min: 10, max: 30, priority: 3 },
        Column { min: 5, max: 5, priority: 2 },
    ];
    assert_eq!(columns(100, 1, &wanted), [Some(2), Some(20), Some(6), Some(30), Some(5)]);
    assert_eq!(columns(40, 1, &wanted), [Some(2), Some(13), Some(6), Some(10), Some(5)]);
    assert_eq!(columns(30, 1, &wanted), [Some(2), Some(14), Some(6), None, Some(5)]);
    assert_eq!(columns(19, 1, &wanted), [Some(2), Some(9), Some(6), None, None]);
    assert_eq!(columns(11, 1, &wanted), [Some(2), Some(8), None, None, None]);
    assert_eq!(columns(0, 1, &wanted), [None; 5]);
}

#[test]
fn a_log_line_is_cut_wrapped_and_scrolled() {
    let theme = Theme::default();
    let render = |text: &str, fit: Fit| texts(&log_line::render(text, fit, &[], &theme, Style::new()));
    assert_eq!(render("abcdefghij", Fit::Wrap { columns: 4 }), ["abcd", "efgh", "ij"]);
    assert_eq!(render("字字字", Fit::Wrap { columns: 5 }), ["字字", "字"]);
    assert_eq!(render("", Fit::Wrap { columns: 4 }), [""]);
    assert_eq!(render("abcdefghij", Fit::Cut { from: 0, columns: 20 }), ["abcdefghij"]);
    assert_eq!(render("abcdefghij", Fit::Cut { from: 0, columns: 5 }), ["abcd…"]);
    assert_eq!(render("abcdefghij", Fit::Cut { from: 3, columns: 5 }), ["…efg…"]);
    assert_eq!(render("abcdefghij", Fit::Cut { from: 6, columns: 5 }), ["…hij"]);
    assert_eq!(render("abcdefghij", Fit::Cut { from: 12, columns: 5 }), [""]);
    assert_eq!(render("a字字字", Fit::Cut { from: 2, columns: 4 }), ["…字…"]);
}

#[test]
fn a_log_line_keeps_colours_and_marks_matches_across_them() {
    let theme = Theme::default();
    let pattern = Regex::new("(?i)time.out").unwrap();
    let lines = log_line::render(
        "\u{1b}[31mTIME\u{1b}[0m-out now",
        Fit::Wrap { columns: 80 },
        &[&pattern],
        &theme,
        Style::new(),
    );
    let found = theme.style(Role::Match);
    let spans: Vec<(&str, bool)> =
        lines[0].spans.iter().map(|span| (span.content.as_ref(), span.style.bg == found.bg)).collect();
    assert_eq!(spans, [("TIME-out", true), (" now", false)]);
    let red = log_line::render("\u{1b}[31mred", Fit::Wrap { columns: 80 }, &[], &theme, Style::new());
    assert!(red[0].spans[0].style.fg.is_some());
    // A pattern that matches nothing at every place marks nothing.
    let empty = Regex::new("x*").unwrap();
    let lines = log_line::render("abc", Fit::Wrap { columns: 80 }, &[&empty], &theme, Style::new());
    assert_eq!(lines[0].spans.len(), 1);
}

#[test]
fn a_long_line_costs_what_is_seen_of_it() {
    let theme = Theme::default();
    let long = "word ".repeat(13_000);
    for _ in 0..2_000 {
        let lines = log_line::render(&long, Fit::Cut { from: 0, columns: 200 }, &[], &theme, Style::new());
        assert_eq!(lines[0].width(), 200);
    }
}

#[test]
fn hints_are_dropped_whole() {
    let theme = Theme::default();
    let hints = [("r", "restart"), ("s", "stop"), ("l", "logs")];
    assert_eq!(key_hints(&hints, 80, &theme).to_string(), " r restart  s stop  l logs ");
    assert_eq!(key_hints(&hints, 26, &theme).to_string(), " r restart  s stop  …");
    assert_eq!(key_hints(&hints, 27, &theme).to_string(), " r restart  s stop  l logs ");
    assert_eq!(key_hints(&hints, 1, &theme).to_string(), "");
}

#[test]
fn a_click_finds_its_tab() {
    let labels = [("¹", "projects"), ("²", "services")];
    let line = tabs(&labels, 1, &Theme::default()).to_string();
    assert_eq!(line, " ¹projects │ ²services ");
    assert_eq!(tab_at(&labels, 0), Some(0));
    assert_eq!(tab_at(&labels, 10), Some(0));
    assert_eq!(tab_at(&labels, 11), None);
    assert_eq!(tab_at(&labels, 12), Some(1));
    assert_eq!(tab_at(&labels, 22), Some(1));
    assert_eq!(tab_at(&labels, 23), None);
}

#[test]
fn boxes_fit_into_any_screen() {
    let theme = Theme::default();
    for (wide, high) in (0..40).flat_map(|wide| (0..8).map(move |high| (wide, high))) {
        let mut buffer = Buffer::empty(Rect::new(0, 0, wide, high));
        let panel =
            Panel { title: "services".into(), right: "12/40".into(), bottom: "end".into(), focus: Focus::Focused };
        let inner = panel.draw(Rect::new(0, 0, 100, 100), &mut buffer, &theme);
        assert_eq!(inner.intersection(buffer.area), inner);
        overlay("confirm", Rect::new(0, 0, 100, 100), (30, 5), &mut buffer, &theme);
    }
    assert_eq!(centred(Rect::new(0, 0, 80, 24), 20, 4), Rect::new(30, 10, 20, 4));
}

#[test]
fn a_panel_shows_focus_without_colour() {
    let theme = Theme::no_color();
    let frame = |focus| {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 20, 3));
        Panel { title: "logs".into(), focus, ..Panel::default() }.draw(buffer.area, &mut buffer, &theme);
        text_of(&buffer)
    };
    assert_eq!(frame(Focus::Focused).lines().next(), Some("┏ logs ━━━━━━━━━━━━┓"));
    assert_eq!(frame(Focus::Elsewhere).lines().next(), Some("╭ logs ────────────╮"));
    assert!(badge("3 down", theme.style(Role::Error), &theme).content.contains("[3 down]"));
}

/// Every widget on one screen: to be looked at in every theme.
fn gallery(theme: &Theme) -> Buffer {
    let mut buffer = Buffer::empty(Rect::new(0, 0, 110, 34));
    buffer.set_style(buffer.area, theme.style(Role::Text));
    buffer.set_style(Rect::new(0, 0, 110, 1), theme.style(Role::HeaderBar));
    let labels = [("1", "projects"), ("2", "services"), ("3", "graphs"), ("4", "logs")];
    tabs(&labels, 1, theme).render(Rect::new(1, 0, 60, 1), &mut buffer);
    let states = [("6 up", Role::Good), ("1 held", Role::Warning), ("2 down", Role::Error), ("auto", Role::Info)];
    let mut x = 64;
    for (word, role) in states {
        let span = badge(word, theme.style(role), theme);
        x = buffer.set_span(x, 0, &span, 20).0 + 1;
    }
    draw_services(theme, Rect::new(0, 1, 55, 13), &mut buffer);
    draw_graphs(theme, Rect::new(55, 1, 55, 26), &mut buffer);
    draw_logs(theme, Rect::new(0, 14, 55, 13), &mut buffer);
    let roles = Role::ALL.map(Role::word);
    for (index, role) in Role::ALL.into_iter().enumerate() {
        let (column, row) = ((index % 6) as u16 * 18, 28 + (index / 6) as u16);
        buffer.set_stringn(column + 1, row, roles[index], 17, theme.style(role));
    }
    let hints = [
        ("r", "restart"),
        ("s", "stop"),
        ("l", "logs"),
        ("d", "diagnose"),
        ("Space", "mark"),
        (":", "palette"),
        ("?", "help"),
    ];
    buffer.set_style(Rect::new(0, 33, 110, 1), theme.style(Role::HeaderBar));
    key_hints(&hints, 110, theme).render(Rect::new(0, 33, 110, 1), &mut buffer);
    let inner = overlay("restart api?", Rect::new(30, 10, 50, 8), (44, 5), &mut buffer, theme);
    let question = Line::styled("2 dependents are restarted with it.", theme.style(Role::Muted));
    buffer.set_line(inner.x + 1, inner.y, &question, inner.width);
    key_hints(&[("y", "restart"), ("Esc", "leave")], 40, theme)
        .render(Rect { y: inner.y + 2, height: 1, ..inner }, &mut buffer);
    buffer
}

fn draw_services(theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let panel = Panel { title: "services".into(), right: "6/9".into(), focus: Focus::Focused, ..Panel::default() };
    let inner = panel.draw(area, buffer, theme);
    let rows = [
        ("●", "api", "running", Role::Good, 12.3, "120M"),
        ("●", "worker", "running", Role::Good, 88.0, "1.2G"),
        ("↻", "cache", "backing-off", Role::Warning, 0.0, "0B"),
        ("✗", "mailer", "gave-up", Role::Error, 0.0, "0B"),
        ("◌", "reports", "waiting", Role::Info, 0.0, "0B"),
        ("○", "docs", "stopped", Role::Muted, 0.0, "0B"),
        ("✓", "migrate", "completed", Role::Muted, 0.0, "0B"),
        ("⊘", "proxy", "blocked", Role::Warning, 0.0, "0B"),
    ];
    for (index, (glyph, name, word, role, cpu, memory)) in rows.into_iter().enumerate() {
        let y = inner.y + index as u16;
        buffer.set_string(inner.x + 1, y, glyph, theme.style(role));
        buffer.set_string(inner.x + 3, y, fit(name, 10), theme.service(index));
        buffer.set_string(inner.x + 14, y, fit(word, 12), theme.style(role));
        buffer.set_string(inner.x + 26, y, fit_right(&units::percent(cpu), 5), Style::new());
        buffer.set_string(inner.x + 32, y, fit_right(memory, 5), theme.style(Role::Muted));
        let wave = history((0..60).map(|n| (n as f32 / 6.0 + index as f32).sin().max(0.0) * cpu));
        buffer.set_string(inner.x + 39, y, sparkline(&wave, 60, 12, Some(100.0)), theme.style(Role::GraphCpu));
        if index == 1 {
            buffer.set_style(Rect { y, height: 1, ..inner }, theme.style(Role::Selection));
        }
    }
    let mut view = Viewport::default();
    view.resize(30, usize::from(inner.height));
    let right = Rect { x: area.right() - 1, width: 1, y: inner.y, height: inner.height };
    scrollbar(&view, right, buffer, theme);
}

fn draw_graphs(theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let inner = Panel { title: "graphs".into(), right: "host".into(), ..Panel::default() }.draw(area, buffer, theme);
    let wave = |speed: f32, high: f32| history((0..120).map(|n| ((n as f32 / speed).sin() + 1.1) * high));
    let (cpu, memory, rx, tx) = (wave(7.0, 40.0), wave(40.0, 300e6), wave(5.0, 200e3), wave(9.0, 90e3));
    let one = |label, history, role| [Series { label, history, role }];
    let height = inner.height / 3;
    let part = |index: u16| Rect { y: inner.y + index * height, height, ..inner };
    let cpu = one("cpu", &cpu, Role::GraphCpu);
    Chart { series: &cpu, seconds: 60, scale: Scale::Percent, unit: Unit::Percent, shape: Shape::Area }.draw(
        part(0),
        buffer,
        theme,
    );
    let memory = one("memory", &memory, Role::GraphMemory);
    let scale = Scale::Auto { floor: 1e6 };
    Chart { series: &memory, seconds: 60, scale, unit: Unit::Bytes, shape: Shape::Area }.draw(part(1), buffer, theme);
    let net = [
        Series { label: "↓ in", history: &rx, role: Role::GraphNetRx },
        Series { label: "↑ out", history: &tx, role: Role::GraphNetTx },
    ];
    Chart { series: &net, seconds: 60, scale, unit: Unit::BytesPerSecond, shape: Shape::Line }.draw(
        part(2),
        buffer,
        theme,
    );
}

fn draw_logs(theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let panel = Panel {
        title: "logs · api".into(),
        right: "/time.?out".into(),
        bottom: "following".into(),
        ..Panel::default()
    };
    let inner = panel.draw(area, buffer, theme);
    let pattern = Regex::new("time.?out").expect("a pattern");
    let lines = [
        "12:00:01 GET /health 200 1ms",
        "\u{1b}[32mINFO\u{1b}[0m  listening on 127.0.0.1:8080",
        "\u{1b}[33mWARN\u{1b}[0m  upstream timeout after 5s, trying again",
        "\u{1b}[31mERROR\u{1b}[0m upstream \u{1b}[1mtime-out\u{1b}[0m: gave up on http://10.0.0.7/v1/things?page=3",
        "\u{1b}[36mtrace\u{1b}[0m \u{1b}[35mspan=7\u{1b}[0m \u{1b}[34muser=42\u{1b}[0m \u{1b}[2mdim words\u{1b}[0m",
        "\u{1b}[41;97m PANIC \u{1b}[0m index out of range",
        "字 and 👍 and e\u{301} keep to their columns │",
        "12%\r57%\r100% done",
    ];
    let rows = lines.iter().flat_map(|line| {
        log_line::render(line, Fit::Wrap { columns: usize::from(inner.width) }, &[&pattern], theme, Style::new())
    });
    for (index, row) in rows.take(usize::from(inner.height)).enumerate() {
        buffer.set_line(inner.x, inner.y + index as u16, &row, inner.width);
    }
}

#[test]
fn the_gallery_is_drawn_in_every_theme() {
    for name in Theme::names(None) {
        let theme = Theme::load(&name, None).unwrap();
        let buffer = gallery(&theme);
        picture::show(&buffer, &format!("gallery-{name}"));
        let text = text_of(&buffer);
        assert!(text.contains("restart api?") && text.contains("100% done") && text.contains("-60s"), "{text}");
        if name == "mono" {
            let colored = |cell: &ratatui::buffer::Cell| {
                cell.fg != ratatui::style::Color::Reset || cell.bg != ratatui::style::Color::Reset
            };
            assert!(!buffer.content().iter().any(colored));
            assert!(buffer.content().iter().any(|cell| cell.modifier.contains(Modifier::REVERSED)));
        }
    }
}
