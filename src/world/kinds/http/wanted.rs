//! What the check of a service wants of its answers. Never: takes what it does not understand for nothing.

use std::{fmt, time::Duration};

use regex::bytes::{Regex, RegexBuilder};
use serde_json::Value;

use super::{clause, door::Answer, health};
use crate::{
    model::{
        exam::{Target, Trouble},
        time::human,
    },
    world::{
        clock,
        kinds::body::{heartbeats_beyond, stale_heartbeats},
    },
};

/// The options that are not sent to the server.
pub(super) const OPTIONS: [&str; 6] = ["samples", "body", "json", "status", "tls-name", "heartbeat"];
/// Most requests of a look.
const MOST_SAMPLES: usize = 20;
/// Most memory of a compiled expression, in bytes.
const EXPRESSION_BYTES: usize = 1 << 20;

/// Which statuses are good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statuses(Vec<(u16, u16)>, String);

impl Statuses {
    fn parse(text: &str) -> Option<Self> {
        let ranges: Option<Vec<_>> = text
            .split(',')
            .map(|word| {
                let word = word.trim().to_ascii_lowercase();
                if let Some(hundreds) = word.strip_suffix("xx") {
                    let hundreds: u16 = hundreds.parse().ok().filter(|digit| (1..=5).contains(digit))?;
                    return Some((hundreds * 100, hundreds * 100 + 99));
                }
                let exact: u16 = word.parse().ok().filter(|status| (100..=599).contains(status))?;
                Some((exact, exact))
            })
            .collect();
        ranges.map(|ranges| Self(ranges, text.to_owned()))
    }

    pub(super) fn holds(&self, status: u16) -> bool {
        self.0.iter().any(|(low, high)| (*low..=*high).contains(&status))
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.1)
    }
}

/// All that is wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) samples: usize,
    pub(super) statuses: Option<Statuses>,
    body: Option<Regex>,
    json: Option<(String, String)>,
    heartbeat: Option<Duration>,
}

impl Wanted {
    /// From the options of a target.
    ///
    /// # Errors
    /// [`Trouble::Refused`]: an option that cannot be understood is a fault of who asks.
    pub(super) fn of(target: &Target) -> Result<Self, Trouble> {
        let option = |name: &str| target.options.get(name);
        let wrong = |name: &str, text: &str, why: &str| {
            Trouble::Refused(format!("the option {name}={} of its check cannot be used: {why}", clause(text)))
        };
        let samples = match option("samples") {
            None => 5,
            Some(text) => text
                .parse::<usize>()
                .ok()
                .filter(|count| (1..=MOST_SAMPLES).contains(count))
                .ok_or_else(|| wrong("samples", text, "write a number from 1 to 20"))?,
        };
        let statuses = option("status")
            .map(|text| Statuses::parse(text).ok_or_else(|| wrong("status", text, "write 200, 200,204 or 2xx")))
            .transpose()?;
        let body = option("body")
            .map(|text| {
                RegexBuilder::new(text)
                    .size_limit(EXPRESSION_BYTES)
                    .build()
                    .map_err(|error| wrong("body", text, &clause(&error.to_string())))
            })
            .transpose()?;
        let json = option("json")
            .map(|text| {
                let (pointer, value) = text.split_once(':').filter(|(pointer, _)| pointer.starts_with('/'))?;
                Some((pointer.to_owned(), value.to_owned()))
            })
            .map(|pair| {
                pair.ok_or_else(|| wrong("json", &target.options["json"], "write /pointer:value, as /status:ok"))
            })
            .transpose()?;
        let heartbeat = option("heartbeat")
            .map(|text| human::parse(text).map_err(|_| wrong("heartbeat", text, "write a duration, as 10m")))
            .transpose()?;
        Ok(Self { samples, statuses, body, json, heartbeat })
    }

    /// Whether it looks into the body.
    pub(super) fn reads_body(&self) -> bool {
        self.body.is_some() || self.json.is_some() || self.heartbeat.is_some()
    }

    /// Heartbeats in a page about health that stand still for longer than they may; of any other page only where that is asked for.
    pub(super) fn stale_heartbeats(&self, path: &str, answer: &Answer) -> Vec<String> {
        if self.heartbeat.is_none() && !health::is_page_of(path) {
            return Vec::new();
        }
        let Ok(page) = serde_json::from_slice::<Value>(&answer.body) else { return Vec::new() };
        let now = clock::now().wall_us;
        match self.heartbeat {
            Some(limit) => heartbeats_beyond(&page, now, i64::try_from(limit.as_micros()).unwrap_or(i64::MAX)),
            None => stale_heartbeats(&page, now),
        }
    }

    /// What is not as wanted in a body: a clause that goes on after a comma.
    pub(super) fn missing(&self, answer: &Answer) -> Option<String> {
        if let Some(body) = &self.body
            && !body.is_match(&answer.body)
        {
            return Some(format!("and its body does not match {}", clause(body.as_str())));
        }
        let (pointer, value) = self.json.as_ref()?;
        let Ok(document) = serde_json::from_slice::<Value>(&answer.body) else {
            return Some("and its body is not JSON".to_owned());
        };
        let Some(found) = document.pointer(pointer) else {
            return Some(format!("and there is no {pointer} in its body, which should be {}", clause(value)));
        };
        let found = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
        (found != *value).then(|| format!("and {pointer} is {}, not {}", clause(&found), clause(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::Statuses;

    #[test]
    fn statuses_are_numbers_or_hundreds() {
        let some = Statuses::parse("2xx, 401").unwrap();
        assert!(some.holds(204) && some.holds(401) && !some.holds(400) && !some.holds(301));
        for wrong in ["", "ok", "9xx", "200;204", "2x", "99999"] {
            assert!(Statuses::parse(wrong).is_none(), "{wrong}");
        }
    }
}
