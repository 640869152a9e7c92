//! Patterns in the output. Never looks at escape sequences, and never at a line twice for one pattern.

use regex::Regex;

use super::assembly::Draft;
use crate::model::{
    probe::{Check, ProbeKind},
    service::ServiceSpec,
};

/// For which question a pattern is watched; none: the service's `ready_log_line`.
pub type Question = Option<ProbeKind>;

#[derive(Debug)]
struct Watch {
    pattern: String,
    regex: Result<Regex, String>,
    has_matched: bool,
    asked_by: Vec<Question>,
}

impl Watch {
    fn new(pattern: &str) -> Self {
        let regex = Regex::new(pattern).map_err(|error| format!("not a usable pattern: {error}"));
        Self { pattern: pattern.to_owned(), regex, has_matched: false, asked_by: Vec::new() }
    }
}

/// Every pattern of one run.
///
/// Those that the service's declaration names are looked for from the first line on, also before anybody asked.
#[derive(Debug, Default)]
pub(super) struct Watches(Vec<Watch>);

impl Watches {
    /// The patterns that `spec` names.
    pub(super) fn of(spec: &ServiceSpec) -> Self {
        let mut watches = Self(Vec::new());
        if let Some(pattern) = &spec.ready_log_line {
            watches.entry(pattern);
        }
        for probe in spec.probes.values() {
            match &probe.check {
                Check::Log { pattern } => {
                    watches.entry(pattern);
                }
                Check::Exec(_) | Check::Http { .. } | Check::Tcp { .. } | Check::Server { .. } | Check::Container => {}
            }
        }
        watches
    }

    fn entry(&mut self, pattern: &str) -> &mut Watch {
        let at = self.0.iter().position(|watch| watch.pattern == pattern).unwrap_or_else(|| {
            self.0.push(Watch::new(pattern));
            self.0.len() - 1
        });
        &mut self.0[at]
    }

    /// Watches for `question`; true where the pattern has appeared already.
    ///
    /// # Errors
    /// A sentence where the pattern cannot be compiled.
    pub(super) fn ask(&mut self, question: Question, pattern: &str) -> Result<bool, String> {
        let watch = self.entry(pattern);
        if let Err(error) = &watch.regex {
            return Err(error.clone());
        }
        if !watch.has_matched {
            watch.asked_by.push(question);
        }
        Ok(watch.has_matched)
    }

    /// True where the pattern has appeared; watched from now on where it was not yet.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(super) fn has_matched(&mut self, pattern: &str) -> Result<bool, String> {
        let watch = self.entry(pattern);
        watch.regex.as_ref().map(|_| watch.has_matched).map_err(String::clone)
    }

    /// Looks at new lines; the questions that they answer.
    pub(super) fn look(&mut self, draft: &Draft) -> Vec<Question> {
        let mut answered = Vec::new();
        for watch in self.0.iter_mut().filter(|watch| !watch.has_matched) {
            let Ok(regex) = &watch.regex else { continue };
            watch.has_matched =
                draft.lines.iter().any(|line| regex.is_match(&crate::model::text::plain(draft.text_of(*line))));
            if watch.has_matched {
                answered.append(&mut watch.asked_by);
            }
        }
        answered
    }
}
