//! What goes over from one engine to the next besides the services: how the autopilot was set, what the restart budget has given,
//! from which file a run was made, and what nobody has asked for.

use cas::{
    engine::Settings,
    model::{
        command::{Command, Starts},
        event::Event,
        ids::{ProjectName, RequestId},
        phase::Exit,
        policy::{Autopilot, Consent, Origin, Request},
        probe::ProbeKind,
        record::FORGOTTEN,
        service::{CommandLine, RestartPolicy, ServiceSpec},
        signal::Signal,
    },
};

use super::{
    heritage::{succeed, up},
    world::{Answer, Build, World, id, ms, project, secs, service},
};

fn autopilot(world: &mut World) -> Autopilot {
    world.engine.snapshot(world.now).engine.autopilot
}

fn told_of_autopilot(world: &World) -> Vec<String> {
    let is_it = |line: &String| line.starts_with("autopilot");
    world.entries.iter().map(|entry| format!("{} ({})", entry.sentence(), entry.why)).filter(is_it).collect()
}

#[test]
fn an_autopilot_that_a_person_switched_off_stays_off_over_engines_and_says_so() {
    let mut world = up(vec![service("web"), service("idle")]);
    world.say("autopilot off");
    for _ in 0..3 {
        succeed(&mut world, secs(5));
        assert_eq!(autopilot(&mut world), Autopilot::Off);
    }
    let again = "autopilot off (it was set so by command line before this engine began)";
    assert_eq!(told_of_autopilot(&world), ["autopilot off ()", again, again, again]);
    world.crash("web", Exit::Code(1));
    world.run_for(secs(60));
    assert_eq!((world.phase("web"), world.spawns("web").len()), ("failed", 1));
    world.say("autopilot on");
    succeed(&mut world, secs(5));
    assert_eq!(autopilot(&mut world), Autopilot::On);
    assert_eq!(told_of_autopilot(&world).len(), 5, "it is as configured: nothing to tell");
}

#[test]
fn what_crashed_while_no_engine_ran_is_left_alone_where_the_autopilot_was_off() {
    let mut world = up(vec![service("web")]);
    world.say("autopilot off");
    world.die();
    world.crash("web", Exit::Code(1));
    world.run_for(secs(5));
    world.revive();
    assert_eq!((world.phase("web"), world.spawns("web").len()), ("failed", 1));
    world.assert_told("web", "not restarted after exit code 1");
}

#[test]
fn an_autopilot_that_nobody_has_set_is_as_configured() {
    let off = Settings { seed: 7, autopilot: Autopilot::Off, ..Settings::default() };
    let mut world = World::empty(off);
    world.load("shop", vec![service("web")]);
    world.say("start web");
    world.run_for(secs(20));
    world.succession.settings.autopilot = Autopilot::On;
    succeed(&mut world, secs(5));
    assert_eq!((autopilot(&mut world), told_of_autopilot(&world).len()), (Autopilot::On, 0));
}

#[test]
fn a_project_that_was_closed_begins_with_the_configured_autopilot() {
    let mut world = up(vec![service("web")]);
    world.say("autopilot off");
    world.tell(Event::ShutdownAsked);
    world.run_for(secs(20));
    succeed(&mut world, secs(5));
    assert_eq!(autopilot(&mut world), Autopilot::On);
}

#[test]
fn of_the_choices_of_several_projects_the_newest_counts() {
    let mut world = up(vec![service("web")]);
    world.load("bank", vec![service("bank/teller")]);
    world.say("start bank/teller");
    world.run_for(secs(20));
    world.say("autopilot off");
    // The records of the shop are from before the person changed her mind.
    let old: Vec<_> = world.succession.records.clone().into_iter().collect();
    world.run_for(secs(1));
    world.say("autopilot on");
    world.run_for(secs(1));
    for (id, record) in old.into_iter().filter(|(id, _)| id.project.as_str() == "shop") {
        world.succession.records.insert(id, record);
    }
    succeed(&mut world, secs(5));
    assert_eq!(autopilot(&mut world), Autopilot::On);
    succeed(&mut world, secs(5));
    assert_eq!(autopilot(&mut world), Autopilot::On, "and all know it now");
}

