//! Text in exactly so many columns.

use crate::model::text::{truncate, width};

/// `text` in exactly `columns` columns, at the left: cut with `…` or filled with spaces.
#[must_use]
pub fn fit(text: &str, columns: usize) -> String {
    let mut out = truncate(text, columns).into_owned();
    out.extend(std::iter::repeat_n(' ', columns.saturating_sub(width(&out))));
    out
}

/// The same at the right: for numbers.
#[must_use]
pub fn fit_right(text: &str, columns: usize) -> String {
    let text = truncate(text, columns);
    let mut out = " ".repeat(columns.saturating_sub(width(&text)));
    out.push_str(&text);
    out
}
