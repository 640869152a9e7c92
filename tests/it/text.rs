//! Untrusted text never acts on a terminal.

use std::{fmt::Write as _, num::NonZero};

use cas::model::text::{Emphasis, MAX_MARKS, TextColor, TextStyle, plain, styled, terminal_safe_sgr, truncate, width};
use proptest::prelude::*;
use ratatui::{buffer::Buffer, layout::Rect, style::Style};
use unicode_segmentation::UnicodeSegmentation as _;

/// Control characters, DEL, direction controls, zero-width characters: nothing of that may be left.
fn forbidden(text: &str) -> Option<char> {
    text.chars().find(|c| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
            || matches!(c, '\u{feff}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
    })
}

/// What is left of the CLI's form once our own `ESC [ digits ; m` are taken out.
fn without_own_sgr(text: &str) -> String {
    regex::Regex::new("\u{1b}\\[[0-9;]*m").expect("a pattern").replace_all(text, "").into_owned()
}

#[track_caller]
fn assert_safe(input: &str) {
    let clean = plain(input);
    assert_eq!(forbidden(&clean), None, "plain({input:?}) = {clean:?}");
    assert_eq!(plain(&clean), clean, "plain is not idempotent on {input:?}");
    let parts = styled(input);
    assert!(parts.iter().all(|(_, part)| !part.is_empty()), "{input:?}: {parts:?}");
    assert!(parts.windows(2).all(|pair| pair[0].0 != pair[1].0), "{input:?}: {parts:?}");
    let joined: String = parts.into_iter().map(|(_, part)| part).collect();
    assert_eq!(joined, clean, "styled says something else than plain on {input:?}");
    let line = terminal_safe_sgr(input);
    assert_eq!(without_own_sgr(&line), clean, "terminal_safe_sgr({input:?}) = {line:?}");
    if let Some(last) = line.rfind('\u{1b}') {
        assert!(line[last..].starts_with("\u{1b}[0m"), "colours are not reset at the end: {line:?}");
    }
}

/// More than two hundred sequences that terminals are known to act on.
fn corpus() -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    // CSI: every final byte, bare, with parameters, private, with intermediates.
    for last in 0x40..=0x7e_u8 {
        let last = char::from(last);
        all.push(format!("a\u{1b}[{last}b"));
        all.push(format!("a\u{1b}[2;5{last}b"));
        all.push(format!("a\u{1b}[?1049{last}b"));
        all.push(format!("a\u{9b}1 {last}b"));
    }
    // ESC: every final byte, with and without intermediate.
    for last in 0x30..=0x7e_u8 {
        all.push(format!("a\u{1b}{}b", char::from(last)));
        all.push(format!("a\u{1b}#{}b", char::from(last)));
    }
    // OSC: titles, clipboard, links, colours, notifications, directories, shell marks; with each way to end it, and without.
    for code in [0, 1, 2, 4, 7, 8, 9, 10, 11, 12, 22, 50, 52, 104, 110, 133, 633, 777, 1337] {
        for (start, end) in [("\u{1b}]", "\u{7}"), ("\u{1b}]", "\u{1b}\\"), ("\u{9d}", "\u{9c}"), ("\u{1b}]", "")] {
            all.push(format!("a{start}{code};c;cHduZWQ={end}b"));
        }
    }
    // DCS, SOS, PM, APC: sixel, kitty graphics, DECRQSS, tmux passthrough.
    for start in ["\u{1b}P", "\u{90}", "\u{1b}X", "\u{98}", "\u{1b}^", "\u{9e}", "\u{1b}_", "\u{9f}"] {
        for body in ["q#0;2;0;0;0~-", "Gf=100,a=T;AAAA", "$qm", "tmux;\u{1b}\u{1b}]52;c;eA==\u{7}", "+q544e"] {
            for end in ["\u{1b}\\", "\u{9c}", "\u{18}", ""] {
                all.push(format!("a{start}{body}{end}b"));
            }
        }
    }
    // Single controls, nested and broken sequences, marks, directions.
    all.extend((0..0x20_u8).chain([0x7f]).map(|c| format!("a{}b", char::from(c))));
    all.extend(('\u{80}'..='\u{9f}').map(|c| format!("a{c}b")));
    all.extend(
        [
            "\u{1b}",
            "\u{1b}[",
            "\u{1b}[31",
            "\u{1b}\u{1b}[31m",
            "\u{1b}[3\u{1b}[1mx",
            "\u{1b}[\u{0}31mx",
            "\u{1b}]\u{1b}]\u{1b}]",
            "\u{1b}\u{9b}31mx",
            "\u{9b}\u{9b}\u{9b}",
            "\u{1b}[31é",
            "\u{1b}é",
            "x\u{1b}[38;5m",
            "x\u{1b}[999999999999999999999m",
            "\u{1b}[1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18;19;20;21;22;23;24;25;26;27;28;29;30;31;32;33;34;35mx",
            "user\u{202e}gpj.exe",
            "\u{2066}a\u{2069}",
            "\u{200f}\u{200e}",
            "a\u{200d}b",
            "\u{feff}bom",
            "👨\u{200d}👩\u{200d}👧",
            "❤\u{fe0f}",
            "👍\u{1f3ff}",
            "🏴\u{e0067}\u{e0062}\u{e007f}",
            "\u{301}at the start",
            "\r\u{301}",
            "x\r",
            "x\r\n",
            "\t\t",
            "a\u{8}b",
            "\u{ffff}",
        ]
        .map(str::to_owned),
    );
    all
}

