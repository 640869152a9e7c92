use regex::Regex;

use super::{Filter, Look, Reading, Term};
use crate::{
    insight::entry::Formats,
    model::{level::Level, log::Stream, log_search::LogWish},
};

fn accepts(term: &str, line: &str) -> bool {
    let formats = Formats::builtin();
    Term::parse(term).unwrap().accepts(&Look::at("web", Stream::Stderr, line, &formats))
}

fn reading(term: &str) -> Reading {
    Term::parse(term).unwrap().reading()
}

#[test]
fn what_is_typed_is_a_regex_a_text_fields_or_a_pattern() {
    assert_eq!(reading("conn.*refused"), Reading::Regex);
    assert_eq!(reading("[oops"), Reading::Text);
    assert_eq!(reading("status>=500"), Reading::Fields);
    assert_eq!(reading("!status>=500 path~/api"), Reading::Fields);
    assert_eq!(reading("status>=500 or else"), Reading::Regex);
    assert_eq!(reading("pattern:took <*> ms"), Reading::Template);
    assert_eq!(reading(r"a\=b"), Reading::Regex);
    assert!(Term::parse("!").is_none() && Term::parse("").is_none() && Term::parse("pattern:<*> <*>").is_none());
}

#[test]
fn fields_are_compared_as_numbers_with_units_words_and_patterns() {
    let line = r"level=warn status=503 path=/api/items took=1.5s size=2KiB user=Ann";
    for passes in [
        "status>=500",
        "status=503",
        "status!=200",
        "status<504",
        "path~/api",
        "path!~/admin",
        "took>900ms",
        "took<=1500",
        "size==2048",
        "user=ann",
        "level>=warn",
        "level<error",
        "service=web",
        "stream=stderr",
        "missing!=1",
        "status>=500 path~^/api",
        r"path~^/\w+/\w+$",
        r#"path~'i\w+s' user="Ann""#,
    ] {
        assert!(accepts(passes, line), "{passes}");
        assert!(!accepts(&format!("!{passes}"), line), "!{passes}");
    }
    for fails in [
        "status>=504",
        "took>2s",
        "path=/api",
        "missing=1",
        "missing>0",
        "level>warn",
        "status>=500 path~/admin",
        "user>1",
    ] {
        assert!(!accepts(fails, line), "{fails}");
    }
}

#[test]
fn a_template_finds_its_lines_with_any_head_and_any_value() {
    let term = "pattern:Connection from <*> closed after <*> ms (<*>)";
    assert!(accepts(term, "12:00 INFO Connection from 10.0.0.1:99 closed after 12 ms (ok)"));
    assert!(accepts(term, "Connection from  closed   after 1.5 ms (timeout while reading)"));
    assert!(!accepts(term, "Connection from 10.0.0.1 opened"));
    assert!(accepts("pattern:GET <*>", "GET /x?y=(z)"));
    assert!(
        accepts("pattern:a.b <*>", "a.b c") && !accepts("pattern:a.b <*>", "axb c"),
        "its text is no regular expression"
    );
}

#[test]
fn all_of_a_filter_must_hold_and_its_prefilter_lets_every_accepted_line_pass() {
    let wish = LogWish {
        terms: vec!["TIMEOUT".into(), "!retry".into(), "code=E42".into()],
        level: Some(Level::Warn),
        ..LogWish::default()
    };
    let filter = Filter::of(&wish);
    let formats = Formats::builtin();
    let accepts = |line: &str| filter.accepts(&Look::at("web", Stream::Stdout, line, &formats));
    assert!(accepts("error: TIMEOUT code=E42 after=5s"));
    assert!(!accepts("error: timeout code=E42 after=5s"), "an upper case letter asks for upper case");
    assert!(
        !accepts("info: TIMEOUT code=E42 after=5s")
            && !accepts("error: TIMEOUT code=E42 after=retry")
            && !accepts("error: TIMEOUT code=E43 after=5s")
    );
    let matches =
        |wish: &LogWish, line: &str| Regex::new(&Filter::of(wish).prefilter().unwrap()).unwrap().is_match(line);
    assert!(matches(&wish, "error TIMEOUT code=E42") && !matches(&wish, "error timeout code=E4"));
    let of = |term: &str| LogWish { terms: vec![term.to_owned()], ..LogWish::default() };
    assert!(matches(&of("disk full"), "DISK FULL") && matches(&of("user=ann"), "{\"user\": \"Ann\"}"));
    assert!(!matches(&of("user=ann"), "{\"user\": \"Bob\"}"));
    for (term, line) in [
        ("path=/api/items", r#"{"path":"\/api\/items"}"#),
        ("user=zoé", r#"{"user":"Zo\u00e9"}"#),
        ("user=josé-ann", r#"{"user":"jos\u00e9-ann"}"#),
        ("user=ann", r#"{"user":"\u0061nn"}"#),
        (r#"'said=so he said "now"'"#, r#"{"said":"so he said \"now\""}"#),
        (r#"'said=so he said "now"'"#, r#"said="so he said \"now\"" and=more"#),
        ("'msg=first\nsecond'", r#"{"msg":"first\nsecond"}"#),
    ] {
        let filter = Filter::of(&of(term));
        assert_eq!(filter.terms()[0].reading(), Reading::Fields, "{term}");
        assert!(filter.accepts(&Look::at("web", Stream::Stdout, line, &formats)), "{term} {line}");
        let prefilter = filter.prefilter().map(|regex| Regex::new(&regex).unwrap());
        assert!(prefilter.is_none_or(|regex| regex.is_match(line)), "{term} {line}");
    }
    for term in ["!x", "status>=500", "user!=ann", "user=é", "path=/a/b"] {
        assert!(Filter::of(&of(term)).prefilter().is_none(), "{term}");
    }
}

#[test]
fn a_pattern_that_would_take_all_memory_is_taken_as_text() {
    let bomb = "((((a{200}){200}){200}){200})";
    assert_eq!(reading(bomb), Reading::Text);
    assert!(!accepts(bomb, &"a".repeat(10_000)));
}
