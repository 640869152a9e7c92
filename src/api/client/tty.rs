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

/// Carries bytes both ways until either side ends; neither way waits for the other. What was typed before is sent.
pub(super) async fn carry(socket: Socket, mut input: mpsc::Receiver<TtyInput>, output: mpsc::Sender<Vec<u8>>) {
    let (mut to, mut from) = socket.split();
    let typed = async {
        while let Some(typed) = input.recv().await {
            if to.send(message(typed)).await.is_err() {
                // It is gone, which its other half says, after what it wrote last.
                std::future::pending::<()>().await;
            }
        }
    };
    let written = async {
        // Pings are answered where they are read.
        while let Some(Ok(message)) = from.next().await {
            match message {
                Message::Binary(bytes) => {
                    if output.send(bytes.to_vec()).await.is_err() {
                        // Nobody looks any more; what was typed before is on its way.
                        std::future::pending::<()>().await;
                    }
                }
                Message::Close(_) => return,
                Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    };
    tokio::select! {
        () = typed => {}
        () = written => {}
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
