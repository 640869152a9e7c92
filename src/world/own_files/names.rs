//! Names of what becomes of a log file: those of logrotate, and two for what is under way.
//!
//! `web.log` becomes `web.log.1`, which becomes `web.log.2.gz`, and so on: the newest is not compressed, for who writes it may not have let go of it yet.
//! `web.log.cas-moved` is a file that has been renamed and whose service has not opened it anew; `….cas-part` is a copy that is being made.
//!
//! Never: a name that two files could give.

/// Behind the name of a file that waits to be opened anew.
const MOVED: &str = ".cas-moved";
/// Behind the name of what is being made.
const PART: &str = ".cas-part";
/// Numbers of more digits are none of ours.
const DIGITS: usize = 5;

/// `name.3`, or `name.3.gz`.
pub(super) fn rotated(name: &str, number: u32, is_compressed: bool) -> String {
    if is_compressed { format!("{name}.{number}.gz") } else { format!("{name}.{number}") }
}

/// What it is called until its service has opened it anew.
pub(super) fn moved(name: &str) -> String {
    format!("{name}{MOVED}")
}

/// What a copy is called until it is whole.
pub(super) fn part(name: &str) -> String {
    format!("{name}{PART}")
}

/// Which rotated file of `name` another name is: its number, and whether it is compressed.
pub(super) fn number_of(name: &str, other: &str) -> Option<(u32, bool)> {
    let rest = other.strip_prefix(name)?.strip_prefix('.')?;
    let (digits, is_compressed) = rest.strip_suffix(".gz").map_or((rest, false), |digits| (digits, true));
    let is_number = !digits.is_empty() && digits.len() <= DIGITS && !digits.starts_with('0');
    let number = digits.parse().ok().filter(|_| is_number && digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some((number, is_compressed))
}

/// Whether a name is that of something that was set aside, or is being made: no pattern means it.
pub(super) fn is_set_aside(name: &str) -> bool {
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    let is_numbered = plain.rsplit_once('.').is_some_and(|(stem, digits)| {
        !stem.is_empty()
            && !digits.is_empty()
            && digits.len() <= DIGITS
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    is_numbered || plain.len() < name.len() || name.ends_with(MOVED) || name.ends_with(PART)
}

#[cfg(test)]
mod tests {
    use super::{is_set_aside, moved, number_of, part, rotated};

    #[test]
    fn what_is_named_is_known_again() {
        for number in [1, 7, 99_999] {
            for is_compressed in [false, true] {
                let name = rotated("web.log", number, is_compressed);
                assert_eq!(number_of("web.log", &name), Some((number, is_compressed)));
                assert!(is_set_aside(&name), "{name}");
            }
        }
        assert!(
            is_set_aside(&moved("web.log")) && is_set_aside(&part("web.log")) && is_set_aside(&part("web.log.2.gz"))
        );
    }

    #[test]
    fn names_of_others_are_not_taken_for_ours() {
        for other in [
            "web.log",
            "web.log.",
            "web.log.0",
            "web.log.01",
            "web.log.1.gz.gz",
            "web.log.1.bz2",
            "web.log.-1",
            "web.log.+1",
            "web.log.1x",
            "web.log.100000",
            "web.log1",
            "other.log.1",
            "web.log.20260101",
            "web.log.cas-moved",
        ] {
            assert_eq!(number_of("web.log", other), None, "{other}");
        }
        for name in ["web.log", "1", "postgresql-2026-01-01.log", "web-1.log", "v1.log", ".1"] {
            assert!(!is_set_aside(name), "{name}");
        }
    }
}
