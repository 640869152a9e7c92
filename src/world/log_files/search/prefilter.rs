//! A pattern that whole blocks of lines are looked through with, so that most lines are never looked at by themselves.
//!
//! Promise: each line that the pattern matches by itself is a candidate, and each that may be shown otherwise than it is stored, whatever it holds: so that what is
//! hidden decides nothing. Never: a match over the border of two lines.

use std::{collections::BTreeSet, sync::Arc};

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::{
    Capture, Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Dot, Hir, HirKind, Look, Repetition,
};

use super::{
    super::{
        grams::{Grams, Needs},
        words,
    },
    clean::{clean, is_plain},
};
use crate::{model::redact::Redactor, world::output::assembly::Draft};

/// Most that a pattern may become, bytes.
const MOST_BYTES: usize = 32 << 20;

/// A pattern for lines without escape sequences.
#[derive(Debug, Clone)]
pub struct Prefilter {
    pattern: Hir,
    block: Regex,
    needs: Needs,
    veil: Option<Veil>,
}

/// What lines are shown through.
#[derive(Clone)]
struct Veil {
    redactor: Arc<Redactor>,
    /// Of what it may put into a line.
    insets: Grams,
    /// And the picks of its long words, which what stands beside it is no part of.
    picks: BTreeSet<u32>,
}

impl std::fmt::Debug for Veil {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.redactor.fmt(to)
    }
}

impl Prefilter {
    /// Of a pattern as [`regex::Regex`] takes it. `^` and `$`, and `\A` and `\z`, are the ends of a line.
    ///
    /// # Errors
    /// What is wrong with the pattern, as a sentence or several lines.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let parsed = regex_syntax::parse(pattern).map_err(|error| error.to_string())?;
        Self::of(within_a_line(&parsed))
    }

    fn of(pattern: Hir) -> Result<Self, String> {
        let block = regex(&pattern)?;
        Ok(Self { needs: Needs::of(&pattern), block, pattern, veil: None })
    }

    /// The same for lines that are shown through a redactor, and judged as they are shown.
    #[must_use]
    pub fn through(self, redactor: Arc<Redactor>) -> Self {
        // Mostly what is hidden makes no difference: the lines are those where what the pattern says of the rest is so.
        if let Some(beside) = beside_marks(&self.pattern, &redactor).and_then(|beside| Self::of(beside).ok()) {
            return beside;
        }
        let (mut insets, mut picks) = (Grams::none(), BTreeSet::new());
        for mark in redactor.shown_marks() {
            insets.add_inset(mark.as_bytes());
            words::picks(mark.as_bytes(), |pick| {
                picks.insert(pick);
            });
        }
        Self { veil: Some(Veil { redactor, insets, picks }), ..self }
    }

    /// Whether a line in these bytes may match: printable ASCII, each line with its line feed.
    pub(super) fn is_in(&self, block: &[u8]) -> bool {
        self.block.is_match(block) || std::str::from_utf8(block).is_ok_and(|block| self.may_be_hidden(block))
    }

    /// Whether something in a text may be shown otherwise.
    fn may_be_hidden(&self, text: &str) -> bool {
        self.veil.as_ref().is_some_and(|veil| veil.redactor.is_suspicious(text))
    }

    /// Whether it asks for groups at all.
    pub(super) fn has_needs(&self) -> bool {
        self.needs != Needs::Unknown
    }

    /// Whether it asks for long words.
    pub(super) fn has_words(&self) -> bool {
        self.needs.has_words()
    }

    /// False where nothing with these groups and, if they are known, these long words can match, whatever is hidden in it.
    pub(super) fn may_be_among(&self, grams: &[u8], words: Option<&[u8]>) -> bool {
        let is_there = |pick| words.is_none_or(|words| words::may_have(words, pick));
        let needs = |grams: &[u8], has_pick: &dyn Fn(u32) -> bool| self.needs.may_be_in(grams, has_pick);
        needs(grams, &is_there)
            || self.veil.as_ref().is_some_and(|veil| {
                needs(&veil.insets.with(grams), &|pick| is_there(pick) || veil.picks.contains(&pick))
            })
    }

    /// The places of the lines of a draft that may match, ascending. `block` is room that is used again.
    pub(super) fn candidates(&self, draft: &Draft, block: &mut Block) -> Vec<usize> {
        let mut found = Vec::new();
        let (text, starts) = block.of(draft);
        let bytes = text.as_bytes();
        let end_of = |line: usize| starts.get(line + 1).map_or(bytes.len(), |next| *next as usize);
        let (mut from, mut line) = (0, 0);
        while from < bytes.len() {
            let Some(hit) = self.block.find_at(bytes, from) else { break };
            line += starts[line..].partition_point(|start| (*start as usize) <= hit.start()) - 1;
            let next = end_of(line);
            if hit.start() >= next {
                break;
            }
            found.push(line);
            from = next;
        }
        if !self.may_be_hidden(text) {
            return found;
        }
        let mut all: BTreeSet<usize> = found.into_iter().collect();
        for (at, start) in starts.iter().enumerate() {
            if !all.contains(&at) && self.may_be_hidden(&text[*start as usize..end_of(at)]) {
                all.insert(at);
            }
        }
        all.into_iter().collect()
    }
}

