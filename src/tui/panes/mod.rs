//! The five panes, and the view of all containers. Each draws a part of the newest picture into its area and decides nothing.

pub(crate) mod containers;
pub(crate) mod graphs;
pub(crate) mod logs;
pub(crate) mod patterns;
pub(crate) mod projects;
pub(crate) mod services;
pub(crate) mod timeline;

use ratatui::{
    Frame,
    layout::Rect,
    style::{Modifier, Style},
    text::{Line, Span},
    widgets::{Block, BorderType, Paragraph},
};

use super::{
    format,
    theme::{ColorDepth, Role},
    ui::{Pane, Ui},
    widgets::{Focus, Panel, Viewport, scrollbar},
};
use crate::insight::filter::Pattern;

pub(crate) fn draw(frame: &mut Frame<'_>, ui: &Ui, pane: Pane, area: Rect) {
    match pane {
        Pane::Projects => projects::draw(frame, ui, area),
        Pane::Services => services::draw(frame, ui, area),
        Pane::Graphs => graphs::draw(frame, ui, area),
        Pane::Logs => logs::draw(frame, ui, area),
        Pane::Timeline => timeline::draw(frame, ui, area),
        Pane::Containers => containers::draw(frame, ui, area),
        Pane::Patterns => patterns::draw(frame, ui, area),
    }
}

/// What stands in the frame of a pane besides its number and title.
#[derive(Default)]
struct Titles {
    /// After the title.
    after: Vec<Span<'static>>,
    /// At the upper right.
    right: Vec<Span<'static>>,
    /// At the lower right; left out where it has no room.
    bottom: String,
}

/// The frame of a pane; returns the room inside.
fn panel(frame: &mut Frame<'_>, ui: &Ui, pane: Pane, area: Rect, titles: Titles) -> Rect {
    let focus = if ui.focus == pane { Focus::Focused } else { Focus::Elsewhere };
    let mut title = vec![Span::raw(format!("{}{}", pane.number(), pane.title()))];
    title.extend(titles.after);
    let room = usize::from(area.width).saturating_sub(6);
    let panel = Panel {
        title: Line::from(title),
        right: Line::from(titles.right),
        bottom: Line::from(format::clean(&titles.bottom, room)),
        focus,
    };
    panel.draw(area, frame.buffer_mut(), &ui.theme)
}

/// `/pattern/` for a title.
fn filter_spans(ui: &Ui, pattern: Option<&Pattern>) -> Vec<Span<'static>> {
    sought_spans(ui, pattern.map(Pattern::source))
}

/// The same of what is looked for in other ways.
fn sought_spans(ui: &Ui, sought: Option<&str>) -> Vec<Span<'static>> {
    let Some(sought) = sought else { return Vec::new() };
    let text = format!("/{}/", format::clean(sought, 24));
    vec![Span::raw(" "), Span::styled(text, ui.theme.style(Role::Match))]
}

/// Whether the keys act on a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Picked {
    Yes,
    No,
}

impl Picked {
    const fn when(is_picked: bool) -> Self {
        if is_picked { Self::Yes } else { Self::No }
    }
}

/// A row of a pane's list. The selection lies over the finished row, since some themes bring letters of their own for it.
fn put_row(frame: &mut Frame<'_>, ui: &Ui, pane: Pane, row: Rect, line: Line<'_>, picked: Picked) {
    frame.render_widget(line, row);
    if picked == Picked::Yes {
        let role = if ui.focus == pane { Role::Selection } else { Role::SelectionInactive };
        frame.buffer_mut().set_style(row, ui.theme.style(role));
    }
}

/// What must be seen before anything else: the same colour, as a block.
pub(crate) fn alarm(style: Style) -> Style {
    style.add_modifier(Modifier::BOLD | Modifier::REVERSED)
}

/// A sentence in the middle of an empty pane, and what to do about it below.
fn empty(frame: &mut Frame<'_>, ui: &Ui, area: Rect, sentence: &str, hint: &str) {
    let width = usize::from(area.width.saturating_sub(2));
    let mut lines: Vec<Line<'static>> = format::wrap(sentence, width)
        .into_iter()
        .map(|line| Line::styled(line, ui.theme.style(Role::Muted)).centered())
        .collect();
    if !hint.is_empty() {
        let hints = format::wrap(hint, width);
        lines.extend(hints.into_iter().map(|line| Line::styled(line, ui.theme.style(Role::Faint)).centered()));
    }
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(area.height);
    let middle = Rect { y: area.y + (area.height - height) / 2, height, ..area };
    frame.render_widget(Paragraph::new(lines), middle);
}

/// The scroll bar in the right border of a pane.
fn bar(frame: &mut Frame<'_>, ui: &Ui, view: &Viewport, content: Rect) {
    let track = Rect { x: content.right(), width: 1, ..content };
    scrollbar(view, track, frame.buffer_mut(), &ui.theme);
}

/// The frame of whatever lies over the panes.
pub(crate) fn overlay(ui: &Ui, title: &str) -> Block<'static> {
    frame(ui, Line::styled(format!(" {title} "), ui.theme.style(Role::Accent)))
}

/// The same with a title of its own look.
pub(crate) fn frame(ui: &Ui, title: Line<'static>) -> Block<'static> {
    let plain = ui.theme.depth() == ColorDepth::NoColor;
    Block::bordered()
        .border_type(if plain { BorderType::Double } else { BorderType::Rounded })
        .border_style(ui.theme.style(Role::BorderFocused))
        .style(ui.theme.style(Role::Overlay))
        .title_top(title)
}
