//! One line of output on the screen: safe, in its own colours, with matches marked, wrapped or cut.

use std::{borrow::Cow, ops::Range};

use ratatui::{
    style::Style,
    text::{Line, Span},
};
use regex::Regex;
use unicode_segmentation::UnicodeSegmentation;

use crate::{
    model::text::{self, TextStyle},
    tui::theme::{Role, Theme},
};

/// What happens to a line that is longer than the screen is wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It goes on in the next row, after so many columns.
    Wrap {
        /// Columns of a row.
        columns: usize,
    },
    /// It is seen through a window; `…` at its edges says that there is more.
    Cut {
        /// First column in sight.
        from: usize,
        /// Columns in sight.
        columns: usize,
    },
}

/// Raw bytes looked at beyond what could be seen, for the sequences and marks between the characters.
const SLACK: usize = 4096;

/// Most matches that are marked in one line.
const MOST_MATCHES: usize = 1000;

/// The rows of one line of output; at least one, an empty line being one empty row. `base` is the style of what has none of its
/// own.
#[must_use]
pub fn render(text: &str, fit: Fit, highlights: &[&Regex], theme: &Theme, base: Style) -> Vec<Line<'static>> {
    render_painted(text, &[], fit, highlights, theme, base)
}

/// The same, with parts (byte ranges of a text without escape sequences, in order) in styles of their own.
#[must_use]
pub fn render_painted(
    text: &str,
    painted: &[(Range<usize>, Style)],
    fit: Fit,
    highlights: &[&Regex],
    theme: &Theme,
    base: Style,
) -> Vec<Line<'static>> {
    let parts = text::styled(&within_reach(text, fit));
    let marks = matches(&parts, highlights);
    let mut painted = painted;
    let mut rows = Rows { fit, done: vec![Vec::new()], column: 0, cut: false, theme };
    let found = theme.style(Role::Match);
    let mut at = 0;
    let mut marks = marks.as_slice();
    'line: for (wanted, part) in &parts {
        let own = base.patch(theme.text_style(wanted));
        for cluster in part.graphemes(true) {
            while let [first, rest @ ..] = marks
                && first.1 <= at
            {
                marks = rest;
            }
            let inside = marks.first().is_some_and(|(start, _)| *start <= at);
            while let [(first, _), rest @ ..] = painted
                && first.end <= at
            {
                painted = rest;
            }
            let own = match painted.first() {
                Some((range, style)) if range.contains(&at) => own.patch(*style),
                Some(_) | None => own,
            };
            let style = if inside { own.patch(found) } else { own };
            if !rows.put(cluster, style) {
                break 'line;
            }
            at += cluster.len();
        }
    }
    rows.finish(base)
}

/// How many rows [`render`] makes of `text` when it wraps at `columns`.
#[must_use]
pub fn rows(text: &str, columns: usize) -> usize {
    if columns == 0 {
        return 1;
    }
    let clean = text::plain(text);
    if clean.is_ascii() {
        return clean.len().div_ceil(columns).max(1);
    }
    let (mut rows, mut used) = (1, 0);
    for cluster in clean.graphemes(true) {
        let wide = text::width(cluster);
        let wide = if wide > columns { 1 } else { wide };
        if used + wide > columns {
            rows += 1;
            used = 0;
        }
        used += wide;
    }
    rows
}

/// The beginning of `text` that can be in sight. A carriage return further on decides what is shown at all, so then it is the whole.
fn within_reach(text: &str, fit: Fit) -> Cow<'_, str> {
    let Fit::Cut { from, columns } = fit else { return Cow::Borrowed(text) };
    let reach = from.saturating_add(columns).saturating_mul(4).saturating_add(SLACK);
    if text.len() <= reach || memchr::memchr(b'\r', text.as_bytes()).is_some() {
        return Cow::Borrowed(text);
    }
    Cow::Borrowed(&text[..text.floor_char_boundary(reach)])
}

