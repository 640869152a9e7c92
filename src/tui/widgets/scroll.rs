//! What of a long list is seen, and which row is meant.

use std::ops::Range;

use ratatui::{buffer::Buffer, layout::Rect};

use crate::tui::theme::{Role, Theme};

/// A window of `height` rows on a list of `len`, with one selected row.
///
/// After every call: `selected < len` (0 where the list is empty), the selected row is inside the window, and the window is not
/// moved beyond the end while the list could fill it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Viewport {
    selected: usize,
    offset: usize,
    len: usize,
    height: usize,
}

impl Viewport {
    /// The selected row, from 0.
    #[must_use]
    pub const fn selected(&self) -> usize {
        self.selected
    }

    /// The first row in sight.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Rows of the list.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True where the list has no row.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Rows of the window.
    #[must_use]
    pub const fn height(&self) -> usize {
        self.height
    }

    /// The rows in sight.
    #[must_use]
    pub fn visible(&self) -> Range<usize> {
        self.offset..self.len.min(self.offset + self.height)
    }

    /// The list has `len` rows now and the window `height`. To be called before drawing and before a key is applied.
    pub fn resize(&mut self, len: usize, height: usize) {
        self.len = len;
        self.height = height;
        self.settle();
    }

    /// Selects `row`, or the last one where there is no such row.
    pub fn select(&mut self, row: usize) {
        self.selected = row;
        self.settle();
    }

    fn settle(&mut self) {
        self.selected = self.selected.min(self.len.saturating_sub(1));
        self.offset = self.offset.min(self.len.saturating_sub(self.height)).min(self.selected);
        if self.height > 0 && self.selected >= self.offset + self.height {
            self.offset = self.selected + 1 - self.height;
        }
    }
}

/// Draws where the window is into the column `area` (usually the right border of a pane, which stays seen around the thumb).
/// Nothing where all rows are in sight.
pub fn scrollbar(view: &Viewport, area: Rect, buffer: &mut Buffer, theme: &Theme) {
    let area = area.intersection(buffer.area);
    let track = usize::from(area.height);
    if view.len <= view.height || track == 0 || area.width == 0 {
        return;
    }
    let thumb = (track * view.height / view.len).clamp(1, track);
    let room = track - thumb;
    let furthest = view.len - view.height;
    // Rounded, but the ends are reached only at the ends.
    let mut top = (view.offset * room + furthest / 2) / furthest;
    if room > 1 {
        top = top.clamp(usize::from(view.offset > 0), room - usize::from(view.offset < furthest));
    }
    for line in top..top + thumb {
        if let Some(cell) = buffer.cell_mut((area.x, area.y + line as u16)) {
            cell.set_symbol("┃").set_style(theme.style(Role::Axis));
        }
    }
}
