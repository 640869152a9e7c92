//! Files made to hurt: bombs, depth, size, noise.

use std::fmt::Write;

use proptest::prelude::*;

use super::{Project, load, sound};

/// Processor time of this thread so far, so that a busy machine does not fail a test.
fn cpu_ms() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

#[test]
fn a_billion_laughs_are_refused_at_once() {
    let mut bomb = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..40 {
        let below = level - 1;
        let list = vec![format!("*a{below}"); 9].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{list}]").unwrap();
    }
    let began = cpu_ms();
    let loaded = load(&format!("{bomb}services: {{web: {{command: *a39}}}}"));
    let took = cpu_ms() - began;
    assert_eq!(loaded.errors[0].message, "aliases stand for more than 1000000 values");
    assert!(took < 100, "{took} ms");
}

#[test]
fn merged_maps_count_as_aliases() {
    let mut bomb = "x0: &m0 {a: 1, b: 2, c: 3, d: 4, e: 5, f: 6, g: 7, h: 8}\n".to_owned();
    for level in 1..40 {
        let below = level - 1;
        writeln!(bomb, "x{level}: &m{level} {{p: {{<<: *m{below}}}, q: {{<<: *m{below}}}, r: {{<<: *m{below}}}}}")
            .unwrap();
    }
    assert_eq!(load(&bomb).errors.last().unwrap().message, "aliases stand for more than 1000000 values");
}

#[test]
fn depth_is_bounded_also_through_aliases() {
    for text in ["[".repeat(100_000), format!("services: {}", "{a: ".repeat(100_000)), {
        let mut chain = "a0: &a0 [x]\n".to_owned();
        for level in 1..20_000 {
            writeln!(chain, "a{level}: &a{level} [*a{}]", level - 1).unwrap();
        }
        chain
    }] {
        let began = cpu_ms();
        let loaded = load(&text);
        assert_eq!(loaded.errors.last().unwrap().message, "nested more than 64 levels deep");
        assert!(cpu_ms() - began < 1000);
    }
}

#[test]
fn five_thousand_services_load_within_a_second() {
    let mut yaml = "x-common: &common {restart: always, environment: {LEVEL: info}}\nservices:\n".to_owned();
    for index in 0..5000 {
        write!(
            yaml,
            "  service-{index}:\n    <<: *common\n    command: sleep {index}\n    ports: [{}]\n",
            10_000 + index
        )
        .unwrap();
        if index > 0 {
            writeln!(yaml, "    depends_on: [service-{}]", index - 1).unwrap();
        }
    }
    let project = Project::new().file("cas.yaml", yaml);
    let began = cpu_ms();
    let loaded = project.load("cas.yaml");
    let took = cpu_ms() - began;
    assert_eq!(
        loaded.project.as_ref().map(|project| project.services.len()),
        Some(5000),
        "{:?}",
        loaded.errors.first()
    );
    assert!(took < 1000, "{took} ms");
}

#[test]
fn five_thousand_wrong_services_are_all_reported_within_seconds() {
    let mut yaml = "services:\n".to_owned();
    for index in 0..5000 {
        writeln!(yaml, "  s{index}: {{comand: x, depends_on: [t{index}, s{}]}}", (index + 1) % 5000).unwrap();
    }
    let project = Project::new().file("cas.yaml", yaml);
    let began = cpu_ms();
    let loaded = project.load("cas.yaml");
    assert_eq!(loaded.errors.len(), 2 * 5000 + 1);
    let cycle = loaded.errors.iter().find(|error| error.message.contains("wait for each other")).unwrap();
    assert!(cycle.message.contains("s0 → s1 → s2"));
    assert!(cpu_ms() - began < 5000);
}

#[test]
fn line_endings_marks_and_tabs_between_values_make_no_difference() {
    let yaml = "name: shop\nservices:\n  web:\n    command: sleep 1 # why\n    ports: [80, 81]\n";
    let plain = sound(yaml);
    for other in [
        yaml.replace('\n', "\r\n"),
        format!("\u{feff}{yaml}"),
        yaml.replace("command: ", "command:\t").replace(" # why", "\t# why"),
    ] {
        let project = sound(&other);
        let (a, b) = (&project.services[0], &plain.services[0]);
        assert_eq!((&a.command, &a.ports, a.source.line, a.source.column), (&b.command, &b.ports, 3, 3), "{other:?}");
    }
}

const ESCAPE: char = '\u{1b}';

const VALID: &str = r#"# every kind of thing
name: shop
x-base: &base {restart: always, environment: {A: "1"}}
defaults: {stop_grace_period: 5s}
services:
  db: {<<: *base, command: sleep 1, ports: [5432, "80-82:80-82"], readiness: {tcp: 5432}}
  web:
    shell: |
      echo "${HOME:-x}" $$x
    depends_on:
      db: {condition: service_healthy}
    backoff: {base: 1s, factor: 2}
    healthcheck: {test: [CMD, "true"], interval: 1m30s}
"#;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_valid_file_with_any_bytes_changed_never_panics(
        changes in prop::collection::vec((0..VALID.len(), any::<u8>(), 0..3_u8), 1..12),
    ) {
        let mut bytes = VALID.as_bytes().to_vec();
        for (at, byte, how) in changes {
            let at = at % bytes.len().max(1);
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.drain(at..(at + usize::from(byte) % 20).min(bytes.len()))),
            }
            if bytes.is_empty() {
                bytes.push(b'a');
            }
        }
        let project = Project::new().file("cas.yaml", &bytes);
        let loaded = project.load("cas.yaml");
        prop_assert_eq!(loaded.project.is_none(), !loaded.errors.is_empty());
        let escapes = project.said(&loaded).contains(ESCAPE);
        prop_assert!(!escapes);
    }

    #[test]
    fn structure_out_of_thin_air_never_panics(text in "[ \n\t:,\\-\\[\\]{}&*a!<>|'\"#%@?~$=0-9é]{0,200}") {
        let project = Project::new().file("cas.yaml", &text).file(".env", &text).file("Procfile", &text);
        for name in ["cas.yaml", "Procfile"] {
            let loaded = project.load(name);
            let escapes = project.said(&loaded).contains(ESCAPE);
            prop_assert!(!escapes);
        }
        let user = cas::config::user::load(&project.root().join("cas.yaml"));
        prop_assert!(user.config.keys.len() < 200);
    }
}

#[test]
fn the_file_that_is_mutated_is_valid() {
    assert_eq!(sound(VALID).services.len(), 2);
}
