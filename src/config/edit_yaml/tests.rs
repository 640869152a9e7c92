use std::fmt::Write as _;

use proptest::prelude::*;

use super::{Value, set, unset};
use crate::config::tree::{self, Node, Shape};

fn put(text: &str, path: &[&str], value: &str) -> String {
    set(text, path, Value::Text(value)).unwrap()
}

#[test]
fn a_value_is_replaced_and_all_else_stays_byte_for_byte() {
    for (before, path, value, after) in [
        (
            "# top\ntheme: nord   # mine\n\nmouse: yes\n",
            &["theme"][..],
            "gruvbox",
            "# top\ntheme: gruvbox   # mine\n\nmouse: yes\n",
        ),
        ("theme: 'nord'\n", &["theme"], "it's", "theme: 'it''s'\n"),
        ("theme: \"nord\" # x\n", &["theme"], "a b", "theme: \"a b\" # x\n"),
        ("theme:\nmouse: no\n", &["theme"], "nord", "theme: nord\nmouse: no\n"),
        ("theme: # none yet\n", &["theme"], "nord", "theme: nord # none yet\n"),
        ("theme: ~\r\nmouse: no\r\n", &["theme"], "nord", "theme: nord\r\nmouse: no\r\n"),
        ("a: {b: 1, c: [x, y]}\n", &["a", "b"], "2", "a: {b: 2, c: [x, y]}\n"),
        ("a: {b: 1}\n", &["a", "b"], "x: y", "a: {b: \"x: y\"}\n"),
        ("a:\n    b: one\n      two\n    c: 3\n", &["a", "b"], "x", "a:\n    b: x\n    c: 3\n"),
        ("x: &v 1\na: *v\n", &["a"], "2", "x: &v 1\na: 2\n"),
        ("a: !!str 1\n", &["a"], "2", "a: !!str 2\n"),
        ("\u{feff}a: 1\n", &["a"], "ä", "\u{feff}a: \"ä\"\n"),
        ("é: ü\na: 1 # ö\n", &["a"], "2", "é: ü\na: 2 # ö\n"),
    ] {
        assert_eq!(put(before, path, value), after, "{before:?}");
    }
}

#[test]
fn a_key_that_is_not_there_gets_a_line_in_its_map() {
    for (before, path, after) in [
        ("", &["a"][..], "a: v\n"),
        ("# only words\n", &["a", "b"], "# only words\na:\n  b: v\n"),
        ("# no line end", &["a"], "# no line end\na: v\n"),
        ("---\n", &["a"], "---\na: v\n"),
        ("a: 1", &["b"], "a: 1\nb: v"),
        ("a: 1  # one\n\n# end\n", &["b"], "a: 1  # one\nb: v\n\n# end\n"),
        ("a:\r\n  b: 1\r\nc: 2\r\n", &["a", "d"], "a:\r\n  b: 1\r\n  d: v\r\nc: 2\r\n"),
        (
            "a:\n  b: |\n    text\n\n    more\n\nc: 2\n",
            &["a", "d"],
            "a:\n  b: |\n    text\n\n    more\n  d: v\n\nc: 2\n",
        ),
        ("a:\nc: 2\n", &["a", "b"], "a:\n  b: v\nc: 2\n"),
        ("a: ~\n", &["a", "b"], "a: {b: v}\n"),
        ("a: {}\n", &["a", "b", "c"], "a: {b: {c: v}}\n"),
        ("a: {x: 1}\n", &["a", "b"], "a: {x: 1, b: v}\n"),
        ("a: {\n  x: 1, # one\n}\n", &["a", "b"], "a: {\n  x: 1, b: v, # one\n}\n"),
        ("a:\n- 1\n- 2\n", &["b"], "a:\n- 1\n- 2\nb: v\n"),
        ("a: [1,\n  2]\nb: {c:\n  1}\n", &["d"], "a: [1,\n  2]\nb: {c:\n  1}\nd: v\n"),
        ("{}", &["a"], "{a: v}"),
        ("base: &b {x: 1}\na:\n  <<: *b\n", &["a", "x"], "base: &b {x: 1}\na:\n  <<: *b\n  x: v\n"),
        ("a: 1\n...\n", &["b"], "a: 1\nb: v\n...\n"),
        // Its last value keeps the empty lines below it: the new one goes above.
        ("a: |+\n  x\n\n\n", &["b"], "b: v\na: |+\n  x\n\n\n"),
    ] {
        assert_eq!(put(before, path, "v"), after, "{before:?}");
    }
}

