//! `cas logs -- FILE…`: log files of anybody, merged by the times that their lines tell, with all that `cas logs` can do for output of services. Never asks an
//! engine, and never holds a file in memory.

use std::{collections::VecDeque, fs, io::BufRead, os::unix::fs::MetadataExt, sync::Arc};

use chrono::Offset;

use super::{marks, outlet::Outlet, sought};
use crate::{
    cli::{
        args::{Logs, Template},
        context::{Context, Zone},
        outcome::{Failure, Outcome},
        render::logs::{Form, LogLook, OneLine, Prefix},
        shown_path, text,
        verbs::source,
    },
    insight::entry::Formats,
    model::{
        ids::{ProjectName, RunId, ServiceId, ServiceName},
        log::{LogBatch, LogLine, Source, Stream},
        redact::{Masks, Passage, Redactor, Secrets},
        time::Timestamp,
    },
};

/// Lines that are read of a file at a time.
const CHUNK: usize = 256;
/// Text that is gathered before it is written.
const WRITE_BYTES: usize = 64 * 1024;

pub(super) fn files(
    ctx: &mut Context<'_>,
    now: Timestamp,
    logs: &Logs,
    formats: Formats,
    masks: &Masks,
) -> Result<Outcome, Failure> {
    let follows = logs.follow;
    if follows && !(logs.files.len() == 1 && logs.files[0].as_os_str() == "-") {
        let why = "files are read to their end, and not followed".to_owned();
        return Err(Failure::with_hint(Outcome::Usage, why, "tail -F FILE | cas logs -f -- -"));
    }
    let formats = Arc::new(formats);
    let mut names = Vec::new();
    let mut files = Vec::new();
    let mut stdin = None;
    for (number, path) in logs.files.iter().enumerate() {
        let id = id_of(number);
        if path.as_os_str() == "-" {
            names.push((id.clone(), "-".to_owned()));
            stdin = Some((id, files.len()));
            continue;
        }
        let path = ctx.cwd.join(path);
        let name = shown_path(&path, &ctx.cwd).display().to_string();
        let reader = source::open(&path, &name, "lines are read from files")?;
        let near_us = fs::metadata(&path).map_or(now.wall_us, |found| found.mtime() * 1_000_000);
        files.push(File::new(id.clone(), Some(name.clone()), reader, near_us, &formats, ctx.zone));
        names.push((id, name));
    }
    let paint = ctx.paint();
    let zone = ctx.zone;
    let many = names.len() > 1 && !logs.lines.no_prefix;
    let look = LogLook {
        services: names.iter().map(|(id, _)| id.clone()).collect(),
        prefix: if many { Prefix::Service } else { Prefix::Nothing },
        timestamps: logs.lines.timestamps,
        zone,
        paint,
        marks: marks(logs),
        formats: Arc::clone(&formats),
        files: names,
        form: if logs.json { Form::Json } else { Form::Text },
    };
    let template = logs.template.as_ref().map(|(Template::Text(term) | Template::Pattern(_, term))| term.clone());
    let mut secrets = Secrets::default();
    secrets.mask(masks);
    secrets.learn_environment(&ctx.env);
    let writer = Writer {
        outlet: Outlet::new(look, sought(logs, template), logs.tail),
        passage: (!logs.raw).then(|| Passage::through(Arc::new(Redactor::of(&secrets)))),
        since_us: logs.since.map(|when| when.wall_us(now)),
        until_us: logs.until.map(|when| when.wall_us(now)),
    };
    let out = &mut *ctx.stdout;
    if let Some((id, place)) = stdin {
        let reader = source::unpacked(&mut *ctx.stdin).map_err(|error| source::cannot(None, &error))?;
        let mut file = File::new(id, None, reader, now.wall_us, &formats, zone);
        file.at_once = follows;
        files.insert(place, file);
    }
    writer.write(files, out, follows)?;
    Ok(Outcome::Ok)
}

/// What stands for a file where a service would be named.
fn id_of(number: usize) -> ServiceId {
    ServiceId {
        project: ProjectName::new("files").expect("it is a name"),
        service: ServiceName::new(&format!("f{number}")).expect("a letter and digits are a name"),
    }
}

/// One file.
struct File<'f> {
    id: ServiceId,
    /// None: it is standard input.
    name: Option<String>,
    reader: Box<dyn BufRead + 'f>,
    formats: Arc<Formats>,
    zone: Zone,
    /// A time near those of its lines, for what their times leave out.
    near_us: i64,
    /// The time of the last line that had one.
    last_us: Option<i64>,
    seq: u64,
    /// Lines that were read and not given.
    ready: VecDeque<(Option<i64>, String)>,
    /// Give what there is without waiting for more.
    at_once: bool,
    is_checked: bool,
    has_ended: bool,
    line: Vec<u8>,
}

