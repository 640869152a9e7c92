//! Where a verb runs: its three streams, its directory, its environment. Never reaches past them to the process's own.

use std::{
    collections::BTreeMap,
    io::{BufRead, Write},
    path::PathBuf,
};

use chrono::{DateTime, Local, Utc};

use super::{
    outcome::{Failure, Outcome},
    paint::{Paint, Tone},
    text,
};

/// In which zone times are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// That of the machine.
    Local,
    /// UTC, for tests and pictures.
    Utc,
}

impl Zone {
    /// `wall_us` (microseconds since the Unix epoch, UTC) in this zone by chrono's `format`.
    #[must_use]
    pub fn show(self, wall_us: i64, format: &str) -> String {
        let utc: DateTime<Utc> = DateTime::from_timestamp_micros(wall_us).unwrap_or_default();
        match self {
            Self::Utc => utc.format(format).to_string(),
            Self::Local => utc.with_timezone(&Local).format(format).to_string(),
        }
    }
}

/// Which of the three streams are terminals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terminals {
    /// Somebody can answer.
    pub stdin: bool,
    /// Data is read by a person.
    pub stdout: bool,
    /// Talk is read by a person.
    pub stderr: bool,
}

/// Where a verb runs.
pub struct Context<'a> {
    /// Answers.
    pub stdin: &'a mut dyn BufRead,
    /// Data.
    pub stdout: &'a mut dyn Write,
    /// Talk.
    pub stderr: &'a mut dyn Write,
    /// Which of them are terminals.
    pub terminals: Terminals,
    /// Columns of the terminal on stdout; none where there is none, and then nothing is shortened.
    pub width: Option<u16>,
    /// The working directory, absolute.
    pub cwd: PathBuf,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// Zone of shown times.
    pub zone: Zone,
    /// This program, for the demo's services.
    pub exe: PathBuf,
    /// Where cas keeps state of its own; the demo's project goes below it.
    pub state_dir: PathBuf,
    /// `--no-color` was given.
    pub no_color: bool,
}

impl Context<'_> {
    /// Colours for stdout.
    #[must_use]
    pub fn paint(&self) -> Paint {
        Paint::choose(self.no_color, self.terminals.stdout, &self.env)
    }

    /// Colours for stderr.
    #[must_use]
    pub fn talk_paint(&self) -> Paint {
        Paint::choose(self.no_color, self.terminals.stderr, &self.env)
    }

    /// True where a screen can be drawn and keys can be read.
    #[must_use]
    pub fn can_show_console(&self) -> bool {
        self.terminals.stdin && self.terminals.stdout && !self.is_dumb()
    }

    /// True where the terminal cannot move its cursor.
    #[must_use]
    pub fn is_dumb(&self) -> bool {
        self.env.get("TERM").is_some_and(|term| term == "dumb")
    }

    /// Writes data.
    ///
    /// # Errors
    /// [`Failure::ReaderLeft`], or that stdout cannot be written.
    pub fn data(&mut self, text: &str) -> Result<(), Failure> {
        self.stdout.write_all(text.as_bytes())?;
        Ok(self.stdout.flush()?)
    }

    /// Says something on a line of its own. That nobody listens is no error.
    pub fn say(&mut self, text: &str) {
        let _nobody_listens = writeln!(self.stderr, "{text}").and_then(|()| self.stderr.flush());
    }

    /// Says what went wrong, and gives the outcome that it means.
    pub fn report(&mut self, failure: &Failure) -> Outcome {
        if let Failure::Said { message, hint, .. } = failure {
            let paint = self.talk_paint();
            self.say(&format!("{} {}", paint.text(Tone::Bad, "error:"), text::plain_lines(message)));
            if let Some(hint) = hint {
                self.say(&format!("{} {}", paint.text(Tone::Moving, "hint:"), text::plain_lines(hint)));
            }
        }
        failure.outcome()
    }

    /// Asks a question on stderr; true on `y` or `yes`. False where nobody can answer.
    pub fn confirm(&mut self, question: &str) -> bool {
        let answer = self.question(&format!("{question} [y/N]"));
        matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
    }

    /// Asks a question on stderr and gives the line that was answered; an empty one where nobody can answer.
    pub fn question(&mut self, question: &str) -> String {
        let mut answer = String::new();
        if self.terminals.stdin {
            let _nobody_listens = write!(self.stderr, "{question} ").and_then(|()| self.stderr.flush());
            // An answer that cannot be read is none.
            let _read = self.stdin.read_line(&mut answer);
        }
        answer
    }
}
