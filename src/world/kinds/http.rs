//! HTTP: whether a server answers as it should, how fast, over TLS with which certificate, and whether its own words agree with its status.
//!
//! Options: `samples` (requests of a deep look, 1 to 20, 5 unless told), `status` (`200`, `200,204`, `2xx`), `body` (a regular expression that the
//! body must match), `json` (`/pointer:value`, RFC 6901), `tls-name` (the name in the certificate, where it is not the host),
//! `heartbeat` (how old a heartbeat in the page may be, 5 minutes unless told). Whatever else stands behind the
//! question mark is sent to the server.
//!
//! Never: follows a redirect to another host, sends credentials to a server whose certificate is not verified, or reads a body to its end that has none.

mod door;
mod health;
mod redirect;
mod samples;
mod tls;
mod wanted;

use reqwest::{StatusCode, header};

use crate::model::{
    exam::{Grade, Measure, Reading, Target, Trouble},
    text,
};
use door::{Answer, Door, Ended, Trust};
use samples::Samples;
use wanted::Wanted;

pub(super) use door::first_words;

/// Asks for the path of the target and judges the status, what is wanted of the answer, and what a health page says.
pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    let wanted = Wanted::of(target)?;
    let path = path(target);
    let mut door = Door::of(target, Trust::Verified).await?;
    door.reads = wanted.reads_body() || health::is_page_of(&path);
    let answer = door.ask(&path).await?;
    judge(target, &path, &answer, &wanted)
}

/// Looks at certificate, redirects, times and answers.
pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let wanted = Wanted::of(target)?;
    let path = path(target);
    let mut reading = Reading::default();
    let mut trust = Trust::Verified;
    if target.tls {
        let seen = tls::see(target).await?;
        trust = if seen.is_trusted() { Trust::Verified } else { Trust::Anyone };
        seen.report(target, &mut reading);
    }
    let mut door = Door::of(target, trust).await?;
    door.reads = true;
    let first = door.ask(&path).await?;
    reading.server = first.server();
    let last = redirect::follow(&door, &path, &first, &mut reading).await;
    let samples = Samples::take(&door, &path, &first, wanted.samples).await;
    samples.report(&mut reading);
    let final_answer = last.as_ref().unwrap_or(&first);
    report_answer(target, &path, final_answer, &wanted, &mut reading);
    Ok(reading)
}

/// The path and query that are asked for; begins with a slash.
pub(super) fn path(target: &Target) -> String {
    let mut path = format!("/{}", target.path.trim_start_matches('/'));
    let query: Vec<_> = target.options.iter().filter(|(key, _)| !wanted::OPTIONS.contains(&key.as_str())).collect();
    if !query.is_empty() && !path.contains('?') {
        let mut written = reqwest::Url::parse("http://host/").ok();
        if let Some(url) = &mut written {
            url.query_pairs_mut().extend_pairs(query);
            path = format!("{path}?{}", url.query().unwrap_or_default());
        }
    }
    path
}

/// Whether nobody named a path.
fn is_unnamed(target: &Target) -> bool {
    target.path.trim_matches('/').is_empty()
}

fn has_credentials(target: &Target) -> bool {
    target.user.is_some() || target.password.is_some()
}

/// `404 Not Found`.
fn status_words(status: StatusCode) -> String {
    status.canonical_reason().map_or_else(|| status.as_str().to_owned(), |words| format!("{} {words}", status.as_str()))
}

/// What a refusal of 401 or 403 means for whoever asked, with the key of `cas.yaml` that helps.
pub(super) fn refusal(target: &Target, scheme: &str, status: StatusCode, path: &str) -> Trouble {
    let (place, status) = (target.place(), status_words(status));
    Trouble::Refused(if has_credentials(target) {
        format!("{place} refuses the user and password it was given: {status} for {path}")
    } else {
        format!(
            "{place} wants a user and password and got none: {status} for {path}; write check: {scheme}://USER:PASSWORD@{place}{path}"
        )
    })
}

/// Judges a status: 2xx is good, 401 and 403 are [`Trouble::Refused`], 429 [`Trouble::Busy`], 5xx [`Trouble::Unready`], others [`Trouble::Foreign`].
pub(super) fn accepted(answer: &super::web::Answer, target: &Target, scheme: &str, path: &str) -> Result<(), Trouble> {
    let place = target.place();
    match answer.status.as_u16() {
        200..=299 => Ok(()),
        401 | 403 => Err(refusal(target, scheme, answer.status, path)),
        429 => Err(Trouble::Busy(format!("{place} has too much to do: it answers 429 for {path}"))),
        500..=599 => Err(Trouble::Unready(format!(
            "{place} answers {} for {path}{}",
            status_words(answer.status),
            first_words(&answer.text())
        ))),
        _ => Err(Trouble::Foreign(format!("{place} answers {} for {path}", status_words(answer.status)))),
    }
}

