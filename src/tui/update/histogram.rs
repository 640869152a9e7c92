//! The histogram of the logs: shown, and a stretch of it chosen, which then is all that is shown.

use super::say;
use crate::{
    model::timeline::Severity,
    tui::{
        panes::logs::histogram::bars,
        ui::{TimeRange, Ui},
    },
};

pub(super) fn toggle(ui: &mut Ui) {
    ui.logs.histogram.shown = !ui.logs.histogram.shown;
}

/// Chooses the bar before or after the one that is chosen; the newest, where none is.
pub(super) fn pick(ui: &mut Ui, step: i64) {
    let Some((from, width, bars)) = begin(ui) else { return };
    let newest = from + width * (bars - 1);
    let (begin, end) = match ui.logs.histogram.picked {
        None => (newest, newest + width),
        Some((begin, end)) => {
            let to = i64::from(begin) + step * i64::from(width);
            let to = u32::try_from(to).unwrap_or(0).clamp(from, newest);
            (to, to + (end - begin).min(width))
        }
    };
    choose(ui, begin, end);
}

/// Lets the stretch begin a bar earlier, or end a bar later.
pub(super) fn stretch(ui: &mut Ui, step: i64) {
    let Some((from, width, bars)) = begin(ui) else { return };
    let Some((begin, end)) = ui.logs.histogram.picked else {
        pick(ui, step);
        return;
    };
    if step < 0 {
        choose(ui, begin.saturating_sub(width).max(from), end);
    } else {
        choose(ui, begin, (end + width).min(from + width * bars));
    }
}

/// Chooses what the pointer is at: a bar, or all from the one at which it was pressed.
pub(super) fn point(ui: &mut Ui, bar: u32, is_drag: bool) {
    let Some((from, width, bars)) = begin(ui) else { return };
    let at = from + width * bar.min(bars - 1);
    match ui.logs.histogram.picked.filter(|_| is_drag) {
        Some((begin, end)) => choose(ui, begin.min(at), end.max(at + width)),
        None => choose(ui, at, at + width),
    }
}

/// Nothing is chosen any more.
pub(super) fn let_go(ui: &mut Ui) {
    ui.logs.histogram.picked = None;
    ui.logs.histogram.frozen = None;
}

/// The first second, the seconds of a bar and the number of bars of what is shown, which stays as it is while something is chosen in it.
fn begin(ui: &mut Ui) -> Option<(u32, u32, u32)> {
    ui.logs.histogram.shown = true;
    let Some(bars) = bars(ui).filter(|bars| !bars.counts.is_empty()) else {
        say(ui, Severity::Info, "there is nothing to choose from yet".to_owned(), None);
        return None;
    };
    let scale = (bars.from, bars.width, u32::try_from(bars.counts.len()).unwrap_or(u32::MAX));
    ui.logs.histogram.frozen = Some(bars);
    Some(scale)
}

fn choose(ui: &mut Ui, begin: u32, end: u32) {
    let us = |seconds: u32| i64::from(seconds) * 1_000_000;
    let clock = |seconds: u32| ui.zone.clock(us(seconds));
    let label = format!("{}–{}", clock(begin), clock(end));
    ui.logs.histogram.picked = Some((begin, end));
    ui.logs.range = Some(TimeRange { label, since_us: us(begin), until_us: Some(us(end)) });
}
