//! The console: first frame, a frame's cost, idleness, a key under a flood, memory under a flood.

use crate::{
    Figure,
    measure::{Project, Terminal, cpu_seconds, ms_since, pause, quantile, resident_mib, wait_until},
};
use cas::world::clock;

/// Milliseconds from the spawn of the process to a screen that shows a service.
fn first_frame_of(count: usize) -> f64 {
    let project = Project::sleepers(count, false);
    let mut times: Vec<f64> = (0..7)
        .map(|_| {
            let begin = clock::now();
            let terminal = Terminal::open(&project, &[], 200, 60);
            wait_until("the first service on the screen", 1, || terminal.shows("s0000"));
            ms_since(begin)
        })
        .collect();
    quantile(&mut times, 0.5)
}

pub(crate) fn first_frame() -> Vec<Figure> {
    vec![
        Figure { name: "first frame, 10 services, p50", value: first_frame_of(10), unit: "ms", target: 30.0 },
        Figure { name: "first frame, 1,000 services, p50", value: first_frame_of(1000), unit: "ms", target: 60.0 },
    ]
}

pub(crate) fn idle_console() -> Vec<Figure> {
    let project = Project::sleepers(50, true);
    let terminal = Terminal::open(&project, &[], 200, 60);
    wait_until("fifty running", 20, || terminal.shows("s0000") && crate::measure::children(terminal.pid()) >= 50);
    // Uptimes change every second in their first minute; then they count minutes.
    pause(63_000);
    let before = cpu_seconds(terminal.pid());
    terminal.take_seen();
    let from = clock::now();
    pause(20_000);
    let seconds = ms_since(from) / 1000.0;
    let seen = terminal.take_seen();
    let percent = (cpu_seconds(terminal.pid()) - before) / seconds * 100.0;
    vec![
        Figure {
            name: "idle console, 50 services: draws in 10 s",
            value: seen.bursts as f64 / seconds * 10.0,
            unit: "",
            target: 12.0,
        },
        Figure { name: "idle console, 50 services: CPU", value: percent, unit: "%", target: 0.3 },
        Figure {
            name: "idle console, 50 services: to terminal",
            value: seen.bytes as f64 / seconds,
            unit: "B/s",
            target: 200.0,
        },
    ]
}

/// Ten services that write `rate` lines a second each.
fn writers(rate: u32) -> Project {
    let mut yaml = "name: flood\nservices:\n".to_owned();
    for n in 0..10 {
        yaml.push_str(&format!(
            "  w{n}:\n    autostart: true\n    command:\n      - python3\n      - -c\n      - |\n        import sys, time\n        n = 0\n        while True:\n            for _ in range({}):\n                n += 1\n                sys.stdout.write('request %d served in 12 ms by worker {n}, all is well and more is to come\\n' % n)\n            sys.stdout.flush()\n            time.sleep(0.05)\n",
            rate / 20
        ));
    }
    Project::new(&yaml)
}

pub(crate) fn key_under_flood() -> Vec<Figure> {
    let project = writers(1000);
    let mut terminal = Terminal::open(&project, &[], 200, 60);
    wait_until("lines on the screen", 20, || terminal.shows("all is well"));
    pause(3000);
    let mut times = Vec::new();
    for _ in 0..40 {
        pause(70);
        let begin = clock::now();
        terminal.type_keys(":");
        wait_until("the palette", 1, || terminal.shows("Commands"));
        times.push(ms_since(begin));
        terminal.type_keys("\x1b");
        wait_until("no palette", 1, || !terminal.shows("Commands"));
    }
    vec![
        Figure {
            name: "key to screen, 10,000 lines/s, p50",
            value: quantile(&mut times, 0.5),
            unit: "ms",
            target: 16.0,
        },
        Figure {
            name: "key to screen, 10,000 lines/s, p95",
            value: quantile(&mut times, 0.95),
            unit: "ms",
            target: 33.0,
        },
    ]
}

pub(crate) fn memory_after_ten_million_lines() -> Vec<Figure> {
    let project = Project::new(
        "name: flood\nservices:\n  w:\n    autostart: true\n    restart: no\n    command: [python3, -c, \"import sys\\nfor i in range(10000):\\n    sys.stdout.write('line %d of a flood that is long enough to look like a real one\\\\n' % i * 1000)\\n    sys.stdout.flush()\\n    if i == 1000: sys.stderr.write('MARK ONE\\\\n'); import time; time.sleep(8)\\nsys.stderr.write('MARK TEN\\\\n')\\ntime.sleep(1000)\"]\n",
    );
    let terminal = Terminal::open(&project, &[], 200, 60);
    wait_until("a million lines", 20, || terminal.shows("MARK ONE"));
    pause(3000);
    let one = resident_mib(terminal.pid());
    let begin = clock::now();
    wait_until("ten million lines", 20, || terminal.shows("MARK TEN"));
    let rate = 9_000_000.0 / (ms_since(begin) / 1000.0);
    pause(2000);
    let ten = resident_mib(terminal.pid());
    println!("  (9 million lines at {rate:.0} lines/s; {one:.1} MiB after 1 M, {ten:.1} MiB after 10 M)");
    vec![Figure { name: "memory after 10 M lines over after 1 M", value: ten / one, unit: "×", target: 1.05 }]
}

pub(crate) fn frame_cost() -> Vec<Figure> {
    Vec::new()
}
