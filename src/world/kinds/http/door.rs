//! Requests of the HTTP check, and what came of them. Never: more than [`MOST`] bytes or [`LONGEST`] of a body.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::{Client, StatusCode, header::HeaderMap};
use tokio::net::lookup_host;

use super::{super::web, clause, tls};
use crate::{
    model::exam::{Target, Trouble},
    world::clock,
};

/// Most bytes of a body that are read.
const MOST: usize = web::BODY_BYTES;
/// Longest time in which a body is read.
pub(super) const LONGEST: Duration = Duration::from_secs(2);
/// Longest part of a text that is searched for its first words.
const SEARCHED: usize = 8192;

/// Whose certificate is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// One that can be verified.
    Verified,
    /// Any; no credentials are sent then.
    Anyone,
}

/// How a body came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// As announced.
    Whole,
    /// It was not asked for.
    Unread,
    /// By us, as it is too long.
    Cut,
    /// By us, as it took too long.
    Slow,
    /// By the server, before it was whole.
    Early(String),
}

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) ended: Ended,
    /// From the question to the end of what was read.
    pub(super) took: Duration,
}

impl Answer {
    /// What answers, as it says itself.
    pub(super) fn server(&self) -> Option<String> {
        super::named(&self.headers)
    }

    /// A header, where it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A 200 without a body, though it names the type of one.
    pub(super) fn is_empty_where_content_is_promised(&self) -> bool {
        self.status == StatusCode::OK && self.ended == Ended::Whole && self.body.is_empty()
    }
}

/// A way to ask one server.
pub(super) struct Door<'t> {
    client: Client,
    target: &'t Target,
    /// Scheme, host and port.
    base: String,
    trust: Trust,
    /// Whether bodies of good answers are read, too.
    pub(super) reads: bool,
}

impl<'t> Door<'t> {
    /// Opens nothing yet.
    pub(super) async fn of(target: &'t Target, trust: Trust) -> Result<Self, Trouble> {
        let name = target.options.get("tls-name").filter(|_| target.tls);
        if name.is_none() && trust == Trust::Verified {
            let base = web::url(target, "");
            return Ok(Self { client: web::client()?.clone(), target, base, trust, reads: false });
        }
        let mut builder = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .user_agent(concat!("cas-probe/", env!("CARGO_PKG_VERSION")));
        let mut base = web::url(target, "");
        if let Some(name) = name {
            tls::checked_name(name)?;
            let found = lookup_host((target.host.as_str(), target.port)).await;
            let addresses: Vec<_> =
                found.map_err(|_| Trouble::Unreachable(format!("host {} cannot be found", target.host)))?.collect();
            builder = builder.resolve_to_addrs(name, &addresses);
            base = format!("https://{name}:{}", target.port);
        }
        if trust == Trust::Anyone {
            builder = builder.tls_backend_preconfigured(tls::accepting(target).await?);
        } else {
            // It installs what a client with a provider of its own needs.
            web::client()?;
        }
        let client = builder.build().map_err(|error| Trouble::Foreign(format!("TLS cannot be used here: {error}")))?;
        Ok(Self { client, target, base, trust, reads: false })
    }

    /// Where a path lies.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Asks for a path, which begins with a slash.
    pub(super) async fn ask(&self, path: &str) -> Result<Answer, Trouble> {
        let begun = clock::now();
        let mut request = self.client.get(self.url(path));
        if self.trust == Trust::Verified {
            if let Some(user) = &self.target.user {
                request = request.basic_auth(user, self.target.password.as_ref().map(|hidden| &hidden.0));
            } else if let Some(token) = &self.target.password {
                request = request.bearer_auth(&token.0);
            }
        }
        let response = request.send().await.map_err(|error| web::explain(&error, self.target))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut answer = Answer { status, headers, body: Vec::new(), ended: Ended::Unread, took: Duration::ZERO };
        if self.reads || status.as_u16() >= 400 {
            let reading = read(response, &mut answer.body);
            answer.ended = match tokio::time::timeout(LONGEST, reading).await {
                Ok(ended) => ended,
                Err(_) => Ended::Slow,
            };
        }
        answer.took = clock::now().since(begun);
        Ok(answer)
    }
}

async fn read(response: reqwest::Response, body: &mut Vec<u8>) -> Ended {
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(chunk) => {
                let room = MOST - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() > room {
                    return Ended::Cut;
                }
            }
            Err(error) => {
                let cause =
                    std::iter::successors(Some(&error as &dyn std::error::Error), |cause| cause.source()).last();
                return Ended::Early(cause.map_or_else(String::new, |cause| clause(&cause.to_string())));
            }
        }
    }
    Ended::Whole
}

/// The first words of a body, behind a colon: a line of text, or the text of a page without its tags. Empty where it has none.
pub(in super::super) fn first_words(body: &str) -> String {
    let mut end = body.len().min(SEARCHED);
    while !body.is_char_boundary(end) {
        end -= 1;
    }
    let body = &body[..end];
    let words = if body.trim_start().starts_with('<') { without_tags(body) } else { body.to_owned() };
    let line = words.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    if line.is_empty() { String::new() } else { format!(": {}", clause(line)) }
}

/// The text of HTML or XML, a line per piece; styles and scripts are left out.
fn without_tags(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        out.push('\n');
        let Some(close) = rest[open..].find('>') else { return out };
        let tag = rest[open + 1..open + close].to_ascii_lowercase();
        rest = &rest[open + close + 1..];
        for hidden in ["style", "script"] {
            if tag.split_whitespace().next() == Some(hidden)
                && let Some(end) = rest.to_ascii_lowercase().find(&format!("</{hidden}"))
            {
                rest = &rest[end..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::first_words;

    #[test]
    fn the_first_words_of_a_page_are_its_text_and_of_text_its_first_line() {
        for (body, words) in [
            ("", ""),
            ("\n\n boom \nmore", ": boom"),
            ("<html>\r\n<head><title>502 Bad Gateway</title></head>", ": 502 Bad Gateway"),
            ("<!DOCTYPE html><style>h1 { color: red }</style><script>a<b</script><h1>Oops</h1>", ": Oops"),
            ("\u{1b}[31mred\u{1b}[0m", ": red"),
        ] {
            assert_eq!(first_words(body), words, "{body:?}");
        }
        assert!(first_words(&"ä".repeat(100_000)).chars().count() < 210);
    }
}
