//! Messages that go over HTTP. Promise: an answer within ten seconds, or an error. Never: through a proxy; follows a redirect; names a URL.

use std::{error::Error, io, sync::LazyLock, time::Duration};

use futures_util::StreamExt;
use reqwest::{
    Client, Method, RequestBuilder, StatusCode, Url,
    header::{CONTENT_TYPE, RETRY_AFTER},
    redirect::Policy,
};
use serde_json::Value;

use super::cut;
use crate::model::alarm::NotSent;

/// An answer is waited for so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Most that is read of an answer, bytes.
const BODY_BYTES: usize = 4096;

/// Characters of an answer that are quoted.
const QUOTED: usize = 120;

static CLIENT: LazyLock<Result<Client, String>> = LazyLock::new(|| {
    // An error means that it is installed already.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .timeout(PATIENCE)
        .pool_max_idle_per_host(0)
        .user_agent(concat!("cas-alerts/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| innermost(&error))
});

/// A request to a URL, which must be `http` or `https`.
pub(super) fn request(method: Method, url: &str) -> Result<RequestBuilder, NotSent> {
    let client = CLIENT.as_ref().map_err(|why| NotSent::for_now(format!("TLS cannot be used here: {why}")))?;
    let url = Url::parse(url).map_err(|error| NotSent::for_good(format!("its URL cannot be used: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(NotSent::for_good(format!("its URL begins with {}, not with https", url.scheme())));
    }
    Ok(client.request(method, url))
}

/// Posts JSON.
pub(super) async fn post(url: &str, headers: &[(&str, &str)], body: &Value) -> Result<String, NotSent> {
    let mut request = request(Method::POST, url)?.header(CONTENT_TYPE, "application/json").body(body.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    finish(request).await
}

/// Sends and judges the answer: 2xx is well; 408, 425, 429 and 5xx may go better later (RFC 9110; RFC 6585, section 4); all else is final.
pub(super) async fn finish(request: RequestBuilder) -> Result<String, NotSent> {
    let response = request.send().await.map_err(explain)?;
    let status = response.status();
    let pause = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(pause);
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(Ok(chunk)) = chunks.next().await {
        let room = BODY_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == BODY_BYTES {
            break;
        }
    }
    if status.is_success() {
        return Ok(format!("taken with status {}", status.as_u16()));
    }
    let text = String::from_utf8_lossy(&body);
    let said: String = cut(text.split_whitespace().collect::<Vec<_>>().join(" ").as_str(), QUOTED);
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    let passing = status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY);
    // Discord and Telegram say it in the body, too.
    let pause = pause.or_else(|| pause_in(&serde_json::from_slice(&body).ok()?));
    Err(NotSent {
        why: format!("answered {}{said}", status.as_u16()),
        retry_after: pause.filter(|_| passing),
        is_final: !passing,
    })
}

/// `Retry-After`: seconds, or an HTTP date (RFC 9110, section 10.2.3).
fn pause(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u32>() {
        return Some(Duration::from_secs(u64::from(seconds)));
    }
    let at = chrono::DateTime::parse_from_rfc2822(value).ok()?;
    at.signed_duration_since(crate::world::clock::now().wall()).to_std().ok()
}

fn pause_in(body: &Value) -> Option<Duration> {
    let seconds = body.get("retry_after").or_else(|| body.get("parameters")?.get("retry_after"))?.as_f64()?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause: &&'a (dyn Error + 'static)| cause.source())
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map_or_else(String::new, ToString::to_string)
}

fn explain(error: reqwest::Error) -> NotSent {
    let place = error.url().map(|url| {
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", url.host_str().unwrap_or_default())
    });
    let (place, error) = (place.unwrap_or_default(), error.without_url());
    let said = causes(&error).map(ToString::to_string).collect::<Vec<_>>().join(": ");
    let refused = causes(&error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    NotSent::for_now(if error.is_timeout() {
        format!("{place} did not answer within {} s", PATIENCE.as_secs())
    } else if refused {
        format!("connection refused: nothing listens on {place}")
    } else if said.contains("dns error") || said.contains("lookup address") {
        format!("host {place} cannot be found")
    } else {
        format!("no answer from {place}: {}", innermost(&error))
    })
}
