//! An engine after another: what is taken over, ended, started again, or left alone.

use std::sync::Arc;

use cas::model::{
    effect::Effect,
    event::Event,
    heritage::{FoundState, Heritage},
    ids::{ProjectName, RunId},
    phase::{Exit, Hold, Phase},
    policy::Reply,
    probe::ProbeKind,
    record::{FORGOTTEN, ServiceRecord},
    service::{RestartPolicy, ServiceSpec},
    timeline::What,
};

use super::world::{Answer, Build, Life, World, id, ms, project, secs, service};

/// A world in which everything of `specs` was started and ran for a while.
pub(super) fn up(specs: Vec<ServiceSpec>) -> World {
    let mut world = World::new(specs);
    world.say("start --all");
    world.run_for(secs(20));
    world
}

pub(super) fn shop() -> ProjectName {
    ProjectName::new("shop").unwrap()
}

/// The engine dies, time goes by, the next one opens the same.
pub(super) fn succeed(world: &mut World, away: std::time::Duration) {
    world.die();
    world.run_for(away);
    world.revive();
}

/// As [`succeed`], with the heritage altered before it is opened.
pub(super) fn succeed_with(world: &mut World, alter: impl FnOnce(&mut Heritage)) {
    world.die();
    world.run_for(secs(5));
    let spec = world.succession.projects[&shop()].clone();
    world.awake();
    let mut heritage = world.heritage(&shop());
    alter(&mut heritage);
    world.succeed(&spec, heritage);
}

fn found_as(heritage: &mut Heritage, name: &str, state: FoundState) {
    let found = heritage.found.iter_mut().find(|found| found.service == id(name).service).unwrap();
    found.state = state;
}

fn alter_record(heritage: &mut Heritage, name: &str, alter: impl FnOnce(&mut ServiceRecord)) {
    let line = heritage.records.get_mut(&id(name).service).unwrap();
    let mut record = ServiceRecord::parse(line).unwrap().unwrap();
    alter(&mut record);
    *line = record.to_line();
}

#[test]
fn what_runs_is_taken_over_as_the_same_run_with_its_uptime() {
    let mut world = up(vec![service("db"), service("web").needs("db")]);
    let before = world.view("web");
    succeed(&mut world, secs(90));
    let after = world.view("web");
    assert_eq!((&after.phase, after.run, after.pid, &after.why), (&before.phase, before.run, before.pid, &before.why));
    assert_eq!(after.uptime(world.now).unwrap().as_secs(), 109);
    world.assert_told("web", "taken over, pid 1002, after 1m 30s without an engine");
    world.run_for(secs(100));
    assert_eq!(world.spawned.len(), 2, "nothing was started");
}

#[test]
fn restarts_and_the_try_in_progress_are_counted_on() {
    let mut world = World::new(vec![service("web")]);
    world.behave("web", |b| b.lives = std::iter::repeat_n(Life::Ends(ms(20), Exit::Code(1)), 3).collect());
    world.say("start web");
    while world.spawned.len() < 4 {
        world.run_for(ms(100));
    }
    world.run_for(ms(10));
    assert_eq!(world.view("web").restarts, 3);
    succeed(&mut world, secs(1));
    assert_eq!((world.phase("web"), world.view("web").restarts), ("running", 3));
    let state = world.succession.state(&id("web")).unwrap();
    assert_eq!((state.attempt, state.streak), (3, 3));
    world.run_for(secs(20));
    world.assert_told("web", "stable again after 3 restarts");
    let state = world.succession.state(&id("web")).unwrap();
    assert_eq!((state.attempt, state.streak, state.restarts), (0, 0, 3));
}

#[test]
fn a_run_that_lasted_meanwhile_is_stable_at_once() {
    let mut world = World::new(vec![service("web")]);
    world.behave("web", |b| b.lives = [Life::Ends(ms(20), Exit::Code(1))].into());
    world.say("start web");
    world.run_for(secs(3));
    succeed(&mut world, secs(60));
    assert_eq!(world.succession.state(&id("web")).unwrap().streak, 0);
    world.assert_told("web", "stable again after 1 restart");
}

