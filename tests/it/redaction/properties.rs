//! Whatever the text: no panic, the same again when it is done again, and what is between the marks is whole.

use std::collections::BTreeMap;

use cas::{
    model::redact::{Redactor, Secrets},
    world::clock,
};
use proptest::prelude::*;

fn redactor() -> Redactor {
    let known =
        [("DB_PASSWORD", "hünter-2ß"), ("API_TOKEN", "token=abc"), ("KEY_OF_KEYS", "redacted"), ("A_SECRET", "aaaaaa")];
    let known: BTreeMap<String, String> = known.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let mut secrets = Secrets::default();
    secrets.learn_environment(&known);
    Redactor::of(&secrets)
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[A-Za-z0-9+/_-]{1,50}",
        prop::sample::select(vec![
            "password",
            "=",
            ":",
            " ",
            "\"",
            "\\",
            "\\\"",
            "token",
            "--",
            "key",
            "Authorization: ",
            "Bearer ",
            "Cookie: ",
            "://",
            "@",
            "u:p@h",
            "hünter-2ß",
            "redacted",
            "aaaaaa",
            "‹redacted:",
            "‹redacted:DB_PASSWORD›",
            "›",
            "eyJhbGciOiJI.",
            "AKIA",
            "ghp_",
            "-----BEGIN PRIVATE KEY-----",
            "-----END PRIVATE KEY-----",
            "\n",
            "\u{1b}[0m",
            "$",
            "<",
            ">",
            ",",
            ";",
            "é",
            "🔑",
        ])
        .prop_map(str::to_owned),
    ]
}

/// Whether what is left of `shown` between marks stands in `text` in the same order.
fn is_made_of(text: &str, shown: &str) -> bool {
    let mut rest = text;
    for part in shown
        .split("‹redacted:")
        .enumerate()
        .map(|(at, part)| if at == 0 { part } else { part.split_once('›').map_or(part, |(_, behind)| behind) })
    {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_never_panics_and_what_was_redacted_stays_as_it_is(pieces in prop::collection::vec(piece(), 0..12)) {
        let text = pieces.concat();
        let redactor = redactor();
        let once = redactor.text(&text).into_owned();
        let twice = redactor.text(&once).into_owned();
        prop_assert_eq!(&once, &twice, "of {:?}", text);
        prop_assert_eq!(once.lines().count(), text.lines().count());
        for known in ["hünter-2ß", "aaaaaa"] {
            prop_assert!(!once.contains(known), "{:?}", once);
        }
        if !text.contains('‹') {
            prop_assert!(is_made_of(&text, &once), "{:?} of {:?}", once, text);
        }
    }
}

#[test]
fn the_worst_of_lines_costs_no_more_than_its_length() {
    let redactor = redactor();
    for piece in [
        "password=",
        "token:",
        "a://",
        "a://b:c@",
        "\\\"key\\\":\\\"",
        "eyJ.",
        "-",
        "Aa0",
        "key ",
        "--token ",
        "-----END PRIVATE KEY-----",
    ] {
        let took = [1, 8].map(|times| {
            let line = piece.repeat(times * 20_000 / piece.len());
            let began = clock::now();
            let _shown = redactor.text(&line);
            clock::now().since(began)
        });
        assert!(took[1] < took[0] * 40 + std::time::Duration::from_millis(500), "{piece}: {took:?}");
    }
}
