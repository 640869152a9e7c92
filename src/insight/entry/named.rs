//! The name of a format, from what was seen in the head of a line.

use super::{
    columns::{Mark, Marks},
    stamp::Form,
};

/// The name that a head is known by; `text` where many programs write it.
pub(super) fn name(marks: &Marks) -> &'static str {
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

fn by_form(marks: &Marks, form: Option<Form>) -> &'static str {
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
