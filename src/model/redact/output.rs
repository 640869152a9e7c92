//! Batches of output as they may be seen.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use super::Redactor;
use crate::model::log::{Counted, LogBatch, LogLine, Stream};

impl Redactor {
    /// The batch as it may be seen: the same one where nothing is in it.
    #[must_use]
    pub fn batch(&self, batch: &Arc<LogBatch>) -> Arc<LogBatch> {
        if !self.may_be_in(batch) {
            return Arc::clone(batch);
        }
        self.changed(batch, &mut [None; 2]).map_or_else(|| Arc::clone(batch), Arc::new)
    }

    /// Whether there may be a secret in a batch.
    fn may_be_in(&self, batch: &LogBatch) -> bool {
        self.are_suspicious(&batch.text, batch.lines.iter().map(|line| batch.text_of(*line)))
    }

    /// Another batch, where something is in it. `keys`: for each stream how many lines of a private key came before.
    fn changed(&self, batch: &LogBatch, keys: &mut [Option<usize>; 2]) -> Option<LogBatch> {
        let mut shown: Vec<Option<String>> = vec![None; batch.lines.len()];
        for (stream, key) in [Stream::Stdout, Stream::Stderr].into_iter().zip(keys) {
            let own: Vec<usize> = (0..batch.lines.len()).filter(|at| batch.lines[*at].stream == stream).collect();
            let lines: Vec<&str> = own.iter().map(|at| batch.line(*at)).collect();
            let (texts, after) = self.shown(&lines, *key);
            *key = after;
            for (text, at) in texts.into_iter().zip(own) {
                if let Cow::Owned(text) = text {
                    shown[at] = Some(text);
                }
            }
        }
        shown.iter().any(Option::is_some).then(|| with_lines(batch, &shown))
    }
}

/// Output of services that is read from one end to the other: private keys are known over the bounds of batches.
#[derive(Debug)]
pub struct Passage {
    redactor: Arc<Redactor>,
    keys: HashMap<Counted, [Option<usize>; 2]>,
}

impl Passage {
    /// At its beginning.
    #[must_use]
    pub fn through(redactor: Arc<Redactor>) -> Self {
        Self { redactor, keys: HashMap::new() }
    }

    /// The same place in the output, from which on more is known.
    #[must_use]
    pub fn on_through(self, redactor: Arc<Redactor>) -> Self {
        Self { redactor, ..self }
    }

    /// Another batch, where something is in the one that comes next.
    pub fn changed(&mut self, batch: &LogBatch) -> Option<LogBatch> {
        let is_inside = !self.keys.is_empty() && self.keys.contains_key(&batch.counted());
        if !is_inside && !self.redactor.may_be_in(batch) {
            return None;
        }
        let mut keys = self.keys.remove(&batch.counted()).unwrap_or_default();
        let changed = self.redactor.changed(batch, &mut keys);
        if keys.iter().any(Option::is_some) {
            self.keys.insert(batch.counted(), keys);
        }
        changed
    }

    /// The batch that comes next as it may be seen.
    pub fn batch(&mut self, batch: &Arc<LogBatch>) -> Arc<LogBatch> {
        self.changed(batch).map_or_else(|| Arc::clone(batch), Arc::new)
    }
}

fn with_lines(batch: &LogBatch, shown: &[Option<String>]) -> LogBatch {
    let mut text = String::with_capacity(batch.text.len());
    let mut lines = Vec::with_capacity(batch.lines.len());
    for (at, line) in batch.lines.iter().enumerate() {
        let own = shown[at].as_deref().unwrap_or_else(|| batch.text_of(*line));
        let start = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let len = u32::try_from(own.len()).unwrap_or(u32::MAX);
        lines.push(LogLine { start, len, ..*line });
        text.push_str(own);
        text.push('\n');
    }
    LogBatch { text: text.into_boxed_str(), lines: lines.into_boxed_slice(), ..batch.clone() }
}
