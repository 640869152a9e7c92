//! Files that services write themselves: what is declared of them, when one is due to be rotated, and what is told of it.
//!
//! Promise: a pure function of sizes and times; a clock that was set back rotates nothing. Never: touches a file.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    ids::{RunId, ServiceId},
    signal::Signal,
    time::{coarse_duration, human},
};

/// So many files of a service are followed and looked after; of more those that were written last.
pub const MOST_FILES: usize = 32;

/// Files of a service, as declared: one path, or one pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFiles {
    /// Where they lie: absolute.
    pub directory: PathBuf,
    /// The name, with `*` and `?`.
    pub name: String,
    /// The directory that must not be left on the way there, by links neither; none where an absolute path was written.
    pub within: Option<PathBuf>,
    /// The directory as it was written, to be put before names; empty for the working directory itself.
    pub prefix: String,
    /// Their lines are shown with the output.
    pub follow: bool,
    /// They are rotated; none: they are never touched.
    pub rotate: Option<Rotation>,
}

impl LogFiles {
    /// As it was written.
    #[must_use]
    pub fn pattern(&self) -> String {
        format!("{}{}", self.prefix, self.name)
    }

    /// How a file among them is called.
    #[must_use]
    pub fn shown(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Where a file among them lies.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Whether a name is among them. `*` is any run of characters, `?` any one; a leading dot is only met by a dot.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        (!name.starts_with('.') || self.name.starts_with('.')) && is_like(name, &self.name)
    }

    /// Whether a name of their directory is what becomes of one of them by rotation: `web.log.1`, `web.log.2.gz`.
    #[must_use]
    pub fn sets_aside(&self, name: &str) -> bool {
        let plain = name.strip_suffix(".gz").unwrap_or(name);
        let is_number = |digits: &str| !digits.starts_with('0') && digits.parse::<u32>().is_ok();
        self.rotate.is_some()
            && plain.rsplit_once('.').is_some_and(|(stem, digits)| is_number(digits) && self.matches(stem))
    }

    /// Whether it names several files.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        self.name.contains(['*', '?'])
    }
}

/// The last star is tried anew with one character more each time, so that it takes no more than their product.
fn is_like(name: &str, pattern: &str) -> bool {
    let (name, pattern): (Vec<char>, Vec<char>) = (name.chars().collect(), pattern.chars().collect());
    let (mut at, mut of, mut star) = (0, 0, None);
    while at < name.len() {
        match pattern.get(of) {
            Some('*') => {
                star = Some((of, at));
                of += 1;
            }
            Some(wanted) if *wanted == '?' || *wanted == name[at] => {
                at += 1;
                of += 1;
            }
            Some(_) | None => {
                let Some((place, from)) = star else { return false };
                star = Some((place, from + 1));
                at = from + 1;
                of = place + 1;
            }
        }
    }
    pattern[of..].iter().all(|rest| *rest == '*')
}

/// How a file is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// It is renamed, and its service told by this signal to open it anew.
    Signal(Signal),
    /// The same, where the main process of the service catches the signal; else it is copied.
    SignalIfCaught(Signal),
    /// It is copied, and then emptied: lines that are written in between are lost.
    CopyTruncate,
}

impl How {
    /// In words, as in `cas log-files`.
    #[must_use]
    pub fn label(self) -> String {
        match self {
            Self::Signal(signal) => format!("{signal}"),
            Self::SignalIfCaught(signal) => format!("{signal}, else copytruncate"),
            Self::CopyTruncate => "copytruncate".to_owned(),
        }
    }
}

/// When a file is rotated, how, and what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Rotation {
    /// It may have so many bytes.
    pub max_bytes: Option<u64>,
    /// It may be so old, counted from the last rotation.
    #[serde(default, with = "human::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub max_age: Option<Duration>,
    /// So many rotated files are kept. Default 7, at least 1.
    pub keep: u32,
    /// They are kept for so long; none: as long as there are not too many.
    #[serde(default, with = "human::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub keep_for: Option<Duration>,
    /// All but the newest are compressed. Default true.
    pub compress: bool,
    /// How.
    pub how: How,
}

impl Rotation {
    /// Its bounds in words: `50M or 1day, 7 kept`.
    #[must_use]
    pub fn words(&self) -> String {
        let size = self.max_bytes.map(short_bytes);
        let age = self.max_age.map(whole);
        let bounds: Vec<String> = size.into_iter().chain(age).collect();
        let bounds = if bounds.is_empty() { "by hand".to_owned() } else { bounds.join(" or ") };
        let time = self.keep_for.map(|time| format!(" for {}", whole(time))).unwrap_or_default();
        format!("{bounds}, {} kept{time}", self.keep)
    }
}