#[test]
fn what_crashed_meanwhile_is_restarted_and_the_wait_counts_from_the_crash() {
    let mut world = World::new(vec![service("web")]);
    world.say("start web");
    world.run_for(secs(1));
    world.die();
    world.crash("web", Exit::Code(3));
    world.run_for(secs(3600));
    world.revive();
    assert_eq!(world.spawns("web").last(), Some(&world.now), "an hour is longer than any wait");
    world.assert_told("web", "exited with code 3 after 999 ms");
    let told = world.entries.iter().find(|entry| matches!(entry.what, What::Exited { .. })).unwrap();
    assert_eq!(told.why, "nobody asked it to end; cas did not run then");
    world.run_for(ms(10));
    assert_eq!(world.view("web").why, "restarted by the healer after exit code 3, try 1");
    assert_eq!(world.view("web").restarts, 1);
}

#[test]
fn a_crash_just_before_the_next_engine_still_waits() {
    let mut world = World::new(vec![service("web").with(|s| s.backoff.base = secs(3600))]);
    world.say("start web");
    world.run_for(secs(1));
    world.die();
    world.crash("web", Exit::Code(3));
    let crashed = world.now;
    world.run_for(ms(100));
    world.revive();
    let Phase::BackingOff { since, attempt, .. } = world.view("web").phase else { panic!("it waits") };
    assert_eq!((since, attempt), (crashed, 1));
}

#[test]
fn a_wait_goes_on_where_it_was() {
    let mut world = World::new(vec![service("web").with(|s| s.backoff.base = secs(600))]);
    world.say("start web");
    world.run_for(secs(1));
    world.crash("web", Exit::Code(1));
    let before = world.view("web");
    let Phase::BackingOff { until, .. } = before.phase else { panic!("it waits") };
    succeed(&mut world, ms(10));
    assert_eq!((&world.view("web").phase, &world.view("web").why), (&before.phase, &before.why));
    world.run_for(secs(700));
    assert_eq!(world.spawns("web")[1], until);
    assert_eq!(world.view("web").restarts, 1);
}

#[test]
fn what_gave_up_ended_or_was_stopped_stays_so_although_it_starts_with_its_project() {
    let auto = |name| service(name).with(|s| s.autostart = true);
    let mut world = World::new(vec![auto("bad"), auto("job").with(|s| s.restart = RestartPolicy::No), auto("web")]);
    world.behave("bad", |b| b.then = Life::Ends(ms(20), Exit::Code(1)));
    world.behave("job", |b| b.then = Life::Ends(ms(20), Exit::Code(0)));
    world.run_for(secs(1));
    world.load("shop", world.succession.projects[&shop()].services.iter().map(|s| (**s).clone()).collect());
    world.run_for(secs(3600));
    world.say("stop web");
    world.run_for(secs(1));
    let spawned = world.spawned.len();
    let before: Vec<_> =
        ["bad", "job", "web"].map(|name| (world.view(name).phase.clone(), world.view(name).why.clone())).into();
    assert_eq!(before.iter().map(|(phase, _)| phase.label()).collect::<Vec<_>>(), ["gave-up", "completed", "stopped"]);
    succeed(&mut world, secs(60));
    world.run_for(secs(60));
    let after: Vec<_> =
        ["bad", "job", "web"].map(|name| (world.view(name).phase.clone(), world.view(name).why.clone())).into();
    assert_eq!((after, world.spawned.len()), (before, spawned));
}

#[test]
fn a_job_that_was_done_is_not_done_again_for_those_who_wait_for_it() {
    let done = cas::model::service::Condition::ServiceCompletedSuccessfully;
    let mut world =
        World::new(vec![service("job").with(|s| s.restart = RestartPolicy::No), service("web").needs_if("job", done)]);
    world.behave("job", |b| b.then = Life::Ends(ms(20), Exit::Code(0)));
    world.say("start web");
    world.run_for(secs(1));
    succeed(&mut world, secs(1));
    world.say("restart web");
    world.run_for(secs(1));
    assert_eq!((world.spawns("job").len(), world.spawns("web").len()), (1, 2));
}

