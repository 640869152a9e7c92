//! Columns for people: one line per row, the last column takes what is left. Never wraps, never counts colour as width.

use super::{
    paint::{Paint, Tone},
    text,
};

/// One cell: text that becomes plain, and what it means.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell.
    #[must_use]
    pub fn new(tone: Tone, content: &str) -> Self {
        Self { text: text::plain(content).into_owned(), tone }
    }
}

/// On which side a column's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    headings: Vec<(&'static str, Side)>,
    rows: Vec<Vec<Cell>>,
}

/// Columns between columns.
const GAP: usize = 2;
/// The last column is never cut shorter than this; a narrower terminal wraps it by itself.
const LEAST: usize = 12;

impl Table {
    /// A table with these columns and no rows.
    #[must_use]
    pub fn new(headings: &[(&'static str, Side)]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; as many cells as there are headings.
    pub fn push(&mut self, row: Vec<Cell>) {
        debug_assert_eq!(row.len(), self.headings.len());
        self.rows.push(row);
    }

    /// The whole table, heading first, each line ended; where `columns` is known the last column is cut to fit.
    #[must_use]
    pub fn render(&self, paint: Paint, columns: Option<u16>) -> String {
        let widths = self.widths();
        let last = self.headings.len().saturating_sub(1);
        let before: usize = widths.iter().take(last).map(|width| width + GAP).sum();
        let room = columns.map(|columns| usize::from(columns).saturating_sub(before).max(LEAST));
        let heading: Vec<Cell> = self.headings.iter().map(|(name, _)| Cell::new(Tone::Strong, name)).collect();
        let mut rendered = String::new();
        for row in std::iter::once(&heading).chain(&self.rows) {
            let mut line = String::new();
            for (index, ((cell, width), (_, side))) in row.iter().zip(&widths).zip(&self.headings).enumerate() {
                if index == last {
                    let shown = room.map_or(cell.text.as_str().into(), |room| text::truncate(&cell.text, room));
                    line.push_str(&paint.text(cell.tone, &shown));
                } else {
                    line.push_str(&padded(cell, *width, *side, paint));
                    line.push_str(&" ".repeat(GAP));
                }
            }
            rendered.push_str(line.trim_end());
            rendered.push('\n');
        }
        rendered
    }

    fn widths(&self) -> Vec<usize> {
        self.headings
            .iter()
            .enumerate()
            .map(|(index, (name, _))| {
                let cells = self.rows.iter().filter_map(|row| row.get(index)).map(|cell| text::width(&cell.text));
                cells.max().unwrap_or(0).max(text::width(name))
            })
            .collect()
    }
}

fn padded(cell: &Cell, width: usize, side: Side, paint: Paint) -> String {
    let fill = " ".repeat(width.saturating_sub(text::width(&cell.text)));
    let shown = paint.text(cell.tone, &cell.text);
    match side {
        Side::Left => format!("{shown}{fill}"),
        Side::Right => format!("{fill}{shown}"),
    }
}
