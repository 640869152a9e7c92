//! `GET /v1/live`: one WebSocket for all that moves, and for requests. Promise: a client that does not read costs one message and is let
//! go after a few seconds; one that reads slowly is told what it missed. Never: a queue of output for one client.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    body::Bytes,
    extract::{
        State,
        ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior},
};

use super::{
    act,
    connection::Connection,
    desk::{Access, Desk, json},
    entries::News,
    logs::service_of,
    refusal::{Params, Refusal, Speaks},
    wire::{LiveAsk, LiveNews, VERSION},
};
use crate::{
    host::handle::LogSubscription,
    model::{ids::ServiceId, log::LogNews, policy::Asker, snapshot::Snapshot},
};

/// Least time between two pictures.
const PICTURE_EVERY: Duration = Duration::from_millis(100);

/// How often a client is asked whether it is there, and how long it may say nothing.
const PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_mins(1));

/// Bytes of one message of a client, and of what waits to be written to it.
pub(super) const MESSAGE_LIMIT: usize = 1024 * 1024;

/// Requests of one client that may be under way.
const UNDER_WAY: usize = 64;

/// Parameters of `GET /v1/live`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LiveParams {
    /// Output of this service, too (`project/name`), or of all (`*`).
    logs: Option<String>,
}

/// Whose output.
enum Output {
    None,
    All(LogSubscription),
    Of(LogSubscription, ServiceId),
}

