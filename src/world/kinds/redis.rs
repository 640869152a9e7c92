//! Redis and what speaks as it does (Valkey, `KeyDB`, Dragonfly), asked in RESP.
//!
//! `ready`: `AUTH` where a password is given, `PING`. `look`: `INFO`, `CONFIG GET`, `SLOWLOG GET 1`, `CLUSTER INFO`, and the lengths of job queues.
//! The path of a target is the number of its database; options: `streams`, `lists`, `bull` (names of streams, lists, `BullMQ` queues).
//!
//! Never: a command that writes, blocks, or walks the whole of a big database (`KEYS`, `MONITOR`, `CLIENT LIST`).

mod figures;
mod queues;
mod resp;

use std::collections::BTreeMap;

use self::resp::{Reply, Resp};
use super::texts::{number_of, said};
use crate::model::exam::{Grade, Measure, Reading, Target, Trouble};

pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    let mut resp = Resp::connect(target).await?;
    log_in(&mut resp, target).await?;
    ping(&mut resp, target).await
}

pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let mut resp = Resp::connect(target).await?;
    let needless = log_in(&mut resp, target).await?;
    let begun = tokio::time::Instant::now();
    let pinged = ping(&mut resp, target).await;
    let latency = begun.elapsed().as_secs_f64();
    let mut reading = Reading::default();
    match pinged {
        Ok(()) => reading.measure(Measure::new("latency", latency)),
        // It answers, and its figures tell why it is so.
        Err(Trouble::Unready(why)) if !why.contains("LOADING") => {
            reading.remark("serving", Grade::Critical, why, None);
        }
        Err(trouble) => return Err(trouble),
    }
    if needless {
        reading.remark(
            "password",
            Grade::Notice,
            "a password is given, but it lets everybody in without one",
            Some("set requirepass or an ACL, or take the password out of check"),
        );
    }
    let info = info(&mut resp, target).await?;
    reading.server = Some(server(&info));
    figures::read(&mut resp, &info, &mut reading).await?;
    queues::read(&mut resp, target, &info, &mut reading).await?;
    Ok(reading)
}

/// Names itself and chooses the database. True where it takes everybody and a password was given.
async fn log_in(resp: &mut Resp, target: &Target) -> Result<bool, Trouble> {
    let mut needless = false;
    if let Some(password) = &target.password {
        let reply = match &target.user {
            Some(user) => resp.ask(&["AUTH", user, &password.0]).await?,
            None => resp.ask(&["AUTH", &password.0]).await?,
        };
        if let Reply::Error(why) = reply {
            needless = why.contains("no password is set") || why.contains("without any password configured");
            if !needless {
                return Err(refusal(&why, target));
            }
        }
    }
    let database = target.path.trim_matches('/');
    if !database.is_empty()
        && database != "0"
        && let Reply::Error(why) = resp.ask(&["SELECT", database]).await?
    {
        let trouble = refusal(&why, target);
        return Err(match trouble {
            Trouble::Foreign(_) => {
                Trouble::Refused(format!("{} has no database {}: {}", target.place(), said(database), said(&why)))
            }
            Trouble::Unreachable(_) | Trouble::Unready(_) | Trouble::Busy(_) | Trouble::Refused(_) => trouble,
        });
    }
    Ok(needless)
}

async fn ping(resp: &mut Resp, target: &Target) -> Result<(), Trouble> {
    match resp.ask(&["PING"]).await? {
        Reply::Text(text) if text == "PONG" => Ok(()),
        Reply::Error(why) if why.starts_with("LOADING") => {
            let how_far = match resp.ask(&["INFO", "persistence"]).await {
                Ok(Reply::Text(text)) => how_far(&parse(&text)),
                Ok(_) | Err(_) => String::new(),
            };
            Err(Trouble::Unready(format!("{} is reading its data set{how_far}: {}", target.place(), said(&why))))
        }
        Reply::Error(why) => Err(refusal(&why, target)),
        other @ (Reply::Text(_) | Reply::Integer(_) | Reply::Nothing | Reply::List(_)) => {
            Err(Trouble::Foreign(format!("{} answers PING with {}", target.place(), said(&format!("{other:?}")))))
        }
    }
}

