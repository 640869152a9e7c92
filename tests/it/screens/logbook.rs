//! A project whose services write all sorts of lines, and what the engine has learnt of them.

use std::{sync::Arc, time::Duration};

use cas::model::{
    history::History,
    level::Level,
    log::LogBatch,
    pattern::{Marks, NewSince, Pattern, ServicePatterns, TREND_MINUTES},
    phase::Exit,
    policy::Origin,
    timeline::What,
};

use super::fixture::{NOW, World, ago, batch, entry, id, running, service, world};

/// Lines of JSON, of logfmt, of a web server and of Python, one of them a traceback; a crash and a restart between them.
pub(super) fn logbook() -> World {
    let services =
        ["api", "jobs", "web"].map(|name| service("demo", name, running(3900), "runs; no probe")).into_iter().collect();
    let words = vec!["ValueError: no such order: 17".to_owned()];
    let exit = Exit::Code(1);
    let timeline = vec![
        entry(1, 3900, Origin::Config, "api", What::Started { pid: 41_217, attempt: 0 }, "autostart"),
        entry(
            2,
            40,
            Origin::System,
            "jobs",
            What::Exited { exit, after: Duration::from_mins(64), last_words: words },
            "nobody asked for it",
        ),
        entry(3, 39, Origin::Healer, "jobs", What::Started { pid: 42_003, attempt: 1 }, "restart: always"),
    ];
    let mut world = world(services, timeline);
    world.logs = logs();
    world
}

fn logs() -> Vec<Arc<LogBatch>> {
    let (api, jobs, web) = (id("demo", "api"), id("demo", "jobs"), id("demo", "web"));
    let mut logs = Vec::new();
    let mut seqs = [0_u64; 3];
    for number in 0..30_u64 {
        let seconds = 150 - number * 5;
        let level = if number % 10 == 3 { "error" } else { "info" };
        let message = if level == "error" { "payment refused" } else { "order taken" };
        let line = format!(
            "{{\"level\":\"{level}\",\"time\":\"{}\",\"msg\":\"{message}\",\"order\":{number},\"http\":{{\"status\":{}}},\"took\":\"{} ms\"}}",
            chrono::DateTime::from_timestamp_micros(ago(seconds).wall_us).unwrap().to_rfc3339(),
            if level == "error" { 502 } else { 200 },
            number * 7 % 90
        );
        logs.push(batch(&api, 5, seqs[0], seconds, &[&line]));
        seqs[0] += 1;
        let access = format!(
            "10.0.0.{} - - [22/Nov/2026:14:0{}:00 +0000] \"GET /orders/{number} HTTP/1.1\" {} 512 \"-\" \"curl/8\"",
            number % 9,
            number % 4,
            if number % 10 == 3 { 502 } else { 200 }
        );
        logs.push(batch(&web, 6, seqs[2], seconds, &[&access]));
        seqs[2] += 1;
    }
    logs.push(batch(
        &jobs,
        7,
        0,
        120,
        &["level=info msg=\"queue is empty\" depth=0", "level=warn msg=\"slow consumer\" depth=812 lag=4s"],
    ));
    logs.push(batch(
        &jobs,
        7,
        2,
        41,
        &[
            "!Traceback (most recent call last):",
            "!  File \"/srv/demo/jobs.py\", line 81, in work",
            "!    order = orders.get(number)",
            "!  File \"/srv/demo/orders.py\", line 17, in get",
            "!    raise ValueError(f\"no such order: {number}\")",
            "!ValueError: no such order: 17",
        ],
    ));
    logs.push(batch(&jobs, 8, 8, 38, &["level=info msg=\"begins again\" depth=812"]));
    logs.sort_by_key(|batch| batch.wall_us);
    logs
}

fn pattern(id: u32, level: Option<Level>, count: u64, text: &str, trend: &[u32], new: NewSince) -> Pattern {
    let mut minutes = vec![0; TREND_MINUTES - trend.len()];
    minutes.extend_from_slice(trend);
    let mut history = History::default();
    for lines in &minutes {
        history.push(*lines as f32);
    }
    Pattern {
        id,
        text: text.to_owned(),
        level,
        count,
        first_us: ago(3900).wall_us,
        last_us: ago(u64::from(id)).wall_us,
        per_minute: f64::from(minutes.iter().rev().take(5).sum::<u32>()) / 5.0,
        usual_per_minute: Some(f64::from(minutes.iter().sum::<u32>()) / 60.0),
        trend: minutes,
        example: text.replace("<*>", "17"),
        new_since: new,
    }
}

/// What is known of the output of `api`.
pub(super) fn patterns() -> Vec<ServicePatterns> {
    let ever = NewSince::default();
    let new = NewSince { restart: true, healthy_hour: true, ..ever };
    vec![ServicePatterns {
        service: id("demo", "api"),
        at_us: NOW.wall_us,
        since_us: ago(86_400).wall_us,
        lines: 1_204_331,
        dropped: 0,
        learning: false,
        marks: Marks {
            restart_us: Some(ago(3900).wall_us),
            deployment_us: None,
            healthy_hour_us: Some(ago(1800).wall_us),
        },
        patterns: vec![
            pattern(1, Some(Level::Info), 1_180_204, "order <*> taken in <*> ms", &[320; 60], ever),
            pattern(
                2,
                Some(Level::Error),
                41,
                "payment of order <*> refused: upstream <*> timed out",
                &[0, 3, 9, 29],
                new,
            ),
            pattern(3, Some(Level::Warn), 811, "slow query: <*> ms, <*> rows", &[4, 9, 12, 9, 8, 90], ever),
            pattern(4, None, 12, "listening on <*>", &[1], NewSince { deployment: true, ..ever }),
            pattern(5, Some(Level::Error), 2, "cannot reach <*>: connection refused", &[2, 0, 0, 0, 0, 0], ever),
            pattern(6, Some(Level::Debug), 23_261, "cache <*> hit", &[7; 40], ever),
        ],
    }]
}
