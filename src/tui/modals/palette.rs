//! The palette: one line, its completions, and what is wrong with it.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    text::{Line, Span},
    widgets::{Clear, Paragraph},
};

use super::complete::{Candidate, Sort, candidates, typed_actions};
use crate::{
    model::{command::Command, text},
    tui::{action::Action, edit::LineEdit, format, layout::inside, panes, theme::Role, ui::Ui, widgets::centred},
};

/// Completions shown at once.
const SHOWN: usize = 10;

/// What Enter does.
#[derive(Debug)]
pub(crate) enum Run {
    Command(Command),
    Action(Action),
    /// The line is not finished; the sentence says what is missing.
    Nothing(String),
}

#[derive(Debug)]
pub(crate) struct Palette {
    pub(crate) edit: LineEdit,
    pub(crate) error: Option<String>,
    candidates: Vec<Candidate>,
    chosen: usize,
    /// Place in the history, counted from the newest line; none: what is being typed.
    recalled: Option<usize>,
}

impl Palette {
    pub(crate) fn new(ui: &Ui) -> Self {
        let candidates = candidates(ui, "");
        Self { edit: LineEdit::new(""), error: None, candidates, chosen: 0, recalled: None }
    }

    /// After the line changed.
    pub(crate) fn refresh(&mut self, ui: &Ui) {
        self.candidates = candidates(ui, self.edit.before_cursor());
        self.chosen = 0;
        self.error = None;
        self.recalled = None;
    }

    /// Puts the highlighted completion in place of the word that is being typed.
    pub(crate) fn complete(&mut self, ui: &Ui) {
        let Some(chosen) = self.candidates.get(self.chosen) else { return };
        let typed = self.edit.before_cursor();
        let start = typed.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        let line = format!("{}{} ", &typed[..start], chosen.text);
        self.edit.set(&line);
        self.refresh(ui);
    }

    /// Down (1) or up (-1): through the completions, or above them through earlier lines.
    pub(crate) fn go(&mut self, ui: &Ui, step: isize) {
        let is_history = self.recalled.is_some() || (self.edit.text().is_empty() && self.chosen == 0 && step < 0);
        if !is_history {
            let last = self.candidates.len().saturating_sub(1);
            self.chosen = self.chosen.saturating_add_signed(step).min(last);
            return;
        }
        let wanted = match (self.recalled, step < 0) {
            (None, _) => Some(0),
            (Some(back), true) => Some((back + 1).min(ui.lines.len().saturating_sub(1))),
            (Some(back), false) => back.checked_sub(1),
        };
        let line = wanted.and_then(|back| ui.lines.len().checked_sub(back + 1)).and_then(|at| ui.lines.get(at));
        self.edit.set(line.map_or("", String::as_str));
        self.refresh(ui);
        self.recalled = wanted.filter(|_| line.is_some());
    }

    /// What the line means; where it is only the beginning of an action's name, the highlighted action.
    pub(crate) fn run(&self) -> Run {
        let line = self.edit.text().trim();
        let error = match Command::parse_line(line) {
            Ok(command) => return Run::Command(command),
            Err(error) => error,
        };
        if let Some(action) = typed_actions().find(|action| action.name() == line) {
            return Run::Action(action);
        }
        match self.candidates.get(self.chosen).map(|candidate| candidate.sort) {
            Some(Sort::Action(action)) if !line.contains(' ') => Run::Action(action),
            Some(Sort::Action(_) | Sort::Verb | Sort::Argument | Sort::Service | Sort::Container) | None => {
                Run::Nothing(error.to_string())
            }
        }
    }
}

pub(crate) fn draw(frame: &mut Frame<'_>, ui: &Ui, palette: &Palette, body: Rect) {
    let width = body.width.clamp(1, 84);
    let inner = usize::from(width).saturating_sub(4);
    let below = below(ui, palette, inner);
    let height = u16::try_from(below.len()).unwrap_or(0) + 3 + u16::from(!below.is_empty());
    let area = centred(body, width, height.min(body.height));
    let area = Rect { y: body.y + (body.height - area.height) / 4, ..area };
    let content = inside(area);
    frame.render_widget(Clear, area);
    frame.render_widget(panes::overlay(ui, "command"), area);
    let mut lines = vec![Line::from(vec![
        Span::styled(": ", ui.theme.style(Role::Accent)),
        Span::styled(palette.edit.text().to_owned(), ui.ink()),
    ])];
    if !below.is_empty() {
        lines.push(Line::styled("─".repeat(inner), ui.theme.style(Role::Border)));
    }
    lines.extend(below);
    let padded = Rect { x: content.x + 1, width: content.width.saturating_sub(2), ..content };
    frame.render_widget(Paragraph::new(lines).style(ui.theme.style(Role::Overlay)), padded);
    let column = u16::try_from(text::width(palette.edit.before_cursor())).unwrap_or(u16::MAX).saturating_add(2);
    if column < padded.width {
        frame.set_cursor_position(Position::new(padded.x + column, padded.y));
    }
}

fn below(ui: &Ui, palette: &Palette, inner: usize) -> Vec<Line<'static>> {
    if let Some(error) = &palette.error {
        let lines = error.lines().map(str::trim_end).filter(|line| !line.is_empty()).take(6);
        let wrapped = lines.flat_map(|line| format::wrap(line, inner));
        return wrapped.map(|line| Line::styled(line, ui.theme.style(Role::Error))).collect();
    }
    let first = (palette.chosen + 1).saturating_sub(SHOWN);
    let shown = palette.candidates.iter().enumerate().skip(first).take(SHOWN);
    shown.map(|(place, candidate)| candidate_line(ui, candidate, place == palette.chosen, inner)).collect()
}

fn candidate_line(ui: &Ui, candidate: &Candidate, is_chosen: bool, inner: usize) -> Line<'static> {
    const NAME: usize = 24;
    let mut spans = vec![Span::styled(if is_chosen { "▸ " } else { "  " }, ui.theme.style(Role::Accent))];
    let mut used = 0;
    for (place, letter) in (0_u32..).zip(candidate.text.chars()) {
        if used >= NAME {
            break;
        }
        let is_match = candidate.matched.contains(&place);
        let style = if is_match { ui.theme.style(Role::Match) } else { ui.ink() };
        spans.push(Span::styled(letter.to_string(), style));
        used += 1;
    }
    spans.push(Span::raw(" ".repeat(NAME + 1 - used)));
    let label = candidate.sort.label();
    let room = inner.saturating_sub(NAME + 3 + label.len() + 1);
    spans.push(Span::styled(format::cell(&candidate.about, room), ui.theme.style(Role::Muted)));
    spans.push(Span::styled(format!(" {label}"), ui.theme.style(Role::Faint)));
    let line = Line::from(spans);
    if is_chosen { line.style(ui.theme.style(Role::Selection)) } else { line }
}
