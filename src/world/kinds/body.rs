//! What bodies of health pages and outputs of checks say of themselves. Pure.
//!
//! Never: more of a text than 200 characters; a time that is later than now for a stale one.

use std::sync::LazyLock;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use regex::Regex;
use serde_json::Value;

use crate::model::text::plain;

/// A heartbeat that is older is stale, where nobody says otherwise: microseconds.
pub const HEARTBEAT_US: i64 = 300_000_000;
/// Of a text that comes from a server, so many characters are quoted.
const QUOTED: usize = 200;
/// Keys of the top of a health page that say how it is. `status` is what the draft of health+json has
/// (<https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06>) and Spring Boot's actuator.
const STATUS: [&str; 3] = ["status", "health", "state"];
/// What they say where it is not well, in lower case.
const AILING: [&str; 11] = [
    "degraded",
    "down",
    "unhealthy",
    "fail",
    "failed",
    "failing",
    "critical",
    "error",
    "unavailable",
    "out_of_service",
    "not_ready",
];
/// Keys that hold the time of a heartbeat, in lower case without `_` and `-`.
const BEATS: [&str; 13] = [
    "heartbeat",
    "lastheartbeat",
    "heartbeatat",
    "lastheartbeatat",
    "lastrun",
    "lastrunat",
    "lastseen",
    "lastseenat",
    "updatedat",
    "lastupdated",
    "lastprocessed",
    "lastprocessedat",
    "lastsuccess",
];
/// Deepest that heartbeats are looked for.
const DEEPEST: usize = 6;
/// Most values that are looked at, and most stale ones that are told.
const MOST: (usize, usize) = (10_000, 20);

/// What a health page says of itself where it is not well: `status: degraded`.
#[must_use]
pub fn ailing(page: &Value) -> Option<String> {
    let map = page.as_object()?;
    STATUS.iter().find_map(|name| {
        let (key, value) = map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        // `{"status": {"code": "DOWN"}}` is as common as a text.
        let word = match value {
            Value::String(text) => text,
            Value::Object(inner) => inner.get("code").or_else(|| inner.get("status"))?.as_str()?,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => return None,
        };
        let is_ailing = AILING.contains(&word.trim().to_ascii_lowercase().replace([' ', '-'], "_").as_str());
        is_ailing.then(|| quoted(&format!("{key}: {word}")))
    })
}

static SIGNS: LazyLock<Result<Regex, regex::Error>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?:^|[^A-Za-z])NOAUTH\b|(?i:\baccess denied\b)|(?i:\bconnection refused\b)|(?i:\bunhealthy\b)",
        r#"|(?i:"(?:status|health|state)"\s*:\s*"(?:degraded|down|unhealthy|fail|failed|error|critical|out_of_service)")"#
    ))
});

static COUNTS_NONE: LazyLock<Result<Regex, regex::Error>> = LazyLock::new(|| {
    Regex::new(r#"(?i)(?:\b(?:0|no|not|never)\s+unhealthy\b|\bunhealthy"?\s*[:=]\s*"?(?:0|no|none|false)\b)"#)
});

/// Whether a line that a check printed says that it is not well.
#[must_use]
pub fn line_ails(line: &str) -> bool {
    let (Ok(signs), Ok(none)) = (SIGNS.as_ref(), COUNTS_NONE.as_ref()) else { return false };
    signs.is_match(line) && !none.is_match(line)
}

/// Heartbeats of a health page that are older than five minutes: `workers.mail.last_run: 2026-11-29T08:00:00Z, 47 minutes ago`. `now` is
/// microseconds since 1970, UTC.
#[must_use]
pub fn stale_heartbeats(page: &Value, now: i64) -> Vec<String> {
    heartbeats_beyond(page, now, HEARTBEAT_US)
}

/// The same for those that are older than `limit`, microseconds.
#[must_use]
pub fn heartbeats_beyond(page: &Value, now: i64, limit: i64) -> Vec<String> {
    let mut stale = Vec::new();
    let mut left = MOST.0;
    walk(page, "", 0, &mut left, &mut |path, key, value| {
        let key = key.to_ascii_lowercase().replace(['_', '-'], "");
        if !BEATS.contains(&key.as_str()) || stale.len() == MOST.1 {
            return;
        }
        let Some(at) = moment_of(value) else { return };
        let age = now.saturating_sub(at);
        if age > limit {
            let written = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            stale.push(quoted(&format!("{path}: {written}, {} ago", span(age))));
        }
    });
    stale
}

fn walk(value: &Value, path: &str, depth: usize, left: &mut usize, see: &mut dyn FnMut(&str, &str, &Value)) {
    if depth > DEEPEST || *left == 0 {
        return;
    }
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    return;
                }
                let path = below(key);
                see(&path, key, value);
                walk(value, &path, depth + 1, left, see);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    return;
                }
                walk(value, &below(&index.to_string()), depth + 1, left, see);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A moment in JSON: as [`moment`], or a number of seconds or milliseconds since 1970.
