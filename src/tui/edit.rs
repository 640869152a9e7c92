//! One line that is being typed. The editing is the text area's; keeping it to one line is ours.

use crossterm::event::KeyEvent;
use tui_textarea::{CursorMove, TextArea};

/// A line with a cursor.
#[derive(Debug, Clone)]
pub(crate) struct LineEdit {
    area: TextArea<'static>,
}

impl LineEdit {
    pub(crate) fn new(text: &str) -> Self {
        let mut area = TextArea::new(vec![one_line(text)]);
        area.move_cursor(CursorMove::End);
        Self { area }
    }

    pub(crate) fn text(&self) -> &str {
        self.area.lines().first().map_or("", String::as_str)
    }

    /// The text before the cursor.
    pub(crate) fn before_cursor(&self) -> &str {
        let text = self.text();
        let end = text.char_indices().nth(self.area.cursor().1).map_or(text.len(), |(at, _)| at);
        &text[..end]
    }

    pub(crate) fn set(&mut self, text: &str) {
        *self = Self::new(text);
    }

    /// Types a key; true where the text changed.
    pub(crate) fn input(&mut self, key: KeyEvent) -> bool {
        let before = self.text().to_owned();
        self.area.input(key);
        if self.area.lines().len() > 1 {
            let joined = self.area.lines().join("");
            self.set(&joined);
        }
        self.text() != before
    }

    /// Inserts pasted text.
    pub(crate) fn paste(&mut self, text: &str) {
        self.area.insert_str(one_line(text.trim_end_matches(['\r', '\n'])));
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
