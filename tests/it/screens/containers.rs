//! The view of all containers: what it looks like, and what its keys ask for.

use std::sync::Arc;

use cas::{
    model::{container::Reach, snapshot::Snapshot},
    tui::{Message, Pane, UiEffect, theme::Theme},
};
use insta::assert_snapshot;

use super::{
    fixture::{World, id, named},
    harbour::reachable,
    harness::{Console, LARGE, MEDIUM, SMALL, screen},
};

macro_rules! shots {
    ($($name:ident: $world:literal, $size:ident, $keys:literal;)*) => {
        $(
            #[test]
            fn $name() {
                assert_snapshot!(screen($world, $size, $keys));
            }
        )*
    };
}

shots! {
    all_small: "harbour", SMALL, "D";
    all_medium: "harbour", MEDIUM, "D";
    all_large: "harbour", LARGE, "D";
    paused_medium: "harbour", MEDIUM, "Djj";
    stopped_of_a_service: "harbour", MEDIUM, "Djjj";
    loose_medium: "harbour", MEDIUM, "DG";
    loose_down_large: "harbour", LARGE, "DGk";
    detail_small: "harbour", SMALL, "D<enter>";
    detail_large: "harbour", LARGE, "D<enter>";
    filtered_small: "harbour", SMALL, "D/exited<enter>";
    filter_being_typed: "harbour", SMALL, "D/redis";
    filter_without_match: "harbour", SMALL, "D/nosuchthing<enter>";
    no_engine_small: "no_docker", SMALL, "D";
    no_engine_large: "no_docker", LARGE, "D";
    services_that_are_containers: "harbour", MEDIUM, "jj";
    services_that_are_containers_small: "harbour", SMALL, "jj";
    detail_of_a_service_that_is_a_container: "harbour", SMALL, "jjd";
    palette_offers_containers: "harbour", MEDIUM, ":rm ";
}

/// A console on a picture that was changed.
fn changed(change: impl FnOnce(&mut Snapshot)) -> Console {
    let mut world: World = named("harbour");
    change(&mut world.snapshot);
    Console::new(world, SMALL)
}

#[test]
fn an_engine_without_containers_says_so() {
    let mut console = changed(|snapshot| snapshot.containers.clear());
    assert_snapshot!(console.keys("D").text());
}

#[test]
fn an_engine_that_hangs_keeps_what_was_last_seen() {
    let why = "unix:///var/run/docker.sock: no answer within 5 s".to_owned();
    let mut console = changed(|snapshot| snapshot.docker = Reach::Hung { why });
    assert_snapshot!(console.keys("DG").text());
    console.keys("sKP");
    assert_eq!(console.lines(), Vec::<String>::new(), "of nobody's nothing can be asked");
}

#[test]
fn every_state_can_be_drawn_in_every_theme_and_size() {
    for theme in ["catppuccin-mocha", "catppuccin-latte", "high-contrast", "terminal"] {
        for (name, size) in [("80", SMALL), ("100", (100, 30)), ("120", MEDIUM), ("200", LARGE)] {
            let mut console = Console::themed(named("harbour"), size, Theme::load(theme, None).unwrap());
            crate::picture::show(console.keys("D").draw(), &format!("{theme}-containers-{name}"));
        }
    }
}

fn asked(keys: &str) -> Vec<String> {
    let mut console = Console::open("harbour", MEDIUM);
    console.keys(keys);
    console.lines()
}

/// What the bottom line offers after those keys.
fn offered(keys: &str) -> String {
    let mut console = Console::open("harbour", (400, 40));
    console.keys(keys).text().lines().last().unwrap().to_owned()
}

