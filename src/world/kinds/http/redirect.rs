//! Redirects, followed as far as they stay at the same server. Never: asks another host.

use super::door::{Answer, Door};
use crate::model::exam::{Grade, Reading};

/// Most steps that are followed.
const MOST: usize = 10;

/// Follows the redirects from `first`, the answer for `path`; the answer at their end, none where there are none or where they lead elsewhere.
pub(super) async fn follow(door: &Door<'_>, path: &str, first: &Answer, reading: &mut Reading) -> Option<Answer> {
    let mut way = vec![path.to_owned()];
    let mut now = first.clone();
    while now.status.is_redirection()
        && let Some(location) = now.header("location")
    {
        let here = reqwest::Url::parse(&door.url(way.last().map_or("/", String::as_str))).ok()?;
        let Ok(there) = here.join(location) else {
            let sentence = format!("it sends on to {}, which is no address", super::clause(location));
            reading.remark("redirect", Grade::Warning, sentence, Some("see how it makes up its addresses"));
            return None;
        };
        if there.origin() != here.origin() {
            let sentence = format!("it sends on to {}", super::clause(&place(&there)));
            reading.remark("redirect", Grade::Notice, sentence, Some("check the server that it sends on to as well"));
            return None;
        }
        let next = there.query().map_or_else(|| there.path().to_owned(), |query| format!("{}?{query}", there.path()));
        if let Some(from) = way.iter().position(|step| *step == next) {
            way.push(next);
            let sentence = format!("it sends in a circle: {}", shown(&way[from..]));
            reading.remark(
                "redirect",
                Grade::Critical,
                sentence,
                Some("see its rules for redirects, and whether it knows that TLS ends before it"),
            );
            return None;
        }
        way.push(next);
        if way.len() > MOST + 1 {
            let sentence = format!("it sends on more than {MOST} times: {}", shown(&way));
            reading.remark("redirect", Grade::Critical, sentence, Some("see its rules for redirects"));
            return None;
        }
        match door.ask(way.last().map_or("/", String::as_str)).await {
            Ok(answer) => now = answer,
            Err(trouble) => {
                let sentence = format!("where it sends on to ({}), {trouble}", shown(&way));
                reading.remark("redirect", Grade::Critical, sentence, None);
                return None;
            }
        }
    }
    (way.len() > 1).then_some(now)
}

fn place(url: &reqwest::Url) -> String {
    let host = url.host_str().unwrap_or("?");
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

fn shown(way: &[String]) -> String {
    super::clause(&way.join(" → "))
}
