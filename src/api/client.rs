//! The calling side: a [`Handle`] on an engine in another process.
//!
//! Promise: the engine may end and another come in its place; the handle finds it on the same socket, and nothing of the timeline or of
//! the output that is still to be had is lost or comes twice.

mod output;
mod remote;
mod timeline;
mod tty;

use std::{path::Path, sync::Arc, time::Duration};

use axum::body::Body;
use hyper::Method;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

pub use self::remote::ConnectError;
use self::{
    output::Had,
    remote::Remote,
    timeline::{Missing, Numbering, Timeline},
};
use super::wire::{Ask, LogNewsLine, ShellView, WireBatch};
use crate::{
    host::handle::{Call, Departure, Handle, Link, LogFeed, REQUEST_CAPACITY},
    model::{
        deed::DiskUse,
        log::LogBatch,
        log_file::LogFileView,
        policy::{Reply, Request},
        query::{Answer, Query},
        snapshot::Snapshot,
        time::Timestamp,
        timeline::Entry,
    },
};

/// Pauses between tries to reach a lost engine: first and longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// Pictures come at least once a second; an engine that has sent none for so long hangs.
const PICTURE_WITHIN: Duration = Duration::from_secs(15);

/// Entries that are asked for after a break.
const MISSED_ENTRIES: usize = 2000;

/// Output from so long before the first picture is asked for as it comes; what is older is asked for with [`Query::Logs`].
const BEFORE_FIRST_US: i64 = 2_000_000;

/// Connects to the engine on `socket` and waits for its first picture. `now` is the clock, for what is shown of a lost link.
///
/// # Errors
/// [`ConnectError`]. Nothing is sent to a process of another user.
pub async fn connect(socket: &Path, now: fn() -> Timestamp) -> Result<Handle, ConnectError> {
    let remote = Remote::new(socket);
    let hello = remote.greet().await?;
    tracing::debug!(pid = hello.pid, version = hello.version, "connected");
    let mut first: Snapshot = remote.get("/v1/snapshot").await?;
    let mut timeline = Timeline::default();
    let (numbers, numbering) = watch::channel(timeline.join(&mut first, Vec::new()));
    let since_us = first.at.wall_us.saturating_sub(BEFORE_FIRST_US);

    let (calls, door) = mpsc::channel(REQUEST_CAPACITY);
    let (snapshots, pictures) = watch::channel(Arc::new(first));
    let (link, linked) = watch::channel(Link::Connected);
    let logs = LogFeed::new();
    tokio::spawn(serve_calls(remote.clone(), door, numbering));
    tokio::spawn(Follower { remote: remote.clone(), snapshots, link, timeline, numbers, now }.run());
    tokio::spawn(follow_logs(remote, logs.clone(), linked.clone(), since_us));
    Ok(Handle { calls, snapshots: pictures, logs, link: linked })
}

/// The document at `path` of the engine on `socket`, whatever it holds.
///
/// # Errors
/// [`ConnectError`].
pub async fn fetch(socket: &Path, path: &str) -> Result<serde_json::Value, ConnectError> {
    Remote::new(socket).get(path).await
}

/// Follows the pictures.
struct Follower {
    remote: Remote,
    snapshots: watch::Sender<Arc<Snapshot>>,
    link: watch::Sender<Link>,
    timeline: Timeline,
    numbers: watch::Sender<Numbering>,
    now: fn() -> Timestamp,
}