#[test]
fn the_restart_budget_is_not_full_again_because_an_engine_died() {
    let specs: Vec<ServiceSpec> = (0..30).map(|n| service(&format!("s{n}"))).collect();
    let mut world = up(specs);
    (0..10).for_each(|n| world.crash(&format!("s{n}"), Exit::Signal(9)));
    assert_eq!(world.spawned.len(), 30 + 10, "all that it has");
    world.run_for(ms(100));
    world.die();
    (10..30).for_each(|n| world.crash(&format!("s{n}"), Exit::Signal(9)));
    world.run_for(secs(3));
    world.revive();
    assert_eq!(world.spawned.len(), 40 + 3, "one has come back each second");
    world.run_for(secs(60));
    assert_eq!(world.alive(), 30);
}

#[test]
fn a_budget_of_another_boot_is_full() {
    let at_once = |n| service(&format!("s{n}")).with(|s| s.backoff.base = secs(0));
    let mut world = World::empty(Settings { seed: 7, boot_id: "first".to_owned(), ..Settings::default() });
    world.load("shop", (0..12).map(at_once).collect());
    world.say("start --all");
    world.run_for(secs(20));
    (0..10).for_each(|n| world.crash(&format!("s{n}"), Exit::Signal(9)));
    world.run_for(ms(100));
    world.die();
    world.agenda.clear();
    world.processes.clear();
    "second".clone_into(&mut world.succession.settings.boot_id);
    (world.tokens, world.tokens_at) = (10.0, world.now);
    world.awake();
    let shop = ProjectName::new("shop").unwrap();
    let heritage = world.heritage(&shop);
    // Counts begin anew with the machine.
    world.succession.records.clear();
    let spec = world.succession.projects[&shop].clone();
    world.succeed(&spec, heritage);
    world.run_for(ms(100));
    assert_eq!((world.alive(), world.spawned.len()), (12, 12 + 10 + 12), "started again after the machine's restart");
    (0..10).for_each(|n| world.crash(&format!("s{n}"), Exit::Signal(9)));
    assert_eq!(world.spawned.len(), 34 + 10);
}

// Files that were edited while no engine ran.

/// The next engine reads another file.
fn succeed_on(world: &mut World, services: Vec<ServiceSpec>) {
    world.die();
    world.run_for(secs(5));
    world.succession.projects.insert(ProjectName::new("shop").unwrap(), project("shop", services));
    world.revive();
}

fn other(spec: ServiceSpec) -> ServiceSpec {
    spec.with(|s| s.command = CommandLine::Shell("run it differently".to_owned()))
}

const OLDER: &str = "it runs with older settings than its file has: restart it, or reload, to apply them";

#[test]
fn what_was_edited_while_no_engine_ran_runs_on_says_so_and_waits_for_a_reload() {
    let mut world = up(vec![service("web"), service("same")]);
    let before = world.view("web");
    let edited = || vec![other(service("web")), service("same").with(|s| s.source.line = 7)];
    succeed_on(&mut world, edited());
    for _ in 0..2 {
        let after = world.view("web");
        assert_eq!((after.run, after.pid, &after.phase), (before.run, before.pid, &before.phase));
        assert!(after.why.ends_with(OLDER), "{}", after.why);
        assert!(!world.view("same").why.contains("older"), "{}", world.view("same").why);
        succeed(&mut world, secs(5));
    }
    let told = world.entries.iter().filter(|entry| entry.why.contains("changed meanwhile")).count();
    assert_eq!((told, world.spawned.len()), (3, 2), "each engine says it, none does it");
    world.load("shop", edited());
    world.run_for(secs(5));
    assert_eq!((world.spawns("web").len(), world.spawns("same").len()), (2, 1));
    assert_eq!(world.view("web").why, "restarted because its part of the project file changed");
    let last = world.entries.iter().rev().find(|entry| entry.sentence().starts_with("project file read")).unwrap();
    assert_eq!(last.sentence(), "project file read again: 0 new, 0 gone, 1 changed (restarted: web)");
}

