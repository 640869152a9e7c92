//! How long each service takes to come up by itself, and times that are added up.

use std::{process::Child, time::Duration};

use cas::world::clock;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::rig::{ms_since, pause, wait_until};

use super::{
    town::Town,
    watch::{self, Asks},
};

/// Clean starts of each service.
pub(crate) const STARTS: usize = 5;

/// Seconds from the command to the first good answer, without cas: the median of clean starts.
pub(crate) fn start_up(town: &Town, name: &str) -> f64 {
    let asks = town.asks(name);
    let mut times: Vec<f64> = (0..STARTS)
        .map(|_| {
            let begun = clock::now();
            let mut child = town.start_alone(name);
            wait_until("a service answers", || watch::ask(&asks));
            let took = ms_since(begun) / 1000.0;
            stop(&mut child, &asks);
            took
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[STARTS / 2]
}

/// SIGTERM to the group, as a clean stop is; SIGKILL to what stays.
fn stop(child: &mut Child, asks: &Asks) {
    let Some(group) = Pid::from_raw(child.id().cast_signed()) else { return };
    let begun = clock::now();
    let mut signal = Signal::TERM;
    // An error means that it has ended.
    let _asked = kill_process_group(group, signal);
    while child.try_wait().expect("it is our child").is_none() {
        if ms_since(begun) > 15_000.0 && signal == Signal::TERM {
            signal = Signal::KILL;
            let _killed = kill_process_group(group, signal);
        }
        pause(Duration::from_millis(5));
    }
    let _rest = kill_process_group(group, Signal::KILL);
    wait_until("nothing answers any more", || !watch::ask(asks));
}

/// Seconds in at least one of these spans of microseconds.
pub(crate) fn together(mut spans: Vec<(u64, u64)>) -> f64 {
    spans.sort_unstable();
    let (mut sum, mut reached) = (0, 0);
    for (from, to) in spans {
        let from = from.max(reached);
        sum += to.saturating_sub(from);
        reached = reached.max(to);
    }
    sum as f64 / 1e6
}
