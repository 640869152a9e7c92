//! WebSocket (RFC 6455: <https://www.rfc-editor.org/rfc/rfc6455>): a handshake, a ping, a good-bye.
//!
//! Options of the target: `echo` (a text that is sent and must come back as it is) and `subprotocol` (what is asked for and must be agreed on); all
//! others are the query of the URL. Credentials go into the header `authorization`: as basic ones, or a bearer token where no user is named.
//!
//! Never: sends a message that was not asked for, follows a redirect, or reads messages of more than 1 MiB.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        error::ProtocolError,
        handshake::client::Request,
        http::{HeaderValue, StatusCode, header},
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};

use crate::{
    model::exam::{Measure, Reading, Target, Trouble},
    world::clock,
};

use super::{
    wire::{self, Connection},
    words,
};

const MOST_BYTES: usize = 1 << 20;
/// Messages of others that may come before the one that is waited for.
const MOST_OTHERS: usize = 1000;
/// How long a good-bye may take; the server has proved already that it serves.
const GOODBYE: Duration = Duration::from_secs(1);
const OURS: [&str; 2] = ["echo", "subprotocol"];

/// A connection that was agreed on.
pub(in crate::world) struct Session {
    pub(in crate::world) stream: WebSocketStream<Connection>,
    server: Option<String>,
    /// Seconds from the connection to the agreement.
    handshake: f64,
}

pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    let mut session = open(target).await?;
    ping(&mut session, target).await?;
    echo(&mut session, target).await?;
    close(session).await;
    Ok(())
}

pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let mut session = open(target).await?;
    let mut reading = Reading { server: session.server.clone(), ..Reading::default() };
    reading.measure(Measure::new("handshake", session.handshake));
    reading.measure(Measure::new("latency", ping(&mut session, target).await?));
    if let Some(took) = echo(&mut session, target).await? {
        reading.measure(Measure::new("echo", took));
    }
    close(session).await;
    Ok(reading)
}

/// Connects and agrees on the protocol.
pub(in crate::world) async fn open(target: &Target) -> Result<Session, Trouble> {
    let request = request(target)?;
    let begun = clock::now();
    let connection = wire::connect(target).await?;
    let config = WebSocketConfig::default().max_message_size(Some(MOST_BYTES)).max_frame_size(Some(MOST_BYTES));
    let (stream, answer) =
        client_async_with_config(request, connection, Some(config)).await.map_err(|error| explain(&error, target))?;
    let server = answer.headers().get(header::SERVER).and_then(|server| server.to_str().ok()).map(words::said);
    Ok(Session { stream, server, handshake: words::seconds_since(begun) })
}

fn request(target: &Target) -> Result<Request, Trouble> {
    let wrong = |what: &str| Trouble::Refused(format!("{} cannot be asked: {what}", target.place()));
    let scheme = if target.tls { "wss" } else { "ws" };
    let query: Vec<_> = target
        .options
        .iter()
        .filter(|(name, _)| !OURS.contains(&name.as_str()))
        .map(|(name, value)| format!("{}={}", words::encoded(name), words::encoded(value)))
        .collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let url = format!("{scheme}://{}/{}{query}", target.place(), target.path);
    let mut request = url.as_str().into_client_request().map_err(|error| wrong(&error.to_string()))?;
    let headers = request.headers_mut();
    if let Some(wanted) = target.options.get("subprotocol") {
        let wanted = HeaderValue::from_str(wanted).map_err(|_| wrong("the option subprotocol is no header"))?;
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, wanted);
    }
    if let Some(password) = &target.password {
        let credentials = match &target.user {
            Some(user) => format!("Basic {}", words::base64(format!("{user}:{}", password.0).as_bytes())),
            None => format!("Bearer {}", password.0),
        };
        let credentials = HeaderValue::from_str(&credentials).map_err(|_| wrong("its token is no header"))?;
        headers.insert(header::AUTHORIZATION, credentials);
    }
    Ok(request)
}

/// A ping and its answer; how long that took, in seconds.
async fn ping(session: &mut Session, target: &Target) -> Result<f64, Trouble> {
    let begun = clock::now();
    let payload = format!("cas {}", begun.mono_us);
    send(session, Message::Ping(payload.clone().into()), target).await?;
    wait(
        session,
        target,
        "a ping",
        |message| matches!(message, Message::Pong(bytes) if bytes[..] == *payload.as_bytes()),
    )
    .await?;
    Ok(words::seconds_since(begun))
}

/// The text that must come back; how long it took, in seconds. None where none is asked for.
async fn echo(session: &mut Session, target: &Target) -> Result<Option<f64>, Trouble> {
    let Some(text) = target.options.get("echo") else { return Ok(None) };
    let begun = clock::now();
    send(session, Message::text(text.clone()), target).await?;
    wait(
        session,
        target,
        "the text that it should send back",
        |message| matches!(message, Message::Text(bytes) if bytes.as_str() == text),
    )
    .await?;
    Ok(Some(words::seconds_since(begun)))
}

