//! What came when: a bar for every stretch of time, errors at its foot, warnings above them, the rest on top.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
    text::{Line, Span},
};

use crate::{
    model::{text, time::coarse_duration},
    tui::{
        format::justified,
        layout::{Areas, inside},
        logs::tally::{Count, Scale, scale},
        theme::Role,
        ui::{Bars, Pane, Ui},
    },
};

/// Rows of the bars, and of the times below them.
pub(crate) const ROWS: u16 = 3;
pub(crate) const AXIS: u16 = 1;

/// Rows that the lines below must keep.
pub(crate) const LEAST_BELOW: u16 = 6;

/// Letters for eighths of a cell.
const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// The bars that fit into the pane: what was frozen, else what came when. None where nothing has come or there is no room.
pub(crate) fn bars(ui: &Ui) -> Option<Bars> {
    if let Some(frozen) = &ui.logs.histogram.frozen {
        return Some(frozen.clone());
    }
    let room = Areas::of(ui)?.pane(Pane::Logs).map(inside)?.width;
    let span = ui.logs.view.tally().span()?;
    let range = ui.logs.range.as_ref();
    let from = range.map_or(*span.start(), |range| crate::tui::logs::row::seconds(range.since_us));
    let until = range.and_then(|range| range.until_us).map_or(*span.end() + 1, crate::tui::logs::row::seconds);
    let Scale { from, width, bins } = scale(from, until, usize::from(room));
    Some(Bars { from, width, counts: ui.logs.view.tally().bins(from, width, bins) })
}

pub(crate) fn draw(buffer: &mut Buffer, ui: &Ui, area: Rect) {
    let Some(bars) = bars(ui) else { return };
    let highest = bars.counts.iter().map(|count| count.all).max().unwrap_or(0).max(1);
    let eighths = u32::from(ROWS) * 8;
    let shown = bars.counts.len().min(usize::from(area.width));
    for (column, count) in (area.x..).zip(&bars.counts[bars.counts.len() - shown..]) {
        let place = u32::from(column - area.x) + u32::try_from(bars.counts.len() - shown).unwrap_or(0);
        let begin = bars.from + place * bars.width;
        let is_picked = ui.logs.histogram.picked.is_some_and(|(from, to)| begin < to && begin + bars.width > from);
        let height = scaled(count.all, highest, eighths);
        for row in 0..ROWS {
            let y = area.y + ROWS - 1 - row;
            let below = u32::from(row) * 8;
            let filled = height.saturating_sub(below).min(8);
            let mut style = ui.theme.style(role(count, highest, eighths, below));
            if is_picked {
                style = style.patch(ui.theme.style(Role::Selection));
            }
            let cell = &mut buffer[(column, y)];
            cell.set_symbol(EIGHTHS[filled as usize]).set_style(if filled == 0 && !is_picked {
                Style::new()
            } else {
                style
            });
        }
    }
    axis(buffer, ui, &bars, Rect { y: area.y + ROWS, height: AXIS, ..area });
}

/// So many of `highest` in eighths of a cell; something is always seen of something.
const fn scaled(count: u32, highest: u32, eighths: u32) -> u32 {
    if count == 0 {
        return 0;
    }
    let part = count as u64 * eighths as u64 / highest as u64;
    if part == 0 { 1 } else { part as u32 }
}

/// What a cell whose lower end is at `below` eighths tells of: errors stand at the foot.
fn role(count: &Count, highest: u32, eighths: u32, below: u32) -> Role {
    let errors = scaled(count.errors, highest, eighths);
    let warnings = errors + scaled(count.warnings, highest, eighths);
    if below < errors {
        Role::Error
    } else if below < warnings {
        Role::Warning
    } else {
        Role::Muted
    }
}

fn axis(buffer: &mut Buffer, ui: &Ui, bars: &Bars, area: Rect) {
    let us = |seconds: u32| i64::from(seconds) * 1_000_000;
    let until = bars.from + bars.width * u32::try_from(bars.counts.len()).unwrap_or(0);
    let all: Count = bars.counts.iter().fold(Count::default(), |sum, count| Count {
        all: sum.all + count.all,
        warnings: sum.warnings + count.warnings,
        errors: sum.errors + count.errors,
    });
    let faint = ui.theme.style(Role::Faint);
    let mut left = vec![Span::styled(format!("{} ", ui.zone.clock(us(bars.from))), faint)];
    let bar = coarse_duration(std::time::Duration::from_secs(u64::from(bars.width)));
    left.push(Span::styled(format!("· bar {bar} · {} entries", all.all), faint));
    if all.errors > 0 {
        left.push(Span::styled(counted(all.errors, "error"), ui.theme.style(Role::Error)));
    }
    if all.warnings > 0 {
        left.push(Span::styled(counted(all.warnings, "warning"), ui.theme.style(Role::Warning)));
    }
    let right = vec![Span::styled(ui.zone.clock(us(until)), faint)];
    let line = justified(left, right, area.width.min(u16::try_from(bars.counts.len().max(60)).unwrap_or(u16::MAX)));
    put(buffer, area, &line);
}

fn counted(count: u32, word: &str) -> String {
    format!(" · {count} {word}{}", if count == 1 { "" } else { "s" })
}

fn put(buffer: &mut Buffer, area: Rect, line: &Line<'_>) {
    let mut x = area.x;
    for span in &line.spans {
        let room = usize::from(area.right().saturating_sub(x));
        let shown = text::truncate(&span.content, room);
        buffer.set_string(x, area.y, &*shown, span.style.remove_modifier(Modifier::empty()));
        x = x.saturating_add(u16::try_from(text::width(&shown)).unwrap_or(u16::MAX));
    }
}