#[test]
fn what_cannot_be_done_safely_is_refused_with_a_sentence() {
    for (before, path, why) in [
        ("a: |\n  x\n", &["a"][..], "several lines"),
        ("a:\n  - 1\n", &["a"], "several lines"),
        ("a: &x 1\nb: *x\n", &["a"], "b would change with it"),
        ("d: &d\n  x: 1\na:\n  <<: *d\n", &["d", "x"], "a would change with it"),
        ("d: &d {x: 1}\na: *d\n", &["a", "x"], "alias"),
        ("a: 1\n", &["a", "b"], "no map"),
        ("- 1\n", &["a"], "no map"),
        ("a: [1\n", &["a"], "fault of its own"),
        ("a: 1\na: 2\n", &["a"], "fault of its own"),
        ("a:\n\tb: 1\n", &["a", "b"], "fault of its own"),
        ("? a\n: 1\n", &["a", "b"], "no map"),
    ] {
        let error = set(before, path, Value::Text("v")).unwrap_err();
        assert!(error.contains(why), "{before:?}: {error}");
    }
}

#[test]
fn a_value_is_taken_out_with_its_line_and_maps_that_mean_nothing_without_it() {
    for (before, path, after) in [
        ("a: 1 # one\n# two\nb: 2\n", &["a"][..], Some("# two\nb: 2\n")),
        ("a: {b: 1, c: 2}\n", &["a", "b"], Some("a: {c: 2}\n")),
        ("a: {b: 1, c: 2}\n", &["a", "c"], Some("a: {b: 1}\n")),
        ("a: {b: 1}\n", &["a", "b"], Some("a: {}\n")),
        ("a:\n  b: |\n    x\n\n    y\nc: 1\n", &["a", "b"], Some("a:\nc: 1\n")),
        (
            "x: 1\ndefaults:\n  backoff:\n    strategy: fixed\ny: 2\n",
            &["defaults", "backoff", "strategy"],
            Some("x: 1\ny: 2\n"),
        ),
        ("defaults:\n  # why\n  restart: no\ny: 2\n", &["defaults", "restart"], Some("defaults:\n  # why\ny: 2\n")),
        ("a: 1", &["a"], Some("")),
        ("a: 1\n", &["b"], None),
        ("", &["b"], None),
    ] {
        assert_eq!(unset(before, path).unwrap().as_deref(), after, "{before:?}");
    }
    assert!(unset("a: &x 1\nb: *x\n", &["a"]).is_err());
}

/// A random map as text: block or flow, with comments, quotes and both line ends.
fn map(depth: u32) -> BoxedStrategy<Vec<(String, Branch)>> {
    let leaf = prop_oneof![
        "[a-z0-9]{1,6}".prop_map(Branch::Plain),
        "[a-z '\",:#{}\\[\\]&*!|>%@`-]{0,8}".prop_map(Branch::Quoted),
        Just(Branch::Nothing),
        prop::collection::vec("[a-z]{1,3}", 0..3).prop_map(Branch::List),
        "[a-z]{1,5}".prop_map(Branch::Literal),
    ];
    let branch = if depth == 0 {
        leaf.boxed()
    } else {
        prop_oneof![3 => leaf, 1 => map(depth - 1).prop_map(Branch::Map), 1 => map(depth - 1).prop_map(Branch::Flow)]
            .boxed()
    };
    prop::collection::btree_map("[a-e]{1,2}", branch, 1..5).prop_map(|map| map.into_iter().collect()).boxed()
}

#[derive(Debug, Clone)]
enum Branch {
    Plain(String),
    Quoted(String),
    Nothing,
    List(Vec<String>),
    Literal(String),
    Map(Vec<(String, Branch)>),
    Flow(Vec<(String, Branch)>),
}

fn flow(branch: &Branch) -> String {
    match branch {
        Branch::Plain(text) | Branch::Literal(text) => text.clone(),
        Branch::Quoted(text) => format!("'{}'", text.replace('\'', "''")),
        Branch::Nothing => "~".to_owned(),
        Branch::List(items) => format!("[{}]", items.join(", ")),
        Branch::Map(entries) | Branch::Flow(entries) => {
            let inner: Vec<_> = entries.iter().map(|(key, value)| format!("{key}: {}", flow(value))).collect();
            format!("{{{}}}", inner.join(", "))
        }
    }
}