fn judge(target: &Target, path: &str, answer: &Answer, wanted: &Wanted) -> Result<(), Trouble> {
    judge_status(target, path, answer, wanted)?;
    let place = target.place();
    if let Some(wrong) = wanted.missing(answer) {
        return Err(Trouble::Unready(format!("{place} answers {} for {path}, {wrong}", answer.status.as_str())));
    }
    if health::is_page_of(path)
        && let Some(ill) = health::verdict(&answer.body).filter(|ill| ill.fails)
    {
        return Err(Trouble::Unready(format!(
            "{place} answers {} for {path} and {}",
            answer.status.as_str(),
            ill.words
        )));
    }
    Ok(())
}

fn judge_status(target: &Target, path: &str, answer: &Answer, wanted: &Wanted) -> Result<(), Trouble> {
    let place = target.place();
    let said = || format!("{place} answers {} for {path}", status_words(answer.status));
    let body = || first_words(&String::from_utf8_lossy(&answer.body));
    if let Some(statuses) = &wanted.statuses {
        return if statuses.holds(answer.status.as_u16()) {
            Ok(())
        } else {
            Err(Trouble::Unready(format!("{}, where {statuses} is expected{}", said(), body())))
        };
    }
    match answer.status.as_u16() {
        200..=399 => Ok(()),
        // Nobody said what is to be found at `/`: that it answers at all is enough.
        401 | 403 if !is_unnamed(target) || has_credentials(target) => {
            Err(refusal(target, if target.tls { "https" } else { "http" }, answer.status, path))
        }
        429 => Err(Trouble::Busy(format!("{place} has too much to do: it answers 429 for {path}"))),
        400..=499 if is_unnamed(target) => Ok(()),
        404 | 410 => Err(Trouble::Unready(format!("{}: no such path there; name another one in its check", said()))),
        400..=599 => Err(Trouble::Unready(format!("{}{}", said(), body()))),
        _ => Err(Trouble::Foreign(said())),
    }
}

/// What the answer itself says: its status, whether it came to its end, and what is in it.
fn report_answer(target: &Target, path: &str, answer: &Answer, wanted: &Wanted, reading: &mut Reading) {
    if let Err(trouble) = judge_status(target, path, answer, wanted) {
        let grade = match &trouble {
            Trouble::Refused(_) | Trouble::Busy(_) => Grade::Warning,
            Trouble::Unready(_) | Trouble::Foreign(_) | Trouble::Unreachable(_) => Grade::Critical,
        };
        reading.remark("status", grade, trouble.to_string(), None);
    }
    let bytes = answer.body.len();
    match &answer.ended {
        Ended::Whole | Ended::Unread => {}
        Ended::Cut => reading.remark(
            "body",
            Grade::Notice,
            format!("its answer for {path} is longer than {} KiB: no more was read", bytes / 1024),
            Some("check a smaller page"),
        ),
        Ended::Slow => reading.remark(
            "body",
            Grade::Warning,
            format!("its answer for {path} did not end in time: {bytes} bytes came so far"),
            Some("check a page that ends; where it should end, see what it waits for"),
        ),
        Ended::Early(why) => reading.remark(
            "body",
            Grade::Critical,
            format!("it broke off its answer for {path} after {bytes} bytes: {why}"),
            Some("see its log: it failed while it answered, or something between cut the connection"),
        ),
    }
    if answer.is_empty_where_content_is_promised() {
        let sentence = format!("it answers {} for {path} and sends nothing", answer.status.as_str());
        reading.remark("body", Grade::Notice, sentence, Some("see whether the page should be empty"));
    }
    if let Some(wrong) = wanted.missing(answer) {
        let sentence = format!("it answers {} for {path}, {wrong}", answer.status.as_str());
        reading.remark("body", Grade::Critical, sentence, Some("see its log, or correct what its check expects"));
    }
    if answer.status.is_success()
        && let Some(ill) = health::verdict(&answer.body)
    {
        let sentence = format!("answers {} and {}", answer.status.as_str(), ill.words);
        reading.remark("body", ill.grade, sentence, Some("see to what it names; a health page should answer 503 then"));
    }
    if answer.status.is_success() {
        for stale in wanted.stale_heartbeats(path, answer) {
            let sentence = format!("answers {} while a heartbeat in it stands still: {stale}", answer.status.as_str());
            let advice = "see whether what beats there still works; ?heartbeat=10m in its check allows longer";
            reading.remark("heartbeat", Grade::Warning, sentence, Some(advice));
        }
    }
    reading.measure(Measure::new("body", bytes as f64));
}

/// `Server` or `X-Powered-By` as it is shown: `nginx/1.22.1` becomes `nginx 1.22.1`.
fn named(headers: &header::HeaderMap) -> Option<String> {
    let of = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty());
    let word = of("server").or_else(|| of("x-powered-by"))?;
    Some(clause(&word.replacen('/', " ", 1)))
}

/// Words of a server as one safe line of at most 200 columns.
pub(super) fn clause(words: &str) -> String {
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let safe = text::plain(&line);
    text::truncate(&safe, 200).into_owned()
}
