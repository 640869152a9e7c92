//! One service of which patterns are learnt: its lines as they may be seen, and when it was last kept.

use std::time::Duration;

use crate::{
    insight::{
        entry::{Belongs, Formats, Joiner},
        patterns::{Patterns, Settings},
    },
    model::{
        level::Level,
        log::{LogBatch, Stream},
        redact::Redactor,
        text::plain,
        time::Timestamp,
    },
};

/// Between two times that a service is kept; longer the larger it is.
const EVERY: Duration = Duration::from_mins(1);
/// And this at most.
const RARELY: Duration = Duration::from_mins(10);
/// Bytes that are kept once a minute.
const SMALL: usize = 64 * 1024;

/// One service.
pub(super) struct Service {
    pub(super) patterns: Patterns,
    /// Of standard output, and of standard error.
    streams: [Open; 2],
    /// When it was last kept, or came to be known.
    kept: Timestamp,
    /// Bytes that were kept.
    bytes: usize,
    /// Something was learnt since.
    pub(super) changed: bool,
}

/// Where a stream stands.
#[derive(Default)]
struct Open {
    joiner: Joiner,
    /// The next line goes on with one that was looked at.
    continued: bool,
    /// How serious the entry says it is that may go on.
    level: Option<Level>,
}

impl Service {
    pub(super) fn new(patterns: Option<Patterns>, now: Timestamp) -> Self {
        let patterns = patterns.unwrap_or_else(|| Patterns::new(Settings::default()));
        Self { patterns, streams: Default::default(), kept: now, bytes: 0, changed: false }
    }

    /// Learns from the lines of a batch that has no secrets. Of a very long line only its beginning; of a traceback what says what it is, not where it went.
    pub(super) fn learn(&mut self, batch: &LogBatch, redactor: Option<&Redactor>, formats: &Formats) {
        for line in &batch.lines {
            let open = &mut self.streams[usize::from(line.stream == Stream::Stderr)];
            let goes_on = std::mem::replace(&mut open.continued, line.continued);
            if goes_on {
                continue;
            }
            let text = plain(batch.text_of(*line));
            // Escape sequences may have stood within a secret.
            let text = match (&text, redactor) {
                (std::borrow::Cow::Owned(cleaned), Some(redactor)) => redactor.text(cleaned),
                _ => text.as_ref().into(),
            };
            match open.joiner.feed(&text) {
                Belongs::New => open.level = formats.level(&text),
                Belongs::Continues if text.trim().is_empty() || text.starts_with(char::is_whitespace) => continue,
                Belongs::Continues => {}
            }
            self.patterns.take(&text, open.level, batch.wall_us, batch.run);
        }
        self.changed = true;
    }

    /// Whether it is to be kept again.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let times = u32::try_from(1 + self.bytes / SMALL).unwrap_or(u32::MAX);
        self.changed && now.since(self.kept) >= EVERY.saturating_mul(times).min(RARELY)
    }

    /// The bytes to keep, as of `now`.
    pub(super) fn pack(&mut self, now: Timestamp) -> Option<Vec<u8>> {
        let packed = super::pack(&self.patterns.state());
        self.kept = now;
        self.bytes = packed.as_ref().map_or(0, Vec::len);
        self.changed = false;
        packed
    }
}
