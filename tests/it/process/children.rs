//! Spawning, ends and signals.
#![expect(clippy::wildcard_enum_match_arm, reason = "one event is looked for")]

use std::{collections::BTreeMap, time::Duration};

use cas::model::{
    effect::Effect, event::Event, ids::RunId, log::Stream, phase::Exit, service::CommandLine, signal::Signal,
};
use rustix::process::Signal as Raw;

use super::rig::{Rig, is_living, kill, state_of};
use crate::support::eventually_async;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ends_at_once_is_spawned_then_exited() {
    let mut rig = Rig::new();
    for code in [0, 1, 77, 255] {
        let run = rig.start(&format!("exit {code}"));
        rig.spawned(run).await;
        let ended = rig.exited(run).await;
        assert_eq!((ended.exit, ended.leftover), (Exit::Code(code), 0));
    }
    assert!(rig.world.runs().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_runs_that_end_at_once_are_all_accounted_for() {
    let mut rig = Rig::new();
    let runs: Vec<_> = (0..100).map(|number| rig.start_apart(&format!("exit {number}"))).collect();
    for (number, run) in (0..).zip(runs) {
        assert_eq!(rig.exited(run).await.exit, Exit::Code(number));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_nine_is_told_as_signal_nine() {
    let mut rig = Rig::new();
    let run = rig.start_argv(&["sleep", "1000"]);
    let pid = rig.spawned(run).await;
    assert_eq!(rig.world.runs(), [(run, pid)]);
    kill(pid, Raw::KILL);
    let ended = rig.exited(run).await;
    assert_eq!((ended.exit, ended.leftover), (Exit::Signal(9), 0));
    assert_eq!(state_of(pid), None, "it was waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_reaches_the_main_process_only() {
    let mut rig = Rig::new();
    let run = rig.start("trap 'echo main' USR1; sh -c 'trap \"echo child\" USR1; echo ready; while :; do sleep 0.01; done' & while :; do wait; done");
    rig.spawned(run).await;
    rig.line("ready").await;
    rig.world.perform(Effect::Signal { run, signal: Signal::Usr1 });
    rig.line("main").await;
    assert!(!rig.texts().contains(&"child".to_owned()));
    assert!(rig.end(run, Duration::ZERO).await.is_empty());
    assert!(!rig.texts().contains(&"child".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_asked_for_before_the_spawn_is_done_is_heard() {
    let mut rig = Rig::new();
    let run = rig.start_argv(&["sleep", "1000"]);
    rig.world.perform(Effect::StopTree { run, signal: Signal::Term });
    assert_eq!(rig.exited(run).await.exit, Exit::Signal(15));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_ignores_term_is_killed_after_patience() {
    let mut rig = Rig::new();
    let run = rig.start("trap '' TERM; echo ready; while :; do sleep 0.05; done");
    let pid = rig.spawned(run).await;
    rig.line("ready").await;
    rig.world.perform(Effect::StopTree { run, signal: Signal::Term });
    let survivors = rig.end(run, Duration::from_millis(200)).await;
    assert!(survivors.is_empty(), "{survivors:?}");
    // Exited comes before TreeEnded: it is there already.
    let ended = rig.exited(run).await;
    assert_eq!(ended.exit, Exit::Signal(9));
    assert!(!is_living(pid));
}

#[tokio::test(flavor = "multi_thread")]
async fn exited_comes_before_tree_ended() {
    let mut rig = Rig::new();
    let run = rig.start_argv(&["sleep", "1000"]);
    rig.spawned(run).await;
    rig.world.perform(Effect::EndTree { run, patience: Duration::ZERO });
    let first = rig
        .event("an end", |event| match event {
            Event::Exited { .. } => Some("exited"),
            Event::TreeEnded { .. } => Some("tree ended"),
            _ => None,
        })
        .await;
    assert_eq!(first, "exited");
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_what_is_not_there_is_answered() {
    let mut rig = Rig::new();
    assert!(rig.end(RunId(4711), Duration::from_secs(5)).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_service_stops() {
    let mut rig = Rig::new();
    let run = rig.start_argv(&["sleep", "1000"]);
    let pid = rig.spawned(run).await;
    kill(pid, Raw::STOP);
    eventually_async("it is frozen", || async { state_of(pid) == Some('T') }).await;
    rig.world.perform(Effect::StopTree { run, signal: Signal::Term });
    assert_eq!(rig.exited(run).await.exit, Exit::Signal(15));
}

#[tokio::test(flavor = "multi_thread")]
async fn last_words_are_five_lines_without_escape_sequences() {
    let mut rig = Rig::new();
    let run = rig.start(r"printf '1\n2\n3\n4\n\033[31mred\033[0m \033]0;title\007five\n\nsix' ; exit 3");
    let ended = rig.exited(run).await;
    assert_eq!(ended.exit, Exit::Code(3));
    assert_eq!(ended.last_words, ["2", "3", "4", "red five", "six"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_has_its_directory_its_environment_and_no_terminal() {
    let mut rig = Rig::new();
    let line = r#"pwd; echo "$GREETING $CAS_RUN $CAS_SERVICE"; cat; (: </dev/tty) 2>/dev/null || echo no terminal; echo oops >&2; ls -l /proc/self/fd | wc -l; grep SigBlk /proc/self/status"#;
    let mut spec = rig.spec("web", CommandLine::Shell(line.to_owned()));
    spec.environment = BTreeMap::from([("GREETING".to_owned(), "hello".to_owned())]);
    let run = rig.start_spec(spec);
    let pid = rig.spawned(run).await;
    assert_eq!(rig.exited(run).await.exit, Exit::Code(0));
    eventually_async("all lines", || async { rig.count_lines() == 6 }).await;
    let texts: Vec<_> = rig.lines().into_iter().filter(|line| line.stream == Stream::Stdout).map(|l| l.text).collect();
    assert_eq!(texts[0], rig.path().canonicalize().unwrap().to_str().unwrap());
    assert_eq!(texts[1], "hello 1 test/web");
    assert_eq!(texts[2], "no terminal");
    // "total", descriptors 0 to 2, and the directory that ls has open.
    assert_eq!(texts[3], "5");
    assert_eq!(texts[4], "SigBlk:\t0000000000000000");
    assert!(rig.lines().iter().any(|line| line.stream == Stream::Stderr && line.text == "oops"));
    assert!(pid > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_leads_its_own_session_and_group() {
    let mut rig = Rig::new();
    let run = rig.start_argv(&["sleep", "1000"]);
    let pid = rig.spawned(run).await;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    assert_eq!((fields[2], fields[3]), (pid.to_string().as_str(), pid.to_string().as_str()));
    assert!(rig.end(run, Duration::ZERO).await.is_empty());
}