#[test]
fn a_stop_goes_on_and_its_grace_is_what_remains() {
    let mut world = up(vec![service("web")]);
    world.behave("web", |b| b.ends_in = None);
    world.say("stop web --grace 10s");
    world.run_for(secs(4));
    succeed(&mut world, secs(2));
    assert_eq!(world.phase("web"), "stopping");
    assert_eq!(world.effects.iter().filter(|(_, e)| matches!(e, Effect::StopTree { .. })).count(), 2);
    world.run_for(ms(3900));
    assert_eq!(world.phase("web"), "stopping");
    world.run_for(ms(200));
    assert_eq!((world.phase("web"), world.alive()), ("stopped", 0));
    world.assert_told("web", "killed, still there after 10 s");
    world.run_for(secs(100));
    assert_eq!(world.spawns("web").len(), 1);
}

#[test]
fn a_stop_whose_grace_ended_meanwhile_is_finished_at_once() {
    let mut world = up(vec![service("web")]);
    world.behave("web", |b| b.ends_in = None);
    world.say("stop web --grace 1s");
    succeed(&mut world, secs(30));
    assert!(world.effects.iter().any(|(_, e)| matches!(e, Effect::EndTree { .. })));
    world.run_for(secs(1));
    assert_eq!((world.phase("web"), world.alive()), ("stopped", 0));
}

#[test]
fn a_stop_that_was_done_meanwhile_is_a_stop_and_no_crash() {
    let mut world = up(vec![service("web")]);
    world.say("stop web");
    succeed(&mut world, secs(30));
    assert_eq!((world.phase("web"), world.view("web").why.as_str()), ("stopped", "stopped by command line"));
    world.run_for(secs(100));
    assert_eq!(world.spawns("web").len(), 1);
}

#[test]
fn a_stop_that_waits_for_dependents_is_not_forgotten() {
    let mut world = up(vec![service("db"), service("web").needs("db")]);
    world.behave("web", |b| b.ends_in = Some(secs(3)));
    world.say("stop --all");
    assert_eq!((world.phase("web"), world.phase("db")), ("stopping", "running"));
    succeed(&mut world, secs(1));
    assert_eq!((world.phase("web"), world.phase("db")), ("stopping", "running"));
    assert!(world.view("db").why.contains("once web is gone"), "{}", world.view("db").why);
    world.run_for(secs(30));
    assert_eq!((world.phase("web"), world.phase("db"), world.alive()), ("stopped", "stopped", 0));
}

#[test]
fn a_restart_that_somebody_asked_for_is_finished_by_the_next_engine() {
    let mut world = up(vec![service("web")]);
    world.behave("web", |b| b.ends_in = Some(secs(1)));
    world.say("restart web");
    succeed(&mut world, secs(5));
    world.run_for(secs(1));
    assert_eq!((world.phase("web"), world.spawns("web").len()), ("running", 2));
    assert_eq!((world.view("web").why.as_str(), world.view("web").restarts), ("restarted by command line", 0));
}

#[test]
fn a_start_that_was_not_carried_out_is_carried_out_once() {
    for done in 0..8 {
        let mut world = World::new(vec![service("web")]);
        world.succession.dies_within = Some(done);
        let command = cas::model::command::Command::parse_line("start web").unwrap();
        let request = cas::model::policy::Request {
            id: cas::model::ids::RequestId(900),
            origin: cas::model::policy::Origin::Cli,
            command,
            consent: cas::model::policy::Consent::Ask,
            if_rev: None,
            asker: None,
        };
        world.put(request);
        world.run_for(secs(1));
        world.revive();
        world.run_for(secs(1));
        let kept = done > 0;
        let expected = if kept { ("running", 1) } else { ("stopped", 0) };
        assert_eq!((world.phase("web"), world.alive()), expected, "after {done} effects");
    }
}

#[test]
fn a_run_that_is_newer_than_its_record_is_the_restart_that_was_under_way() {
    let mut world = World::new(vec![service("web").with(|s| s.backoff.base = secs(600))]);
    world.say("start web");
    world.run_for(secs(1));
    world.crash("web", Exit::Code(1));
    let waiting = world.succession.records[&id("web")].clone();
    world.run_for(secs(700));
    let run = world.view("web").run;
    assert_eq!(world.view("web").restarts, 1);
    succeed_with(&mut world, |heritage| {
        heritage.records.insert(id("web").service, waiting);
    });
    let view = world.view("web");
    assert_eq!((view.phase.label(), view.run, view.restarts), ("running", run, 1));
    assert_eq!(view.why, "restarted by the healer after exit code 1, try 1");
}