/// An upgrade, or the sentence why it is none.
pub(super) fn upgrade(
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<WebSocketUpgrade, Refusal> {
    let upgrade = upgrade.map_err(|error| {
        Refusal(error.status(), format!("this is a WebSocket (RFC 6455), not a document: {}", error.body_text()))
    })?;
    Ok(upgrade.max_message_size(MESSAGE_LIMIT).max_frame_size(MESSAGE_LIMIT).write_buffer_size(0))
}

pub(super) async fn live(
    State(desk): State<Desk>,
    Params(params): Params<LiveParams>,
    Extension(speaks): Extension<Speaks>,
    Extension(connection): Extension<Arc<Connection>>,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refusal> {
    let output = match params.logs.as_deref() {
        None => Output::None,
        Some("*") => Output::All(desk.handle.logs.subscribe()),
        Some(text) => {
            let service = service_of(text)?;
            Output::Of(desk.handle.logs.subscribe(), service)
        }
    };
    if speaks.0 < VERSION {
        return Err(Refusal::bad(format!("the live feed came with version {VERSION} of the interface")));
    }
    let socket = upgrade(socket)?;
    connection.becomes_stream();
    let asker = connection.peer();
    Ok(socket.on_upgrade(move |socket| Session::new(desk, socket, output, asker).run()))
}

/// One client.
struct Session {
    desk: Desk,
    socket: WebSocket,
    output: Output,
    asker: Option<Asker>,
    pictures: watch::Receiver<Arc<Snapshot>>,
    news: News,
    replies: (mpsc::Sender<LiveNews>, mpsc::Receiver<LiveNews>),
    next_picture: Instant,
    heard: Instant,
}

/// What woke it.
enum Wake {
    Picture,
    Output(LogNews),
    Reply(LiveNews),
    Message(Message),
    Ping,
    Over,
}

/// The client has left, or is let go.
struct Gone;

impl Session {
    fn new(desk: Desk, socket: WebSocket, output: Output, asker: Option<Asker>) -> Self {
        let mut pictures = desk.handle.snapshots.clone();
        let last = pictures.borrow().timeline.last().map_or(0, |entry| entry.seq);
        pictures.mark_changed();
        let now = Instant::now();
        Self {
            desk,
            socket,
            output,
            asker,
            pictures,
            news: News { last },
            replies: mpsc::channel(UNDER_WAY),
            next_picture: now,
            heard: now,
        }
    }

    async fn run(mut self) {
        let mut ping = tokio::time::interval(PING.0);
        ping.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let wake = tokio::select! {
                () = self.desk.ended.cancelled() => Wake::Over,
                message = self.socket.recv() => message.and_then(Result::ok).map_or(Wake::Over, Wake::Message),
                Some(reply) = self.replies.1.recv() => Wake::Reply(reply),
                changed = changed(&mut self.pictures, self.next_picture) => if changed { Wake::Picture } else { Wake::Over },
                news = self.output.next() => news.map_or(Wake::Over, Wake::Output),
                _ = ping.tick() => Wake::Ping,
            };
            if self.take(wake).await.is_err() {
                break;
            }
        }
        // An error means that nobody is there to hear it.
        let _gone = tokio::time::timeout(Duration::from_secs(1), self.socket.send(Message::Close(None))).await;
    }

    async fn take(&mut self, wake: Wake) -> Result<(), Gone> {
        match wake {
            Wake::Picture => self.picture().await,
            Wake::Output(LogNews::Batch(batch)) => {
                let batch = self.desk.batch(&batch);
                self.send(&[br#"{"type":"logs","batch":"#, &batch, b"}"]).await
            }
            Wake::Output(LogNews::Missed { batches }) => {
                self.say(&LiveNews::Gap { of: "logs".to_owned(), missed: batches }).await
            }
            Wake::Reply(reply) => self.say(&reply).await,
            Wake::Message(message) => {
                self.heard = Instant::now();
                self.hear(message).await
            }
            Wake::Ping if self.heard.elapsed() > PING.1 => Err(Gone),
            Wake::Ping => self.socket.send(Message::Ping(Bytes::new())).await.map_err(|_| Gone),
            Wake::Over => Err(Gone),
        }
    }

    async fn picture(&mut self) -> Result<(), Gone> {
        let picture = Arc::clone(&self.pictures.borrow_and_update());
        self.next_picture = Instant::now() + PICTURE_EVERY;
        let written = self.desk.picture(&picture, Speaks(VERSION));
        self.send(&[br#"{"type":"snapshot","snapshot":"#, &written, b"}"]).await?;
        let (missed, entries) = self.news.of(&self.desk.handle, &picture).await;
        if missed > 0 {
            self.say(&LiveNews::Gap { of: "entries".to_owned(), missed }).await?;
        }
        if entries.is_empty() { Ok(()) } else { self.say(&LiveNews::Entries { entries }).await }
    }

    async fn hear(&mut self, message: Message) -> Result<(), Gone> {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => {
                let error = "requests are text messages".to_owned();
                return self.say(&LiveNews::Refused { id: None, error }).await;
            }
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Close(_) => return Err(Gone),
        };
        #[derive(Deserialize)]
        struct Numbered {
            id: Option<u64>,
        }
        let id = serde_json::from_str::<Numbered>(&text).ok().and_then(|numbered| numbered.id);
        let asked = match (self.desk.access, act::whole_form::<LiveAsk>(text.as_bytes())) {
            (Access::ReadOnly, _) => Err("this socket only shows: nothing was done".to_owned()),
            (Access::Full, Err(error)) => Err(format!("the message is not a request: {error}")),
            (Access::Full, Ok(asked)) => Ok(asked),
        };
        match (asked, self.replies.0.clone().try_reserve_owned()) {
            (Err(error), _) => self.say(&LiveNews::Refused { id, error }).await,
            (Ok(_), Err(_)) => {
                let error = format!("{UNDER_WAY} requests are under way: wait for replies");
                self.say(&LiveNews::Refused { id, error }).await
            }
            (Ok(LiveAsk { id, ask }), Ok(place)) => {
                let (handle, asker) = (self.desk.handle.clone(), self.asker.clone());
                tokio::spawn(async move {
                    place.send(match act::put(&handle, ask, asker).await {
                        Ok(reply) => LiveNews::Reply { id, reply },
                        Err(Refusal(_, error)) => LiveNews::Refused { id: Some(id), error },
                    });
                });
                Ok(())
            }
        }
    }

    async fn say(&mut self, news: &LiveNews) -> Result<(), Gone> {
        let text = json(news);
        self.send(&[&text]).await
    }

    /// Waits until it is written: the connection fails when the client takes nothing for too long.
    async fn send(&mut self, parts: &[&[u8]]) -> Result<(), Gone> {
        let text = Utf8Bytes::try_from(Bytes::from(parts.concat())).map_err(|_| Gone)?;
        self.socket.send(Message::Text(text)).await.map_err(|_| Gone)
    }
}

/// Waits for another picture, and until it may be sent; false where none will come.
async fn changed(pictures: &mut watch::Receiver<Arc<Snapshot>>, not_before: Instant) -> bool {
    tokio::time::sleep_until(not_before).await;
    pictures.changed().await.is_ok()
}

impl Output {
    /// What comes next of what is wanted; nothing for ever where nothing is.
    async fn next(&mut self) -> Option<LogNews> {
        match self {
            Self::None => std::future::pending().await,
            Self::All(subscription) => subscription.next().await,
            Self::Of(subscription, service) => loop {
                match subscription.next().await? {
                    LogNews::Batch(batch) if batch.service != *service => {}
                    news @ (LogNews::Batch(_) | LogNews::Missed { .. }) => return Some(news),
                }
            },
        }
    }
}
