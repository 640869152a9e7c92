//! Lines that are not in memory, looked for in what is stored. Promise: what is found is found in what may be seen, and what is left out is left out for what may
//! be seen: no secret can be asked for. Never: on a thread that anybody waits for.

use std::{sync::Arc, time::Duration};

use super::veil::Veil;
use crate::{
    insight::{
        entry::Formats,
        filter::{Filter, Look},
    },
    model::{
        log::LogBatch,
        log_search::{Bound, LogFinds, LogSearch, Towards},
        redact::Redactor,
        text,
    },
    world::log_files::search::{self, Direction, Line, Place, Prefilter, Search},
};

/// Most that one answer holds, and waits for.
const MOST_LINES: usize = 10_000;
const MOST_NEAR: usize = 100;
const MOST_PATIENCE: Duration = Duration::from_secs(5);

/// Looks for lines. **Blocks**.
pub(super) fn search(asked: &LogSearch, places: Vec<Place>, formats: &Formats, veil: &Veil) -> LogFinds {
    let filter = Filter::of(&asked.wish);
    let redactor = veil.redactor();
    let accept = |line: &Line<'_>| filter.is_empty() || accepts(&filter, line, formats, redactor.as_deref());
    // A pattern that is too large for it is looked for line by line.
    let prefilter = filter.prefilter().and_then(|pattern| Prefilter::new(&pattern).ok());
    let prefilter = match &redactor {
        Some(redactor) => prefilter.map(|prefilter| prefilter.through(Arc::clone(redactor))),
        None => prefilter,
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let found = search::search(&Search {
        places,
        direction: match asked.towards {
            Towards::Older => Direction::Backward,
            Towards::Newer => Direction::Forward,
        },
        since_us: asked.wish.since_us,
        until_us: asked.wish.until_us,
        prefilter,
        accept: &accept,
        lines: asked.lines.clamp(1, MOST_LINES),
        near: asked.near.min(MOST_NEAR),
        patience: Duration::from_millis(asked.patience_ms).min(MOST_PATIENCE),
        threads,
    });
    let mut passage = veil.passage();
    let shown = |batch: LogBatch| {
        let batch = Arc::new(batch);
        passage.as_mut().map_or_else(|| Arc::clone(&batch), |passage| passage.batch(&batch))
    };
    LogFinds {
        batches: found.batches.into_iter().map(shown).collect(),
        bounds: found.reached.into_iter().map(|(service, seq)| Bound { service, seq }).collect(),
        is_complete: found.is_complete,
        looked_bytes: found.looked_bytes,
        left_bytes: found.left_bytes,
    }
}

/// Whether a line is meant as it is shown. What is hidden of it says neither yes nor no.
fn accepts(filter: &Filter, line: &Line<'_>, formats: &Formats, redactor: Option<&Redactor>) -> bool {
    let plain = text::plain(line.text);
    let shown = redactor.map(|redactor| redactor.text(&plain));
    let shown = shown.as_deref().unwrap_or(&plain);
    filter.accepts(&Look::at(line.service.service.as_str(), line.stream, shown, formats))
}