#[test]
fn run_ids_go_on_beyond_any_that_is_known() {
    let mut world = up(vec![service("web")]);
    world.processes.values_mut().for_each(|process| process.main = false);
    succeed_with(&mut world, |heritage| {
        heritage.found[0].run = RunId(5_000_000_000);
        heritage.found[0].state =
            FoundState::Ended { exit: Exit::Code(1), at: heritage.last_alive.unwrap(), leftover: 0 };
    });
    assert_eq!(world.view("web").run, Some(RunId(5_000_000_001)));
}

#[test]
fn a_damaged_record_costs_the_counts_and_never_the_service() {
    let line = {
        let world = up(vec![service("web")]);
        world.succession.records[&id("web")].clone()
    };
    for cut in (0..line.len()).step_by(7) {
        let mut world = up(vec![service("web")]);
        let before = world.view("web");
        succeed_with(&mut world, |heritage| {
            heritage.records.insert(id("web").service, Arc::from(&line[..cut]));
        });
        let after = world.view("web");
        assert_eq!((after.run, after.pid, after.phase.label()), (before.run, before.pid, "running"), "{cut}");
        world.assert_told("web", "what an earlier cas noted of web cannot be used: damaged");
        world.say("stop web");
        world.run_for(secs(5));
        assert_eq!(world.alive(), 0);
    }
}

#[test]
fn a_record_of_a_newer_cas_is_left_aside_and_named() {
    let mut world = up(vec![service("web")]);
    succeed_with(&mut world, |heritage| {
        alter_record(heritage, "web", |record| record.v = 7);
    });
    assert_eq!(world.phase("web"), "running");
    world.assert_told("web", "written by a newer cas (format 7, this one knows up to 1)");
}

#[test]
fn without_any_record_what_runs_is_taken_over_and_what_ended_starts_as_its_file_says() {
    let mut world = up(vec![service("web"), service("db").with(|s| s.autostart = true), service("job")]);
    world.die();
    world.crash("db", Exit::Code(1));
    world.crash("job", Exit::Code(1));
    world.succession.records.clear();
    world.revive();
    assert_eq!((world.phase("web"), world.phase("db"), world.phase("job")), ("running", "starting", "stopped"));
    assert_eq!(world.view("web").why, "running when cas came back");
}

#[test]
fn what_cannot_be_told_from_a_stranger_is_never_touched_and_waits_for_a_person() {
    let mut world = up(vec![service("web").with(|s| s.autostart = true)]);
    world.processes.values_mut().for_each(|process| process.main = false);
    let before = world.effects.len();
    succeed_with(&mut world, |heritage| found_as(heritage, "web", FoundState::Unverifiable { pid: 4711 }));
    world.run_for(secs(100));
    let touched = world.effects[before..].iter().any(|(_, effect)| {
        matches!(
            effect,
            Effect::Spawn { .. }
                | Effect::StopTree { .. }
                | Effect::EndTree { .. }
                | Effect::Signal { .. }
                | Effect::Adopt { .. }
        )
    });
    assert!(!touched);
    let view = world.view("web");
    assert_eq!(view.phase.label(), "failed");
    assert!(view.why.starts_with("pid 4711 may be its earlier run or a stranger"), "{}", view.why);
    world.assert_told("web", "pid 4711 may be an earlier run or a stranger");
    assert!(matches!(world.say("start web"), Reply::Accepted { .. }));
    world.run_for(secs(1));
    assert_eq!(world.phase("web"), "running");
}

#[test]
fn what_is_left_in_a_slot_whose_records_are_damaged_is_never_touched_either() {
    let mut world = up(vec![service("web").with(|s| s.autostart = true)]);
    world.processes.values_mut().for_each(|process| process.main = false);
    let spawns = world.spawns("web").len();
    succeed_with(&mut world, |heritage| {
        found_as(heritage, "web", FoundState::Unverifiable { pid: 4711 });
        // Which run it is nobody knows: the state file cannot be read.
        heritage.found.iter_mut().for_each(|found| found.run = RunId(0));
    });
    world.run_for(secs(100));
    assert_eq!(world.spawns("web").len(), spawns, "its shim would refuse it, again and again");
    let view = world.view("web");
    assert!(view.why.starts_with("pid 4711 may be its earlier run or a stranger"), "{}", view.why);
}