/// Byte ranges of the matches in the text without its styles, in order; empty ones say nothing.
fn matches(parts: &[(TextStyle, String)], regexes: &[&Regex]) -> Vec<(usize, usize)> {
    if regexes.is_empty() {
        return Vec::new();
    }
    let whole: Cow<'_, str> = match parts {
        [(_, only)] => Cow::Borrowed(only),
        _ => Cow::Owned(parts.iter().map(|(_, part)| part.as_str()).collect()),
    };
    let found = regexes.iter().flat_map(|regex| regex.find_iter(&whole).take(MOST_MATCHES));
    let mut found: Vec<_> = found.filter(|found| !found.is_empty()).map(|found| (found.start(), found.end())).collect();
    found.sort_unstable();
    found
}

struct Rows<'t> {
    fit: Fit,
    done: Vec<Vec<Span<'static>>>,
    /// Column in the row (wrapped) or in the line (cut).
    column: usize,
    cut: bool,
    theme: &'t Theme,
}

impl Rows<'_> {
    /// False where nothing that follows can be seen.
    fn put(&mut self, cluster: &str, style: Style) -> bool {
        let wide = text::width(cluster);
        match self.fit {
            Fit::Wrap { columns } => {
                // What is wider than a whole row cannot be shown there.
                let (cluster, wide) = if wide > columns { ("…", 1) } else { (cluster, wide) };
                if self.column > 0 && self.column + wide > columns {
                    self.done.push(Vec::new());
                    self.column = 0;
                }
                self.push(cluster, style);
                self.column += wide;
                true
            }
            Fit::Cut { from, columns } => {
                let (start, end) = (self.column, self.column + wide);
                self.column = end;
                if end > from.saturating_add(columns) {
                    self.cut = true;
                    return false;
                }
                if start >= from {
                    self.push(cluster, style);
                } else {
                    // A wide character half outside leaves blanks.
                    for _ in from..end {
                        self.push(" ", style);
                    }
                }
                true
            }
        }
    }

    fn push(&mut self, cluster: &str, style: Style) {
        let Some(row) = self.done.last_mut() else { return };
        match row.last_mut() {
            Some(span) if span.style == style => span.content.to_mut().push_str(cluster),
            _ => row.push(Span::styled(cluster.to_owned(), style)),
        }
    }

    fn finish(mut self, base: Style) -> Vec<Line<'static>> {
        if let Fit::Cut { from, columns } = self.fit {
            let more = Span::styled("…", self.theme.style(Role::Faint));
            let row = self.done.last_mut();
            if let Some(row) = row.filter(|_| columns > 0) {
                if self.cut {
                    shorten(row, columns - 1);
                    row.push(more.clone());
                }
                if from > 0 && !row.is_empty() && columns > 1 {
                    drop_first(row);
                    row.insert(0, more);
                }
            }
        }
        self.done.into_iter().map(|spans| Line::from(spans).style(base)).collect()
    }
}

/// Takes clusters off the end until the row has exactly `columns` columns, filling with a space where a wide one went.
fn shorten(row: &mut Vec<Span<'static>>, columns: usize) {
    let mut wide: usize = row.iter().map(|span| text::width(&span.content)).sum();
    while wide > columns {
        let Some(span) = row.last_mut() else { return };
        let Some((at, cluster)) = span.content.grapheme_indices(true).next_back() else {
            row.pop();
            continue;
        };
        wide -= text::width(cluster);
        span.content.to_mut().truncate(at);
    }
    if wide < columns {
        row.push(Span::raw(" ".repeat(columns - wide)));
    }
}

/// Takes the first column off; a wide cluster leaves a space.
fn drop_first(row: &mut Vec<Span<'static>>) {
    while let Some(span) = row.first_mut() {
        let Some(cluster) = span.content.graphemes(true).next() else {
            row.remove(0);
            continue;
        };
        let (len, wide) = (cluster.len(), text::width(cluster));
        let rest = format!("{}{}", " ".repeat(wide.saturating_sub(1)), &span.content[len..]);
        span.content = Cow::Owned(rest);
        if wide > 0 {
            return;
        }
    }
}