#[test]
fn keys_on_one_that_is_a_service_ask_for_the_service() {
    assert_eq!(asked("Dr"), ["restart shop/db"]);
    assert_eq!(asked("Ds"), ["stop shop/db"]);
    assert_eq!(asked("DP"), ["pause shop/db"]);
    assert_eq!(asked("DjjP"), ["unpause shop/queue"]);
    assert_eq!(asked("DC"), ["recreate shop/db"]);
    assert_eq!(asked("DU"), ["pull shop/db"]);
    assert_eq!(asked("DjjjM"), ["rm shop/mailer"], "one that ended is still its service's");
    assert_eq!(asked("Djjjs"), ["start shop/mailer"]);
    assert_eq!(asked("Dxjj<enter>"), ["signal HUP shop/db"]);
}

#[test]
fn keys_on_one_that_is_nobodys_name_it_by_its_id() {
    assert_eq!(asked("D/minio<enter>r"), ["restart docker:313131313131"]);
    assert_eq!(asked("D/minio<enter>R"), ["restart docker:313131313131"], "it has no dependents");
    assert_eq!(asked("D/minio<enter>s"), ["stop docker:313131313131"]);
    assert_eq!(asked("D/minio<enter>K"), ["kill docker:313131313131"]);
    assert_eq!(asked("D/minio<enter>P"), ["pause docker:313131313131"]);
    assert_eq!(asked("D/minio<enter>U"), ["pull docker:313131313131"]);
    assert_eq!(asked("D/minio<enter>xjj<enter>"), ["signal HUP docker:313131313131"]);
    assert_eq!(asked("D/scratch<enter>s"), ["start docker:212121212121"]);
    assert_eq!(asked("D/scratch<enter><delete>"), ["rm docker:212121212121"]);
    assert_eq!(asked("D/blog-db<enter>s"), ["stop docker:414141414141"], "its project is not open");
}

#[test]
fn marks_of_services_do_not_reach_into_the_view() {
    assert_eq!(asked("*D/minio<enter>s"), ["stop docker:313131313131"]);
    assert_eq!(asked("*Ds"), ["stop shop/db"]);
}

#[test]
fn a_key_that_would_do_nothing_is_not_offered_and_says_why() {
    let of_runs = offered("D/minio<enter>");
    for label in ["r restart", "s stop", "P pause", "o shell", "K kill", "x signal", "U pull"] {
        assert!(of_runs.contains(label), "{label}: {of_runs}");
    }
    for label in [" rm", "recreate", "l logs", "unpause"] {
        assert!(!of_runs.contains(label), "{label}: {of_runs}");
    }
    let of_down = offered("D/scratch<enter>");
    assert!(of_down.contains("s start") && of_down.contains("Delete rm"), "{of_down}");
    for label in ["restart", "pause", "shell", "kill", "signal"] {
        assert!(!of_down.contains(label), "{label}: {of_down}");
    }
    assert!(offered("Djj").contains("P unpause") && !offered("Djj").contains("o shell"));
    for (keys, why) in [
        ("D/scratch<enter>P", "pause does nothing to scratch: it is exited (137)"),
        ("D/minio<enter>C", "recreate does nothing to minio: it is no service's"),
        ("D/minio<enter>M", "rm does nothing to minio: it is running"),
        ("D/scratch<enter>o", "shell: scratch is exited (137)"),
        ("D/minio<enter>l", "docker logs --follow minio"),
    ] {
        let mut console = Console::open("harbour", LARGE);
        console.keys(keys);
        assert!(console.effects.is_empty(), "{keys}: {:?}", console.effects);
        assert!(console.text().contains(why), "{keys}: {}", console.text());
    }
}

#[test]
fn a_shell_opens_in_the_container() {
    let shell = |keys: &str| Console::open("harbour", MEDIUM).keys(keys).effects.clone();
    assert_eq!(shell("Do"), [UiEffect::Shell(id("shop", "db"))]);
    assert_eq!(shell("D/minio<enter>!"), [UiEffect::ShellInside { id: "31".repeat(32), name: "minio".to_owned() }]);
}

