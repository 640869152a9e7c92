//! Which key of a structured line is its level, its time, its message.
//!
//! Promise: what becomes one of the three is no field any more, and everything else is, in the order of the line. Of two keys with the same meaning the
//! usual one wins, of two with the same name the last. Never: a value is dropped because it could not be understood.

use std::borrow::Cow;

use super::{
    Found,
    json::{JsonValue, Kind},
    sink::Sink,
    stamp,
    time::{LineTime, epoch},
};
use crate::model::level::Level;

/// What a key may be, and how usual it is for that: 0 is the most usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The level, on a scale.
    Level(u8, Scale),
    /// The time.
    Time(u8),
    /// The message.
    Message(u8),
    /// The status of a request; a level where no other is given.
    Status,
    /// Something that only a request has.
    Request,
}

/// What a number means that is a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// 10 to 60, as pino and bunyan count; 0 to 7 as syslog does.
    Usual,
    /// 10 to 50, as Python counts.
    Python,
    /// 1 to 24, as OpenTelemetry counts.
    Telemetry,
    /// Letters with a digit, as MongoDB writes.
    Letter,
}

/// A value that has a role, how usual its key is, and the field that it is.
type Chosen<T> = Option<(u8, T, usize)>;

/// Gathers the roles of a line while its fields go into a sink.
pub(super) struct Roles<'a, 's, S> {
    sink: &'s mut S,
    level: Chosen<Level>,
    time: Chosen<LineTime>,
    message: Chosen<JsonValue<'a>>,
    status: Option<u16>,
    request: bool,
    mongo: bool,
    /// Where the fields of this line begin.
    mark: usize,
}

impl<'a, 's, S: Sink<'a>> Roles<'a, 's, S> {
    /// Nothing yet.
    pub(super) fn new(sink: &'s mut S, mark: usize) -> Self {
        let (level, time, message, status) = (None, None, None, None);
        Self { sink, level, time, message, status, request: false, mongo: false, mark }
    }

    /// What a key of the outermost object may be.
    pub(super) fn of_key(&self, key: &str, kind: Kind) -> Option<Role> {
        let role = role(key)?;
        let fits = match role {
            Role::Level(_, Scale::Letter) => self.mongo,
            Role::Level(..) | Role::Time(_) | Role::Status => kind != Kind::Raw,
            Role::Message(_) => matches!(kind, Kind::Text | Kind::Escaped),
            Role::Request => true,
        };
        fits.then_some(role)
    }

    /// What a key of an object in the outermost one may be.
    pub(super) fn of_nested(&mut self, parent: &str, key: &str, kind: Kind) -> Option<Role> {
        match (parent, key) {
            ("log", "level") if kind != Kind::Raw => Some(Role::Level(2, Scale::Usual)),
            ("t", "$date") => {
                self.mongo = true;
                Some(Role::Time(1))
            }
            _ => None,
        }
    }

    /// Takes a value, as a field and for its role.
    pub(super) fn offer(&mut self, role: Option<Role>, value: JsonValue<'a>, name: impl FnOnce() -> Cow<'a, str>) {
        let place = self.sink.count();
        match role {
            Some(Role::Level(rank, scale)) => keep(&mut self.level, rank, level(value.raw, scale), place),
            // Where only the level is asked for, these two are not looked at.
            Some(Role::Time(_) | Role::Message(_)) if !S::WANTED => {}
            Some(Role::Time(rank)) => keep(&mut self.time, rank, time(value), place),
            Some(Role::Message(rank)) => {
                keep(&mut self.message, rank, (!value.raw.is_empty()).then_some(value), place);
            }
            Some(Role::Status) => self.status = value.raw.parse().ok().or(self.status),
            Some(Role::Request) => self.request = true,
            None => {}
        }
        if S::WANTED {
            self.sink.add(name(), value.text());
        }
    }

    /// What the line says; its message is the whole line where no key has one.
    pub(super) fn finish(self, line: &'a str) -> (Found<'a>, &'s mut S) {
        let mut taken = [self.level.map(|(.., at)| at), self.time.map(|(.., at)| at), self.message.map(|(.., at)| at)];
        taken.sort_unstable();
        for at in taken.into_iter().rev().flatten() {
            if at >= self.mark {
                self.sink.take(at);
            }
        }
        let status = self.status.filter(|_| self.request);
        let message = match self.message {
            Some((_, value, _)) if S::WANTED => value.text(),
            Some(_) | None => Cow::Borrowed(line),
        };
        let level = self.level.map(|(_, level, _)| level).or_else(|| status.and_then(super::access::level_of_status));
        (Found { format: "", level, time: self.time.map(|(_, time, _)| time), message }, self.sink)
    }
}