/// What an error of the server means (<https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors>: its first word is its kind).
fn refusal(why: &str, target: &Target) -> Trouble {
    let place = target.place();
    let words = said(why);
    let kind = why.split(' ').next().unwrap_or_default();
    match kind {
        "NOAUTH" => Trouble::Refused(format!(
            "{place} wants a password and got none: write check: redis://:PASSWORD@{place} (redis://USER:PASSWORD@… with an ACL)"
        )),
        "WRONGPASS" => Trouble::Refused(match &target.user {
            Some(user) => format!("{place} does not take the password of {}: {words}", said(user)),
            None => format!("{place} does not take the password: {words}"),
        }),
        "NOPERM" => Trouble::Refused(format!("{place} does not permit it: {words}")),
        "DENIED" => Trouble::Refused(format!(
            "{place} is in protected mode and takes only connections from its own machine: set a password (requirepass) or bind"
        )),
        "LOADING" => Trouble::Unready(format!("{place} is reading its data set: {words}")),
        "MASTERDOWN" => {
            Trouble::Unready(format!("{place} is a replica without its master and serves no old data: {words}"))
        }
        "MISCONF" => Trouble::Unready(format!("{place} takes no writes, as it cannot save: {words}")),
        "BUSY" => Trouble::Unready(format!("{place} is busy with a script: {words}")),
        "CLUSTERDOWN" => Trouble::Unready(format!("the cluster of {place} is down: {words}")),
        _ if why.contains("max number of clients") => {
            Trouble::Busy(format!("{place} takes no more clients (maxclients): {words}"))
        }
        _ if why.contains("invalid password") => {
            Trouble::Refused(format!("{place} does not take the password: {words}"))
        }
        _ => Trouble::Foreign(format!("{place} answers with an error: {words}")),
    }
}

async fn info(resp: &mut Resp, target: &Target) -> Result<BTreeMap<String, String>, Trouble> {
    match resp.ask(&["INFO"]).await? {
        Reply::Text(text) => {
            let info = parse(&text);
            if info.get("loading").is_some_and(|loading| loading == "1") {
                return Err(Trouble::Unready(format!("{} is reading its data set{}", target.place(), how_far(&info))));
            }
            Ok(info)
        }
        Reply::Error(why) => Err(refusal(&why, target)),
        Reply::Integer(_) | Reply::Nothing | Reply::List(_) => {
            Err(Trouble::Foreign(format!("{} answers INFO with what is no text", target.place())))
        }
    }
}

/// `INFO`'s lines: `key:value`, headings with `#` (<https://redis.io/docs/latest/commands/info/>).
fn parse(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
        .collect()
}

fn how_far(info: &BTreeMap<String, String>) -> String {
    let share = number_of(info, "loading_loaded_perc");
    let left = number_of(info, "loading_eta_seconds");
    match (share, left) {
        (Some(share), Some(left)) => format!(" ({share:.0} % read, about {left:.0} s to go)"),
        (Some(share), None) => format!(" ({share:.0} % read)"),
        (None, _) => String::new(),
    }
}

fn server(info: &BTreeMap<String, String>) -> String {
    let known = [("valkey_version", "Valkey"), ("dragonfly_version", "Dragonfly"), ("redis_version", "Redis")];
    let found = known.into_iter().find_map(|(key, name)| info.get(key).map(|version| format!("{name} {version}")));
    said(&found.unwrap_or_else(|| "Redis".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said_by(why: &str) -> Trouble {
        refusal(why, &Target { host: "h".to_owned(), port: 1, ..Target::default() })
    }

    #[test]
    fn errors_of_redis_are_told_apart_by_their_first_word() {
        assert!(matches!(said_by("NOAUTH Authentication required."), Trouble::Refused(why) if why.contains("check:")));
        assert!(matches!(said_by("WRONGPASS invalid username-password pair"), Trouble::Refused(_)));
        assert!(matches!(said_by("DENIED Redis is running in protected mode"), Trouble::Refused(_)));
        assert!(matches!(said_by("LOADING Redis is loading the dataset in memory"), Trouble::Unready(_)));
        assert!(matches!(said_by("MASTERDOWN Link with MASTER is down"), Trouble::Unready(_)));
        assert!(matches!(said_by("MISCONF Redis is configured to save RDB snapshots"), Trouble::Unready(_)));
        assert!(matches!(said_by("BUSY Redis is busy running a script"), Trouble::Unready(_)));
        assert!(matches!(said_by("ERR max number of clients reached"), Trouble::Busy(_)));
        assert!(matches!(said_by("ERR invalid password"), Trouble::Refused(_)));
        assert!(matches!(said_by("ERR unknown command"), Trouble::Foreign(_)));
    }

    #[test]
    fn forks_of_redis_are_called_by_their_own_name() {
        let info = parse("# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n");
        assert_eq!(server(&info), "Valkey 8.0.1");
    }
}
