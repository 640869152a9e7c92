//! A client that loses its engine: a state, not an error.

use cas::{
    api::{
        self,
        client::ConnectError,
        server::{self, ServeOptions},
    },
    host::handle::{Call, Handle, Link, LogFeed},
    model::{
        ids::{ProjectName, RunId, ServiceId, ServiceName},
        log::{LogBatch, LogLine, LogNews, Source, Stream},
        policy::Origin,
        query::{Answer, Query},
        snapshot::{EngineView, Snapshot},
        time::Timestamp,
        timeline::{Entry, What},
    },
    world::clock,
};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

use super::{
    logs::provide,
    stage::{showing, take},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_engine_is_retried_and_a_new_one_on_the_same_socket_is_found() {
    provide();
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("one.sock");
    let (handle, pictures) = showing(Snapshot { revision: 7, ..Snapshot::default() });
    let server = server::serve(take(&socket), handle, ServeOptions::default()).unwrap();

    let mut client = api::connect(&socket, clock::now).await.unwrap();
    assert_eq!(client.snapshot().revision, 7);
    assert_eq!(*client.link.borrow(), Link::Connected);
    pictures.send_modify(|picture| *picture = Snapshot { revision: 8, ..Snapshot::default() }.into());
    client.snapshots.wait_for(|picture| picture.revision == 8).await.unwrap();

    drop((server, pictures));
    let retrying = *client.link.wait_for(|link| matches!(link, Link::Retrying { .. })).await.unwrap();
    let Link::Retrying { since, next } = retrying else { panic!("{retrying:?}") };
    assert!(next.since(since).as_secs_f64() > 0.1, "it says when it tries again");
    assert_eq!(client.snapshot().revision, 8, "the last picture stays");

    let (handle, _pictures) = showing(Snapshot { revision: 1, ..Snapshot::default() });
    let _server = server::serve(take(&socket), handle, ServeOptions::default()).unwrap();
    client.link.wait_for(|link| *link == Link::Connected).await.unwrap();
    client.snapshots.wait_for(|picture| picture.revision == 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_on_the_socket_is_absence_and_somebody_else_is_a_sentence() {
    provide();
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("one.sock");
    assert!(matches!(api::connect(&socket, clock::now).await, Err(ConnectError::Absent(_))));
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let stranger = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 smtp.example ESMTP\r\n").await.unwrap();
        }
    });
    let error = api::connect(&socket, clock::now).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unusable { .. }), "{error:?}");
    assert!(error.to_string().contains("does not answer as expected"), "{error}");
    stranger.abort();
    let _aborted = stranger.await;
    assert!(matches!(api::connect(&socket, clock::now).await, Err(ConnectError::Absent(_))), "a stale socket");
}

/// An engine of which a test says what it shows, what is stored, and what output it remembers.
fn played(
    picture: Snapshot,
    stored: Vec<Entry>,
    kept: Vec<Arc<LogBatch>>,
) -> (Handle, watch::Sender<Arc<Snapshot>>, watch::Sender<Link>) {
    let (calls, mut door) = mpsc::channel(8);
    let (snapshots, pictures) = watch::channel(Arc::new(picture));
    let (link, linked) = watch::channel(Link::Local);
    tokio::spawn(async move {
        while let Some(call) = door.recv().await {
            if let Call::Query { query, answer } = call {
                let said = match query {
                    Query::Logs { .. } | Query::RawLogs { .. } => Answer::Logs(kept.clone()),
                    Query::Entries { .. } => Answer::Entries(stored.clone()),
                    Query::ShellContext { .. }
                    | Query::Disk
                    | Query::Patterns { .. }
                    | Query::SearchLogs(_)
                    | Query::LogFiles { .. } => Answer::Unavailable("no".to_owned()),
                };
                answer.send(said).unwrap();
            }
        }
    });
    (Handle { calls, snapshots: pictures, logs: LogFeed::new(), link: linked }, snapshots, link)
}