#[test]
fn what_a_dead_main_process_left_is_ended_before_the_next_run() {
    let mut world = up(vec![service("web")]);
    world.die();
    world.processes.values_mut().for_each(|process| process.leftover = 3);
    world.crash("web", Exit::Code(1));
    world.run_for(secs(1));
    world.revive();
    assert_eq!((world.phase("web"), world.spawns("web").len()), ("stopping", 1));
    world.run_for(secs(5));
    assert_eq!((world.phase("web"), world.spawns("web").len(), world.alive()), ("running", 2, 1));
}

#[test]
fn what_an_earlier_engine_was_about_to_end_is_ended_although_its_file_is_silent_about_it() {
    let mut world = up(vec![service("web"), service("old")]);
    world.die();
    world.succession.projects.insert(shop(), project("shop", vec![service("web")]));
    world.succession.records.insert(id("old"), FORGOTTEN.into());
    world.revive();
    world.assert_told("old", "stopping with SIGTERM");
    world.load("shop", vec![service("web"), service("old").with(|s| s.autostart = true)]);
    assert_eq!(world.spawns("old").len(), 1, "what comes back waits until what was left of it is gone");
    world.run_for(secs(20));
    world.assert_told("old", "stopped, nothing is left");
    assert_eq!((world.phase("old"), world.spawns("old").len(), world.alive()), ("running", 2, 2));
}

#[test]
fn an_end_that_was_told_before_a_service_left_its_file_is_not_told_again_when_it_is_back() {
    let mut world = up(vec![service("web"), service("job")]);
    world.say("stop job");
    world.run_for(secs(1));
    world.load("shop", vec![service("web")]);
    world.load("shop", vec![service("web"), service("job").needs("web").with(|s| s.autostart = true)]);
    world.say("stop web");
    world.run_for(secs(1));
    succeed(&mut world, secs(5));
    let ends = world.story("job").iter().filter(|line| line.starts_with("ended")).count();
    assert_eq!(ends, 1);
}

#[test]
fn a_startup_probe_that_passed_does_not_gate_again() {
    let slow = service("web").probe(ProbeKind::Startup, |_| {}).probe(ProbeKind::Liveness, |_| {});
    let mut world = up(vec![slow]);
    assert_eq!(world.view("web").health.label(), "healthy");
    world.behave("web", |b| {
        b.answers.insert(ProbeKind::Startup, Answer::Bad);
    });
    succeed(&mut world, secs(5));
    assert_eq!(world.view("web").health.label(), "healthy");
    world.run_for(secs(60));
    assert_eq!((world.view("web").health.label(), world.spawns("web").len()), ("healthy", 1));
    let ready = world.story("web").iter().filter(|line| line.starts_with("ready")).count();
    assert_eq!(ready, 1, "that it is ready is told once in a run");
}

#[test]
fn probes_begin_anew_and_nothing_is_concluded_from_the_time_without_an_engine() {
    let mut world = up(vec![service("web").probe(ProbeKind::Liveness, |probe| probe.interval = secs(2))]);
    world.behave("web", |b| {
        b.answers.insert(ProbeKind::Liveness, Answer::Bad);
    });
    world.run_for(ms(3500));
    succeed(&mut world, secs(60));
    assert_eq!(world.view("web").health.label(), "starting");
    assert_eq!(world.view("web").probes[0].failures, 0);
    world.run_for(secs(20));
    world.assert_told("web", "liveness probe failed");
}

#[test]
fn a_ready_line_that_was_written_meanwhile_counts() {
    let logs = cas::model::service::Condition::ServiceLogReady;
    let mut world = World::new(vec![
        service("db").with(|s| s.ready_log_line = Some("ready".to_owned())),
        service("web").needs_if("db", logs),
    ]);
    world.behave("db", |b| b.logs = vec![(secs(5), None)]);
    world.say("start web");
    world.run_for(secs(1));
    assert_eq!(world.phase("web"), "waiting");
    succeed(&mut world, secs(30));
    world.run_for(secs(1));
    assert_eq!(world.phase("web"), "running");
    assert_eq!(world.spawns("db").len(), 1);
}