#[test]
fn a_restart_or_a_crash_brings_the_newer_settings() {
    let mut world = up(vec![service("web"), service("db")]);
    succeed_on(&mut world, vec![other(service("web")), other(service("db"))]);
    world.say("restart web");
    world.crash("db", Exit::Code(1));
    world.run_for(secs(5));
    for name in ["web", "db"] {
        assert_eq!((world.phase(name), world.spawns(name).len()), ("running", 2));
        assert!(!world.view(name).why.contains("older"), "{}", world.view(name).why);
    }
}

#[test]
fn an_edit_that_was_taken_back_is_none() {
    let mut world = up(vec![service("web")]);
    succeed_on(&mut world, vec![other(service("web"))]);
    assert!(world.view("web").why.ends_with(OLDER));
    world.load("shop", vec![service("web")]);
    world.run_for(secs(5));
    assert_eq!((world.phase("web"), world.spawns("web").len()), ("running", 1));
    assert!(!world.view("web").why.contains("older"), "{}", world.view("web").why);
}

#[test]
fn a_policy_that_was_edited_while_no_engine_ran_holds_at_once() {
    let mut world = up(vec![service("web")]);
    succeed_on(&mut world, vec![service("web").with(|s| s.restart = RestartPolicy::No)]);
    assert!(!world.view("web").why.contains("older"));
    world.crash("web", Exit::Code(1));
    assert_eq!(world.phase("web"), "failed");
}

#[test]
fn probes_that_a_run_was_not_started_for_end_nothing() {
    let liveness = |spec: ServiceSpec| spec.probe(ProbeKind::Liveness, |_| {});
    let mut world = up(vec![service("web"), liveness(service("db"))]);
    for name in ["web", "db"] {
        world.behave(name, |b| {
            b.answers.insert(ProbeKind::Liveness, Answer::Bad);
        });
    }
    succeed_on(&mut world, vec![liveness(service("web")), other(liveness(service("db")))]);
    world.run_for(secs(60));
    assert_eq!((world.phase("web"), world.spawns("web").len()), ("running", 1), "it is shown, and that is all");
    let unwell = world.entries.iter().find(|entry| entry.sentence().contains("liveness probe failed")).unwrap();
    assert!(unwell.why.starts_with("left running") || unwell.service == Some(id("db").service), "{unwell:?}");
    let said =
        world.entries.iter().any(|entry| entry.why == "left running: it was started before its file had this probe");
    assert!(said);
    assert!(world.spawns("db").len() > 1, "its probe is the same as before, and it fails");
}

#[test]
fn what_is_gone_from_the_file_runs_on_until_the_file_is_reloaded() {
    let mut world = up(vec![service("web"), service("old")]);
    let before = world.view("old");
    succeed_on(&mut world, vec![service("web")]);
    for _ in 0..2 {
        let after = world.view("old");
        assert_eq!((after.run, after.pid, &after.phase), (before.run, before.pid, &before.phase));
        assert!(after.why.ends_with("stop it, or reload to have it stopped"), "{}", after.why);
        succeed(&mut world, secs(5));
    }
    world.load("shop", vec![service("web")]);
    world.run_for(secs(20));
    assert_eq!((world.phase("web"), world.alive()), ("running", 1));
    world.assert_told("old", "stopped, nothing is left");
    assert_eq!(&*world.succession.records[&id("old")], FORGOTTEN);
    assert!(world.engine.snapshot(world.now).service(&id("old")).is_none());
}

