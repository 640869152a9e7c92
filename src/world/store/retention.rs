//! How long minutes are kept. A clock that was moved must not cost the history, so a pass after one deletes a tenth of it
//! at most.

use rusqlite::{OptionalExtension, Transaction, params};

use crate::model::time::Timestamp;

/// From one pass to the next, microseconds on the boot clock.
const BETWEEN_US: u64 = 3600 * 1_000_000;
/// So much between the clocks is a clock that was moved, microseconds: one that is only made to go right drifts by two seconds an hour.
const MOVED_US: u64 = 60 * 1_000_000;
/// The part that may go when it was: one of so many.
const PART: i64 = 10;

/// When a pass was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pass {
    /// Which boot of the machine; empty where that is not known.
    pub(super) boot: String,
    /// When.
    pub(super) at: Timestamp,
}

impl Pass {
    pub(super) fn at(at: Timestamp) -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self { boot: boot.trim_end().to_owned(), at }
    }

    /// Whether it is time again after `self`.
    pub(super) const fn is_over(&self, now: Timestamp) -> bool {
        now.mono_us.saturating_sub(self.at.mono_us) >= BETWEEN_US
    }
}

/// Whether the wall clock went another way than the boot clock since `last`. In another boot, or where nothing is known of an
/// earlier pass, it may have.
fn clock_was_moved(last: Option<&Pass>, now: &Pass) -> bool {
    let Some(last) = last.filter(|last| last.boot == now.boot && last.at.mono_us <= now.at.mono_us) else {
        return true;
    };
    let by_boot = i64::try_from(now.at.mono_us - last.at.mono_us).unwrap_or(i64::MAX);
    let by_wall = now.at.wall_us.saturating_sub(last.at.wall_us);
    by_wall.abs_diff(by_boot) > MOVED_US
}

/// Deletes what is older than `kept` minutes.
pub(super) fn pass(change: &Transaction<'_>, now: &Pass, kept: u32) -> rusqlite::Result<()> {
    let last = change
        .query_row("SELECT boot, wall_us, mono_us FROM retention", [], |row| {
            let mono_us = row.get::<_, i64>(2)?.cast_unsigned();
            Ok(Pass { boot: row.get(0)?, at: Timestamp { wall_us: row.get(1)?, mono_us } })
        })
        .optional()?;
    let oldest_kept = now.at.wall_us.div_euclid(60_000_000) - i64::from(kept);
    if clock_was_moved(last.as_ref(), now) {
        change.execute(
            "DELETE FROM minutes WHERE (place, service, minute) IN
             (SELECT place, service, minute FROM minutes WHERE minute < ?1 ORDER BY minute
              LIMIT (SELECT count(*) / ?2 FROM minutes))",
            [oldest_kept, PART],
        )?;
    } else {
        change.execute("DELETE FROM minutes WHERE minute < ?1", [oldest_kept])?;
    }
    change.execute(
        "INSERT OR REPLACE INTO retention (one, boot, wall_us, mono_us) VALUES (1, ?1, ?2, ?3)",
        params![now.boot, now.at.wall_us, now.at.mono_us.cast_signed()],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{Pass, clock_was_moved, pass};
    use crate::{model::time::Timestamp, world::store::open};

    const KEPT: i64 = 30 * 24 * 60;
    const HOUR: u64 = 3600 * 1_000_000;
    /// Minutes since the epoch.
    const NOW: i64 = 30_000_000;

    fn at(boot: &str, hours: u64, wall_hours: i64) -> Pass {
        let at = Timestamp { mono_us: hours * HOUR, wall_us: NOW * 60_000_000 + wall_hours * HOUR.cast_signed() };
        Pass { boot: boot.to_owned(), at }
    }

    #[test]
    fn a_clock_that_went_another_way_is_noticed() {
        let last = at("a", 10, 0);
        assert!(!clock_was_moved(Some(&last), &at("a", 12, 2)));
        let mut corrected = at("a", 12, 2);
        corrected.at.wall_us += 4_000_000;
        assert!(!clock_was_moved(Some(&last), &corrected), "made to go right by ntpd: 500 ppm at most");
        assert!(clock_was_moved(Some(&last), &at("a", 12, 3)));
        assert!(clock_was_moved(Some(&last), &at("a", 12, 1)));
        assert!(clock_was_moved(Some(&last), &at("a", 12, -1)));
        assert!(clock_was_moved(Some(&last), &at("b", 12, 2)), "another boot");
        assert!(clock_was_moved(None, &last));
    }

    #[test]
    fn a_pass_deletes_what_is_too_old_but_a_tenth_at_most_after_a_moved_clock() {
        let mut db = Connection::open_in_memory().unwrap();
        open::migrate(&mut db).unwrap();
        for number in 0..100 {
            let old = NOW - KEPT - 500 + number * 10;
            db.execute("INSERT INTO minutes VALUES ('p', 's', ?1, 1, 1, 1)", [old]).unwrap();
        }
        let mut left = |now: &Pass| -> (i64, i64) {
            let change = db.transaction().unwrap();
            pass(&change, now, 30 * 24 * 60).unwrap();
            change.commit().unwrap();
            db.query_row("SELECT count(*), min(minute) FROM minutes", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
        };
        assert_eq!(left(&at("a", 10, 0)), (90, NOW - KEPT - 400), "the oldest tenth, as nothing is known of the clock");
        assert_eq!(left(&at("a", 11, 1000)), (81, NOW - KEPT - 310), "a clock put forward by weeks costs a tenth");
        assert_eq!(left(&at("a", 12, 2)).0, 73, "so does putting it back");
        assert_eq!(left(&at("a", 13, 3)), (32, NOW - KEPT + 180), "all that is too old, once the clock goes right");
    }
}
