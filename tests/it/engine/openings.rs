//! What an opening after a reboot, after an orderly end, or after many deaths makes of the past.

use cas::{
    engine::Settings,
    model::{
        event::Event,
        heritage::{Found, FoundState},
        ids::RunId,
        phase::Exit,
        probe::ProbeKind,
        service::{RestartPolicy, ServiceSpec},
    },
};

use super::{
    heritage::{succeed, succeed_with, up},
    world::{Build, Life, World, id, ms, secs, service},
};

/// The machine was started anew.
fn reboot(world: &mut World) {
    world.die();
    world.agenda.clear();
    world.succession.missed.clear();
    for process in world.processes.values_mut() {
        (process.main, process.leftover) = (false, 0);
    }
    world.now = cas::model::time::Timestamp { mono_us: 5_000_000, wall_us: world.now.wall_us + 60_000_000 };
    "second".clone_into(&mut world.succession.settings.boot_id);
    world.awake();
    for spec in world.succession.projects.values().cloned().collect::<Vec<_>>() {
        let mut heritage = world.heritage(&spec.name);
        for found in &mut heritage.found {
            found.state = FoundState::Rebooted;
        }
        // Counts begin anew with the machine.
        world.succession.records.clear();
        world.succeed(&spec, heritage);
    }
}

fn settled(boot: &str) -> Settings {
    Settings { seed: 7, boot_id: boot.to_owned(), ..Settings::default() }
}

/// GUARANTEES row 64: after a restart of the machine nothing has crashed; what was wanted is there again.
#[test]
fn row_64_after_a_reboot_what_was_wanted_runs_again() {
    let policy = |name, autostart, restart| service(name).with(|s| (s.autostart, s.restart) = (autostart, restart));
    let table = [
        ("always", false, RestartPolicy::Always, false, true),
        ("failure", false, RestartPolicy::OnFailure { max_retries: None }, false, true),
        ("never", false, RestartPolicy::No, false, false),
        ("never-auto", true, RestartPolicy::No, false, true),
        ("always-stopped", true, RestartPolicy::Always, true, true),
        ("by-hand-stopped", false, RestartPolicy::Always, true, false),
        ("unless-stopped", true, RestartPolicy::UnlessStopped, true, false),
        ("unless", false, RestartPolicy::UnlessStopped, false, true),
        ("failure-stopped", true, RestartPolicy::OnFailure { max_retries: None }, true, false),
    ];
    let mut world = World::empty(settled("first"));
    world.load("shop", table.iter().map(|(name, auto, restart, ..)| policy(name, *auto, *restart)).collect());
    world.say("start --all");
    world.run_for(secs(20));
    for (name, .., stopped, _) in table {
        if stopped {
            world.say(&format!("stop {name}"));
        }
    }
    world.run_for(secs(20));
    world.forbidden.clear();
    reboot(&mut world);
    world.run_for(secs(5));
    for (name, _, _, stopped, runs) in table {
        let view = world.view(name);
        assert_eq!(view.phase.label(), if runs { "running" } else { "stopped" }, "{name}: {}", view.why);
        assert_eq!(view.restarts, 0, "{name} did not crash");
        let told = world.story(name).contains(&"ended with the machine's restart".to_owned());
        assert_eq!(told, !stopped, "{name}");
    }
    assert_eq!(world.view("always").why, "started again after the machine's restart");
    assert_eq!(world.view("never").why, "stopped by the machine's restart; policy no: not started again");
    assert_eq!(world.view("unless-stopped").why, "stopped by command line");
}

#[test]
fn after_a_reboot_dependencies_are_started_first() {
    let mut world = World::empty(settled("first"));
    world.load("shop", vec![service("db"), service("web").needs("db")]);
    world.say("start web");
    world.run_for(secs(20));
    world.spawned.clear();
    reboot(&mut world);
    world.run_for(secs(5));
    let order: Vec<_> = world.spawned.iter().map(|(_, id)| id.service.to_string()).collect();
    assert_eq!(order, ["db", "web"]);
}

#[test]
fn after_cas_was_ended_with_everything_the_next_opening_is_a_first_one() {
    let auto = |name, restart| service(name).with(|s| (s.autostart, s.restart) = (true, restart));
    let specs = vec![
        auto("web", RestartPolicy::Always),
        auto("idle", RestartPolicy::UnlessStopped),
        auto("again", RestartPolicy::Always),
        service("hand"),
    ];
    let mut world = World::new(specs);
    world.say("start hand");
    world.run_for(secs(20));
    world.say("stop idle again");
    world.run_for(secs(1));
    world.tell(Event::ShutdownAsked);
    world.run_for(secs(20));
    assert_eq!((world.quits, world.alive()), (1, 0));
    for _ in 0..2 {
        world.forbidden.clear();
        succeed(&mut world, secs(60));
        world.run_for(secs(20));
        let phases = ["web", "idle", "again", "hand"].map(|name| world.phase(name));
        assert_eq!(phases, ["running", "stopped", "running", "stopped"]);
        assert_eq!(
            world.view("idle").why,
            "stopped by hand before its project was closed, and restart is unless-stopped"
        );
        world.tell(Event::ShutdownAsked);
        world.run_for(secs(20));
    }
}

