//! The hub with invented batches.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tokio::sync::mpsc;

use super::{
    Hub, Opened,
    ring::{Ring, SERVICE_BYTES, TOTAL_BYTES},
};
use crate::{
    host::handle::LogFeed,
    model::{
        ids::{ProjectName, RunId, ServiceId, ServiceName},
        intake::{Cursor, Intake, Position},
        log::{LogBatch, LogLine, MOST_FILES_REMEMBERED, Source, Stream},
    },
    world::{
        log_files::archive::Archivist,
        output::{Behind, Taken},
    },
};

fn web() -> ServiceId {
    ServiceId { project: ProjectName::new("p").unwrap(), service: ServiceName::new("web").unwrap() }
}

fn batch(seq: u64, wall_us: i64, lines: &[(Stream, bool)]) -> LogBatch {
    LogBatch {
        service: web(),
        source: Source::Output,
        run: RunId(1),
        wall_us,
        first_seq: seq,
        text: "x\n".repeat(lines.len()).into_boxed_str(),
        lines: (0..)
            .zip(lines)
            .map(|(at, (stream, continued))| LogLine { start: 2 * at, len: 1, stream: *stream, continued: *continued })
            .collect(),
    }
}

fn taken(batch: LogBatch) -> Taken {
    let next_seq = batch.first_seq + batch.lines.len() as u64;
    let at = Position { segment: 1, offset: next_seq * 2 };
    let cursor = Cursor { stdout: at, stderr: at, next_seq };
    Taken { batch: Arc::new(batch), place: "p-0".into(), behind: Behind::Cursor(cursor) }
}

type Said = Arc<Mutex<Vec<Vec<Intake>>>>;

fn hub() -> (Hub, mpsc::Sender<Taken>, Said) {
    let (output, captured) = mpsc::channel(8);
    let said = Said::default();
    let kept = Arc::clone(&said);
    let sink = Box::new(move |intake| kept.lock().unwrap().push(intake));
    (Hub::start(captured, LogFeed::new(), sink, Archivist::start().unwrap()), output, said)
}

#[test]
fn memory_is_bounded_and_the_newest_lines_stay() {
    let mut ring = Ring::default();
    for seq in 0..10_000_u64 {
        let wall_us = i64::try_from(seq).unwrap();
        let line = LogLine { start: 0, len: 1000, stream: Stream::Stdout, continued: false };
        let lines = Box::new([line]);
        ring.push(Arc::new(LogBatch { text: "x".repeat(1000).into(), lines, ..batch(seq, wall_us, &[]) }));
    }
    let kept = ring.recall(Some(&web()));
    let bytes: usize = kept.iter().map(|batch| batch.weight()).sum();
    assert!(bytes <= SERVICE_BYTES && bytes > SERVICE_BYTES / 2, "{bytes}");
    assert_eq!(kept.last().unwrap().first_seq, 9_999);
    assert!(ring.recall(None).len() == kept.len());
}

#[test]
fn of_files_whose_names_bear_the_date_only_the_last_stay_in_memory() {
    let mut ring = Ring::default();
    let one = [(Stream::Stdout, false)];
    ring.push(Arc::new(batch(0, 0, &one)));
    for day in 0..1000 {
        let source = Source::File(format!("web-{day}.log").into());
        ring.push(Arc::new(LogBatch { source, ..batch(0, 1 + day, &one) }));
    }
    let kept = ring.recall(Some(&web()));
    assert_eq!(kept.len(), 1 + MOST_FILES_REMEMBERED);
    assert_eq!(kept[0].source, Source::Output, "output does not go for files");
    assert_eq!(kept.last().unwrap().source.file(), Some("web-999.log"));
}

