//! Log files that services write themselves: what the engine does about those that are due.

use std::{path::PathBuf, time::Duration};

use cas::model::{
    effect::Effect,
    event::Event,
    log_file::{DueBy, DueFile, How, LogFiles, Rotated, Rotation, RotationRound},
    phase::Exit,
    policy::Reply,
    service::ServiceSpec,
    signal::Signal,
    timeline::{Severity, What},
};

use super::world::{Build, World, id, secs, service};

fn mins(n: u64) -> Duration {
    Duration::from_mins(n)
}

fn path(name: &str) -> PathBuf {
    PathBuf::from("/srv/p/log").join(name)
}

/// A service with log files that are rotated.
fn writer(name: &str) -> ServiceSpec {
    service(name).with(|spec| {
        let rotation = Rotation {
            max_bytes: Some(100),
            max_age: None,
            keep: 7,
            keep_for: None,
            compress: true,
            how: How::Signal(Signal::Usr1),
        };
        spec.log_files = vec![LogFiles {
            directory: "/srv/p/log".into(),
            name: "*.log".to_owned(),
            within: None,
            prefix: "log/".to_owned(),
            follow: true,
            rotate: Some(rotation),
        }]
        .into();
    })
}

fn world() -> World {
    let mut world = World::new(vec![writer("web"), service("plain")]);
    world.say("start web plain");
    world.run_for(secs(20));
    world
}

fn due(world: &mut World) {
    let files = vec![DueFile { path: path("a.log"), why: DueBy::Size(100) }];
    world.tell(Event::LogFilesDue { service: id("web"), files });
}

fn ends(world: &mut World, outcome: Result<u64, String>) {
    let files = vec![Rotated { path: path("a.log"), shown: "log/a.log".to_owned(), outcome }];
    world.tell(Event::LogFilesRotated { service: id("web"), files });
}

fn rounds(world: &World) -> Vec<RotationRound> {
    let round = |(_, effect): &(_, Effect)| if let Effect::Rotate(round) = effect { Some(round.clone()) } else { None };
    world.effects.iter().filter_map(round).collect()
}

#[test]
fn a_file_that_is_due_is_rotated_once_and_told_with_the_reason() {
    let mut world = world();
    let run = world.view("web").run;
    due(&mut world);
    // It is told with every pass until it is done.
    due(&mut world);
    assert_eq!(rounds(&world), [RotationRound { service: id("web"), run, files: vec![path("a.log")] }]);
    world.tell(Event::LogFilesMoved { service: id("web"), run: run.unwrap(), signal: Signal::Usr1 });
    let is_sent =
        |effect: &Effect| matches!(effect, Effect::Signal { run: of, signal: Signal::Usr1 } if Some(*of) == run);
    assert!(world.effects.iter().any(|(_, effect)| is_sent(effect)));
    ends(&mut world, Ok(2048));
    world.assert_told("web", "USR1 sent");
    world.assert_told("web", "log/a.log rotated, 2K set aside");
    let entry = world.entries.iter().rev().find(|entry| matches!(entry.what, What::LogRotated { .. })).unwrap().clone();
    assert_eq!((entry.why.as_str(), entry.severity()), ("it is larger than 100B", Severity::Info));
    due(&mut world);
    assert_eq!(rounds(&world).len(), 2, "the next time it is due it is rotated again");
}

#[test]
fn a_signal_goes_to_the_run_whose_files_were_moved_and_to_no_other() {
    let mut world = world();
    let run = world.view("web").run.unwrap();
    due(&mut world);
    world.crash("web", Exit::Code(1));
    world.run_for(secs(20));
    assert_ne!(world.view("web").run, Some(run), "it runs again");
    world.tell(Event::LogFilesMoved { service: id("web"), run, signal: Signal::Usr1 });
    assert!(!world.effects.iter().any(|(_, effect)| matches!(effect, Effect::Signal { .. })));
}

