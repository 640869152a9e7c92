//! The public picture.

use std::sync::Arc;

use cas::model::{
    event::{Event, TroubleSlot},
    ids::ProjectName,
    metric::{HostUsage, RunUsage, Sample},
    phase::Exit,
    project::ProjectRecord,
    snapshot::TIMELINE_CAPACITY,
};

use super::world::{Build, World, id, ms, secs, service};

fn sample(world: &World, memory_bytes: u64) -> Event {
    let usage = RunUsage { cpu_percent: 12.5, memory_bytes, processes: 1, threads: 1 };
    let runs = world.engine.running().into_iter().map(|(run, _)| (run, usage)).collect();
    let host = HostUsage { memory_total_bytes: 200, memory_used_bytes: 50, ..HostUsage::default() };
    Event::Sampled(Arc::new(Sample { at: world.now, host, runs, stopped: vec![] }))
}

#[test]
fn a_snapshot_shows_names_of_variables_and_never_their_values() {
    let mut world = World::new(vec![service("web")]);
    let snapshot = world.engine.snapshot(world.now);
    assert_eq!(snapshot.services[0].environment_names, ["TOKEN"]);
    assert!(!serde_json::to_string(&*snapshot).unwrap().contains("s3cret"));
    let (directory, environment) = world.engine.shell_context(&id("web")).unwrap();
    assert_eq!(directory.to_str(), Some("/srv"));
    assert_eq!(environment, [("TOKEN".to_owned(), "s3cret".to_owned())]);
    assert!(world.engine.shell_context(&id("nobody")).is_none());
}

#[test]
fn only_what_changed_is_drawn_anew() {
    let mut world = World::new(vec![service("a"), service("b")]);
    let before = world.engine.snapshot(world.now);
    assert!(!world.engine.has_changed());
    world.say("start a");
    let after = world.engine.snapshot(world.now);
    assert!(!Arc::ptr_eq(&before.services[0], &after.services[0]));
    assert!(Arc::ptr_eq(&before.services[1], &after.services[1]));
    assert!(after.revision > before.revision);
}

#[test]
fn an_input_that_changes_nothing_asks_for_no_publication() {
    let mut world = World::new(vec![service("a")]);
    let _seen = world.engine.snapshot(world.now);
    let event = Event::Probed {
        run: cas::model::ids::RunId(99),
        kind: cas::model::probe::ProbeKind::Liveness,
        round: 1,
        outcome: cas::model::probe::ProbeOutcome::Passed,
        took: ms(1),
    };
    assert!(world.engine.step(world.now, cas::model::event::Input::Event(event)).is_empty());
    assert!(!world.engine.has_changed());
}

#[test]
fn samples_fill_the_series_and_silence_is_nought() {
    let mut world = World::new(vec![service("web"), service("idle")]);
    world.say("start web");
    world.run_for(secs(1));
    assert_eq!(world.engine.running(), [(world.view("web").run.unwrap(), world.view("web").pid.unwrap())]);
    for n in 1..=3 {
        let sample = sample(&world, n * 10);
        world.tell(sample);
    }
    world.say("stop web");
    world.run_for(secs(1));
    let nothing = sample(&world, 0);
    world.tell(nothing);
    let view = world.view("web");
    assert_eq!(view.memory.newest(10).collect::<Vec<_>>(), [10.0, 20.0, 30.0, 0.0]);
    assert_eq!(view.cpu.last(), Some(0.0));
    assert!(view.usage.is_none());
    let snapshot = world.engine.snapshot(world.now);
    assert_eq!(snapshot.host.memory.last(), Some(25.0));
}

#[test]
fn a_service_that_is_long_silent_is_not_drawn_with_every_sample() {
    let mut world = World::new(vec![service("web")]);
    world.say("start web");
    world.run_for(secs(1));
    let one = sample(&world, 5);
    world.tell(one);
    world.say("stop web");
    world.run_for(secs(1));
    for _ in 0..1000 {
        let nothing = sample(&world, 0);
        world.tell(nothing);
    }
    assert!(world.view("web").memory.newest(600).all(|value| value == 0.0));
    let before = world.view("web");
    let nothing = sample(&world, 0);
    world.tell(nothing);
    assert!(Arc::ptr_eq(&before, &world.view("web")));
}

