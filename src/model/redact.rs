//! The one choke point of secrets: text that leaves for a reader passes through a [`Redactor`] first, which shows `‹redacted:NAME›` in their place.
//!
//! Promise: linear in the text; what it has shown it shows again unchanged; UTF-8 stays whole. Never: a change of what is kept on disk as output.
//!
//! Three ways to know a secret: by its value (environments, command lines), by the name beside it, by its shape.

mod encode;
mod keyed;
mod names;
mod output;
mod pem;
mod personal;
mod secrets;
mod shapes;
mod told;

use std::{
    borrow::Cow,
    collections::HashSet,
    ops::Range,
    sync::{Arc, LazyLock},
};

use aho_corasick::{AhoCorasick, MatchKind};
use regex::{Regex, RegexSet};

use self::pem::Pem;
pub use self::{
    output::Passage,
    secrets::{Masks, Secrets},
};

/// How a mark begins and ends.
const MARK: (&str, &str) = ("‹redacted:", "›");

/// The label of what its user wants masked.
const MASKED: &str = "masked";

/// Labels beside those of names and shapes.
const OTHERS: [&str; 4] = [pem::LABEL, personal::CARD, personal::EMAIL, MASKED];

/// Most lines have none of the words around which values, tokens and private keys are sought: one look tells. A key's edges have the word `key`.
static HINTS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let words = AhoCorasick::builder().ascii_case_insensitive(true).build(keyed::hints().chain(shapes::hints()));
    words.expect("some forty short words make an automaton")
});

/// What is replaced may bring something beside it to light; so often at most.
const PASSES: usize = 6;

/// Finds secrets in text.
pub struct Redactor {
    exact: Option<AhoCorasick>,
    names: Vec<Arc<str>>,
    emails: bool,
    /// What its user wants masked.
    patterns: Vec<Regex>,
    /// All of these at once; none where together they are too large for that.
    wanted: Option<RegexSet>,
    /// What may stand in a mark of ours: another one is not believed.
    labels: HashSet<Arc<str>>,
}

impl std::fmt::Debug for Redactor {
    /// How many, never which.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a redactor of {} known forms", self.names.len())
    }
}

impl Default for Redactor {
    /// Knows no value, only names and shapes.
    fn default() -> Self {
        Self::of(&Secrets::default())
    }
}

/// A place to be replaced.
struct Span<'a> {
    range: Range<usize>,
    name: &'a str,
}

impl Redactor {
    /// One that knows `secrets`.
    #[must_use]
    pub fn of(secrets: &Secrets) -> Self {
        let forms = secrets.forms();
        let names: Vec<Arc<str>> = forms.iter().map(|(_, name)| Arc::clone(name)).collect();
        let patterns = forms.iter().map(|(form, _)| *form);
        let exact = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(patterns);
        // It fails only where there is more than four thousand million bytes of them.
        let exact = exact.ok().filter(|_| !names.is_empty());
        let fixed = names::LABELS.into_iter().chain(shapes::labels()).chain(OTHERS).map(Arc::from);
        let labels = names.iter().cloned().chain(fixed).collect();
        let masks = secrets.masks();
        // What does not compile was refused when it was read.
        let patterns: Vec<Regex> = masks.patterns.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect();
        let wanted = RegexSet::new(patterns.iter().map(Regex::as_str)).ok();
        Self { exact, names, emails: masks.emails, patterns, wanted, labels }
    }

    /// Whether there may be a secret in a text of one line or several. Most text is done with after this.
    #[must_use]
    pub fn is_suspicious(&self, text: &str) -> bool {
        self.are_suspicious(text, text.split('\n'))
    }

