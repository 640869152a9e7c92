//! Batches of output as they may be seen.

use std::{borrow::Cow, sync::Arc};

use super::{Redactor, pem::Pem};
use crate::model::log::{LogBatch, LogLine, Stream};

impl Redactor {
    /// The batch as it may be seen: the same one where nothing is in it.
    #[must_use]
    pub fn batch(&self, batch: &Arc<LogBatch>) -> Arc<LogBatch> {
        self.changed(batch).map_or_else(|| Arc::clone(batch), Arc::new)
    }

    /// Another batch, where something is in it.
    #[must_use]
    pub fn changed(&self, batch: &LogBatch) -> Option<LogBatch> {
        if !self.is_suspicious(&batch.text) {
            return None;
        }
        let mut shown: Vec<Option<String>> = vec![None; batch.lines.len()];
        for stream in [Stream::Stdout, Stream::Stderr] {
            let own: Vec<usize> = (0..batch.lines.len()).filter(|at| batch.lines[*at].stream == stream).collect();
            let lines: Vec<&str> = own.iter().map(|at| batch.line(*at)).collect();
            let pem = Pem::of(&lines);
            for (index, at) in own.iter().enumerate() {
                if let Cow::Owned(text) = self.line(lines[index], pem.at(index)) {
                    shown[*at] = Some(text);
                }
            }
        }
        shown.iter().any(Option::is_some).then(|| with_lines(batch, &shown))
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