#[test]
fn a_failure_is_told_once_and_tried_again_less_and_less_often() {
    let mut world = world();
    let mut begun = Vec::new();
    for _ in 0..24 * 60 {
        let before = rounds(&world).len();
        due(&mut world);
        if rounds(&world).len() > before {
            begun.push(world.now);
            ends(&mut world, Err("its disk is full".to_owned()));
        }
        world.run_for(mins(1));
    }
    let pauses: Vec<u64> = begun.windows(2).map(|pair| pair[1].since(pair[0]).as_secs() / 60).collect();
    assert_eq!(pauses[..5], [5, 10, 20, 40, 60], "{pauses:?}");
    let told = world.entries.iter().filter(|entry| matches!(&entry.what, What::LogRotated { error: Some(_), .. }));
    assert_eq!(told.count(), 4, "every six hours");
    ends(&mut world, Ok(1));
    due(&mut world);
    let before = rounds(&world).len();
    ends(&mut world, Ok(1));
    due(&mut world);
    assert_eq!(rounds(&world).len(), before + 1, "what went well is not waited for");
}

#[test]
fn a_file_that_cannot_be_rotated_keeps_no_other_waiting() {
    let mut world = world();
    let both = || ["a.log", "b.log"].map(|name| DueFile { path: path(name), why: DueBy::Size(100) }).to_vec();
    world.tell(Event::LogFilesDue { service: id("web"), files: both() });
    let of = |name: &str, outcome| Rotated { path: path(name), shown: format!("log/{name}"), outcome };
    let files = vec![of("a.log", Err("it belongs to user 33".to_owned())), of("b.log", Ok(1))];
    world.tell(Event::LogFilesRotated { service: id("web"), files });
    world.run_for(mins(1));
    world.tell(Event::LogFilesDue { service: id("web"), files: both() });
    assert_eq!(rounds(&world).last().unwrap().files, [path("b.log")]);
    world.tell(Event::LogFilesRotated { service: id("web"), files: vec![of("b.log", Ok(1))] });
    world.run_for(mins(5));
    world.tell(Event::LogFilesDue { service: id("web"), files: both() });
    assert_eq!(rounds(&world).last().unwrap().files, [path("a.log"), path("b.log")], "what it waited for is over");
}

#[test]
fn files_that_grow_faster_than_they_may_are_not_rotated_without_end() {
    let mut world = world();
    for _ in 0..200 {
        due(&mut world);
        ends(&mut world, Ok(1000));
        world.run_for(secs(15));
    }
    // 50 minutes: no more than 30 within an hour.
    assert_eq!(rounds(&world).len(), 30);
    let told = world.story("web").iter().filter(|line| line.contains("rotated 30 times within an hour")).count();
    assert_eq!(told, 1);
    world.run_for(mins(60));
    due(&mut world);
    assert_eq!(rounds(&world).len(), 31);
}

#[test]
fn a_person_rotates_by_a_word_that_needs_no_consent_and_is_told() {
    let mut world = world();
    let Reply::Accepted { note } = world.say("rotate web") else { panic!("not taken") };
    assert_eq!(note, "rotate the log files of web");
    let round = rounds(&world).pop().unwrap();
    assert_eq!((round.files.len(), round.run), (0, world.view("web").run), "all of them");
    let Reply::Unchanged { note } = world.say("rotate web") else { panic!("twice at once") };
    assert_eq!(note, "log files of web are being rotated already");
    ends(&mut world, Err("no".to_owned()));
    world.assert_told("web", "asked: rotate web");
    world.assert_told("web", "log/a.log not rotated: no");
    let Reply::Unchanged { note } = world.say("rotate plain") else { panic!("nothing to rotate") };
    assert!(note.starts_with("plain has no log files to rotate"), "{note}");
    world.say("stop web");
    world.run_for(secs(30));
    world.say("rotate web");
    assert_eq!(rounds(&world).last().unwrap().run, None, "nobody has them open");
}

#[test]
fn nothing_is_rotated_by_itself_during_a_maintenance() {
    let mut world = world();
    world.say("maintenance on web");
    due(&mut world);
    assert_eq!(rounds(&world), []);
    world.say("maintenance off web");
    due(&mut world);
    assert_eq!(rounds(&world).len(), 1);
}
