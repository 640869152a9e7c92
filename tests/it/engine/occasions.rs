//! What besides a person's word makes a service run: profiles, copies, clocks, files.

use std::time::Duration;

use cas::{
    engine::Settings,
    model::{
        effect::Effect,
        event::{Change, Event},
        ids::ServiceName,
        occasion::{OnChange, Profiles, Replica, Watch},
        phase::{Exit, Phase},
        policy::Reply,
        probe::ProbeOutcome,
        schedule::{OnOverlap, Pace, Schedule, Zone},
        service::{CommandLine, RestartPolicy, ServiceSpec},
        signal::Signal,
        time::Timestamp,
        timeline::{Severity, What},
    },
};

use super::world::{Build, Life, World, id, ms, secs, service};

fn mins(n: u64) -> Duration {
    Duration::from_mins(n)
}

fn every(pause: Duration) -> Schedule {
    Schedule { pace: Pace::Every(pause), zone: Zone::UTC, on_overlap: OnOverlap::Skip, catch_up: false }
}

fn cron(fields: &str) -> Schedule {
    Schedule { pace: Pace::Cron(fields.to_owned()), ..every(mins(1)) }
}

/// A task with a clock.
fn task(name: &str, schedule: Schedule) -> ServiceSpec {
    service(name).with(|spec| {
        spec.restart = RestartPolicy::No;
        spec.occasions.schedule = Some(schedule);
    })
}

/// A world in which `job` takes `takes` and ends so.
fn world_of(schedule: Schedule, takes: Duration, exit: Exit) -> World {
    let mut world = World::new(vec![task("job", schedule)]);
    world.behave("job", |job| job.then = Life::Ends(takes, exit));
    world
}

fn next_at(world: &mut World) -> Option<Timestamp> {
    world.view("job").occasions.next_at
}

#[test]
fn a_clock_starts_a_task_and_says_when_it_is_next() {
    let mut world = world_of(every(mins(15)), secs(2), Exit::Code(0));
    let opened = world.now;
    assert_eq!(world.view("job").why, "not started yet: its schedule starts it; next at 2023-11-14 22:28:20 UTC");
    world.run_for(mins(14));
    assert!(world.spawns("job").is_empty(), "it is not started by the opening");
    world.run_for(mins(2));
    assert_eq!(world.spawns("job"), [opened.plus(mins(15))]);
    let view = world.view("job");
    assert_eq!(view.phase.label(), "completed");
    assert_eq!(view.why, "done: ran at 2023-11-14 22:28:20 UTC; next at 2023-11-14 22:43:20 UTC");
    assert_eq!(view.occasions.next_at, Some(opened.plus(mins(30))));
    assert_eq!(view.occasions.schedule.as_deref(), Some("every 15m"));
    world.run_for(mins(60));
    assert_eq!(world.spawns("job").len(), 5);
}

#[test]
fn cron_expressions_are_followed_in_their_zone() {
    let zone = Zone::named("Europe/Berlin").unwrap();
    let mut world = world_of(Schedule { zone, ..cron("0 2 * * *") }, secs(2), Exit::Code(0));
    assert!(world.view("job").why.ends_with("next at 2023-11-15 02:00:00 CET"), "{}", world.view("job").why);
    world.run_for(Duration::from_hours(48));
    // 02:00 in Berlin is 01:00 UTC, 2 h 46 min 40 s after the world begins.
    let first = Timestamp { mono_us: 1_000_000, wall_us: 1_700_000_000_000_000 }.plus(secs(10_000));
    assert_eq!(world.spawns("job"), [first, first.plus(Duration::from_hours(24))]);
}

#[test]
fn a_time_at_which_it_still_runs_is_left_out_and_told_once_a_run() {
    let mut world = world_of(every(mins(1)), mins(10), Exit::Code(0));
    world.run_for(mins(9));
    assert_eq!(world.spawns("job").len(), 1);
    let left_out =
        || |entry: &&std::sync::Arc<cas::model::timeline::Entry>| matches!(entry.what, What::ScheduleSkipped { .. });
    assert_eq!(world.entries.iter().filter(left_out()).count(), 1);
    let entry = world.entries.iter().find(left_out()).unwrap();
    assert_eq!((entry.why.as_str(), entry.severity()), ("it is still running", Severity::Warning));
    world.run_for(mins(4));
    assert_eq!(world.spawns("job").len(), 2, "the next free time is taken");
}

