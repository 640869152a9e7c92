//! The terminal, borrowed: raw mode, alternate screen, mouse, paste. Given back by the guard, by the panic hook, before
//! another program runs in it, and before this process stops.

use std::{
    fmt,
    io::{self, BufWriter, IsTerminal, Write},
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
};

use crossterm::{
    Command,
    cursor::Show,
    event::{DisableBracketedPaste, EnableBracketedPaste},
    queue,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use ratatui::Terminal;

use super::{
    backend::CalmBackend,
    clipboard::{self, Between},
    patience::Direct,
};

/// Whether a terminal is borrowed just now: all that a panic hook can ask.
static BORROWED: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// Says why there can be no console here.
///
/// # Errors
/// A sentence that names what is missing and what works instead.
pub fn can_run() -> Result<(), String> {
    let instead = "use `cas status`, `cas logs -f` or `cas up --no-tui` instead";
    if !io::stdout().is_terminal() {
        return Err(format!("standard output is not a terminal, so there is no screen to draw on; {instead}"));
    }
    if !io::stdin().is_terminal() {
        return Err(format!("standard input is not a terminal, so no keys would arrive; {instead}"));
    }
    match std::env::var("TERM").as_deref() {
        Ok("dumb") => Err(format!("TERM=dumb cannot move a cursor; {instead}")),
        Ok("") | Err(_) => Err(format!("TERM is not set, so nothing is known about this terminal; {instead}")),
        Ok(_) => Ok(()),
    }
}

/// Clicks, drags and the wheel, but not every motion: those would wake us for nothing.
struct CaptureButtons(bool);

impl Command for CaptureButtons {
    fn write_ansi(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let set = if self.0 { 'h' } else { 'l' };
        for mode in [1000, 1002, 1006] {
            write!(f, "\x1b[?{mode}{set}")?;
        }
        Ok(())
    }
}

/// Standard output while the terminal is ours. What is written when it is not (by destructors, when it is gone) vanishes without
/// an error, so that nobody complains on a terminal that nobody sees.
struct Ours;

impl Write for Ours {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if BORROWED.load(Ordering::SeqCst) { Direct.write(bytes) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The borrowed terminal.
pub(crate) struct Screen {
    terminal: Terminal<CalmBackend<BufWriter<Ours>>>,
    mouse: bool,
}

impl Screen {
    /// Borrows the terminal.
    pub(crate) fn enter(mouse: bool) -> io::Result<Self> {
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                before(panic);
            }));
        });
        let backend = CalmBackend::new(BufWriter::with_capacity(64 * 1024, Ours));
        let mut screen = Self { terminal: Terminal::new(backend)?, mouse };
        screen.borrow()?;
        Ok(screen)
    }

    fn borrow(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        BORROWED.store(true, Ordering::SeqCst);
        let out = self.terminal.backend_mut();
        queue!(out, EnterAlternateScreen, EnableBracketedPaste)?;
        out.forget_cursor();
        if self.mouse {
            queue!(out, CaptureButtons(true))?;
        }
        Write::flush(out)?;
        self.repaint()
    }

    /// Takes the terminal again after [`give_back`], and draws every cell next time.
    pub(crate) fn take_again(&mut self) -> io::Result<()> {
        self.borrow()
    }

    /// Draws every cell next time. Not by `Terminal::clear`, which asks the terminal where its cursor is and fails where no
    /// answer comes.
    pub(crate) fn repaint(&mut self) -> io::Result<()> {
        let size = self.terminal.size()?;
        self.resize(size)
    }

    pub(crate) fn capture_mouse(&mut self, mouse: bool) -> io::Result<()> {
        self.mouse = mouse;
        let out = self.terminal.backend_mut();
        queue!(out, CaptureButtons(mouse))?;
        Write::flush(out)
    }

    /// Draws one frame, as one update where the terminal knows how.
    pub(crate) fn draw(&mut self, ui: &super::Ui) -> io::Result<()> {
        queue!(self.terminal.backend_mut(), crossterm::terminal::BeginSynchronizedUpdate)?;
        self.terminal.draw(|frame| super::draw(frame, ui))?;
        let out = self.terminal.backend_mut();
        queue!(out, crossterm::terminal::EndSynchronizedUpdate)?;
        Write::flush(out)
    }

    /// The new size is learned, and every cell drawn next time.
    pub(crate) fn resize(&mut self, size: ratatui::layout::Size) -> io::Result<()> {
        self.terminal.resize(ratatui::layout::Rect::new(0, 0, size.width, size.height))
    }

    /// Rings the terminal's bell.
    pub(crate) fn ring(&mut self) -> io::Result<()> {
        let out = self.terminal.backend_mut();
        out.write_all(b"\x07")?;
        Write::flush(out)
    }

    /// Writes a control sequence that leaves the picture as it is.
    pub(crate) fn say(&mut self, sequence: &str) -> io::Result<()> {
        let out = self.terminal.backend_mut();
        out.write_all(sequence.as_bytes())?;
        Write::flush(out)
    }

    /// Puts text on the terminal's clipboard by OSC 52, through what is between.
    pub(crate) fn copy(&mut self, text: &str, between: Between) -> io::Result<()> {
        let sequence = clipboard::sequence(text, between)
            .ok_or_else(|| io::Error::other("the clipboard sequence could not be made"))?;
        let out = self.terminal.backend_mut();
        out.write_all(sequence.as_bytes())?;
        Write::flush(out)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back as it was; nothing where it is not borrowed. Errors cannot be told to anyone by then.
pub(crate) fn give_back() {
    if !BORROWED.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut ends = Vec::with_capacity(64);
    let _made = queue!(ends, CaptureButtons(false), DisableBracketedPaste, LeaveAlternateScreen, Show);
    let _written = Direct.write_all(&ends);
    let _mode = disable_raw_mode();
}
