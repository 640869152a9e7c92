//! The one place that reads the time of day. Promise: the boot clock never steps back and goes on during suspend.
//! Never asked by anything that decides: there the instant is an argument.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::time::{ClockId, clock_gettime};

use crate::model::time::Timestamp;

/// The clock that durations are measured on: on Linux it goes on during suspend.
#[cfg(any(target_os = "linux", target_os = "android"))]
const BOOT_CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const BOOT_CLOCK: ClockId = ClockId::Monotonic;

/// A clock for what has a thread of its own and no instant as an argument: [`now`], unless time itself is tried.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// This instant on both clocks. A wall clock that stands before 1970 reads 0.
#[must_use]
pub fn now() -> Timestamp {
    let boot = clock_gettime(BOOT_CLOCK);
    let seconds = u64::try_from(boot.tv_sec).unwrap_or(0);
    let micros = u64::try_from(boot.tv_nsec / 1000).unwrap_or(0);
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp {
        mono_us: seconds.saturating_mul(1_000_000).saturating_add(micros),
        wall_us: i64::try_from(wall.as_micros()).unwrap_or(i64::MAX),
    }
}

/// Which boot of the machine this is: `/proc/sys/kernel/random/boot_id`. Empty where it cannot be read.
#[must_use]
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::now;

    #[test]
    fn the_boot_clock_does_not_go_back_and_the_wall_clock_is_in_this_century() {
        let mut last = now();
        assert!(last.wall_us > 946_684_800_000_000, "{last:?}");
        for _ in 0..1000 {
            let next = now();
            assert!(next.mono_us >= last.mono_us);
            last = next;
        }
    }
}