#[test]
fn who_waited_for_a_dependency_or_a_port_waits_on_and_says_so_once() {
    let mut world = World::new(vec![service("db").port(80), service("web").needs("db")]);
    world.held_ports.insert(80, 9);
    world.say("start web");
    world.run_for(secs(1));
    let told = world.entries.len();
    succeed(&mut world, secs(5));
    assert_eq!((world.phase("db"), world.phase("web")), ("blocked", "waiting"));
    let Phase::Waiting { ref holds, .. } = world.view("web").phase else { panic!("it waits") };
    assert!(matches!(&holds[..], [Hold::Dependency { .. }]));
    assert_eq!(world.entries.len(), told + 1, "only that the project was opened: {:?}", world.entries.last());
    world.held_ports.clear();
    world.run_for(secs(5));
    assert_eq!((world.phase("db"), world.phase("web")), ("running", "running"));
}

#[test]
fn what_could_not_be_told_from_a_stranger_is_taken_over_by_the_next_engine_that_can() {
    let mut world = up(vec![service("web")]);
    succeed_with(&mut world, |heritage| found_as(heritage, "web", FoundState::Unverifiable { pid: 4711 }));
    world.run_for(secs(5));
    assert_eq!(world.phase("web"), "failed");
    succeed(&mut world, secs(5));
    assert_eq!((world.phase("web"), world.spawns("web").len(), world.alive()), ("running", 1, 1));
    world.assert_told("web", "taken over");
}

#[test]
fn what_was_ended_with_the_machine_or_the_session_begins_again_even_in_the_same_boot() {
    let mut world = up(vec![
        service("web").with(|s| s.restart = RestartPolicy::Always),
        service("once").with(|s| s.restart = RestartPolicy::No),
        service("down").with(|s| s.restart = RestartPolicy::UnlessStopped),
    ]);
    world.say("stop down");
    world.run_for(secs(1));
    world.tell(Event::HaltAsked);
    world.run_for(secs(20));
    assert_eq!((world.quits, world.alive()), (1, 0), "all of it was ended");
    world.assert_told("web", "stopping with SIGTERM");
    world.forbidden.clear();
    let told = world.entries.len();
    succeed(&mut world, secs(60));
    world.run_for(secs(20));
    assert_eq!(["web", "once", "down"].map(|name| world.phase(name)), ["running", "stopped", "stopped"]);
    assert_eq!(world.view("web").restarts, 0);
    assert!(
        world.view("web").why.starts_with("started again after the end of the machine"),
        "{}",
        world.view("web").why
    );
    let crashed = world.entries[told..].iter().any(|entry| matches!(entry.what, What::Exited { .. }));
    assert!(!crashed, "its end was told by who ended it");
}

#[test]
fn a_halt_that_is_cut_short_leaves_what_runs_to_be_taken_over_and_the_rest_to_begin_again() {
    let mut world = up(vec![
        service("slow").with(|s| s.restart = RestartPolicy::Always),
        service("quick").with(|s| s.restart = RestartPolicy::Always),
    ]);
    world.behave("slow", |b| b.ends_in = Some(secs(8)));
    world.tell(Event::HaltAsked);
    world.run_for(secs(1));
    world.forbidden.clear();
    succeed(&mut world, secs(1));
    world.run_for(secs(20));
    assert_eq!((world.phase("slow"), world.phase("quick"), world.alive()), ("running", "running", 2));
}

#[test]
fn why_a_service_is_down_does_not_grow_with_every_restart_of_the_machine() {
    let mut world = World::new(vec![service("idle")]);
    for _ in 0..5 {
        world.tell(Event::HaltAsked);
        world.run_for(secs(20));
        world.forbidden.clear();
        succeed(&mut world, secs(60));
    }
    let why = world.view("idle").why.clone();
    assert!(why.starts_with("not started since the end of the machine"), "{why}");
    assert_eq!(why.matches("before:").count(), 1, "{why}");
}
