//! Curves over the last seconds, in braille dots: two across and four down in each cell.
//!
//! Promise: readable from 20×5 upwards (below that it becomes one line with a sparkline); the scale has round ends and moves in
//! steps, so that noise does not make it flicker; a peak is never lost by squeezing. Never: interpolates over missing samples.

mod dots;
mod scale;

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
};

use super::{
    fit::fit_right,
    samples::{group, grouped},
    sparkline::sparkline,
    units::Unit,
};
use crate::{
    model::{history::History, text::width},
    tui::theme::{Role, Theme},
};
use dots::Dots;

pub use scale::Scale;

/// One curve.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    /// Its name in the legend.
    pub label: &'a str,
    /// Its samples, one a second.
    pub history: &'a History,
    /// Its colour.
    pub role: Role,
}

/// How a curve is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// A line; what two curves together should be.
    #[default]
    Line,
    /// Filled down to zero.
    Area,
}

/// A chart of one or two curves with axes and legend.
#[derive(Debug, Clone, Copy)]
pub struct Chart<'a> {
    /// The curves; a later one is drawn over an earlier one.
    pub series: &'a [Series<'a>],
    /// How far back it reaches; up to one group of samples more where they must be squeezed. The x axis says it.
    pub seconds: usize,
    /// The y axis.
    pub scale: Scale,
    /// Unit of axis and legend.
    pub unit: Unit,
    /// How the curves are drawn.
    pub shape: Shape,
}

/// Where the parts of a chart go.
struct Places {
    legend: Option<u16>,
    plot: Rect,
    /// Columns of the numbers at the left, the axis line included; 0 for none.
    labels: u16,
    times: Option<u16>,
}