fn regex(pattern: &Hir) -> Result<Regex, String> {
    RegexBuilder::new(&pattern.to_string()).size_limit(MOST_BYTES).build().map_err(|error| error.to_string())
}

/// A pattern that each line matches as it is stored which `pattern` matches as it is shown, with marks for what is hidden; none where that cannot be said.
///
/// A mark begins and ends with a character that stands nowhere else in it. What cannot match that character is matched beside marks or within one. So a
/// pattern is taken apart: of what could match it, or depends on what stands beside it, anything is let pass; the rest stands in the line just so, in this
/// order, if it cannot match within a mark.
fn beside_marks(pattern: &Hir, redactor: &Redactor) -> Option<Hir> {
    let anything = || {
        Hir::repetition(Repetition { min: 0, max: None, greedy: true, sub: Box::new(Hir::dot(Dot::AnyCharExceptLF)) })
    };
    let mut pieces = vec![Vec::new()];
    take_apart(pattern, &mut pieces);
    let mut parts = Vec::new();
    for piece in pieces {
        let piece = Hir::concat(piece);
        // What may be nothing is no condition.
        if piece.properties().minimum_len().is_some_and(|least| least > 0) {
            let alone = regex(&piece).ok()?;
            if redactor.shown_marks().any(|mark| alone.is_match(mark.as_bytes())) {
                return None;
            }
            if !parts.is_empty() {
                parts.push(anything());
            }
            parts.push(piece);
        }
    }
    Some(Hir::concat(parts))
}

/// Adds what stays beside marks to the last piece, and begins another where anything may stand.
fn take_apart(pattern: &Hir, pieces: &mut Vec<Vec<Hir>>) {
    match pattern.kind() {
        HirKind::Concat(parts) => parts.iter().for_each(|part| take_apart(part, pieces)),
        HirKind::Capture(capture) => take_apart(&capture.sub, pieces),
        HirKind::Look(_) => {}
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Repetition(_) | HirKind::Alternation(_) => {
            match pieces.last_mut() {
                Some(piece) if !may_hold_a_border(pattern) && pattern.properties().look_set().is_empty() => {
                    piece.push(pattern.clone());
                }
                Some(_) | None => pieces.push(Vec::new()),
            }
        }
    }
}

/// Whether a match may hold the character that what hides a secret begins or ends with. It is not ASCII.
fn may_hold_a_border(pattern: &Hir) -> bool {
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => !literal.0.is_ascii(),
        HirKind::Class(Class::Unicode(class)) => {
            class.iter().any(|range| ['‹', '›'].iter().any(|border| (range.start()..=range.end()).contains(border)))
        }
        HirKind::Class(Class::Bytes(class)) => !class.is_ascii(),
        HirKind::Repetition(repetition) => may_hold_a_border(&repetition.sub),
        HirKind::Capture(capture) => may_hold_a_border(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(may_hold_a_border),
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
    fn of<'a>(&'a mut self, draft: &'a Draft) -> (&'a str, &'a [u32]) {
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
            return (&draft.text, &self.starts);
        }
        self.starts.clear();
        self.text.clear();
        for line in &draft.lines {
            self.starts.push(self.text.len() as u32);
            self.text.push_str(&clean(draft.text_of(*line)));
            self.text.push('\n');
        }
        (&self.text, &self.starts)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pattern_that_may_touch_what_hides_a_secret_looks_at_what_may_hide_one() {
        let redactor = Arc::new(Redactor::default());
        let is_veiled = |pattern: &str| Prefilter::new(pattern).unwrap().through(Arc::clone(&redactor)).veil.is_some();
        for pattern in [
            "deadlock",
            "(?i)Time ?out",
            r"status=5\d\d",
            "(lake|sea){2}",
            "é",
            "",
            ".*",
            r"user=\S+ took",
            r"\b[45]\d\d\b.*timeout=\d{4,}",
            "^2026.*slow$",
            "(x.y)+z?",
        ] {
            assert!(!is_veiled(pattern), "{pattern}");
        }
        for pattern in ["redacted", "acted:pass", "(?i)JWT", r"\bword", "a.*word$", r"\w+", "[^a]d:"] {
            assert!(is_veiled(pattern), "{pattern}");
        }
    }

    #[test]
    fn a_line_that_matches_as_it_is_shown_is_looked_at() {
        let redactor = Arc::new(Redactor::default());
        let stored = "503 it password=hunter2 timeout=1234 é";
        let shown = redactor.text(stored);
        assert_ne!(shown, stored);
        for pattern in [
            r"\b[45]\d\d\b.*timeout=\d{4,}",
            r"password=\S+ time",
            r"password=.{5,} timeout",
            r"it (password|secret)=[^ ]+ +timeout=\d+\b",
            r"=[^a-z]\w+:password› t",
            "^503.*é$",
            r"(?i)IT.PASSWORD=.*TIMEOUT",
            r"[^x]*\btimeout",
        ] {
            let matches = regex::Regex::new(pattern).unwrap();
            assert!(matches.is_match(&shown), "{pattern}");
            let prefilter = Prefilter::new(pattern).unwrap().through(Arc::clone(&redactor));
            assert!(prefilter.block.is_match(stored.as_bytes()) || prefilter.may_be_hidden(stored), "{pattern}");
        }
    }
}
