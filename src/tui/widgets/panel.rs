//! Frames: around panes, and over them.

use ratatui::{
    buffer::Buffer,
    layout::{Alignment, Rect},
    style::Modifier,
    text::Line,
    widgets::{Block, BorderType, Clear, Widget},
};

use crate::tui::theme::{ColorDepth, Role, Theme};

/// Whether the keys go to a pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Focus {
    /// They do.
    Focused,
    /// They go elsewhere.
    #[default]
    Elsewhere,
}

/// The frame of a pane.
#[derive(Debug, Clone, Default)]
pub struct Panel<'a> {
    /// At the top left.
    pub title: Line<'a>,
    /// At the top right: counts, filters, states. Left out where both do not fit.
    pub right: Line<'a>,
    /// At the bottom right: position, hints.
    pub bottom: Line<'a>,
    /// Whether the keys go there.
    pub focus: Focus,
}

impl Panel<'_> {
    /// Draws the frame and returns the room inside it.
    pub fn draw(self, area: Rect, buffer: &mut Buffer, theme: &Theme) -> Rect {
        let area = area.intersection(buffer.area);
        let (border, title) = match self.focus {
            Focus::Focused => (theme.style(Role::BorderFocused), theme.style(Role::Accent)),
            Focus::Elsewhere => (theme.style(Role::Border), theme.style(Role::Title)),
        };
        // Without colours the weight of the line says where the keys go.
        let thick = self.focus == Focus::Focused && theme.depth() == ColorDepth::NoColor;
        let mut block = Block::bordered()
            .border_type(if thick { BorderType::Thick } else { BorderType::Rounded })
            .border_style(border)
            .style(theme.style(Role::Text));
        let room = usize::from(area.width.saturating_sub(2));
        let left = self.title.width();
        if left > 0 {
            block = block.title_top(padded(self.title).style(title));
        }
        if self.right.width() > 0 && left + self.right.width() + 5 <= room {
            block = block.title_top(padded(self.right).style(theme.style(Role::Muted)).alignment(Alignment::Right));
        }
        if self.bottom.width() > 0 && self.bottom.width() + 2 <= room {
            block = block.title_bottom(padded(self.bottom).style(theme.style(Role::Muted)).alignment(Alignment::Right));
        }
        let inner = block.inner(area);
        block.render(area, buffer);
        inner
    }
}

/// A space on both sides, so that words do not touch the line.
fn padded(line: Line<'_>) -> Line<'_> {
    let mut spans = vec![" ".into()];
    spans.extend(line.spans);
    spans.push(" ".into());
    Line { spans, ..line }
}

/// A rectangle of that size in the middle of `area`, or as much of it as there is.
#[must_use]
pub fn centred(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}

/// Clears a box of that size (frame included) in the middle of `area`, frames it and returns the room inside it.
pub fn overlay(title: &str, area: Rect, size: (u16, u16), buffer: &mut Buffer, theme: &Theme) -> Rect {
    let area = centred(area.intersection(buffer.area), size.0, size.1);
    Clear.render(area, buffer);
    let thick = theme.depth() == ColorDepth::NoColor;
    let mut block = Block::bordered()
        .border_type(if thick { BorderType::Double } else { BorderType::Rounded })
        .border_style(theme.style(Role::BorderFocused))
        .style(theme.style(Role::Overlay));
    if !title.is_empty() {
        let style = theme.style(Role::Accent).add_modifier(Modifier::BOLD);
        block = block.title_top(padded(Line::from(title)).style(style));
    }
    let inner = block.inner(area);
    block.render(area, buffer);
    inner
}
