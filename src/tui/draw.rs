//! The whole screen. Reads the console's state and nothing else; any size is drawn without a panic, 0×0 included.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    text::{Line, Span},
    widgets::{Block, Clear, Paragraph},
};

use super::{
    bars, format,
    layout::{Areas, SMALLEST},
    modals::choice,
    panes,
    theme::Role,
    ui::{Pane, Ui},
    widgets::{tab_at as widget_tab_at, tabs},
};
use crate::model::text;

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, ui: &Ui) {
    let screen = frame.area();
    frame.render_widget(Block::new().style(ui.theme.style(Role::Text)), screen);
    let areas = Areas::of(ui).filter(|_| screen.width >= ui.size.width && screen.height >= ui.size.height);
    let Some(areas) = areas else {
        too_small(frame, ui, screen);
        return;
    };
    bars::header(frame, ui, areas.header);
    if let Some(area) = areas.banner {
        bars::banner(frame, ui, area);
    }
    if let Some(area) = areas.tabs {
        let shown = tab_panes(ui);
        let active = shown.iter().position(|pane| *pane == ui.focus).unwrap_or(0);
        frame.render_widget(tabs(&names(&shown), active, &ui.theme), area);
    }
    for (pane, area) in &areas.panes {
        panes::draw(frame, ui, *pane, *area);
    }
    match &ui.prompt {
        Some(prompt) => bars::prompt(frame, ui, prompt, areas.footer),
        None => bars::footer(frame, ui, areas.footer),
    }
    toast(frame, ui, areas.body);
    if let Some(modal) = &ui.modal {
        choice::draw(frame, ui, modal, areas.body);
    }
}

/// The panes that have a tab: that of containers where there is an engine of them, that of patterns while it is seen.
fn tab_panes(ui: &Ui) -> Vec<Pane> {
    let containers = ui.has_engine_of_containers().then_some(Pane::Containers);
    let patterns = (ui.focus == Pane::Patterns).then_some(Pane::Patterns);
    Pane::ALL.into_iter().chain(containers).chain(patterns).collect()
}

fn names(panes: &[Pane]) -> Vec<(&'static str, &'static str)> {
    panes.iter().map(|pane| (pane.number(), pane.title())).collect()
}

/// The pane whose tab is at column `column`.
pub(crate) fn tab_at(ui: &Ui, column: u16) -> Option<Pane> {
    let shown = tab_panes(ui);
    shown.get(widget_tab_at(&names(&shown), column)?).copied()
}

fn too_small(frame: &mut Frame<'_>, ui: &Ui, screen: Rect) {
    let sentence = format!("too small: {}×{}, cas needs {}×{}", ui.size.width, ui.size.height, SMALLEST.0, SMALLEST.1);
    let lines: Vec<Line<'static>> = format::wrap(&sentence, usize::from(screen.width).max(1))
        .into_iter()
        .map(|line| Line::styled(line, ui.theme.style(Role::Warning)))
        .collect();
    frame.render_widget(Paragraph::new(lines), screen);
}

/// The latest sentence, in the lower right corner of the panes, above their lower border: there may stand why the selected service is where
/// it is.
fn toast(frame: &mut Frame<'_>, ui: &Ui, body: Rect) {
    let Some(toast) = &ui.toast else { return };
    let style = ui.theme.severity(toast.severity);
    let most = usize::from(body.width).saturating_sub(6).min(64);
    let mut lines: Vec<Line<'static>> =
        format::wrap(&toast.text, most).into_iter().map(|line| Line::styled(line, ui.ink())).collect();
    if let Some(hint) = &toast.hint {
        let hints = format::wrap(hint, most);
        lines.extend(hints.into_iter().map(|line| Line::styled(line, ui.theme.style(Role::Muted))));
    }
    let body = Rect { height: body.height.saturating_sub(1), width: body.width.saturating_sub(1), ..body };
    lines.truncate(usize::from(body.height.saturating_sub(2)).min(5));
    let widest = lines.iter().map(Line::width).max().unwrap_or(0);
    let width = u16::try_from(widest + 4).unwrap_or(body.width).min(body.width);
    let height = u16::try_from(lines.len() + 2).unwrap_or(body.height).min(body.height);
    let area = Rect { x: body.right() - width, y: body.bottom() - height, width, height };
    frame.render_widget(Clear, area);
    let icon = Span::styled(format!(" {} ", panes::timeline::icon(toast.severity)), style);
    frame.render_widget(panes::frame(ui, Line::from(icon)).border_style(style), area);
    let content =
        Rect { x: area.x + 2, y: area.y + 1, width: width.saturating_sub(4), height: height.saturating_sub(2) };
    frame.render_widget(Paragraph::new(lines).style(ui.theme.style(Role::Overlay)), content);
}

/// Puts the terminal's cursor `before` columns into a line that begins at `at`, if that is still on it.
pub(crate) fn set_cursor(frame: &mut Frame<'_>, at: Position, before: &str, width: u16) {
    let column = u16::try_from(text::width(before)).unwrap_or(u16::MAX);
    if column < width {
        frame.set_cursor_position(Position::new(at.x + column, at.y));
    }
}
