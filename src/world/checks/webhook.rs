//! Receivers of events: whether they answer, and what they did not take.
//!
//! Bodies are signed as GitHub does (`X-Hub-Signature-256: sha256=…`, HMAC of RFC 2104 with SHA-256;
//! <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>).
//!
//! Never: sends anything in a look unless `send: true` is written; sends to an address that a stored delivery names; a delivery twice that was taken.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, time::Duration};

use reqwest::Method;
use ring::hmac;

use super::{Whose, blocking, deadletter::Letters, seconds_since};
use crate::{
    model::{
        exam::{Grade, Measure, Reading, Trouble},
        hooks::HookOutcome,
        own::{Webhook, figures},
    },
    world::{
        clock,
        kinds::{
            body::{quoted, span},
            web,
        },
    },
};

/// Most deliveries that one replay sends.
const REPLAYED: usize = 50;
/// The longest that one of them may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Headers that belong to a connection, and not to what is delivered; compared in lower case.
const OF_CONNECTION: [&str; 8] =
    ["host", "content-length", "connection", "transfer-encoding", "te", "upgrade", "keep-alive", "expect"];

/// Status and time of the receiver, and how much waits to be sent again.
pub(super) async fn look(whose: &Whose<'_>, webhook: &Webhook, timeout: Duration) -> Result<Reading, Trouble> {
    let mut reading = Reading::default();
    let begun = clock::now();
    // Half of the time at most, so that what waits is counted also where nobody answers.
    let patience = timeout / 2;
    let asked = if webhook.send {
        let headers = signed(whose, webhook, webhook.body.as_bytes());
        match headers {
            Ok(headers) => {
                tokio::time::timeout(patience, send(webhook, &headers, webhook.body.clone().into_bytes())).await
            }
            Err(why) => return Err(Trouble::Foreign(why)),
        }
    } else {
        tokio::time::timeout(patience, web::ask(Method::OPTIONS, &webhook.target, &webhook.path, &[], None)).await
    };
    let took = clock::now().since(begun);
    let place = webhook.target.place();
    let advice = Some("see whether the receiver runs, and whether its address is right");
    match asked {
        Err(_late) => {
            let sentence = format!("{place} has not answered within {} s", patience.as_secs_f64());
            reading.remark("receiver", Grade::Critical, sentence, advice);
        }
        Ok(Err(trouble)) => reading.remark("receiver", Grade::Critical, quoted(&trouble.to_string()), advice),
        Ok(Ok(answer)) => {
            reading.measure(Measure::new(figures::LATENCY, took.as_secs_f64()));
            if let Some((grade, sentence)) = judged(webhook, answer.status.as_u16()) {
                reading.remark("receiver", grade, format!("{place} answers {}{sentence}", answer.status), advice);
            }
        }
    }
    if let Some(path) = webhook.deadletter.clone() {
        let letters = blocking(move || letters(&path)).await??;
        let mut failed = Measure::new(figures::FAILED, letters.0 as f64);
        if let Some(oldest) = letters.1 {
            failed = failed.about(format!("the oldest waits for {}", span((seconds_since(oldest) * 1e6) as i64)));
        }
        reading.measure(failed);
    }
    Ok(reading)
}

/// How many wait, and since when the oldest.
fn letters(path: &Path) -> Result<(usize, Option<i64>), Trouble> {
    let letters = Letters::open(path)?;
    Ok(letters
        .map_or((0, None), |letters| (letters.waiting.len(), letters.waiting.first().map(|letter| letter.changed))))
}

/// What a status means; none where all is well.
fn judged(webhook: &Webhook, status: u16) -> Option<(Grade, &'static str)> {
    match (webhook.send, status) {
        (true, 200..=299) => None,
        (true, 401 | 403) => Some((Grade::Critical, ": it does not take the signature or who asks")),
        (true, 410 | 404) => Some((Grade::Critical, ": there is no receiver at that path")),
        (true, _) => Some((Grade::Critical, " to a ping")),
        // That it allows no OPTIONS, or not to everybody, says that somebody is there.
        (false, 404 | 410) => Some((Grade::Warning, " to OPTIONS: there may be no receiver at that path")),
        (false, 500..=599) => Some((Grade::Critical, " to OPTIONS")),
        (false, _) => None,
    }
}

