//! Lines as programs write them, and what they say.

mod hostile;
mod joined;
mod last_words;
mod loggers;
mod page;
mod plain;
mod servers;
mod structured;
mod times;
mod user_formats;
mod web;

use super::{Day, Formats, LineTime, Parsed};

/// A time in few characters: `Z` behind an instant.
fn time(time: Option<LineTime>) -> String {
    match time {
        None => "-".to_owned(),
        Some(LineTime::Instant(us)) => {
            format!("{}Z", chrono::DateTime::from_timestamp_micros(us).expect("in range").naive_utc())
        }
        Some(LineTime::Local { day: Day::Date(date), time }) => format!("{date} {time}"),
        Some(LineTime::Local { day: Day::Yearly { month, day }, time }) => format!("{month}/{day} {time}"),
        Some(LineTime::Local { day: Day::Unknown, time }) => time.to_string(),
    }
}

/// `format level time | message | fields`, with `-` for what is not there.
fn told(parsed: &Parsed<'_>) -> String {
    let fields: Vec<_> = parsed.fields.iter().map(|field| format!("{}={}", field.name, field.value)).collect();
    let format = if parsed.format.is_empty() { "-" } else { &parsed.format };
    let level = parsed.level.map_or("-", super::Level::label);
    format!("{format} {level} {} | {} | {}", time(parsed.time), parsed.message, fields.join("; "))
}

/// Each line says what stands beside it, and its level alone is the same.
fn holds(lines: &[(&str, &str)]) {
    let formats = Formats::builtin();
    for (line, wanted) in lines {
        let parsed = formats.parse(line);
        assert_eq!(told(&parsed), *wanted, "{line}");
        assert_eq!(formats.level(line), parsed.level, "{line}");
    }
}
