//! What is said about a file, and where.

use cas::config::import::Weight;

use super::{Shelf, service};

#[test]
fn what_is_wrong_is_told_with_line_and_column() {
    for (lines, error) in [
        ("comand: x", "compose.yaml:4:5: comand: not a key of a service"),
        ("restart: sometimes", "compose.yaml:4:14: restart: \"sometimes\" is not a restart policy"),
        ("ports: [\"99999\"]", "compose.yaml:4:13: ports: \"99999\": \"99999\" is not a port: the largest is 65535"),
        ("ports: [\"1-2:1-3\"]", "compose.yaml:4:13: ports: 3 ports of the container for 2 of this machine"),
        ("ports: 80", "compose.yaml:4:12: ports: \"80\" is not a list"),
        ("command: \"echo 'a\"", "compose.yaml:4:14: command: \"echo 'a\" is not a command: a quote is never closed"),
        ("depends_on: [db]", "compose.yaml:4:18: web: it depends on \"db\", which is no service"),
        (
            "depends_on: {web: {condition: up}}",
            "compose.yaml:4:35: depends_on.web.condition: \"up\" is not a condition",
        ),
        ("healthcheck: {test: [curl]}", "compose.yaml:4:25: healthcheck.test: the list begins with \"curl\""),
        ("healthcheck: {test: x, interval: 5}", "compose.yaml:4:38: healthcheck.interval: \"5\" is not a duration"),
        ("stop_grace_period: soon", "compose.yaml:4:24: stop_grace_period: \"soon\" is not a duration"),
        ("mem_limit: lots", "compose.yaml:4:16: mem_limit: \"lots\" is not a size"),
        ("scale: many", "compose.yaml:4:12: scale: \"many\" is not a whole number"),
        ("tty: perhaps", "compose.yaml:4:10: tty: \"perhaps\" is not true or false"),
        ("environment: A", "compose.yaml:4:18: environment: \"A\" is not a map or a list"),
        ("user: ${NONE:?set it}", "compose.yaml:4:11: user: NONE is not set: set it"),
        ("user: ${NONE", "compose.yaml:4:11: user: \"${\" has no closing \"}\""),
        ("env_file: {required: false}", "compose.yaml:4:15: env_file: an entry without a path"),
        ("scale: 2\ndeploy: {replicas: 3}", "compose.yaml:4:12: scale: deploy.replicas says something else"),
        ("extends: gone", "compose.yaml:4:14: extends: there is no service \"gone\" in compose.yaml"),
        (
            "extends: {file: o.yaml, service: x}",
            "compose.yaml:4:21: extends.file: o.yaml cannot be read: there is no such file",
        ),
    ] {
        assert_eq!(service(lines).notes(Weight::Error), [error], "{lines}");
    }
}

#[test]
fn a_slip_of_the_finger_is_told_the_key_that_was_meant() {
    let notes = service("enviroment: {A: 1}").import().notes;
    assert_eq!(notes[0].hint.as_deref(), Some("did you mean \"environment\"?"));
}

#[test]
fn what_cannot_be_carried_over_is_told_with_key_and_value() {
    for (lines, lost) in [
        ("cpuset: 0-1", "compose.yaml:4:13: cpuset: 0-1 is not carried over"),
        ("logging: {driver: none}", "compose.yaml:4:14: logging: {driver: none} is not carried over"),
        (
            "healthcheck: {test: x, start_interval: 2s}",
            "compose.yaml:4:44: healthcheck.start_interval: 2s is not carried over",
        ),
        ("networks: {a: {priority: 1}}", "compose.yaml:4:30: networks.a.priority: 1 is not carried over"),
        (
            "deploy: {placement: {constraints: [x]}}",
            "compose.yaml:4:25: deploy.placement: {constraints: [x]} is not carried over",
        ),
        ("stop_signal: SIGRTMIN+3", "compose.yaml:4:18: stop_signal: SIGRTMIN+3 is not carried over"),
        ("pid: host", "compose.yaml:4:10: pid: host is not carried over"),
        (
            "ports: [\"3000-3005:80\"]",
            "compose.yaml:4:13: ports: 3000-3005: any free port of the range is not carried over",
        ),
        ("env_file: [{path: a, format: raw}]", "compose.yaml:4:34: env_file.format: raw is not carried over"),
        (
            "healthcheck: {interval: 2s}",
            "compose.yaml:4:18: healthcheck: {interval: 2s} is not carried over: the image alone knows the test",
        ),
    ] {
        let shelf = service(lines);
        assert_eq!(shelf.notes(Weight::Lost), [lost], "{lines}");
        assert!(shelf.notes(Weight::Error).is_empty(), "{lines}");
    }
}

