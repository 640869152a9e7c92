//! Where a key goes in a list or a text of any length.

use super::widgets::Viewport;

/// Where a key wants to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Motion {
    /// So many rows down, or up where negative.
    By(i64),
    /// To the first row.
    Top,
    /// To the last row.
    Bottom,
}

impl Motion {
    /// From row `from` of `len`.
    pub(crate) fn apply(self, from: usize, len: usize) -> usize {
        let last = len.saturating_sub(1);
        match self {
            Self::Top => 0,
            Self::Bottom => last,
            Self::By(rows) => {
                let step = usize::try_from(rows.unsigned_abs()).unwrap_or(usize::MAX);
                if rows < 0 { from.saturating_sub(step) } else { from.saturating_add(step).min(last) }
            }
        }
    }

    /// Whether a row that cannot be selected is passed over upwards: from the last one there is no other way, from the first one no such.
    pub(crate) const fn is_up(self) -> bool {
        match self {
            Self::Top => false,
            Self::Bottom => true,
            Self::By(rows) => rows < 0,
        }
    }
}

/// Selects row `row` of a list that has `len` rows now, of which `height` can be seen.
pub(crate) fn select(view: &mut Viewport, row: usize, len: usize, height: usize) {
    view.resize(len, height.max(1));
    view.select(row);
}
