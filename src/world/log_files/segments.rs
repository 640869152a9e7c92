//! Names and order of segments. Never follows a symbolic link, never opens what is not a plain file.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// In which form a segment's bytes are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::world) enum Form {
    /// As the shim wrote them.
    Raw,
    /// Compressed (zstd, in frames).
    Archive,
    /// Compressed by an earlier version (gzip).
    Gzip,
}

impl Form {
    /// All of them: where several are there, somebody died while it was being compressed, and the first counts.
    pub(in crate::world) const ALL: [Self; 3] = [Self::Raw, Self::Archive, Self::Gzip];

    /// How the names of its files end.
    const fn ending(self) -> &'static str {
        match self {
            Self::Raw => "",
            Self::Archive => ".zst",
            Self::Gzip => ".gz",
        }
    }
}

/// A segment that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::world) struct Segment {
    /// Its number, from 1.
    pub(in crate::world) number: u64,
    /// As what.
    pub(in crate::world) form: Form,
}

/// Its bytes as the shim wrote them.
pub(in crate::world) fn raw_file(slot: &Path, number: u64) -> PathBuf {
    file(slot, Segment { number, form: Form::Raw })
}

/// Its index.
pub(in crate::world) fn index_file(slot: &Path, number: u64) -> PathBuf {
    slot.join(format!("idx.{number:06}"))
}

/// The file for bytes in a form.
pub(in crate::world) fn file(slot: &Path, segment: Segment) -> PathBuf {
    slot.join(format!("log.{:06}{}", segment.number, segment.form.ending()))
}

/// Opens a plain file for reading.
///
/// # Errors
/// Those of open(2); `InvalidInput` for what is no plain file.
pub(in crate::world) fn open(path: &Path) -> io::Result<File> {
    // Without waiting: something else than a file may be in its place.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// The segments that are there, oldest first, each once.
pub(in crate::world) fn list(slot: &Path) -> Vec<Segment> {
    let Ok(entries) = fs::read_dir(slot) else { return Vec::new() };
    let mut found: Vec<Segment> = entries.flatten().filter_map(|entry| parse(entry.file_name().to_str()?)).collect();
    found.sort_unstable();
    found.dedup_by_key(|segment| segment.number);
    found
}

/// `log.000012` → 12, raw. Other files are no segments.
fn parse(name: &str) -> Option<Segment> {
    let name = name.strip_prefix("log.")?;
    let (digits, form) = [Form::Archive, Form::Gzip]
        .into_iter()
        .find_map(|form| Some((name.strip_suffix(form.ending())?, form)))
        .unwrap_or((name, Form::Raw));
    let whole = digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = whole.then(|| digits.parse().ok()).flatten().filter(|number| *number > 0)?;
    Some(Segment { number, form })
}

#[cfg(test)]
mod tests {
    use super::{Form, Segment, parse};

    #[test]
    fn only_six_or_more_digits_name_a_segment() {
        assert_eq!(parse("log.000012"), Some(Segment { number: 12, form: Form::Raw }));
        assert_eq!(parse("log.1000012.gz"), Some(Segment { number: 1_000_012, form: Form::Gzip }));
        assert_eq!(parse("log.000012.zst"), Some(Segment { number: 12, form: Form::Archive }));
        for other in [
            "log.12",
            "log.000012.gz.tmp",
            "log.000012.zst.tmp",
            "log.000012.zst.gz",
            "log.+00012",
            "000012",
            "log.",
            "log.000000",
            "log.99999999999999999999999",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
