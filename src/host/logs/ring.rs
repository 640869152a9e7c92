//! The newest output in memory. Never more than its bounds, whatever comes.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::model::{
    ids::{ProjectName, ServiceId},
    log::{Counted, LogBatch, forgotten_for},
};

/// Bytes of output that are kept in memory over all services.
pub(super) const TOTAL_BYTES: usize = 64 * 1024 * 1024;

/// Bytes of output that are kept in memory for one source of a service at most.
pub(super) const SERVICE_BYTES: usize = 2 * 1024 * 1024;

/// Bytes that every source may keep, however many there are.
const LEAST_BYTES: usize = 32 * 1024;

/// The newest batches of each source of each service, bounded by bytes; of files of a service those that were written to last.
#[derive(Debug)]
pub(super) struct Ring {
    sources: HashMap<Counted, Kept>,
    total: usize,
}

impl Default for Ring {
    fn default() -> Self {
        Self::of(TOTAL_BYTES)
    }
}

#[derive(Debug, Default)]
struct Kept {
    batches: VecDeque<Arc<LogBatch>>,
    bytes: usize,
}

impl Ring {
    /// One that keeps about so many bytes over all services.
    pub(super) fn of(total: usize) -> Self {
        Self { sources: HashMap::new(), total }
    }

    /// Takes the newest batch of its source.
    pub(super) fn push(&mut self, batch: Arc<LogBatch>) {
        let counted = batch.counted();
        if !self.sources.contains_key(&counted) {
            if let Some(forgotten) =
                forgotten_for(&counted, self.sources.iter().map(|(id, kept)| (id, kept.newest_us())))
            {
                self.sources.remove(&forgotten);
            }
            self.make_room();
        }
        let bound = self.bound();
        let kept = self.sources.entry(counted).or_default();
        kept.bytes += batch.weight();
        kept.batches.push_back(batch);
        kept.keep(bound);
    }

    /// Takes older batches, in their order. What is not older than what is there already is there already.
    pub(super) fn restore(&mut self, batches: Vec<LogBatch>) {
        for batch in batches.into_iter().rev() {
            let counted = batch.counted();
            if !self.sources.contains_key(&counted) {
                self.make_room();
            }
            let bound = self.bound();
            let kept = self.sources.entry(counted).or_default();
            let end = batch.first_seq + batch.lines.len() as u64;
            let is_older = kept.batches.front().is_none_or(|oldest| end <= oldest.first_seq);
            if is_older && kept.bytes + batch.weight() <= bound {
                kept.bytes += batch.weight();
                kept.batches.push_front(Arc::new(batch));
            }
        }
    }

    /// Lets go of what a project wrote: its slots have it.
    pub(super) fn forget(&mut self, project: &ProjectName) {
        self.sources.retain(|(service, _), _| service.project != *project);
    }

    /// What there is of one service or of all, oldest first.
    pub(super) fn recall(&self, service: Option<&ServiceId>) -> Vec<Arc<LogBatch>> {
        let chosen = self.sources.iter().filter(|((id, _), _)| service.is_none_or(|service| id == service));
        let mut batches: Vec<(i64, &Arc<LogBatch>)> = chosen.flat_map(|(_, kept)| kept.in_time()).collect();
        batches.sort_by_key(|(at, _)| *at);
        batches.into_iter().map(|(_, batch)| Arc::clone(batch)).collect()
    }

    /// With one more, each of the others may keep less.
    fn make_room(&mut self) {
        let bound = self.bound();
        for kept in self.sources.values_mut() {
            kept.keep(bound);
        }
    }

    /// Bytes that each source may keep.
    fn bound(&self) -> usize {
        (self.total / (self.sources.len() + 1)).clamp(LEAST_BYTES, SERVICE_BYTES)
    }
}

impl Kept {
    fn newest_us(&self) -> i64 {
        self.batches.back().map_or(i64::MIN, |batch| batch.wall_us)
    }

    /// The batches with their times; order stays where the clock was set back.
    fn in_time(&self) -> impl Iterator<Item = (i64, &Arc<LogBatch>)> {
        self.batches.iter().scan(i64::MIN, |newest, batch| {
            *newest = batch.wall_us.max(*newest);
            Some((*newest, batch))
        })
    }

    fn keep(&mut self, bound: usize) {
        while self.bytes > bound && self.batches.len() > 1 {
            if let Some(dropped) = self.batches.pop_front() {
                self.bytes -= dropped.weight();
            }
        }
    }
}
