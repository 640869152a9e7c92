//! Output of services as lines: aligned coloured prefixes, times, matches; or one JSON object per line.
//! Never lets anything of a line but its colours reach a terminal.

use std::ops::Range;

use regex::Regex;
use serde_json::json;

use super::json_line;
use crate::{
    cli::{
        context::Zone,
        paint::{Paint, Tone},
        text,
        when::rfc3339,
    },
    model::{
        ids::{RunId, ServiceId},
        log::{LogBatch, LogLine, Source, Stream},
    },
};

/// How a line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefix {
    /// With the service's name.
    Service,
    /// With project and service.
    ProjectAndService,
    /// With nothing.
    Nothing,
}

/// In which form lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// One object per line.
    Json,
}

/// How lines look.
#[derive(Debug, Clone)]
pub struct LogLook {
    /// Services in the order in which they get their colours; their longest name sets the width of the prefix.
    pub services: Vec<ServiceId>,
    /// How a line begins.
    pub prefix: Prefix,
    /// Begin with the time.
    pub timestamps: bool,
    /// Zone of times.
    pub zone: Zone,
    /// Colours.
    pub paint: Paint,
    /// What to show as found.
    pub grep: Option<Regex>,
    /// The form.
    pub form: Form,
}

/// One line and all that is known about it.
#[derive(Debug, Clone)]
pub struct OneLine {
    /// Whose.
    pub service: ServiceId,
    /// From where.
    pub source: Source,
    /// Of which run.
    pub run: RunId,
    /// Its number among the lines of the service from there.
    pub seq: u64,
    /// When it was read, microseconds since the Unix epoch.
    pub wall_us: i64,
    /// From which descriptor.
    pub stream: Stream,
    /// The physical line goes on.
    pub continued: bool,
    /// What, as the service wrote it.
    pub text: String,
}

impl OneLine {
    /// Line `index` of `batch`.
    #[must_use]
    pub fn of(batch: &LogBatch, index: usize, line: LogLine) -> Self {
        Self {
            service: batch.service.clone(),
            source: batch.source.clone(),
            run: batch.run,
            seq: batch.first_seq + index as u64,
            wall_us: batch.wall_us,
            stream: line.stream,
            continued: line.continued,
            text: batch.text_of(line).to_owned(),
        }
    }
}

/// Writes lines one after the other. A physical line that comes in pieces stays one line unless another comes between.
#[derive(Debug)]
pub struct LogPrinter {
    look: LogLook,
    width: usize,
    open: Option<(ServiceId, Source, Stream)>,
}

impl LogPrinter {
    /// A printer at the beginning of a line.
    #[must_use]
    pub fn new(look: LogLook) -> Self {
        let width = look.services.iter().map(|id| name(id, look.prefix).len()).max().unwrap_or(0);
        Self { look, width, open: None }
    }

    /// Adds `line` to `out`.
    pub fn line(&mut self, out: &mut String, line: &OneLine) {
        match self.look.form {
            Form::Json => out.push_str(&as_json(line)),
            Form::Text => self.text_line(out, line),
        }
    }

    fn text_line(&mut self, out: &mut String, line: &OneLine) {
        let goes_on = self.open.as_ref().is_some_and(|(service, source, stream)| {
            *service == line.service && *source == line.source && *stream == line.stream
        });
        if !goes_on {
            self.close(out);
            self.begin(out, line);
        }
        out.push_str(&self.shown(&line.text));
        if line.continued {
            self.open = Some((line.service.clone(), line.source.clone(), line.stream));
        } else {
            self.open = None;
            out.push('\n');
        }
    }

    /// Ends a physical line that is still open.
    pub fn close(&mut self, out: &mut String) {
        if self.open.take().is_some() {
            out.push('\n');
        }
    }

    /// The prefix of a service, with its colour and the bar; empty where there are no prefixes.
    #[must_use]
    pub fn prefix(&self, service: &ServiceId) -> String {
        self.prefix_in(service, self.look.paint)
    }

    /// As [`Self::prefix`], in the colours of another stream.
    #[must_use]
    pub fn prefix_in(&self, service: &ServiceId, paint: Paint) -> String {
        if self.look.prefix == Prefix::Nothing {
            return String::new();
        }
        let index = self.look.services.iter().position(|known| known == service).unwrap_or_else(|| hash(service));
        let label = format!("{:width$} |", name(service, self.look.prefix), width = self.width);
        format!("{} ", paint.text(Tone::Service(index), &label))
    }

    fn begin(&self, out: &mut String, line: &OneLine) {
        out.push_str(&self.prefix(&line.service));
        if self.look.timestamps {
            let time = self.look.zone.show(line.wall_us, "%Y-%m-%dT%H:%M:%S%.3f");
            out.push_str(&self.look.paint.text(Tone::Dim, &time));
            out.push(' ');
        }
        if let Some(file) = line.source.file().filter(|_| self.look.prefix != Prefix::Nothing) {
            out.push_str(&self.look.paint.text(Tone::Dim, &format!("{}: ", text::plain(file))));
        }
    }

    fn shown(&self, line: &str) -> String {
        if !self.look.paint.is_colour() {
            return text::plain(line).into_owned();
        }
        let Some(grep) = &self.look.grep else { return text::terminal_safe_sgr(line) };
        let plain = text::plain(line);
        let mut shown = String::with_capacity(plain.len());
        let mut end = 0;
        for Range { start, end: stop } in grep.find_iter(&plain).map(|found| found.range()) {
            shown.push_str(&plain[end..start]);
            shown.push_str(&self.look.paint.text(Tone::Match, &plain[start..stop]));
            end = stop;
        }
        shown.push_str(&plain[end..]);
        shown
    }
}

fn name(id: &ServiceId, prefix: Prefix) -> String {
    match prefix {
        Prefix::Service => id.service.to_string(),
        Prefix::ProjectAndService => id.to_string(),
        Prefix::Nothing => String::new(),
    }
}

/// A colour for a service that was not known beforehand: always the same one.
fn hash(service: &ServiceId) -> usize {
    service.to_string().bytes().fold(0, |sum: usize, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)))
}

fn as_json(line: &OneLine) -> String {
    let mut form = json!({
        "at": rfc3339(line.wall_us),
        "project": line.service.project,
        "service": line.service.service,
        "run": line.run,
        "seq": line.seq,
        "stream": line.stream,
        "continued": line.continued,
        "text": line.text,
    });
    if let Some(file) = line.source.file() {
        form["file"] = file.into();
    }
    json_line(&form)
}
