//! What every service of the demo has: a voice, dice, and time to waste. Never memory without a bound.

use std::{
    hint::black_box,
    io::{self, Write},
    time::Duration,
};

use fastrand::Rng;

use super::DemoService;

/// A service's surroundings.
pub(super) struct Stage {
    out: Box<dyn Write>,
    /// Dice that fall alike for the same seed.
    pub(super) rng: Rng,
}

impl Stage {
    /// On the real stdout.
    pub(super) fn on_stdout(service: &DemoService) -> Self {
        Self::new(Box::new(io::stdout()), service.seed ^ ((service.kind as u64 + 1) << 32))
    }

    /// On any stage.
    pub(super) fn new(out: Box<dyn Write>, seed: u64) -> Self {
        Self { out, rng: Rng::with_seed(seed) }
    }

    /// One line, or several.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(format!("{text}\n").as_bytes())?;
        self.out.flush()
    }

    /// One of several.
    pub(super) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.rng.usize(..from.len())]
    }

    /// Between `least` and `most` milliseconds of nothing.
    pub(super) fn idle(&mut self, least: u64, most: u64) {
        let millis = self.rng.u64(least..=most);
        pause(Duration::from_millis(millis));
    }
}

/// Does nothing for a while.
#[expect(clippy::disallowed_methods, reason = "a service of the demo passes its time; nothing waits for it")]
pub(super) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Some thousand rounds of arithmetic: about a millisecond of CPU for every 200 of them in a release build.
pub(super) fn burn(thousands: u64) {
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    for n in 0..thousands * 1000 {
        x = x.rotate_left(5).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ n;
    }
    black_box(x);
}

/// 0 to 1 and back, once in `period` steps: loads that come and go.
pub(super) fn wave(step: u64, period: u64) -> f64 {
    let turn = (step % period) as f64 / period as f64 * std::f64::consts::TAU;
    (1.0 - turn.cos()) / 2.0
}
