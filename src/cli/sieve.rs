//! Which lines of a log are printed: those that are asked for, the whole of what they are a part of, and lines around them. Never waits for a line that
//! may come, but for those that are only printed if something follows them.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use regex::Regex;

use super::{render::logs::OneLine, text};
use crate::{
    insight::{
        entry::{Belongs, Formats, Joiner},
        filter::{Filter, Look},
    },
    model::{
        ids::ServiceId,
        level::Level,
        log::{Source, Stream},
    },
};

/// Lines of one entry that are kept while it is not known whether it is asked for.
const HELD: usize = 500;

/// A line that is to be printed.
#[derive(Debug)]
pub(super) struct Passed {
    pub(super) line: OneLine,
    /// Lines of its service were left out before it, and lines around matches are asked for.
    pub(super) after_gap: bool,
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Sought {
    pub(super) grep: Option<Regex>,
    pub(super) filter: Filter,
    /// Lines before and after each match.
    pub(super) context: usize,
}

impl Sought {
    /// Whether every line is.
    pub(super) fn is_everything(&self) -> bool {
        self.grep.is_none() && self.filter.is_empty()
    }
}

/// Lets lines pass.
#[derive(Debug)]
pub(super) struct Sieve {
    sought: Sought,
    formats: Arc<Formats>,
    streams: HashMap<(ServiceId, Source, Stream), Open>,
    near: HashMap<ServiceId, Near>,
}

/// The entry of a stream that may go on.
#[derive(Debug, Default)]
struct Open {
    joiner: Joiner,
    /// The last line was a piece of a longer one.
    continued: bool,
    level: Option<Level>,
    /// Nothing in its first line keeps it from being printed.
    admitted: bool,
    accepted: bool,
    held: Vec<OneLine>,
}

/// What is around in the lines of a service.
#[derive(Debug, Default)]
struct Near {
    before: VecDeque<OneLine>,
    after: usize,
    left_out: bool,
    printed: bool,
}

impl Sieve {
    pub(super) fn new(sought: Sought, formats: Arc<Formats>) -> Self {
        Self { sought, formats, streams: HashMap::new(), near: HashMap::new() }
    }

    /// Takes a line; whatever is to be printed now goes to `out`.
    pub(super) fn take(&mut self, line: OneLine, out: &mut Vec<Passed>) {
        if self.sought.is_everything() {
            out.push(Passed { line, after_gap: false });
            return;
        }
        let plain = text::plain(&line.text).into_owned();
        let key = (line.service.clone(), line.source.clone(), line.stream);
        let mut open = self.streams.remove(&key).unwrap_or_default();
        let is_piece = std::mem::replace(&mut open.continued, line.continued);
        let goes_on = is_piece || open.joiner.feed(&plain) == Belongs::Continues;
        if !goes_on {
            self.pass_over(&line.service, std::mem::take(&mut open.held), out);
            open.level = self.formats.level(&plain);
            open.admitted = self.sought.filter.admits(&self.look(&line, &plain, open.level));
            open.accepted = false;
        }
        if open.accepted {
            self.print(vec![line], out);
        } else if open.admitted && self.has(&line, &plain, open.level) {
            open.accepted = true;
            let mut all = std::mem::take(&mut open.held);
            all.push(line);
            self.print(all, out);
        } else {
            open.held.push(line);
            if open.held.len() > HELD {
                let oldest = open.held.remove(0);
                self.pass_over(&key.0, vec![oldest], out);
            }
        }
        self.streams.insert(key, open);
    }