impl Chart<'_> {
    /// Draws it into `area`.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) {
        let area = area.intersection(buffer.area);
        if area.is_empty() {
            return;
        }
        if area.height < 3 || area.width < 12 {
            self.draw_line(area, buffer, theme);
            return;
        }
        if self.series.iter().all(|series| series.history.is_empty()) {
            self.draw_legend(area, area.y, buffer, theme);
            let text = Line::styled("no samples yet", theme.style(Role::Muted));
            let left = area.width.saturating_sub(14) / 2;
            buffer.set_line(area.x + left, area.y + area.height / 2, &text, area.width);
            return;
        }
        // The width of the labels depends on the top, the top on the samples, the samples on the width that the labels leave: the
        // widest label is assumed for the choice of the samples.
        let widest = area.width.saturating_sub(1).max(1);
        let groups = self.groups(usize::from(widest) * 2);
        let top = self.scale.top(groups.iter().flatten().flatten().copied(), self.unit);
        let places = self.places(area, top);
        self.draw_axes(&places, top, buffer, theme);
        self.draw_curves(&places, top, buffer, theme);
        if let Some(row) = places.legend {
            self.draw_legend(area, row, buffer, theme);
        }
    }

    /// The samples of each curve, newest last, for a plot of that many dots across.
    fn groups(&self, dots: usize) -> Vec<Vec<Option<f32>>> {
        let size = group(self.seconds, dots);
        let count = self.seconds.div_ceil(size).min(dots);
        self.series.iter().map(|series| grouped(series.history, size, count)).collect()
    }

    fn places(&self, area: Rect, top: f64) -> Places {
        let legend = (area.height >= 4).then_some(area.y);
        let times = (area.height >= 5).then_some(area.bottom() - 1);
        let used = u16::from(legend.is_some()) + u16::from(times.is_some());
        let height = area.height - used;
        let ticks = scale::ticks(height);
        let widest =
            (0..=ticks).map(|tick| width(&self.tick_text(top, tick, ticks))).max().unwrap_or(0).max(LABELS) as u16;
        let labels = if widest + 1 + 8 <= area.width { widest + 1 } else { 0 };
        let plot =
            Rect { x: area.x + labels, y: area.y + u16::from(legend.is_some()), width: area.width - labels, height };
        Places { legend, plot, labels, times }
    }

    fn tick_text(&self, top: f64, tick: u16, ticks: u16) -> String {
        self.unit.tick(top * f64::from(tick) / f64::from(ticks))
    }

    fn draw_axes(&self, places: &Places, top: f64, buffer: &mut Buffer, theme: &Theme) {
        let Places { plot, labels, times, .. } = *places;
        let (axis, faint) = (theme.style(Role::Axis), theme.style(Role::Faint));
        let ticks = scale::ticks(plot.height);
        for tick in 0..=ticks {
            let row = plot.bottom() - 1 - (plot.height - 1) * tick / ticks;
            if labels > 0 {
                let text = self.tick_text(top, tick, ticks);
                let indent = (labels - 1).saturating_sub(width(&text) as u16);
                buffer.set_stringn(plot.x - labels + indent, row, text, usize::from(labels), axis);
            }
            if tick > 0 {
                for x in plot.x..plot.right() {
                    buffer.set_stringn(x, row, "┈", 1, faint);
                }
            }
        }
        if labels > 0 {
            for row in plot.y..plot.bottom() {
                let is_tick = (0..=ticks).any(|tick| plot.bottom() - 1 - (plot.height - 1) * tick / ticks == row);
                buffer.set_stringn(plot.x - 1, row, if is_tick { "┤" } else { "│" }, 1, faint);
            }
        }
        let Some(row) = times else { return };
        let size = group(self.seconds, usize::from(plot.width) * 2);
        let span = self.seconds.div_ceil(size) * size;
        let left = format!("-{}", span_text(span));
        buffer.set_stringn(plot.x, row, &left, usize::from(plot.width), axis);
        let now_at = plot.right().saturating_sub(3).max(plot.x);
        if usize::from(plot.width) > left.len() + 4 {
            buffer.set_stringn(now_at, row, "now", 3, axis);
        }
        if plot.width >= 40 && span.is_multiple_of(2) {
            let middle = format!("-{}", span_text(span / 2));
            buffer.set_stringn(plot.x + (plot.width - middle.len() as u16) / 2, row, &middle, middle.len(), axis);
        }
    }

    fn draw_curves(&self, places: &Places, top: f64, buffer: &mut Buffer, theme: &Theme) {
        let plot = places.plot;
        let across = usize::from(plot.width) * 2;
        let all = self.groups(across);
        for (series, groups) in self.series.iter().zip(&all) {
            let mut dots = Dots::new(plot.width, plot.height);
            dots.plot(groups, top, self.shape);
            dots.paint(plot, buffer, theme.style(series.role));
        }
    }

    /// `● cpu 12.3%  ● memory 1.2G`, at the right end of the row.
    fn draw_legend(&self, area: Rect, row: u16, buffer: &mut Buffer, theme: &Theme) {
        let forms = [Legend::Labels, Legend::Words, Legend::Letters].map(|form| self.legend(form, theme));
        let fits = |line: &&Line<'static>| line.width() <= usize::from(area.width);
        let line = forms.iter().find(fits).unwrap_or(&forms[2]);
        let wide = line.width().min(usize::from(area.width)) as u16;
        buffer.set_line(area.right() - wide, row, line, area.width);
    }

    fn legend(&self, form: Legend, theme: &Theme) -> Line<'static> {
        let number = theme.style(Role::Text).add_modifier(BOLD);
        let mut spans = Vec::with_capacity(self.series.len() * 4);
        for (index, series) in self.series.iter().enumerate() {
            if index > 0 {
                spans.push(Span::raw("  "));
            }
            let last_word = series.label.rsplit(' ').next().unwrap_or_default();
            let name = match form {
                Legend::Labels => series.label,
                Legend::Words => last_word,
                Legend::Letters => last_word.split_at_checked(1).map_or("", |(letter, _)| letter),
            };
            let mark = if form == Legend::Labels || self.series.len() == 1 { "● " } else { "" };
            let name_style = if mark.is_empty() { series.role } else { Role::Muted };
            spans.push(Span::styled(mark, theme.style(series.role)));
            if !name.is_empty() && (self.series.len() > 1 || form == Legend::Labels) {
                spans.push(Span::styled(format!("{name} "), theme.style(name_style)));
            }
            let (text, columns): (fn(Unit, f64) -> String, usize) = match form {
                Legend::Labels => (Unit::text, self.unit.columns()),
                Legend::Words | Legend::Letters => (Unit::tick, LABELS),
            };
            let value = series.history.last().map_or_else(|| "–".to_owned(), |last| text(self.unit, f64::from(last)));
            // Always as wide, so that the names stand still while the numbers change.
            spans.push(Span::styled(fit_right(&value, width(&value).max(columns)), number));
        }
        Line::from(spans)
    }

    /// What is left of it where there is no room: one line a curve.
    fn draw_line(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) {
        for (row, series) in (area.y..area.bottom()).zip(self.series) {
            let value = series.history.last().map_or_else(|| "–".to_owned(), |last| self.unit.text(f64::from(last)));
            let words = format!("{} {value} ", series.label);
            let (end, _) = buffer.set_stringn(area.x, row, &words, usize::from(area.width), theme.style(Role::Muted));
            let left = usize::from(area.right().saturating_sub(end));
            let full = match self.scale {
                Scale::Percent => Some(100.0),
                Scale::Auto { .. } => None,
            };
            let curve = sparkline(series.history, self.seconds, left, full);
            buffer.set_stringn(end, row, curve, left, theme.style(series.role));
        }
    }
}

/// How much a legend says, by the room that there is. Never by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Legend {
    /// `● net in 1.2M/s  ● out  34K/s`.
    Labels,
    /// `in 1.2M  out  34K`, the words in the colours of the curves.
    Words,
    /// `i 1.2M  o  34K`.
    Letters,
}

/// Columns that numbers of an axis take at least, so that a plot keeps its width while the scale changes.
const LABELS: usize = 4;

const BOLD: ratatui::style::Modifier = ratatui::style::Modifier::BOLD;

/// `45s`, `2m`, `1h`.
fn span_text(seconds: usize) -> String {
    match seconds {
        s if s >= 3600 && s % 3600 == 0 => format!("{}h", s / 3600),
        s if s >= 120 && s % 60 == 0 => format!("{}m", s / 60),
        s if s > 600 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}