impl Follower {
    async fn run(mut self) {
        let mut pause = RETRY.0;
        let mut lost: Option<Timestamp> = None;
        while !self.snapshots.is_closed() {
            let ended = self.follow(&mut pause, &mut lost).await;
            tracing::debug!("the stream of pictures ended: {ended:?}");
            let since = *lost.get_or_insert_with(self.now);
            self.link.send_replace(Link::Retrying { since, next: (self.now)().plus(pause) });
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.snapshots.closed() => return,
            }
            pause = (pause * 2).min(RETRY.1);
        }
    }

    /// One stream until it ends.
    async fn follow(&mut self, pause: &mut Duration, lost: &mut Option<Timestamp>) -> Result<(), ConnectError> {
        if lost.is_some() {
            // Another cas may have come up there.
            self.remote.greet().await?;
        }
        let mut lines = self.remote.lines("/v1/snapshots").await?;
        loop {
            let next = tokio::select! {
                next = tokio::time::timeout(PICTURE_WITHIN, lines.next()) => next,
                () = self.snapshots.closed() => return Ok(()),
            };
            let Ok(next) = next else { return Err(self.remote.unusable("it hangs")) };
            let Some(mut picture) = next? else { return Ok(()) };
            let found = self.missed(&picture).await?;
            self.numbers.send_replace(self.timeline.join(&mut picture, found));
            *pause = RETRY.0;
            self.snapshots.send_replace(Arc::new(picture));
            if lost.take().is_some() {
                self.link.send_replace(Link::Connected);
            }
        }
    }

    /// The entries that no picture held.
    async fn missed(&self, picture: &Snapshot) -> Result<Vec<Entry>, ConnectError> {
        let range = match self.timeline.missing(picture) {
            Missing::Nothing => return Ok(Vec::new()),
            Missing::After(seq) => format!("since_seq={seq}"),
            Missing::Since(wall_us) => format!("since={wall_us}"),
        };
        self.remote.get(&format!("/v1/entries?limit={MISSED_ENTRIES}&{range}")).await
    }
}

async fn follow_logs(remote: Remote, logs: LogFeed, mut link: watch::Receiver<Link>, mut since_us: i64) {
    let mut had = Had::default();
    let mut pause = RETRY.0;
    loop {
        let ended = tokio::select! {
            ended = follow_output(&remote, &logs, &mut had, since_us, &mut pause) => ended,
            // A stream may be silent for ever: whoever asked for it has left.
            () = has_left(&mut link) => return,
        };
        tracing::debug!("the stream of output ended: {ended:?}");
        since_us = had.since_us().unwrap_or(since_us);
        // No sooner than the pictures are back: they greet, and say when nobody listens any more.
        tokio::time::sleep(pause).await;
        if link.wait_for(|link| *link == Link::Connected).await.is_err() {
            return;
        }
        pause = (pause * 2).min(RETRY.1);
    }
}

/// Returns when the client has dropped its handle.
async fn has_left(link: &mut watch::Receiver<Link>) {
    while link.changed().await.is_ok() {}
}

async fn follow_output(
    remote: &Remote,
    logs: &LogFeed,
    had: &mut Had,
    since_us: i64,
    pause: &mut Duration,
) -> Result<(), ConnectError> {
    let mut lines = remote.lines(&format!("/v1/logs?follow=true&since={since_us}")).await?;
    while let Some(news) = lines.next().await? {
        *pause = RETRY.0;
        match news {
            LogNewsLine::Batch(batch) => {
                let new = had.take(batch.into());
                if new.gap {
                    logs.publish_missed(1);
                }
                if let Some(batch) = new.batch {
                    logs.publish(batch);
                }
            }
            LogNewsLine::Gap(gap) => logs.publish_missed(gap.missed),
        }
    }
    Ok(())
}

/// Carries calls over, several at a time, until the client has dropped its handle.
async fn serve_calls(remote: Remote, mut door: mpsc::Receiver<Call>, numbering: watch::Receiver<Numbering>) {
    let mut under_way = JoinSet::new();
    while let Some(call) = door.recv().await {
        while under_way.try_join_next().is_some() {}
        let (remote, numbering) = (remote.clone(), *numbering.borrow());
        under_way.spawn(async move { carry(&remote, numbering, call).await });
    }
    while under_way.join_next().await.is_some() {}
}