async fn send(session: &mut Session, message: Message, target: &Target) -> Result<(), Trouble> {
    session.stream.send(message).await.map_err(|error| explain(&error, target))
}

async fn wait(
    session: &mut Session,
    target: &Target,
    to: &str,
    wanted: impl Fn(&Message) -> bool,
) -> Result<(), Trouble> {
    let place = target.place();
    for _ in 0..MOST_OTHERS {
        match session.stream.next().await {
            None => {
                return Err(Trouble::Unreachable(format!("{place} closed the connection instead of answering {to}")));
            }
            Some(Err(error)) => return Err(explain(&error, target)),
            Some(Ok(Message::Close(frame))) => return Err(closed(frame.as_ref(), target)),
            Some(Ok(message)) if wanted(&message) => return Ok(()),
            Some(Ok(
                Message::Text(_) | Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_),
            )) => {}
        }
    }
    Err(Trouble::Unready(format!("{place} sends {MOST_OTHERS} messages and no answer to {to}")))
}

/// Codes: section 7.4.1, and IANA's registry for 1012 to 1014.
fn closed(frame: Option<&CloseFrame>, target: &Target) -> Trouble {
    let place = target.place();
    let Some(frame) = frame else {
        return Trouble::Unready(format!("{place} ends the connection without a reason"));
    };
    let (code, why) = (u16::from(frame.code), words::hushed(frame.reason.as_str(), target));
    match code {
        1008 | 3000 | 3003 | 4401 | 4403 => Trouble::Refused(format!("{place} refuses the connection: {code} {why}")),
        1013 => Trouble::Busy(format!("{place} has too much to do: {code} {why}")),
        1002 | 1003 | 1007 => Trouble::Foreign(format!("{place} does not take what it is sent: {code} {why}")),
        _ => Trouble::Unready(format!("{place} ends the connection: {code} {why}")),
    }
}

/// A close frame, and the one that answers it.
async fn close(mut session: Session) {
    let frame = CloseFrame { code: CloseCode::Normal, reason: "done".into() };
    let goodbye = async {
        session.stream.close(Some(frame)).await?;
        for _ in 0..MOST_OTHERS {
            match session.stream.next().await {
                Some(Ok(_late)) => {}
                None | Some(Err(_)) => break,
            }
        }
        Ok::<(), Error>(())
    };
    // It has served; whether it hears the good-bye is its matter.
    let _heard = timeout(GOODBYE, goodbye).await;
}

fn explain(error: &Error, target: &Target) -> Trouble {
    let place = target.place();
    match error {
        Error::Io(error) => wire::broken(error, target),
        Error::Http(answer) => {
            let status = answer.status();
            match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    let key = words::with_credentials(if target.tls { "wss" } else { "ws" }, target);
                    let hint = if target.password.is_some() { String::new() } else { format!("; {key}") };
                    Trouble::Refused(format!("{place} refuses the handshake: status {status}{hint}"))
                }
                StatusCode::TOO_MANY_REQUESTS => Trouble::Busy(format!("{place} has too much to do: status {status}")),
                StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                    Trouble::Unready(format!("{place} says that it cannot serve: status {status}"))
                }
                _ => {
                    let moved = answer.headers().get(header::LOCATION).and_then(|to| to.to_str().ok()).map(words::said);
                    let moved = moved.map(|to| format!(", moved to {to}")).unwrap_or_default();
                    let path = words::said(&target.path);
                    let wanted = target.options.get("subprotocol").map(|wanted| words::said(wanted));
                    let wanted =
                        wanted.map(|wanted| format!(", or none with the subprotocol {wanted}")).unwrap_or_default();
                    Trouble::Foreign(format!("{place} serves no WebSocket at /{path}{wanted}: status {status}{moved}"))
                }
            }
        }
        Error::ConnectionClosed | Error::AlreadyClosed => {
            Trouble::Unreachable(format!("{place} closed the connection without an answer"))
        }
        Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(why)) => {
            let wanted = target.options.get("subprotocol").map(|wanted| words::said(wanted)).unwrap_or_default();
            Trouble::Foreign(format!("{place} does not agree on the subprotocol \"{wanted}\": {why}"))
        }
        Error::Protocol(ProtocolError::HandshakeIncomplete | ProtocolError::ResetWithoutClosingHandshake) => {
            Trouble::Unreachable(format!("{place} closed the connection without an answer"))
        }
        Error::Tls(_)
        | Error::Capacity(_)
        | Error::Protocol(_)
        | Error::WriteBufferFull(_)
        | Error::Utf8(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::HttpFormat(_) => {
            Trouble::Foreign(format!("{place} does not speak WebSocket: {}", words::said(&error.to_string())))
        }
    }
}
