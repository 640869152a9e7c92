//! Much comes and goes at one daemon: projects, runs, clients. What it holds afterwards is what it held before.

use std::{fs, path::Path};

use super::{end, good, json, service};
use crate::{pty::terminal::Project, support::eventually};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Holds {
    descriptors: usize,
    slots: u64,
    shims: u64,
}

fn holds(project: &Project) -> Holds {
    let view = json(project, &["daemon", "status", "--json"]);
    let slots = |name: &str| view["slots"][name].as_u64().unwrap_or_else(|| panic!("{view}"));
    let pid = view["pid"].as_u64().unwrap();
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    Holds { descriptors, slots: slots("slots"), shims: slots("shims") }
}

/// Opens a project that nobody has seen before, has its services crash and be restarted, and closes it.
fn visit(project: &Project, guests: &Path, n: usize) {
    let name = format!("{}-guest{n}", project.name);
    let root = guests.join(&name);
    fs::create_dir(&root).unwrap();
    let crash = "{shell: 'echo here; sleep 0.05; exit 1', restart: always, autostart: true, backoff: {base: 20ms, ceiling: 20ms, give_up_after: 0}}";
    fs::write(root.join("cas.yaml"), format!("name: {name}\nservices:\n  a: {crash}\n  b: {crash}\n")).unwrap();
    good(project, &["open", root.to_str().unwrap()]);
    let restarts = || {
        let status = json(project, &["-C", root.to_str().unwrap(), "status", "--json"]);
        status["services"].as_array().map_or(0, |all| all.iter().filter_map(|one| one["restarts"].as_u64()).sum())
    };
    eventually("they were restarted", || restarts() >= 6_u64);
    good(project, &["close", &name]);
}

#[test]
fn what_came_and_went_leaves_nothing_in_the_daemon() {
    let guests = tempfile::tempdir().unwrap();
    let project = Project::yaml("  web: {command: [sleep, '1000']}\n");
    good(&project, &["up", "--detach"]);
    visit(&project, guests.path(), 0);
    let mut before = holds(&project);
    eventually("it is calm", || {
        let now = holds(&project);
        let is_calm = now == before && now.slots == 1;
        before = now;
        is_calm
    });
    for n in 1..6 {
        visit(&project, guests.path(), n);
        good(&project, &["restart", "web"]);
    }
    eventually("it runs", || service(&project, "web")["phase"] == "running");
    // Looking at a run or at the store holds a descriptor or two, now and then. One for each that came would be five.
    let as_before = |after: Holds| {
        (after.slots, after.shims) == (before.slots, before.shims) && after.descriptors <= before.descriptors + 4
    };
    eventually("it holds what it held before", || as_before(holds(&project)));
    end(&project);
}
