//! NATS: its client protocol for whether it serves, its monitoring port (where it is there) for how it is.
//!
//! Protocol: <https://docs.nats.io/reference/reference-protocols/nats-protocol>. Options of the target: `management` (the monitoring port, usually
//! 8222; none: only the protocol itself tells). A password without a user is a token.
//!
//! Never: publishes or subscribes.

mod monitoring;

use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncWrite, AsyncWriteExt, BufReader};

use crate::{
    model::exam::{Grade, Measure, Reading, Target, Trouble},
    world::clock,
};

use super::{
    wire::{self, Connection},
    words::{self, word},
};

/// Most bytes of the server's INFO, which holds the addresses of its cluster.
const MOST_INFO: usize = 256 * 1024;
/// Lines that may come before the answer.
const MOST_LINES: usize = 32;

/// What the server said, and how long a round took in seconds.
struct Greeting {
    info: Value,
    latency: f64,
}

pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    greet(target).await.map(|_greeting| ())
}

pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let port = words::port_option(target, "management").map_err(Trouble::Refused)?;
    let greeting = greet(target).await?;
    let mut reading = Reading { server: Some(server(&greeting.info)), ..Reading::default() };
    reading.measure(Measure::new("latency", greeting.latency));
    if let Some(port) = port {
        monitoring::look(&Target { port, ..target.clone() }, &mut reading).await;
    } else {
        let advice = "start it with -m 8222 and write ?management=8222 behind the URL of the check";
        reading.remark("management", Grade::Notice, "no monitoring port is named: figures are not read", Some(advice));
    }
    Ok(reading)
}

fn server(info: &Value) -> String {
    words::said(&format!("NATS {}", word(info, "version")))
}

async fn greet(target: &Target) -> Result<Greeting, Trouble> {
    // TLS begins behind the first line, or (handshake_first) before it; only the former can be known.
    let mut plain = BufReader::new(wire::connect_tcp(target).await?);
    let info = read_info(&mut plain, target).await?;
    if info.get("ldm").and_then(Value::as_bool) == Some(true) {
        return Err(Trouble::Unready(format!("{} is in lame duck mode: it is shutting down", target.place())));
    }
    let wants_tls = info.get("tls_required").and_then(Value::as_bool) == Some(true);
    let mut connection: BufReader<Connection> = if target.tls || wants_tls {
        BufReader::new(wire::secure(plain.into_inner(), target).await?)
    } else {
        BufReader::new(Box::new(plain))
    };
    let latency = log_in(&mut connection, target, &info).await?;
    Ok(Greeting { info, latency })
}

async fn read_info<R: AsyncBufRead + Unpin>(reader: &mut R, target: &Target) -> Result<Value, Trouble> {
    let line = wire::line(reader, MOST_INFO).await.map_err(|error| wire::broken(&error, target))?;
    if let Some(error) = line.strip_prefix("-ERR") {
        return Err(refusal(error, target, &Value::Null));
    }
    line.strip_prefix("INFO ")
        .and_then(|json| serde_json::from_str::<Value>(json.trim()).ok())
        .filter(Value::is_object)
        .ok_or_else(|| foreign(target, &line))
}

/// Logs in and asks for one round; how long that took, in seconds.
async fn log_in<S>(stream: &mut S, target: &Target, info: &Value) -> Result<f64, Trouble>
where
    S: AsyncBufRead + AsyncWrite + Unpin,
{
    let mut connect = json!({
        "verbose": false, "pedantic": false, "lang": "rust", "version": env!("CARGO_PKG_VERSION"),
        "name": "cas health check", "protocol": 1, "tls_required": target.tls,
    });
    if let Some(password) = &target.password {
        if let Some(user) = &target.user {
            connect["user"] = user.as_str().into();
            connect["pass"] = password.0.as_str().into();
        } else {
            connect["auth_token"] = password.0.as_str().into();
        }
    } else if let Some(token) = &target.user {
        // As its own clients take nats://TOKEN@host.
        connect["auth_token"] = token.as_str().into();
    }
    let broken = |error| wire::broken(&error, target);
    let begun = clock::now();
    stream.write_all(format!("CONNECT {connect}\r\nPING\r\n").as_bytes()).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    for _ in 0..MOST_LINES {
        let line = wire::line(stream, MOST_INFO).await.map_err(broken)?;
        if line == "PONG" {
            return Ok(words::seconds_since(begun));
        }
        if let Some(error) = line.strip_prefix("-ERR") {
            return Err(refusal(error, target, info));
        }
        if line == "PING" {
            stream.write_all(b"PONG\r\n").await.map_err(broken)?;
            stream.flush().await.map_err(broken)?;
        } else if !(line == "+OK" || line.starts_with("INFO ")) {
            return Err(foreign(target, &line));
        }
    }
    Err(Trouble::Foreign(format!("{} sends {MOST_LINES} lines and no PONG", target.place())))
}

fn foreign(target: &Target, line: &str) -> Trouble {
    Trouble::Foreign(format!("{} does not speak NATS: it says \"{}\"", target.place(), words::hushed(line, target)))
}

/// What `-ERR` means: the list of them in the protocol's description.
fn refusal(error: &str, target: &Target, info: &Value) -> Trouble {
    let place = target.place();
    let text = words::hushed(error.trim().trim_matches('\''), target);
    let lower = text.to_ascii_lowercase();
    if lower.contains("maximum connections") || lower.contains("maximum account active connections") {
        return Trouble::Busy(format!("{place} takes no more connections: {text}"));
    }
    if lower.contains("authorization") || lower.contains("authentication") || lower.contains("user") {
        let key = words::with_credentials("nats", target);
        let nonce = info.get("nonce").is_some();
        let how = if nonce { "; it also takes keys (NKEY, JWT), which are not asked with" } else { "" };
        return Trouble::Refused(match (&target.user, &target.password) {
            (Some(user), Some(_)) => {
                format!("{place} refuses user {} with the password it was given: {text}", words::said(user))
            }
            (Some(_), None) | (None, Some(_)) => format!("{place} refuses the token it was given: {text}"),
            (None, None) => format!("{place} wants to know who asks: {text}; {key}{how}"),
        });
    }
    if lower.contains("shutdown") || lower.contains("stale") || lower.contains("timeout") {
        return Trouble::Unready(format!("{place} ends the connection: {text}"));
    }
    Trouble::Foreign(format!("{place} does not take the question: {text}"))
}
