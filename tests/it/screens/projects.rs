//! The pane of projects: looked for by letters, told apart, opened in this console.

use std::{path::PathBuf, sync::Arc};

use cas::{
    model::{
        command::Command,
        policy::Reply,
        registry,
        snapshot::{ProjectView, Snapshot},
    },
    tui::{Message, Pane},
};
use ratatui::style::Modifier;

use super::{
    fixture::{demo, remembered, service},
    harness::{Console, MEDIUM},
};

/// The demo with these projects beside it.
fn beside(projects: Vec<ProjectView>) -> Console {
    let mut world = demo();
    world.snapshot.projects.truncate(1);
    world.snapshot.projects.extend(projects);
    registry::tell_apart(&mut world.snapshot.projects);
    Console::new(world, MEDIUM)
}

fn at(name: &str, root: &str) -> ProjectView {
    ProjectView { root: PathBuf::from(root), file: PathBuf::from(root).join("cas.yaml"), ..remembered(name, 3, true) }
}

fn several() -> Console {
    beside(vec![
        at("webshop", "/home/ann/webshop"),
        at("shop", "/home/ann/work/shop"),
        at("shop", "/home/ann/old/shop"),
        at("thesis", "/home/ann/thesis"),
    ])
}

/// Rows of the pane that show a project, from above.
fn shown(console: &mut Console, names: &[&'static str]) -> Vec<&'static str> {
    let text = console.text();
    let mut places: Vec<(usize, &'static str)> =
        names.iter().filter_map(|name| text.find(&format!("{name} ")).map(|place| (place, *name))).collect();
    places.sort_unstable();
    places.into_iter().map(|(_, name)| name).collect()
}

#[test]
fn the_best_comes_first_and_what_does_not_fit_is_left_out() {
    let mut console = several();
    console.keys("1/shop");
    let names = ["shop (old/shop)", "shop (work/shop)", "webshop", "thesis"];
    let rows = shown(&mut console, &names);
    assert_eq!(rows.last(), Some(&"webshop"), "{rows:?}");
    assert_eq!(rows.len(), 3, "{}", console.text());
    console.keys("<esc>");
    assert_eq!(shown(&mut console, &names).len(), 4, "{}", console.text());
}

#[test]
fn letters_that_fit_are_lit() {
    let mut console = several();
    console.keys("1/ths");
    let text = console.text();
    let row = text.lines().position(|line| line.contains("thesis ")).unwrap();
    let buffer = console.draw().clone();
    let letters: Vec<(String, bool)> = {
        let cell = |x: u16| &buffer[(x, u16::try_from(row).unwrap())];
        let start = (0..buffer.area.width).find(|x| cell(*x).symbol() == "t" && cell(x + 1).symbol() == "h").unwrap();
        let plain = cell(start + 2).style();
        (start..start + 6).map(|x| (cell(x).symbol().to_owned(), cell(x).style() != plain)).collect()
    };
    let lit: Vec<bool> = letters.iter().map(|(_, lit)| *lit).collect();
    // t, h and one s; e and i are not.
    assert_eq!(&lit[..3], [true, true, false], "{letters:?}");
    assert_eq!(lit.iter().filter(|lit| **lit).count(), 3, "{letters:?}");
}

#[test]
fn enter_opens_what_was_found_in_this_console_and_then_shows_its_services() {
    let mut console = several();
    console.keys("1/wrkshop<enter>");
    let request = console.requests().pop().unwrap();
    let Command::Open { directory, .. } = &request.command else { panic!("{request:?}") };
    assert_eq!(directory, &PathBuf::from("/home/ann/work/shop"));
    console.reply(Reply::Accepted { note: "opened shop: 1 service".to_owned() });
    assert_eq!(console.ui.focus(), Pane::Projects, "not there yet");
    let mut snapshot: Snapshot = (**console.ui.snapshot()).clone();
    let opened = snapshot.projects.iter_mut().find(|project| project.root == *directory).unwrap();
    opened.open = true;
    let web = service("shop", "web", super::fixture::running(3), "started by you");
    snapshot.services.push(Arc::new(web));
    console.say(Message::Snapshot(Arc::new(snapshot)));
    assert_eq!(console.ui.focus(), Pane::Services);
    assert_eq!(console.ui.selected().map(ToString::to_string).as_deref(), Some("shop/web"));
    console.effects.clear();
    console.keys("r");
    assert_eq!(console.lines(), ["restart shop/web"], "it is acted on as any other");
}

#[test]
fn the_choice_moves_while_one_types_and_a_refusal_is_not_waited_for() {
    let mut console = several();
    console.keys("1/shop<down><enter>");
    let request = console.requests().pop().unwrap();
    let first = {
        let mut other = several();
        other.keys("1/shop<enter>");
        other.requests().pop().unwrap()
    };
    assert_ne!(request.command, first.command);
    console.reply(Reply::Refused { reason: "another cas (pid 7) runs shop".to_owned(), hint: None });
    assert!(console.text().contains("another cas (pid 7) runs shop"));
    let mut snapshot: Snapshot = (**console.ui.snapshot()).clone();
    for project in &mut snapshot.projects {
        project.open = true;
    }
    console.say(Message::Snapshot(Arc::new(snapshot)));
    assert_eq!(console.ui.focus(), Pane::Projects, "whoever opens it later does not move the cursor here");
}

#[test]
fn a_project_that_is_gone_is_dim_says_so_and_is_not_asked_for() {
    let mut console = beside(vec![ProjectView { exists: false, ..at("thesis", "/home/ann/thesis") }]);
    console.keys("1j<enter>");
    assert!(console.lines().is_empty());
    let text = console.text();
    assert!(text.contains("thesis is gone: there is no /home/ann/thesis any more"), "{text}");
    let row = text.lines().position(|line| line.contains("thesis") && line.contains("gone")).unwrap();
    let column = text.lines().nth(row).unwrap().chars().position(|letter| letter == 't').unwrap();
    let (column, row) = (u16::try_from(column).unwrap(), u16::try_from(row).unwrap());
    console.keys("k");
    assert!(console.draw()[(column, row)].modifier.contains(Modifier::DIM));
}

#[test]
fn whoever_only_looks_opens_nothing() {
    let mut world = demo();
    world.snapshot.projects.truncate(1);
    world.snapshot.projects.push(at("webshop", "/home/ann/webshop"));
    let mut console = Console::only_looking(world, MEDIUM);
    console.keys("1/webshop<enter>");
    assert!(console.lines().is_empty());
    assert!(console.text().contains("only looks"), "{}", console.text());
}