impl<'f> File<'f> {
    fn new(
        id: ServiceId,
        name: Option<String>,
        reader: Box<dyn BufRead + 'f>,
        near_us: i64,
        formats: &Arc<Formats>,
        zone: Zone,
    ) -> Self {
        let formats = Arc::clone(formats);
        Self {
            id,
            name,
            reader,
            formats,
            zone,
            near_us,
            last_us: None,
            seq: 0,
            ready: VecDeque::new(),
            at_once: false,
            is_checked: false,
            has_ended: false,
            line: Vec::new(),
        }
    }

    /// The next line and its time, if it has one; none at the end.
    fn next(&mut self, passage: Option<&mut Passage>) -> Result<Option<&(Option<i64>, String)>, Failure> {
        if self.ready.is_empty() && !self.has_ended {
            self.read(passage)?;
        }
        Ok(self.ready.front())
    }

    fn read(&mut self, passage: Option<&mut Passage>) -> Result<(), Failure> {
        let mut lines: Vec<Vec<u8>> = Vec::new();
        let wanted = if self.at_once { 1 } else { CHUNK };
        while lines.len() < wanted {
            let read = source::read_line(&mut *self.reader, &mut self.line);
            if !read.map_err(|error| source::cannot(self.name.as_deref(), &error))? {
                self.has_ended = true;
                break;
            }
            lines.push(std::mem::take(&mut self.line));
        }
        if !std::mem::replace(&mut self.is_checked, true) {
            source::refuse_binary(&lines, self.name.as_deref(), "cas logs -- -")?;
        }
        let batch = batch_of(&self.id, &lines);
        let shown = passage.and_then(|passage| passage.changed(&batch));
        let batch = shown.as_ref().unwrap_or(&batch);
        for line in &batch.lines {
            let text = batch.text_of(*line);
            let told = self.formats.parse(&text::plain(text)).time;
            if let Some(time) = told {
                let offset = offset_s(self.zone, self.near_us);
                self.last_us = Some(time.wall_us(self.last_us.unwrap_or(self.near_us), offset));
            }
            self.ready.push_back((self.last_us, text.to_owned()));
        }
        Ok(())
    }

    fn take(&mut self) -> Option<OneLine> {
        let (wall_us, text) = self.ready.pop_front()?;
        let seq = self.seq;
        self.seq += 1;
        let service = self.id.clone();
        Some(OneLine {
            service,
            source: Source::Output,
            run: RunId(0),
            seq,
            wall_us,
            stream: Stream::Stdout,
            continued: false,
            text,
        })
    }
}

/// Seconds by which the zone is ahead of UTC at a time.
fn offset_s(zone: Zone, wall_us: i64) -> i32 {
    let utc = chrono::DateTime::from_timestamp_micros(wall_us).unwrap_or_default();
    match zone {
        Zone::Utc => 0,
        Zone::Local => utc.with_timezone(&chrono::Local).offset().fix().local_minus_utc(),
    }
}

fn batch_of(id: &ServiceId, lines: &[Vec<u8>]) -> LogBatch {
    let mut text = String::new();
    let mut found = Vec::with_capacity(lines.len());
    for line in lines {
        let line = String::from_utf8_lossy(line);
        let (Ok(start), Ok(len)) = (u32::try_from(text.len()), u32::try_from(line.len())) else { break };
        text.push_str(&line);
        text.push('\n');
        found.push(LogLine { start, len, stream: Stream::Stdout, continued: false });
    }
    LogBatch {
        service: id.clone(),
        source: Source::Output,
        run: RunId(0),
        wall_us: 0,
        first_seq: 0,
        text: text.into_boxed_str(),
        lines: found.into_boxed_slice(),
    }
}

struct Writer {
    outlet: Outlet,
    passage: Option<Passage>,
    since_us: Option<i64>,
    until_us: Option<i64>,
}

impl Writer {
    /// Writes the lines of all files in the order of their times; of a file whose clock was set back in its own order.
    fn write(mut self, mut files: Vec<File<'_>>, to: &mut dyn std::io::Write, at_once: bool) -> Result<(), Failure> {
        loop {
            let mut next: Option<(Option<i64>, usize)> = None;
            for (place, file) in files.iter_mut().enumerate() {
                if let Some((at, _)) = file.next(self.passage.as_mut())?
                    && next.is_none_or(|(first, _)| *at < first)
                {
                    next = Some((*at, place));
                }
            }
            let Some(line) = next.and_then(|(_, place)| files[place].take()) else { break };
            // A line without a time belongs to the one before it; before the first, to any time.
            let in_time = line.wall_us.is_none_or(|at| {
                self.since_us.is_none_or(|since| at >= since) && self.until_us.is_none_or(|until| at <= until)
            });
            if in_time {
                self.outlet.take(line);
                self.give(to, if at_once { 0 } else { WRITE_BYTES })?;
            }
        }
        self.outlet.settle();
        self.give(to, 0)
    }

    fn give(&mut self, to: &mut dyn std::io::Write, at_least: usize) -> Result<(), Failure> {
        if let Some(text) = self.outlet.text(at_least) {
            to.write_all(text.as_bytes())?;
            to.flush()?;
        }
        Ok(())
    }
}