/// As it was written, about: `1day`, `90s` as `1m 30s`.
fn whole(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// Bytes in the largest unit that leaves one digit before the point: `1.5G`.
#[must_use]
pub fn short_bytes(bytes: u64) -> String {
    let units = [(1_u64 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    let Some((unit, word)) = units.into_iter().find(|(unit, _)| bytes >= *unit) else { return format!("{bytes}B") };
    let tenths = bytes.saturating_mul(10) / unit;
    if tenths >= 100 || tenths.is_multiple_of(10) {
        format!("{}{word}", tenths / 10)
    } else {
        format!("{}.{}{word}", tenths / 10, tenths % 10)
    }
}

/// A file as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stand {
    /// Its bytes.
    pub bytes: u64,
    /// Since when it grows: its last rotation, else its birth. Microseconds since the Unix epoch; none: not known.
    pub since_us: Option<i64>,
}

/// Why a file is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueBy {
    /// It has more bytes than it may.
    Size(u64),
    /// It is older than it may be.
    Age(Duration),
    /// An engine ended in the middle of it.
    Unfinished,
}

impl fmt::Display for DueBy {
    /// As a reason: `it is larger than 50M`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size(most) => write!(f, "it is larger than {}", short_bytes(*most)),
            Self::Age(most) => write!(f, "it is older than {}", whole(*most)),
            Self::Unfinished => f.write_str("its last rotation was not finished"),
        }
    }
}

/// Whether a file is due. An empty one never is.
#[must_use]
pub fn due(rotation: &Rotation, stand: Stand, now_us: i64) -> Option<DueBy> {
    if stand.bytes == 0 {
        return None;
    }
    if let Some(most) = rotation.max_bytes.filter(|most| stand.bytes > *most) {
        return Some(DueBy::Size(most));
    }
    let most = rotation.max_age?;
    let age = now_us.checked_sub(stand.since_us?)?;
    (age > i64::try_from(most.as_micros()).unwrap_or(i64::MAX)).then_some(DueBy::Age(most))
}

/// What will rotate a file next, at the pace at which it grows now, in words: `size, in 3h`; none where nothing will by itself.
#[must_use]
pub fn next(rotation: &Rotation, stand: Stand, bytes_per_s: Option<f64>, now_us: i64) -> Option<String> {
    if let Some(due) = due(rotation, stand, now_us) {
        return Some(match due {
            DueBy::Size(_) => "size, now".to_owned(),
            DueBy::Age(_) | DueBy::Unfinished => "age, now".to_owned(),
        });
    }
    let by_size = rotation.max_bytes.zip(bytes_per_s.filter(|pace| *pace >= 1.0)).map(|(most, pace)| {
        let left = most.saturating_sub(stand.bytes) as f64 / pace;
        Duration::from_secs_f64(left.min(1e9))
    });
    let by_age = rotation.max_age.zip(stand.since_us).filter(|_| stand.bytes > 0).map(|(most, since)| {
        let age = Duration::from_micros(u64::try_from(now_us.saturating_sub(since)).unwrap_or(0));
        most.saturating_sub(age)
    });
    match (by_size, by_age) {
        (Some(size), age) if age.is_none_or(|age| size <= age) => Some(format!("size, in {}", coarse_duration(size))),
        (_, Some(age)) => Some(format!("age, in {}", coarse_duration(age))),
        (Some(_) | None, None) => rotation.max_bytes.map(|_| "size".to_owned()),
    }
}

/// Files of one service that are to be rotated together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationRound {
    /// Whose.
    pub service: ServiceId,
    /// The run that writes them; none: nothing of the service runs.
    pub run: Option<RunId>,
    /// Which; empty: all that may be rotated and are not empty.
    pub files: Vec<PathBuf>,
}

/// A file that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Why.
    pub why: DueBy,
}

/// What became of one file of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// Where it lies.
    pub path: PathBuf,
    /// How it is called.
    pub shown: String,
    /// Bytes that were set aside; or a clause that says why it was not rotated.
    pub outcome: Result<u64, String>,
}

/// A file as `cas log-files` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LogFileView {
    /// Whose.
    pub service: ServiceId,
    /// How it is called: relative to the service's directory where it was declared so.
    pub file: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Whether the project file names it; false: a process of the service has it open to write.
    pub declared: bool,
    /// Its bytes; none: it is not there.
    pub bytes: Option<u64>,
    /// What it grew by, a second, between the last two looks, some 15 s apart; none: not known yet.
    pub bytes_per_s: Option<f64>,
    /// Its lines are shown with the output.
    pub follow: bool,
    /// Lines that were read of it since it is followed.
    pub lines: u64,
    /// How it is rotated; none: it is not.
    pub rotate: Option<Rotation>,
    /// When it was last rotated, microseconds since the Unix epoch; none: never, as far as is known.
    pub rotated_us: Option<i64>,
    /// What will rotate it next: `size, in 3h`.
    pub next: Option<String>,
    /// Why it is not followed or rotated, a sentence; none: all is well.
    pub trouble: Option<String>,
}

impl LogFileView {
    /// A declared file of which nothing is known yet.
    #[must_use]
    pub fn of(service: &ServiceId, files: &LogFiles, name: &str) -> Self {
        Self {
            service: service.clone(),
            file: files.shown(name),
            path: files.path(name),
            declared: true,
            bytes: None,
            bytes_per_s: None,
            follow: files.follow,
            lines: 0,
            rotate: files.rotate,
            rotated_us: None,
            next: None,
            trouble: None,
        }
    }

