//! The figures that this project promises, measured in one run and compared with the recorded baseline.
//!
//! `make bench` prints a table; `make bench ARGS=--record` writes `benches/baseline.json`. An argument names figures to run:
//! `cargo bench --bench figures -- crash idle`. Machines are noisy: medians are printed, and a crash is compared with a bare
//! fork+exec+wait that is measured in the same run.
#![allow(clippy::print_stdout, clippy::panic, reason = "a benchmark prints a table, or says why it cannot")]

#[path = "figures_parts/console.rs"]
mod console;
#[path = "figures_parts/daemon.rs"]
mod daemon;
#[path = "figures_parts/detect.rs"]
mod detect;
#[path = "figures_parts/measure.rs"]
mod measure;
#[path = "figures_parts/probes.rs"]
mod probes;
#[path = "figures_parts/search.rs"]
mod search;
#[path = "figures_parts/supervisor.rs"]
mod supervisor;

use std::{collections::BTreeMap, path::Path};

/// One measured figure.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// Its name: the key in the baseline.
    name: &'static str,
    /// What was measured.
    value: f64,
    /// Unit of value and target.
    unit: &'static str,
    /// It should be at most this.
    target: f64,
}

/// A named group of figures.
type Group = (&'static str, fn() -> Vec<Figure>);

/// In this order: what needs the machine's rest comes before what leaves it breathless (a header follows the falling load, and ext4 looks long at
/// inodes that were deleted lately).
const GROUPS: &[Group] = &[
    ("idle", console::idle_console),
    ("thousand", supervisor::a_thousand_services),
    ("probes", probes::five_hundred_probes),
    ("crash", supervisor::crash_to_replacement),
    ("frame", console::frame_cost),
    ("first", console::first_frame),
    ("key", console::key_under_flood),
    ("memory", console::memory_after_ten_million_lines),
    ("detect", detect::detection),
    ("adopt", daemon::adoption),
    ("lines", daemon::lines),
    ("attach", daemon::attach),
    ("search", search::search_of_output),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let record = arguments.iter().any(|a| a == "--record");
    let wanted: Vec<&str> = arguments.iter().map(String::as_str).filter(|a| !a.starts_with("--")).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/baseline.json");
    let mut baseline: BTreeMap<String, f64> =
        std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();

    println!("{:<46} {:>12} {:>12} {:>12} {:>8}", "figure", "measured", "target ≤", "baseline", "ratio");
    let mut missed = 0;
    for (name, run) in GROUPS {
        if !wanted.is_empty() && !wanted.contains(name) {
            continue;
        }
        for figure in run() {
            let before = baseline.get(figure.name).copied();
            let ratio = before.map_or_else(|| "—".to_owned(), |before| format!("{:.2}", figure.value / before));
            let mark = if figure.value <= figure.target { ' ' } else { '!' };
            missed += usize::from(mark == '!');
            println!(
                "{:<46} {:>9.2} {:<3}{:>8.2} {:<3} {:>12} {:>8} {mark}",
                figure.name,
                figure.value,
                figure.unit,
                figure.target,
                figure.unit,
                before.map_or_else(|| "—".to_owned(), |before| format!("{before:.2}")),
                ratio
            );
            baseline.insert(figure.name.to_owned(), (figure.value * 1000.0).round() / 1000.0);
        }
    }
    println!(
        "\n{}",
        if missed == 0 { "every target is met".to_owned() } else { format!("{missed} targets missed (!)") }
    );
    if record {
        let text = serde_json::to_string_pretty(&baseline).expect("a map of numbers can be written");
        std::fs::write(&path, text + "\n").unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        println!("recorded in benches/baseline.json");
    }
}
