//! Forms that people describe.

use super::{Formats, told};
use crate::model::log::LogFormat;

fn format(name: &str, pattern: &str, time: Option<&str>) -> LogFormat {
    LogFormat { name: name.to_owned(), pattern: pattern.to_owned(), time: time.map(str::to_owned) }
}

fn parse(format: LogFormat, line: &str) -> String {
    let formats = good(&[format]);
    let parsed = formats.parse(line);
    assert_eq!(formats.level(line), parsed.level, "{line}");
    told(&parsed)
}

fn good(described: &[LogFormat]) -> Formats {
    let (formats, faults) = Formats::with(described);
    assert_eq!(faults, []);
    formats
}

fn fault(faulty: LogFormat) -> String {
    let (formats, faults) =
        Formats::with(&[format("a", "^a (?P<message>.*)", None), faulty, format("b", "^b (?P<message>.*)", None)]);
    assert_eq!((&*formats.parse("a x").format, &*formats.parse("b x").format), ("a", "b"), "the others are used");
    let [fault] = &faults[..] else { panic!("{faults:?}") };
    assert_eq!(fault.index, 1);
    fault.to_string()
}

#[test]
fn a_form_of_ones_own_is_tried_before_those_that_are_built_in() {
    let mine = || {
        format(
            "mill",
            r"^(?P<time>\S+ \S+) <(?P<level>\w+)> (?P<unit>\w+): (?P<message>.*)$",
            Some("%d.%m.%Y %H:%M:%S%.f"),
        )
    };
    assert_eq!(
        parse(mine(), "29.11.2026 10:00:00.5 <warn> belt: too fast"),
        "mill warn 2026-11-29 10:00:00.500 | too fast | unit=belt"
    );
    assert_eq!(parse(mine(), r#"{"level":"error","msg":"m"}"#), "json error - | m | ");
}

#[test]
fn the_first_of_several_forms_that_fits_is_taken() {
    let formats = good(&[format("a", "^a (?P<message>.*)", None), format("any", "(?P<first>.)", None)]);
    assert_eq!(told(&formats.parse("a b")), "a - - | b | ");
    assert_eq!(told(&formats.parse("b")), "any - - | b | first=b");
    assert_eq!(formats.level("ERROR: b"), None, "a form that fits and has no level says so");
}

#[test]
fn a_time_of_ones_own_may_lack_a_year_a_date_or_have_a_zone() {
    let at = |form: Option<&str>, text: &str| parse(format("x", "^<(?P<time>[^>]*)>(?P<message>)", form), text);
    assert_eq!(at(Some("%m/%d %H:%M:%S"), "<11/29 10:00:00>"), "x - 11/29 10:00:00 |  | ");
    assert_eq!(at(Some("%H:%M"), "<10:00>"), "x - 10:00:00 |  | ");
    assert_eq!(at(Some("%Y%m%d%H%M%S %z"), "<20261129100000 +0100>"), "x - 2026-11-29 09:00:00Z |  | ");
    assert_eq!(at(Some("%s"), "<1764410400>"), "x - 2025-11-29 10:00:00Z |  | ");
    assert_eq!(at(None, "<2026-11-29T10:00:00Z>"), "x - 2026-11-29 10:00:00Z |  | ");
    assert_eq!(at(None, "<1764410400123>"), "x - 2025-11-29 10:00:00.123Z |  | ");
    assert_eq!(at(Some("%H:%M"), "<noon>"), "x - - |  | time=noon", "what is no time stays a field");
}

#[test]
fn a_form_that_cannot_work_is_refused_with_place_and_reason() {
    assert_eq!(
        fault(format("x", "a(?P<message>", None)),
        "log_formats: \"x\", character 2 of its pattern: its pattern is no regular expression: unclosed group; write it as the page on \
         formats of lines (docs/log-formats.md) shows"
    );
    assert_eq!(
        fault(format("x", "a(b)c", None)),
        "log_formats: \"x\": its pattern has no named group; name the parts that matter: (?P<time>…), (?P<level>…), (?P<message>…)"
    );
    assert!(fault(format("x", &"a".repeat(4097), None)).contains("4097 bytes, 4096 is the most"));
    assert!(fault(format("x", "(?P<a>a{1000}{1000})", None)).contains("when it is compiled"));
    assert!(fault(format(" ", "(?P<a>a)", None)).contains("it has no name"));
    assert!(fault(format("x", "(?P<time>a)", Some("%Q"))).contains("its time \"%Q\" has a part that means nothing"));
    assert!(fault(format("x", "(?P<time>a)", Some("now"))).contains("has no part such as %H"));
    assert!(fault(format("x", "(?P<a>a)", Some("%H"))).contains("no group named time"));
}

#[test]
fn a_field_is_found_by_its_name_its_letters_and_its_last_part() {
    let formats = Formats::builtin();
    let parsed = formats.parse(r#"{"http":{"status":200,"Method":"GET"},"STATUS":1,"a":"x","a":"y"}"#);
    assert_eq!(parsed.field("http.status"), Some("200"));
    assert_eq!(parsed.field("status"), Some("1"), "small and capital letters before the last part");
    assert_eq!(parsed.field("method"), Some("GET"));
    assert_eq!(parsed.field("a"), Some("y"), "the last of two");
    assert_eq!(parsed.field("b"), None);
}
