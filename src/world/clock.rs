//! The one clock. Never anywhere else: `Instant` stands still while the machine is suspended.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::time::Timestamp;

/// This instant: `CLOCK_BOOTTIME` and the wall clock.
#[must_use]
pub fn now() -> Timestamp {
    let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let micros = boot.tv_sec.unsigned_abs() * 1_000_000 + boot.tv_nsec.unsigned_abs() / 1000;
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp { mono_us: micros, wall_us: i64::try_from(wall.as_micros()).unwrap_or(i64::MAX) }
}