#[test]
fn what_is_gone_from_the_file_is_ended_as_its_file_said_by_a_stop_a_close_and_an_end_of_cas() {
    let specs =
        || vec![service("web"), service("old").with(|s| (s.stop.signal, s.stop.grace) = (Signal::Int, secs(77)))];
    let close = |world: &mut World| {
        world.ask(Origin::Cli, Command::Close { project: ProjectName::new("shop").unwrap() }, Consent::Ask);
    };
    type End<'a> = &'a dyn Fn(&mut World);
    let ends: [(&str, End<'_>); 3] = [
        ("stop", &|world| drop(world.say("stop old"))),
        ("close", &close),
        ("end", &|world| world.tell(Event::ShutdownAsked)),
    ];
    for (how, end) in ends {
        let mut world = up(specs());
        succeed_on(&mut world, vec![service("web")]);
        end(&mut world);
        assert!(
            world.view("old").why.contains("SIGINT sent, SIGKILL after 1m 17s"),
            "{how}: {}",
            world.view("old").why
        );
        world.run_for(secs(100));
        world.assert_told("old", "stopping with SIGINT");
        assert_eq!(world.alive(), usize::from(how == "stop"), "{how}");
        assert!(world.engine.snapshot(world.now).service(&id("old")).is_none(), "{how}");
    }
}

#[test]
fn what_is_gone_from_the_file_and_ends_is_not_started_again() {
    let mut world = up(vec![service("web"), service("old")]);
    succeed_on(&mut world, vec![service("web")]);
    world.crash("old", Exit::Code(1));
    world.run_for(secs(60));
    assert_eq!((world.spawns("old").len(), world.alive()), (1, 1));
    assert_eq!(&*world.succession.records[&id("old")], FORGOTTEN);
}

#[test]
fn what_comes_back_into_the_file_goes_on_as_if_it_had_never_left() {
    let mut world = up(vec![service("web"), service("old"), service("older")]);
    succeed_on(&mut world, vec![service("web")]);
    world.load("shop", vec![service("web"), service("old"), other(service("older"))]);
    world.run_for(secs(20));
    assert_eq!((world.phase("old"), world.spawns("old").len()), ("running", 1));
    assert!(!world.view("old").why.contains("gone"), "{}", world.view("old").why);
    assert_eq!(
        (world.phase("older"), world.spawns("older").len()),
        ("running", 2),
        "and anew where it came back otherwise"
    );
    world.crash("old", Exit::Code(1));
    world.run_for(secs(20));
    assert_eq!(world.phase("old"), "running", "its policy is back, too");
}

#[test]
fn a_stop_of_what_was_removed_under_an_engine_that_died_goes_on() {
    let mut world = up(vec![service("web"), service("old")]);
    world.behave("old", |b| b.ends_in = None);
    world.load("shop", vec![service("web")]);
    assert_eq!(world.phase("old"), "stopping");
    succeed(&mut world, secs(2));
    assert_eq!(world.phase("old"), "stopping");
    world.run_for(secs(20));
    assert_eq!(world.alive(), 1);
    let mut world = up(vec![service("web"), service("old")]);
    world.behave("old", |b| b.ends_in = None);
    world.say("restart old");
    succeed_on(&mut world, vec![service("web")]);
    world.run_for(secs(20));
    assert_eq!((world.alive(), world.spawns("old").len()), (1, 1), "of a restart that was under way the stop remains");
    assert!(world.engine.snapshot(world.now).service(&id("old")).is_none());
}

// What an opening starts.

fn auto(name: &str) -> ServiceSpec {
    service(name).with(|s| s.autostart = true)
}

/// Opens the shop as somebody asks.
fn open(world: &mut World, services: Vec<ServiceSpec>, starts: Starts) {
    let project = project("shop", services);
    for spec in &project.services {
        world.specs.insert(spec.id.clone(), spec.clone());
    }
    world.succession.projects.insert(project.name.clone(), project.clone());
    let id = RequestId(1_000_000 + world.steps);
    let command = Command::Open { directory: project.root.clone(), environment: None, starts };
    world.put(Request { id, origin: Origin::Cli, command, consent: Consent::Ask, if_rev: None, asker: None });
    let heritage = world.heritage(&project.name);
    world.tell(Event::ProjectLoaded { project, heritage, request: Some(id) });
}

#[test]
fn an_opening_that_asks_for_nothing_starts_nothing_and_the_next_engine_neither() {
    let specs = || vec![auto("db"), auto("web").needs("db"), auto("mail")];
    let mut world = World::empty(Settings { seed: 7, ..Settings::default() });
    open(&mut world, specs(), Starts::Nothing);
    world.run_for(secs(5));
    assert_eq!(world.alive(), 0);
    assert_eq!(world.view("mail").why, "not started yet: opened without autostart");
    world.say("start web");
    world.run_for(secs(20));
    let there = |world: &mut World| ["db", "web", "mail"].map(|name| world.phase(name));
    assert_eq!(there(&mut world), ["running", "running", "stopped"], "what was asked for, and what that needs");
    for starts in [Starts::Wanted, Starts::Autostart] {
        world.die();
        world.run_for(secs(5));
        world.awake();
        open(&mut world, specs(), starts);
        world.run_for(secs(5));
        assert_eq!(there(&mut world), ["running", "running", "stopped"], "it is not taken for new");
        assert_eq!(world.view("mail").why, "not started yet: opened without autostart");
    }
    world.say("start mail");
    world.run_for(secs(5));
    succeed(&mut world, secs(5));
    assert_eq!(there(&mut world), ["running"; 3]);
}

#[test]
fn of_two_who_open_the_same_the_one_who_wants_more_counts() {
    let mut world = World::empty(Settings { seed: 7, ..Settings::default() });
    let command = Command::Open { directory: "/srv/shop".into(), environment: None, starts: Starts::Autostart };
    world.put(Request {
        id: RequestId(900_000),
        origin: Origin::Cli,
        command,
        consent: Consent::Ask,
        if_rev: None,
        asker: None,
    });
    open(&mut world, vec![auto("web")], Starts::Nothing);
    world.run_for(secs(5));
    assert_eq!(world.phase("web"), "running");
}

#[test]
fn a_daemon_that_comes_back_starts_what_was_wanted_and_not_what_is_new_in_the_file() {
    let mut world = World::empty(Settings { seed: 7, boot_id: "first".to_owned(), ..Settings::default() });
    open(&mut world, vec![auto("web"), auto("mail"), service("db")], Starts::Nothing);
    world.say("start web");
    world.say("start db");
    world.run_for(secs(20));
    // The machine is started anew.
    world.die();
    world.agenda.clear();
    world.processes.clear();
    "second".clone_into(&mut world.succession.settings.boot_id);
    world.awake();
    open(&mut world, vec![auto("web"), auto("mail"), service("db"), auto("new")], Starts::Wanted);
    world.run_for(secs(20));
    let phases = ["web", "mail", "db", "new"].map(|name| world.phase(name));
    assert_eq!(phases, ["running", "stopped", "running", "stopped"]);
    assert_eq!(world.view("web").why, "started again after the machine's restart");
    assert_eq!(world.view("new").why, "not started yet: new in the project file since cas last ran");
    assert_eq!(world.view("mail").why, "not started yet: opened without autostart");
}

#[test]
fn where_nothing_is_known_of_what_was_wanted_a_daemon_starts_what_starts_by_itself() {
    let mut world = World::empty(Settings { seed: 7, ..Settings::default() });
    open(&mut world, vec![auto("web"), service("db")], Starts::Wanted);
    world.run_for(secs(5));
    assert_eq!((world.phase("web"), world.phase("db")), ("running", "stopped"));
}
