//! `GET /v1/logs`: what is stored, what is in memory, and what comes. Promise: within one answer no line twice, none left out without a
//! gap being told, and no more of it in memory than a channel or the asked-for tail holds.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    ops::ControlFlow,
    sync::Arc,
};

use axum::{Extension, Json, body::Bytes, extract::State, http::StatusCode, response::Response};
use futures_util::{Stream, StreamExt, stream};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::{
    connection::Connection,
    desk::{Access, Desk, json, line},
    read::{id_of, instant, ndjson},
    refusal::{Params, Refusal, Speaks, Whole},
    server::{StoredLogs, StoredRange},
    wire::{Gap, VERSION, WireFinds},
};
use crate::{
    host::{handle::LogSubscription, veil::Veil},
    model::{
        ids::ServiceId,
        log::{Counted, LogBatch, LogNews},
        log_search::LogSearch,
        policy::Origin,
        query::{Answer, Query},
    },
};

/// Lines that a tail may have.
const LONGEST_TAIL: usize = 100_000;

/// Stored batches that may wait for a reader.
const AHEAD: usize = 64;

/// Parameters of `GET /v1/logs`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogParams {
    /// Of this service only: `project/name`.
    service: Option<String>,
    /// From here on: `10m` back, an RFC 3339 time, or microseconds since the epoch. Without it, what is in memory.
    since: Option<String>,
    /// Up to here, in the same forms.
    until: Option<String>,
    /// The newest so many lines, at most 100000.
    tail: Option<usize>,
    /// Go on with what comes.
    #[serde(default)]
    follow: bool,
    /// As it was written, secrets included: on the owner's own socket only, and told on the timeline.
    #[serde(default)]
    raw: bool,
}

/// What was asked for, understood.
struct Wanted {
    service: Option<ServiceId>,
    since_us: Option<i64>,
    until_us: Option<i64>,
    tail: Option<usize>,
    raw: bool,
}

impl Wanted {
    fn of(params: &LogParams, now_us: i64) -> Result<Self, Refusal> {
        let when = |name, text: &Option<String>| text.as_ref().map(|text| instant(name, text, now_us)).transpose();
        if params.follow && params.until.is_some() {
            return Err(Refusal::bad("until and follow exclude each other: what is to come has no end"));
        }
        if params.follow && params.raw {
            return Err(Refusal::bad("raw and follow exclude each other: what is told on the timeline has an end"));
        }
        Ok(Self {
            service: params.service.as_deref().map(service_of).transpose()?,
            since_us: when("since", &params.since)?,
            until_us: when("until", &params.until)?,
            tail: params.tail.map(|tail| tail.min(LONGEST_TAIL)),
            raw: params.raw,
        })
    }

    fn takes(&self, batch: &LogBatch) -> bool {
        self.service.as_ref().is_none_or(|service| *service == batch.service)
            && self.since_us.is_none_or(|since| batch.wall_us >= since)
            && self.until_us.is_none_or(|until| batch.wall_us <= until)
    }
}

/// The service that a parameter names.
pub(super) fn service_of(text: &str) -> Result<ServiceId, Refusal> {
    let (project, service) =
        text.split_once('/').ok_or_else(|| Refusal::bad(format!("service={text:?}: write it as project/name")))?;
    id_of(project, service)
        .map_err(|Refusal(status, why)| Refusal(status, format!("service={text:?}: write it as project/name; {why}")))
}