/// The headers of a body, its signature among them.
fn signed(whose: &Whose<'_>, webhook: &Webhook, body: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let mut headers = BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]);
    if let Some(name) = &webhook.secret_env {
        let secret = whose.variable(name).filter(|secret| !secret.is_empty());
        let secret = secret.ok_or_else(|| format!("{name} is not set, so nothing can be signed"))?;
        headers.insert(webhook.signature.to_ascii_lowercase(), signature(secret.as_bytes(), body));
    }
    Ok(headers)
}

fn signature(secret: &[u8], body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mut text = "sha256=".to_owned();
    for byte in hmac::sign(&key, body).as_ref() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

async fn send(webhook: &Webhook, headers: &BTreeMap<String, String>, body: Vec<u8>) -> Result<web::Answer, Trouble> {
    let method = Method::from_bytes(webhook.method.as_bytes()).unwrap_or(Method::POST);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    web::ask(method, &webhook.target, &webhook.path, &headers, Some(body)).await
}

/// Sends what waits again, the oldest first; ends at the first that is not taken, so that their order is kept.
pub(super) async fn replay(whose: &Whose<'_>, webhook: &Webhook) -> (HookOutcome, Vec<String>) {
    let Some(path) = webhook.deadletter.clone() else { return (HookOutcome::Passed, Vec::new()) };
    let letters = match blocking(move || Letters::open(&path)).await {
        Ok(Ok(Some(letters))) => letters,
        Ok(Ok(None)) => return (HookOutcome::Passed, vec!["nothing waits".to_owned()]),
        Ok(Err(trouble)) | Err(trouble) => return (HookOutcome::Failed(trouble.to_string()), Vec::new()),
    };
    let mut sent = 0_usize;
    let mut failed = None;
    for letter in letters.waiting.iter().take(REPLAYED) {
        let name = quoted(&letter.name.to_string_lossy());
        match deliver(whose, webhook, &letters, letter).await {
            Ok(()) => sent += 1,
            Err(why) => {
                failed = Some(format!("{name}: {why}"));
                break;
            }
        }
    }
    let output = vec![format!("{sent} of {} delivered", letters.waiting.len())];
    match failed {
        Some(why) => (HookOutcome::Failed(why), output),
        None => (HookOutcome::Passed, output),
    }
}

async fn deliver(
    whose: &Whose<'_>,
    webhook: &Webhook,
    letters: &Letters,
    letter: &super::deadletter::Letter,
) -> Result<(), String> {
    let delivery = letters.read(letter)?;
    let body = delivery.bytes();
    let mut headers: BTreeMap<String, String> = delivery
        .headers
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .filter(|(name, _)| !OF_CONNECTION.contains(&name.as_str()))
        .collect();
    // The signature of now: the secret may have changed since.
    for (name, value) in signed(whose, webhook, &body)? {
        if name == "content-type" {
            headers.entry(name).or_insert(value);
        } else {
            headers.insert(name, value);
        }
    }
    let answer = tokio::time::timeout(PATIENCE, send(webhook, &headers, body))
        .await
        .map_err(|_| format!("no answer within {} s", PATIENCE.as_secs()))?
        .map_err(|trouble| quoted(&trouble.to_string()))?;
    if !answer.status.is_success() {
        return Err(format!("answered with {}", answer.status));
    }
    letters.finish(letter).map_err(|error| format!("was delivered, and cannot be moved to done/: {error}"))
}

#[cfg(test)]
mod tests {
    use super::signature;

    #[test]
    fn a_body_is_signed_as_the_documentation_of_github_has_it() {
        assert_eq!(
            signature(b"It's a Secret to Everybody", b"Hello, World!"),
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        );
    }
}
