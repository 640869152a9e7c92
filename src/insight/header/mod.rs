//! Where the message of a log line begins: the head before it (time, level, process, component) is found from a sample of lines, by columns that have
//! the same kind on nearly every line. Nothing here knows a program or a data set.

mod column;
mod learn;

use serde::{Deserialize, Serialize};

use self::column::{Column, Kind, column};

/// How many columns more there may be before one whose place is known: names with a space in them.
const SLACK: usize = 2;

/// One thing that is passed over to come to the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Step {
    /// So many columns, the last of which is of this kind.
    Columns(usize, Kind),
    /// Fields with this separator.
    Fields(u8, usize),
    /// Up to a column of this kind, which is among the next `within`; where there is none, `usual` columns.
    Until { kind: Kind, within: usize, usual: usize },
}

/// The form of the head of the lines of one log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Step>", into = "Vec<Step>")]
pub struct Header {
    steps: Vec<Step>,
}

impl From<Vec<Step>> for Header {
    /// Of steps that were kept somewhere: what makes no sense is no head.
    fn from(steps: Vec<Step>) -> Self {
        if steps.iter().all(|step| step.is_sound()) { Self { steps } } else { Self::default() }
    }
}

impl From<Header> for Vec<Step> {
    fn from(header: Header) -> Self {
        header.steps
    }
}

impl Header {
    /// From a sample of lines.
    pub fn learn<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        learn::learn(&lines.filter(|line| !line.trim_ascii().is_empty()).collect::<Vec<_>>())
    }

    /// What a line says after its head. A line with another form is all message.
    #[must_use]
    pub fn message<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        self.fit(line).unwrap_or_else(|| line.trim_ascii())
    }

    /// The same; none where the line has another form.
    #[must_use]
    pub fn fit<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        let end = self.steps.iter().try_fold(0, |at, step| step.end(line, at))?;
        Some(line.get(end..).unwrap_or_default().trim_ascii())
    }

    /// Whether lines have no head.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl Step {
    /// Whether it can be taken: counts are from 1, and `learn` makes none that are larger than a line has columns to look at.
    fn is_sound(self) -> bool {
        let range = 1..=64;
        match self {
            Self::Columns(count, _) | Self::Fields(_, count) => range.contains(&count),
            Self::Until { kind: _, within, usual } => range.contains(&within) && usual <= 64,
        }
    }

    /// Where it ends in a line in which it begins at `at`.
    fn end(self, line: &[u8], at: usize) -> Option<usize> {
        match self {
            Self::Columns(count, kind) => {
                let slack = if count > 1 { SLACK } else { 0 };
                columns(line, at)
                    .skip(count - 1)
                    .take(slack + 1)
                    .find(|column| column.kind == kind)
                    .map(|column| column.end)
            }
            Self::Fields(separator, count) => {
                let nth = line[at..].iter().enumerate().filter(|(_, byte)| **byte == separator).nth(count - 1)?.0;
                Some(at + nth + 1)
            }
            Self::Until { kind, within, usual } => {
                let found = columns(line, at).take(within).find(|column| column.kind == kind);
                let column = match found {
                    Some(column) => Some(column.end),
                    None if usual == 0 => Some(at),
                    None => columns(line, at).nth(usual - 1).map(|column| column.end),
                };
                column.or(Some(line.len()))
            }
        }
    }
}

/// The columns of a line from a place on.
fn columns(line: &[u8], from: usize) -> impl Iterator<Item = Column> {
    let mut at = from;
    std::iter::from_fn(move || {
        let found = column(line, at)?;
        at = found.end;
        Some(found)
    })
}

#[cfg(test)]
mod tests;