#[must_use]
pub fn moment_of(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => moment(text),
        Value::Number(number) => of_number(number.as_f64()?),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A moment as programs write it, in microseconds since 1970: ISO 8601 (RFC 3339, also with a blank, without a zone (taken for UTC), or as
/// `PostgreSQL` prints it), RFC 2822, or a number of seconds, milliseconds, microseconds or nanoseconds since 1970.
#[must_use]
pub fn moment(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return of_number(number);
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_rfc2822(text)) {
        return Some(at.timestamp_micros());
    }
    // PostgreSQL's `+02` has no minutes.
    let padded = match text.rfind(['+', '-']) {
        Some(at) if at > 10 && text.len() - at == 3 => format!("{text}00"),
        _ => text.to_owned(),
    };
    for form in ["%Y-%m-%d %H:%M:%S%.f%z", "%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f %z", "%Y-%m-%d %H:%M:%S %z"]
    {
        if let Ok(at) = DateTime::parse_from_str(&padded, form) {
            return Some(at.timestamp_micros());
        }
    }
    let bare = text.trim_end_matches(" UTC").trim_end_matches('Z');
    for form in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"] {
        if let Ok(at) = NaiveDateTime::parse_from_str(bare, form) {
            return Some(at.and_utc().timestamp_micros());
        }
    }
    NaiveDate::parse_from_str(bare, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0).map(|at| at.and_utc().timestamp_micros())
}

/// Seconds up to the year 5138, then milliseconds, microseconds, nanoseconds; before 1973 it is some other number.
fn of_number(number: f64) -> Option<i64> {
    let scale = match number {
        n if !(1e8..1e20).contains(&n) => return None,
        n if n < 1e11 => 1e6,
        n if n < 1e14 => 1e3,
        n if n < 1e17 => 1.0,
        _ => 1e-3,
    };
    Some((number * scale) as i64)
}

/// `47 minutes`, of microseconds.
#[must_use]
pub fn span(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    let (count, unit) = match seconds {
        0..=119 => (seconds, "second"),
        120..=7199 => (seconds / 60, "minute"),
        7200..=172_799 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// One line of untrusted text, cut.
#[must_use]
pub fn quoted(text: &str) -> String {
    plain(text).split_whitespace().collect::<Vec<_>>().join(" ").chars().take(QUOTED).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ailing, heartbeats_beyond, line_ails, moment, span, stale_heartbeats};

    /// 2026-11-29T09:00:00Z.
    const NOW: i64 = 1_795_942_800_000_000;

    #[test]
    fn a_page_that_says_it_is_not_well_is_quoted() {
        for (page, said) in [
            (json!({"status": "degraded"}), Some("status: degraded")),
            (json!({"status": "DOWN", "components": {}}), Some("status: DOWN")),
            (json!({"Health": "Unhealthy"}), Some("Health: Unhealthy")),
            (json!({"state": "out of service"}), Some("state: out of service")),
            (json!({"status": {"code": "DOWN"}}), Some("status: DOWN")),
            (json!({"status": "ok"}), None),
            (json!({"status": 200, "state": "running"}), None),
            (json!({"components": {"db": {"status": "down"}}}), None),
            (json!(["down"]), None),
        ] {
            assert_eq!(ailing(&page).as_deref(), said, "{page}");
        }
        let hostile = ailing(&json!({"status": "down", "x": 1})).unwrap();
        assert!(hostile.len() < 300);
    }

    #[test]
    fn a_line_is_a_sign_only_where_it_says_so() {
        for line in [
            "NOAUTH Authentication required.",
            "(error) NOAUTH x",
            "mysqladmin: error: 'Access denied for user 'root'@'localhost''",
            "connect: Connection refused",
            "container is unhealthy",
            "{\"status\":\"degraded\"}",
            "{\"status\" : \"DOWN\", \"x\": 1}",
        ] {
            assert!(line_ails(line), "{line}");
        }
        for line in
            ["PONG", "ok", "unhealthy: 0", "0 unhealthy", "{\"unhealthy\": 0}", "{\"status\":\"up\"}", "health", ""]
        {
            assert!(!line_ails(line), "{line}");
        }
    }

    #[test]
    fn a_moment_is_understood_as_programs_write_it() {
        for text in [
            "2026-11-29T09:00:00Z",
            "2026-11-29T09:00:00.000+00:00",
            "2026-11-29 10:00:00+01",
            "2026-11-29 09:00:00.000000+00",
            "2026-11-29 09:00:00",
            "2026-11-29T09:00:00",
            "2026-11-29 09:00:00 UTC",
            "Sun, 29 Nov 2026 09:00:00 +0000",
            "1795942800",
            "1795942800000",
            "1795942800000000",
            "1795942800.0",
        ] {
            assert_eq!(moment(text), Some(NOW), "{text}");
        }
        for text in ["", "yesterday", "42", "NaN", "-1", "1e300", "2026-13-01"] {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    #[test]
    fn heartbeats_that_are_older_than_five_minutes_are_stale_wherever_they_stand() {
        let page = json!({
            "status": "ok",
            "last_heartbeat": "2026-11-29T08:00:00Z",
            "workers": [{"name": "mail", "lastProcessedAt": 1_795_942_400_000_u64}, {"last-run": 1_795_942_790}],
            "updated_at": "2026-11-29T08:59:00Z",
            "heartbeat": true,
            "last_seen": "soon",
            "future": {"last_run": "2027-01-01T00:00:00Z"},
        });
        assert_eq!(
            stale_heartbeats(&page, NOW),
            [
                "last_heartbeat: 2026-11-29T08:00:00Z, 60 minutes ago",
                "workers.0.lastProcessedAt: 1795942400000, 6 minutes ago",
            ]
        );
        assert_eq!(heartbeats_beyond(&page, NOW, 3_601_000_000), Vec::<String>::new());
        let deep = (0..50).fold(json!({"last_run": 1_000_000_000}), |inner, _| json!({"a": inner}));
        assert_eq!(stale_heartbeats(&deep, NOW), Vec::<String>::new());
        assert_eq!(span(86_400_000_000 * 3), "3 days");
    }
}
