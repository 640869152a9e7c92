//! Which lines are shown, found or printed: what a person types, understood once, for the console, the command line and the search of stored output.
//!
//! Promise: linear in the line, whatever is typed; what is shown as understood is what is looked for. Never: remembers a line.

mod fields;
mod pattern;
mod template;
#[cfg(test)]
mod tests;

use std::cell::OnceCell;

use regex::Regex;

use self::fields::FieldTest;
pub use self::pattern::{Pattern, Reading};
use super::entry::{Formats, Parsed};
use crate::model::{level::Level, log::Stream, log_search::LogWish};

/// Before the text of a template.
pub const TEMPLATE: &str = "pattern:";

/// A line that is looked at; its structure is found where it is asked for, once.
#[derive(Debug)]
pub struct Look<'a> {
    service: &'a str,
    stream: Stream,
    text: &'a str,
    formats: &'a Formats,
    level: OnceCell<Option<Level>>,
    parsed: OnceCell<Parsed<'a>>,
}

impl<'a> Look<'a> {
    /// At a line of `service`; `text` is without escape sequences.
    #[must_use]
    pub const fn at(service: &'a str, stream: Stream, text: &'a str, formats: &'a Formats) -> Self {
        Self { service, stream, text, formats, level: OnceCell::new(), parsed: OnceCell::new() }
    }

    /// The same line as part of an entry that is as serious as `level` says.
    #[must_use]
    pub fn of_level(self, level: Option<Level>) -> Self {
        Self { level: OnceCell::from(level), ..self }
    }

    fn parsed(&self) -> &Parsed<'a> {
        self.parsed.get_or_init(|| self.formats.parse(self.text))
    }

    fn level(&self) -> Option<Level> {
        *self.level.get_or_init(|| self.formats.level(self.text))
    }

    const fn stream_label(&self) -> &'static str {
        match self.stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// One thing that a line must have, or must not have.
#[derive(Debug, Clone)]
pub struct Term {
    source: String,
    inverted: bool,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Text(Pattern),
    Fields(Vec<FieldTest>),
    Template(Regex),
}

impl PartialEq for Term {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Term {
    /// Understands what was typed; none where there is nothing to look for.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (body, inverted) = text.strip_prefix('!').map_or((text, false), |body| (body, true));
        let source = text.to_owned();
        if let Some(template) = body.strip_prefix(TEMPLATE) {
            return Some(Self { source, inverted, test: Test::Template(template::regex(template)?) });
        }
        if let Some(fields) = fields(body) {
            return Some(Self { source, inverted, test: Test::Fields(fields) });
        }
        Some(Self { source, inverted, test: Test::Text(Pattern::parse(body)?) })
    }

    /// As typed.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// How it was understood.
    #[must_use]
    pub const fn reading(&self) -> Reading {
        match &self.test {
            Test::Text(pattern) => pattern.reading(),
            Test::Fields(_) => Reading::Fields,
            Test::Template(_) => Reading::Template,
        }
    }

    /// Whether a line has it.
    #[must_use]
    pub fn accepts(&self, look: &Look<'_>) -> bool {
        let has = match &self.test {
            Test::Text(pattern) => pattern.accepts(look.text),
            Test::Fields(fields) => fields.iter().all(|test| test.passes(look)),
            Test::Template(regex) => regex.is_match(look.text),
        };
        has != self.inverted
    }

    /// What to mark in the lines; none where they are those that do not have it, or where it is no text.
    #[must_use]
    pub const fn highlight(&self) -> Option<&Regex> {
        match &self.test {
            Test::Text(pattern) if !self.inverted => pattern.highlight(),
            Test::Text(_) | Test::Fields(_) | Test::Template(_) => None,
        }
    }

    /// A regular expression that every line matches which has it, and how much it asks for; none where nothing is known of them.
    fn prefilter(&self) -> Option<(usize, String)> {
        if self.inverted {
            return None;
        }
        match &self.test {
            Test::Text(pattern) => {
                let regex = pattern.highlight()?.as_str();
                let ignoring_case = if pattern.ignores_case() { "(?i)" } else { "" };
                Some((regex.len(), format!("{ignoring_case}{regex}")))
            }
            Test::Template(regex) => Some((regex.as_str().len(), regex.as_str().to_owned())),
            Test::Fields(fields) => {
                let literal = fields.iter().filter_map(FieldTest::literal).max_by_key(|literal| literal.len())?;
                // JSON may have letters and digits as `\u0061`, although hardly anybody writes them so.
                Some((literal.len(), format!(r"(?i){literal}|\\u00[3-7]")))
            }
        }
    }
}

/// Words that are all tests on fields.
fn fields(text: &str) -> Option<Vec<FieldTest>> {
    let words = words(text)?;
    if words.is_empty() {
        return None;
    }
    words.iter().map(|word| FieldTest::parse(word)).collect()
}

/// The words of a text; `"` and `'` hold what has spaces, and a backslash is itself, for expressions are full of them. None
/// where a quote has no end.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(open) if open == c => quote = None,
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            Some(_) | None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// Everything that a line must have.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    terms: Vec<Term>,
    level: Option<Level>,
}

impl Filter {
    /// Of terms that were understood, and a least level.
    #[must_use]
    pub const fn new(terms: Vec<Term>, level: Option<Level>) -> Self {
        Self { terms, level }
    }

    /// Of what a client wishes, without its times.
    #[must_use]
    pub fn of(wish: &LogWish) -> Self {
        Self { terms: wish.terms.iter().filter_map(|term| Term::parse(term)).collect(), level: wish.level }
    }

    /// Whether every line is accepted.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.terms.is_empty() && self.level.is_none()
    }

    /// Its terms.
    #[must_use]
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// The least level of lines.
    #[must_use]
    pub const fn level(&self) -> Option<Level> {
        self.level
    }

    /// Whether a line is meant.
    #[must_use]
    pub fn accepts(&self, look: &Look<'_>) -> bool {
        // Text first: to look for it costs least.
        self.has(look) && self.admits(look)
    }

    /// Whether the first line of an entry keeps it from being meant: by its level, or by something that it must not have.
    #[must_use]
    pub fn admits(&self, first: &Look<'_>) -> bool {
        self.terms.iter().filter(|term| term.inverted).all(|term| term.accepts(first))
            && self.level.is_none_or(|least| first.level().is_some_and(|level| level >= least))
    }

    /// Whether a line of an entry that is admitted has all that is looked for.
    #[must_use]
    pub fn has(&self, look: &Look<'_>) -> bool {
        self.terms.iter().filter(|term| !term.inverted).all(|term| term.accepts(look))
    }

    /// A regular expression that every accepted line matches, to pass over the others quickly; none where nothing is known of them. Of several the longest, which
    /// is likely to match least.
    #[must_use]
    pub fn prefilter(&self) -> Option<String> {
        self.terms.iter().filter_map(Term::prefilter).max_by_key(|(asks, _)| *asks).map(|(_, regex)| regex)
    }
}
