//! A project file read again.

use cas::model::{
    command::{Command, Targets},
    effect::Effect,
    event::Event,
    phase::Exit,
    policy::{Consent, Origin},
    project::Problem,
    service::CommandLine,
};

use super::world::{Build, World, ms, secs, service};

fn other_command(s: &mut cas::model::service::ServiceSpec) {
    s.command = CommandLine::Shell("run it differently".to_owned());
}

#[test]
fn a_reload_touches_only_what_differs() {
    let mut world = World::new(vec![service("same"), service("moved"), service("changed"), service("gone")]);
    world.say("start --all");
    world.run_for(secs(20));
    world.load(
        "shop",
        vec![
            service("new").with(|s| s.autostart = true),
            service("asleep"),
            service("same"),
            service("moved").with(|s| s.source.line = 99),
            service("changed").with(other_command),
        ],
    );
    assert_eq!(world.phase("gone"), "stopping", "it is seen until it is gone");
    world.run_for(secs(5));
    assert_eq!((world.spawns("same").len(), world.spawns("moved").len(), world.spawns("changed").len()), (1, 1, 2));
    assert_eq!((world.phase("new"), world.phase("asleep")), ("running", "stopped"));
    let snapshot = world.engine.snapshot(world.now);
    let names: Vec<&str> = snapshot.services.iter().map(|service| service.id.service.as_str()).collect();
    assert_eq!(names, ["new", "asleep", "same", "moved", "changed"]);
    assert_eq!(world.view("changed").command, "run it differently");
    assert_eq!(world.view("changed").why, "restarted because its part of the project file changed");
    let told: Vec<String> = world.entries.iter().map(|entry| entry.sentence()).collect();
    assert!(
        told.contains(&"project file read again: 2 new, 1 gone, 1 changed (restarted: changed)".to_owned()),
        "{told:#?}"
    );
}

#[test]
fn a_change_of_policy_takes_effect_without_a_restart() {
    let mut world = World::new(vec![service("web")]);
    world.say("start web");
    world.run_for(secs(20));
    world.load("shop", vec![service("web").with(|s| s.restart = cas::model::service::RestartPolicy::No)]);
    world.run_for(secs(5));
    assert_eq!(world.spawns("web").len(), 1);
    world.crash("web", Exit::Code(1));
    assert_eq!(world.phase("web"), "failed");
}

#[test]
fn what_is_stopped_just_takes_the_new_words() {
    let mut world = World::new(vec![service("web")]);
    world.load("shop", vec![service("web").with(other_command)]);
    world.run_for(secs(5));
    assert_eq!((world.phase("web"), world.view("web").command.as_str()), ("stopped", "run it differently"));
}

#[test]
fn what_changed_restarts_in_the_order_of_dependencies() {
    let mut world = World::new(vec![service("db"), service("web").needs("db")]);
    world.say("start --all");
    world.run_for(secs(20));
    world.load("shop", vec![service("db").with(other_command), service("web").needs("db").with(other_command)]);
    world.run_for(secs(5));
    let order: Vec<String> = world.spawned.iter().skip(2).map(|(_, id)| id.service.to_string()).collect();
    assert_eq!(order, ["db", "web"]);
}

#[test]
fn a_file_that_cannot_be_taken_changes_nothing_and_is_shown_until_one_can() {
    let mut world = World::new(vec![service("web")]);
    world.say("start web");
    world.run_for(secs(20));
    let problem = Problem { source: None, message: "restart: \"allways\" is not a policy".to_owned(), hint: None };
    world.tell(Event::ProjectRefused { problems: vec![problem.clone()] });
    assert_eq!((world.phase("web"), world.spawns("web").len()), ("running", 1));
    assert_eq!(*world.engine.snapshot(world.now).problems, [problem]);
    assert!(world.entries.last().unwrap().sentence().contains("allways"));
    world.load("shop", vec![service("web")]);
    assert!(world.engine.snapshot(world.now).problems.is_empty());
}

#[test]
fn a_service_that_comes_back_while_it_is_being_removed_starts_again_if_it_should() {
    let mut world = World::new(vec![service("web").with(|s| s.autostart = true)]);
    world.run_for(secs(20));
    world.load("shop", vec![]);
    assert_eq!(world.phase("web"), "stopping");
    world.load("shop", vec![service("web").with(|s| s.autostart = true)]);
    world.run_for(secs(5));
    assert_eq!((world.phase("web"), world.spawns("web").len()), ("running", 2));
}

#[test]
fn a_service_that_comes_back_before_its_turn_to_go_stays_up() {
    let mut world = World::new(vec![service("db"), service("web").needs("db")]);
    world.say("start --all");
    world.run_for(secs(20));
    world.load("shop", vec![]);
    assert_eq!(world.phase("db"), "running");
    world.load("shop", vec![service("db")]);
    world.run_for(secs(20));
    assert_eq!((world.phase("db"), world.spawns("db").len()), ("running", 1));
}

#[test]
fn a_stop_beats_the_restart_that_a_reload_began() {
    let mut world = World::new(vec![service("web")]);
    world.say("start web");
    world.run_for(secs(20));
    world.load("shop", vec![service("web").with(other_command)]);
    world.say("stop web");
    world.run_for(secs(60));
    assert_eq!((world.phase("web"), world.spawns("web").len()), ("stopped", 1));
}

#[test]
fn a_reload_does_not_restart_what_waits_for_its_turn_to_stop() {
    let mut world = World::new(vec![service("db"), service("web").needs("db")]);
    world.say("start --all");
    world.run_for(secs(20));
    world.say("stop --all");
    assert_eq!(world.phase("db"), "running");
    world.load("shop", vec![service("db").with(other_command), service("web").needs("db")]);
    world.run_for(secs(20));
    assert_eq!((world.phase("db"), world.spawns("db").len()), ("stopped", 1));
}

#[test]
fn a_removed_service_waits_for_its_dependents_to_go() {
    let mut world = World::new(vec![service("db"), service("web").needs("db")]);
    world.say("start --all");
    world.run_for(secs(20));
    world.load("shop", vec![]);
    assert_eq!((world.phase("web"), world.phase("db")), ("stopping", "running"));
    world.run_for(secs(5));
    assert_eq!(world.alive(), 0);
    assert!(world.engine.snapshot(world.now).services.is_empty());
}

#[test]
fn opening_a_project_registers_it() {
    let world = World::new(vec![service("web"), service("db")]);
    let registered = world.effects.iter().any(|(_, effect)| {
        matches!(effect, Effect::Register(record) if record.name.as_str() == "shop" && record.services == 2)
    });
    assert!(registered);
}

#[test]
fn a_dependency_that_a_reload_takes_away_holds_no_longer() {
    let mut world = World::new(vec![service("db"), service("web").needs("db")]);
    world.behave("db", |b| b.spawn_takes = secs(3600));
    world.say("start web");
    world.run_for(ms(10));
    assert_eq!(world.phase("web"), "waiting");
    world.load("shop", vec![service("db"), service("web")]);
    world.run_for(ms(10));
    assert_eq!(world.phase("web"), "running");
    let all = Targets { services: vec![], all: true };
    world.ask(Origin::Cli, Command::Kill { targets: all }, Consent::Ask);
}
