//! Runs that outlive who made them, and shims that do not outlive their runs.

use std::time::Duration;

use cas::model::{
    effect::Effect,
    heritage::FoundState,
    ids::RunId,
    phase::Exit,
    probe::Check,
    service::{CommandLine, ServiceSpec},
    signal::Signal,
};
use rustix::process::Signal as Raw;

use super::rig::{Rig, clear, is_living, kill, living_with, parent_of, shims_below, state_of};
use crate::support::eventually_async;

/// Says numbers without end, one a line.
const COUNTS: &str = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.002; done";

fn shell(rig: &Rig, line: &str) -> ServiceSpec {
    rig.spec("web", CommandLine::Shell(line.to_owned()))
}

/// The numbers that were said, in the order in which they came; each exactly once and none left out.
fn assert_counted(rig: &Rig) -> usize {
    let texts = rig.texts();
    for (expected, text) in (1_usize..).zip(&texts) {
        assert_eq!(*text, expected.to_string());
    }
    texts.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_without_its_world_and_the_next_one_takes_it_over() {
    let mut rig = Rig::new();
    let run = rig.start("echo before; while [ ! -e gate ]; do sleep 0.01; done; echo after; exit 7");
    let pid = rig.spawned(run).await;
    rig.line("before").await;
    let mut rig = Rig::within(rig.abandon());
    assert!(is_living(pid));
    let found = rig.survey().await;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].service.as_str(), found[0].run), ("web", run));
    let FoundState::Running { pid: found_pid, since } = found[0].state.clone() else { panic!("{found:?}") };
    assert_eq!(found_pid, pid);
    let now = cas::world::clock::now();
    assert!(now.since(since) < Duration::from_mins(1) && since.mono_us <= now.mono_us, "{since:?}, {now:?}");
    assert!((now.wall_us - since.wall_us).abs() < 60_000_000);
    let spec = shell(&rig, "as it was");
    rig.adopt(run, spec);
    eventually_async("it is known again", || async { rig.world.runs() == [(run, pid)] }).await;
    std::fs::write(rig.path().join("gate"), "").unwrap();
    let ended = rig.exited(run).await;
    assert_eq!((ended.exit, ended.leftover), (Exit::Code(7), 0));
    assert_eq!(ended.last_words.last().map(String::as_str), Some("after"));
    assert_eq!(rig.world.census().adopted, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_nobody_saw_is_told_to_the_next() {
    let mut rig = Rig::new();
    let run = rig.start("while [ ! -e gate ]; do sleep 0.01; done; echo last; exit 9");
    let pid = rig.spawned(run).await;
    let directory = rig.abandon();
    std::fs::write(directory.path().join("gate"), "").unwrap();
    eventually_async("it ended", || async { !is_living(pid) }).await;
    let mut rig = Rig::within(directory);
    let found = rig.survey().await;
    assert!(matches!(&found[0].state, FoundState::Ended { exit: Exit::Code(9), leftover: 0, .. }), "{found:?}");
    rig.line("last").await;
    let spec = shell(&rig, "as it was");
    rig.adopt(run, spec);
    assert_eq!(rig.exited(run).await.exit, Exit::Code(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_taken_over_is_stopped_whole() {
    let mut rig = Rig::new();
    let run = rig.start(
        "setsid sh -c 'trap \"\" TERM; echo one $$; while :; do sleep 0.05; done' & \
         (setsid setsid -f sh -c 'echo two $$; exec sleep 1000') & echo main; trap '' TERM; while :; do sleep 0.05; done",
    );
    let pid = rig.spawned(run).await;
    let (one, two) = (rig.number_after("one ").await, rig.number_after("two ").await);
    rig.line("main").await;
    kill(pid, Raw::STOP);
    let mut rig = Rig::within(rig.abandon());
    assert_eq!(rig.survey().await.len(), 1);
    let spec = shell(&rig, "as it was");
    rig.adopt(run, spec);
    rig.world.perform(Effect::StopTree { run, signal: Signal::Term });
    assert!(rig.end(run, Duration::from_millis(50)).await.is_empty());
    assert_eq!(rig.exited(run).await.exit, Exit::Signal(9));
    assert!(![pid, one, two].into_iter().any(is_living));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_shim_is_replaced_and_its_run_does_not_notice() {
    let mut rig = Rig::new();
    let run = rig.start(COUNTS);
    let pid = rig.spawned(run).await;
    rig.line("20").await;
    for round in 1..=5 {
        let shim = rig.shim("web").expect("it has one");
        kill(shim, Raw::KILL);
        assert_eq!(rig.shim_replaced().await, "killed by SIGKILL");
        assert!(is_living(pid), "round {round}");
        let said = rig.count_lines();
        eventually_async("it is heard", || async { rig.count_lines() > said + 20 }).await;
        assert_eq!(shims_below(&rig.slot("web")).len(), 1);
    }
    assert_eq!(rig.world.runs(), [(run, pid)]);
    rig.world.perform(Effect::StopTree { run, signal: Signal::Term });
    assert_eq!(rig.exited(run).await.exit, Exit::Signal(15));
    assert!(assert_counted(&rig) > 120);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_detached_itself_below_a_dead_shim_is_ended_too() {
    let mut rig = Rig::new();
    let run = rig.start(
        "setsid -f sh -c 'trap \"\" TERM; echo one $$; while :; do sleep 0.05; done'; \
         while [ ! -e gate ]; do sleep 0.01; done; setsid -f sh -c 'echo two $$; exec sleep 1000'; sleep 1000",
    );
    rig.spawned(run).await;
    let one = rig.number_after("one ").await;
    kill(rig.shim("web").expect("it has one"), Raw::KILL);
    rig.shim_replaced().await;
    std::fs::write(rig.path().join("gate"), "").unwrap();
    let two = rig.number_after("two ").await;
    assert!(rig.end(run, Duration::from_millis(50)).await.is_empty());
    assert!(!is_living(one) && !is_living(two));
    rig.exited(run).await;
    let next = rig.start("exit 3");
    assert_eq!(rig.exited(next).await.exit, Exit::Code(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_known_although_shim_and_service_die_together() {
    let mut rig = Rig::new();
    for _ in 0..5 {
        let run = rig.start("seq 1000; while :; do sleep 0.01; done");
        let pid = rig.spawned(run).await;
        rig.line("1000").await;
        kill(rig.shim("web").expect("it has one"), Raw::KILL);
        kill(pid, Raw::USR1);
        assert_eq!(rig.exited(run).await.exit, Exit::Signal(10));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_shim_goes_on_when_it_is_missed() {
    let mut rig = Rig::new();
    let run = rig.start("while :; do sleep 0.01; done");
    let pid = rig.spawned(run).await;
    let shim = rig.shim("web").expect("it has one");
    kill(shim, Raw::STOP);
    eventually_async("it is stopped", || async { state_of(shim) == Some('T') }).await;
    kill(pid, Raw::KILL);
    assert_eq!(rig.exited(run).await.exit, Exit::Signal(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_world_that_finds_a_stopped_shim_wakes_it() {
    let mut rig = Rig::new();
    let run = rig.start("sleep 1000");
    let pid = rig.spawned(run).await;
    let shim = rig.shim("web").expect("it has one");
    let mut rig = Rig::within(rig.abandon());
    kill(shim, Raw::STOP);
    let found = rig.survey().await;
    assert!(matches!(found[0].state, FoundState::Running { pid: of, .. } if of == pid), "{found:?}");
    assert_eq!(rig.shim("web"), Some(shim));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_shim_died_without_a_world_is_found() {
    let mut rig = Rig::new();
    let run = rig.start("trap 'exit 5' USR1; while :; do sleep 0.01; done");
    let pid = rig.spawned(run).await;
    let shim = rig.shim("web").expect("it has one");
    let directory = rig.abandon();
    kill(shim, Raw::KILL);
    eventually_async("it is gone", || async { !is_living(shim) }).await;
    let mut rig = Rig::within(directory);
    let found = rig.survey().await;
    assert!(matches!(found[0].state, FoundState::Running { pid: of, .. } if of == pid), "{found:?}");
    let spec = shell(&rig, "as it was");
    rig.adopt(run, spec);
    rig.world.perform(Effect::Signal { run, signal: Signal::Usr1 });
    assert_eq!(rig.exited(run).await.exit, Exit::Code(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_worlds_never_start_a_second_copy() {
    let mut first = Rig::new();
    let mark = format!("MARK={}", first.path().display());
    let marked = |rig: &Rig| {
        let mut spec = rig.spec("web", CommandLine::Argv(vec!["sleep".to_owned(), "1000".to_owned()]));
        spec.environment.insert("MARK".to_owned(), mark.trim_start_matches("MARK=").to_owned());
        spec
    };
    let spec = marked(&first);
    let run = first.start_spec(spec);
    first.spawned(run).await;
    let directory = first.abandon();
    let mut rig = Rig::within(directory);
    // It looks at nothing first, as one that has lost its memory.
    for number in 100..110 {
        let mut spec = marked(&rig);
        spec.description = Some(number.to_string());
        let second = RunId(number);
        rig.world.perform(Effect::Spawn {
            run: second,
            spec: std::sync::Arc::new(spec),
            remake: cas::model::deed::Remake::Nothing,
        });
        let why = rig.refused(second).await;
        assert!(why.contains("a second is never started"), "{why}");
    }
    assert_eq!(living_with(&mark).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stray_is_ended_with_all_that_it_made_and_is_not_told_as_a_run() {
    let mut rig = Rig::new();
    let run = rig.start("setsid -f sh -c 'echo child $$; exec sleep 1000'; sleep 1000");
    let pid = rig.spawned(run).await;
    let child = rig.number_after("child ").await;
    let mut rig = Rig::within(rig.abandon());
    assert_eq!(rig.survey().await.len(), 1);
    rig.world.perform(Effect::EndStray { run, service: super::rig::service("web") });
    assert!(rig.tree_ended(run).await.is_empty());
    assert!(!is_living(pid) && !is_living(child));
    rig.world.close_project(&super::rig::project()).await;
    eventually_async("no shim is left", || async { shims_below(rig.path()).is_empty() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_proven_is_never_signalled() {
    let rig = Rig::new();
    let slot = rig.slot("web");
    std::fs::create_dir_all(&slot).unwrap();
    // A stranger that has the number and the start time of the record.
    let mut stranger = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let pid = stranger.id();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let start = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap().to_owned();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let record = format!(
        "v=1\nrun=5\npid={pid}\nstart={start}\nboot={}\nargv=0123456789abcdef\nshim=1\nflags=1\nwall=1\n",
        boot.trim()
    );
    std::fs::write(slot.join("state"), record).unwrap();
    let mut rig = rig;
    let found = rig.survey().await;
    assert_eq!(found[0].state, FoundState::Unverifiable { pid }, "{found:?}");
    let run = rig.start("exit 0");
    let why = rig.refused(run).await;
    assert!(why.contains("a second is never started"), "{why}");
    assert!(rig.end(RunId(5), Duration::ZERO).await.is_empty());
    assert!(is_living(pid));
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_another_boot_is_told_as_such() {
    let mut rig = Rig::new();
    let slot = rig.slot("web");
    std::fs::create_dir_all(&slot).unwrap();
    let record = "v=1\nrun=5\npid=1\nstart=1\nboot=another\nargv=0123456789abcdef\nshim=1\nflags=1\nwall=1\n";
    std::fs::write(slot.join("state"), record).unwrap();
    assert_eq!(rig.survey().await[0].state, FoundState::Rebooted);
    let run = rig.start("exit 4");
    assert_eq!(rig.exited(run).await.exit, Exit::Code(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_project_leaves_no_process() {
    let mut rig = Rig::new();
    for _ in 0..3 {
        let run = rig.start_apart("exit 0");
        rig.exited(run).await;
    }
    assert_eq!(shims_below(rig.path()).len(), 3);
    assert_eq!((rig.world.census().slots, rig.world.census().shims), (3, 3));
    rig.world.close_project(&super::rig::project()).await;
    eventually_async("no shim is left", || async { shims_below(rig.path()).is_empty() }).await;
    assert_eq!(rig.world.census().slots, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shim_is_no_child_that_a_service_can_see_the_environment_of() {
    let mut rig = Rig::new();
    let run = rig.start("sleep 1000");
    let pid = rig.spawned(run).await;
    let shim = rig.shim("web").expect("it has one");
    assert_eq!(parent_of(pid), Some(shim));
    assert!(std::fs::read(format!("/proc/{shim}/environ")).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_reaches_a_terminal_and_only_there() {
    let mut rig = Rig::new();
    let mut spec = rig.spec("tty", CommandLine::Shell("stty size; read line; echo got $line".to_owned()));
    spec.tty = true;
    let run = rig.start_spec(spec);
    rig.spawned(run).await;
    rig.line("24 80").await;
    rig.world.type_in(run, b"hello\n").await.unwrap();
    rig.line("got hello").await;
    let plain = rig.start("sleep 1000");
    rig.spawned(plain).await;
    assert!(rig.world.type_in(plain, b"x").await.unwrap_err().contains("no terminal"));
    assert!(rig.world.resize_tty(RunId(4711), 1, 1).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_shim_program_is_named() {
    let rig = Rig::new();
    let directory = rig.abandon();
    let mut rig = Rig::with_shim(directory, "/no/such/cas-shim");
    let run = rig.start("exit 0");
    let why = rig.refused(run).await;
    assert!(why.starts_with("/no/such/cas-shim cannot be started: "), "{why}");
    clear(rig.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_was_begun_is_finished_without_a_world() {
    let mut rig = Rig::new();
    let mut spec = shell(&rig, "trap '' TERM; echo ready; while :; do sleep 0.05; done");
    spec.stop.grace = Duration::from_millis(50);
    let run = rig.start_spec(spec);
    let pid = rig.spawned(run).await;
    rig.line("ready").await;
    rig.world.perform(Effect::StopTree { run, signal: Signal::Term });
    // The next order of the same keeper: the one before has been carried out.
    rig.probe(run, Check::Log { pattern: "ready".to_owned() }, Duration::from_secs(30)).await;
    let directory = rig.abandon();
    eventually_async("its shim ended it", || async { !is_living(pid) }).await;
    clear(directory.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shim_that_takes_no_output_away_is_woken() {
    let mut rig = Rig::new();
    let run = rig.start("while [ ! -e gate ]; do sleep 0.01; done; seq 1000000; sleep 1000");
    rig.spawned(run).await;
    let shim = rig.shim("web").expect("it has one");
    kill(shim, Raw::STOP);
    std::fs::write(rig.path().join("gate"), "").unwrap();
    rig.line("1000000").await;
    assert_eq!(assert_counted(&rig), 1_000_000);
}

/// Not a benchmark: a bound several times the target, so that only a real fault (slots one after the other, a poll) breaks it.
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "measures the world from outside")]
async fn fifty_runs_are_found_at_once() {
    let mut rig = Rig::new();
    let runs: Vec<_> = (0..50).map(|_| rig.start_apart("sleep 1000")).collect();
    for run in &runs {
        rig.spawned(*run).await;
    }
    let shims = shims_below(rig.path());
    let mut rig = Rig::within(rig.abandon());
    for shim in shims.iter().take(5) {
        kill(*shim, Raw::KILL);
    }
    let begun = std::time::Instant::now();
    let found = rig.survey().await;
    let took = begun.elapsed();
    println!("50 slots, 5 of them without their shim: {took:?}");
    assert_eq!(found.len(), 50);
    assert!(found.iter().all(|found| matches!(found.state, FoundState::Running { .. })), "{found:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_shim_is_slow_to_answer_is_proven_without_it_and_taken_over() {
    let mut rig = Rig::new();
    let run = rig.start("echo up; while [ ! -e gate ]; do sleep 0.01; done; exit 7");
    let pid = rig.spawned(run).await;
    rig.line("up").await;
    let shim = rig.shim("web").expect("it has one");
    let mut rig = Rig::within(rig.abandon());
    kill(shim, Raw::STOP);
    let found = rig.world.survey(&super::rig::project(), Duration::from_millis(1)).await;
    assert!(
        matches!(found[..], [ref one] if one.run == run && matches!(one.state, FoundState::Running { pid: its, .. } if its == pid)),
        "{found:?}"
    );
    let spec = shell(&rig, "as it was");
    rig.adopt(run, spec);
    eventually_async("it is known again", || async { rig.world.runs() == [(run, pid)] }).await;
    std::fs::write(rig.path().join("gate"), "").unwrap();
    assert_eq!(rig.exited(run).await.exit, Exit::Code(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_only_a_slow_shim_knows_of_is_waited_for() {
    let mut rig = Rig::new();
    let run = rig.start("while [ ! -e gate ]; do sleep 0.01; done; exit 9");
    let pid = rig.spawned(run).await;
    let shim = rig.shim("web").expect("it has one");
    let directory = rig.abandon();
    kill(shim, Raw::STOP);
    std::fs::write(directory.path().join("gate"), "").unwrap();
    eventually_async("it ended", || async { !is_living(pid) }).await;
    let rig = Rig::within(directory);
    let found = rig.world.survey(&super::rig::project(), Duration::from_millis(1)).await;
    assert!(matches!(&found[0].state, FoundState::Ended { exit: Exit::Code(9), .. }), "{found:?}");
}
