//! Tests on fields of a line: `status>=500`, `path~/api`, `level=warn`. Never guesses: what is no such test is read otherwise.

use regex::{Regex, RegexBuilder};

use super::Look;
use crate::model::level::Level;

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
    Matches,
    MatchesNot,
}

/// Longer ones first: `>=` begins like `>`.
const OPERATORS: [(&str, Operator); 9] = [
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("!=", Operator::Unequal),
    ("!~", Operator::MatchesNot),
    ("==", Operator::Equal),
    ("=", Operator::Equal),
    (">", Operator::More),
    ("<", Operator::Less),
    ("~", Operator::Matches),
];

/// Nearly every line has a shorter word.
const SHORTEST: usize = 3;

/// One test.
#[derive(Debug, Clone)]
pub(super) struct FieldTest {
    name: String,
    operator: Operator,
    value: String,
    /// The value as a number, in the base of its unit.
    number: Option<f64>,
    regex: Option<Regex>,
}

impl FieldTest {
    /// Understands `name>=value`; none where it is something else.
    pub(super) fn parse(word: &str) -> Option<Self> {
        let end = word.find(|c: char| !(c.is_alphanumeric() || "_.-@$".contains(c)))?;
        let (name, rest) = word.split_at(end);
        let begins_well = name.starts_with(|c: char| c.is_alphabetic() || "_@$".contains(c));
        let (sign, operator) = OPERATORS.iter().find(|(sign, _)| rest.starts_with(sign)).filter(|_| begins_well)?;
        let value = &rest[sign.len()..];
        if value.is_empty() {
            return None;
        }
        let regex = match operator {
            Operator::Matches | Operator::MatchesNot => Some(regex(value)?),
            Operator::Equal
            | Operator::Unequal
            | Operator::Less
            | Operator::AtMost
            | Operator::More
            | Operator::AtLeast => None,
        };
        Some(Self { name: name.to_owned(), operator: *operator, value: value.to_owned(), number: number(value), regex })
    }

    /// A word of ASCII letters and digits that each line has which passes, unless these are escaped in it; none where there is none.
    pub(super) fn literal(&self) -> Option<&str> {
        let is_plain = self.operator == Operator::Equal && self.number.is_none();
        let is_special = ["level", "service", "stream", "format"].contains(&self.name.as_str());
        // Anything else may be written otherwise in a line: `\/`, `\"`, `\u00e9`.
        let words = self.value.split(|letter: char| !letter.is_ascii_alphanumeric());
        let longest = words.max_by_key(|word| word.len()).filter(|word| word.len() >= SHORTEST);
        longest.filter(|_| is_plain && !is_special)
    }

    /// Whether a line passes. One without the field passes only what asks for difference.
    pub(super) fn passes(&self, look: &Look<'_>) -> bool {
        match self.name.as_str() {
            "level" => self.passes_level(look.level()),
            "service" => self.compare(Some(look.service)),
            "stream" => self.compare(Some(look.stream_label())),
            "format" => self.compare(Some(&look.parsed().format)),
            "message" | "msg" => self.compare(Some(&look.parsed().message)),
            name => self.compare(look.parsed().field(name)),
        }
    }

    fn passes_level(&self, level: Option<Level>) -> bool {
        let Some(wanted) = Level::of_word(&self.value) else { return self.compare(level.map(Level::label)) };
        match self.operator {
            Operator::Equal | Operator::Matches => level == Some(wanted),
            Operator::Unequal | Operator::MatchesNot => level != Some(wanted),
            Operator::Less => level.is_some_and(|level| level < wanted),
            Operator::AtMost => level.is_some_and(|level| level <= wanted),
            Operator::More => level.is_some_and(|level| level > wanted),
            Operator::AtLeast => level.is_some_and(|level| level >= wanted),
        }
    }

    fn compare(&self, found: Option<&str>) -> bool {
        let matches = || found.zip(self.regex.as_ref()).is_some_and(|(found, regex)| regex.is_match(found));
        let numbers = || found.and_then(number).zip(self.number);
        let is_equal = || match numbers() {
            Some((one, other)) => (one - other).abs() <= f64::EPSILON * other.abs(),
            None => found.is_some_and(|found| found.eq_ignore_ascii_case(&self.value)),
        };
        match self.operator {
            Operator::Equal => is_equal(),
            Operator::Unequal => !is_equal(),
            Operator::Less => numbers().is_some_and(|(one, other)| one < other),
            Operator::AtMost => numbers().is_some_and(|(one, other)| one <= other),
            Operator::More => numbers().is_some_and(|(one, other)| one > other),
            Operator::AtLeast => numbers().is_some_and(|(one, other)| one >= other),
            Operator::Matches => matches(),
            Operator::MatchesNot => !matches(),
        }
    }
}

fn regex(value: &str) -> Option<Regex> {
    let ignore_case = !value.chars().any(char::is_uppercase);
    RegexBuilder::new(value).case_insensitive(ignore_case).build().ok()
}

/// What a unit is worth: durations in milliseconds, sizes in bytes.
const UNITS: &[(&str, f64)] = &[
    ("ns", 1e-6),
    ("us", 1e-3),
    ("µs", 1e-3),
    ("ms", 1.0),
    ("min", 60_000.0),
    ("s", 1000.0),
    ("m", 60_000.0),
    ("h", 3_600_000.0),
    ("kib", 1024.0),
    ("mib", 1_048_576.0),
    ("gib", 1_073_741_824.0),
    ("kb", 1000.0),
    ("mb", 1e6),
    ("gb", 1e9),
    ("b", 1.0),
    ("%", 1.0),
];

/// A number with or without a unit; durations in milliseconds, sizes in bytes.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    if !begins {
        return None;
    }
    if let Ok(number) = text.parse::<f64>() {
        return Some(number).filter(|number| number.is_finite());
    }
    let digits = text.find(|c: char| !(c.is_ascii_digit() || "+-.eE".contains(c)))?;
    let unit = text[digits..].trim().to_lowercase();
    let factor = UNITS.iter().find(|(name, _)| *name == unit)?.1;
    text[..digits].parse::<f64>().ok().map(|number| number * factor)
}
