//! What lines leave out of their time, and what is put there.

use super::{Day, Formats, LineTime, time};

/// 2026-11-29 10:00:00 UTC.
const NEAR: i64 = 1_795_946_400_000_000;
const HOUR: i64 = 3_600_000_000;

fn wall(text: &str, near_us: i64, offset_s: i32) -> String {
    let line = format!("[{text}] ERROR it broke");
    let read = Formats::builtin().parse(&line).time.unwrap_or_else(|| panic!("no time in {line}"));
    time(Some(LineTime::Instant(read.wall_us(near_us, offset_s))))
}

#[test]
fn a_time_with_a_zone_is_an_instant_wherever_it_is_read() {
    for text in
        ["2026-11-29T10:00:00Z", "2026-11-29 11:00:00 +0100", "2026-11-29T04:30:00-05:30", "2026-11-29 10:00:00 UTC"]
    {
        assert_eq!(wall(text, 0, 7200), "2026-11-29 10:00:00Z", "{text}");
    }
}

#[test]
fn a_date_without_a_zone_is_of_the_zone_that_is_given() {
    assert_eq!(wall("2026-11-29 10:00:00", 0, 0), "2026-11-29 10:00:00Z");
    assert_eq!(wall("2026-11-29 10:00:00", 0, 3600), "2026-11-29 09:00:00Z");
    assert_eq!(wall("2026-11-29 10:00:00 CET", 0, -3600), "2026-11-29 11:00:00Z", "letters mean several zones");
}

#[test]
fn a_year_that_is_missing_is_the_nearest() {
    assert_eq!(wall("Nov 29 10:00:00", NEAR, 0), "2026-11-29 10:00:00Z");
    assert_eq!(wall("Jan  1 00:00:10", NEAR, 0), "2027-01-01 00:00:10Z");
    assert_eq!(wall("Jun  1 00:00:00", NEAR, 0), "2026-06-01 00:00:00Z");
    assert_eq!(wall("Feb 29 00:00:00", NEAR, 0), "2028-02-29 00:00:00Z");
    assert_eq!(wall("10.30 16:49:06", NEAR, 0), "2026-10-30 16:49:06Z");
    assert_eq!(wall("30.10 16:49:06", NEAR, 0), "2026-10-30 16:49:06Z", "there is no thirtieth month");
    let never = LineTime::Local { day: Day::Yearly { month: 2, day: 30 }, time: chrono::NaiveTime::MIN };
    assert_eq!(never.wall_us(NEAR, 0), NEAR);
}

#[test]
fn a_year_that_is_missing_is_the_last_one_shortly_after_new_year() {
    let new_year = 1_798_761_605_000_000; // 2027-01-01 00:00:05 UTC
    assert_eq!(wall("Dec 31 23:59:59", new_year, 0), "2026-12-31 23:59:59Z");
}

#[test]
fn a_date_that_is_missing_is_the_nearest() {
    assert_eq!(wall("10:00:01.5", NEAR, 0), "2026-11-29 10:00:01.500Z");
    let midnight = NEAR + 14 * HOUR + 1_000_000;
    assert_eq!(wall("23:59:59", midnight, 0), "2026-11-29 23:59:59Z");
    assert_eq!(wall("00:00:03", midnight - 2_000_000, 0), "2026-11-30 00:00:03Z");
    assert_eq!(wall("11:00:00", NEAR, 3600), "2026-11-29 10:00:00Z");
}

#[test]
fn the_ends_of_time_are_no_panic() {
    for near in [i64::MIN, i64::MAX, 0] {
        for offset in [i32::MIN, i32::MAX, 0] {
            for text in ["Nov 29 10:00:00", "10:00:00", "9999-12-31 23:59:59", "0000-01-01 00:00:00"] {
                let line = format!("[{text}] ERROR x");
                let read = Formats::builtin().parse(&line).time.expect("a time");
                let _ = read.wall_us(near, offset);
            }
        }
    }
}

#[test]
fn dates_that_are_in_no_calendar_are_no_times() {
    for text in
        ["2026-13-01 10:00:00", "2026-02-30 10:00:00", "2026-11-29 24:00:00", "2026-11-29 10:60:00", "Nov 32 10:00:00"]
    {
        assert_eq!(Formats::builtin().parse(&format!("{text} started")).time, None, "{text}");
    }
}

#[test]
fn a_leap_second_is_the_second_before_it() {
    assert_eq!(wall("2016-12-31T23:59:60Z", 0, 0), "2016-12-31 23:59:59Z");
}

#[test]
fn a_narrow_space_before_am_and_pm_is_a_space() {
    assert_eq!(wall("Nov 29, 2026 10:00:00\u{202f}PM", 0, 0), "2026-11-29 22:00:00Z");
    assert_eq!(wall("Nov 29, 2026 12:00:00 AM", 0, 0), "2026-11-29 00:00:00Z");
}
