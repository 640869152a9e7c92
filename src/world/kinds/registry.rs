//! An OCI registry (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md>, <https://distribution.github.io/distribution/spec/api/>).
//!
//! Options: `debug` (the port of its `http.debug.addr`, where it tells the health of its storage).
//!
//! Never: pushes, deletes, or asks a token server of another host.

use std::time::Duration;

use serde_json::Value;

use super::{
    http::{clause, first_words, refusal},
    web::{self, Answer},
};
use crate::{
    model::exam::{Grade, Measure, Reading, Target, Trouble},
    world::clock,
};

/// Most repositories that are counted.
const MOST: usize = 1000;

/// Asks for `/v2/`. A registry that wants a login is alive.
pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    let answer = web::get(target, "/v2/").await?;
    judge(&answer, target)
}

/// Looks how fast it answers, what it holds, and how its storage is.
pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let begun = clock::now();
    let answer = web::get(target, "/v2/").await?;
    let took = clock::now().since(begun);
    judge(&answer, target)?;
    let version = header(&answer, "docker-distribution-api-version").unwrap_or("registry/2.0");
    let mut reading = Reading { server: Some(clause(version)), ..Reading::default() };
    reading.measure(Measure::new("latency", took.as_secs_f64()));
    let catalogue = web::get(target, &format!("/v2/_catalog?n={MOST}")).await?;
    match catalogue.status.as_u16() {
        200 => {
            let count = catalogue.json(target)?["repositories"].as_array().map_or(0, Vec::len);
            let more = if count >= MOST { "or more" } else { "all of them" };
            reading.measure(Measure::new("repositories", count as f64).about(more));
        }
        401 | 403 => reading.remark(
            "repositories",
            Grade::Notice,
            "it does not tell nobody what it holds: a login is wanted",
            Some("write check: registry://USER:PASSWORD@HOST:PORT for this figure"),
        ),
        404 | 405 => {}
        status => {
            let sentence = format!("it cannot list what it holds: {status}{}", errors(&catalogue));
            reading.remark(
                "repositories",
                Grade::Critical,
                sentence,
                Some("see its storage: permissions, disk, the bucket's credentials"),
            );
        }
    }
    debug(target, &mut reading).await;
    Ok(reading)
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).and_then(|value| value.to_str().ok())
}

fn judge(answer: &Answer, target: &Target) -> Result<(), Trouble> {
    let place = target.place();
    let challenge = header(answer, "www-authenticate").unwrap_or_default();
    let is_registry = header(answer, "docker-distribution-api-version")
        .is_some_and(|value| value.starts_with("registry/"))
        || challenge.starts_with("Bearer ") && challenge.contains("service=");
    match answer.status.as_u16() {
        // `Basic` tells by a 401 that the login is wrong; `Bearer` always says 401, as the login goes elsewhere.
        401 if is_registry && target.user.is_some() && challenge.starts_with("Basic") => {
            Err(refusal(target, "registry", answer.status, "/v2/"))
        }
        200 | 401 if is_registry => Ok(()),
        // Not every registry sends the header, which its specification no longer asks for.
        200 if answer.body.trim_ascii() == b"{}" || answer.body.is_empty() => Ok(()),
        403 if is_registry => Err(refusal(target, "registry", answer.status, "/v2/")),
        429 => Err(Trouble::Busy(format!("{place} has too much to do: it answers 429 for /v2/"))),
        500..=599 => {
            Err(Trouble::Unready(format!("{place} answers {} for /v2/{}", answer.status.as_str(), errors(answer))))
        }
        status => Err(Trouble::Foreign(format!("{place} answers {status} for /v2/ and is no registry"))),
    }
}

/// What it says in `errors` (<https://distribution.github.io/distribution/spec/api/#errors>), or its first words.
fn errors(answer: &Answer) -> String {
    let said = serde_json::from_slice::<Value>(&answer.body).ok();
    let first = said.as_ref().and_then(|said| said.pointer("/errors/0"));
    let words = first.map(|first| {
        let word = |key: &str| match &first[key] {
            Value::Null => String::new(),
            Value::String(word) => word.clone(),
            other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => other.to_string(),
        };
        clause(&format!(": {} {} {}", word("code"), word("message"), word("detail")))
    });
    words.unwrap_or_else(|| first_words(&answer.text()))
}

/// `/debug/health` is `{}` where all is well, and names what is not (<https://distribution.github.io/distribution/about/configuration/#health>).
async fn debug(target: &Target, reading: &mut Reading) {
    let Some(text) = target.options.get("debug") else { return };
    let asked = async {
        let port = text.parse().map_err(|_| format!("the option debug={} is no port", clause(text)))?;
        let debug = Target { port, tls: false, user: None, password: None, ..target.clone() };
        let answer = tokio::time::timeout(Duration::from_secs(5), web::get(&debug, "/debug/health"));
        let answer = answer.await.map_err(|_| format!("{} does not answer", debug.place()))?;
        answer.map_err(|trouble| trouble.to_string())
    };
    let (check, advice) = ("storage", Some("see its storage: permissions, disk, the bucket's credentials"));
    match asked.await {
        Ok(answer) => match serde_json::from_slice::<Value>(&answer.body) {
            Ok(Value::Object(ill)) => {
                for (name, why) in ill.iter().take(5) {
                    let sentence = clause(&format!("{name} is not well: {}", why.as_str().unwrap_or_default()));
                    reading.remark(check, Grade::Critical, sentence, advice);
                }
            }
            Ok(_) | Err(_) => {
                reading.remark(
                    check,
                    Grade::Notice,
                    "its debug port does not tell its health as a registry does",
                    None,
                );
            }
        },
        Err(why) => {
            reading.remark(check, Grade::Notice, format!("its debug port cannot be asked: {}", clause(&why)), None);
        }
    }
}
