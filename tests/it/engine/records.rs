//! Records that another version of cas wrote: what is unknown is passed over, what is missing is as by default.

use std::sync::Arc;

use cas::model::{
    ids::{ProjectName, ServiceName},
    phase::Exit,
    probe::ProbeKind,
    record::ServiceRecord,
    service::CommandLine,
};

use super::{
    heritage::{succeed_with, up},
    world::{Build, World, id, project, secs, service},
};

/// Puts an unknown field into every object of a document.
fn widen(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.values_mut().for_each(widen);
            fields.insert("zz_of_tomorrow".to_owned(), serde_json::json!({"deep": [1, {"x": null}]}));
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(widen),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => {}
    }
}

/// Takes the fields away that the first version of cas with records did not have.
fn narrow(value: &mut serde_json::Value) {
    value.as_object_mut().unwrap().remove("engine");
    let state = value["state"].as_object_mut().unwrap();
    state.remove("withheld");
    if let Some(run) = state.get_mut("run").and_then(serde_json::Value::as_object_mut) {
        run.remove("made_from");
        run.remove("care");
    }
}

/// A world in which most of what a record can say is said.
fn eventful() -> World {
    let mut world = up(vec![
        service("web").probe(ProbeKind::Startup, |_| {}).with(|s| s.tty = true),
        service("slow"),
        service("bad").with(|s| s.backoff.base = secs(600)),
        service("top").needs("slow"),
    ]);
    world.behave("slow", |b| b.ends_in = None);
    world.behave("top", |b| b.ends_in = None);
    world.say("autopilot off");
    world.say("autopilot on");
    world.crash("bad", Exit::Code(3));
    world.run_for(secs(1));
    world.crash("bad", Exit::Signal(11));
    world.say("stop slow top --grace 40s");
    world.run_for(secs(1));
    world
}

/// What is seen after another engine took over from records altered by `alter`.
fn seen_after(alter: impl Fn(&mut serde_json::Value)) -> Vec<(ServiceName, String, u32, String)> {
    let mut world = eventful();
    succeed_with(&mut world, |heritage| {
        for line in heritage.records.values_mut() {
            let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
            alter(&mut value);
            *line = Arc::from(value.to_string());
        }
    });
    assert!(!world.entries.iter().any(|entry| entry.sentence().contains("cannot be used")));
    let snapshot = world.engine.snapshot(world.now);
    let seen = snapshot.services.iter();
    seen.map(|s| (s.id.service.clone(), format!("{:?} {:?}", s.phase, s.run), s.restarts, s.why.clone())).collect()
}

#[test]
fn fields_of_a_newer_cas_are_passed_over_wherever_they_stand() {
    assert_eq!(seen_after(widen), seen_after(|_| {}));
}

#[test]
fn a_record_of_an_older_cas_says_all_that_it_said_then() {
    assert_eq!(seen_after(narrow), seen_after(|_| {}));
    let mut world = up(vec![service("web")]);
    world.die();
    world.run_for(secs(5));
    world.awake();
    let mut heritage = world.heritage(&ProjectName::new("shop").unwrap());
    for line in heritage.records.values_mut() {
        let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
        narrow(&mut value);
        *line = Arc::from(value.to_string());
    }
    world.succeed(
        &project(
            "shop",
            vec![service("web").with(|s| s.command = CommandLine::Shell("run it differently".to_owned()))],
        ),
        heritage,
    );
    assert_eq!(world.phase("web"), "running");
    assert!(!world.view("web").why.contains("older"), "nobody knows from what it was made");
}

/// A line as the first cas with records wrote it.
#[test]
fn a_line_that_an_older_cas_wrote_is_read_as_it_was_meant() {
    let line = r#"{"v":1,"boot":"b","at":{"mono_us":21000000,"wall_us":1700000020000000},"state":{"goal":"up","phase":{"name":"running","run":1,"pid":1001,"since":{"mono_us":1001000,"wall_us":1700000000001000}},"run":{"id":1,"since":{"mono_us":1001000,"wall_us":1700000000001000},"pid":1001,"became_stable":true,"told_ready":false,"log_ready":false},"last_run":1,"start":{"who":"cli","because":"started by command line","attempt":0,"counts":false},"streak":0,"attempt":0,"restarts":2,"completed":false,"why":"started by command line","closed":false}}"#;
    let record = ServiceRecord::parse(line).unwrap().unwrap();
    assert_eq!((record.engine.autopilot, record.engine.spent, record.state.withheld), (None, 0, false));
    let run = record.state.run.as_ref().unwrap();
    assert_eq!((run.made_from, run.care, record.state.restarts), (None, None, 2));
}

#[test]
fn words_of_a_newer_cas_in_what_is_new_cost_only_themselves() {
    let mut world = up(vec![service("web")]);
    world.say("autopilot off");
    let line = world.succession.records[&id("web")].clone();
    let mut value: serde_json::Value = serde_json::from_str(&line).unwrap();
    value["engine"]["autopilot"]["mode"] = "suggest".into();
    value["state"]["run"]["made_from"] = serde_json::json!({"v": 2, "digest": "abc"});
    value["state"]["run"]["care"] = "gently".into();
    let record = ServiceRecord::parse(&value.to_string()).unwrap().unwrap();
    let run = record.state.run.unwrap();
    assert_eq!((record.engine.autopilot, run.made_from, run.care), (None, None, None));
}
