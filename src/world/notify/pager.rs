//! Messages to services that wake people: an incident is opened and closed by one key, that of its group.
//!
//! Never: an incident for a digest, which nothing would close; one of a test that stays open.

use serde_json::{Value, json};

use super::{cut, http, reveal};
use crate::{
    model::{
        alarm::{Level, NotSent, Notice, NoticeKind},
        route::Concealed,
    },
    world::kinds::words::encoded,
};

/// What is answered where nothing is to be sent.
const NO_INCIDENT: &str = "a digest is no incident: nothing was sent";

/// Events API v2: <https://developer.pagerduty.com/docs/events-api-v2/trigger-events/>; the same `dedup_key` opens and resolves
/// (<https://developer.pagerduty.com/docs/events-api-v2/overview/>).
pub(super) async fn pagerduty(key: &Concealed, url: &str, notice: &Notice) -> Result<String, NotSent> {
    let key = reveal(key).await?;
    let url = format!("{}/v2/enqueue", url.trim_end_matches('/'));
    let group = cut(&notice.group, 255);
    let resolve = json!({ "routing_key": key.0, "event_action": "resolve", "dedup_key": group });
    let trigger = json!({
        "routing_key": key.0,
        "event_action": "trigger",
        "dedup_key": group,
        "client": "cas",
        "payload": {
            "summary": cut(&notice.title, 1024),
            "source": notice.host,
            "severity": match (notice.kind, notice.severity) {
                (NoticeKind::Test, _) => "info",
                (_, Level::Critical) => "critical",
                (_, Level::Warning) => "warning",
            },
            "timestamp": notice.since,
            "component": notice.service,
            "group": notice.project,
            "class": notice.rule,
            "custom_details": { "text": cut(&notice.text, 8000), "follows_from_it": notice.symptoms },
        },
    });
    match notice.kind {
        NoticeKind::Firing | NoticeKind::Reminder => http::post(&url, &[], &trigger).await,
        NoticeKind::Resolved => http::post(&url, &[], &resolve).await,
        NoticeKind::Digest => Ok(NO_INCIDENT.to_owned()),
        NoticeKind::Test => {
            http::post(&url, &[], &trigger).await?;
            http::post(&url, &[], &resolve).await.map(|taken| format!("{taken}, opened and resolved again"))
        }
    }
}

/// Alert API v2: <https://docs.opsgenie.com/docs/alert-api>, create and close by alias.
pub(super) async fn opsgenie(key: &Concealed, url: &str, notice: &Notice) -> Result<String, NotSent> {
    let key = reveal(key).await?;
    let authorization = format!("GenieKey {}", key.0);
    let headers = [("Authorization", authorization.as_str())];
    let base = format!("{}/v2/alerts", url.trim_end_matches('/'));
    let alias = cut(&notice.group, 512);
    let create = json!({
        "message": cut(&notice.title, 130),
        "alias": alias,
        "description": cut(&notice.text, 15_000),
        "priority": match (notice.kind, notice.severity) {
            (NoticeKind::Test, _) => "P5",
            (_, Level::Critical) => "P1",
            (_, Level::Warning) => "P3",
        },
        "source": cut(&format!("cas on {}", notice.host), 100),
        "entity": cut(&notice.service, 512),
        "tags": ["cas", cut(&notice.project, 50)],
    });
    let close = async || {
        let url = format!("{base}/{}/close?identifierType=alias", encoded(&alias));
        let body: Value = json!({ "source": "cas", "note": cut(&notice.title, 1000) });
        http::post(&url, &headers, &body).await
    };
    match notice.kind {
        NoticeKind::Firing | NoticeKind::Reminder => http::post(&base, &headers, &create).await,
        NoticeKind::Resolved => close().await,
        NoticeKind::Digest => Ok(NO_INCIDENT.to_owned()),
        NoticeKind::Test => {
            http::post(&base, &headers, &create).await?;
            close().await.map(|taken| format!("{taken}, opened and closed again"))
        }
    }
}
