//! One GET without TLS, as cheap as a connection of its own can be: hundreds of services may be asked each second. Never: a redirect followed, or a connection
//! kept.

use std::{error::Error, io, net::SocketAddr};

use axum::body::Body;
use futures_util::StreamExt;
use hyper::{Request, Response, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use reqwest::Url;
use tokio::net::{TcpStream, lookup_host};

use super::http::{Answer, BODY_BYTES, BODY_TIME, agent};
use crate::world::kinds::words;

/// What went wrong, to be put into words by whoever knows the URL.
pub(super) type Failure = Box<dyn Error + Send + Sync>;

/// Asks; `url` is one of `http`.
pub(super) async fn get(url: &Url) -> Result<Answer, Failure> {
    let stream = connect(url).await?;
    let (mut sender, connection) = http1::handshake::<_, Body>(TokioIo::new(stream)).await?;
    let request = request(url)?;
    let mut connection = std::pin::pin!(connection);
    let asking = async {
        let response = sender.send_request(request).await?;
        Ok::<_, Failure>(read(response).await)
    };
    let mut asking = std::pin::pin!(asking);
    tokio::select! {
        biased;
        answer = &mut asking => answer,
        // It hung up, or says more than it announced: what has come by then is the answer, if it is one.
        ended = &mut connection => match (asking.await, ended) {
            (Err(_), Err(error)) => Err(error.into()),
            (answer, _) => answer,
        },
    }
}

async fn connect(url: &Url) -> Result<TcpStream, Failure> {
    let port = url.port_or_known_default().unwrap_or(80);
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse() {
        return Ok(TcpStream::connect(SocketAddr::new(address, port)).await?);
    }
    let found = lookup_host((host, port)).await.map_err(|error| format!("dns error: {error}"))?;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    // One after the other, as a name of this machine may have an address on which nothing listens.
    for address in found {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last.into())
}

fn request(url: &Url) -> Result<Request<Body>, Failure> {
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let host = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => String::new(),
    };
    let mut request = Request::get(target)
        .header(header::HOST, host)
        .header(header::USER_AGENT, agent())
        .header(header::ACCEPT, "*/*");
    if !url.username().is_empty() || url.password().is_some() {
        let (user, password) = (words::decoded(url.username()), words::decoded(url.password().unwrap_or_default()));
        let pair = words::base64(format!("{user}:{password}").as_bytes());
        request = request.header(header::AUTHORIZATION, format!("Basic {pair}"));
    }
    Ok(request.body(Body::empty())?)
}

async fn read(response: Response<Incoming>) -> Answer {
    let status = response.status();
    let location = response.headers().get(header::LOCATION).and_then(|place| place.to_str().ok()).map(str::to_owned);
    let mut body = Vec::new();
    let reading = async {
        let mut pieces = Body::new(response.into_body()).into_data_stream();
        while let Some(Ok(piece)) = pieces.next().await {
            let room = BODY_BYTES - body.len();
            body.extend_from_slice(&piece[..piece.len().min(room)]);
            if body.len() == BODY_BYTES {
                return;
            }
        }
    };
    // What came by then is enough to quote.
    let _slow = tokio::time::timeout(BODY_TIME, reading).await;
    Answer { status, location, body }
}