pub(super) async fn logs(
    State(desk): State<Desk>,
    Params(params): Params<LogParams>,
    Extension(speaks): Extension<Speaks>,
    Extension(connection): Extension<Arc<Connection>>,
) -> Result<Response, Refusal> {
    let wanted = Wanted::of(&params, desk.handle.snapshot().at.wall_us)?;
    let question = match (wanted.raw, desk.access) {
        (false, _) => Query::Logs { service: wanted.service.clone() },
        (true, Access::Full) => {
            Query::RawLogs { service: wanted.service.clone(), origin: Origin::Api, asker: connection.peer() }
        }
        (true, Access::ReadOnly) => {
            let why = "this socket shows output without the secrets in it: raw is for the owner's own socket";
            return Err(Refusal(StatusCode::FORBIDDEN, why.to_owned()));
        }
    };
    let subscription = params.follow.then(|| desk.handle.logs.subscribe());
    if params.follow {
        connection.becomes_stream();
    }
    // What is stored is read, also where memory cannot be asked.
    let kept = if let Answer::Logs(batches) = desk.handle.query(question).await? { batches } else { Vec::new() };
    let seen = kept.iter().map(|batch| (batch.counted(), batch.first_seq)).collect();
    let service = wanted.service.clone();
    let backlog = backlog(&desk, wanted, kept).await;
    let written = desk.clone();
    let backlog = backlog.map(move |batch| line(&written.batch(&batch)));
    Ok(match subscription {
        None => ndjson(backlog),
        Some(subscription) => {
            let live = Live { subscription, service, seen, desk, speaks };
            ndjson(backlog.chain(live.lines()))
        }
    })
}

/// Lines that are not in memory.
pub(super) async fn search(State(desk): State<Desk>, Whole(body): Whole) -> Result<Json<WireFinds>, Refusal> {
    let search: LogSearch = serde_json::from_slice(&body).map_err(|error| {
        Refusal::bad(format!("the body is not a search: {error}; GET /v1/openapi.json has its form"))
    })?;
    let Answer::Found(finds) = desk.ask(Query::SearchLogs(search)).await? else { return Err(Refusal::odd_answer()) };
    Ok(Json((&finds).into()))
}

/// What there is already: stored batches where a range or a long tail asks for them, then those in memory.
async fn backlog(desk: &Desk, wanted: Wanted, kept: Vec<Arc<LogBatch>>) -> stream::BoxStream<'static, Arc<LogBatch>> {
    let ring: Vec<_> = kept.iter().filter(|batch| wanted.takes(batch)).cloned().collect();
    let in_memory: usize = ring.iter().map(|batch| batch.lines.len()).sum();
    let ranged = wanted.since_us.is_some() || wanted.until_us.is_some();
    let stored = desk.stored.clone().filter(|_| match wanted.tail {
        Some(tail) => in_memory < tail,
        None => ranged,
    });
    let begins = beginnings(&kept);
    let veil = if wanted.raw { Veil::none() } else { desk.handle.logs.veil().clone() };
    let older = stored.map(|stored| read_stored(stored, &wanted, begins, veil));
    match (older, wanted.tail) {
        (None, None) => stream::iter(ring).boxed(),
        (Some(older), None) => older.chain(stream::iter(ring)).boxed(),
        (older, Some(tail)) => {
            let mut newest = Tail::of(tail);
            if let Some(mut older) = older {
                while let Some(batch) = older.next().await {
                    newest.push(batch);
                }
            }
            for batch in ring {
                newest.push(batch);
            }
            stream::iter(newest.batches).boxed()
        }
    }
}

/// Where the memory of each source of a service begins: what is stored from there on is in memory, too.
fn beginnings(kept: &[Arc<LogBatch>]) -> HashMap<Counted, (u64, i64)> {
    let mut begins = HashMap::new();
    for batch in kept {
        begins.entry(batch.counted()).or_insert((batch.first_seq, batch.wall_us));
    }
    begins
}

