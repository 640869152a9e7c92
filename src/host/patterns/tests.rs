use std::sync::Arc;

use super::{Mining, QUEUE_BYTES, Shared};
use crate::model::{
    ids::RunId,
    log::{LogBatch, LogLine, Source, Stream},
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
