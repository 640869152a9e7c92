//! A time as people type it, to go there. Pure: what time it is now is an argument.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime};

use super::zone::Zone;
use crate::model::time::human;

/// Before a time, in the line that is typed for a filter.
pub(crate) const SIGN: char = '@';

/// Microseconds since the Unix epoch of `14:05`, `14:05:30` (the last time that it was so late), `2026-11-28`, `2026-11-28T14:05`, `2026-11-28 14:05:30`,
/// RFC 3339, `-2h`; `now_us` is the present one.
///
/// # Errors
/// A sentence that quotes the text and names the forms.
pub(crate) fn parse(text: &str, now_us: i64, zone: Zone) -> Result<i64, String> {
    let text = text.trim();
    let wrong = || format!("\"{text}\" is not a time: write it like 14:05, 2026-11-28T14:05 or -2h");
    if let Some(ago) = text.strip_prefix('-') {
        let ago = human::parse(ago).map_err(|_| wrong())?;
        return Ok(now_us.saturating_sub(i64::try_from(ago.as_micros()).unwrap_or(i64::MAX)));
    }
    if let Ok(date) = DateTime::parse_from_rfc3339(text) {
        return Ok(date.timestamp_micros());
    }
    if let Some(time) = ["%H:%M:%S", "%H:%M"].iter().find_map(|form| NaiveTime::parse_from_str(text, form).ok()) {
        let today = zone.local(now_us).date();
        let at = |day: Option<NaiveDate>| day.and_then(|day| zone.wall_us(day.and_time(time)));
        let past = at(Some(today)).filter(|at| *at <= now_us);
        return past.or_else(|| at(today.checked_sub_days(Days::new(1)))).ok_or_else(wrong);
    }
    let forms = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"];
    let local = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let local = local.or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(Into::into));
    local.and_then(|local| zone.wall_us(local)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::tui::Zone;

    #[test]
    fn times_are_understood_as_people_type_them_and_a_time_of_day_is_the_last_one() {
        let now = chrono::DateTime::parse_from_rfc3339("2026-11-22T14:03:07Z").unwrap().timestamp_micros();
        let shown = |text: &str| parse(text, now, Zone::Utc).map(|us| Zone::Utc.date(us));
        for (text, date) in [
            ("14:02", "2026-11-22 14:02:00"),
            ("14:03:07", "2026-11-22 14:03:07"),
            ("14:04", "2026-11-21 14:04:00"),
            ("2026-11-20T09:30", "2026-11-20 09:30:00"),
            ("2026-11-20 09:30:15", "2026-11-20 09:30:15"),
            ("2026-11-20", "2026-11-20 00:00:00"),
            ("2026-11-20T09:30:00+02:00", "2026-11-20 07:30:00"),
            ("-2h", "2026-11-22 12:03:07"),
            ("-1h 30m", "2026-11-22 12:33:07"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(date), "{text}");
        }
        for text in ["", "-", "25:00", "noon", "2h", "2026-13-01"] {
            assert!(shown(text).unwrap_err().contains("14:05"), "{text}");
        }
    }
}
