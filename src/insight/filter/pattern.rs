//! What is typed after `/`: a regular expression with smart case, plain text where it is none, `!` before it for "does not
//! match". Linear time by the `regex` crate, so no pattern can stall the screen.

use regex::{Regex, RegexBuilder};

/// How the text was understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As a regular expression.
    Regex,
    /// Character by character, because it is not a valid regular expression.
    Text,
    /// As tests on fields.
    Fields,
    /// As the text of a template.
    Template,
}

impl Reading {
    /// The word shown beside the filter.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Regex => "regex",
            Self::Text => "text",
            Self::Fields => "fields",
            Self::Template => "pattern",
        }
    }
}

/// A filter.
#[derive(Debug, Clone)]
pub struct Pattern {
    source: String,
    regex: Regex,
    reading: Reading,
    inverted: bool,
    ignore_case: bool,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Pattern {
    /// Understands `text`; none where there is nothing to look for.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (body, inverted) = text.strip_prefix('!').map_or((text, false), |body| (body, true));
        if body.is_empty() {
            return None;
        }
        let ignore_case = !body.chars().any(char::is_uppercase);
        let build = |pattern: &str| RegexBuilder::new(pattern).case_insensitive(ignore_case).build();
        let (regex, reading) = match build(body) {
            Ok(regex) => (regex, Reading::Regex),
            // Escaped text is refused only where it is longer than any screen: then there is no filter.
            Err(_) => (build(&regex::escape(body)).ok()?, Reading::Text),
        };
        Some(Self { source: text.to_owned(), regex, reading, inverted, ignore_case })
    }

    /// As typed.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// How it was understood.
    #[must_use]
    pub const fn reading(&self) -> Reading {
        self.reading
    }

    /// Whether `text` (without escape sequences) is to be shown.
    #[must_use]
    pub fn accepts(&self, text: &str) -> bool {
        self.regex.is_match(text) != self.inverted
    }

    /// Whether letters count as the same in both cases.
    #[must_use]
    pub const fn ignores_case(&self) -> bool {
        self.ignore_case
    }

    /// What to highlight; none for an inverted pattern.
    #[must_use]
    pub const fn highlight(&self) -> Option<&Regex> {
        if self.inverted { None } else { Some(&self.regex) }
    }
}
