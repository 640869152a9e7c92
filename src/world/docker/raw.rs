//! One question to the engine's socket that bollard has no words for. Never: more than one request, or an answer without a bound.

use std::path::Path;

use axum::body::{Body, to_bytes};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// An answer is not longer: a machine with ten thousand images stays below it.
const LONGEST: usize = 64 << 20;

/// The body of the answer; an error is a clause.
pub(super) async fn get(socket: &Path, target: &str) -> Result<Bytes, String> {
    let stream = UnixStream::connect(socket).await.map_err(|error| format!("{}: {error}", socket.display()))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let request =
        Request::get(target).header(header::HOST, "docker").body(Body::empty()).map_err(|error| error.to_string())?;
    let asking = async {
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = to_bytes(Body::new(answer.into_body()), LONGEST).await.map_err(|error| error.to_string())?;
        match status {
            StatusCode::OK => Ok(body),
            status => Err(format!("it answers with status {status}")),
        }
    };
    tokio::pin!(connection);
    tokio::select! {
        answer = asking => answer,
        ended = &mut connection => Err(ended.err().map_or_else(|| "it hung up".to_owned(), |error| error.to_string())),
    }
}