async fn carry(remote: &Remote, numbering: Numbering, call: Call) {
    // In each arm, an error of `send` means that the asker has left.
    match call {
        Call::Request { request, reply } => {
            let Request { command, origin, consent, if_rev, .. } = request;
            let ask = Ask { command, origin, consent, if_rev };
            let said = ask_over(remote, &ask).await.unwrap_or_else(|error| {
                let hint = match &error {
                    ConnectError::Refused(_) => None,
                    ConnectError::Absent(_) | ConnectError::Unusable { .. } => {
                        Some("the engine may be restarting: try again".to_owned())
                    }
                };
                Reply::Refused { reason: error.to_string(), hint }
            });
            let _left = reply.send(said);
        }
        Call::Query { query, answer } => {
            let _left = answer.send(answer_over(remote, numbering, query).await);
        }
        Call::Leave { departure, done } => {
            leave_over(remote, departure).await;
            let _left = done.send(());
        }
        Call::Tty { service, input, output, answer } => match tty::attach(remote, &service).await {
            Ok(socket) => {
                if answer.send(Ok(())).is_ok() {
                    tty::carry(socket, input, output).await;
                }
            }
            Err(error) => {
                let _left = answer.send(Err(error.to_string()));
            }
        },
    }
}

/// However long it takes: services have their own grace times. The engine may end before its answer is out, so that an error means
/// the same; one that refuses goes on, as its pictures show.
async fn leave_over(remote: &Remote, departure: Departure) {
    let path = match departure {
        Departure::StopAll => "/v1/leave",
        // The first version knows no other way to end than to stop everything.
        Departure::LeaveRunning if remote.speaks() < 2 => {
            tracing::warn!("this engine cannot leave services running: it was not asked to end");
            return;
        }
        Departure::LeaveRunning => "/v1/leave?departure=leave-running",
        Departure::Halt => "/v1/leave?departure=halt",
    };
    let answered = async {
        let response = remote.open(remote.request(Method::POST, path), Body::empty()).await?;
        axum::body::to_bytes(Body::new(response.into_body()), 0)
            .await
            .map_err(|error| remote.unusable(error.to_string()))
    };
    if let Err(error) = answered.await {
        tracing::info!("the engine was asked to end: {error}");
    }
}

async fn ask_over(remote: &Remote, ask: &Ask) -> Result<Reply, ConnectError> {
    let body = serde_json::to_vec(ask).map_err(|error| remote.unusable(error.to_string()))?;
    remote.fetch(remote.request(Method::POST, "/v1/requests"), Body::from(body)).await
}

async fn answer_over(remote: &Remote, numbering: Numbering, query: Query) -> Answer {
    let answered = match query {
        Query::Logs { service } => {
            let path = service.map_or_else(|| "/v1/logs".to_owned(), |service| format!("/v1/logs?service={service}"));
            whole_output(remote, &path).await.map(Answer::Logs)
        }
        Query::RawLogs { service, origin: _, asker: _ } => {
            let of = service.map_or_else(String::new, |service| format!("&service={service}"));
            whole_output(remote, &format!("/v1/logs?raw=true{of}")).await.map(Answer::Logs)
        }
        Query::Entries { limit } => {
            let entries = remote.get::<Vec<Entry>>(&format!("/v1/entries?limit={limit}")).await;
            entries.map(|entries| Answer::Entries(entries.into_iter().map(|entry| numbering.shown(entry)).collect()))
        }
        Query::Disk => remote.get::<DiskUse>("/v1/disk").await.map(|disk| Answer::Disk(Arc::new(disk))),
        Query::LogFiles { service } => {
            let of = service.map_or_else(String::new, |service| format!("?service={service}"));
            remote.get::<Vec<LogFileView>>(&format!("/v1/log-files{of}")).await.map(Answer::LogFiles)
        }
        Query::ShellContext { service } => {
            let path = format!("/v1/services/{}/{}/shell", service.project, service.service);
            let shell = remote.get::<ShellView>(&path).await;
            shell.map(|ShellView { working_dir, environment, secrets }| Answer::ShellContext {
                working_dir,
                environment,
                secrets,
            })
        }
    };
    answered.unwrap_or_else(|error| Answer::Unavailable(error.to_string()))
}

async fn whole_output(remote: &Remote, path: &str) -> Result<Vec<Arc<LogBatch>>, ConnectError> {
    let mut lines = remote.lines(path).await?;
    let mut batches = Vec::new();
    while let Some(batch) = lines.next::<WireBatch>().await? {
        batches.push(batch.into());
    }
    Ok(batches)
}
