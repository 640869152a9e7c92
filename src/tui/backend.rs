//! The backend under ratatui, made calm: what the terminal has been told already is not told again with each frame. Never
//! decides what is drawn.

use std::io::{self, Write};

use ratatui::{
    backend::{Backend, ClearType, CrosstermBackend, WindowSize},
    buffer::Cell,
    layout::{Position, Size},
};

/// What is known of the terminal's cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cursor {
    /// Nothing: somebody else had the terminal.
    Unknown,
    Hidden,
    Shown,
}

/// [`CrosstermBackend`], but it hides a cursor once.
#[derive(Debug)]
pub(crate) struct CalmBackend<W: Write> {
    inner: CrosstermBackend<W>,
    cursor: Cursor,
}

impl<W: Write> CalmBackend<W> {
    /// To this writer.
    pub(crate) fn new(writer: W) -> Self {
        Self { inner: CrosstermBackend::new(writer), cursor: Cursor::Unknown }
    }

    /// Somebody else had the terminal.
    pub(crate) fn forget_cursor(&mut self) {
        self.cursor = Cursor::Unknown;
    }
}

impl<W: Write> Write for CalmBackend<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Write::flush(&mut self.inner)
    }
}

impl<W: Write> Backend for CalmBackend<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        self.inner.draw(content)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        if self.cursor != Cursor::Hidden {
            self.inner.hide_cursor()?;
            self.cursor = Cursor::Hidden;
        }
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        if self.cursor != Cursor::Shown {
            self.inner.show_cursor()?;
            self.cursor = Cursor::Shown;
        }
        Ok(())
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        self.inner.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.inner.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.inner.clear()
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        self.inner.clear_region(clear_type)
    }

    fn append_lines(&mut self, lines: u16) -> io::Result<()> {
        self.inner.append_lines(lines)
    }

    fn size(&self) -> io::Result<Size> {
        self.inner.size()
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.inner.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        Backend::flush(&mut self.inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written_by(frames: impl Fn(&mut CalmBackend<&mut Vec<u8>>) -> io::Result<()>) -> String {
        let mut written = Vec::new();
        frames(&mut CalmBackend::new(&mut written)).expect("a Vec takes everything");
        String::from_utf8(written).expect("escape sequences are ASCII")
    }

    #[test]
    fn a_hidden_cursor_is_not_hidden_again_until_it_was_shown_or_somebody_else_had_the_terminal() {
        let hide = "\x1b[?25l";
        assert_eq!(written_by(|backend| backend.hide_cursor().and_then(|()| backend.hide_cursor())), hide);
        let shown = written_by(|backend| {
            backend.hide_cursor()?;
            backend.show_cursor()?;
            backend.hide_cursor()
        });
        assert_eq!(shown, format!("{hide}\x1b[?25h{hide}"));
        let forgotten = written_by(|backend| {
            backend.hide_cursor()?;
            backend.forget_cursor();
            backend.hide_cursor()
        });
        assert_eq!(forgotten, format!("{hide}{hide}"));
    }
}