#[test]
fn where_it_is_told_so_a_run_gives_way_to_the_next() {
    let schedule = Schedule { on_overlap: OnOverlap::Restart, ..every(mins(1)) };
    let mut world = world_of(schedule, mins(10), Exit::Code(0));
    world.run_for(mins(3));
    world.run_for(secs(1));
    assert_eq!(world.spawns("job").len(), 3);
    assert_eq!(world.view("job").why, "restarted by its schedule (every 1m), as its time came again");
}

#[test]
fn a_failure_is_a_failure_and_the_next_time_comes_all_the_same() {
    let mut world = world_of(every(mins(15)), secs(2), Exit::Code(3));
    world.run_for(mins(16));
    let view = world.view("job");
    assert_eq!(view.phase.label(), "failed");
    assert!(view.why.starts_with("policy no: ended with exit code 3, not restarted; next at "), "{}", view.why);
    world.assert_told("job", "exited with code 3");
    world.run_for(mins(15));
    assert_eq!(world.spawns("job").len(), 2);
}

#[test]
fn a_failure_is_tried_again_where_its_policy_says_so() {
    let spec = task("job", every(mins(15))).with(|spec| {
        spec.restart = RestartPolicy::OnFailure { max_retries: Some(2) };
    });
    let mut world = World::new(vec![spec]);
    world.behave("job", |job| job.then = Life::Ends(secs(1), Exit::Code(3)));
    world.run_for(mins(16));
    assert_eq!(world.spawns("job").len(), 3, "once by its clock, twice by the healer");
    world.run_for(mins(15));
    assert_eq!(world.spawns("job").len(), 6, "the clock begins the count anew");
}

#[test]
fn the_clock_runs_also_while_the_autopilot_is_off() {
    let mut world = world_of(every(mins(15)), secs(2), Exit::Code(0));
    world.say("autopilot off");
    world.run_for(mins(16));
    assert_eq!(world.spawns("job").len(), 1);
}

#[test]
fn a_stop_suspends_the_clock_until_a_start_which_runs_it_at_once() {
    let mut world = world_of(every(mins(15)), secs(2), Exit::Code(0));
    assert!(matches!(world.say("stop job"), Reply::Accepted { .. }));
    assert_eq!(world.view("job").why, "stopped by command line; its schedule is suspended until it is started");
    assert_eq!(next_at(&mut world), None);
    assert!(matches!(world.say("stop job"), Reply::Unchanged { .. }), "it is suspended already");
    world.run_for(mins(60));
    assert!(world.spawns("job").is_empty());
    assert!(matches!(world.say("start job"), Reply::Accepted { .. }));
    world.run_for(secs(3));
    assert_eq!(world.spawns("job").len(), 1);
    let started = world.spawns("job")[0];
    assert_eq!(next_at(&mut world), Some(started.plus(mins(15))));
    world.run_for(mins(15));
    assert_eq!(world.spawns("job").len(), 2);
}

#[test]
fn a_time_that_was_slept_through_is_told_and_left_out() {
    let mut world = world_of(cron("0 * * * *"), secs(2), Exit::Code(0));
    world.stall(Duration::from_hours(3));
    world.run_for(secs(10));
    assert!(world.spawns("job").is_empty());
    world.assert_told("job", "missed 2023-11-14 23:00:00 UTC");
    let missed = world.entries.iter().filter(|entry| matches!(entry.what, What::ScheduleMissed { .. })).count();
    assert_eq!(missed, 1, "three times that passed are one");
    world.run_for(mins(60));
    assert_eq!(world.spawns("job").len(), 1);
}

#[test]
fn it_is_made_up_for_once_where_that_is_wanted() {
    let schedule = Schedule { catch_up: true, ..cron("0 * * * *") };
    let mut world = world_of(schedule, secs(2), Exit::Code(0));
    world.stall(Duration::from_hours(3));
    world.run_for(secs(10));
    assert_eq!(world.spawns("job").len(), 1);
    world.assert_told("job", "made up for 2023-11-14 23:00:00 UTC");
    world.run_for(mins(60));
    assert_eq!(world.spawns("job").len(), 2, "and then as ever");
}

/// The wall clock is set.
fn set_clock(world: &mut World, by: i64) {
    world.now.wall_us += by * 1_000_000;
    world.tell(Event::RegistryRead(Vec::new()));
}

