//! Projects: what is selected of them, and one that is opened in this console.

use std::path::PathBuf;

use super::{say, service};
use crate::{
    config::FileKind,
    model::{
        command::{Command, Starts},
        policy::{Reply, Request},
        snapshot::ProjectView,
        timeline::Severity,
    },
    tui::{
        message::UiEffect,
        ui::{Pane, Ui},
    },
};

/// Shows the services of the selected project; has the engine open it where it is not open yet.
pub(super) fn open(ui: &mut Ui) -> Vec<UiEffect> {
    let Some(project) = ui.selected_project().cloned() else { return Vec::new() };
    if project.open {
        focus_services(ui, &project);
        return Vec::new();
    }
    if !project.exists {
        let text = format!("{} is gone: there is no {} any more", project.shown(), project.root.display());
        let hint = format!("cas projects remove {}", project.reference);
        say(ui, Severity::Warning, text, Some(hint));
        return Vec::new();
    }
    ui.opening = Some(project.root.clone());
    let command = Command::Open { directory: way_to(&project), environment: None, starts: Starts::Autostart };
    vec![service::ask(command)]
}

/// What leads an engine to the project's file: its directory, or the file itself where no name of it says so.
fn way_to(project: &ProjectView) -> PathBuf {
    let name = project.file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_found = FileKind::is_project_file(name) && project.file.parent() == Some(project.root.as_path());
    if is_found { project.root.clone() } else { project.file.clone() }
}

/// Selects the first service of a project, the one that deserves a look first if there is one.
fn focus_services(ui: &mut Ui, project: &ProjectView) {
    let of_it = || ui.snapshot.services.iter().filter(|service| service.id.project == project.name);
    let first = of_it().find(|service| service.concern() >= 2).or_else(|| of_it().next());
    let Some(id) = first.map(|service| service.id.clone()) else {
        return say(ui, Severity::Info, format!("{} has no services", project.shown()), None);
    };
    ui.services.pattern = None;
    ui.services.selected = Some(id);
    ui.focus = Pane::Services;
}

/// A project that was asked for is there: its services are shown, unless the person has gone on to something else.
pub(super) fn has_opened(ui: &mut Ui) {
    let Some(root) = &ui.opening else { return };
    let opened = ui.snapshot.projects.iter().find(|project| project.open && project.root == *root).cloned();
    let Some(project) = opened else { return };
    ui.opening = None;
    if ui.focus == Pane::Projects && ui.prompt.is_none() && ui.modal.is_none() {
        focus_services(ui, &project);
    }
}

/// One that is not opened is not waited for.
pub(super) fn answered(ui: &mut Ui, request: &Request, reply: &Reply) {
    let is_refused = match reply {
        Reply::Refused { .. } => true,
        Reply::Accepted { .. } | Reply::Unchanged { .. } | Reply::Planned { .. } | Reply::NeedsConsent { .. } => false,
    };
    if is_refused && matches!(request.command, Command::Open { .. }) {
        ui.opening = None;
    }
}

/// The best of what is looked for is selected.
pub(super) fn select_best(ui: &mut Ui) {
    let best = ui.project_rows().first().map(|project| project.root.clone());
    ui.projects.selected = best;
}
