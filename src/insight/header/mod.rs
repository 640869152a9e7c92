//! Where the message of a log line begins: the head before it (time, level, process, component) is found from a sample of lines, by columns that have
//! the same kind on nearly every line. Nothing here knows a program or a data set.

mod column;
mod learn;

use self::column::{Column, Kind, column};

/// How many columns more there may be before one whose place is known: names with a space in them.
const SLACK: usize = 2;

/// One thing that is passed over to come to the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// So many columns, the last of which is of this kind.
    Columns(usize, Kind),
    /// Fields with this separator.
    Fields(u8, usize),
    /// Up to a column of this kind, which is among the next `within`; where there is none, `usual` columns.
    Until { kind: Kind, within: usize, usual: usize },
}

/// The form of the head of the lines of one log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    steps: Vec<Step>,
}

impl Header {
    /// From a sample of lines.
    pub fn learn<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        learn::learn(&lines.filter(|line| !line.trim_ascii().is_empty()).collect::<Vec<_>>())
    }

    /// What a line says after its head. A line with another form is all message.
    #[must_use]
    pub fn message<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        let mut at = 0;
        for step in &self.steps {
            match step.end(line, at) {
                Some(end) => at = end,
                None => return line.trim_ascii(),
            }
        }
        line.get(at..).unwrap_or_default().trim_ascii()
    }
}

impl Step {
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