#[test]
fn a_clock_that_is_set_moves_the_times_of_cron_and_runs_none_twice() {
    let mut world = world_of(cron("0 * * * *"), secs(2), Exit::Code(0));
    // 22:13:20 → 22:43:20: 23:00 is nearer.
    set_clock(&mut world, 30 * 60);
    world.run_for(mins(17));
    assert_eq!(world.spawns("job").len(), 1);
    // 23:00:20 → 22:40:20: 23:00 has been.
    set_clock(&mut world, -20 * 60);
    world.run_for(mins(30));
    assert_eq!(world.spawns("job").len(), 1, "23:00 comes a second time");
    world.run_for(mins(60));
    assert_eq!(world.spawns("job").len(), 2);
    // Past the next one.
    set_clock(&mut world, 2 * 3600);
    world.run_for(secs(5));
    assert_eq!(world.spawns("job").len(), 2);
    world.assert_told("job", "missed");
}

#[test]
fn a_pause_is_no_matter_of_the_wall_clock() {
    let mut world = world_of(every(mins(15)), secs(2), Exit::Code(0));
    set_clock(&mut world, 3600);
    world.run_for(mins(14));
    assert!(world.spawns("job").is_empty());
    world.run_for(mins(2));
    assert_eq!(world.spawns("job").len(), 1);
}

#[test]
fn the_next_engine_goes_on_with_the_clock_of_the_last() {
    for (away, catch_up, spawned, told) in [
        (mins(6), false, 1, None),
        (mins(20), false, 0, Some("missed 2023-11-14 22:28:20 UTC")),
        (mins(20), true, 1, Some("made up for 2023-11-14 22:28:20 UTC")),
    ] {
        let mut world = world_of(Schedule { catch_up, ..every(mins(15)) }, secs(2), Exit::Code(0));
        world.run_for(mins(8));
        world.die();
        world.run_for(away);
        world.revive();
        world.run_for(secs(90));
        assert_eq!(world.spawns("job").len(), spawned, "away for {away:?}");
        if let Some(told) = told {
            world.assert_told("job", told);
        }
    }
}

#[test]
fn a_clock_that_was_suspended_stays_so_for_the_next_engine() {
    let mut world = world_of(every(mins(15)), secs(2), Exit::Code(0));
    world.say("stop job");
    world.die();
    world.revive();
    world.run_for(mins(60));
    assert!(world.spawns("job").is_empty());
    assert_eq!(next_at(&mut world), None);
}

#[test]
fn a_clock_that_its_file_changes_is_reckoned_anew() {
    let mut world = world_of(every(mins(15)), secs(2), Exit::Code(0));
    world.run_for(mins(10));
    world.load("shop", vec![task("job", every(mins(2)))]);
    let now = world.now;
    assert_eq!(next_at(&mut world), Some(now.plus(mins(2))));
    world.run_for(mins(3));
    assert_eq!(world.spawns("job").len(), 1);
    world.load("shop", vec![service("job")]);
    world.run_for(mins(30));
    assert_eq!((next_at(&mut world), world.spawns("job").len()), (None, 1));
}

#[test]
fn a_clock_starts_what_its_task_needs_save_what_a_person_stopped() {
    let specs = || vec![service("db"), task("job", every(mins(15))).needs("db")];
    let mut world = World::new(specs());
    world.behave("job", |job| job.then = Life::Ends(secs(1), Exit::Code(0)));
    world.run_for(mins(16));
    assert_eq!((world.phase("db"), world.spawns("job").len()), ("running", 1));
    let mut world = World::new(specs());
    world.say("start db");
    world.run_for(secs(1));
    world.say("stop db");
    world.run_for(mins(16));
    assert_eq!((world.phase("db"), world.phase("job")), ("stopped", "waiting"));
}

#[test]
fn a_project_that_is_closed_has_no_clocks() {
    let mut world = world_of(every(mins(15)), secs(2), Exit::Code(0));
    world.say_as(cas::model::policy::Origin::System, "close shop", cas::model::policy::Consent::Ask);
    world.run_for(mins(60));
    assert!(world.spawns("job").is_empty());
}

fn of_profile(name: &str, active: &[&str]) -> ServiceSpec {
    let active: Vec<String> = active.iter().map(|name| (*name).to_owned()).collect();
    service(name).with(|spec| spec.occasions.profiles = Profiles::among(vec!["dev".to_owned()], &active))
}