#[test]
fn older_lines_come_before_those_that_are_there_and_none_twice() {
    let mut ring = Ring::default();
    let one = [(Stream::Stdout, false)];
    ring.push(Arc::new(batch(5, 50, &one)));
    ring.restore(vec![batch(3, 30, &one), batch(4, 40, &one), batch(5, 50, &one)]);
    ring.restore(vec![batch(3, 30, &one), batch(4, 40, &one)]);
    // The clock was set back: numbers still rise.
    ring.push(Arc::new(batch(6, 10, &one)));
    assert_eq!(ring.recall(None).iter().map(|batch| batch.first_seq).collect::<Vec<_>>(), [3, 4, 5, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted_is_what_came_and_the_cursor_is_that_of_the_newest() {
    let (hub, output, said) = hub();
    let (out, err) = (Stream::Stdout, Stream::Stderr);
    output.send(taken(batch(0, 59_999_999, &[(out, false), (err, false), (out, true)]))).await.unwrap();
    output.send(taken(batch(3, 60_000_000, &[(out, false), (err, false)]))).await.unwrap();
    hub.flush().await;
    output.send(taken(batch(5, 60_000_001, &[(out, false)]))).await.unwrap();
    hub.flush().await;
    hub.flush().await;
    let said = said.lock().unwrap().clone();
    let all: Vec<&Intake> = said.iter().flatten().collect();
    assert!(said.iter().all(|intake| !intake.is_empty()), "nothing is said where nothing came");
    assert_eq!(all.last().unwrap().cursor.next_seq, 6);
    let mut minutes = BTreeMap::<i64, (u64, u64, u64)>::new();
    for minute in all.iter().flat_map(|intake| &intake.minutes) {
        let sum = minutes.entry(minute.minute).or_default();
        *sum = (sum.0 + minute.stdout_lines, sum.1 + minute.stderr_lines, sum.2 + minute.bytes);
    }
    assert_eq!(minutes, BTreeMap::from([(0, (1, 1, 6)), (1, (2, 1, 6))]), "a line in two pieces is one line");
    assert_eq!(hub.recall(Some(web())).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_hears_of_it_without_being_asked() {
    let (_hub, output, said) = hub();
    output.send(taken(batch(0, 1, &[(Stream::Stdout, false)]))).await.unwrap();
    for _ in 0..1000 {
        if !said.lock().unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("never said");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_is_opened_shows_its_newest_lines_at_once() {
    use crate::shim_format::{IndexKind, IndexRecord};
    let dir = tempfile::tempdir().unwrap();
    let slot = dir.path().join("web");
    std::fs::create_dir(&slot).unwrap();
    let text = "one\ntwo\nthree\n";
    std::fs::write(slot.join("log.000001"), text).unwrap();
    let len = u32::try_from(text.len()).unwrap();
    let record = IndexRecord { offset: 0, len, stream: 1, kind: IndexKind::Data, wall_us: 9, run: 4, count: 0 };
    std::fs::write(slot.join("idx.000001"), record.encode()).unwrap();
    let (hub, output, _said) = hub();
    let at = Position { segment: 1, offset: 8 };
    hub.refill(Opened {
        project: web().project,
        place: "p-0".into(),
        slots: dir.path().to_owned(),
        cursors: BTreeMap::from([(web().service, Cursor { stdout: at, stderr: at, next_seq: 72 })]),
        policies: BTreeMap::new(),
    })
    .await;
    output.send(taken(batch(72, 10, &[(Stream::Stdout, false)]))).await.unwrap();
    hub.flush().await;
    let lines: Vec<(u64, String)> = hub
        .recall(None)
        .await
        .iter()
        .flat_map(|batch| (batch.first_seq..).zip((0..batch.lines.len()).map(|line| batch.line(line).to_owned())))
        .collect();
    assert_eq!(lines, [(70, "one".to_owned()), (71, "two".to_owned()), (72, "x".to_owned())]);
    hub.close("p-0".into()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_project_leaves_no_lines_in_memory() {
    let (hub, output, _said) = hub();
    let dir = tempfile::tempdir().unwrap();
    hub.refill(Opened {
        project: web().project,
        place: "p-0".into(),
        slots: dir.path().to_owned(),
        cursors: BTreeMap::new(),
        policies: BTreeMap::new(),
    })
    .await;
    output.send(taken(batch(0, 1, &[(Stream::Stdout, false)]))).await.unwrap();
    hub.flush().await;
    assert_eq!(hub.recall(None).await.len(), 1);
    hub.close("p-0".into()).await;
    assert!(hub.recall(None).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_a_file_come_into_memory_and_are_not_counted_as_output() {
    let (hub, output, said) = hub();
    let of_file = |behind| {
        let source = Source::File("log/web.log".into());
        let batch = LogBatch { source, ..batch(0, 1, &[(Stream::Stdout, false)]) };
        Taken { batch: Arc::new(batch), place: "p-0".into(), behind }
    };
    output.send(taken(batch(0, 1, &[(Stream::Stdout, false)]))).await.unwrap();
    output.send(of_file(Behind::Earlier)).await.unwrap();
    output.send(of_file(Behind::File)).await.unwrap();
    hub.flush().await;
    assert_eq!(hub.recall(Some(web())).await.len(), 3);
    let said = said.lock().unwrap().clone();
    let all: Vec<&Intake> = said.iter().flatten().collect();
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].cursor.next_seq, all[0].minutes[0].stdout_lines), (1, 1));
}

#[test]
fn memory_is_bounded_over_all_services_however_they_came() {
    let mut ring = Ring::default();
    let service = |n: u32| ServiceName::new(&format!("s{n}")).unwrap();
    // Each fills what it may keep while few others are there.
    for n in 0..600 {
        for seq in 0..40 {
            let line = LogLine { start: 0, len: 65_536, stream: Stream::Stdout, continued: false };
            let id = ServiceId { project: web().project, service: service(n) };
            let text = "x".repeat(65_536).into();
            ring.push(Arc::new(LogBatch { service: id, text, lines: Box::new([line]), ..batch(seq, 1, &[]) }));
        }
    }
    let kept = ring.recall(None);
    let bytes: usize = kept.iter().map(|batch| batch.weight()).sum();
    assert!(bytes <= TOTAL_BYTES + TOTAL_BYTES / 4, "{bytes}");
    let services: std::collections::BTreeSet<_> = kept.iter().map(|batch| &batch.service).collect();
    assert_eq!(services.len(), 600, "each keeps its newest");
}
