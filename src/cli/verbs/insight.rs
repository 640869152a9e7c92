//! `cas insight templates`: what can be learnt from a log file. Never asks an engine, and never holds a file in memory.

use std::io::{self, BufRead, BufWriter, Write};

use super::{Place, patterns, source};
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
/// Bytes that are written at once.
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
        let mut source = source::unpacked(&mut *ctx.stdin).map_err(|error| source::cannot(None, &error))?;
        mine(&mut *source, None, templates.csv)?
    } else {
        let path = ctx.cwd.join(&templates.file);
        let name = shown_path(&path, &ctx.cwd).display().to_string();
        mine(&mut *source::open(&path, &name, "templates are learnt from one file")?, Some(&name), templates.csv)?
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
fn mine(source: &mut dyn BufRead, file: Option<&str>, keep: bool) -> Result<Mined, Failure> {
    let cannot = |error: io::Error| source::cannot(file, &error);
    let sample = sample(source).map_err(cannot)?;
    source::refuse_binary(&sample, file, "cas insight templates -")?;
    let bare: Vec<String> = sample.iter().map(|line| plain(&String::from_utf8_lossy(line)).into_owned()).collect();
    let header = Header::learn(bare.iter().map(String::as_bytes));
    let mut mined = Mined { miner: Miner::new(Settings::default()), lines: 0, packed: Vec::new() };
    for line in &sample {
        mined.learn(&header, line, keep);
    }
    let mut line = Vec::new();
    while source::read_line(source, &mut line).map_err(cannot)? {
        mined.learn(&header, &line, keep);
    }
    mined.miner.settle();
    Ok(mined)
}

fn sample(source: &mut dyn BufRead) -> io::Result<Vec<Vec<u8>>> {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    let mut line = Vec::new();
    while lines.len() < SAMPLE_LINES && bytes < SAMPLE_BYTES && source::read_line(source, &mut line)? {
        bytes += line.len();
        lines.push(line.clone());
    }
    Ok(lines)
}