#[test]
fn all_are_those_that_neither_a_clock_nor_a_profile_that_is_not_active_starts() {
    let mut world = World::new(vec![service("web"), of_profile("mail", &[]), task("job", every(mins(15)))]);
    assert_eq!(world.view("mail").why, "not started yet: of the profile dev, which cas up --profile starts");
    world.say("start --all");
    world.run_for(secs(1));
    assert_eq!((world.phase("web"), world.phase("mail"), world.phase("job")), ("running", "stopped", "stopped"));
    world.say("start mail");
    world.run_for(secs(1));
    assert_eq!(world.phase("mail"), "running", "who names it starts it anyway");
    let mut world = World::new(vec![of_profile("mail", &["dev"])]);
    world.say("start 'shop/*'");
    world.run_for(secs(1));
    assert_eq!(world.phase("mail"), "running");
}

#[test]
fn what_needs_a_service_of_a_profile_starts_it() {
    let mut world = World::new(vec![of_profile("mail", &[]), service("web").needs("mail")]);
    world.say("start web");
    world.run_for(secs(1));
    assert_eq!((world.phase("web"), world.phase("mail")), ("running", "running"));
}

fn copies(count: u32) -> Vec<ServiceSpec> {
    let of = ServiceName::new("web").unwrap();
    let copy = |number| {
        service(&format!("web-{number}"))
            .with(|spec| spec.occasions.replica = Some(Replica { of: of.clone(), number, count }))
    };
    (1..=count).map(copy).chain([service("db")]).collect()
}

#[test]
fn the_name_of_several_copies_means_all_of_them() {
    let mut world = World::new(copies(3));
    let Reply::Accepted { note } = world.say("start web") else { panic!("it is refused") };
    assert_eq!(note, "start 3 services");
    world.run_for(secs(1));
    assert_eq!((world.phase("web-1"), world.phase("web-3"), world.phase("db")), ("running", "running", "stopped"));
    world.say("restart web");
    world.run_for(secs(1));
    assert_eq!((world.spawns("web-1").len(), world.spawns("web-3").len()), (2, 2));
    world.say("stop web-2");
    world.run_for(secs(1));
    assert_eq!((world.phase("web-1"), world.phase("web-2")), ("running", "stopped"));
    world.say("stop shop/web");
    world.run_for(secs(1));
    assert_eq!((world.phase("web-1"), world.phase("web-3")), ("stopped", "stopped"));
}

#[test]
fn copies_of_one_name_in_two_projects_are_ambiguous() {
    let mut world = World::empty(Settings { seed: 7, ..Settings::default() });
    world.load("shop", copies(2));
    let of = ServiceName::new("web").unwrap();
    let other = |number| {
        service("web-1").with(|spec| {
            spec.id = id(&format!("bank/web-{number}"));
            spec.occasions.replica = Some(Replica { of: of.clone(), number, count: 2 });
        })
    };
    world.load("bank", vec![other(1), other(2)]);
    let Reply::Refused { reason, .. } = world.say("start web") else { panic!("it is not refused") };
    assert!(reason.contains("ambiguous"), "{reason}");
    assert!(matches!(world.say("start bank/web"), Reply::Accepted { .. }));
}

fn watching(action: OnChange) -> ServiceSpec {
    service("web").with(|spec| {
        let paths = vec!["src".to_owned()];
        spec.occasions.watch = Some(Watch { paths, ignore: Vec::new(), debounce: ms(300), action });
    })
}

fn changed(world: &mut World, first: &str, more: usize) {
    world.tell(Event::FilesChanged { service: id("web"), change: Change { first: first.to_owned(), more } });
}

#[test]
fn a_service_is_restarted_for_its_files_and_says_for_which() {
    let mut world = World::new(vec![watching(OnChange::Restart)]);
    world.say("start web");
    world.run_for(secs(20));
    changed(&mut world, "src/app.py", 3);
    world.run_for(secs(1));
    assert_eq!(world.spawns("web").len(), 2);
    let view = world.view("web");
    assert_eq!(view.why, "restarted because src/app.py and 3 more files changed");
    assert_eq!(view.restarts, 0, "it is no restart of the healer's");
    changed(&mut world, "src/app.py", 0);
    world.run_for(secs(1));
    assert_eq!(world.view("web").why, "restarted because src/app.py changed");
}

#[test]
fn what_is_down_by_hand_or_has_never_run_stays_down_whatever_its_files_do() {
    let mut world = World::new(vec![watching(OnChange::Restart)]);
    changed(&mut world, "src/app.py", 0);
    world.run_for(secs(1));
    assert!(world.spawns("web").is_empty());
    world.say("start web");
    world.run_for(secs(1));
    world.say("stop web");
    changed(&mut world, "src/app.py", 0);
    world.run_for(secs(5));
    assert_eq!((world.phase("web"), world.spawns("web").len()), ("stopped", 1));
    changed(&mut world, "src/app.py", 0);
    world.run_for(secs(5));
    assert_eq!(world.spawns("web").len(), 1);
}

