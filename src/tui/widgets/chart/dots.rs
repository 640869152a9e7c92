//! A raster of braille dots.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
};

use super::Shape;

/// Bits of U+2800 by row and column of the dot (Unicode, "Braille Patterns").
const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

pub(super) struct Dots {
    columns: usize,
    rows: usize,
    cells: Vec<u8>,
}

impl Dots {
    /// An empty raster of so many cells.
    pub(super) fn new(columns: u16, rows: u16) -> Self {
        let (columns, rows) = (usize::from(columns), usize::from(rows));
        Self { columns, rows, cells: vec![0; columns * rows] }
    }

    /// Draws samples (newest last, at the right edge) on a scale from 0 to `top`. Fewer samples than dots are stretched over the
    /// whole width, with straight lines between neighbours that both exist.
    pub(super) fn plot(&mut self, samples: &[Option<f32>], top: f64, shape: Shape) {
        let across = self.columns * 2;
        if samples.is_empty() || across == 0 {
            return;
        }
        let mut before: Option<usize> = None;
        for x in 0..across {
            let Some(value) = sample_at(samples, x, across) else {
                before = None;
                continue;
            };
            let level = self.level(value, top);
            let from = match (shape, before) {
                (Shape::Area, _) => 0,
                (Shape::Line, Some(before)) => before,
                (Shape::Line, None) => level,
            };
            // A steep step climbs in the new column, from just above where the old one ended.
            let (low, high) =
                if from < level { ((from + 1).min(level), level) } else { (level, from.saturating_sub(1).max(level)) };
            let low = if shape == Shape::Area { 0 } else { low };
            for y in low..=high {
                self.set(x, y);
            }
            before = Some(level);
        }
    }

    /// Height in dots, from 0; what is above zero is at least one dot above the line that zero makes.
    fn level(&self, value: f32, top: f64) -> usize {
        let highest = self.rows * 4 - 1;
        let part = (f64::from(value) / top).clamp(0.0, 1.0);
        let level = (part * highest as f64).round() as usize;
        if value > 0.0 && part > 0.005 { level.max(1).min(highest) } else { level }
    }

    /// Sets the dot in column `x` from the left, row `y` from the bottom.
    fn set(&mut self, x: usize, y: usize) {
        let from_top = self.rows * 4 - 1 - y;
        self.cells[(from_top / 4) * self.columns + x / 2] |= BITS[from_top % 4][x % 2];
    }

    /// Puts the cells that have dots into the buffer; dots that another curve left in a cell stay, in the new colour.
    pub(super) fn paint(&self, area: Rect, buffer: &mut Buffer, style: Style) {
        for (index, bits) in self.cells.iter().enumerate().filter(|(_, bits)| **bits != 0) {
            let (x, y) = ((index % self.columns) as u16, (index / self.columns) as u16);
            let Some(cell) = buffer.cell_mut((area.x + x, area.y + y)) else { continue };
            let there = cell.symbol().chars().next().map_or(0, |c| u32::from(c).wrapping_sub(0x2800));
            let bits = if there < 0x100 { u32::from(*bits) | there } else { u32::from(*bits) };
            // What the cell showed before, a mark of the grid, leaves no emphasis behind.
            cell.modifier = Modifier::empty();
            cell.set_char(char::from_u32(0x2800 + bits).unwrap_or(' ')).set_style(style);
        }
    }
}

/// The value at dot column `x` of `across`.
fn sample_at(samples: &[Option<f32>], x: usize, across: usize) -> Option<f32> {
    if samples.len() >= across {
        return samples[samples.len() - across + x];
    }
    if samples.len() == 1 || across == 1 {
        return samples[samples.len() - 1];
    }
    let place = x as f32 * (samples.len() - 1) as f32 / (across - 1) as f32;
    let left = place.floor() as usize;
    let share = place - place.floor();
    let (a, b) = (samples[left], samples.get(left + 1).copied().flatten());
    // A dot that a sample falls on shows the sample, not the slope beside it: peaks keep their height.
    let dot_of = |index: usize| (index * (across - 1) + (samples.len() - 1) / 2) / (samples.len() - 1);
    for (index, sample) in [(left, a), (left + 1, b)] {
        if sample.is_some() && dot_of(index) == x {
            return sample;
        }
    }
    match (a, b) {
        (Some(a), Some(b)) => Some(a + (b - a) * share),
        (Some(a), None) if share < 0.5 => Some(a),
        (None, Some(b)) if share >= 0.5 => Some(b),
        (Some(_) | None, _) => None,
    }
}
