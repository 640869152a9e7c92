//! Text made to fit: every string of a user's or a service's goes through here before it is drawn.

use ratatui::{
    style::Style,
    text::{Line, Span},
};

use super::widgets::{fit, fit_right};
use crate::model::text;

pub(crate) use crate::model::text::wrap;

/// `source` without anything that could move the cursor, at most `columns` wide.
pub(crate) fn clean(source: &str, columns: usize) -> String {
    text::truncate(&text::plain(source), columns).into_owned()
}

/// The same in exactly `columns`, at the left.
pub(crate) fn cell(source: &str, columns: usize) -> String {
    fit(&text::plain(source), columns)
}

/// The same at the right.
pub(crate) fn right_cell(source: &str, columns: usize) -> String {
    fit_right(&text::plain(source), columns)
}

/// Columns that a row of spans takes.
pub(crate) fn spans_width(spans: &[Span<'_>]) -> usize {
    spans.iter().map(Span::width).sum()
}

/// Left and right parts of one row; where both do not fit, the right part gives way.
pub(crate) fn justified(left: Vec<Span<'static>>, right: Vec<Span<'static>>, columns: u16) -> Line<'static> {
    let room = usize::from(columns);
    let (used, wanted) = (spans_width(&left), spans_width(&right));
    let mut spans = left;
    if used + wanted < room {
        spans.push(Span::raw(" ".repeat(room - used - wanted)));
        spans.extend(right);
    }
    Line::from(spans)
}

/// A bar of `columns` cells of which `share` (0 to 1) is filled.
pub(crate) fn gauge(share: f32, columns: usize, full: Style, empty: Style) -> [Span<'static>; 2] {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let filled = ((share * columns as f32).round() as usize).min(columns);
    [Span::styled("▰".repeat(filled), full), Span::styled("▱".repeat(columns - filled), empty)]
}
