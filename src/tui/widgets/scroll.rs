//! What of a long list is seen, and which row is meant.

use std::ops::Range;

use ratatui::{buffer::Buffer, layout::Rect};

use crate::tui::theme::{Role, Theme};

/// Whether the end of the list is kept in sight when it grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Follow {
    /// The newest row stays selected.
    Tail,
    /// The selected row stays selected.
    #[default]
    Held,
}

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
    follow: Follow,
}

impl Viewport {
    /// One that follows the end of its list, as a log does.
    #[must_use]
    pub const fn following() -> Self {
        Self { selected: 0, offset: 0, len: 0, height: 0, follow: Follow::Tail }
    }

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

    /// Whether the end is followed.
    #[must_use]
    pub const fn follow(&self) -> Follow {
        self.follow
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
        if self.follow == Follow::Tail {
            self.selected = len.saturating_sub(1);
            self.offset = len.saturating_sub(height);
        }
        self.settle();
    }

    /// `rows` were dropped at the front of the list (a ring that was full): the same rows stay in sight.
    pub fn drop_front(&mut self, rows: usize) {
        self.len = self.len.saturating_sub(rows);
        self.selected = self.selected.saturating_sub(rows);
        self.offset = self.offset.saturating_sub(rows);
        self.settle();
    }

    /// Selects `row`, or the last one where there is no such row.
    pub fn select(&mut self, row: usize) {
        self.follow = Follow::Held;
        self.selected = row;
        self.settle();
    }

    /// Moves the selection down (or up, where negative).
    pub fn move_by(&mut self, rows: isize) {
        self.follow = Follow::Held;
        self.selected = self.selected.saturating_add_signed(rows);
        self.settle();
    }

    /// Moves by windows: `1` is one page down, `-1` one up.
    pub fn page(&mut self, pages: isize) {
        self.jump(pages.saturating_mul(self.height.saturating_sub(1).max(1).cast_signed()));
    }

    /// Moves by half windows.
    pub fn half_page(&mut self, halves: isize) {
        self.jump(halves.saturating_mul((self.height / 2).max(1).cast_signed()));
    }

    /// To the first row.
    pub fn home(&mut self) {
        self.follow = Follow::Held;
        self.selected = 0;
        self.offset = 0;
    }

    /// To the last row, without following.
    pub fn end(&mut self) {
        self.follow = Follow::Held;
        self.selected = self.len.saturating_sub(1);
        self.settle();
    }

    /// To the last row, which from now on is kept in sight.
    pub fn follow_end(&mut self) {
        self.follow = Follow::Tail;
        self.resize(self.len, self.height);
    }

    /// Stops following; what is in sight stays.
    pub const fn hold(&mut self) {
        self.follow = Follow::Held;
    }

    /// Moves the window (a mouse wheel); the selection moves only where it would leave it.
    pub fn scroll_by(&mut self, rows: isize) {
        self.follow = Follow::Held;
        let furthest = self.len.saturating_sub(self.height);
        self.offset = self.offset.saturating_add_signed(rows).min(furthest);
        let last = (self.offset + self.height).saturating_sub(1).max(self.offset);
        self.selected = self.selected.clamp(self.offset, last).min(self.len.saturating_sub(1));
    }

    /// True where the last row is in sight.
    #[must_use]
    pub const fn shows_end(&self) -> bool {
        self.offset + self.height >= self.len
    }

    /// The row of the list at line `line` of the window, from 0.
    #[must_use]
    pub fn row_at(&self, line: u16) -> Option<usize> {
        let row = self.offset + usize::from(line);
        (usize::from(line) < self.height && row < self.len).then_some(row)
    }

    /// Moves selection and window together.
    fn jump(&mut self, rows: isize) {
        let furthest = self.len.saturating_sub(self.height);
        self.offset = self.offset.saturating_add_signed(rows).min(furthest);
        self.move_by(rows);
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