#[test]
fn what_says_nothing_loses_nothing() {
    let shelf = service("privileged: false\ncap_add: []\nhostname:\nx-mine: {a: b}\ndeploy: {mode: replicated}");
    assert_eq!(shelf.import().notes, []);
}

#[test]
fn files_that_mean_nothing_are_told_where() {
    for (text, error) in [
        ("", "compose.yaml:1:1: the file is empty"),
        ("# nothing yet\n", "compose.yaml:1:1: the file is empty"),
        ("- a\n", "compose.yaml:1:1: found a list, not a compose file"),
        ("services:\n  web:\n", "compose.yaml:2:3: web: it has neither an image nor a build"),
        ("services: [web]\n", "compose.yaml:1:11: services: found a list, not a map"),
        ("name: x\n", "compose.yaml:1:1: there are no services in it"),
        ("services:\n  web: nginx\n", "compose.yaml:2:8: a service: \"nginx\" is not a map"),
    ] {
        let notes = Shelf::of(text).notes(Weight::Error);
        assert_eq!(notes, [error], "{text:?}");
    }
    let half = "services:\n  web:\n    image: \"ngin\n";
    assert_eq!(Shelf::of(half).notes(Weight::Error).len(), 1);
    let tab = Shelf::of("services:\n  web:\n\timage: nginx\n").import().notes;
    assert_eq!(tab[0].hint.as_deref(), Some("indent with spaces, not with tabs"));
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_change_nothing() {
    let text = "services:\n  web:\n    image: nginx\n    command: >\n      a\n      b\n";
    let plain = Shelf::of(text).rendered();
    assert_eq!(Shelf::of(&format!("\u{feff}{}", text.replace('\n', "\r\n"))).rendered(), plain);
}

#[test]
fn anchors_merge_keys_and_extensions_are_resolved() {
    let shelf = Shelf::of(
        "x-common: &common\n  image: nginx\n  restart: always\nservices:\n  a:\n    <<: *common\n  b:\n    <<: *common\n    restart: no\n",
    );
    assert_eq!(
        shelf.rendered(),
        "service: a  @5:3\n  image: nginx  @2:10\n  restart: always  @3:12\n\
         service: b  @7:3\n  image: nginx  @2:10\n  restart: no  @9:14\n"
    );
}

#[test]
fn a_cycle_of_extends_is_printed() {
    let shelf = Shelf::of("services:\n  a: {extends: b, image: i}\n  b: {extends: c}\n  c: {extends: a}\n");
    assert_eq!(shelf.notes(Weight::Error), ["compose.yaml:2:16: extends: a cycle: a -> b -> c -> a"]);
    let two = Shelf::of("services:\n  a: {extends: {file: o.yaml, service: b}}\n")
        .and("o.yaml", "services:\n  b: {extends: {file: compose.yaml, service: a}}\n");
    assert_eq!(
        two.notes(Weight::Error),
        ["compose.yaml:2:16: extends: a cycle: a (compose.yaml) -> b (o.yaml) -> a (compose.yaml)"]
    );
    let itself = Shelf::of("services:\n  a: {extends: a}\n");
    assert_eq!(itself.notes(Weight::Error), ["compose.yaml:2:16: extends: a cycle: a -> a"]);
}

#[test]
fn a_cycle_of_includes_is_printed() {
    let shelf = Shelf::of("include: [a.yaml]\nservices:\n  w: {image: i}\n").and("a.yaml", "include: [compose.yaml]\n");
    assert_eq!(shelf.notes(Weight::Error), ["a.yaml:1:11: include: a cycle: compose.yaml -> a.yaml -> compose.yaml"]);
}

#[test]
fn a_service_that_is_included_twice_over_is_told_with_both_places() {
    let shelf =
        Shelf::of("include: [a.yaml]\nservices:\n  w: {image: i}\n").and("a.yaml", "services:\n  w: {image: j}\n");
    assert_eq!(shelf.notes(Weight::Error), ["a.yaml:2:3: services.w: it is also at compose.yaml:3:3"]);
}
