//! Questions to servers that are asked over HTTP. Never through a proxy, never keeps a connection, never follows a redirect, never reads more than it may.

use std::{error::Error, io, sync::LazyLock};

use futures_util::StreamExt;
use reqwest::{Client, Method, StatusCode, header::HeaderMap, redirect::Policy};

use crate::model::exam::{Target, Trouble};

/// Most that is read of an answer.
pub const BODY_BYTES: usize = 1 << 20;

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, cut at [`BODY_BYTES`].
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text, what is not UTF-8 replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`Trouble::Foreign`].
    pub fn json(&self, target: &Target) -> Result<serde_json::Value, Trouble> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Trouble::Foreign(format!("{} does not answer in JSON: {error}", target.place())))
    }
}

/// The client that everyone uses: certificates are verified.
static CLIENT: LazyLock<Result<Client, String>> = LazyLock::new(|| {
    // An error means that it is installed already.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .pool_max_idle_per_host(0)
        .user_agent(concat!("cas-probe/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| innermost(&error))
});

/// The client that verifies certificates.
///
/// # Errors
/// [`Trouble::Foreign`], where TLS cannot be used on this machine.
pub(super) fn client() -> Result<&'static Client, Trouble> {
    CLIENT.as_ref().map_err(|why| Trouble::Foreign(format!("TLS cannot be used here: {why}")))
}

/// The URL of a path at a target; `path` begins with a slash.
#[must_use]
pub fn url(target: &Target, path: &str) -> String {
    let scheme = if target.tls { "https" } else { "http" };
    format!("{scheme}://{}{path}", target.place())
}

/// Asks for a path (which begins with a slash), with user and password of the target where it has them.
///
/// # Errors
/// Why there is no answer; whatever its status, an answer is none.
pub async fn get(target: &Target, path: &str) -> Result<Answer, Trouble> {
    ask(Method::GET, target, path, &[], None).await
}

/// Asks with a method, headers and a body.
///
/// # Errors
/// As [`get`].
pub async fn ask(
    method: Method,
    target: &Target,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<Vec<u8>>,
) -> Result<Answer, Trouble> {
    let mut request = client()?.request(method, url(target, path));
    if let Some(user) = &target.user {
        request = request.basic_auth(user, target.password.as_ref().map(|hidden| &hidden.0));
    } else if let Some(token) = &target.password {
        request = request.bearer_auth(&token.0);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.body(body);
    }
    let response = request.send().await.map_err(|error| explain(&error, target))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| explain(&error, target))?;
        let room = BODY_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == BODY_BYTES {
            break;
        }
    }
    Ok(Answer { status, headers, body })
}

/// Asks and takes JSON of a good status; 401 and 403 are [`Trouble::Refused`], 503 [`Trouble::Unready`], others [`Trouble::Foreign`].
///
/// # Errors
/// As said.
pub async fn json(target: &Target, path: &str) -> Result<serde_json::Value, Trouble> {
    let answer = get(target, path).await?;
    accepted(&answer, target, path)?;
    answer.json(target)
}

/// Judges a status as [`json`] does.
///
/// # Errors
/// As said there.
pub fn accepted(answer: &Answer, target: &Target, path: &str) -> Result<(), Trouble> {
    let (status, place) = (answer.status, target.place());
    match status.as_u16() {
        200..=299 => Ok(()),
        401 | 403 => Err(Trouble::Refused(format!("{place} refuses user and password: status {status} for {path}"))),
        429 => Err(Trouble::Busy(format!("{place} has too much to do: status {status} for {path}"))),
        503 => Err(Trouble::Unready(format!("{place} says that it cannot serve: status {status} for {path}"))),
        _ => Err(Trouble::Foreign(format!("{place} answers {status} for {path}"))),
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause: &&'a (dyn Error + 'static)| cause.source())
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map_or_else(String::new, ToString::to_string)
}

/// What a failed request means.
pub(super) fn explain(error: &reqwest::Error, target: &Target) -> Trouble {
    let place = target.place();
    let io: Vec<_> = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind).collect();
    let any = |kinds: &[io::ErrorKind]| io.iter().any(|kind| kinds.contains(kind));
    let said = causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ");
    if any(&[io::ErrorKind::ConnectionRefused]) {
        Trouble::Unreachable(format!("connection refused: nothing listens on {place}"))
    } else if any(&[io::ErrorKind::HostUnreachable, io::ErrorKind::NetworkUnreachable]) {
        Trouble::Unreachable(format!("no route to {place}"))
    } else if said.contains("dns error") || said.contains("lookup address") {
        Trouble::Unreachable(format!("host {} cannot be found", target.host))
    } else if any(&[io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe, io::ErrorKind::UnexpectedEof])
        || said.contains("connection closed before message completed")
    {
        Trouble::Unreachable(format!("{place} closed the connection without an answer"))
    } else if error.is_connect() && !said.contains("certificate") {
        Trouble::Unreachable(format!("no connection to {place}: {}", innermost(error)))
    } else {
        Trouble::Foreign(format!("no usable HTTP answer from {place}: {}", innermost(error)))
    }
}
