//! Private keys in PEM, which have many lines: those between `BEGIN` and `END`, as far as the lines at hand go.

use std::{ops::Range, sync::LazyLock};

use memchr::memmem::Finder;

/// What is shown in the place of a line of a key.
pub(super) const LABEL: &str = "private-key";

/// How the words of an edge end.
const EDGE: &str = "PRIVATE KEY-----";

static EDGES: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(EDGE));

/// So many lines a key may have.
const MOST: usize = 200;

/// Which lines belong to keys, and with which part.
#[derive(Default)]
pub(super) struct Pem(Vec<(usize, Range<usize>)>);

impl Pem {
    /// Of lines that follow one another. `inside`: so many lines of a key came before them; also given back, for what comes after them.
    pub(super) fn of(lines: &[&str], mut inside: Option<usize>) -> (Self, Option<usize>) {
        let mut parts = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            // Most lines have neither.
            let edge = |word| EDGES.find(line.as_bytes()).and_then(|_| edge(line, word));
            let (begin, end) = (edge("-----BEGIN "), edge("-----END "));
            match (inside, begin, end) {
                // All in one line.
                (_, Some((_, from)), Some((to, _))) if from < to => parts.push((at, from..to)),
                (None, None, Some((to, _))) => parts.extend(before(lines, at, to)),
                (Some(_), None, Some((to, _))) => {
                    parts.push((at, 0..to));
                    inside = None;
                }
                (_, Some((_, from)), _) => {
                    parts.push((at, from..line.len()));
                    inside = Some(0);
                }
                (Some(before), None, None) if before < MOST && may_go_on(line) => {
                    parts.push((at, 0..line.len()));
                    inside = Some(before + 1);
                }
                (Some(_), None, None) => inside = None,
                (None, None, None) => {}
            }
        }
        parts.retain(|(_, part)| !part.is_empty());
        (Self(parts), inside)
    }

    /// The part of line `at`.
    pub(super) fn at(&self, at: usize) -> Option<Range<usize>> {
        let index = self.0.binary_search_by_key(&at, |(line, _)| *line).ok()?;
        Some(self.0[index].1.clone())
    }
}

/// Where the words of an edge begin and end.
fn edge(line: &str, word: &str) -> Option<(usize, usize)> {
    let start = line.find(word)?;
    let name = &line[start + word.len()..];
    let end = name.find(EDGE)?;
    (end < 40).then(|| (start, start + word.len() + end + EDGE.len()))
}

/// Whether a line may be one of a key, also behind a prefix of whoever has printed it.
fn may_go_on(line: &str) -> bool {
    let is_head = ["Proc-Type:", "DEK-Info:"].iter().any(|head| line.starts_with(head));
    let has_run = || line.split(|letter: char| !is_part(letter)).any(|run| run.len() >= 40);
    is_head || line.chars().all(|letter| is_part(letter) || matches!(letter, '\r' | ' ')) || has_run()
}

const fn is_part(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/' | '=')
}

/// The lines before an end whose beginning is not at hand: those that look like a key.
fn before(lines: &[&str], at: usize, to: usize) -> Vec<(usize, Range<usize>)> {
    let first = lines[..at].iter().rposition(|line| !may_go_on(line)).map_or(0, |other| other + 1);
    let first = first.max(at.saturating_sub(MOST));
    (first..at).map(|line| (line, 0..lines[line].len())).chain([(at, 0..to)]).collect()
}
