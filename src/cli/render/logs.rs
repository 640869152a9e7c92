//! Output of services as lines: aligned coloured prefixes, times, matches; or one JSON object per line.
//! Never lets anything of a line but its colours reach a terminal.

use std::{ops::Range, sync::Arc};

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
    insight::entry::Formats,
    model::{
        ids::{RunId, ServiceId},
        log::{LogBatch, LogLine, Source, Stream},
    },
};

/// Columns of a time: `2026-11-22T10:00:00.000`.
const TIME: usize = 23;

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
    pub marks: Vec<Regex>,
    /// How lines are recognised that are written as JSON.
    pub formats: Arc<Formats>,
    /// Files by the ids that stand for them; none: all lines are of services.
    pub files: Vec<(ServiceId, String)>,
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
    /// When it was read, microseconds since the Unix epoch; none where a line of a file, and all before it, tell no time.
    pub wall_us: Option<i64>,
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
            wall_us: Some(batch.wall_us),
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
        let width = look.services.iter().map(|id| name(id, &look).chars().count()).max().unwrap_or(0);
        Self { look, width, open: None }
    }

    /// Adds `line` to `out`.
    pub fn line(&mut self, out: &mut String, line: &OneLine) {
        match self.look.form {
            Form::Json => out.push_str(&as_json(line, &self.look)),
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

    /// Tells that lines were left out, as grep does. Objects tell it by their numbers.
    pub fn gap(&mut self, out: &mut String) {
        if self.look.form == Form::Text {
            self.close(out);
            out.push_str(&self.look.paint.text(Tone::Dim, "--"));
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
        let label = format!("{:width$} |", name(service, &self.look), width = self.width);
        format!("{} ", paint.text(Tone::Service(index), &label))
    }

    fn begin(&self, out: &mut String, line: &OneLine) {
        out.push_str(&self.prefix(&line.service));
        if self.look.timestamps {
            let shown = line.wall_us.map(|at| self.look.zone.show(at, "%Y-%m-%dT%H:%M:%S%.3f"));
            let time = format!("{:TIME$}", shown.as_deref().unwrap_or("-"));
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
        if self.look.marks.is_empty() {
            return text::terminal_safe_sgr(line);
        }
        let plain = text::plain(line);
        let mut shown = String::with_capacity(plain.len());
        let mut end = 0;
        let mut found: Vec<Range<usize>> =
            self.look.marks.iter().flat_map(|mark| mark.find_iter(&plain)).map(|found| found.range()).collect();
        found.sort_by_key(|range| range.start);
        for Range { start, end: stop } in found {
            if start < end {
                continue;
            }
            shown.push_str(&plain[end..start]);
            shown.push_str(&self.look.paint.text(Tone::Match, &plain[start..stop]));
            end = stop;
        }
        shown.push_str(&plain[end..]);
        shown
    }
}

fn name(id: &ServiceId, look: &LogLook) -> String {
    if let Some((_, file)) = look.files.iter().find(|(known, _)| known == id) {
        return file.clone();
    }
    match look.prefix {
        Prefix::Service => id.service.to_string(),
        Prefix::ProjectAndService => id.to_string(),
        Prefix::Nothing => String::new(),
    }
}

/// A colour for a service that was not known beforehand: always the same one.
fn hash(service: &ServiceId) -> usize {
    service.to_string().bytes().fold(0, |sum: usize, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)))
}

fn as_json(line: &OneLine, look: &LogLook) -> String {
    let plain = text::plain(&line.text);
    let parsed = look.formats.parse(&plain);
    let mut object = match look.files.iter().find(|(known, _)| *known == line.service) {
        Some((_, file)) => json!({
            "at": line.wall_us.map(rfc3339),
            "file": file,
            "line": line.seq + 1,
        }),
        None => json!({
            "at": line.wall_us.map(rfc3339),
            "project": line.service.project,
            "service": line.service.service,
            "run": line.run,
            "seq": line.seq,
            "stream": line.stream,
            "continued": line.continued,
        }),
    };
    if let Some(object) = object.as_object_mut() {
        if let Some(file) = line.source.file() {
            object.insert("file".to_owned(), json!(file));
        }
        object.insert("level".to_owned(), json!(parsed.level));
        if !parsed.format.is_empty() {
            let fields: serde_json::Map<String, serde_json::Value> =
                parsed.fields.iter().map(|field| (field.name.to_string(), json!(field.value))).collect();
            object.insert("format".to_owned(), json!(parsed.format));
            object.insert("message".to_owned(), json!(parsed.message));
            object.insert("fields".to_owned(), fields.into());
        }
        object.insert("text".to_owned(), json!(line.text));
    }
    json_line(&object)
}
