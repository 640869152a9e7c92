//! What happens to services when parts of cas are killed, over and over: `make chaos`.
//!
//! `cargo bench --bench chaos -- engines=1000 shims=1000 stops=10000 pids=10000 locks=100 upgrades=100 week=7 day=200`; without arguments a short run of each. Every
//! number printed is counted, none is assumed; the exit code is 1 where one that must be zero is not.
#![allow(clippy::print_stdout, clippy::panic, reason = "it prints counts, or says why it cannot")]

#[path = "chaos_parts/day/mod.rs"]
mod day;
#[path = "chaos_parts/engines.rs"]
mod engines;
#[path = "chaos_parts/ledger.rs"]
mod ledger;
#[path = "chaos_parts/locks.rs"]
mod locks;
#[path = "chaos_parts/pids.rs"]
mod pids;
#[path = "chaos_parts/rig.rs"]
mod rig;
#[path = "chaos_parts/shims.rs"]
mod shims;
#[path = "chaos_parts/stops.rs"]
mod stops;
#[path = "chaos_parts/tracer.rs"]
mod tracer;
#[path = "chaos_parts/upgrades.rs"]
mod upgrades;
#[path = "chaos_parts/week/mod.rs"]
mod week;
#[path = "chaos_parts/weeks.rs"]
mod weeks;

use std::process::ExitCode;

/// One count of a trial.
pub(crate) struct Count {
    /// What was counted.
    pub(crate) what: String,
    /// How many.
    pub(crate) seen: f64,
    /// What it must be.
    pub(crate) must: Must,
}

/// What a count must be.
pub(crate) enum Must {
    /// Nothing: any is a defect.
    Zero,
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
    /// It is told, not judged.
    Told,
}

impl Must {
    fn holds(&self, seen: f64) -> bool {
        match self {
            Self::Zero => seen == 0.0,
            Self::AtMost(most) => seen <= *most,
            Self::AtLeast(least) => seen >= *least,
            Self::Told => true,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Zero => "must be 0".to_owned(),
            Self::AtMost(most) => format!("at most {most}"),
            Self::AtLeast(least) => format!("at least {least}"),
            Self::Told => String::new(),
        }
    }
}

/// A trial with its name, the rounds of a short run, and what does a number of rounds.
type Trial = (&'static str, usize, fn(usize) -> Vec<Count>);

const TRIALS: &[Trial] = &[
    ("engines", 25, engines::kill),
    ("shims", 50, shims::kill),
    ("stops", 100, stops::hostile),
    ("pids", 50, pids::reuse),
    ("locks", 3, locks::race),
    ("upgrades", 3, upgrades::there_and_back),
    ("week", 7, weeks::live),
    ("day", 20, day::live),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let mut wrong = 0;
    for (name, short, run) in TRIALS {
        let asked = arguments.iter().find_map(|argument| argument.strip_prefix(name));
        let rounds = match asked {
            Some(rest) => rest.strip_prefix('=').and_then(|count| count.parse().ok()).unwrap_or(*short),
            None if arguments.is_empty() => *short,
            None => continue,
        };
        println!("{name}: {rounds} rounds");
        for count in run(rounds) {
            let mark = if count.must.holds(count.seen) { ' ' } else { '!' };
            wrong += usize::from(mark == '!');
            println!("{mark} {:<62} {:>14} {}", count.what, count.seen, count.must.words());
        }
        println!();
    }
    if wrong == 0 {
        println!("all as it must be");
        ExitCode::SUCCESS
    } else {
        println!("{wrong} counts are not as they must be (!)");
        ExitCode::FAILURE
    }
}

/// A count.
pub(crate) fn count(what: &str, seen: f64, must: Must) -> Count {
    Count { what: what.to_owned(), seen, must }
}