#[test]
fn open_projects_come_first_and_remembered_ones_after() {
    let mut world = World::new(vec![service("web")]);
    let record = |name: &str, services| ProjectRecord {
        name: ProjectName::new(name).unwrap(),
        root: format!("/srv/{name}").into(),
        file: format!("/srv/{name}/cas.yaml").into(),
        services,
        last_opened_us: 5,
        exists: name != "lost",
        remote: None,
        moved_from: None,
    };
    world.tell(Event::RegistryRead(vec![record("shop", 1), record("lost", 2), record("bank", 3)]));
    let seen: Vec<(String, bool, bool, usize)> = world
        .engine
        .snapshot(world.now)
        .projects
        .iter()
        .map(|project| (project.name.to_string(), project.open, project.exists, project.counts.total))
        .collect();
    let expected = [("shop", true, true, 1), ("bank", false, true, 3), ("lost", false, false, 2)]
        .map(|(n, o, e, t)| (n.to_owned(), o, e, t));
    assert_eq!(seen, expected);
}

#[test]
fn trouble_is_told_when_it_begins_and_shown_until_it_is_over() {
    let mut world = World::new(vec![]);
    let trouble = |text: Option<&str>| Event::Trouble { slot: TroubleSlot::Store, text: text.map(str::to_owned) };
    let told = world.entries.len();
    world.tell(trouble(Some("disk full")));
    world.tell(trouble(Some("disk still full")));
    assert_eq!(world.entries.len(), told + 1);
    assert_eq!(world.engine.snapshot(world.now).troubles[&TroubleSlot::Store], "disk still full");
    world.tell(trouble(None));
    assert!(world.engine.snapshot(world.now).troubles.is_empty());
}

#[test]
fn the_timeline_keeps_the_newest_entries() {
    let mut world = World::new(vec![service("web").with(|s| s.backoff.give_up_after = 0)]);
    world.say("start web");
    world.run_for(secs(1));
    for _ in 0..300 {
        world.crash("web", Exit::Code(1));
        while world.phase("web") != "running" {
            world.run_for(secs(10));
        }
    }
    let snapshot = world.engine.snapshot(world.now);
    assert_eq!(snapshot.timeline.len(), TIMELINE_CAPACITY);
    assert_eq!(snapshot.timeline.last().unwrap().seq, world.entries.last().unwrap().seq);
}

#[test]
fn dependencies_are_seen_from_both_ends_and_follow_the_state() {
    let mut world = World::new(vec![service("db"), service("web").needs("db")]);
    assert_eq!(world.view("db").dependents, [id("web").service]);
    assert!(!world.view("web").depends_on[0].holds);
    world.say("start db");
    world.run_for(secs(1));
    assert!(world.view("web").depends_on[0].holds);
}

#[test]
fn why_never_ticks() {
    let mut world = World::new(vec![service("a"), service("b").needs("a"), service("c").port(80)]);
    world.held_ports.insert(80, 9);
    world.behave("a", |b| b.ends_in = None);
    world.say("start --all");
    world.run_for(secs(20));
    world.say("stop a");
    let before: Vec<String> = ["a", "b", "c"].iter().map(|name| world.view(name).why.clone()).collect();
    world.run_for(secs(7));
    let after: Vec<String> = ["a", "b", "c"].iter().map(|name| world.view(name).why.clone()).collect();
    assert_eq!(before, after);
}

#[test]
fn a_limit_that_does_not_hold_is_part_of_why_while_it_runs() {
    let mut world = World::new(vec![service("web"), service("db")]);
    world.say("start --all");
    world.run_for(secs(1));
    let lacking = Some("its memory limit does not hold: there is no cgroup".to_owned());
    world.tell(Event::LimitsKnown { service: id("web"), lacking });
    let why = world.view("web").why.clone();
    assert!(why.ends_with("; its memory limit does not hold: there is no cgroup"), "{why}");
    assert!(!world.view("db").why.contains("limit"));
    world.tell(Event::LimitsKnown { service: id("web"), lacking: None });
    assert!(!world.view("web").why.contains("limit"));
}
