//! Lines that nobody would write, and many of them.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::Formats;
use crate::insight::entry::{Belongs, Joiner, last_word};

/// Pieces of which lines are made that are nearly of some form.
const PIECES: &[&str] = &[
    "2026-11-29T10:00:00.123Z",
    "2026-11-29 10:00:00,123",
    "2026/11/29 10:00:00",
    "[29/Nov/2026:10:00:00 +0000]",
    "Nov 29 10:00:00",
    "Nov 29, 2026 10:00:00 AM",
    "[Sun Nov 29 10:00:00 2026]",
    "[29-Nov-2026 10:00:00 UTC]",
    "10:00AM",
    "1764410400.123",
    "E1129 10:00:00.1",
    "E, [",
    "#123]",
    "<34>",
    "<34>1 ",
    "{\"a\":",
    "{\"level\":\"",
    "\"",
    "\\",
    "\\u",
    "}",
    "{",
    "[",
    "]",
    "(",
    ")",
    "ERROR",
    "error:",
    "[warn]",
    "INFO",
    "time=",
    "level=",
    "msg=\"",
    "=",
    ":",
    ": ",
    ":  ",
    " - ",
    " | ",
    "---",
    "\t",
    " ",
    "  ",
    "\u{202f}",
    "é",
    "日",
    "\u{0}",
    "\u{1b}[31m",
    "123",
    "-",
    "/x.c:12:5:",
    "GET /x HTTP/1.1",
    "200",
    "ERROR:  ",
    "1:M ",
    "29 Nov 2026 10:00:00.1 *",
    "box app[1]: ",
    "Traceback (most recent call last):",
    "panic: ",
    "thread 'main' panicked at ",
    "java.lang.X: ",
    "ValueError: x",
    "    at foo",
    "Caused by: ",
    "goroutine 1 [",
    "Started ",
    "Completed ",
    "PHP ",
    "fail: A.B[1]",
    "INFO[0001]",
    "level",
    "local.ERROR: ",
    "key=value",
    "[GIN] ",
    "[Nest] 1 ",
    "MY-1",
    "#0 ",
    "note: ",
    "** (",
    "12 | ",
];

fn line() -> impl Strategy<Value = String> {
    let pieces = prop::collection::vec(prop::sample::select(PIECES), 0..12).prop_map(|pieces| pieces.concat());
    prop_oneof![3 => pieces, 1 => any::<String>(), 1 => "[ -~]{0,80}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn any_line_is_read_without_a_panic_and_its_level_alone_is_the_same(line in line()) {
        let formats = Formats::builtin();
        let parsed = formats.parse(&line);
        prop_assert_eq!(parsed.level, formats.level(&line));
        prop_assert!(parsed.fields.len() <= 128);
        prop_assert!(parsed.message.len() <= line.len(), "nothing is longer than its line");
        prop_assert!(parsed.fields.iter().all(|field| field.value.len() <= line.len()));
    }

    #[test]
    fn no_escape_becomes_a_control_character(text in r#"(\\u00[0-9a-f]{2}|\\[a-z"\\/]|[a-z]){0,12}"#) {
        let line = format!(r#"{{"level":"info","msg":"x{text}","k":"{text}"}}"#);
        let parsed = Formats::builtin().parse(&line);
        let is_clean = |text: &str| !text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t'));
        prop_assert!(is_clean(&parsed.message) && parsed.fields.iter().all(|field| is_clean(&field.value)));
    }

    #[test]
    fn any_lines_are_joined_in_entries_of_bounded_length(lines in prop::collection::vec(line(), 0..40)) {
        let mut joiner = Joiner::new();
        if let Some(first) = lines.first() {
            prop_assert_eq!(joiner.feed(first), Belongs::New, "the first line begins an entry");
        }
        for line in lines.iter().skip(1) {
            joiner.feed(line);
        }
        let word = last_word(lines.iter().map(String::as_str));
        prop_assert!(word == 0 || word < lines.len());
    }
}

#[test]
fn an_entry_has_at_most_five_hundred_lines() {
    let mut joiner = Joiner::new();
    joiner.feed("Exception in thread \"main\" java.lang.StackOverflowError");
    let new = (0..2000).filter(|_| joiner.feed("\tat org.shop.Loop.run(Loop.java:1)") == Belongs::New).count();
    assert_eq!(new, 4);
}

#[test]
fn very_long_lines_are_read_as_far_as_they_are_looked_at() {
    let formats = Formats::builtin();
    let long = format!("2026-11-29 10:00:00 ERROR {}é", "é".repeat(50_000));
    let parsed = formats.parse(&long);
    assert_eq!(parsed.message, &long[26..], "the message goes to the end of the line");
    let mut json = r#"{"level":"error","msg":"m""#.to_owned();
    for number in 0..20_000 {
        write!(json, r#","k{number}":"v""#).expect("a string takes anything");
    }
    json.push('}');
    let parsed = formats.parse(&json);
    assert_eq!(
        (&*parsed.format, parsed.level.map(super::super::Level::label), &*parsed.message),
        ("json", Some("error"), "m")
    );
    assert!(parsed.fields.len() <= 128);
    json.pop();
    assert_eq!(formats.parse(&json).format, "", "it does not end");
}

#[test]
fn depth_is_bounded_and_what_is_deeper_is_told_as_it_is_written() {
    let deep =
        |depth: usize| format!("{{\"level\":\"warn\",{}\"x\":1{}", "\"a\":{".repeat(depth), "}".repeat(depth + 1));
    let formats = Formats::builtin();
    for depth in [1, 31, 32, 33, 1000, 10_000] {
        let line = deep(depth);
        let parsed = formats.parse(&line);
        assert_eq!(parsed.format, "json", "{depth}");
        assert_eq!(parsed.fields.len(), 1);
        assert!(parsed.fields[0].name.matches('.').count() <= 32);
    }
    assert_eq!(formats.parse(&"[".repeat(100_000)).format, "");
    assert_eq!(formats.parse(&"{\"a\":".repeat(50_000)).format, "");
    assert_eq!(formats.parse(&format!("{{\"a\":{}}}", "[".repeat(50_000))).format, "");
}

#[test]
fn syslog_in_syslog_is_read_once() {
    let line = "Nov 29 10:00:00 box app: ".repeat(2000);
    let parsed = Formats::builtin().parse(&line);
    assert_eq!(parsed.format, "syslog");
    assert_eq!(parsed.fields.len(), 2);
}

#[test]
fn time_is_linear_in_the_line() {
    // What would be quadratic takes minutes here and not milliseconds.
    let formats = Formats::builtin();
    for piece in
        ["\"", "\\", "[", "[a ", "a=\"", "a=b ", ": ", ":  ", "{\"", "} {\"", " - ", "| ", "<", "'", "(", "x.y "]
    {
        for head in [
            "",
            "2026-11-29 10:00:00 ",
            "ERROR ",
            "2026-11-29T10:00:00Z INFO a: ",
            "Nov 29 10:00:00 box app[1]: ",
            "{",
            "a=b c=d ",
        ] {
            let line = format!("{head}{}", piece.repeat(60_000 / piece.len()));
            let parsed = formats.parse(&line);
            assert_eq!(parsed.level, formats.level(&line));
        }
    }
}
