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
/// Names with a number of more digits are not taken for rotated files.
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
    use super::{is_set_aside, moved, part, rotated};

    #[test]
    fn what_is_set_aside_is_known_by_its_name_and_nothing_else_is() {
        for number in [1, 7, 99_999] {
            for is_compressed in [false, true] {
                let name = rotated("web.log", number, is_compressed);
                assert!(is_set_aside(&name), "{name}");
            }
        }
        assert!(
            is_set_aside(&moved("web.log")) && is_set_aside(&part("web.log")) && is_set_aside(&part("web.log.2.gz"))
        );
        for name in ["web.log", "1", "postgresql-2026-01-01.log", "web-1.log", "v1.log", ".1", "web.log.20260101"] {
            assert!(!is_set_aside(name), "{name}");
        }
    }
}
