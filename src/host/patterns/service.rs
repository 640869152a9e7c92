//! One service of which patterns are learnt: its lines as they may be seen, and when it was last kept.

use std::{collections::HashMap, time::Duration};

use crate::{
    insight::{
        entry::{Belongs, Formats, Joiner},
        patterns::{Patterns, Settings},
    },
    model::{
        level::Level,
        log::{LogBatch, Source, Stream},
        log_file::MOST_FILES,
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
/// Sources of which it is known where they stand: twice the files that a service may have. With one more all begin anew.
const SOURCES: usize = 2 * MOST_FILES;

/// One service.
pub(super) struct Service {
    pub(super) patterns: Patterns,
    /// Of each source its standard output, and its standard error.
    sources: HashMap<Source, [Open; 2]>,
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
        Self { patterns, sources: HashMap::new(), kept: now, bytes: 0, changed: false }
    }

    /// Learns from the lines of a batch that has no secrets. Of a very long line only its beginning; of a traceback what says what it is, not where it went.
    pub(super) fn learn(&mut self, batch: &LogBatch, redactor: Option<&Redactor>, formats: &Formats) {
        if self.sources.len() >= SOURCES && !self.sources.contains_key(&batch.source) {
            self.sources.clear();
        }
        let streams = self.sources.entry(batch.source.clone()).or_default();
        for line in &batch.lines {
            let open = &mut streams[usize::from(line.stream == Stream::Stderr)];
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

#[cfg(test)]
mod tests {
    use super::Service;
    use crate::{
        insight::entry::Formats,
        model::{
            ids::RunId,
            log::{LogBatch, LogLine, Source, Stream},
        },
        world::clock,
    };

    fn batch(source: &Source, text: &str, continued: bool) -> LogBatch {
        let len = u32::try_from(text.len()).unwrap();
        LogBatch {
            service: "shop/web".parse().unwrap(),
            source: source.clone(),
            run: RunId(1),
            wall_us: 1_000_000,
            first_seq: 0,
            text: text.into(),
            lines: Box::new([LogLine { start: 0, len, stream: Stream::Stdout, continued }]),
        }
    }

    #[test]
    fn lines_of_one_source_do_not_go_on_with_those_of_another() {
        let mut service = Service::new(None, clock::now());
        let mut see = |source: &Source, text: &str, continued: bool| {
            let before = service.patterns.lines();
            service.learn(&batch(source, text, continued), None, &Formats::builtin());
            service.patterns.lines() > before
        };
        let [one, other] = ["one.log", "other.log"].map(|name| Source::File(name.into()));
        assert!(see(&one, "Traceback (most recent call last):", false));
        assert!(see(&other, "  an indented line of another file", false), "it is part of no traceback");
        assert!(see(&Source::Output, "  an indented line of no file", false));
        assert!(!see(&one, "  File \"shop.py\", line 3, in sell", false), "it says where the traceback went");
        assert!(see(&one, "the beginning of a very long line", true));
        assert!(see(&other, "a whole line", false));
        assert!(!see(&one, "its end", false), "of a very long line its beginning is learnt from");
    }
}
