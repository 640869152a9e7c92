//! What is said in the place of output that is not there. Never of what was there.

use crate::shim_format::IndexKind;

/// What a record says that speaks of no bytes.
pub(super) fn sentence(kind: IndexKind, count: u64) -> String {
    match kind {
        IndexKind::Dropped => format!("[cas: {count} bytes of output could not be kept: disk full]"),
        IndexKind::Removed => format!("[cas: {count} bytes of older output were removed: disk full]"),
        IndexKind::Data | IndexKind::Recovered => String::new(),
    }
}

/// In the place of a damaged part of an archive.
pub(super) fn unreadable(bytes: u64, segment: u64) -> String {
    format!("[cas: {bytes} bytes of output cannot be read: the archive of segment {segment} is damaged]")
}
