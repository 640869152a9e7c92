//! Builds whose directory or Dockerfile is not there.

use cas::config::import::Weight;

use super::{Shelf, indented};

fn built(lines: &str) -> Shelf {
    Shelf::of(&format!("services:\n  web:\n{}", indented(lines)))
}

#[test]
fn a_build_without_its_dockerfile_is_noted_at_its_line() {
    for (lines, others, note) in [
        ("build: api", &["api/main.c"][..], Some("compose.yaml:3:12: web.build: there is no Dockerfile in api")),
        ("build: api", &[], Some("compose.yaml:3:12: web.build: there is no directory api")),
        ("build: api", &["api/Dockerfile"], None),
        ("build: api", &["api/Containerfile"], None),
        ("build: {context: api, dockerfile: dev.Dockerfile}", &["api/dev.Dockerfile"], None),
        (
            "build: {context: api, dockerfile: dev.Dockerfile}",
            &["api/Dockerfile"],
            Some("compose.yaml:3:12: web.build: there is no dev.Dockerfile in api"),
        ),
        ("build: {context: ., dockerfile_inline: FROM scratch}", &[], None),
        ("build: https://example.org/shop.git", &[], None),
    ] {
        let mut shelf = built(lines);
        for other in others {
            shelf = shelf.and(other, "x");
        }
        let notes = shelf.notes(Weight::Hint);
        assert_eq!(notes, note.into_iter().collect::<Vec<_>>(), "{lines} {others:?}");
    }
}