fn entry(seq: u64, second: u64) -> Entry {
    let at = Timestamp { mono_us: second * 1_000_000, wall_us: i64::try_from(second).unwrap() * 1_000_000 };
    let what = What::Trouble { text: format!("second {second}") };
    Entry { seq, at, project: None, service: None, run: None, who: Origin::System, what, why: String::new() }
}

fn picture(pid: u32, started: u64, entries: &[Entry]) -> Snapshot {
    let at = entry(0, started).at;
    let engine = EngineView { pid, started: at, ..EngineView::default() };
    Snapshot { at, engine, timeline: entries.iter().cloned().map(Arc::new).collect(), ..Snapshot::default() }
}

/// Lines `first..first + 5`.
fn lines(first_seq: u64, second: i64) -> Arc<LogBatch> {
    let service = ServiceId { project: ProjectName::new("p").unwrap(), service: ServiceName::new("web").unwrap() };
    let line = |start| LogLine { start, len: 1, stream: Stream::Stdout, continued: false };
    let (text, lines) = ("abcde".into(), (0..5).map(line).collect());
    Arc::new(LogBatch {
        service,
        source: Source::Output,
        run: RunId(1),
        wall_us: second * 1_000_000,
        first_seq,
        text,
        lines,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_killed_engine_and_the_next_nothing_of_timeline_and_output_is_lost_or_doubled() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("one.sock");
    let (handle, pictures, link) =
        played(picture(100, 1000, &[entry(1, 1001), entry(2, 1002)]), vec![], vec![lines(0, 1000)]);
    let server = server::serve(take(&socket), handle, ServeOptions::default()).unwrap();
    let mut client = api::connect(&socket, clock::now).await.unwrap();
    let mut output = client.logs.subscribe();
    let Some(LogNews::Batch(first)) = output.next().await else { panic!("output comes") };
    assert_eq!(first.first_seq, 0);
    drop((server, pictures, link));
    client.link.wait_for(|link| matches!(link, Link::Retrying { .. })).await.unwrap();

    // Its last entry and lines 5 to 7 nobody saw. The next engine reads from line 3 on, and numbers its entries from 1.
    let stored = vec![entry(1, 1001), entry(2, 1002), entry(3, 1003), entry(1, 1011), entry(2, 1012)];
    let next = picture(200, 1010, &[entry(1, 1011), entry(2, 1012)]);
    let (handle, pictures, _link) = played(next, stored, vec![lines(3, 1001), lines(12, 1012)]);
    let _server = server::serve(take(&socket), handle, ServeOptions::default()).unwrap();
    let shown = Arc::clone(&*client.snapshots.wait_for(|picture| picture.engine.pid == 200).await.unwrap());
    let numbered = |picture: &Snapshot| {
        picture.timeline.iter().map(|entry| (entry.seq, entry.at.mono_us / 1_000_000)).collect::<Vec<_>>()
    };
    assert_eq!(numbered(&shown), [(1, 1001), (2, 1002), (3, 1003), (4, 1011), (5, 1012)]);
    client.link.wait_for(|link| *link == Link::Connected).await.unwrap();

    let Some(LogNews::Batch(rest)) = output.next().await else { panic!("output goes on") };
    assert_eq!((rest.first_seq, rest.lines.len()), (5, 3), "without what was had");
    assert!(matches!(output.next().await, Some(LogNews::Missed { .. })), "8 to 11 are missing");
    let Some(LogNews::Batch(last)) = output.next().await else { panic!("output goes on") };
    assert_eq!(last.first_seq, 12);

    pictures.send_replace(Arc::new(picture(200, 1010, &[entry(1, 1011), entry(2, 1012), entry(3, 1013)])));
    let more = Arc::clone(&*client.snapshots.wait_for(|picture| picture.timeline.len() == 6).await.unwrap());
    assert_eq!(numbered(&more).last(), Some(&(6, 1013)));
    let answer = client.query(Query::Entries { limit: 10 }).await.unwrap();
    let Answer::Entries(entries) = answer else { panic!("{answer:?}") };
    assert_eq!(entries.last().unwrap().seq, 5, "numbered as it is shown");
}