#[test]
fn it_opens_at_the_container_of_the_selected_service_and_goes_back_to_where_it_was_opened() {
    let mut console = Console::open("harbour", MEDIUM);
    console.keys("jD").keys("s");
    assert_eq!(console.lines(), ["stop shop/web"]);
    let mut console = Console::open("harbour", MEDIUM);
    for back in ["D", "6", "<esc>"] {
        assert_eq!(console.keys("5D").ui.focus(), Pane::Containers);
        assert_eq!(console.keys(back).ui.focus(), Pane::Timeline, "{back}");
    }
    console.keys("D/minio<enter><esc>");
    assert_eq!(console.ui.focus(), Pane::Containers, "the filter goes first");
    console.keys("zgl");
    assert_eq!(console.ui.focus(), Pane::Logs);
}

#[test]
fn a_question_lies_over_the_view_and_leaves_it_where_it_was() {
    let mut console = Console::open("harbour", MEDIUM);
    console.keys("D/minio<enter>K").ask_consent();
    assert!(console.text().contains("are you sure?"));
    console.keys("n");
    assert_eq!(console.ui.focus(), Pane::Containers);
    console.keys("K");
    assert_eq!(console.lines(), ["kill docker:313131313131"; 2]);
}

#[test]
fn keys_work_in_what_is_known_of_a_container_too() {
    let mut console = Console::open("harbour", MEDIUM);
    console.keys("D/minio<enter><enter>P");
    assert_eq!(console.lines(), ["pause docker:313131313131"]);
    assert!(console.text().contains("Names of its variables"));
    console.keys("d");
    assert!(!console.text().contains("╭ container minio "), "{}", console.text());
}

#[test]
fn a_click_selects_a_row() {
    let mut console = Console::open("harbour", SMALL);
    // Header, tabs, frame, names of columns, a heading, and the first.
    console.keys("D").click(10, 6);
    console.keys("r");
    assert_eq!(console.lines(), ["restart shop/web"]);
}

#[test]
fn the_selection_stays_with_its_container_and_goes_to_a_neighbour_when_it_is_gone() {
    let mut console = Console::open("harbour", SMALL);
    console.keys("D/blog<enter>");
    let mut snapshot: Snapshot = (**console.ui.snapshot()).clone();
    snapshot.containers.retain(|container| container.name != "blog-db-1");
    console.say(Message::Snapshot(Arc::new(snapshot)));
    console.keys("s");
    assert_eq!(console.lines(), ["start docker:424242424242"]);
}

#[test]
fn on_services_keys_of_containers_are_offered_where_they_would_do_something() {
    let of_container = offered("");
    for label in ["P pause", "C recreate", "U pull", "6 containers"] {
        assert!(of_container.contains(label), "{label}: {of_container}");
    }
    assert!(offered("jj").contains("P unpause"));
    assert!(offered("jjj").contains("Delete rm"));
    let of_process = offered("G");
    for label in ["pause", "recreate", "pull", " rm"] {
        assert!(!of_process.contains(label), "{label}: {of_process}");
    }
    assert_eq!(asked("jjP"), ["unpause shop/queue"]);
    let mut console = Console::open("harbour", LARGE);
    console.keys("GP");
    assert!(console.text().contains("pause does nothing to worker: it is a process, not a container"));
}

#[test]
fn who_only_looks_is_offered_nothing_there() {
    let mut looking = Console::only_looking(named("harbour"), LARGE);
    let text = looking.keys("D").text();
    let footer = text.lines().last().unwrap();
    for label in ["restart", "stop", "pause", "shell", "recreate", "pull"] {
        assert!(!footer.contains(label), "{label}: {footer}");
    }
    looking.keys("PUCMo");
    assert_eq!(looking.effects, []);
}

#[test]
fn no_value_of_a_variable_is_asked_for_or_shown() {
    let mut console = Console::open("harbour", LARGE);
    let text = console.keys("D<enter>").text();
    assert!(text.contains("POSTGRES_PASSWORD") && !text.contains("POSTGRES_PASSWORD="), "{text}");
    assert_eq!(reachable(), console.ui.snapshot().docker);
}
