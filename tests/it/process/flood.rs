//! Output: much of it, strange, without end.

use std::{sync::Arc, time::Duration};

use cas::{
    model::{
        effect::Effect,
        log::MAX_LINE_BYTES,
        phase::Exit,
        probe::{Check, Probe, ProbeKind},
        service::CommandLine,
        signal::Signal,
    },
    world::Taken,
};
use tokio::sync::mpsc;

use super::rig::Rig;
use crate::support::eventually_async;

#[tokio::test(flavor = "multi_thread")]
async fn a_million_lines_come_whole_and_in_order() {
    let mut rig = Rig::new();
    let run = rig.start("seq 1000000");
    assert_eq!(rig.exited(run).await.last_words, ["999996", "999997", "999998", "999999", "1000000"]);
    eventually_async("a million lines", || async { rig.count_lines() == 1_000_000 }).await;
    for (expected, line) in (0..).zip(rig.lines()) {
        assert_eq!((line.seq, line.text), (expected, (expected + 1).to_string()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_numbered_over_all_runs_of_a_service() {
    let mut rig = Rig::new();
    for _ in 0..3 {
        let run = rig.start("echo a; echo b");
        rig.exited(run).await;
    }
    eventually_async("six lines", || async { rig.count_lines() == 6 }).await;
    assert_eq!(rig.lines().iter().map(|line| line.seq).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_text_do_not_stop_the_reading() {
    let mut rig = Rig::new();
    let run = rig.start(r"printf 'good\n\377\376 \000 bad\nafter\nunfinished'");
    assert_eq!(rig.exited(run).await.exit, Exit::Code(0));
    rig.line("unfinished").await;
    assert_eq!(rig.texts(), ["good", "\u{FFFD}\u{FFFD} \0 bad", "after", "unfinished"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_megabytes_without_a_line_feed_come_in_pieces() {
    let mut rig = Rig::new();
    let run = rig.start("head -c 10000000 /dev/zero | tr '\\0' a; echo; echo end");
    assert_eq!(rig.exited(run).await.exit, Exit::Code(0));
    rig.line("end").await;
    let lines = rig.lines();
    let (pieces, last) = lines.split_at(lines.len() - 1);
    assert!(pieces.iter().all(|piece| piece.text.len() <= MAX_LINE_BYTES));
    assert_eq!(pieces.iter().map(|piece| piece.text.len()).sum::<usize>(), 10_000_000);
    assert!(pieces[..pieces.len() - 1].iter().all(|piece| piece.continued));
    assert!(!pieces[pieces.len() - 1].continued && !last[0].continued);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_takes_nothing_does_not_keep_an_end_from_being_told() {
    let (sender, mut output) = mpsc::channel::<Taken>(1);
    let mut rig = Rig::with_output(tempfile::tempdir().unwrap(), sender, Arc::default());
    let run = rig.start("seq 30000 & echo last; sleep 0.1; kill -9 $$");
    assert_eq!(rig.exited(run).await.exit, Exit::Signal(9));
    // And nothing is lost for it.
    let mut lines = 0;
    while lines < 30_001 {
        let Taken { batch, .. } = output.recv().await.expect("more comes");
        lines += batch.lines.iter().filter(|line| !line.continued).count();
    }
    assert_eq!(lines, 30_001);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flooding_service_hears_its_stop() {
    let mut rig = Rig::new();
    let run = rig.start_argv(&["yes", "flood"]);
    rig.line("flood").await;
    rig.world.perform(Effect::StopTree { run, signal: Signal::Term });
    assert_eq!(rig.exited(run).await.exit, Exit::Signal(15));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ready_line_is_found_though_it_comes_in_pieces_and_colours() {
    let mut rig = Rig::new();
    let line = r"printf '\033[32mList'; sleep 0.05; printf 'ening\033[0m on'; sleep 0.05; printf ' :80\n'; sleep 1000";
    let mut spec = rig.spec("web", CommandLine::Shell(line.to_owned()));
    spec.ready_log_line = Some("^Listening on :\\d+$".to_owned());
    let run = rig.start_spec(spec);
    rig.world.perform(Effect::WatchLog { run, kind: None, pattern: "^Listening on :\\d+$".to_owned() });
    assert_eq!(rig.log_matched(run).await, None);
    assert!(rig.end(run, Duration::ZERO).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_pattern_that_came_before_anybody_asked_is_told_at_once() {
    let mut rig = Rig::new();
    let mut spec = rig.spec("web", CommandLine::Shell("echo ready; echo other; sleep 1000".to_owned()));
    let probe = Probe {
        check: Check::Log { pattern: "ready".to_owned() },
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        retries: 1,
        successes: 1,
        start_period: Duration::ZERO,
        heals: false,
        honest: true,
    };
    spec.probes.insert(ProbeKind::Startup, Arc::new(probe));
    let run = rig.start_spec(spec);
    rig.line("other").await;
    rig.world.perform(Effect::WatchLog { run, kind: Some(ProbeKind::Startup), pattern: "ready".to_owned() });
    assert_eq!(rig.log_matched(run).await, Some(ProbeKind::Startup));
    assert!(rig.end(run, Duration::ZERO).await.is_empty());
}
