//! `GET /v1/services/{project}/{service}/tty`: the terminal of a service over a WebSocket, bytes as they are. Never interprets them.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    body::Bytes,
    extract::{
        State,
        ws::{Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::StatusCode,
    response::Response,
};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::{mpsc, oneshot};

use super::{
    connection::Connection,
    desk::Desk,
    live::upgrade,
    read::known,
    refusal::{Named, Refusal},
    wire::WindowSize,
};
use crate::host::handle::{Call, TtyInput};

/// Messages that may wait in either direction; more make the sender wait.
pub(super) const AHEAD: usize = 64;

/// The engine says by then whether it is attached.
const ATTACHED_WITHIN: Duration = Duration::from_secs(10);

pub(super) async fn attach(
    State(desk): State<Desk>,
    Named((project, service)): Named<(String, String)>,
    Extension(connection): Extension<Arc<Connection>>,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refusal> {
    let service = known(&desk, &project, &service)?;
    let socket = upgrade(socket)?;
    let (typed, input) = mpsc::channel(AHEAD);
    let (output, written) = mpsc::channel(AHEAD);
    let (answer, answered) = oneshot::channel();
    let call = Call::Tty { service, input, output, answer };
    let gone = || Refusal::unavailable("the engine has ended");
    desk.handle.calls.send(call).await.map_err(|_| gone())?;
    match tokio::time::timeout(ATTACHED_WITHIN, answered).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(why))) => return Err(Refusal(StatusCode::CONFLICT, why)),
        Ok(Err(_)) => return Err(gone()),
        Err(_) => return Err(Refusal::unavailable("the engine does not answer")),
    }
    connection.becomes_stream();
    Ok(socket.on_upgrade(move |socket| carry(desk, socket, typed, written)))
}

/// Carries bytes both ways until either side ends; neither way waits for the other. Dropping `typed` lets go of the terminal.
async fn carry(desk: Desk, socket: WebSocket, typed: mpsc::Sender<TtyInput>, mut written: mpsc::Receiver<Vec<u8>>) {
    let (mut to, mut from) = socket.split();
    let shown = async {
        while let Some(bytes) = written.recv().await {
            if to.send(Message::Binary(Bytes::from(bytes))).await.is_err() {
                return;
            }
        }
    };
    let taken = async {
        while let Some(Ok(message)) = from.next().await {
            if let Some(input) = input(message)
                && typed.send(input).await.is_err()
            {
                // The terminal takes no more; what it shows last is on its way.
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = desk.ended.cancelled() => {}
        () = shown => {}
        () = taken => {}
    }
    // An error means that nobody is there to hear it.
    let _gone = tokio::time::timeout(Duration::from_secs(1), to.send(Message::Close(None))).await;
}

/// What a message means for the terminal; pings, and a size that cannot be read, mean nothing.
fn input(message: Message) -> Option<TtyInput> {
    match message {
        Message::Binary(bytes) => Some(TtyInput::Bytes(bytes.to_vec())),
        Message::Text(text) => {
            serde_json::from_str(&text).ok().map(|WindowSize { rows, cols }| TtyInput::Resize { rows, cols })
        }
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) => None,
    }
}
