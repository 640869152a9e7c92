//! The logs: following a flood with the pane open, and keys on a log of ten million lines.

use std::sync::Arc;

use cas::{
    model::{
        ids::{RunId, ServiceId},
        log::{LogBatch, LogLine, LogNews, Source, Stream},
    },
    tui::{self, Message, UiEffect, key},
    world::clock,
};
use ratatui::backend::TestBackend;

use crate::{
    Figure,
    console::{scripted, ui_with},
    daemon::Daemon,
    measure::{Terminal, cpu_seconds, ms_since, pause, quantile, resident_mib, wait_until},
};

/// Writes 100,000 lines a second, five hundred at a time, each with the time at which it was written.
const WRITER: &str = "
import sys, time
n = 0
begin = time.clock_gettime(time.CLOCK_BOOTTIME)
while True:
    t = int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000)
    lines = []
    for _ in range(500):
        n += 1
        lines.append('level=info msg=\"request served\" n=%d path=/api/items/%d status=200 at=%d=\\n' % (n, n % 1000, t))
    sys.stdout.write(''.join(lines))
    sys.stdout.flush()
    ahead = begin + n / 100000 - time.clock_gettime(time.CLOCK_BOOTTIME)
    if ahead > 0:
        time.sleep(ahead)
";

/// The newest time on the screen, milliseconds of the boot clock.
fn newest(text: &str) -> Option<u64> {
    text.split("at=").skip(1).filter_map(|rest| rest.split('=').next()?.parse().ok()).max()
}

/// The console attached to a daemon, so that its CPU is its own.
pub(crate) fn following() -> Vec<Figure> {
    let daemon = Daemon::start(scripted("flood", WRITER, 1));
    let mut terminal = Terminal::open(&daemon.project, &[], 200, 60);
    wait_until("lines on the screen", 30, || terminal.shows("request served"));
    terminal.type_keys("4z");
    pause(3000);
    let (cpu, of_engine, from) = (cpu_seconds(terminal.pid()), cpu_seconds(daemon.pid()), clock::now());
    terminal.take_seen();
    let mut lags = Vec::new();
    for _ in 0..200 {
        pause(47);
        let shown = newest(&terminal.text());
        let now = clock::now().mono_us / 1000;
        lags.extend(shown.map(|shown| now.saturating_sub(shown) as f64));
    }
    let seconds = ms_since(from) / 1000.0;
    let frames = terminal.take_seen().bursts as f64 / seconds;
    let percent = (cpu_seconds(terminal.pid()) - cpu) / seconds * 100.0;
    let engine = (cpu_seconds(daemon.pid()) - of_engine) / seconds * 100.0;
    let early = resident_mib(terminal.pid());
    pause(20_000);
    let late = resident_mib(terminal.pid());
    println!("  ({early:.1} MiB, and {late:.1} MiB after 2 M more lines)");
    vec![
        Figure { name: "follow 100,000 lines/s: CPU of the console", value: percent, unit: "%", target: 25.0 },
        // It stores the lines, looks for signs of failure and secrets in them, and learns their patterns.
        Figure { name: "follow 100,000 lines/s: CPU of the engine", value: engine, unit: "%", target: 50.0 },
        Figure { name: "follow 100,000 lines/s: frames", value: frames, unit: "/s", target: 31.0 },
        Figure {
            name: "follow 100,000 lines/s: behind, p50",
            value: quantile(&mut lags, 0.5),
            unit: "ms",
            target: 50.0,
        },
        Figure { name: "follow 100,000 lines/s: memory over time", value: late / early, unit: "×", target: 1.1 },
    ]
}

fn batch(service: &ServiceId, first_seq: u64, lines: u64, wall_us: i64) -> Arc<LogBatch> {
    let mut text = String::new();
    let mut found = Vec::new();
    for seq in first_seq..first_seq + lines {
        let level = if seq % 1000 == 7 { "error" } else { "info" };
        let line = format!("level={level} msg=\"request served\" n={seq} path=/api/items/{} status=200\n", seq % 1000);
        let start = u32::try_from(text.len()).expect("a batch is small");
        let len = u32::try_from(line.len() - 1).expect("a line is short");
        found.push(LogLine { start, len, stream: Stream::Stdout, continued: false });
        text.push_str(&line);
    }
    Arc::new(LogBatch {
        service: service.clone(),
        source: Source::Output,
        run: RunId(1),
        wall_us,
        first_seq,
        text: text.into(),
        lines: found.into(),
    })
}

/// Keys on a service that has written ten million lines: what each takes until the screen is drawn, and what it may have to wait for.
pub(crate) fn keys_on_ten_million_lines() -> Vec<Figure> {
    let mut ui = ui_with(10);
    let service = ui.selected().expect("a service is selected").clone();
    let begin = clock::now().wall_us;
    for number in 0..100_000_u64 {
        let wall_us = begin + i64::try_from(number).expect("it is small") * 10_000;
        let batch = batch(&service, number * 100, 100, wall_us);
        tui::update(&mut ui, Message::Log(LogNews::Batch(batch)));
    }
    let mut terminal = ratatui::Terminal::new(TestBackend::new(200, 60)).expect("memory can be drawn on");
    let (mut times, mut pieces) = (Vec::new(), Vec::new());
    let typed = [
        "4", "z", "k", "<ctrl-u>", "<ctrl-u>", "<pgup>", "g", "G", "/", "i", "t", "e", "m", "s", "/", "9", "9",
        "<enter>", "n", "N", "v", "v", "<esc>", "i", "i", "e", "E", "w", "W", "i", "i", "&", "s", "t", "a", "t", "u",
        "s", "<", "5", "<enter>", "H", "[", "[", "{", "<esc>", "<esc>", "c", "2", "2", "u", "b", "I", "G", "<up>",
        "<down>", "<home>", "<end>",
    ];
    for keys in typed {
        for chord in key::sequence(keys).unwrap_or_default() {
            let begun = clock::now();
            let effects = tui::update(&mut ui, Message::Key(chord.event()));
            terminal.draw(|frame| tui::draw(frame, &ui)).expect("memory can be drawn on");
            times.push(ms_since(begun));
            for effect in effects {
                if let UiEffect::SearchLogs { ticket, .. } = effect {
                    let finds = cas::model::log_search::LogFinds { is_complete: true, ..Default::default() };
                    tui::update(&mut ui, Message::LogFinds { ticket, answer: Ok(finds) });
                }
            }
        }
        while ui.is_behind() {
            let begun = clock::now();
            ui.work();
            pieces.push(ms_since(begun));
        }
    }
    let longest = |times: &mut Vec<f64>| quantile(times, 1.0);
    vec![
        Figure {
            name: "10 M lines: a key until it is drawn, longest",
            value: longest(&mut times),
            unit: "ms",
            target: 16.0,
        },
        Figure {
            name: "10 M lines: work that a key waits for, longest",
            value: longest(&mut pieces),
            unit: "ms",
            target: 16.0,
        },
    ]
}
