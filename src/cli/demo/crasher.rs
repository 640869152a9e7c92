//! Crashes a few seconds after its first start, and now and then after that, each time with other last words.

use std::{io, path::Path, time::Duration};

use super::stage::{Stage, pause};

/// A way to go.
enum Crash {
    /// These words, this exit code.
    Code(u8, &'static [&'static str]),
    /// These words, then SIGABRT.
    Abort(&'static [&'static str]),
}

const CRASHES: [Crash; 4] = [
    Crash::Code(
        1,
        &[
            "Traceback (most recent call last):",
            "  File \"/srv/payments/app.py\", line 218, in settle",
            "    amount = invoice[\"total\"] / invoice[\"parts\"]",
            "ZeroDivisionError: division by zero",
        ],
    ),
    Crash::Code(3, &["FATAL: could not reach ledger at 10.0.3.7:5432: connection refused (3 tries)"]),
    Crash::Abort(&["payments: queue.c:412: pop: Assertion `queue->len > 0' failed."]),
    Crash::Code(78, &["error: PAYMENTS_KEY is 12 characters long, at least 32 are needed"]),
];

pub(super) fn run(stage: &mut Stage, runs: Option<&Path>) -> io::Result<u8> {
    let run = counted(runs);
    // Other dice for each run, and yet the same demo for the same seed.
    for _ in 0..run {
        stage.rng = stage.rng.fork();
    }
    stage.say(&format!("payments 0.9.{run} up"))?;
    let least = if run == 0 { 4_000 } else { 15_000 };
    let most = if run == 0 { 6_000 } else { 50_000 };
    let mut left = stage.rng.u64(least..most);
    while left > 0 {
        let nap = stage.rng.u64(400..1_500).min(left);
        pause(Duration::from_millis(nap));
        left -= nap;
        let (euros, cents) = (stage.rng.u32(1..300), stage.rng.u32(..100));
        let state = stage.pick(&["settled", "settled", "settled", "authorised", "refunded"]);
        let number = stage.rng.u32(10_000..99_999);
        stage.say(&format!("payment {number} {state} {euros}.{cents:02} EUR"))?;
    }
    match &CRASHES[usize::try_from(run).unwrap_or(0) % CRASHES.len()] {
        Crash::Code(code, words) => {
            stage.say(&words.join("\n"))?;
            Ok(*code)
        }
        Crash::Abort(words) => {
            stage.say(&words.join("\n"))?;
            std::process::abort()
        }
    }
}

/// How often it ran before, and one more is noted. Without a file every run is the first.
fn counted(file: Option<&Path>) -> u64 {
    let Some(file) = file else { return 0 };
    let before = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    // A demo in a directory that cannot be written crashes like the first time, always.
    let _unwritable = std::fs::write(file, format!("{}\n", before + 1));
    before
}
