//! Against a server that answers as <https://github.com/grpc/grpc/blob/master/doc/health-checking.md> and
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md> say.

use std::{
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

use bytes::Bytes;
use cas::model::exam::{Grade, Hidden, Protocol, Target, Trouble};
use h2::{RecvStream, server::SendResponse};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue, Request, Response};

use super::{assert_known, remark};
use crate::kinds::rig::{at, figure, look, ready};

const GRPC: Protocol = Protocol::Grpc;

/// What it answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// A status of the service `shop.Orders`: the number of `ServingStatus`. Other services are not known.
    Status(u8),
    /// A status of gRPC alone.
    Code(u16),
    /// A status of HTTP.
    Http(u16),
    /// The one that `Status(1)` gives, to who brings the right token.
    Guarded,
    /// A message that is none.
    Broken,
}

/// A server, and what it answers from now on.
fn start() -> (u16, Arc<Mutex<Answer>>) {
    let answer = Arc::new(Mutex::new(Answer::Status(1)));
    let theirs = Arc::clone(&answer);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let answer = Arc::clone(&theirs);
                tokio::spawn(async move {
                    let mut connection = h2::server::handshake(stream).await.unwrap();
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        let answer = *answer.lock().unwrap();
                        tokio::spawn(reply(request, respond, answer));
                    }
                });
            }
        });
    });
    (port, answer)
}

async fn reply(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, answer: Answer) {
    assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/grpc.health.v1.Health/Check"));
    let header = |name: &str| request.headers().get(name).cloned();
    assert_eq!(header("te"), Some(HeaderValue::from_static("trailers")));
    assert_eq!(header("content-type"), Some(HeaderValue::from_static("application/grpc")));
    let may = header("authorization") == Some(HeaderValue::from_static("Bearer right"));
    let mut body = request.into_body();
    let mut asked = Vec::new();
    while let Some(Ok(chunk)) = body.data().await {
        asked.extend_from_slice(&chunk);
    }
    let is_known = asked == [0, 0, 0, 0, 0] || asked == b"\0\0\0\0\x0D\x0A\x0Bshop.Orders";
    let head = Response::builder().header("content-type", "application/grpc").header("server", "a fake");
    let alone = |code: u16| head_only(code);
    match answer {
        Answer::Http(status) => {
            let head = Response::builder().status(status).body(()).unwrap();
            respond.send_response(head, true).map(drop).unwrap();
        }
        Answer::Code(code) => respond.send_response(alone(code), true).map(drop).unwrap(),
        Answer::Guarded if !may => respond.send_response(alone(16), true).map(drop).unwrap(),
        Answer::Status(_) if !is_known => respond.send_response(alone(5), true).map(drop).unwrap(),
        Answer::Status(_) | Answer::Guarded | Answer::Broken => {
            let message = match answer {
                Answer::Status(0) => vec![0, 0, 0, 0, 0],
                Answer::Status(status) => vec![0, 0, 0, 0, 2, 8, status],
                Answer::Guarded => vec![0, 0, 0, 0, 2, 8, 1],
                Answer::Broken | Answer::Code(_) | Answer::Http(_) => vec![0, 0, 0, 0, 99, 8, 1],
            };
            let mut stream = respond.send_response(head.body(()).unwrap(), false).unwrap();
            stream.send_data(message.into(), false).unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            stream.send_trailers(trailers).unwrap();
        }
    }
}

/// "Trailers only".
fn head_only(code: u16) -> Response<()> {
    Response::builder()
        .header("content-type", "application/grpc")
        .header("grpc-status", code)
        .header("grpc-message", "says%20why")
        .body(())
        .unwrap()
}

#[test]
fn the_health_service_says_who_serves() {
    let (port, answer) = start();
    let target = at(port);
    assert_eq!(ready(GRPC, &target), Ok(()));
    let reading = look(GRPC, &target).unwrap();
    assert_eq!((reading.server.as_deref(), figure(&reading, "serving")), (Some("a fake"), 1.0));
    assert!(reading.remarks.is_empty());
    assert_known("grpc", &reading);
    assert_eq!(ready(GRPC, &Target { path: "shop.Orders".to_owned(), ..target.clone() }), Ok(()));
    let unknown = ready(GRPC, &super::with(&target, "service", "shop.Other"));
    let Err(Trouble::Refused(why)) = unknown else { panic!("{unknown:?}") };
    assert!(why.contains("shop.Other") && why.contains("alive"), "{why}");

    for (status, word) in [(2, "NOT_SERVING"), (0, "UNKNOWN")] {
        *answer.lock().unwrap() = Answer::Status(status);
        let told = ready(GRPC, &target);
        assert!(matches!(&told, Err(Trouble::Unready(why)) if why.contains(word)), "{told:?}");
        let reading = look(GRPC, &target).unwrap();
        assert_eq!(figure(&reading, "serving"), 0.0);
        assert!(remark(&reading, "health", Grade::Critical).contains(word));
    }
}

#[test]
fn codes_of_grpc_are_told_apart() {
    let (port, answer) = start();
    let target = at(port);
    let told = |new: Answer, target: &Target| {
        *answer.lock().unwrap() = new;
        ready(GRPC, target)
    };
    let it = told(Answer::Code(12), &target);
    assert!(
        matches!(&it, Err(Trouble::Foreign(why)) if why.contains("not registered") && why.contains("says why")),
        "{it:?}"
    );
    let it = told(Answer::Guarded, &target);
    assert!(matches!(&it, Err(Trouble::Refused(why)) if why.contains("check: grpc://:TOKEN@")), "{it:?}");
    let token = Target { password: Some(Hidden("right".to_owned())), ..target.clone() };
    assert_eq!(told(Answer::Guarded, &token), Ok(()));
    for code in [7, 16] {
        let it = told(Answer::Code(code), &target);
        assert!(matches!(it, Err(Trouble::Refused(_))), "{it:?}");
    }
    let it = told(Answer::Code(8), &target);
    assert!(matches!(it, Err(Trouble::Busy(_))), "{it:?}");
    let it = told(Answer::Code(14), &target);
    assert!(matches!(it, Err(Trouble::Unready(_))), "{it:?}");
    let it = told(Answer::Broken, &target);
    assert!(matches!(it, Err(Trouble::Foreign(_))), "{it:?}");
    for status in [401, 403] {
        let it = told(Answer::Http(status), &target);
        assert!(matches!(it, Err(Trouble::Refused(_))), "{it:?}");
    }
    let it = told(Answer::Http(503), &target);
    assert!(matches!(it, Err(Trouble::Unready(_))), "{it:?}");
    let it = told(Answer::Http(404), &target);
    assert!(matches!(it, Err(Trouble::Foreign(_))), "{it:?}");
}
