//! What a reload would do, before it does it: the plan, by the files as they were read for it.

use std::{collections::BTreeMap, time::Duration};

use cas::model::{
    event::Event,
    ids::{ProjectName, RequestId},
    policy::{Consent, Origin, Plan, Reply, Risk},
    project::Problem,
    service::{CommandLine, RestartPolicy, ServiceSpec},
};

use super::{
    specs::project,
    world::{Build, World, secs, service},
};

/// Lets the engine see what the file says now.
fn read(world: &mut World, reading: Result<Vec<ServiceSpec>, Vec<Problem>>) {
    let reading = reading.map(|services| project("shop", services));
    let files = BTreeMap::from([(ProjectName::new("shop").unwrap(), reading)]);
    world.tell(Event::FilesRead { request: RequestId(1), files });
}

fn edited() -> Vec<ServiceSpec> {
    vec![
        service("same"),
        service("moved").with(|s| s.source.line = 99),
        service("policy").with(|s| {
            s.restart = RestartPolicy::No;
            s.stop.grace = Duration::from_secs(1);
        }),
        service("made").with(|s| {
            s.command = CommandLine::Shell("run --token s3cr3t".to_owned());
            s.environment = BTreeMap::from([("TOKEN".to_owned(), "s3cr3t".to_owned())]);
        }),
        service("asleep").with(|s| s.command = CommandLine::Shell("other".to_owned())),
        service("new").with(|s| s.autostart = true),
        service("later"),
    ]
}

fn without_policy() -> Vec<ServiceSpec> {
    edited().into_iter().filter(|spec| spec.id.service.as_str() != "policy").collect()
}

fn up() -> World {
    let names = ["same", "moved", "policy", "made", "asleep", "gone", "idle"];
    let mut world = World::new(names.map(service).to_vec());
    for name in ["same", "moved", "policy", "made", "gone"] {
        world.say(&format!("start {name}"));
    }
    world.run_for(secs(20));
    world
}

#[track_caller]
fn planned(reply: Reply) -> Plan {
    match reply {
        Reply::Planned { plan } | Reply::NeedsConsent { plan } => plan,
        other @ (Reply::Accepted { .. } | Reply::Unchanged { .. } | Reply::Refused { .. }) => {
            panic!("no plan: {other:?}")
        }
    }
}

#[test]
fn a_dry_run_has_a_line_for_each_service_that_changes_with_the_keys_and_no_value() {
    let mut world = up();
    read(&mut world, Ok(edited()));
    let plan = planned(world.say_as(Origin::Cli, "reload", Consent::DryRun));
    assert_eq!(
        plan.steps,
        [
            "change policy in place: restart, stop_grace_period",
            "restart made: shell, environment (TOKEN)",
            "change asleep in place: shell",
            "start new (new in the file)",
            "add later (new in the file, not started)",
            "stop gone (gone from the file)",
            "remove idle (gone from the file)",
        ]
    );
    assert_eq!(
        plan.title,
        "read the project file again: start new; add later; stop gone; remove idle; restart made; change policy, asleep in place"
    );
    assert_eq!(plan.risk, Risk::Disruptive);
    world.run_for(secs(5));
    assert_eq!((world.phase("gone"), world.spawns("made").len()), ("running", 1), "nothing was done");
}

#[test]
fn what_is_foreseen_is_what_happens_and_the_timeline_tells_restarts_from_changes_in_place() {
    let mut world = up();
    world.load("shop", edited());
    world.run_for(secs(5));
    let spawned = ["same", "moved", "policy", "made", "asleep", "new", "later"].map(|name| world.spawns(name).len());
    assert_eq!(spawned, [1, 1, 1, 2, 0, 1, 0]);
    let told = world.entries.iter().find(|entry| entry.sentence().starts_with("project file read again")).unwrap();
    assert_eq!(
        told.sentence(),
        "project file read again: 2 new, 2 gone, 3 changed (restarted: made; in place: policy, asleep)"
    );
    assert!(told.why.contains("made: shell, environment (TOKEN)") && !told.why.contains("s3cr3t"), "{}", told.why);
}

#[test]
fn a_key_asks_before_it_restarts_something_and_not_before_it_changes_nothing() {
    let mut world = up();
    read(&mut world, Ok(edited()));
    let plan = planned(world.say_as(Origin::Key, "reload", Consent::Ask));
    // The file has changed since it was seen: what was agreed to is another thing.
    read(&mut world, Ok(without_policy()));
    let again = planned(world.say_as(Origin::Key, "reload", Consent::Given(plan.fingerprint)));
    read(&mut world, Ok(without_policy()));
    let reply = world.say_as(Origin::Key, "reload", Consent::Given(again.fingerprint));
    assert!(matches!(reply, Reply::Accepted { .. }), "{reply:?}");
    let mut world = World::new(vec![service("web")]);
    world.say("start web");
    world.run_for(secs(20));
    read(&mut world, Ok(vec![service("web")]));
    let reply = world.say_as(Origin::Key, "reload", Consent::Ask);
    assert_eq!(reply, Reply::Accepted { note: "read the project file again: nothing changes".to_owned() });
}

#[test]
fn a_file_that_cannot_be_taken_is_a_plan_that_changes_nothing() {
    let mut world = up();
    let wrong = Problem { source: None, message: "comand: not a key of a service".to_owned(), hint: None };
    read(&mut world, Err(vec![wrong]));
    let plan = planned(world.say_as(Origin::Cli, "reload", Consent::DryRun));
    assert_eq!(plan.risk, Risk::Reversible);
    assert!(plan.steps[0].contains("comand: not a key") && plan.steps[0].ends_with("stays as it is"), "{plan:?}");
}
