//! An engine that dies while it takes an end in: the end is told once, whatever of the step was carried out.

use cas::model::phase::Exit;

use super::{
    heritage::succeed,
    world::{Build, World, secs, service},
};

/// A service that crashes, under an engine that dies within the step after so many of its effects.
fn crashed(done: usize) -> World {
    let mut world = World::new(vec![service("web").with(|s| s.backoff.base = secs(600))]);
    world.say("start web");
    world.run_for(secs(1));
    world.succession.dies_within = Some(done);
    world.crash("web", Exit::Code(3));
    assert!(world.succession.is_dead);
    world
}

fn told(world: &World, part: &str) -> usize {
    world.story("web").iter().filter(|line| line.contains(part)).count()
}

#[test]
fn an_end_is_told_once_wherever_the_engine_dies_and_so_is_what_became_of_it() {
    for done in 0..4 {
        let mut world = crashed(done);
        succeed(&mut world, secs(1));
        assert_eq!((told(&world, "code 3"), told(&world, "restart 1")), (1, 1), "{done}: {:?}", world.story("web"));
        assert_eq!((world.phase("web"), world.view("web").restarts), ("backing-off", 0));
        // The engine after the next one knows it from its records.
        succeed(&mut world, secs(1));
        assert_eq!((told(&world, "code 3"), told(&world, "restart 1")), (1, 1), "{done}: {:?}", world.story("web"));
    }
}

#[test]
fn an_end_that_no_engine_told_is_told_by_the_next() {
    let mut world = crashed(0);
    // A spool and a database that are gone.
    world.entries.clear();
    world.succession.exits_told.clear();
    succeed(&mut world, secs(1));
    assert_eq!((told(&world, "code 3"), told(&world, "restart 1")), (1, 1));
}
