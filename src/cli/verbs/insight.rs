//! `cas insight templates`: what can be learnt from a log file. Never asks an engine, and never holds a file in memory.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::Path,
};

use super::{Place, patterns};
use crate::{
    cli::{
        args::{Insight, InsightAction, Templates},
        context::Context,
        outcome::{Failure, Outcome},
        outside::Outside,
        render::{insight as forms, json_document},
        shown_path,
        text::plain,
    },
    insight::{
        header::Header,
        templates::{Miner, Settings, TemplateId},
    },
};

/// Lines from which the head of all lines is learnt, and the most that they may take.
const SAMPLE_LINES: usize = 1000;
const SAMPLE_BYTES: usize = 1 << 20;
/// Bytes of a line that are kept.
const LINE: usize = 64 * 1024;
/// What may be of control bytes in text: colours, form feeds, the hole that a truncated file begins with.
const CONTROL_SHARE: usize = 10;
/// Bytes that are read at once.
const BUFFER: usize = 128 * 1024;

pub(in crate::cli) async fn insight(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    wanted: &Insight,
) -> Result<Outcome, Failure> {
    match &wanted.action {
        InsightAction::Templates(templates) => self::templates(ctx, templates),
        InsightAction::Patterns(wanted) => patterns::patterns(ctx, outside, place, wanted).await,
    }
}

fn templates(ctx: &mut Context<'_>, templates: &Templates) -> Result<Outcome, Failure> {
    let mined = if templates.file.as_os_str() == "-" {
        mine(&mut *ctx.stdin, "standard input", templates.csv)?
    } else {
        let path = ctx.cwd.join(&templates.file);
        let name = shown_path(&path, &ctx.cwd).display().to_string();
        mine(&mut open(&path, &name)?, &name, templates.csv)?
    };
    show(ctx, templates, &mined)?;
    Ok(Outcome::Ok)
}

fn show(ctx: &mut Context<'_>, wanted: &Templates, mined: &Mined) -> Result<(), Failure> {
    if wanted.csv {
        let mut out = BufWriter::with_capacity(BUFFER, &mut *ctx.stdout);
        forms::csv(&mined.miner, mined.ids(), &mut out)?;
        return Ok(out.flush()?);
    }
    let top = wanted.top.unwrap_or(usize::MAX);
    if wanted.json {
        return ctx.data(&json_document(&forms::document(&mined.miner, mined.lines, top)));
    }
    ctx.data(&forms::table(&mined.miner, mined.lines, top, ctx.paint(), ctx.width))?;
    ctx.say(&forms::summary(&mined.miner, mined.lines));
    Ok(())
}

fn open(path: &Path, name: &str) -> Result<BufReader<File>, Failure> {
    let whole = || format!("cas insight templates {name}/FILE");
    if path.is_dir() {
        let why = format!("{name} is a directory, and templates are learnt from one file");
        return Err(Failure::with_hint(Outcome::Usage, why, whole()));
    }
    File::open(path).map(|file| BufReader::with_capacity(BUFFER, file)).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            let hint = "name a log file, or - for standard input";
            return Failure::with_hint(Outcome::Usage, format!("there is no file {name}"), hint);
        }
        Failure::with_hint(
            Outcome::Failed,
            format!("{name} cannot be read: {error}"),
            "look at its owner and mode: ls -l",
        )
    })
}

/// What was learnt.
struct Mined {
    miner: Miner,
    lines: u64,
    /// The template of each line as it was found, seven bits a byte: most take one byte.
    packed: Vec<u8>,
}

impl Mined {
    fn learn(&mut self, header: &Header, line: &[u8], keep: bool) {
        let id = match memchr::memchr(b'\x1b', line) {
            None => self.miner.learn(header.message(line)),
            Some(_) => self.miner.learn(header.message(plain(&String::from_utf8_lossy(line)).as_bytes())),
        };
        self.lines += 1;
        if keep {
            pack(id.number(), &mut self.packed);
        }
    }

    fn ids(&self) -> impl Iterator<Item = TemplateId> {
        let mut rest = self.packed.as_slice();
        std::iter::from_fn(move || {
            let length = rest.iter().position(|byte| byte & 0x80 == 0)? + 1;
            let (bytes, after) = rest.split_at(length);
            rest = after;
            Some(TemplateId::from_number(
                bytes.iter().rev().fold(0, |number, byte| number << 7 | u32::from(byte & 0x7F)),
            ))
        })
    }
}

fn pack(mut number: u32, out: &mut Vec<u8>) {
    while number > 0x7F {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Learns the templates of all lines of `source`; `keep`: remembers which line has which.
fn mine(source: &mut dyn BufRead, name: &str, keep: bool) -> Result<Mined, Failure> {
    let cannot = |error: io::Error| Failure::new(Outcome::Failed, format!("{name} cannot be read to its end: {error}"));
    let sample = sample(source).map_err(cannot)?;
    refuse_binary(&sample, name)?;
    let bare: Vec<String> = sample.iter().map(|line| plain(&String::from_utf8_lossy(line)).into_owned()).collect();
    let header = Header::learn(bare.iter().map(String::as_bytes));
    let mut mined = Mined { miner: Miner::new(Settings::default()), lines: 0, packed: Vec::new() };
    for line in &sample {
        mined.learn(&header, line, keep);
    }
    let mut line = Vec::new();
    while read_line(source, &mut line).map_err(cannot)? {
        mined.learn(&header, &line, keep);
    }
    mined.miner.settle();
    Ok(mined)
}

fn sample(source: &mut dyn BufRead) -> io::Result<Vec<Vec<u8>>> {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    let mut line = Vec::new();
    while lines.len() < SAMPLE_LINES && bytes < SAMPLE_BYTES && read_line(source, &mut line)? {
        bytes += line.len();
        lines.push(line.clone());
    }
    Ok(lines)
}

/// Reads a line without its end, and of a long one only its beginning; false at the end of the source.
fn read_line(source: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut any = false;
    loop {
        let buffer = match source.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if buffer.is_empty() {
            break;
        }
        any = true;
        let end = memchr::memchr(b'\n', buffer);
        let part = &buffer[..end.unwrap_or(buffer.len())];
        line.extend_from_slice(&part[..part.len().min(LINE - line.len())]);
        let taken = end.map_or(buffer.len(), |end| end + 1);
        source.consume(taken);
        if end.is_some() {
            break;
        }
    }
    while line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(any)
}

/// Says what a file is that holds no lines of text.
fn refuse_binary(sample: &[Vec<u8>], name: &str) -> Result<(), Failure> {
    let bytes = || sample.iter().flatten();
    let refused = |what: &str, hint: String| {
        Err(Failure::with_hint(Outcome::Failed, format!("{name} is {what}, so it has no lines to learn from"), hint))
    };
    let first = sample.first().map_or(&[][..], Vec::as_slice);
    if first.starts_with(&[0x1F, 0x8B]) || first.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) {
        let tool = if first[0] == 0x1F { "zcat" } else { "zstdcat" };
        return refused("compressed", format!("{tool} {name} | cas insight templates -"));
    }
    if first.starts_with(&[0xFF, 0xFE]) || first.starts_with(&[0xFE, 0xFF]) {
        return refused("in UTF-16", format!("iconv -f UTF-16 -t UTF-8 {name} | cas insight templates -"));
    }
    let control = bytes().filter(|byte| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\r' | 0x1B)).count();
    if control * CONTROL_SHARE > bytes().count() {
        return refused("binary data", format!("strings {name} | cas insight templates -"));
    }
    Ok(())
}
