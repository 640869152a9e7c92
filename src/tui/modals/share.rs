//! Where lines of output are to go: which of them, and to the clipboard, a file, a pager or an editor.

use ratatui::text::{Line, Span};

use crate::tui::{
    format,
    message::UiEffect,
    theme::Role,
    ui::{LogPosition, Ui},
    update::logs::{selected_rows, text_of_rows},
    widgets::Viewport,
};

/// Which lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The selected ones; while following, the last screenful.
    Selected {
        /// Rows.
        rows: usize,
    },
    /// Those that are marked.
    Marked {
        /// Rows.
        rows: usize,
    },
    /// All that are shown.
    All {
        /// Rows.
        rows: usize,
    },
}

/// To where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Clipboard,
    File,
    Pager,
    Editor,
}

impl Target {
    const ALL: [Self; 4] = [Self::Clipboard, Self::File, Self::Pager, Self::Editor];

    const fn label(self) -> &'static str {
        match self {
            Self::Clipboard => "clipboard",
            Self::File => "file",
            Self::Pager => "$PAGER",
            Self::Editor => "$EDITOR",
        }
    }
}

/// The list.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    pub(crate) view: Viewport,
    parts: Vec<Part>,
}

impl Share {
    pub(crate) fn new(ui: &Ui) -> Self {
        let selected = selected_rows(ui);
        let rows = usize::try_from(selected.end() - selected.start() + 1).unwrap_or(0);
        let (selected, all) = (Part::Selected { rows }, Part::All { rows: ui.logs.view.len() });
        // What is selected first, if anything is.
        let mut parts = match ui.logs.position {
            LogPosition::At { .. } => vec![selected, all],
            LogPosition::Following => vec![all, selected],
        };
        let marked = ui.logs.marked_rows().count();
        if marked > 0 {
            parts.insert(1, Part::Marked { rows: marked });
        }
        Self { view: Viewport::default(), parts }
    }

    /// What can be chosen.
    pub(crate) fn ways(&self) -> Vec<(Part, Target)> {
        self.parts.iter().flat_map(|part| Target::ALL.map(|target| (*part, target))).collect()
    }

    /// What is to be done for what is chosen.
    pub(crate) fn effect(&self, ui: &Ui) -> Option<(Target, UiEffect)> {
        let (part, target) = self.ways().get(self.view.selected()).copied()?;
        let text = match part {
            Part::Selected { .. } => text_of_rows(ui, selected_rows(ui)),
            Part::Marked { .. } => text_of_rows(ui, ui.logs.marked_rows()),
            Part::All { .. } => text_of_rows(ui, ui.logs.view.first()..=ui.logs.view.last()),
        };
        if text.is_empty() {
            return None;
        }
        let effect = match target {
            Target::Clipboard => UiEffect::Copy(text),
            Target::File => UiEffect::Save { name: name(ui), text, why: String::new() },
            Target::Pager => UiEffect::Page(text),
            Target::Editor => UiEffect::Peruse(text),
        };
        Some((target, effect))
    }
}

/// How a file of these lines begins to be called.
fn name(ui: &Ui) -> String {
    use crate::tui::logs::row::Scope;
    match ui.logs.view.scope() {
        Scope::Services(some) if some.len() == 1 => {
            some.iter().next().map_or_else(String::new, |id| format!("{}-{}", id.project, id.service))
        }
        Scope::Services(_) | Scope::All => "cas-logs".to_owned(),
    }
}

pub(crate) fn row(ui: &Ui, (part, target): (Part, Target)) -> Line<'static> {
    let (what, rows) = match part {
        Part::Selected { rows } => ("what is selected", rows),
        Part::Marked { rows } => ("what is marked", rows),
        Part::All { rows } => ("all that is shown", rows),
    };
    Line::from(vec![
        Span::styled(format::cell(target.label(), 11), ui.theme.style(Role::Accent)),
        Span::styled(format::cell(what, 18), ui.ink()),
        Span::styled(format!("{rows} row{}", if rows == 1 { "" } else { "s" }), ui.theme.style(Role::Muted)),
    ])
}
