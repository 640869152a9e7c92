//! Lines as they come, and the text of those that are asked for.

use std::{collections::VecDeque, sync::Arc};

use crate::cli::{
    render::logs::{LogLook, LogPrinter, OneLine},
    sieve::{Passed, Sieve, Sought},
};

/// What `cas logs` writes, before it is written.
pub(super) struct Outlet {
    printer: LogPrinter,
    sieve: Sieve,
    /// Room that is used again.
    passed: Vec<Passed>,
    /// The last lines, while only those are wanted.
    tail: Option<(usize, VecDeque<Passed>)>,
    text: String,
}

impl Outlet {
    /// Of lines that look so, those that are sought, and of them only the last so many until [`Self::settle`].
    pub(super) fn new(look: LogLook, sought: Sought, tail: Option<usize>) -> Self {
        Self {
            sieve: Sieve::new(sought, Arc::clone(&look.formats)),
            printer: LogPrinter::new(look),
            passed: Vec::new(),
            tail: tail.map(|count| (count, VecDeque::new())),
            text: String::new(),
        }
    }

    /// One more line.
    pub(super) fn take(&mut self, line: OneLine) {
        self.sieve.take(line, &mut self.passed);
        self.pass_on();
    }

    /// What waited for more waits no longer, and the last lines are those that came.
    pub(super) fn settle(&mut self) {
        self.sieve.settle(&mut self.passed);
        self.pass_on();
        for passed in self.tail.take().map(|(_, last)| last).unwrap_or_default() {
            self.print(&passed);
        }
    }

    /// The text, where that is so many bytes and not nothing; it is there no more.
    pub(super) fn text(&mut self, at_least: usize) -> Option<String> {
        let is_enough = !self.text.is_empty() && self.text.len() >= at_least;
        is_enough.then(|| std::mem::take(&mut self.text))
    }

    fn pass_on(&mut self) {
        let mut passed = std::mem::take(&mut self.passed);
        for passed in passed.drain(..) {
            match &mut self.tail {
                None => self.print(&passed),
                Some((count, last)) => {
                    last.push_back(passed);
                    while last.len() > *count {
                        last.pop_front();
                    }
                }
            }
        }
        self.passed = passed;
    }

    /// A line, and what tells that others were left out before it.
    fn print(&mut self, passed: &Passed) {
        if passed.after_gap {
            self.printer.gap(&mut self.text);
        }
        self.printer.line(&mut self.text, &passed.line);
    }
}
