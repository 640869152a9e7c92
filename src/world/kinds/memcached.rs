//! memcached, asked in its text protocol (<https://github.com/memcached/memcached/blob/master/doc/protocol.txt>).
//!
//! `ready`: `version`, after a login where a password is given (its `authfile`). `look`: `stats`, `stats settings`, `stats items`.
//!
//! Never: stores, reads or drops a value of anybody.

use std::{collections::BTreeMap, io};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::{
    texts::{number_of, said, said_in},
    wire::{self, Connection},
};
use crate::model::exam::{Measure, Reading, Target, Trouble};

/// Most bytes of a line, and most lines of an answer.
const LINE: usize = 2048;
const LINES: usize = 5000;
/// Below so many look-ups their hit share says nothing.
const WORTH_HITS: f64 = 1000.0;

type Stats = BTreeMap<String, String>;

struct Session {
    stream: BufReader<Connection>,
    target: Target,
}

pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    let mut session = Session::open(target).await?;
    session.version().await?;
    session.close().await;
    Ok(())
}

pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let mut session = Session::open(target).await?;
    let version = session.version().await?;
    let stats = session.stats("stats").await?;
    let settings = session.stats("stats settings").await?;
    let items = session.stats("stats items").await?;
    session.close().await;
    let mut reading = Reading { server: Some(format!("memcached {version}")), ..Reading::default() };
    figures(&stats, &settings, &items, &mut reading);
    Ok(reading)
}

impl Session {
    async fn open(target: &Target) -> Result<Self, Trouble> {
        let stream = BufReader::new(wire::connect(target).await?);
        let mut session = Self { stream, target: target.clone() };
        if let Some(password) = &target.password {
            // "Authentication" of the protocol: a set whose value is `user password`; nothing is stored.
            let proof = format!("{} {}", target.user.as_deref().unwrap_or_default(), password.0);
            session.say(&format!("set cas 0 0 {}\r\n{proof}\r\n", proof.len())).await?;
            let answer = session.line().await?;
            if answer != "STORED" {
                return Err(session.trouble(&answer));
            }
        }
        Ok(session)
    }

    async fn version(&mut self) -> Result<String, Trouble> {
        self.say("version\r\n").await?;
        let answer = self.line().await?;
        answer.strip_prefix("VERSION ").map(|version| said_in(version, 40)).ok_or_else(|| self.trouble(&answer))
    }

    /// Lines `STAT name value`, then `END`.
    async fn stats(&mut self, command: &str) -> Result<Stats, Trouble> {
        self.say(&format!("{command}\r\n")).await?;
        let mut stats = Stats::new();
        for _ in 0..LINES {
            let line = self.line().await?;
            if line == "END" {
                return Ok(stats);
            }
            let rest = line.strip_prefix("STAT ").ok_or_else(|| self.trouble(&line))?;
            let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
            stats.insert(name.to_owned(), value.to_owned());
        }
        Err(self.trouble("more lines than there can be"))
    }

    fn trouble(&self, answer: &str) -> Trouble {
        let place = self.target.place();
        let words = said(answer);
        match answer {
            "CLIENT_ERROR unauthenticated" => Trouble::Refused(format!(
                "{place} wants a password and got none: write check: memcached://USER:PASSWORD@{place}"
            )),
            _ if answer.starts_with("CLIENT_ERROR authentication") => {
                Trouble::Refused(format!("{place} does not take user and password: {words}"))
            }
            _ if answer.starts_with("ERROR Too many open connections") => {
                Trouble::Busy(format!("{place} takes no more connections: {words}"))
            }
            _ if answer.starts_with("SERVER_ERROR") => Trouble::Unready(format!("{place} says: {words}")),
            _ => Trouble::Foreign(format!("{place} does not answer as memcached does: {words}")),
        }
    }

    async fn say(&mut self, words: &str) -> Result<(), Trouble> {
        self.stream.write_all(words.as_bytes()).await.map_err(|error| wire::broken(&error, &self.target))
    }

    async fn line(&mut self) -> Result<String, Trouble> {
        let line = async {
            // Every answer begins with a capital letter; somebody else may never end a line.
            let first = self.stream.fill_buf().await?.first().copied();
            if !first.ok_or(io::ErrorKind::UnexpectedEof)?.is_ascii_uppercase() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not begin as memcached does"));
            }
            wire::line(&mut self.stream, LINE).await
        };
        line.await.map_err(|error| wire::broken(&error, &self.target))
    }

    async fn close(mut self) {
        // It is gone anyway where that cannot be said.
        let _said = self.stream.write_all(b"quit\r\n").await;
    }
}

fn figures(stats: &Stats, settings: &Stats, items: &Stats, reading: &mut Reading) {
    let of = |name: &str| number_of(stats, name);
    for (used, most, name) in [
        ("bytes", of("limit_maxbytes"), "memory"),
        ("curr_connections", of("max_connections").or_else(|| number_of(settings, "maxconns")), "connections"),
    ] {
        if let Some(used) = of(used) {
            let measure = Measure::new(name, used);
            reading.measure(match most.filter(|most| *most > 0.0) {
                Some(most) => measure.of(most),
                None => measure,
            });
        }
    }
    for (key, name) in [
        ("evictions", "evictions"),
        ("reclaimed", "reclaimed"),
        ("rejected_connections", "rejected-connections"),
        ("listen_disabled_num", "listen-disabled"),
        ("curr_items", "items"),
    ] {
        if let Some(value) = of(key) {
            reading.measure(Measure::new(name, value));
        }
    }
    if let (Some(got), Some(set)) = (of("cmd_get"), of("cmd_set")) {
        reading.measure(Measure::new("commands", got + set));
    }
    if let (Some(hits), Some(misses)) = (of("get_hits"), of("get_misses"))
        && hits + misses >= WORTH_HITS
    {
        reading.measure(Measure::new("hit-share", hits / (hits + misses)));
    }
    // items:CLASS:evicted_time
    let classes = |key: &str| -> Vec<(&str, f64)> {
        let keys = items.iter().filter_map(|(name, value)| {
            let class = name.strip_prefix("items:")?.strip_suffix(key)?.strip_suffix(':')?;
            Some((class, super::texts::number(value)?))
        });
        keys.collect()
    };
    let failed: f64 = classes("outofmemory").iter().map(|(_, count)| count).sum();
    reading.measure(Measure::new("out-of-memory", failed));
    let evicted = classes("evicted");
    let ages = classes("evicted_time")
        .into_iter()
        .filter(|(class, _)| evicted.iter().any(|(other, count)| other == class && *count > 0.0));
    if let Some((class, age)) = ages.min_by(|(_, a), (_, b)| a.total_cmp(b)) {
        let size = number_of(items, &format!("items:{class}:number")).unwrap_or(0.0);
        let about = format!("class {} of {size:.0} values", said_in(class, 10));
        reading.measure(Measure::new("evicted-young", age).about(about));
    }
}
