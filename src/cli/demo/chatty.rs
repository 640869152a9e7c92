//! Logs hard: some two hundred lines a second in colours, JSON, tracebacks and many scripts.

use std::{io, time::Duration};

use super::stage::{Stage, pause};

/// Lines at a time, twenty times a second.
const LINES: usize = 10;

pub(super) fn run(stage: &mut Stage) -> io::Result<u8> {
    stage.say("\x1b[1;36mgateway\x1b[0m up")?;
    for step in 0_u64.. {
        let mut lines = Vec::with_capacity(LINES);
        for index in 0..LINES as u64 {
            lines.push(line(stage, step * LINES as u64 + index));
        }
        stage.say(&lines.join("\n"))?;
        pause(Duration::from_millis(50));
    }
    Ok(0)
}

fn line(stage: &mut Stage, number: u64) -> String {
    match stage.rng.u8(..100) {
        0..=39 => {
            let (level, colour) = [("DEBUG", 2), ("INFO ", 32), ("INFO ", 32), ("WARN ", 33)][stage.rng.usize(..4)];
            let route = stage.pick(&["/v1/cart", "/v1/orders", "/v1/search?q=shoes", "/static/app.js", "/healthz"]);
            let (status, took) = (stage.pick(&["200", "200", "204", "304", "429"]), stage.rng.u32(1..90));
            format!("\x1b[{colour}m{level}\x1b[0m req={number} {route} \x1b[1m{status}\x1b[0m {took}ms")
        }
        40..=79 => {
            let level = stage.pick(&["debug", "info", "info", "info", "warn"]);
            let (user, bytes) = (stage.rng.u32(1..9_999), stage.rng.u32(100..90_000));
            format!("{{\"level\":\"{level}\",\"msg\":\"proxied\",\"req\":{number},\"user\":{user},\"bytes\":{bytes}}}")
        }
        80..=94 => {
            let who = stage.pick(&["Zoë", "小明", "Олег", "مريم", "José 🚀", "한별", "Δήμητρα"]);
            format!("session {number} opened for {who}")
        }
        95..=98 => {
            let upstream = stage.pick(&["orders", "search", "stock"]);
            format!("\x1b[33mWARN \x1b[0m upstream {upstream} slow: retry 1 of 3 ↻")
        }
        _ => [
            "\x1b[31mERROR\x1b[0m unhandled exception",
            "Traceback (most recent call last):",
            "  File \"/srv/gateway/proxy.py\", line 77, in forward",
            "    return await upstream.send(request, timeout=2)",
            "TimeoutError: upstream stock did not answer in 2 s",
        ]
        .join("\n"),
    }
}
