//! GET of a URL, judged by its status. Never through a proxy, never keeps a connection, never reads more than it needs.
//!
//! Certificates are verified, on loopback too: a probe that trusts anything would also pass while something else answers.

use std::{error::Error, io, sync::OnceLock, time::Duration};

use futures_util::StreamExt;
use reqwest::{Client, ClientBuilder, Response, StatusCode, Url, header::LOCATION, redirect::Policy};

use super::plain;
use crate::{
    model::{probe::ProbeOutcome, text::plain as plain_text},
    world::kinds::body,
};

/// Most redirects that are followed.
const REDIRECTS: usize = 5;
/// Most that is read of a body.
pub(super) const BODY_BYTES: usize = 64 * 1024;
/// Longest that a body is read after the status is known.
pub(super) const BODY_TIME: Duration = Duration::from_millis(250);
/// Of a body, so many characters are quoted.
const QUOTED_CHARACTERS: usize = 120;

/// An answer, as far as a probe looks at it.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Where it is to be had, for a redirect.
    pub(super) location: Option<String>,
    pub(super) body: Vec<u8>,
}

/// Who asks.
pub(super) const fn agent() -> &'static str {
    concat!("cas-probe/", env!("CARGO_PKG_VERSION"))
}

/// The client for what is asked over TLS. Made when first needed: reading the certificates of the machine takes time and memory.
#[derive(Debug, Default)]
pub(in crate::world) struct Clients {
    secure: OnceLock<Result<Client, String>>,
}

impl Clients {
    async fn get(&self, url: &Url) -> Result<Answer, ProbeOutcome> {
        if url.scheme() == "http" {
            return plain::get(url).await.map_err(|error| ProbeOutcome::Failed(explain(&*error, false, url)));
        }
        let client = self.secure.get_or_init(secure).clone().map_err(ProbeOutcome::Broken)?;
        let response = client.get(url.clone()).send().await;
        let response = response.map_err(|error| ProbeOutcome::Failed(explain(&error, error.is_connect(), url)))?;
        let status = response.status();
        let location = response.headers().get(LOCATION).and_then(|place| place.to_str().ok()).map(str::to_owned);
        // Read also when all is well: a server that is hung up on in the middle of its answer may call that an error.
        Ok(Answer { status, location, body: read(response).await })
    }
}

fn builder() -> ClientBuilder {
    Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .pool_max_idle_per_host(0)
        // One question and one answer: the kernel need not look after a connection that is gone in a moment.
        .tcp_keepalive(None)
        .tcp_keepalive_interval(None)
        .tcp_keepalive_retries(None)
        .tcp_nodelay(false)
        .user_agent(agent())
}

fn secure() -> Result<Client, String> {
    // An error means that it is installed already.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    builder().build().map_err(|error| format!("TLS cannot be used here: {}", innermost(&error)))
}

/// Asks, follows redirects, judges; `honest`: a page of a good status that says it is not well has failed. The caller bounds the time.
pub(super) async fn ask(clients: &Clients, url: &str, wanted: Option<u16>, honest: bool) -> ProbeOutcome {
    let mut url = match Url::parse(url) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
        Ok(_) => return ProbeOutcome::Broken(format!("{url} is not a URL that begins with http:// or https://")),
        Err(error) => return ProbeOutcome::Broken(format!("{url} is not a URL: {error}")),
    };
    for _ in 0..=REDIRECTS {
        let answer = match clients.get(&url).await {
            Ok(answer) => answer,
            Err(outcome) => return outcome,
        };
        match next_url(&url, &answer).filter(|_| wanted != Some(answer.status.as_u16())) {
            Some(next) => url = next,
            None => return judge(&answer, wanted, &url, honest),
        }
    }
    ProbeOutcome::Failed(format!("more than {REDIRECTS} redirects, the last to {url}"))
}

