//! The view of all containers: opened, closed, moved in, looked into.

use super::{nearest, say};
use crate::{
    model::{command::Verb, timeline::Severity},
    tui::{
        containers::{ContainerRow, of_whom},
        modals::{Modal, text::TextKind},
        motion::{Motion, select},
        ui::{Pane, Ui},
    },
};

const fn is_container(row: &ContainerRow) -> bool {
    match row {
        ContainerRow::Container(_) => true,
        ContainerRow::Heading(_) => false,
    }
}

/// Opens it, at the container of the selected service if there is one; or goes back to where it was opened from.
pub(super) fn toggle(ui: &mut Ui) {
    if ui.focus == Pane::Containers {
        ui.focus = ui.containers.from.take().unwrap_or(Pane::Services);
        return;
    }
    let of_service = ui.targets().first().and_then(|service| ui.container_of(service)).map(|one| one.id.clone());
    if of_service.is_some() {
        ui.containers.selected = of_service;
    }
    ui.containers.from = Some(ui.focus);
    ui.focus = Pane::Containers;
}

/// Moves the selection, past headings.
pub(super) fn go(ui: &mut Ui, motion: Motion) {
    let rows = ui.container_rows();
    let wanted = motion.apply(ui.containers.view.selected(), rows.len());
    if let Some(place) = nearest(&rows, wanted, motion.is_up(), is_container) {
        pick(ui, rows[place]);
    }
}

fn pick(ui: &mut Ui, row: ContainerRow) {
    if let ContainerRow::Container(place) = row {
        ui.containers.selected = Some(ui.snapshot.containers[place].id.clone());
    }
}

/// Selects what was clicked at, by its row within the frame.
pub(super) fn select_row(ui: &mut Ui, row: usize) {
    // Above the list stand the names of the columns, and what is wrong.
    let above = 1 + usize::from(ui.containers_notice().is_some());
    let Some(place) = (ui.containers.view.offset() + row).checked_sub(above) else { return };
    if let Some(row) = ui.container_rows().get(place) {
        pick(ui, *row);
    }
}

/// Brings the selection back to a container that exists and can be seen.
pub(super) fn settle(ui: &mut Ui) {
    if ui.focus != Pane::Containers {
        return;
    }
    let rows = ui.container_rows();
    let is_selected = |row: &ContainerRow| match row {
        ContainerRow::Container(place) => Some(&ui.snapshot.containers[*place].id) == ui.containers.selected.as_ref(),
        ContainerRow::Heading(_) => false,
    };
    let found = rows.iter().position(is_selected);
    let place = found.or_else(|| nearest(&rows, ui.containers.view.selected(), false, is_container));
    match place {
        Some(place) => pick(ui, rows[place]),
        None => ui.containers.selected = None,
    }
    let height = ui.pane_height(Pane::Containers);
    if place == Some(1) {
        // A heading above the first is shown with it.
        select(&mut ui.containers.view, 0, rows.len(), height);
    }
    select(&mut ui.containers.view, place.unwrap_or(0), rows.len(), height);
}

pub(super) fn detail(ui: &mut Ui) {
    if let Some(container) = ui.selected_container() {
        ui.modal = Some(Modal::text(TextKind::Container { id: container.id.clone(), name: container.name.clone() }));
    }
}

/// Only output of services is kept.
pub(super) fn no_logs(ui: &mut Ui) {
    let Some(name) = ui.selected_container().map(|container| container.name.clone()) else { return };
    let hint = Some(format!("docker logs --follow {name}"));
    say(ui, Severity::Warning, format!("logs: {name} is no service's, so its output is not kept here"), hint);
}

/// Why a verb does nothing to the selected container, which is no service's; a clause.
pub(super) fn excuse(ui: &Ui, verb: Verb) -> String {
    let Some(container) = ui.selected_container() else { return "there is none".to_owned() };
    if let Some(why) = ui.snapshot.docker.obstacle() {
        return format!("the engine cannot be reached: {why}");
    }
    if verb == Verb::Recreate {
        return "it is no service's, so nothing says how to make it anew".to_owned();
    }
    if verb == Verb::Pull { "its image has no name".to_owned() } else { format!("it is {}", container.state_words()) }
}

/// The selected one on a line.
pub(super) fn text_to_copy(ui: &Ui) -> Option<String> {
    let container = ui.selected_container()?;
    let of = of_whom(ui, container).unwrap_or_default();
    Some(
        [&container.id, &container.name, &container.state_words(), &container.image, &of]
            .map(String::as_str)
            .join("\t"),
    )
}
