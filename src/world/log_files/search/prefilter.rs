//! A pattern that whole blocks of lines are looked through with, so that most lines are never looked at by themselves.
//!
//! Promise: each line that the pattern matches by itself is a candidate. Never: a match over the border of two lines.

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::{
    Capture, Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look, Repetition,
};

use super::{
    super::grams::Needs,
    clean::{clean, is_plain},
};
use crate::world::output::assembly::Draft;

/// Most that a pattern may become, bytes.
const MOST_BYTES: usize = 32 << 20;

/// A pattern for lines without escape sequences.
#[derive(Debug, Clone)]
pub struct Prefilter {
    block: Regex,
    needs: Needs,
}

impl Prefilter {
    /// Of a pattern as [`regex::Regex`] takes it. `^` and `$`, and `\A` and `\z`, are the ends of a line.
    ///
    /// # Errors
    /// What is wrong with the pattern, as a sentence or several lines.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let parsed = regex_syntax::parse(pattern).map_err(|error| error.to_string())?;
        let within = within_a_line(&parsed);
        let block =
            RegexBuilder::new(&within.to_string()).size_limit(MOST_BYTES).build().map_err(|error| error.to_string())?;
        Ok(Self { block, needs: Needs::of(&within) })
    }

    /// Whether a line in these bytes may match: printable ASCII, each line with its line feed.
    pub(super) fn is_in(&self, block: &[u8]) -> bool {
        self.block.is_match(block)
    }

    /// What it cannot do without.
    pub(super) const fn needs(&self) -> &Needs {
        &self.needs
    }

    /// The places of the lines of a draft that match. `block` is room that is used again.
    pub(super) fn candidates(&self, draft: &Draft, block: &mut Block) -> Vec<usize> {
        let mut found = Vec::new();
        let (bytes, starts) = block.of(draft);
        let (mut from, mut line) = (0, 0);
        while from < bytes.len() {
            let Some(hit) = self.block.find_at(bytes, from) else { break };
            line += starts[line..].partition_point(|start| (*start as usize) <= hit.start()) - 1;
            let next = starts.get(line + 1).map_or(bytes.len(), |next| *next as usize);
            if hit.start() >= next {
                break;
            }
            found.push(line);
            from = next;
        }
        found
    }
}

/// Lines of a draft as they are matched, each with a line feed.
#[derive(Debug, Default)]
pub(super) struct Block {
    text: String,
    starts: Vec<u32>,
}

impl Block {
    /// The text, and where each line begins in it.
    fn of<'a>(&'a mut self, draft: &'a Draft) -> (&'a [u8], &'a [u32]) {
        self.starts.clear();
        let mut end = 0;
        let is_whole = draft.lines.iter().all(|line| {
            let is_next =
                line.start == end && draft.text.as_bytes().get((line.start + line.len) as usize) == Some(&b'\n');
            end = line.start + line.len + 1;
            self.starts.push(line.start);
            is_next
        });
        if is_whole && end as usize == draft.text.len() && is_plain(draft.text.as_bytes()) {
            return (draft.text.as_bytes(), &self.starts);
        }
        self.starts.clear();
        self.text.clear();
        for line in &draft.lines {
            self.starts.push(self.text.len() as u32);
            self.text.push_str(&clean(draft.text_of(*line)));
            self.text.push('\n');
        }
        (self.text.as_bytes(), &self.starts)
    }
}

/// The same pattern for text of several lines, which never matches beyond one.
fn within_a_line(pattern: &Hir) -> Hir {
    let all = |parts: &[Hir]| parts.iter().map(within_a_line).collect();
    match pattern.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) if literal.0.contains(&b'\n') => Hir::fail(),
        HirKind::Literal(literal) => Hir::literal(literal.0.clone()),
        HirKind::Class(class) => Hir::class(without_line_feed(class.clone())),
        HirKind::Look(look) => Hir::look(match look {
            Look::Start | Look::StartLF | Look::StartCRLF => Look::StartLF,
            Look::End | Look::EndLF | Look::EndCRLF => Look::EndLF,
            Look::WordAscii
            | Look::WordAsciiNegate
            | Look::WordUnicode
            | Look::WordUnicodeNegate
            | Look::WordStartAscii
            | Look::WordEndAscii
            | Look::WordStartUnicode
            | Look::WordEndUnicode
            | Look::WordStartHalfAscii
            | Look::WordEndHalfAscii
            | Look::WordStartHalfUnicode
            | Look::WordEndHalfUnicode => *look,
        }),
        HirKind::Repetition(repetition) => {
            Hir::repetition(Repetition { sub: Box::new(within_a_line(&repetition.sub)), ..repetition.clone() })
        }
        HirKind::Capture(capture) => {
            Hir::capture(Capture { sub: Box::new(within_a_line(&capture.sub)), ..capture.clone() })
        }
        HirKind::Concat(parts) => Hir::concat(all(parts)),
        HirKind::Alternation(ways) => Hir::alternation(all(ways)),
    }
}

fn without_line_feed(class: Class) -> Class {
    match class {
        Class::Unicode(mut class) => {
            class.difference(&ClassUnicode::new([ClassUnicodeRange::new('\n', '\n')]));
            Class::Unicode(class)
        }
        Class::Bytes(mut class) => {
            class.difference(&ClassBytes::new([ClassBytesRange::new(b'\n', b'\n')]));
            Class::Bytes(class)
        }
    }
}
