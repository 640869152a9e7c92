//! Things to read: help, problems, a service, its health, why something is so, an entry of the timeline, a line of output.

use std::sync::Arc;

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::{Clear, Paragraph},
};

use super::{Modal, container, detail, health, help, why};
use crate::{
    model::{
        ids::{ProjectName, ServiceId},
        timeline::Entry,
    },
    tui::{
        format,
        layout::{Areas, inside},
        panes,
        theme::Role,
        ui::Ui,
        widgets::centred,
    },
};

/// What is read.
#[derive(Debug, Clone)]
pub(crate) enum TextKind {
    /// Keys and commands.
    Help,
    /// What is wrong with the project file and with cas itself.
    Problems,
    /// Everything known about a service.
    Service(ServiceId),
    /// Every check of a service.
    Health(ServiceId),
    /// Why something is as it is.
    Why(Subject),
    /// Everything known about an entry.
    Entry(Arc<Entry>),
    /// Everything known about a container.
    Container { id: String, name: String },
}

/// What is asked about.
#[derive(Debug, Clone)]
pub(crate) enum Subject {
    /// A service.
    Service(ServiceId),
    /// An entry of the timeline.
    Entry(Arc<Entry>),
    /// A project as a whole; none: all that is open.
    Project(Option<ProjectName>),
}

impl TextKind {
    fn title(&self) -> String {
        match self {
            Self::Help => "help".to_owned(),
            Self::Problems => "problems".to_owned(),
            Self::Service(id) => id.to_string(),
            Self::Health(id) => format!("health of {id}"),
            Self::Why(Subject::Service(id)) => format!("why · {id}"),
            Self::Why(Subject::Entry(entry)) => {
                let of = entry.service.as_ref().map(|service| format!(" · {service}"));
                format!("why{}", of.unwrap_or_default())
            }
            Self::Why(Subject::Project(project)) => {
                let of = project.as_ref().map(|project| format!(" · {project}"));
                format!("why{}", of.unwrap_or_default())
            }
            Self::Entry(entry) => entry.service.as_ref().map_or_else(|| "event".to_owned(), ToString::to_string),
            Self::Container { name, .. } => format!("container {name}"),
        }
    }

    fn lines(&self, ui: &Ui, width: usize) -> Vec<Line<'static>> {
        match self {
            Self::Help => help::lines(ui, width),
            Self::Problems => detail::problems(ui, width),
            Self::Service(id) => detail::service(ui, id, width),
            Self::Health(id) => health::lines(ui, id, width),
            Self::Why(subject) => why::lines(ui, subject, width),
            Self::Entry(entry) => detail::entry(ui, entry, width),
            Self::Container { id, .. } => container::lines(ui, id, width),
        }
    }
}

fn area(body: Rect, lines: usize) -> Rect {
    let height = u16::try_from(lines + 2).unwrap_or(u16::MAX).min(body.height);
    centred(body, outer_width(body), height.max(3))
}

const fn outer_width(body: Rect) -> u16 {
    if body.width > 104 { 100 } else { body.width }
}

/// How far an open text can be scrolled.
pub(crate) fn longest_scroll(ui: &Ui) -> usize {
    let (Some(Modal::Text { kind, .. }), Some(areas)) = (&ui.modal, Areas::of(ui)) else { return 0 };
    let width = usize::from(outer_width(areas.body)).saturating_sub(4);
    let lines = kind.lines(ui, width).len();
    lines.saturating_sub(usize::from(inside(area(areas.body, lines)).height))
}

/// The whole open text.
pub(crate) fn copy(ui: &Ui) -> Option<String> {
    let Some(Modal::Text { kind, .. }) = &ui.modal else { return None };
    let lines = kind.lines(ui, 100);
    Some(lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

pub(crate) fn draw(frame: &mut Frame<'_>, ui: &Ui, kind: &TextKind, scroll: usize, body: Rect) {
    let width = usize::from(outer_width(body)).saturating_sub(4);
    let lines = kind.lines(ui, width);
    let area = area(body, lines.len());
    let content = inside(area);
    let longest = lines.len().saturating_sub(usize::from(content.height));
    let scroll = scroll.min(longest);
    let place = if longest == 0 {
        String::new()
    } else {
        format!(" {}–{} of {} ", scroll + 1, scroll + usize::from(content.height), lines.len())
    };
    let block = panes::overlay(ui, &kind.title())
        .title_bottom(Line::styled(place, ui.theme.style(Role::Muted)).right_aligned());
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    let shown: Vec<Line<'static>> = lines.into_iter().skip(scroll).take(usize::from(content.height)).collect();
    let padded = Rect { x: content.x + 1, width: content.width.saturating_sub(2), ..content };
    frame.render_widget(Paragraph::new(shown).style(ui.theme.style(Role::Overlay)), padded);
}

/// A heading within a text.
pub(crate) fn heading(ui: &Ui, text: &str) -> Line<'static> {
    Line::styled(text.to_owned(), ui.theme.style(Role::Title))
}

/// `label   value`, the value wrapped and indented below itself.
pub(crate) fn field(ui: &Ui, label: &str, value: &str, width: usize) -> Vec<Line<'static>> {
    const LABEL: usize = 14;
    let style = ui.ink();
    let pieces = format::wrap(value, width.saturating_sub(LABEL));
    pieces
        .into_iter()
        .enumerate()
        .map(|(number, piece)| {
            let name = if number == 0 { label } else { "" };
            Line::from(vec![
                Span::styled(format::cell(name, LABEL), ui.theme.style(Role::Muted)),
                Span::styled(piece, style),
            ])
        })
        .collect()
}