/// Reads what is stored on a thread that may wait for the disk; a reader that leaves ends it.
fn read_stored(
    stored: Arc<dyn StoredLogs>,
    wanted: &Wanted,
    begins: HashMap<Counted, (u64, i64)>,
    veil: Veil,
) -> stream::BoxStream<'static, Arc<LogBatch>> {
    let (batches, read) = mpsc::channel(AHEAD);
    let range = StoredRange {
        services: wanted.service.iter().cloned().collect(),
        since_us: wanted.since_us,
        until_us: wanted.until_us,
        tail: wanted.tail,
    };
    tokio::task::spawn_blocking(move || {
        let mut passage = veil.passage();
        let ended = stored.read(&range, &mut |batch| {
            let shown = passage.as_mut().and_then(|passage| passage.changed(batch));
            let batch = shown.as_ref().unwrap_or(batch);
            let known = begins.get(&batch.counted());
            let Some(batch) = before(batch, known.copied()) else { return ControlFlow::Continue(()) };
            match batches.blocking_send(Arc::new(batch)) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_left) => ControlFlow::Break(()),
            }
        });
        if let Err(why) = ended {
            tracing::warn!("stored output cannot be read: {why}");
        }
    });
    stream::unfold(read, |mut read| async { read.recv().await.map(|batch| (batch, read)) }).boxed()
}

/// The part of a stored batch that memory does not hold.
fn before(batch: &LogBatch, begin: Option<(u64, i64)>) -> Option<LogBatch> {
    let Some((first, wall_us)) = begin else { return Some(batch.clone()) };
    let older = usize::try_from(first.saturating_sub(batch.first_seq)).unwrap_or(usize::MAX).min(batch.lines.len());
    // Numbers that begin anew after the state was lost: the time tells.
    if older == 0 && batch.wall_us < wall_us {
        return Some(batch.clone());
    }
    (older > 0).then(|| LogBatch { lines: batch.lines[..older].into(), ..batch.clone() })
}

/// The newest lines, whole batches but for the first.
struct Tail {
    batches: VecDeque<Arc<LogBatch>>,
    lines: usize,
    wanted: usize,
}

impl Tail {
    const fn of(wanted: usize) -> Self {
        Self { batches: VecDeque::new(), lines: 0, wanted }
    }

    fn push(&mut self, batch: Arc<LogBatch>) {
        self.lines += batch.lines.len();
        self.batches.push_back(batch);
        while self.lines > self.wanted {
            let Some(first) = self.batches.pop_front() else { return };
            let excess = self.lines - self.wanted;
            self.lines -= first.lines.len();
            if let Some(rest) = without_first(&first, excess) {
                self.lines += rest.lines.len();
                self.batches.push_front(Arc::new(rest));
            }
        }
    }
}

/// A batch without its first lines; none where nothing is left.
pub(super) fn without_first(batch: &LogBatch, lines: usize) -> Option<LogBatch> {
    let rest = batch.lines.get(lines..).filter(|rest| !rest.is_empty())?;
    Some(LogBatch { first_seq: batch.first_seq + lines as u64, lines: rest.into(), ..batch.clone() })
}

/// Live batches of one service or all, without those that the backlog already held.
struct Live {
    subscription: LogSubscription,
    service: Option<ServiceId>,
    seen: HashSet<(Counted, u64)>,
    desk: Desk,
    speaks: Speaks,
}

impl Live {
    fn lines(self) -> impl Stream<Item = Bytes> + Send + 'static {
        stream::unfold(self, |mut live| async { Some((live.next().await?, live)) })
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let news = tokio::select! {
                () = self.desk.ended.cancelled() => return None,
                news = self.subscription.next() => news?,
            };
            match news {
                LogNews::Batch(batch) => {
                    let wanted = self.service.as_ref().is_none_or(|service| *service == batch.service);
                    let twice = !self.seen.is_empty() && self.seen.remove(&(batch.counted(), batch.first_seq));
                    if wanted && !twice {
                        return Some(line(&self.desk.batch(&batch)));
                    }
                }
                // The version before has no word for it: the gap in `first_seq` tells its clients.
                LogNews::Missed { batches } if self.speaks.0 >= VERSION => {
                    return Some(line(&json(&Gap { missed: batches })));
                }
                LogNews::Missed { .. } => {}
            }
        }
    }
}
