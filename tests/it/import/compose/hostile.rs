//! Files that were not meant well: any bytes, and real files with something broken in them.

use std::{fmt::Write as _, fs, path::Path};

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};

use super::{Shelf, corpus};

/// Anything that finishes is well; what must not happen is a panic or a hang.
fn survives(text: &str) {
    let shelf = Shelf::of(text).and("other.yaml", text).and(".env", text);
    let imported = shelf.import();
    // A carriage return alone ends a line, too (YAML 1.2, 5.4).
    let lines = u32::try_from(text.replace("\r\n", "\n").replace('\r', "\n").lines().count() + 1).unwrap();
    for note in imported.notes {
        assert!(note.source.line >= 1 && note.source.line <= lines, "{}: {}", note.source, note.message);
    }
    let _ = cas::config::import::compose::is_compose(text);
}

fn corpus_texts() -> Vec<String> {
    let own = corpus::own();
    let texts: Vec<_> = corpus::files(&own)
        .iter()
        .filter_map(|file: &std::path::PathBuf| fs::read_to_string(Path::new(file)).ok())
        .collect();
    assert!(!texts.is_empty());
    texts
}

fn snippet() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("!reset "),
        Just("!override "),
        Just("extends: {file: other.yaml, service: web}\n"),
        Just("include: [other.yaml, compose.yaml]\n"),
        Just("${A:-${B"),
        Just("$$${"),
        Just("<<: *x"),
        Just("&x "),
        Just("\t"),
        Just("\r\n"),
        Just("\0"),
        Just("999999999999999999999999h"),
        Just("1-65535:1-65535"),
        Just("[[[[[[[["),
        Just(": "),
        Just("\u{202e}"),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        survives(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn real_files_with_something_broken_in_them_are_survived(
        which in any::<proptest::sample::Index>(),
        cuts in proptest::collection::vec((any::<proptest::sample::Index>(), any::<proptest::sample::Index>(), snippet()), 1..6),
    ) {
        let texts = corpus_texts();
        let mut text: Vec<char> = which.get(&texts).chars().collect();
        for (at, length, snippet) in cuts {
            let at = at.index(text.len() + 1);
            let end = (at + length.index(12)).min(text.len());
            text.splice(at..end, snippet.chars());
        }
        survives(&text.into_iter().collect::<String>());
    }
}

#[test]
fn a_file_that_grows_by_aliases_or_by_extends_ends_quickly() {
    let mut bomb = String::from("x-a: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let before = level - 1;
        let aliases = vec![format!("*a{before}"); 9].join(", ");
        let _ = writeln!(bomb, "x-{level}: &a{level} [{aliases}]");
    }
    bomb.push_str("services: {w: {image: i, cap_add: *a19}}\n");
    survives(&bomb);
    let mut chain = String::from("services:\n  s0: {image: i}\n");
    for level in 1..3000 {
        let _ = writeln!(chain, "  s{level}: {{extends: s{}}}", level - 1);
    }
    survives(&chain);
    let mut backwards = String::from("services:\n");
    for level in (1..3000).rev() {
        let _ = writeln!(backwards, "  s{level}: {{extends: s{}}}", level - 1);
    }
    survives(&format!("{backwards}  s0: {{image: i}}\n"));
}

#[test]
fn files_that_include_each_other_many_times_end_quickly() {
    let mut shelf = Shelf::of("include: [f0.yaml, f0.yaml]\n");
    for level in 0..40 {
        let next = level + 1;
        shelf = shelf.and(&format!("f{level}.yaml"), &format!("include: [f{next}.yaml, f{next}.yaml]\n"));
    }
    assert!(!shelf.import().notes.is_empty());
}
