//! `GET /v1/entries`: the timeline. Promise: a follower gets each entry once and in order; where entries are missing it is told.

use std::{collections::VecDeque, sync::Arc};

use axum::{Extension, Json, body::Bytes, extract::State, response::IntoResponse, response::Response};
use futures_util::stream;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::watch;

use super::{
    connection::Connection,
    desk::{Desk, json, line},
    older,
    read::{instant, ndjson},
    refusal::{Params, Refusal, Speaks},
    wire::{EntryLine, Gap, VERSION},
};
use crate::{
    host::handle::Handle,
    model::{
        query::{Answer, Query},
        snapshot::Snapshot,
        timeline::Entry,
    },
};

/// Entries that one answer may have.
const MOST: usize = 10_000;

/// Parameters of `GET /v1/entries`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EntryParams {
    /// The newest so many, at most 10000. 500 where it is not said, 10000 with `since` or `since_seq`.
    limit: Option<usize>,
    /// Only those of the present engine with a greater number. Numbers begin anew with each engine.
    since_seq: Option<u64>,
    /// Only from here on: `10m` back, an RFC 3339 time, or microseconds since the epoch.
    since: Option<String>,
    /// Go on with what comes, one JSON document a line; without `since` and `since_seq` only with that.
    #[serde(default)]
    follow: bool,
}

pub(super) async fn entries(
    State(desk): State<Desk>,
    Params(params): Params<EntryParams>,
    Extension(speaks): Extension<Speaks>,
    Extension(connection): Extension<Arc<Connection>>,
) -> Result<Response, Refusal> {
    let mut pictures = desk.handle.snapshots.clone();
    let picture = Arc::clone(&pictures.borrow_and_update());
    let since_us = params.since.as_ref().map(|text| instant("since", text, picture.at.wall_us)).transpose()?;
    let ranged = since_us.is_some() || params.since_seq.is_some();
    let limit = params.limit.unwrap_or(if ranged { MOST } else { 500 }).min(MOST);
    let mut found: Vec<Arc<Entry>> = match (params.since_seq, params.follow && !ranged) {
        (_, true) => Vec::new(),
        (Some(seq), false) => after(&desk.handle, &picture, seq).await?,
        (None, false) => stored(&desk.handle, if ranged { MOST } else { limit }).await?,
    };
    found.retain(|entry| since_us.is_none_or(|since| entry.at.wall_us >= since));
    found.drain(..found.len().saturating_sub(limit));
    if !params.follow {
        let words = |entry: Arc<Entry>| if speaks.0 < VERSION { Arc::new(older::entry(&entry)) } else { entry };
        return Ok(Json(found.into_iter().map(words).collect::<Vec<_>>()).into_response());
    }
    connection.becomes_stream();
    // What the store had not written yet is in the picture.
    let last = found.iter().filter(|entry| is_of(&picture, entry)).map(|entry| entry.seq).max();
    let last = last.or(params.since_seq).unwrap_or_else(|| picture.timeline.last().map_or(0, |entry| entry.seq));
    let waiting = found.into_iter().map(EntryLine::Entry).collect();
    let follower = Follower { news: News { last }, pictures, desk, waiting, speaks };
    Ok(ndjson(stream::unfold(follower, |mut follower| async { Some((follower.next().await?, follower)) })))
}

/// Whether the engine of this picture made that entry.
fn is_of(picture: &Snapshot, entry: &Entry) -> bool {
    picture.timeline.iter().any(|known| known.seq == entry.seq && known.at == entry.at)
}

async fn stored(handle: &Handle, limit: usize) -> Result<Vec<Arc<Entry>>, Refusal> {
    let answer = handle.query(Query::Entries { limit }).await?;
    if let Answer::Unavailable(why) = answer {
        return Err(Refusal::unavailable(why));
    }
    let Answer::Entries(entries) = answer else { return Err(Refusal::odd_answer()) };
    Ok(entries.into_iter().map(Arc::new).collect())
}

/// Entries of the picture's engine with a number above `seq`, from the picture, and where it does not reach back so far, the store.
async fn after(handle: &Handle, picture: &Snapshot, seq: u64) -> Result<Vec<Arc<Entry>>, Refusal> {
    let newest: Vec<_> = picture.timeline.iter().filter(|entry| entry.seq > seq).cloned().collect();
    let Some(first) = newest.first().filter(|first| first.seq > seq + 1) else { return Ok(newest) };
    let all = stored(handle, MOST).await?;
    let Some(place) = all.iter().position(|entry| entry.seq == first.seq && entry.at == first.at) else {
        return Ok(newest);
    };
    // Backwards as long as the numbers fall by one: before that is another engine.
    let mut older: VecDeque<Arc<Entry>> = VecDeque::new();
    let mut expected = first.seq;
    for entry in all[..place].iter().rev() {
        if entry.seq + 1 != expected || entry.seq <= seq {
            break;
        }
        expected = entry.seq;
        older.push_front(Arc::clone(entry));
    }
    Ok(older.into_iter().chain(newest).collect())
}

/// What of the timeline somebody has had.
#[derive(Debug, Clone, Copy)]
pub(super) struct News {
    /// Number of the last entry.
    pub(super) last: u64,
}

impl News {
    /// What is new in `picture`, oldest first, and how many entries before it can no longer be had.
    pub(super) async fn of(&mut self, handle: &Handle, picture: &Snapshot) -> (u64, Vec<Arc<Entry>>) {
        if picture.timeline.last().is_none_or(|entry| entry.seq <= self.last) {
            return (0, Vec::new());
        }
        let new = after(handle, picture, self.last)
            .await
            .unwrap_or_else(|_| picture.timeline.iter().filter(|entry| entry.seq > self.last).cloned().collect());
        let missed = new.first().map_or(0, |first| first.seq.saturating_sub(self.last + 1));
        self.last = new.last().map_or(self.last, |entry| entry.seq);
        (missed, new)
    }
}

/// One follower.
struct Follower {
    news: News,
    pictures: watch::Receiver<Arc<Snapshot>>,
    desk: Desk,
    waiting: VecDeque<EntryLine>,
    speaks: Speaks,
}

impl Follower {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(next) = self.waiting.pop_front() {
                let next = match next {
                    EntryLine::Entry(entry) if self.speaks.0 < VERSION => EntryLine::Entry(older::entry(&entry).into()),
                    EntryLine::Entry(_) | EntryLine::Gap(_) => next,
                };
                return Some(line(&json(&next)));
            }
            let picture = Arc::clone(&self.pictures.borrow_and_update());
            let (missed, new) = self.news.of(&self.desk.handle, &picture).await;
            if missed > 0 {
                self.waiting.push_back(EntryLine::Gap(Gap { missed }));
            }
            self.waiting.extend(new.into_iter().map(EntryLine::Entry));
            if self.waiting.is_empty() {
                tokio::select! {
                    () = self.desk.ended.cancelled() => return None,
                    changed = self.pictures.changed() => changed.ok()?,
                }
            }
        }
    }
}