    fn look<'l>(&'l self, line: &'l OneLine, plain: &'l str, level: Option<Level>) -> Look<'l> {
        Look::at(line.service.service.as_str(), line.stream, plain, &self.formats).of_level(level)
    }

    fn has(&self, line: &OneLine, plain: &str, level: Option<Level>) -> bool {
        self.sought.grep.as_ref().is_none_or(|grep| grep.is_match(plain))
            && self.sought.filter.has(&self.look(line, plain, level))
    }

    /// Prints lines that are asked for, and what stands before them.
    fn print(&mut self, lines: Vec<OneLine>, out: &mut Vec<Passed>) {
        let Some(service) = lines.first().map(|line| line.service.clone()) else { return };
        let near = self.near.entry(service).or_default();
        let mut after_gap = near.left_out && near.printed && self.sought.context > 0;
        near.left_out = false;
        near.printed = true;
        near.after = self.sought.context;
        for line in near.before.drain(..).chain(lines) {
            out.push(Passed { line, after_gap: std::mem::take(&mut after_gap) });
        }
    }

    /// Lines that are not asked for: printed behind a match, or kept for the next one.
    fn pass_over(&mut self, service: &ServiceId, lines: Vec<OneLine>, out: &mut Vec<Passed>) {
        let near = self.near.entry(service.clone()).or_default();
        for line in lines {
            if near.after > 0 {
                near.after -= 1;
                out.push(Passed { line, after_gap: false });
                continue;
            }
            near.before.push_back(line);
            if near.before.len() > self.sought.context {
                near.before.pop_front();
                near.left_out = true;
            }
        }
    }

    /// Nothing comes any more, or not soon: what still stands behind a match is printed.
    pub(super) fn settle(&mut self, out: &mut Vec<Passed>) {
        let mut held: Vec<OneLine> =
            self.streams.values_mut().flat_map(|open| std::mem::take(&mut open.held)).collect();
        held.sort_by_key(|line| (line.wall_us, line.seq));
        for line in held {
            let service = line.service.clone();
            self.pass_over(&service, vec![line], out);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Sieve, Sought};
    use crate::{
        cli::render::logs::OneLine,
        insight::{
            entry::Formats,
            filter::{Filter, Term},
        },
        model::{
            ids::RunId,
            level::Level,
            log::{Source, Stream},
        },
    };

    fn passed(sought: Sought, lines: &[&str]) -> Vec<String> {
        let mut sieve = Sieve::new(sought, Arc::new(Formats::builtin()));
        let mut out = Vec::new();
        for (seq, text) in (0..).zip(lines) {
            let line = OneLine {
                service: "shop/web".parse().unwrap(),
                source: Source::Output,
                run: RunId(1),
                seq,
                wall_us: None,
                stream: Stream::Stdout,
                continued: false,
                text: (*text).to_owned(),
            };
            sieve.take(line, &mut out);
        }
        sieve.settle(&mut out);
        out.iter().map(|passed| format!("{}{}", if passed.after_gap { "--" } else { "" }, passed.line.text)).collect()
    }

    fn filter(term: &str, level: Option<Level>) -> Filter {
        Filter::new(Term::parse(term).into_iter().collect(), level)
    }

    #[test]
    fn what_belongs_to_a_match_is_printed_with_it_wherever_the_match_stands_in_it() {
        let lines = ["INFO a", "ERROR it failed", "  at one", "  at two", "INFO b"];
        let errors = Sought { filter: filter("", Some(Level::Error)), ..Sought::default() };
        assert_eq!(passed(errors, &lines), ["ERROR it failed", "  at one", "  at two"]);
        let within = Sought { filter: filter("at one", None), ..Sought::default() };
        assert_eq!(passed(within, &lines), ["ERROR it failed", "  at one", "  at two"]);
    }

    #[test]
    fn lines_around_matches_are_printed_once_and_a_gap_is_told() {
        let lines = ["1", "2", "x3", "4", "x5", "6", "7", "8", "9", "x10", "11"];
        let sought = Sought { filter: filter("x", None), context: 1, ..Sought::default() };
        assert_eq!(passed(sought, &lines), ["2", "x3", "4", "x5", "6", "--9", "x10", "11"]);
        let sought = Sought { filter: filter("x", None), ..Sought::default() };
        assert_eq!(passed(sought, &lines), ["x3", "x5", "x10"]);
        assert_eq!(passed(Sought::default(), &lines).len(), 11);
    }
}