fn block(entries: &[(String, Branch)], indent: usize, text: &mut String) {
    let pad = " ".repeat(indent);
    for (place, (key, value)) in entries.iter().enumerate() {
        if place % 2 == 1 {
            write!(text, "{pad}# about {key}: it's \"x\"\n\n").unwrap();
        }
        write!(text, "{pad}{key}:").unwrap();
        match value {
            Branch::Map(inner) => {
                text.push_str("  # map\n");
                block(inner, indent + 1 + place, text);
            }
            Branch::List(items) if !items.is_empty() && place % 2 == 0 => {
                text.push('\n');
                for item in items {
                    writeln!(text, "{pad}- {item}").unwrap();
                }
            }
            Branch::Literal(line) => writeln!(text, " |\n{pad}  {line}\n\n{pad}    {line}").unwrap(),
            Branch::Nothing => text.push('\n'),
            Branch::Plain(_) | Branch::Quoted(_) | Branch::List(_) | Branch::Flow(_) => {
                writeln!(text, " {}  # {key}", flow(value)).unwrap();
            }
        }
    }
}

/// Every value but that at `path`, as text.
fn others(node: Option<&Node>, path: &[&str], at: &str, out: &mut Vec<String>) {
    match node.map(|node| &node.shape) {
        Some(Shape::Map(entries)) => {
            for (key, node) in entries {
                match path.split_first() {
                    Some((word, [])) if *word == &*key.text => {}
                    Some((word, rest)) if *word == &*key.text => others(Some(node), rest, &format!("{at}.{word}"), out),
                    Some(_) | None => others(Some(node), &[], &format!("{at}.{}", key.text), out),
                }
            }
        }
        Some(Shape::List(items)) => items.iter().for_each(|item| others(Some(item), &[], &format!("{at}[]"), out)),
        Some(Shape::Scalar { text, .. }) if path.is_empty() || !node.is_some_and(Node::is_null) => {
            out.push(format!("{at}={text}"));
        }
        Some(Shape::Scalar { .. }) | None => {}
    }
}

fn values(text: &str, path: &[&str]) -> Vec<String> {
    let tree = tree::parse(text);
    assert_eq!(tree.faults, [], "{text}");
    let mut out = Vec::new();
    others(tree.root.as_deref(), path, "", &mut out);
    out
}

fn comments(text: &str) -> usize {
    text.matches("# about").count()
}

proptest! {
    #[test]
    fn whatever_is_set_or_taken_out_everything_else_stays(
        entries in map(2),
        path in prop::collection::vec("[a-e]{1,2}", 1..4),
        value in "[ -~]{1,12}",
        crlf: bool,
    ) {
        let mut text = String::new();
        block(&entries, 0, &mut text);
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        if let Ok(after) = set(&text, &path, Value::Text(&value)) {
            prop_assert_eq!(values(&text, &path), values(&after, &path));
            prop_assert_eq!(comments(&text), comments(&after));
            prop_assert!(super::has(&after, &path));
            prop_assert_eq!(after.contains("\r\n"), text.contains("\r\n"));
            let again = set(&after, &path, Value::Text(&value)).unwrap();
            prop_assert_eq!(&again, &after);
            let back = unset(&after, &path).unwrap().unwrap();
            prop_assert_eq!(values(&text, &path), values(&back, &path));
        }
        if let Ok(Some(after)) = unset(&text, &path) {
            prop_assert_eq!(values(&text, &path), values(&after, &path));
            prop_assert!(!super::has(&after, &path));
        }
    }

    #[test]
    fn no_text_is_too_odd_to_answer(text in "[ -~\n\t]{0,60}", value in "\\PC{0,5}") {
        let _ = set(&text, &["a", "b"], Value::Text(&value));
        let _ = unset(&text, &["a", "b"]);
    }

    #[test]
    fn a_plain_key_of_a_block_map_can_always_be_set(value in "[ -~]{1,20}") {
        let after = set("x: 1\na: old # c\n", &["a"], Value::Text(&value)).unwrap();
        prop_assert!(after.starts_with("x: 1\na: ") && after.ends_with(" # c\n"));
    }
}
