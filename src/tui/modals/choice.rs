//! Lists to choose from, and questions.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    text::{Line, Span},
    widgets::{Clear, Paragraph},
};

use super::{Modal, palette, share, text};
use crate::{
    model::{policy::Risk, signal::Signal},
    tui::{
        action::{Action, ConfirmKey},
        format,
        layout::inside,
        panes,
        theme::{Role, Theme},
        ui::Ui,
        widgets::{Viewport, centred},
    },
};

/// What is under the pointer while something lies over the panes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hit {
    /// A row that can be chosen.
    Row(usize),
    /// The box, but no row of it.
    Inside,
    /// Beside it.
    Outside,
}

const LIST_WIDTH: u16 = 60;

fn list_area(body: Rect, rows: usize) -> Rect {
    centred(body, LIST_WIDTH, u16::try_from(rows + 2).unwrap_or(u16::MAX).min(body.height))
}

/// What is at `at`.
pub(crate) fn row_at(ui: &Ui, body: Rect, at: Position) -> Hit {
    let Some(modal) = &ui.modal else { return Hit::Outside };
    let (area, offset) = match modal {
        Modal::Signals { view, .. } | Modal::Themes { view, .. } => (list_area(body, modal.choices()), view.offset()),
        Modal::Share(share) => (list_area(body, modal.choices()), share.view.offset()),
        Modal::Text { .. } | Modal::Palette(_) | Modal::Confirm { .. } | Modal::Leave { .. } => {
            (centred(body, 100, body.height), 0)
        }
    };
    let row = offset + usize::from(at.y.saturating_sub(area.y + 1));
    if inside(area).contains(at) && row < modal.choices() {
        Hit::Row(row)
    } else if area.contains(at) {
        Hit::Inside
    } else {
        Hit::Outside
    }
}

pub(crate) fn draw(frame: &mut Frame<'_>, ui: &Ui, modal: &Modal, body: Rect) {
    match modal {
        Modal::Palette(palette) => palette::draw(frame, ui, palette, body),
        Modal::Text { kind, scroll } => text::draw(frame, ui, kind, *scroll, body),
        Modal::Signals { view, names, .. } => {
            let rows = Signal::ALL.iter().map(|signal| signal_row(ui, *signal)).collect();
            draw_list(frame, ui, &format!("signal to {names}"), rows, *view, body);
        }
        Modal::Themes { themes, view, .. } => {
            let rows = themes.iter().map(|theme| theme_row(ui, theme)).collect();
            draw_list(frame, ui, "theme", rows, *view, body);
        }
        Modal::Share(share) => {
            let rows = share.ways().iter().map(|way| share::row(ui, *way)).collect();
            draw_list(frame, ui, "share lines", rows, share.view, body);
        }
        Modal::Confirm { plan, .. } => {
            let role = match plan.risk {
                Risk::Reversible => Role::Info,
                Risk::Disruptive => Role::Warning,
                Risk::Irreversible => Role::Error,
            };
            let choices = [(ConfirmKey::Agree, "do it"), (ConfirmKey::Decline, "leave things as they are")];
            question(frame, ui, &Question { title: &plan.title, steps: &plan.steps, role, choices: &choices }, body);
        }
        Modal::Leave { running } => {
            let (s, s_verb) = if *running == 1 { ("", "s") } else { ("s", "") };
            let title = format!("quit: {running} service{s} run{s_verb} in this console");
            let steps = ["Under the daemon they go on without it, and \"cas\" shows them again.".to_owned()];
            let choices = [
                (ConfirmKey::LeaveRunning, "leave them running"),
                (ConfirmKey::StopAndQuit, "stop them all"),
                (ConfirmKey::Decline, "stay"),
            ];
            question(
                frame,
                ui,
                &Question { title: &title, steps: &steps, role: Role::Warning, choices: &choices },
                body,
            );
        }
    }
}

fn signal_row(ui: &Ui, signal: Signal) -> Line<'static> {
    Line::from(vec![
        Span::styled(format::cell(signal.name(), 7), ui.ink()),
        Span::styled(format::right_cell(&signal.number().to_string(), 3), ui.theme.style(Role::Muted)),
        Span::styled(format!("  {}", signal.about()), ui.theme.style(Role::Muted)),
    ])
}

