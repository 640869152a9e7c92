use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::{Means, Mining, QUEUE_BYTES, Shared, start, unpack};
use crate::{
    host::{empty_picture, veil::Veil},
    insight::{entry::Formats, patterns::Settings},
    model::{
        ids::{RunId, ServiceName},
        log::{LogBatch, LogLine, Source, Stream},
    },
    world::store::Store,
};

fn batch() -> Arc<LogBatch> {
    let line = LogLine { start: 0, len: 60_000, stream: Stream::Stdout, continued: false };
    Arc::new(LogBatch {
        service: "shop/web".parse().unwrap(),
        source: Source::Output,
        run: RunId(1),
        wall_us: 0,
        first_seq: 0,
        text: "x".repeat(60_000).into(),
        lines: Box::new([line, line]),
    })
}

#[test]
fn what_there_is_no_room_for_is_counted_and_nobody_waits() {
    let batch = batch();
    // Nobody takes anything out of it.
    let mining = Mining(Arc::new(Shared::default()));
    for _ in 0..1000 {
        mining.learn(&batch);
    }
    let queue = mining.0.queue();
    let waiting = queue.messages.len() as u64;
    assert!(queue.bytes <= QUEUE_BYTES + batch.weight(), "{}", queue.bytes);
    assert_eq!(waiting * 2 + queue.dropped[&batch.service], 2000);
}

#[test]
fn nothing_is_kept_for_a_thread_that_has_ended() {
    let mining = Mining(Arc::new(Shared::default()));
    mining.0.queue().ended = true;
    for _ in 0..1000 {
        mining.learn(&batch());
    }
    let queue = mining.0.queue();
    assert!(queue.messages.is_empty() && queue.dropped.is_empty() && queue.bytes == 0);
}

#[tokio::test]
async fn a_project_that_is_closed_has_given_all_that_is_known_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(directory.path().join("cas.db"), |_| {}));
    let (events, _inbox) = mpsc::channel(1);
    let (_picture, pictures) = watch::channel(empty_picture());
    let means = Means {
        veil: Veil::none(),
        store: Arc::clone(&store),
        events: events.downgrade(),
        pictures,
        formats: Arc::new(Formats::builtin()),
    };
    let (mining, running) = start(means).unwrap();
    let (project, place, batch) = ("shop".parse().unwrap(), Arc::from("shop-1"), batch());
    mining.open(&project, Arc::clone(&place), store.patterns(&place));
    // So many that they are not learnt from while they are told.
    let batches = QUEUE_BYTES / batch.weight();
    for _ in 0..batches {
        mining.learn(&batch);
    }
    mining.close(&project).await;
    let kept = store.patterns(&place);
    let web: ServiceName = "web".parse().unwrap();
    let known = unpack(Settings::default(), &kept[&web]).unwrap();
    assert_eq!(known.lines(), 2 * batches as u64);
    drop(running);
    mining.close(&project).await;
}
