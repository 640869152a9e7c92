//! Children of children: detached, orphaned, holding on to the pipe.

use std::time::{Duration, Instant};

use cas::model::{effect::Effect, phase::Exit, service::CommandLine, signal::Signal};
use rustix::process::Signal as Raw;

use super::rig::{Rig, is_living, kill, state_of};
use crate::support::eventually_async;

#[tokio::test(flavor = "multi_thread")]
async fn a_grandchild_that_keeps_the_pipe_does_not_delay_the_end() {
    let mut rig = Rig::new();
    let run = rig.start("sleep 1000 & echo child $!; exit 4");
    let ended = rig.exited(run).await;
    assert_eq!((ended.exit, ended.leftover), (Exit::Code(4), 1));
    let child = rig.number_after("child ").await;
    assert!(is_living(child));
    assert!(rig.end(run, Duration::from_secs(5)).await.is_empty());
    assert!(!is_living(child));
    eventually_async("the orphan was waited for", || async { state_of(child).is_none() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_leftover_says_is_still_heard() {
    let mut rig = Rig::new();
    let fifo = rig.path().join("gate");
    let run = rig.start(&format!("mkfifo {0}; (read line < {0}; echo later) & exit 0", fifo.display()));
    assert_eq!(rig.exited(run).await.leftover, 1);
    std::fs::write(&fifo, "go\n").unwrap();
    rig.line("later").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn detached_grandchildren_are_found_and_ended() {
    let mut rig = Rig::new();
    let run = rig.start(
        "setsid sh -c 'trap \"\" TERM HUP; echo one $$; while :; do sleep 0.05; done' & \
         (setsid setsid -f sh -c 'echo two $$; exec sleep 1000') & \
         sleep 1000",
    );
    rig.spawned(run).await;
    let (one, two) = (rig.number_after("one ").await, rig.number_after("two ").await);
    rig.world.perform(Effect::StopTree { run, signal: Signal::Term });
    let ended = rig.exited(run).await;
    assert_eq!(ended.exit, Exit::Signal(15));
    assert!(ended.leftover >= 1, "the one that ignores TERM");
    assert!(rig.end(run, Duration::from_millis(50)).await.is_empty());
    assert!(!is_living(one) && !is_living(two));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_of_a_killed_service_is_found_by_its_mark() {
    let mut rig = Rig::new();
    let run = rig.start("setsid -f sh -c 'echo daemon $$; exec sleep 1000'; sleep 1000");
    let pid = rig.spawned(run).await;
    let daemon = rig.number_after("daemon ").await;
    kill(pid, Raw::KILL);
    let ended = rig.exited(run).await;
    assert_eq!(ended.exit, Exit::Signal(9));
    assert!(ended.leftover >= 1);
    assert!(rig.end(run, Duration::ZERO).await.is_empty());
    assert!(!is_living(daemon));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_of_sixty_is_ended_whole() {
    let mut rig = Rig::new();
    let run = rig.start(
        "for i in 1 2 3 4 5 6 7 8 9 10; do \
           setsid sh -c 'trap \"\" TERM; for j in 1 2 3 4 5; do sh -c \"trap \\\"\\\" TERM; echo pid \\$\\$; while :; do sleep 0.2; done\" & done; wait' & \
         done; wait",
    );
    rig.spawned(run).await;
    let pids =
        || -> Vec<u32> { rig.texts().iter().filter_map(|text| text.strip_prefix("pid ")?.parse().ok()).collect() };
    eventually_async("fifty grandchildren", || async { pids().len() == 50 }).await;
    let pids = pids();
    assert!(rig.end(run, Duration::from_millis(20)).await.is_empty());
    assert!(!pids.into_iter().any(is_living));
    assert_eq!(rig.exited(run).await.exit, Exit::Signal(15));
}

/// Starts `hop`, of which each copy makes the next one and dies; ends it; nothing hops any more.
async fn end_what_hops(hop: &str) {
    let mut rig = Rig::new();
    std::fs::write(rig.path().join("hop"), hop).expect("the directory is ours");
    let mut spec = rig.spec("web", CommandLine::Shell("sh ./hop; sh ./hop; exit 0".to_owned()));
    let mark = rig.path().display().to_string();
    spec.environment.insert("MARK".to_owned(), mark.clone());
    let mark = format!("MARK={mark}");
    let run = rig.start_spec(spec);
    let ended = rig.exited(run).await;
    assert_eq!(ended.exit, Exit::Code(0));
    assert!(ended.leftover > 0, "it hops");
    assert!(rig.end(run, Duration::from_millis(20)).await.is_empty());
    for _ in 0..20 {
        assert!(super::rig::living_with(&mark).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_forks_without_end_is_ended() {
    end_what_hops("trap '' TERM\nsh ./hop &\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_forks_into_new_sessions_without_end_is_ended() {
    // Only a cgroup holds one that does this as fast as it can.
    end_what_hops("trap '' TERM\nsleep 0.02\nsetsid sh ./hop &\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_service_is_never_touched() {
    let mut rig = Rig::new();
    let stays = rig.start("setsid -f sh -c 'echo stays $$; exec sleep 1000'; sleep 1000");
    let goes = rig.start_apart("setsid -f sh -c 'echo goes $$; exec sleep 1000'; sleep 1000");
    let (stays_pid, goes_pid) = (rig.number_after("stays ").await, rig.number_after("goes ").await);
    assert!(rig.end(goes, Duration::ZERO).await.is_empty());
    assert!(is_living(stays_pid) && !is_living(goes_pid));
    assert!(rig.end(stays, Duration::ZERO).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn zombies_of_detached_children_do_not_pile_up() {
    let mut rig = Rig::new();
    let run =
        rig.start("for i in 1 2 3 4 5 6 7 8; do (sh -c 'echo pid $$; exec sleep 0.3' &); done; echo all; sleep 1000");
    rig.spawned(run).await;
    rig.line("all").await;
    let pids =
        || -> Vec<u32> { rig.texts().iter().filter_map(|text| text.strip_prefix("pid ")?.parse().ok()).collect() };
    eventually_async("eight", || async { pids().len() == 8 }).await;
    eventually_async("they were waited for", || async { pids().into_iter().all(|pid| state_of(pid).is_none()) }).await;
    assert!(rig.end(run, Duration::ZERO).await.is_empty());
}

/// Not a benchmark: a bound ten times the target, so that only a real fault (a wait, a poll) breaks it.
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "measures the world from outside")]
async fn a_crash_is_answered_by_a_replacement_within_milliseconds() {
    let mut rig = Rig::new();
    let mut run = rig.start_argv(&["sleep", "1000"]);
    let mut times = Vec::new();
    for _ in 0..50 {
        let pid = rig.spawned(run).await;
        let begun = Instant::now();
        kill(pid, Raw::KILL);
        rig.exited(run).await;
        run = rig.start_argv(&["sleep", "1000"]);
        rig.spawned(run).await;
        times.push(begun.elapsed());
        let again = rig.start_apart("true");
        rig.exited(again).await;
        rig.world.perform(Effect::Signal { run, signal: Signal::Winch });
        rig.world.runs().iter().for_each(|(_, pid)| assert!(is_living(*pid)));
        kill(rig.world.runs()[0].1, Raw::KILL);
        rig.exited(run).await;
        run = rig.start_argv(&["sleep", "1000"]);
    }
    times.sort();
    println!("kill to replacement: p50 {:?}, worst {:?}", times[25], times[49]);
    assert!(times[25] < Duration::from_millis(40), "p50 {:?}", times[25]);
}
