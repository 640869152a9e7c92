//! The console: first frame, a frame's cost, idleness, a key under a flood, memory under a flood.

use crate::{
    Figure,
    measure::{Project, Terminal, cpu_seconds, ms_since, pause, quantile, resident_mib, wait_until},
};
use cas::{
    config,
    engine::{Engine, Settings},
    model::{
        effect::Effect,
        event::{Event, Input},
        heritage::Heritage,
        metric::{HostUsage, RunUsage, Sample},
    },
    tui::{self, Message, Setup, Ui, Zone, keymap::Keymap, theme::Theme},
    world::clock,
};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::{backend::TestBackend, layout::Size};
use std::{sync::Arc, time::Duration};

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

/// What one of the writers runs.
const WRITER: &str = "
import sys, time
n = 0
while True:
    for _ in range(RATE // 20):
        n += 1
        sys.stdout.write('request %d served in 12 ms, all is well and more is to come\\n' % n)
    sys.stdout.flush()
    time.sleep(0.05)
";

/// Writes a million lines, says so, rests, writes nine million more, says so.
const FLOOD: &str = "
import sys, time
line = 'a line of a flood that is long enough to look like a real one\\n' * 1000
for i in range(1, 10001):
    sys.stdout.write(line)
    if i in (1000, 10000):
        sys.stdout.flush()
        sys.stdout.write('MARK %d\\n' % i)
        sys.stdout.flush()
        time.sleep(8 if i == 1000 else 1000)
";

/// A project whose services run python scripts that lie beside it.
pub(crate) fn scripted(name: &str, script: &str, count: usize) -> Project {
    let service = |n| format!("  w{n}: {{ command: [python3, {name}.py], autostart: true, restart: 'no' }}");
    let services = (0..count).map(service).collect::<Vec<_>>().join("\n");
    let project = Project::new(&format!("name: {name}\nservices:\n{services}\n"));
    std::fs::write(project.path().join(format!("{name}.py")), script).expect("a script can be written");
    project
}

pub(crate) fn key_under_flood() -> Vec<Figure> {
    let project = scripted("writers", &WRITER.replace("RATE", "1000"), 10);
    let mut terminal = Terminal::open(&project, &[], 200, 60);
    wait_until("lines on the screen", 20, || terminal.shows("all is well"));
    pause(3000);
    let mut times = Vec::new();
    for _ in 0..40 {
        pause(70);
        let begin = clock::now();
        terminal.type_keys(":");
        wait_until("the palette", 1, || terminal.shows("╭ command "));
        times.push(ms_since(begin));
        terminal.type_keys("\x1b");
        wait_until("no palette", 1, || !terminal.shows("╭ command "));
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
    let project = scripted("flood", FLOOD, 1);
    let terminal = Terminal::open(&project, &[], 200, 60);
    wait_until("a million lines", 20, || terminal.shows("MARK 1000"));
    pause(3000);
    let one = resident_mib(terminal.pid());
    let begin = clock::now();
    wait_until("ten million lines", 20, || terminal.shows("MARK 10000"));
    let rate = 9_000_000.0 / (ms_since(begin) / 1000.0);
    pause(2000);
    let ten = resident_mib(terminal.pid());
    println!("  (9 million lines at {rate:.0} lines/s; {one:.1} MiB after 1 M, {ten:.1} MiB after 10 M)");
    vec![Figure { name: "memory after 10 M lines over after 1 M", value: ten / one, unit: "×", target: 1.05 }]
}

/// A console in memory with `count` services that were sampled for a minute.
pub(crate) fn ui_with(count: usize) -> Ui {
    let project = Project::sleepers(count, true);
    let loaded = config::load(&project.path().join("cas.yaml"), None, &std::env::vars().collect());
    let project = Arc::new(loaded.project.expect("a valid project"));
    let mut now = clock::now();
    let mut engine = Engine::new(Settings::default(), now);
    let mut runs = Vec::new();
    for effect in
        engine.step(now, Input::Event(Event::ProjectLoaded { project, heritage: Heritage::default(), request: None }))
    {
        if let Effect::Spawn { run, .. } = effect {
            runs.push(run);
        }
    }
    for (n, run) in runs.iter().enumerate() {
        let pid = u32::try_from(n + 100).expect("a small number");
        let _probes = engine.step(now, Input::Event(Event::Spawned { run: *run, pid }));
    }
    for second in 0..60_u16 {
        now = now.plus(Duration::from_secs(1));
        let usage = RunUsage { cpu_percent: f32::from(second % 7), memory_bytes: 9 << 20, processes: 1, threads: 1 };
        let host = HostUsage { cpu_percent: f32::from(second), cores: 2, ..HostUsage::default() };
        let sample =
            Sample { at: now, host, runs: runs.iter().map(|run| (*run, usage)).collect(), stopped: Vec::new() };
        let _none = engine.step(now, Input::Event(Event::Sampled(Arc::new(sample))));
    }
    let mut ui = Ui::new(
        Size { width: 200, height: 60 },
        Setup {
            theme: Theme::default(),
            keymap: Keymap::default(),
            zone: Zone::Utc,
            mouse: false,
            project: None,
            project_file: None,
            read_only: false,
        },
    );
    tui::update(&mut ui, Message::LogHistory(Vec::new()));
    tui::update(&mut ui, Message::Snapshot(engine.snapshot(now)));
    ui
}

pub(crate) fn frame_cost() -> Vec<Figure> {
    let mut ui = ui_with(1000);
    let mut terminal = ratatui::Terminal::new(TestBackend::new(200, 60)).expect("memory can be drawn on");
    let mut times: Vec<f64> = (0..200)
        .map(|_| {
            tui::update(&mut ui, Message::Key(KeyEvent::new(KeyCode::Char('j'), KeyModifiers::NONE)));
            let begin = clock::now();
            terminal.draw(|frame| tui::draw(frame, &ui)).expect("memory can be drawn on");
            ms_since(begin)
        })
        .collect();
    vec![Figure {
        name: "a frame at 200×60, 1,000 services, p50",
        value: quantile(&mut times, 0.5),
        unit: "ms",
        target: 4.0,
    }]
}
