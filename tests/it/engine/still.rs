//! A service that a signal has stopped: named after ten seconds, and no more when it goes on.

use std::sync::Arc;

use cas::model::{
    event::Event,
    metric::{HostUsage, RunUsage, Sample},
    phase::Exit,
    timeline::{Severity, What},
};

use super::world::{World, secs, service};

/// One look a second, so many times: every run is there, and the main processes of these services stand still.
fn look(world: &mut World, times: u64, still: &[&str]) {
    for _ in 0..times {
        world.run_for(secs(1));
        let stopped = still.iter().filter_map(|name| world.view(name).run).collect();
        let usage = RunUsage { cpu_percent: 0.0, memory_bytes: 1, processes: 1, threads: 1 };
        let runs = world.engine.running().into_iter().map(|(run, _)| (run, usage)).collect();
        world.tell(Event::Sampled(Arc::new(Sample { at: world.now, host: HostUsage::default(), runs, stopped })));
    }
}

fn up() -> World {
    let mut world = World::new(vec![service("web"), service("db")]);
    world.say("start --all");
    world.run_for(secs(1));
    world
}

fn told(world: &World, part: &str) -> usize {
    world.story("web").iter().filter(|line| line.contains(part)).count()
}

#[test]
fn row_60_what_stands_still_for_ten_seconds_is_named_once_with_what_continues_it() {
    let mut world = up();
    let pid = world.view("web").pid.unwrap();
    look(&mut world, 10, &["web"]);
    assert!(!world.view("web").why.contains("stopped"), "nine seconds are a moment: {}", world.view("web").why);
    look(&mut world, 30, &["web"]);
    let why = world.view("web").why.clone();
    assert!(why.contains("stopped by a signal (SIGSTOP) since ") && why.contains(" UTC; kill -CONT "), "{why}");
    assert!(why.ends_with(&format!("kill -CONT {pid} continues it")), "{why}");
    assert_eq!(world.phase("web"), "running", "nobody has ended it");
    assert!(!world.view("db").why.contains("SIGSTOP"));
    assert_eq!(told(&world, "stopped by a signal (SIGSTOP), pid"), 1);
    let entry = world.entries.iter().find(|entry| matches!(entry.what, What::Suspended { .. })).unwrap();
    assert_eq!(entry.severity(), Severity::Warning);
    look(&mut world, 1, &[]);
    assert!(!world.view("web").why.contains("SIGSTOP"), "{}", world.view("web").why);
    assert_eq!(told(&world, "goes on after it was stopped for 40 s"), 1, "{:?}", world.story("web"));
}

#[test]
fn row_60_what_stands_still_for_a_moment_again_and_again_is_not_spoken_of() {
    let mut world = up();
    for _ in 0..5 {
        look(&mut world, 9, &["web"]);
        look(&mut world, 1, &[]);
    }
    assert_eq!((told(&world, "SIGSTOP"), told(&world, "goes on")), (0, 0));
}

#[test]
fn row_60_the_run_that_follows_is_not_taken_for_the_one_that_stood_still() {
    let mut world = up();
    look(&mut world, 20, &["web"]);
    world.crash("web", Exit::Signal(9));
    look(&mut world, 20, &[]);
    assert_eq!(world.phase("web"), "running");
    assert!(!world.view("web").why.contains("SIGSTOP"));
    assert_eq!((told(&world, "(SIGSTOP)"), told(&world, "goes on")), (1, 0));
}

#[test]
fn row_60_a_look_that_does_not_know_the_run_says_nothing_of_it() {
    let mut world = up();
    look(&mut world, 20, &["web"]);
    let sample = Sample { at: world.now, host: HostUsage::default(), runs: vec![], stopped: vec![] };
    world.tell(Event::Sampled(Arc::new(sample)));
    assert!(world.view("web").why.contains("SIGSTOP"));
    world.say("stop web");
    world.run_for(secs(30));
    assert_eq!(world.phase("web"), "stopped");
}