#[test]
fn no_known_sequence_gets_through() {
    let corpus = corpus();
    assert!(corpus.len() >= 200, "{}", corpus.len());
    for input in &corpus {
        assert_safe(input);
    }
    assert_safe(&corpus.concat());
}

#[test]
fn a_terminal_that_is_shown_the_corpus_is_left_as_it_was() {
    for input in corpus() {
        for output in [plain(&input).into_owned(), terminal_safe_sgr(&input)] {
            let columns = u16::try_from(width(&plain(&input))).unwrap();
            let mut terminal = vt100::Parser::new(NonZero::new(4).unwrap(), NonZero::new(400).unwrap(), 0);
            terminal.process(output.as_bytes());
            let screen = terminal.screen();
            assert_eq!(screen.cursor_position(), (0, columns), "{input:?} -> {output:?}");
            assert_eq!(screen.contents().trim_end(), plain(&input).trim_end(), "{input:?}");
            assert!(!screen.alternate_screen() && !screen.hide_cursor(), "{input:?}");
            assert_eq!(screen.fgcolor(), vt100::Color::Default, "{input:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_at_all_gets_through(input in any::<String>()) {
        assert_safe(&input);
    }

    #[test]
    fn no_mixture_of_sequences_gets_through(parts in proptest::collection::vec(prop_oneof![
        Just("\u{1b}"), Just("["), Just("]"), Just("P"), Just("\\"), Just("\u{9b}"), Just("\u{9d}"), Just("\u{9c}"), Just("31"), Just(";"), Just(":"),
        Just("m"), Just("H"), Just("52;c;eA=="), Just("\u{7}"), Just("\r"), Just("\n"), Just("\t"), Just("\0"), Just("\u{18}"), Just("é"), Just("字"),
        Just("\u{301}"), Just("👍"), Just("\u{202e}"), Just("word"), Just("38"), Just("2"), Just("\u{98}"), Just("_"), Just("\u{8}"),
    ], 0..40)) {
        assert_safe(&parts.concat());
    }

    #[test]
    fn the_width_is_what_the_screen_fills(input in "\\PC{0,40}") {
        let clean = plain(&input).into_owned();
        let mut buffer = Buffer::empty(Rect::new(0, 0, 200, 1));
        let (end, _) = buffer.set_stringn(0, 0, &clean, 200, Style::new());
        prop_assert_eq!(usize::from(end), width(&clean), "{:?}", clean);
    }

    #[test]
    fn cut_text_fits_and_says_that_it_was_cut(input in "\\PC{0,30}", columns in 0_usize..20) {
        let clean = plain(&input).into_owned();
        let cut = truncate(&clean, columns);
        prop_assert!(width(&cut) <= columns);
        if width(&clean) <= columns {
            prop_assert_eq!(&cut, &clean);
        } else if columns > 0 {
            let kept = cut.strip_suffix('…');
            prop_assert!(kept.is_some_and(|kept| clean.starts_with(kept)), "{:?}", cut);
            // Not one cluster more would have fitted.
            let kept = kept.unwrap_or_default();
            let next = clean[kept.len()..].graphemes(true).next().unwrap();
            prop_assert!(width(kept) + width(next) + 1 > columns, "{:?} {:?}", kept, next);
        }
    }
}

#[test]
fn clean_text_is_not_copied() {
    for text in ["", "plain words", "Größe 字 é e\u{301} \u{fffd} ✓ ⠋ 👍"] {
        assert!(matches!(plain(text), std::borrow::Cow::Borrowed(_)), "{text:?}");
    }
}

#[test]
fn what_a_sequence_wraps_is_still_read() {
    for (input, output) in [
        ("\u{1b}[31mred\u{1b}[0m plain", "red plain"),
        ("\u{1b}]0;a title\u{7}words", "words"),
        ("\u{1b}]8;;https://example.org\u{1b}\\a link\u{1b}]8;;\u{1b}\\.", "a link."),
        ("\u{9b}31mred\u{9b}m", "red"),
        ("\u{1b}P1$r0m\u{1b}\\words", "words"),
        ("a\u{2028}b\nc\u{85}d", "a b c d"),
        ("a\tb\t字\tc", "a       b       字      c"),
        ("\u{202e}evil\u{202c}", "evil"),
        ("broken \u{fffd}\u{fffd} bytes\0\0", "broken \u{fffd}\u{fffd} bytes"),
        ("12%\r34%\r100%\r", "100%"),
        ("windows\r", "windows"),
        ("\u{1b}[32m12%\r100%", "100%"),
    ] {
        assert_eq!(plain(input), output, "{input:?}");
    }
}

#[test]
fn a_string_sequence_without_an_end_hides_nothing() {
    assert_eq!(plain("before \u{1b}]0;and after"), "before 0;and after");
    assert_eq!(plain("mojibake \u{9d}quoted"), "mojibake quoted");
    assert_eq!(plain("\u{1b}_all of it\u{7}"), "all of it");
}

#[test]
fn marks_do_not_pile_up() {
    let tower = format!("a{}b", "\u{301}".repeat(60_000));
    let clean = plain(&tower);
    assert_eq!(clean.chars().count(), 2 + usize::from(MAX_MARKS));
    assert_eq!(width(&clean), 2);
    // Vowel signs of some scripts take columns, and still the whole heap is one cell of a screen.
    let heap = format!("a{}b", "\u{d46}".repeat(20_000));
    assert_eq!(plain(&heap), "\u{fffd}b");
    assert_eq!(styled(&heap).len(), 1);
}

fn style(change: impl FnOnce(&mut TextStyle)) -> TextStyle {
    let mut style = TextStyle::default();
    change(&mut style);
    style
}

#[test]
fn colours_are_kept_as_data() {
    let red = style(|s| s.fg = Some(TextColor::Indexed(1)));
    for (sgr, expected) in [
        ("31", red),
        ("91", style(|s| s.fg = Some(TextColor::Indexed(9)))),
        ("44", style(|s| s.bg = Some(TextColor::Indexed(4)))),
        ("103", style(|s| s.bg = Some(TextColor::Indexed(11)))),
        ("38;5;208", style(|s| s.fg = Some(TextColor::Indexed(208)))),
        ("38:5:208", style(|s| s.fg = Some(TextColor::Indexed(208)))),
        ("48;2;1;2;3", style(|s| s.bg = Some(TextColor::Rgb(1, 2, 3)))),
        ("38:2::1:2:3", style(|s| s.fg = Some(TextColor::Rgb(1, 2, 3)))),
        ("38:2:1:2:3", style(|s| s.fg = Some(TextColor::Rgb(1, 2, 3)))),
        (
            "1;3;4;7",
            style(|s| {
                s.emphasis = Emphasis::BOLD.with(Emphasis::ITALIC).with(Emphasis::UNDERLINE).with(Emphasis::REVERSE);
            }),
        ),
        ("1;2;22;31", red),
        ("4;4:0;31", red),
        ("38;5;300;31", red),
        ("38;2;1;2;900;31", red),
        ("35;0;31", red),
        ("5;8;31", red),
    ] {
        assert_eq!(styled(&format!("\u{1b}[{sgr}mx")), [(expected, "x".to_owned())], "{sgr}");
    }
    let parts = styled("a\u{1b}[31mb\u{1b}[31mc\u{1b}[md");
    let plain = TextStyle::default();
    assert_eq!(parts, [(plain, "a".to_owned()), (red, "bc".to_owned()), (plain, "d".to_owned())]);
}

#[test]
fn the_command_line_writes_colours_again_and_resets_them() {
    assert_eq!(terminal_safe_sgr("no colours"), "no colours");
    assert_eq!(
        terminal_safe_sgr("\u{1b}[1;31mbad\u{1b}[0m ok \u{1b}[38;5;208;48;2;1;2;3mmore\u{1b}]52;c;eA==\u{7}"),
        "\u{1b}[0;1;31mbad\u{1b}[0m ok \u{1b}[0;38;5;208;48;2;1;2;3mmore\u{1b}[0m"
    );
    // What is written is read again as the same.
    let bright = "\u{1b}[97;105;2;9mx";
    assert_eq!(styled(&terminal_safe_sgr(bright)), styled(bright));
}

#[test]
fn widths_are_those_of_terminals() {
    for (text, columns) in
        [("", 0), ("abc", 3), ("字", 2), ("e\u{301}", 1), ("👍", 2), ("✓●⠋│", 4), ("🇩🇪", 2), ("Ω", 1)]
    {
        assert_eq!(width(text), columns, "{text}");
    }
    assert_eq!(truncate("字字字", 4), "字…");
    assert_eq!(truncate("abcdef", 4), "abc…");
    assert_eq!(truncate("abcd", 4), "abcd");
    assert_eq!(truncate("abcd", 0), "");
}

#[test]
fn the_longest_line_costs_time_in_proportion() {
    // Quadratic behaviour would take minutes here, not a moment.
    for unit in
        ["a", "\u{1b}[31m", "\u{1b}]", "\u{9d}x", "\u{301}", "\r", "\t", "字", "\u{1b}]0;t\u{7}", "\u{1b}[38;5;1mx"]
    {
        let mut line = String::new();
        while line.len() < 2 << 20 {
            let _ = write!(line, "{unit}");
        }
        if unit == "\t" {
            line.truncate(1 << 18);
        }
        let clean = plain(&line);
        assert!(clean.len() <= line.len() * 8);
        assert!(width(&truncate(&clean, 80)) <= 80);
    }
}