fn next_url(url: &Url, answer: &Answer) -> Option<Url> {
    if !answer.status.is_redirection() {
        return None;
    }
    let place = answer.location.as_deref()?;
    url.join(place).ok().filter(|next| matches!(next.scheme(), "http" | "https"))
}

fn judge(answer: &Answer, wanted: Option<u16>, url: &Url, honest: bool) -> ProbeOutcome {
    let status = answer.status;
    let is_well = wanted.map_or_else(|| (200..400).contains(&status.as_u16()), |wanted| status.as_u16() == wanted);
    if is_well {
        let said = if honest && status.is_success() { serde_json::from_slice(&answer.body).ok() } else { None };
        return match said.and_then(|value| body::ailing(&value)) {
            Some(said) => ProbeOutcome::Failed(format!("status {status} from {url}, but it says {said}")),
            None => ProbeOutcome::Passed,
        };
    }
    let expected = wanted.map_or_else(String::new, |wanted| format!(", expected {wanted}"));
    let text = String::from_utf8_lossy(&answer.body);
    let first = text.lines().map(|line| plain_text(line).trim().to_owned()).find(|line| !line.is_empty());
    let quoted = first
        .map_or_else(String::new, |line| format!(": {}", line.chars().take(QUOTED_CHARACTERS).collect::<String>()));
    ProbeOutcome::Failed(format!("status {status}{expected} from {url}{quoted}"))
}

async fn read(response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    let reading = async {
        let mut chunks = response.bytes_stream();
        while let Some(Ok(chunk)) = chunks.next().await {
            let room = BODY_BYTES - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() == BODY_BYTES {
                return;
            }
        }
    };
    // What came by then is enough to quote.
    let _slow = tokio::time::timeout(BODY_TIME, reading).await;
    body
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause: &&'a (dyn Error + 'static)| cause.source())
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map_or_else(String::new, ToString::to_string)
}

/// In plain words.
fn explain(error: &(dyn Error + 'static), is_connect: bool, url: &Url) -> String {
    let place = format!("{}:{}", url.host_str().unwrap_or(""), url.port_or_known_default().unwrap_or(0));
    if let Some(why) = tls_trouble(error) {
        return format!("TLS with {place} failed: {why}");
    }
    let kinds: Vec<_> =
        causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind).collect();
    let any = |wanted: &[io::ErrorKind]| kinds.iter().any(|kind| wanted.contains(kind));
    if any(&[io::ErrorKind::ConnectionRefused]) {
        return format!("connection refused: nothing listens on {place}");
    }
    if any(&[io::ErrorKind::HostUnreachable, io::ErrorKind::NetworkUnreachable]) {
        return format!("no route to {place}");
    }
    if any(&[io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe, io::ErrorKind::UnexpectedEof]) {
        return format!("{place} closed the connection without an answer");
    }
    let said = causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ");
    if said.contains("dns error") || said.contains("lookup address") {
        return format!("host {} cannot be found", url.host_str().unwrap_or(""));
    }
    if is_connect {
        return format!("no connection to {place}: {}", innermost(error));
    }
    if said.contains("connection closed before message completed") {
        return format!("{place} closed the connection without an answer");
    }
    format!("no usable HTTP answer from {place}: {}", innermost(error))
}

/// The error of the TLS library hides inside I/O errors, one within the other.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    match error.downcast_ref::<io::Error>() {
        Some(outer) => outer.get_ref().and_then(|inner| tls_error(inner)),
        None => error.downcast_ref(),
    }
}

fn tls_trouble(error: &(dyn Error + 'static)) -> Option<String> {
    causes(error).find_map(|cause| {
        let tls = tls_error(cause)?;
        Some(if matches!(tls, rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)) {
            "its certificate is not signed by anyone this machine trusts".to_owned()
        } else if matches!(tls, rustls::Error::InvalidMessage(_)) {
            "it does not speak TLS (is it http:// ?)".to_owned()
        } else {
            tls.to_string()
        })
    })
}