fn theme_row(ui: &Ui, theme: &Theme) -> Line<'static> {
    let mut spans = vec![Span::styled(format::cell(theme.name(), 30), ui.ink())];
    let swatches = [Role::Accent, Role::Good, Role::Warning, Role::Error, Role::GraphCpu, Role::GraphMemory];
    spans.extend(swatches.map(|role| Span::styled("██", theme.style(role))));
    Line::from(spans)
}

fn draw_list(frame: &mut Frame<'_>, ui: &Ui, title: &str, rows: Vec<Line<'static>>, view: Viewport, body: Rect) {
    let area = list_area(body, rows.len());
    let content = inside(area);
    let mut view = view;
    view.resize(rows.len(), usize::from(content.height));
    frame.render_widget(Clear, area);
    frame.render_widget(panes::overlay(ui, title), area);
    let visible = rows.into_iter().enumerate().skip(view.offset()).take(usize::from(content.height));
    let lines: Vec<Line<'static>> = visible
        .map(|(place, mut row)| {
            let is_selected = place == view.selected();
            row.spans.insert(0, Span::styled(if is_selected { "▸ " } else { "  " }, ui.theme.style(Role::Accent)));
            if is_selected { row.style(ui.theme.style(Role::Selection)) } else { row }
        })
        .collect();
    frame.render_widget(Paragraph::new(lines).style(ui.theme.style(Role::Overlay)), content);
}

/// Something to be answered.
struct Question<'a> {
    title: &'a str,
    steps: &'a [String],
    role: Role,
    choices: &'a [(ConfirmKey, &'a str)],
}

fn question(frame: &mut Frame<'_>, ui: &Ui, asked: &Question<'_>, body: Rect) {
    let Question { title, steps, role, choices } = *asked;
    let width = body.width.min(76);
    let inner = usize::from(width).saturating_sub(4);
    let mut lines: Vec<Line<'static>> = format::wrap(title, inner.saturating_sub(2))
        .into_iter()
        .enumerate()
        .map(|(number, line)| {
            Line::styled(format!("{}{line}", if number == 0 { "▲ " } else { "  " }), ui.theme.style(role))
        })
        .collect();
    lines.push(Line::default());
    let most = usize::from(body.height).saturating_sub(lines.len() + 5).max(1);
    let mut all: Vec<String> = steps.iter().flat_map(|step| format::wrap(step, inner.saturating_sub(2))).collect();
    if all.len() > most {
        let hidden = all.len() + 1 - most;
        all.truncate(most - 1);
        all.push(format!("… and {hidden} more"));
    }
    lines.extend(all.into_iter().map(|step| Line::styled(format!("  {step}"), ui.ink())));
    lines.push(Line::default());
    lines.push(answers(ui, choices));
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let area = centred(body, width, height);
    let content = inside(area);
    frame.render_widget(Clear, area);
    frame.render_widget(panes::overlay(ui, "are you sure?").border_style(ui.theme.style(role)), area);
    let padded = Rect { x: content.x + 1, width: content.width.saturating_sub(2), ..content };
    frame.render_widget(Paragraph::new(lines).style(ui.theme.style(Role::Overlay)), padded);
}

fn answers(ui: &Ui, choices: &[(ConfirmKey, &str)]) -> Line<'static> {
    let mut spans = Vec::new();
    for (key, word) in choices {
        let keys = ui.keymap.binding(Action::Confirm(*key)).map(|binding| binding.keys.as_slice()).unwrap_or_default();
        // To stay one presses what closes everything else, too.
        let key = match key {
            ConfirmKey::Decline if choices.len() > 2 => keys.iter().find(|key| key.is_escape()).or(keys.first()),
            ConfirmKey::Decline | ConfirmKey::Agree | ConfirmKey::LeaveRunning | ConfirmKey::StopAndQuit => {
                keys.first()
            }
        };
        let name = key.map(|key| key.short()).unwrap_or_default();
        spans.push(Span::styled(format!(" {name} "), ui.theme.style(Role::Key)));
        spans.push(Span::styled(format!("{word}   "), ui.theme.style(Role::KeyLabel)));
    }
    Line::from(spans)
}
