//! Against the server half of tungstenite 0.29, and answers of HTTP as RFC 6455 (section 4.2.2) has them.

use std::{io::Read, net::TcpListener, thread};

use cas::model::exam::{Hidden, Protocol, Target, Trouble};
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{assert_known, serve, speaker, with};
use crate::kinds::rig::{at, figure, look, ready};

const WEBSOCKET: Protocol = Protocol::Websocket;

/// Who may come in: `/private` wants a token, `/full` is closed for today. `chat` is the one subprotocol.
#[expect(clippy::result_large_err, reason = "the library's own type")]
fn door(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let refused =
        |status| Err(tokio_tungstenite::tungstenite::http::Response::builder().status(status).body(None).unwrap());
    let token = request.headers().get("authorization");
    match request.uri().path() {
        "/private" if token != Some(&HeaderValue::from_static("Bearer right")) => refused(StatusCode::UNAUTHORIZED),
        "/full" => refused(StatusCode::SERVICE_UNAVAILABLE),
        "/gone" => refused(StatusCode::NOT_FOUND),
        "/query" if request.uri().query() != Some("room=a%20b") => refused(StatusCode::BAD_REQUEST),
        _ => {
            if request.headers().get("sec-websocket-protocol") == Some(&HeaderValue::from_static("chat")) {
                response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("chat"));
            }
            response.headers_mut().insert("server", HeaderValue::from_static("a socket"));
            Ok(response)
        }
    }
}

/// A server that sends texts back, and chatters before it does. It ends what a text `go away NUMBER` asks for with that code.
fn start() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let Ok(mut socket) = accept_hdr_async(stream, door).await else { return };
                    socket.send(Message::text("welcome")).await.unwrap();
                    while let Some(Ok(message)) = socket.next().await {
                        if let Message::Text(text) = message {
                            if let Some(code) = text.strip_prefix("go away ") {
                                let code = CloseCode::from(code.parse::<u16>().unwrap());
                                let frame = CloseFrame { code, reason: "as you wish".into() };
                                socket.close(Some(frame)).await.unwrap();
                            } else {
                                socket.send(Message::text("chatter")).await.unwrap();
                                socket.send(Message::Text(text)).await.unwrap();
                            }
                        }
                    }
                });
            }
        });
    });
    port
}

#[test]
fn a_socket_agrees_answers_pings_and_sends_back() {
    let target = at(start());
    assert_eq!(ready(WEBSOCKET, &target), Ok(()));
    let reading = look(WEBSOCKET, &with(&target, "echo", "hello ☕")).unwrap();
    assert_eq!(reading.server.as_deref(), Some("a socket"));
    assert!(figure(&reading, "handshake") > 0.0 && figure(&reading, "latency") > 0.0 && figure(&reading, "echo") > 0.0);
    assert_known("websocket", &reading);

    assert_eq!(ready(WEBSOCKET, &with(&target, "subprotocol", "chat")), Ok(()));
    let answer = ready(WEBSOCKET, &with(&target, "subprotocol", "mail"));
    assert!(matches!(&answer, Err(Trouble::Foreign(why)) if why.contains("mail")), "{answer:?}");
    let query = Target { path: "query".to_owned(), ..target.clone() };
    assert_eq!(ready(WEBSOCKET, &with(&query, "room", "a b")), Ok(()));
}

#[test]
fn answers_other_than_101_are_told_apart() {
    let target = at(start());
    let path = |path: &str| Target { path: path.to_owned(), ..target.clone() };
    let answer = ready(WEBSOCKET, &path("private"));
    assert!(matches!(&answer, Err(Trouble::Refused(why)) if why.contains("write check: ws://")), "{answer:?}");
    let token = Target { password: Some(Hidden("right".to_owned())), ..path("private") };
    assert_eq!(ready(WEBSOCKET, &token), Ok(()));
    let answer = ready(WEBSOCKET, &path("full"));
    assert!(matches!(answer, Err(Trouble::Unready(_))), "{answer:?}");
    let answer = ready(WEBSOCKET, &path("gone"));
    assert!(matches!(&answer, Err(Trouble::Foreign(why)) if why.contains("/gone")), "{answer:?}");
    let answer = ready(WEBSOCKET, &with(&path("gone"), "subprotocol", "chat"));
    assert!(matches!(&answer, Err(Trouble::Foreign(why)) if why.contains("subprotocol chat")), "{answer:?}");
    let page = speaker(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let answer = ready(WEBSOCKET, &at(page));
    assert!(matches!(answer, Err(Trouble::Foreign(_))), "{answer:?}");
    let moved = speaker(b"HTTP/1.1 302 Found\r\nLocation: https://other.test/\r\nContent-Length: 0\r\n\r\n");
    let answer = ready(WEBSOCKET, &at(moved));
    assert!(matches!(&answer, Err(Trouble::Foreign(why)) if why.contains("https://other.test/")), "{answer:?}");
}

#[test]
fn who_is_sent_away_is_told_why() {
    let target = at(start());
    let told = |code: &str| ready(WEBSOCKET, &with(&target, "echo", &format!("go away {code}")));
    let answer = told("1008");
    assert!(matches!(&answer, Err(Trouble::Refused(why)) if why.contains("as you wish")), "{answer:?}");
    let answer = told("1013");
    assert!(matches!(answer, Err(Trouble::Busy(_))), "{answer:?}");
    let answer = told("1001");
    assert!(matches!(answer, Err(Trouble::Unready(_))), "{answer:?}");
}

#[test]
fn who_closes_in_the_middle_of_the_handshake_is_not_reached() {
    let port = serve(|mut stream| {
        let _asked = stream.read(&mut [0; 1024]);
    });
    let answer = ready(WEBSOCKET, &at(port));
    assert!(matches!(answer, Err(Trouble::Unreachable(_))), "{answer:?}");
}