#[test]
fn a_stop_is_also_about_what_its_files_would_start() {
    let mut world = World::new(vec![watching(OnChange::Restart).with(|spec| spec.restart = RestartPolicy::No)]);
    world.behave("web", |web| web.then = Life::Ends(ms(10), Exit::Code(1)));
    world.say("start web");
    world.run_for(secs(1));
    assert_eq!(world.phase("web"), "failed");
    assert!(matches!(world.say("stop web"), Reply::Accepted { .. }));
    assert_eq!(world.view("web").why, "stopped by command line");
    changed(&mut world, "src/app.py", 0);
    world.run_for(secs(5));
    assert_eq!(world.spawns("web").len(), 1);
    assert!(matches!(world.say("stop web"), Reply::Unchanged { .. }));
}

#[test]
fn what_has_crashed_for_its_files_is_started_when_they_change() {
    let mut world = World::new(vec![watching(OnChange::Restart)]);
    world.behave("web", |web| web.then = Life::Ends(ms(10), Exit::Code(1)));
    world.say("start web");
    world.run_for(mins(10));
    assert_eq!(world.phase("web"), "gave-up");
    world.behave("web", |web| web.then = Life::Forever);
    changed(&mut world, "src/app.py", 0);
    world.run_for(secs(1));
    let view = world.view("web");
    assert_eq!((view.phase.label(), view.why.as_str()), ("running", "started because src/app.py changed"));
    world.crash("web", Exit::Code(1));
    assert!(matches!(world.view("web").phase, Phase::BackingOff { .. }));
    changed(&mut world, "src/app.py", 0);
    world.run_for(ms(10));
    assert_eq!(world.phase("web"), "running", "nobody waits for the backoff");
}

#[test]
fn what_writes_the_files_that_it_is_restarted_for_does_not_go_round_for_ever() {
    let mut world = World::new(vec![watching(OnChange::Restart)]);
    world.say("start web");
    world.run_for(secs(1));
    for _ in 0..50 {
        changed(&mut world, "src/made.txt", 0);
        world.run_for(ms(500));
    }
    assert_eq!(world.spawns("web").len(), 11);
    let told: Vec<String> = world.story("web").into_iter().filter(|line| line.contains("watch.ignore")).collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("src/made.txt"), "{told:?}");
    world.run_for(mins(1));
    changed(&mut world, "src/made.txt", 0);
    world.run_for(secs(1));
    assert_eq!(world.spawns("web").len(), 12);
}

#[test]
fn a_signal_may_be_all_that_a_change_does() {
    let mut world = World::new(vec![watching(OnChange::Signal(Signal::Hup))]);
    world.say("start web");
    world.run_for(secs(1));
    changed(&mut world, "src/app.py", 0);
    assert_eq!(world.spawns("web").len(), 1);
    let sent = |(_, effect): &&(Timestamp, Effect)| matches!(effect, Effect::Signal { signal: Signal::Hup, .. });
    assert_eq!(world.effects.iter().filter(sent).count(), 1);
    let entry = world.entries.iter().find(|entry| matches!(entry.what, What::Signalled { .. })).unwrap();
    assert_eq!(entry.why, "src/app.py changed");
}

#[test]
fn a_command_runs_beside_it_once_at_a_time_and_what_changes_meanwhile_is_not_lost() {
    let make = CommandLine::Shell("make".to_owned());
    let mut world = World::new(vec![watching(OnChange::Run(make))]);
    world.say("start web");
    world.run_for(secs(1));
    let run = world.view("web").run.unwrap();
    let begun =
        |world: &World| world.effects.iter().filter(|(_, effect)| matches!(effect, Effect::RunBeside { .. })).count();
    changed(&mut world, "src/a", 0);
    changed(&mut world, "src/b", 0);
    changed(&mut world, "src/c", 0);
    assert_eq!(begun(&world), 1);
    world.tell(Event::RanBeside { run, outcome: ProbeOutcome::Failed("exit code 2: no rule".to_owned()) });
    assert_eq!(begun(&world), 2);
    world.assert_told("web", "make failed: exit code 2: no rule");
    assert_eq!(world.entries.last().unwrap().why, "src/b and 1 more file changed");
    world.tell(Event::RanBeside { run, outcome: ProbeOutcome::Passed });
    assert_eq!((begun(&world), world.spawns("web").len()), (2, 1));
    world.assert_told("web", "make ended well");
}
