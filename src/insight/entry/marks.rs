//! What was seen in the head of a line, and the name of the format that it tells.
//!
//! Promise: a name is given where nothing else looks like it. Never: a look at the line itself.

use super::stamp::Form;

/// What was seen between time and message, as far as it tells who wrote it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Marks {
    /// How the time was written.
    pub(super) form: Option<Form>,
    /// Marks that are a set of bits.
    bits: u32,
}

/// A mark.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mark {
    /// `---`.
    Rule = 1,
    /// ` | `.
    Pipe = 2,
    /// ` - `.
    Dash = 4,
    /// Tabs.
    Tab = 8,
    /// The pid of a process of Erlang: `<0.222.0>`.
    Erlang = 16,
    /// A level in angles: `<Error>`.
    Angle = 32,
    /// A number before the level.
    Pid = 64,
    /// A thread.
    Thread = 128,
    /// The level in brackets.
    Bracketed = 256,
    /// A level of three letters.
    Short = 512,
    /// The name of a logger and a colon.
    Target = 1024,
    /// Level, name and message with colons and no spaces between.
    Colons = 2048,
    /// The level in the same brackets as the time.
    Together = 4096,
    /// The level in small letters.
    Small = 8192,
    /// A slash between level and process.
    Slash = 16384,
    /// The name of a file or a method, and a line.
    Place = 32768,
    /// The number of a process in brackets.
    BoxedPid = 1 << 16,
    /// The time in brackets.
    BoxedTime = 1 << 17,
    /// The level and its colon are filled up with spaces to ten columns.
    Padded = 1 << 18,
    /// A number of an error of MySQL.
    Code = 1 << 19,
    /// A logger, the number of a process and that of a thread, as Django writes them.
    Django = 1 << 20,
}

impl Marks {
    /// Sets a mark.
    pub(super) fn set(&mut self, mark: Mark) {
        self.bits |= mark as u32;
    }

    /// True where a mark was seen.
    pub(super) fn has(self, mark: Mark) -> bool {
        self.bits & mark as u32 != 0
    }

    /// The name that a head is known by; `text` where many programs write it.
    pub(super) fn name(self) -> &'static str {
        name(self)
    }
}

fn name(marks: Marks) -> &'static str {
    let has = |mark| marks.has(mark);
    let form = marks.form;
    if has(Mark::Rule) && has(Mark::Pid) {
        return "spring";
    }
    if has(Mark::Erlang) {
        return "rabbitmq";
    }
    if has(Mark::Angle) {
        return "clickhouse";
    }
    if has(Mark::Pipe) && has(Mark::Place) {
        return "loguru";
    }
    if has(Mark::Colons) {
        return "python";
    }
    if has(Mark::Slash) {
        return if form.is_some() { "celery" } else { "python" };
    }
    if has(Mark::Together) {
        return if form == Some(Form::Clock) { "serilog" } else { "rust" };
    }
    if has(Mark::Django) {
        return "django";
    }
    if has(Mark::Padded) && form.is_none() {
        return "uvicorn";
    }
    if has(Mark::Tab) && form.is_some() {
        return "zap";
    }
    if has(Mark::Short) && form.is_some() && !has(Mark::Bracketed) {
        return "zerolog";
    }
    by_form(marks, form)
}

fn by_form(marks: Marks, form: Option<Form>) -> &'static str {
    let has = |mark| marks.has(mark);
    match form {
        Some(Form::Comma) if has(Mark::Thread) => "log4j",
        Some(Form::Comma) if has(Mark::BoxedTime) && !has(Mark::Target) => "log4j",
        Some(Form::Comma) => "python",
        Some(Form::Slashed) => "go",
        Some(Form::Clock) if has(Mark::Thread) && !has(Mark::Bracketed) => "log4j",
        Some(Form::Clock) if has(Mark::Bracketed) && has(Mark::Small) => "elixir",
        Some(Form::Spaced) if has(Mark::BoxedPid) && has(Mark::BoxedTime) => "gunicorn",
        Some(Form::Spaced | Form::Iso) if has(Mark::Pid) && has(Mark::Bracketed) => "mysql",
        Some(Form::Iso) if has(Mark::Bracketed) && has(Mark::Thread) => "elasticsearch",
        Some(Form::Iso) if has(Mark::Bracketed) && !has(Mark::Small) => "hclog",
        Some(Form::Iso) if has(Mark::Thread) => "log4j",
        Some(Form::Iso) if has(Mark::Target) => "rust",
        Some(Form::Spaced) if has(Mark::Bracketed) && has(Mark::Small) => "structlog",
        Some(Form::Spaced | Form::DayFirst) if has(Mark::Thread) => "log4j",
        Some(Form::Spaced) if has(Mark::Dash) => "python",
        Some(
            Form::Iso
            | Form::Spaced
            | Form::Web
            | Form::DayFirst
            | Form::Syslog
            | Form::Jul
            | Form::Ctime
            | Form::Clock
            | Form::Other,
        )
        | None => "text",
    }
}