#[test]
fn an_engine_that_dies_while_it_stops_everything_leaves_a_stop_that_goes_on() {
    let mut world = up(vec![service("web"), service("auto").with(|s| s.autostart = true)]);
    world.behave("web", |b| b.ends_in = Some(secs(8)));
    world.behave("auto", |b| b.ends_in = Some(secs(8)));
    world.tell(Event::ShutdownAsked);
    world.run_for(secs(1));
    succeed(&mut world, secs(1));
    assert_eq!((world.phase("web"), world.phase("auto")), ("stopping", "stopping"));
    world.run_for(secs(20));
    assert_eq!((world.phase("web"), world.phase("auto")), ("stopped", "running"), "a first opening follows the stop");
}

#[test]
fn a_crash_and_its_restart_make_few_and_small_records() {
    let mut world = up(vec![service("web").probe(ProbeKind::Readiness, |_| {}), service("idle")]);
    let before = world.succession.written;
    world.run_for(secs(600));
    assert_eq!(world.succession.written, before, "probe rounds and time make none");
    world.crash("web", Exit::Code(1));
    world.run_for(ms(10));
    assert_eq!(world.phase("web"), "running");
    assert_eq!(world.succession.written - before, 2);
    world.run_for(secs(60));
    assert!(world.succession.written - before <= 4, "ready and stable: {}", world.succession.written - before);
    assert!(world.succession.largest < 1500, "{}", world.succession.largest);
}

#[test]
fn a_first_opening_without_heritage_is_as_it_always_was() {
    let mut world = World::new(vec![service("web").with(|s| s.autostart = true), service("db")]);
    assert_eq!(world.succession.records.len(), 1, "only of what was touched");
    world.run_for(secs(1));
    assert_eq!((world.phase("web"), world.phase("db")), ("running", "stopped"));
}

#[test]
fn nothing_of_a_found_run_is_lost_where_its_slot_was() {
    let mut world = up(vec![service("web")]);
    world.processes.values_mut().for_each(|process| process.main = false);
    succeed_with(&mut world, |heritage| heritage.found.clear());
    world.assert_told("web", "ended, exit status unknown");
    let stray = Found { service: id("ghost").service, run: RunId(77), state: FoundState::Unverifiable { pid: 12 } };
    let mut world = up(vec![service("web")]);
    succeed_with(&mut world, |heritage| heritage.found.push(stray));
    world.assert_told("ghost", "pid 12 may be an earlier run or a stranger");
}

/// The figure of the daemon: a week, an engine death an hour, nothing that grows.
#[test]
fn a_week_with_an_engine_death_an_hour_does_not_grow() {
    let specs: Vec<ServiceSpec> = (0..12)
        .map(|n| {
            let spec = service(&format!("s{n}")).with(|s| s.autostart = true);
            let spec = if n >= 3 { spec.needs(&format!("s{}", n % 3)) } else { spec };
            if n == 4 { spec.probe(ProbeKind::Readiness, |p| p.interval = secs(60)) } else { spec }
        })
        .collect();
    let mut world = World::new(Vec::new());
    world.keep_effects = false;
    for n in 0..12 {
        world.behave(&format!("s{n}"), |b| match n {
            5 => b.then = Life::Ends(secs(700), Exit::Code(1)),
            7 => b.then = Life::Ends(secs(3000), Exit::Signal(11)),
            8 => b.then = Life::Ends(ms(100), Exit::Code(1)),
            _ => {}
        });
    }
    world.load("shop", specs);
    let mut sizes = Vec::new();
    for hour in 0..7 * 24_u64 {
        world.run_for(secs(3600 - hour % 30));
        sizes.push((format!("{:?}", world.engine).len(), world.succession.records.values().map(|r| r.len()).max()));
        succeed(&mut world, secs(hour % 30));
        // What is over is of no interest to the world either.
        world.processes.retain(|_, process| process.main || !process.told);
    }
    assert_eq!((world.alive(), world.phase("s8")), (11, "gave-up"));
    assert!(world.spawns("s5").len() > 700 && world.spawns("s0").len() == 1);
    let first = sizes[24].0;
    let last = sizes.last().unwrap().0;
    assert!(last < first + first / 10, "an engine grew from {first} to {last}");
    assert!(world.succession.largest < 2000, "a record of {} bytes", world.succession.largest);
    assert_eq!(world.succession.records.len(), 12);
}

#[test]
fn the_restart_budget_also_bounds_what_crashed_meanwhile() {
    let specs: Vec<ServiceSpec> = (0..30).map(|n| service(&format!("s{n}"))).collect();
    let mut world = up(specs);
    world.die();
    for n in 0..30 {
        world.crash(&format!("s{n}"), Exit::Signal(9));
    }
    world.run_for(secs(60));
    world.revive();
    assert_eq!(world.spawned.len(), 30 + 10);
    world.run_for(secs(60));
    assert_eq!(world.alive(), 30);
}
