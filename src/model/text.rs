//! Untrusted text made safe for a terminal: log lines, names, paths, last words, answers of other programs.
//!
//! Promise: what [`plain`] and [`styled`] return holds no escape sequence, no control character (C0, DEL, C1), no
//! direction control and no invisible character, and not more than [`MAX_MARKS`] combining marks in a row; time and memory
//! are linear in the input. Never: changes the text that is stored, knows a terminal library, or guesses a width anywhere
//! but in [`width`].

mod paint;
mod style;
mod wrap;

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

pub use style::{Emphasis, TextColor, TextStyle};
pub use wrap::wrap;

use paint::{Colours, Painter};

/// Combining marks kept on one character; more would make one cell cost a line (and hide it under a tower of accents).
pub const MAX_MARKS: u8 = 4;

/// Characters of the longest cluster that is shown. Some scripts can heap up any number of them in what is one cell of a screen; a
/// longer one becomes U+FFFD.
pub const MAX_CLUSTER: usize = 12;

/// Columns between tab stops.
pub const TAB: usize = 8;

/// `text` without anything that a terminal would act on: escape sequences of every kind are dropped, a tab becomes spaces
/// up to the next stop, line breaks become one space, a line that was rewritten with carriage returns keeps what it said last.
///
/// A string sequence (OSC, DCS, …) that is never ended loses only its introducer: what follows is shown, so that a service
/// cannot hide its own words. Borrowed where nothing had to change.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    if is_clean(text) {
        return Cow::Borrowed(text);
    }
    let segments = painted(text, Colours::Dropped);
    Cow::Owned(segments.into_iter().map(|(_, part)| part).collect())
}

/// As [`plain`], but colours and emphasis (SGR sequences) are kept as data. Neighbours differ in style; no part is empty.
#[must_use]
pub fn styled(text: &str) -> Vec<(TextStyle, String)> {
    if text.is_empty() {
        return Vec::new();
    }
    if is_clean(text) {
        return vec![(TextStyle::default(), text.to_owned())];
    }
    painted(text, Colours::Kept)
}

/// `text` for a terminal that is written to directly (`cas up --no-tui`, `cas logs`): as [`styled`], with its colours
/// written again as SGR sequences of our own and reset at the end. The only control bytes in it are `ESC [ digits ; m`.
#[must_use]
pub fn terminal_safe_sgr(text: &str) -> String {
    if is_clean(text) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut now = TextStyle::default();
    for (style, part) in painted(text, Colours::Kept) {
        if style != now {
            // Writing to a String cannot fail.
            let _ = write!(out, "\u{1b}[{}m", style.sgr());
            now = style;
        }
        out.push_str(&part);
    }
    if now != TextStyle::default() {
        out.push_str("\u{1b}[0m");
    }
    out
}

/// Columns that `text` takes on a terminal. The one width function: drawing, cutting and padding all use it.
///
/// It is the sum over grapheme clusters, which is how the screen is filled cell by cell. Meant for text that went through
/// [`plain`]; a control character counts as it would there, or as one column.
#[must_use]
pub fn width(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    text.graphemes(true).map(cluster_width).sum()
}

/// `text` in at most `columns` columns; where it had to be cut the last column is `…`. Borrowed where it fits.
#[must_use]
pub fn truncate(text: &str, columns: usize) -> Cow<'_, str> {
    if text.len() <= columns && text.is_ascii() {
        return Cow::Borrowed(text);
    }
    if columns == 0 {
        return Cow::Borrowed("");
    }
    let mut used = 0;
    let mut cut = 0;
    for (at, cluster) in text.grapheme_indices(true) {
        let wide = cluster_width(cluster);
        if used < columns && used + wide < columns {
            cut = at + cluster.len();
        }
        used += wide;
        if used > columns {
            let mut out = String::with_capacity(cut + '…'.len_utf8());
            out.push_str(&text[..cut]);
            out.push('…');
            return Cow::Owned(out);
        }
    }
    Cow::Borrowed(text)
}

/// Columns of one grapheme cluster.
///
/// The halfwidth voicing marks are counted as the screen's cells count them, so that what is padded here ends where it is drawn.
pub(crate) fn cluster_width(cluster: &str) -> usize {
    if cluster.len() == 1 {
        return 1;
    }
    let marks = cluster.chars().filter(|mark| matches!(mark, '\u{FF9E}' | '\u{FF9F}')).count();
    UnicodeWidthStr::width(cluster) + marks
}

/// True where [`plain`] has nothing to do.
fn is_clean(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(first) = bytes.iter().position(|byte| !(0x20..0x7f).contains(byte)) else { return true };
    // Everything before `first` is ASCII, so it is a character boundary.
    let mut after_base = first > 0;
    let clean = text[first..].chars().all(|character| {
        let clean = match paint::kind(character) {
            paint::Kind::Shown => true,
            // A single mark on something is common in real languages; a second one takes the slow way that counts them.
            paint::Kind::Mark => after_base,
            paint::Kind::Space | paint::Kind::Control | paint::Kind::Invisible => false,
        };
        after_base = !matches!(paint::kind(character), paint::Kind::Mark);
        clean
    });
    clean && !has_heap(text)
}

/// True where a cluster is longer than [`MAX_CLUSTER`].
fn has_heap(text: &str) -> bool {
    // An ASCII character always begins a cluster, so a short run without one cannot hold a heap.
    let long = |run: &[u8]| run.len() > MAX_CLUSTER && !run[0].is_ascii();
    let same = |one: &u8, other: &u8| one.is_ascii() == other.is_ascii();
    text.as_bytes().chunk_by(same).any(long) && text.graphemes(true).any(is_heap)
}

fn is_heap(cluster: &str) -> bool {
    cluster.len() > MAX_CLUSTER && cluster.chars().count() > MAX_CLUSTER
}

/// The slow way.
fn painted(text: &str, colours: Colours) -> Vec<(TextStyle, String)> {
    let mut segments = Painter::paint(text, colours);
    for (_, part) in segments.iter_mut().filter(|(_, part)| has_heap(part)) {
        let clusters = part.graphemes(true).map(|cluster| if is_heap(cluster) { "\u{fffd}" } else { cluster });
        *part = clusters.collect();
    }
    segments
}