    /// The same of a text of these lines.
    fn are_suspicious<'l>(&self, text: &str, mut lines: impl Iterator<Item = &'l str>) -> bool {
        self.exact.as_ref().is_some_and(|exact| exact.is_match(text))
            || HINTS.is_match(text)
            || shapes::has_runs(text)
            || personal::has_cards(text)
            || (self.emails && memchr::memchr(b'@', text.as_bytes()).is_some())
            // What these say of the ends of a text is about a line.
            || (!self.patterns.is_empty() && lines.any(|line| self.is_wanted(line)))
    }

    /// Whether there is something in a line that its user wants masked.
    fn is_wanted(&self, line: &str) -> bool {
        match &self.wanted {
            Some(wanted) => wanted.is_match(line),
            None => self.patterns.iter().any(|pattern| pattern.is_match(line)),
        }
    }

    /// Everything that may be shown in the place of a secret.
    pub fn shown_marks(&self) -> impl Iterator<Item = String> {
        self.labels.iter().map(|label| format!("{}{label}{}", MARK.0, MARK.1))
    }

    /// The text as it may be seen. Lines are looked at one by one.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if !self.is_suspicious(text) {
            return Cow::Borrowed(text);
        }
        let lines: Vec<&str> = text.split('\n').collect();
        let (shown, _) = self.shown(&lines, None);
        if shown.iter().all(|line| matches!(line, Cow::Borrowed(_))) {
            return Cow::Borrowed(text);
        }
        Cow::Owned(shown.join("\n"))
    }

    /// Puts the text as it may be seen in its place.
    pub fn own(&self, text: &mut String) {
        if let Cow::Owned(shown) = self.text(text) {
            *text = shown;
        }
    }

    /// Lines that follow one another. `inside`: so many lines of a private key came before them; the same is given back for what comes next.
    fn shown<'t>(&self, lines: &[&'t str], inside: Option<usize>) -> (Vec<Cow<'t, str>>, Option<usize>) {
        let (mut pem, after) = Pem::of(lines, inside);
        let mut shown: Vec<Cow<'t, str>> = lines.iter().map(|line| Cow::Borrowed(*line)).collect();
        let mut open = vec![true; lines.len()];
        for _ in 0..PASSES {
            let mut changed = false;
            for (at, line) in shown.iter_mut().enumerate() {
                let key = pem.at(at);
                let other = if open[at] || key.is_some() { self.pass(line, key) } else { None };
                open[at] = other.is_some();
                if let Some(other) = other {
                    changed = true;
                    *line = Cow::Owned(other);
                }
            }
            if !changed {
                break;
            }
            let now: Vec<&str> = shown.iter().map(AsRef::as_ref).collect();
            pem = Pem::of(&now, inside).0;
        }
        (shown, after)
    }

    /// One line once, where that changes it; `key`: the part of it that belongs to a private key.
    fn pass(&self, line: &str, key: Option<Range<usize>>) -> Option<String> {
        let mut spans: Vec<Span<'_>> = key.map(|range| Span { range, name: pem::LABEL }).into_iter().collect();
        self.find(line, &mut spans);
        if spans.is_empty() {
            return None;
        }
        let spans = tidy(spans, &self.marks(line));
        (!spans.is_empty()).then(|| replaced(line, &spans))
    }

    fn find<'s>(&'s self, line: &str, spans: &mut Vec<Span<'s>>) {
        if let Some(exact) = &self.exact {
            let known = exact.find_iter(line);
            spans.extend(known.map(|hit| Span { range: hit.range(), name: &self.names[hit.pattern().as_usize()] }));
        }
        if HINTS.is_match(line) {
            let hinted = keyed::values(line).into_iter().chain(shapes::begun(line));
            spans.extend(hinted.map(|(range, name)| Span { range, name }));
        }
        spans.extend(shapes::randoms(line).into_iter().map(|(range, name)| Span { range, name }));
        spans.extend(personal::cards(line).into_iter().map(|range| Span { range, name: personal::CARD }));
        if self.emails {
            spans.extend(personal::emails(line).into_iter().map(|range| Span { range, name: personal::EMAIL }));
        }
        for pattern in &self.patterns {
            let wanted = pattern.find_iter(line).filter(|found| !found.is_empty());
            spans.extend(wanted.map(|found| Span { range: found.range(), name: MASKED }));
        }
    }

    /// Where marks of ours stand.
    fn marks(&self, line: &str) -> Vec<Range<usize>> {
        let mut marks = Vec::new();
        for start in memchr::memmem::find_iter(line.as_bytes(), MARK.0) {
            let name = start + MARK.0.len();
            let end = line.as_bytes()[name..].iter().take(65).position(|byte| !byte.is_ascii_graphic());
            if let Some(end) = end.map(|end| name + end)
                && line[end..].starts_with(MARK.1)
                && self.labels.contains(&line[name..end])
            {
                marks.push(start..end + MARK.1.len());
            }
        }
        marks
    }
}

/// In order, without overlaps, and without what is marked already.
fn tidy<'a>(mut spans: Vec<Span<'a>>, marks: &[Range<usize>]) -> Vec<Span<'a>> {
    // Of those that begin at the same place, the first that was found gives the name.
    spans.sort_by_key(|span| span.range.start);
    let mut joined: Vec<Span<'a>> = Vec::with_capacity(spans.len());
    for span in spans {
        match joined.last_mut().filter(|last| span.range.start < last.range.end) {
            Some(last) => last.range.end = last.range.end.max(span.range.end),
            None => joined.push(span),
        }
    }
    let mut tidied = Vec::with_capacity(joined.len());
    let mut marks = marks.iter().peekable();
    for Span { range: Range { mut start, end }, name } in joined {
        while let Some(mark) = marks.peek() {
            if mark.end <= start {
                marks.next();
            } else if mark.start < end {
                if start < mark.start {
                    tidied.push(Span { range: start..mark.start, name });
                }
                start = mark.end;
            } else {
                break;
            }
            if start >= end {
                break;
            }
        }
        if start < end {
            tidied.push(Span { range: start..end, name });
        }
    }
    tidied
}

fn replaced(line: &str, spans: &[Span<'_>]) -> String {
    let mut text = String::with_capacity(line.len());
    let mut at = 0;
    for Span { range, name } in spans {
        text.push_str(&line[at..range.start]);
        for part in [MARK.0, name, MARK.1] {
            text.push_str(part);
        }
        at = range.end;
    }
    text.push_str(&line[at..]);
    text
}