    /// A file that is not declared.
    #[must_use]
    pub fn found(service: &ServiceId, path: &Path, shown: String, bytes: u64) -> Self {
        Self {
            service: service.clone(),
            file: shown,
            path: path.to_owned(),
            declared: false,
            bytes: Some(bytes),
            bytes_per_s: None,
            follow: false,
            lines: 0,
            rotate: None,
            rotated_us: None,
            next: None,
            trouble: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, time::Duration};

    use super::{DueBy, How, LogFiles, Rotation, Stand, due, next, short_bytes};

    const HOUR_US: i64 = 3_600_000_000;

    fn rotation(max_bytes: Option<u64>, hours: Option<u64>) -> Rotation {
        let max_age = hours.map(Duration::from_hours);
        Rotation { max_bytes, max_age, keep: 7, keep_for: None, compress: true, how: How::CopyTruncate }
    }

    fn stand(bytes: u64, since_us: i64) -> Stand {
        Stand { bytes, since_us: Some(since_us) }
    }

    #[test]
    fn a_file_is_due_when_it_is_too_large_or_too_old_and_never_when_it_is_empty() {
        let both = rotation(Some(100), Some(24));
        assert_eq!(due(&both, stand(100, 0), 0), None, "as large as it may be");
        assert_eq!(due(&both, stand(101, 0), 0), Some(DueBy::Size(100)));
        assert_eq!(due(&both, stand(1, 0), 24 * HOUR_US), None);
        assert_eq!(due(&both, stand(1, 0), 24 * HOUR_US + 1), Some(DueBy::Age(Duration::from_hours(24))));
        assert_eq!(due(&both, stand(0, 0), 48 * HOUR_US), None, "nothing would be gained");
        assert_eq!(due(&rotation(None, None), stand(u64::MAX, 0), i64::MAX), None, "only by hand");
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nothing_due() {
        assert_eq!(due(&rotation(None, Some(1)), stand(1, 100 * HOUR_US), 0), None);
        assert_eq!(due(&rotation(None, Some(1)), stand(1, i64::MIN), i64::MAX), None);
        assert_eq!(due(&rotation(None, Some(1)), Stand { bytes: 1, since_us: None }, i64::MAX), None);
    }

    #[test]
    fn a_week_of_a_file_that_grows_is_rotated_each_day_and_never_more_than_is_allowed() {
        let policy = rotation(Some(10_000), Some(24));
        let (mut bytes, mut since, mut by_age, mut by_size) = (0_u64, 0_i64, 0, 0);
        for hour in 0..7 * 24 {
            let now = hour * HOUR_US;
            // A burst on the third day.
            bytes += if (48..50).contains(&hour) { 9_000 } else { 100 };
            match due(&policy, stand(bytes, since), now) {
                None => continue,
                Some(DueBy::Size(_)) => by_size += 1,
                Some(DueBy::Age(_) | DueBy::Unfinished) => by_age += 1,
            }
            assert!(bytes <= 19_100, "{bytes}");
            (bytes, since) = (0, now);
        }
        assert_eq!((by_age, by_size), (5, 2), "the second in the burst fills up with what comes after it");
    }

    #[test]
    fn what_comes_next_is_what_comes_first() {
        let both = rotation(Some(1000), Some(2));
        assert_eq!(next(&both, stand(400, 0), Some(1.0), HOUR_US).as_deref(), Some("size, in 10m"));
        assert_eq!(next(&both, stand(400, 0), Some(0.0), HOUR_US).as_deref(), Some("age, in 1h"));
        assert_eq!(next(&both, stand(1400, 0), None, HOUR_US).as_deref(), Some("size, now"));
        assert_eq!(next(&rotation(Some(1000), None), stand(4, 0), None, 0).as_deref(), Some("size"));
        assert_eq!(next(&rotation(None, None), stand(4, 0), None, 0), None);
    }

    #[test]
    fn a_pattern_means_names_of_one_directory() {
        let files = |name: &str| LogFiles {
            directory: PathBuf::from("/srv/log"),
            name: name.to_owned(),
            within: None,
            prefix: "log/".to_owned(),
            follow: true,
            rotate: None,
        };
        for (pattern, name, is_meant) in [
            ("production.log", "production.log", true),
            ("production.log", "production.log.1", false),
            ("*.log", "access.log", true),
            ("*.log", ".hidden.log", false),
            ("a?c*", "abc", true),
            ("a?c*", "ac", false),
            ("*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("*-*.log", "web-1-x.log", true),
        ] {
            assert_eq!(files(pattern).matches(name), is_meant, "{pattern} {name}");
        }
        assert_eq!(files("*.log").shown("a.log"), "log/a.log");
    }

    #[test]
    fn bytes_are_written_as_people_write_them() {
        let written = [0, 1023, 1024, 1536, 50 << 20, 1_288_490_188].map(short_bytes);
        assert_eq!(written, ["0B", "1023B", "1K", "1.5K", "50M", "1.1G"]);
    }
}