fn keep<T>(chosen: &mut Chosen<T>, rank: u8, value: Option<T>, place: usize) {
    let better = chosen.as_ref().is_none_or(|(known, ..)| rank <= *known);
    if let Some(value) = value.filter(|_| better) {
        *chosen = Some((rank, value, place));
    }
}

/// The longest key that has a role.
const KEY: usize = 20;

/// What a key means, whatever its case.
pub(super) fn role(key: &str) -> Option<Role> {
    let bytes = key.as_bytes();
    // Most keys have none, and this is asked of each.
    if !b"lsatdembrpuLSATDEMBRPU@_".contains(bytes.first()?) {
        return None;
    }
    let mut lower = [0; KEY];
    let lower = lower.get_mut(..bytes.len())?;
    lower.copy_from_slice(bytes);
    lower.make_ascii_lowercase();
    Some(match &*lower {
        b"level" => Role::Level(0, Scale::Usual),
        b"severity" | b"lvl" | b"@l" | b"@level" => Role::Level(1, Scale::Usual),
        b"loglevel" | b"log_level" | b"log.level" | b"levelname" | b"level_name" | b"severity_text"
        | b"severitytext" => Role::Level(2, Scale::Usual),
        b"priority" => Role::Level(3, Scale::Usual),
        b"levelno" => Role::Level(4, Scale::Python),
        b"severity_number" | b"severitynumber" => Role::Level(4, Scale::Telemetry),
        b"s" => Role::Level(5, Scale::Letter),
        b"at" => Role::Level(6, Scale::Usual),
        b"time" | b"ts" | b"timestamp" | b"@timestamp" | b"@t" => Role::Time(0),
        b"t" | b"datetime" | b"asctime" | b"time_iso8601" | b"time_local" | b"timemillis" | b"eventtime" => {
            Role::Time(1)
        }
        b"date" => Role::Time(2),
        b"__realtime_timestamp" => Role::Time(3),
        b"msg" | b"message" | b"@m" | b"@message" => Role::Message(0),
        b"short_message" | b"renderedmessage" | b"textpayload" | b"body" => Role::Message(1),
        b"event" => Role::Message(2),
        b"@mt" | b"messagetemplate" => Role::Message(3),
        b"log" => Role::Message(4),
        b"status" | b"status_code" | b"statuscode" => Role::Status,
        b"method" | b"request_method" | b"path" | b"uri" | b"request_uri" | b"url" | b"request" => Role::Request,
        _ => return None,
    })
}

/// The level that a value is.
fn level(text: &str, scale: Scale) -> Option<Level> {
    let text = text.trim_ascii();
    if !text.as_bytes().first()?.is_ascii_digit() {
        let stem = match scale {
            // `D1` to `D5`.
            Scale::Letter => text.get(..1)?,
            Scale::Usual | Scale::Python | Scale::Telemetry => text,
        };
        return Level::of_word(stem);
    }
    let number: u32 = text.parse().ok()?;
    let steps = match (scale, number) {
        (Scale::Letter, _) => return None,
        (Scale::Usual, 0..=2) => 6,
        (Scale::Usual, 3) => 5,
        (Scale::Usual, 4) => 4,
        (Scale::Usual, 5 | 6) => 3,
        (Scale::Usual, 7) => 2,
        (Scale::Usual, 10..=69) => number / 10,
        (Scale::Python, 1..=59) => number / 10 + 1,
        (Scale::Telemetry, 1..=24) => number.div_ceil(4),
        (Scale::Usual | Scale::Python | Scale::Telemetry, _) => return None,
    };
    Level::ALL.get(steps as usize - 1).copied()
}

/// The time that a value is.
fn time(value: JsonValue<'_>) -> Option<LineTime> {
    let text = value.raw.trim_ascii();
    epoch(text).map(LineTime::Instant).or_else(|| stamp::whole(text))
}
