//! Clicks, the wheel, and borders that are dragged.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

use super::{Motion, containers, histogram, list, logs, modal, past, patterns, settle};
use crate::tui::{
    draw::tab_at,
    layout::{Areas, inside},
    lists::ServiceRow,
    message::UiEffect,
    modals::{Modal, choice},
    panes::{
        containers::areas as containers_area,
        logs::{bars_area, row_at},
    },
    ui::{Divider, Pane, Ui},
};

/// Rows that one notch of the wheel moves.
const NOTCH: i64 = 3;

pub(super) fn mouse(ui: &mut Ui, event: MouseEvent) -> Vec<UiEffect> {
    let at = Position::new(event.column, event.row);
    let mut effects = match event.kind {
        MouseEventKind::Down(MouseButton::Left) => press(ui, at),
        MouseEventKind::Drag(MouseButton::Left) => {
            drag(ui, at);
            Vec::new()
        }
        MouseEventKind::Up(MouseButton::Left) => {
            ui.drag = None;
            Vec::new()
        }
        MouseEventKind::ScrollDown => wheel(ui, at, Motion::By(NOTCH)),
        MouseEventKind::ScrollUp => wheel(ui, at, Motion::By(-NOTCH)),
        MouseEventKind::Down(_)
        | MouseEventKind::Up(_)
        | MouseEventKind::Drag(_)
        | MouseEventKind::Moved
        | MouseEventKind::ScrollLeft
        | MouseEventKind::ScrollRight => return Vec::new(),
    };
    settle(ui);
    ui.stale = true;
    effects.extend(past::ask(ui));
    effects.extend(patterns::ask(ui));
    effects
}

/// The bar of the histogram of the logs at `at`.
fn bar_at(areas: &Areas, ui: &Ui, at: Position) -> Option<u32> {
    let bars = bars_area(ui, inside(areas.pane(Pane::Logs)?))?;
    bars.contains(at).then(|| u32::from(at.x - bars.x))
}

fn wheel(ui: &mut Ui, at: Position, motion: Motion) -> Vec<UiEffect> {
    if ui.modal.is_some() {
        modal::scroll(ui, motion);
        return Vec::new();
    }
    if let Some((pane, _)) = Areas::of(ui).and_then(|areas| areas.pane_at(at)) {
        list::scroll(ui, pane, motion);
    }
    Vec::new()
}

fn press(ui: &mut Ui, at: Position) -> Vec<UiEffect> {
    let Some(areas) = Areas::of(ui) else { return Vec::new() };
    if let Some(open) = ui.modal.as_ref() {
        let asks = match open {
            Modal::Confirm { .. } | Modal::Leave { .. } => true,
            Modal::Palette(_) | Modal::Signals { .. } | Modal::Themes { .. } | Modal::Text { .. } | Modal::Share(_) => {
                false
            }
        };
        match choice::row_at(ui, areas.body, at) {
            choice::Hit::Row(row) => {
                let delta = i64::try_from(row).unwrap_or(0);
                modal::scroll(ui, Motion::Top);
                modal::scroll(ui, Motion::By(delta));
            }
            choice::Hit::Inside => {}
            choice::Hit::Outside if asks => {}
            choice::Hit::Outside => modal::close(ui),
        }
        return Vec::new();
    }
    if areas.tabs.is_some_and(|tabs| tabs.y == at.y) {
        if let Some(pane) = tab_at(ui, at.x) {
            ui.focus = pane;
        }
        return Vec::new();
    }
    if let Some(bar) = bar_at(&areas, ui, at) {
        ui.focus = Pane::Logs;
        histogram::point(ui, bar, false);
        return Vec::new();
    }
    ui.drag = areas.divider_at(at);
    if ui.drag.is_some() {
        return Vec::new();
    }
    if let Some((pane, area)) = areas.pane_at(at) {
        ui.prompt = None;
        ui.focus = pane;
        let content = if pane == Pane::Containers { containers_area(ui, area).0 } else { area };
        let content = inside(content);
        if content.contains(at) {
            select_row(ui, pane, usize::from(at.y - content.y));
        }
    }
    Vec::new()
}

fn select_row(ui: &mut Ui, pane: Pane, row: usize) {
    match pane {
        Pane::Projects => {
            let place = ui.projects.view.offset() + row;
            let root = ui.project_rows().get(place).map(|project| project.root.clone());
            if root.is_some() {
                ui.projects.selected = root;
            }
        }
        Pane::Services => {
            // The first row holds the names of the columns.
            let Some(place) = (ui.services.view.offset() + row).checked_sub(1) else { return };
            let clicked = match ui.service_rows().get(place) {
                Some(ServiceRow::Service(index)) => Some(ui.snapshot.services[*index].id.clone()),
                Some(ServiceRow::Project(_)) | None => None,
            };
            if clicked.is_some() {
                ui.services.selected = clicked;
            }
        }
        Pane::Graphs => {}
        Pane::Logs => {
            if let Some(number) = row_at(ui, row) {
                logs::select(ui, number);
            }
        }
        Pane::Timeline => {
            let place = ui.timeline.view.offset() + row;
            let seq = ui.timeline_rows().get(place).map(|entry| entry.seq);
            if seq.is_some() {
                ui.timeline.selected = seq;
            }
        }
        Pane::Containers => containers::select_row(ui, row),
        Pane::Patterns => patterns::select_row(ui, row),
    }
}

fn drag(ui: &mut Ui, at: Position) {
    let Some(areas) = Areas::of(ui) else { return };
    if let Some(bar) = bar_at(&areas, ui, at).filter(|_| ui.drag.is_none()) {
        histogram::point(ui, bar, true);
        return;
    }
    let Some(divider) = ui.drag else { return };
    let place = match divider {
        Divider::Column => at.x.saturating_sub(areas.body.x),
        Divider::Projects | Divider::Services | Divider::Graphs | Divider::Stacked => at.y.saturating_sub(areas.body.y),
    };
    areas.move_to(&mut ui.splits, divider, place);
}
