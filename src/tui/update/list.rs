//! Keys of lists and texts, on whichever pane has them.

use super::{containers, logs, move_services, patterns, project, prompt, say, service};
use crate::{
    model::{ids::ServiceId, timeline::Severity},
    tui::{
        action::ListKey,
        lists::{ServiceRow, entry_text},
        message::UiEffect,
        modals::{Modal, text::TextKind},
        motion::Motion,
        ui::{Pane, Ui},
    },
};

/// The motion that an action is in a list of which `height` rows can be seen.
pub(super) fn motion(action: ListKey, height: usize) -> Option<Motion> {
    let page = i64::try_from(height.saturating_sub(1).max(1)).unwrap_or(i64::MAX);
    let half = (page / 2).max(1);
    match action {
        ListKey::Down => Some(Motion::By(1)),
        ListKey::Up => Some(Motion::By(-1)),
        ListKey::Top => Some(Motion::Top),
        ListKey::Bottom => Some(Motion::Bottom),
        ListKey::HalfPageDown => Some(Motion::By(half)),
        ListKey::HalfPageUp => Some(Motion::By(-half)),
        ListKey::PageDown => Some(Motion::By(page)),
        ListKey::PageUp => Some(Motion::By(-page)),
        ListKey::Filter
        | ListKey::NextMatch
        | ListKey::PreviousMatch
        | ListKey::Open
        | ListKey::Copy
        | ListKey::Mark => None,
    }
}

pub(super) fn act(ui: &mut Ui, action: ListKey) -> Vec<UiEffect> {
    let pane = ui.focus;
    if let Some(motion) = motion(action, ui.pane_height(pane)) {
        scroll(ui, pane, motion);
        return Vec::new();
    }
    match action {
        ListKey::Filter => prompt::open(ui),
        ListKey::NextMatch => next(ui, Motion::By(1)),
        ListKey::PreviousMatch => next(ui, Motion::By(-1)),
        ListKey::Open => return open(ui),
        ListKey::Mark => mark(ui),
        ListKey::Copy => return copy(ui),
        // Motions, done above.
        ListKey::Down
        | ListKey::Up
        | ListKey::Top
        | ListKey::Bottom
        | ListKey::HalfPageDown
        | ListKey::HalfPageUp
        | ListKey::PageDown
        | ListKey::PageUp => {}
    }
    Vec::new()
}

/// Moves what is selected in `pane`.
pub(super) fn scroll(ui: &mut Ui, pane: Pane, motion: Motion) {
    match pane {
        Pane::Projects => {
            let rows = ui.project_rows();
            let place = motion.apply(ui.projects.view.selected(), rows.len());
            let root = rows.get(place).map(|project| project.root.clone());
            ui.projects.selected = root;
        }
        // The graphs show the selected service, so moving there moves through the services.
        Pane::Services | Pane::Graphs => move_services(ui, motion),
        Pane::Logs => logs::scroll(ui, motion),
        Pane::Timeline => {
            let rows = ui.timeline_rows();
            let place = motion.apply(ui.timeline.view.selected(), rows.len());
            let seq = if place == 0 { None } else { rows.get(place).map(|entry| entry.seq) };
            ui.timeline.selected = seq;
        }
        Pane::Containers => containers::go(ui, motion),
        Pane::Patterns => patterns::go(ui, motion),
    }
}

fn next(ui: &mut Ui, motion: Motion) {
    match ui.focus {
        Pane::Logs => logs::next_match(ui, motion),
        // Filtered lists hold nothing but matches.
        Pane::Projects | Pane::Services | Pane::Graphs | Pane::Timeline | Pane::Containers | Pane::Patterns => {
            scroll(ui, ui.focus, motion);
        }
    }
}

fn open(ui: &mut Ui) -> Vec<UiEffect> {
    match ui.focus {
        Pane::Projects => return project::open(ui),
        Pane::Services | Pane::Graphs | Pane::Containers => service::detail(ui),
        Pane::Logs => logs::open(ui),
        Pane::Patterns => patterns::open(ui),
        Pane::Timeline => {
            if let Some(entry) = ui.selected_entry().cloned() {
                ui.modal = Some(Modal::text(TextKind::Entry(entry)));
            }
        }
    }
    Vec::new()
}

fn mark(ui: &mut Ui) {
    match ui.focus {
        Pane::Logs => logs::toggle_anchor(ui),
        Pane::Projects => {
            let Some(project) = ui.selected_project().map(|project| project.name.clone()) else { return };
            let of_it = |id: &ServiceId| id.project == project;
            if ui.services.marks.iter().any(of_it) {
                ui.services.marks.retain(|id| !of_it(id));
            } else {
                let all = ui.snapshot.services.iter().map(|service| service.id.clone()).filter(of_it);
                ui.services.marks.extend(all);
            }
        }
        Pane::Services | Pane::Graphs => {
            let Some(id) = ui.services.selected.clone() else { return };
            if !ui.services.marks.remove(&id) {
                ui.services.marks.insert(id);
            }
            move_services(ui, Motion::By(1));
        }
        Pane::Patterns => patterns::next_since(ui),
        Pane::Timeline | Pane::Containers => {}
    }
}

/// Marks every service that is shown.
pub(super) fn mark_all(ui: &mut Ui) {
    let shown = ui.service_rows().into_iter().filter_map(|row| match row {
        ServiceRow::Service(index) => Some(ui.snapshot.services[index].id.clone()),
        ServiceRow::Project(_) => None,
    });
    ui.services.marks = shown.collect();
}

/// The largest text that terminals take through OSC 52 without harm, bytes: tmux and others stop reading a sequence at some hundred thousand. What is longer is
/// written to a file.
pub(crate) const COPY_LIMIT: usize = 100_000;

fn copy(ui: &mut Ui) -> Vec<UiEffect> {
    let text = match ui.focus {
        Pane::Projects => ui.selected_project().map(|project| project.root.display().to_string()),
        Pane::Services | Pane::Graphs => {
            let lines: Vec<String> = ui
                .targets()
                .iter()
                .map(|s| format!("{}\t{}\t{}\t{}", s.id, s.phase.label(), s.command, s.why))
                .collect();
            (!lines.is_empty()).then(|| lines.join("\n"))
        }
        Pane::Logs => logs::text_to_copy(ui),
        Pane::Containers => containers::text_to_copy(ui),
        Pane::Patterns => patterns::text_to_copy(ui),
        Pane::Timeline => {
            ui.selected_entry().map(|entry| format!("{} {}", ui.zone.date(entry.at.wall_us), entry_text(entry).trim()))
        }
    };
    copy_text(ui, text)
}

/// Copies `text`, or says why not.
pub(super) fn copy_text(ui: &mut Ui, text: Option<String>) -> Vec<UiEffect> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        say(ui, Severity::Warning, "nothing is selected to copy".to_owned(), None);
        return Vec::new();
    };
    if text.len() > COPY_LIMIT {
        let why = format!("{} bytes are too many for the terminal's clipboard (100 kB)", text.len());
        return vec![UiEffect::Save { name: "cas-copy".to_owned(), text, why }];
    }
    let lines = text.lines().count();
    let what = if lines == 1 { format!("{} characters", text.chars().count()) } else { format!("{lines} lines") };
    say(ui, Severity::Good, format!("copied {what}"), None);
    vec![UiEffect::Copy(text)]
}
