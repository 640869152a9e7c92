//! The terminal of a service in another process: bytes over a WebSocket, both ways.

use axum::body::{Body, Bytes};
use futures_util::{SinkExt, StreamExt};
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

use super::remote::{ConnectError, Remote};
use crate::{api::wire::WindowSize, host::handle::TtyInput, model::ids::ServiceId};

/// A connection that has become a WebSocket.
type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// Any sixteen bytes (RFC 6455, 4.1): they keep caches from answering, and there are none on a Unix socket.
const KEY: &str = "Y2FzIHR0eSBhdHRhY2ghIQ==";

/// Attaches; the engine's own sentence where it refuses.
pub(super) async fn attach(remote: &Remote, service: &ServiceId) -> Result<Socket, ConnectError> {
    let path = format!("/v1/services/{}/{}/tty", service.project, service.service);
    let request = remote
        .request(Method::GET, &path)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", KEY);
    let response = remote.open(request, Body::empty()).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(remote.unusable(format!("{} instead of a terminal", response.status())));
    }
    let upgraded = hyper::upgrade::on(response).await.map_err(|error| remote.unusable(error.to_string()))?;
    Ok(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await)
}

/// Carries bytes both ways until either side ends.
pub(super) async fn carry(socket: Socket, mut input: mpsc::Receiver<TtyInput>, output: mpsc::Sender<Vec<u8>>) {
    let (mut to, mut from) = socket.split();
    loop {
        let going_on = tokio::select! {
            typed = input.recv() => match typed.map(message) {
                Some(message) => to.send(message).await.is_ok(),
                None => false,
            },
            written = from.next() => match written {
                Some(Ok(Message::Binary(bytes))) => output.send(bytes.to_vec()).await.is_ok(),
                Some(Ok(Message::Ping(bytes))) => to.send(Message::Pong(bytes)).await.is_ok(),
                Some(Ok(Message::Text(_) | Message::Pong(_) | Message::Frame(_))) => true,
                Some(Ok(Message::Close(_)) | Err(_)) | None => false,
            },
            () = output.closed() => false,
        };
        if !going_on {
            break;
        }
    }
    // An error means that the other side has closed already.
    let _closed = to.send(Message::Close(None)).await;
}

fn message(input: TtyInput) -> Message {
    match input {
        TtyInput::Bytes(bytes) => Message::Binary(Bytes::from(bytes)),
        TtyInput::Resize { rows, cols } => {
            Message::Text(serde_json::to_string(&WindowSize { rows, cols }).unwrap_or_default().into())
        }
    }
}
