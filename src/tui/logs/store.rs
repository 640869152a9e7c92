//! Rings of log batches, one per source of a service, bounded by bytes each and together. The oldest go first; nothing is copied.
//! Never touches a file: what left the ring is the store's business, not the screen's.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::row::EntryRow;
use crate::model::{
    ids::ServiceId,
    log::{Counted, LogBatch, LogLine, Source},
    log_search::Towards,
};

/// Bytes kept of one source of a service.
pub const PER_SERVICE_BYTES: usize = 2 * 1024 * 1024;

/// Bytes kept of all services together.
pub const TOTAL_BYTES: usize = 64 * 1024 * 1024;

/// A batch and its place in the order of arrival.
#[derive(Debug, Clone)]
pub struct Held {
    /// Counts up with every batch.
    pub serial: u64,
    /// The lines.
    pub batch: Arc<LogBatch>,
}

/// What is kept of one source of a service.
#[derive(Debug)]
pub struct Ring {
    /// Whose.
    pub service: ServiceId,
    batches: VecDeque<Held>,
    bytes: usize,
    lines: usize,
    next_seq: u64,
    newest_us: i64,
}

impl Ring {
    /// Lines in it.
    #[must_use]
    pub const fn lines(&self) -> usize {
        self.lines
    }

    /// The newest batch whose serial is below `serial`.
    #[must_use]
    pub fn before(&self, serial: u64) -> Option<&Held> {
        let place = self.batches.partition_point(|held| held.serial < serial);
        self.batches.get(place.checked_sub(1)?)
    }

    /// The newest batch.
    #[must_use]
    pub fn newest(&self) -> Option<&Held> {
        self.batches.back()
    }

    /// The oldest batch whose serial is above `serial`.
    fn after(&self, serial: u64) -> Option<&Held> {
        self.batches.get(self.batches.partition_point(|held| held.serial <= serial))
    }

    /// Whether it holds what a service wrote to its descriptors, and not lines of a file.
    #[must_use]
    pub fn is_of_output(&self) -> bool {
        self.batches.front().is_some_and(|held| held.batch.source == Source::Output)
    }

    /// The oldest batch.
    #[must_use]
    pub fn oldest(&self) -> Option<&Held> {
        self.batches.front()
    }

    fn get(&self, serial: u64) -> Option<&Held> {
        let place = self.batches.binary_search_by_key(&serial, |held| held.serial).ok()?;
        self.batches.get(place)
    }

    fn drop_oldest(&mut self) -> usize {
        let Some(oldest) = self.batches.pop_front() else { return 0 };
        let weight = oldest.batch.weight();
        self.bytes -= weight;
        self.lines -= oldest.batch.lines.len();
        weight
    }
}

/// Batches among which the next one of the same service is looked for.
const NEAR: u64 = 64;

/// What was loaded from the store, in the order of time.
#[derive(Debug)]
struct Past {
    batches: VecDeque<Arc<LogBatch>>,
    /// Serial of the first.
    first: u64,
    bytes: usize,
}

impl Default for Past {
    fn default() -> Self {
        // There is room for as much on either side.
        Self { batches: VecDeque::new(), first: LIVE / 2, bytes: 0 }
    }
}

impl Past {
    fn get(&self, serial: u64) -> Option<&Arc<LogBatch>> {
        self.batches.get(usize::try_from(serial.checked_sub(self.first)?).ok()?)
    }

    fn take(&mut self, batches: Vec<Arc<LogBatch>>, towards: Towards) -> std::ops::Range<u64> {
        self.bytes += batches.iter().map(|batch| batch.weight()).sum::<usize>();
        let count = batches.len() as u64;
        match towards {
            Towards::Older => {
                self.first -= count;
                batches.into_iter().rev().for_each(|batch| self.batches.push_front(batch));
                self.first..self.first + count
            }
            Towards::Newer => {
                let begin = self.first + self.batches.len() as u64;
                self.batches.extend(batches);
                begin..begin + count
            }
        }
    }

    fn forget_from(&mut self, serial: u64) -> Vec<Arc<LogBatch>> {
        let kept = usize::try_from(serial.saturating_sub(self.first)).unwrap_or(usize::MAX).min(self.batches.len());
        let gone: Vec<_> = self.batches.drain(kept..).rev().collect();
        self.bytes -= gone.iter().map(|batch| batch.weight()).sum::<usize>();
        gone
    }

    fn forget_before(&mut self, serial: u64) -> Vec<Arc<LogBatch>> {
        let count = usize::try_from(serial.saturating_sub(self.first)).unwrap_or(usize::MAX).min(self.batches.len());
        let gone: Vec<_> = self.batches.drain(..count).collect();
        self.first += count as u64;
        self.bytes -= gone.iter().map(|batch| batch.weight()).sum::<usize>();
        gone
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Number of its ring.
    pub slot: u32,
    /// Its place in the order of arrival.
    pub serial: u64,
    /// Older batches had to go.
    pub evicted: bool,
}

/// Serials from here on are of batches in rings; those below are of batches that were loaded from the store.
const LIVE: u64 = 1 << 40;

/// Bytes that may be loaded from the store at a time.
pub const PAST_BYTES: usize = 96 * 1024 * 1024;

/// All rings, and what was loaded from the store.
#[derive(Debug)]
pub struct LogStore {
    rings: Vec<Ring>,
    past: Past,
    slots: HashMap<Counted, u32>,
    bytes: usize,
    next_serial: u64,
    per_service: usize,
    total: usize,
    most_past: usize,
}

impl Default for LogStore {
    fn default() -> Self {
        Self::bounded(PER_SERVICE_BYTES, TOTAL_BYTES, PAST_BYTES)
    }
}

impl LogStore {
    /// Nothing yet, and never more than so many bytes per source of a service and in total (but always the newest batch), nor of what is loaded from the store.
    #[must_use]
    pub fn bounded(per_service: usize, total: usize, most_past: usize) -> Self {
        Self {
            rings: Vec::new(),
            slots: HashMap::new(),
            bytes: 0,
            next_serial: LIVE,
            past: Past::default(),
            per_service,
            total,
            most_past,
        }
    }

    /// Takes a batch; none where it was there already (history and feed overlap).
    pub fn take(&mut self, batch: Arc<LogBatch>) -> Option<Taken> {
        let slot = self.slot_of(batch.counted());
        let ring = &mut self.rings[slot as usize];
        let end = batch.first_seq + batch.lines.len() as u64;
        if batch.lines.is_empty() || (end <= ring.next_seq && batch.wall_us <= ring.newest_us) {
            return None;
        }
        // A new engine reads the newest lines again, and cuts them into other batches.
        let seen = ring.next_seq.saturating_sub(batch.first_seq);
        let batch = if seen > 0 && end > ring.next_seq && batch.wall_us <= ring.newest_us {
            Arc::new(batch.without_first(usize::try_from(seen).unwrap_or(usize::MAX)))
        } else {
            batch
        };
        let serial = self.next_serial;
        self.next_serial += 1;
        ring.next_seq = end;
        ring.newest_us = ring.newest_us.max(batch.wall_us);
        ring.bytes += batch.weight();
        ring.lines += batch.lines.len();
        self.bytes += batch.weight();
        ring.batches.push_back(Held { serial, batch });
        let evicted = self.evict(slot as usize);
        Some(Taken { slot, serial, evicted })
    }

    fn slot_of(&mut self, counted: Counted) -> u32 {
        if let Some(slot) = self.slots.get(&counted) {
            return *slot;
        }
        let slot = u32::try_from(self.rings.len()).unwrap_or(u32::MAX);
        self.rings.push(Ring {
            service: counted.0.clone(),
            batches: VecDeque::new(),
            bytes: 0,
            lines: 0,
            next_seq: 0,
            newest_us: i64::MIN,
        });
        self.slots.insert(counted, slot);
        slot
    }

    /// Makes room an eighth at a time, so that whoever keeps an index has to clean it rarely.
    fn evict(&mut self, slot: usize) -> bool {
        let mut evicted = false;
        let ring = &mut self.rings[slot];
        if ring.bytes > self.per_service {
            while ring.bytes > self.per_service / 8 * 7 && ring.batches.len() > 1 {
                self.bytes -= ring.drop_oldest();
                evicted = true;
            }
        }
        if self.bytes > self.total {
            while self.bytes > self.total / 8 * 7 {
                let largest = self.rings.iter_mut().filter(|ring| ring.batches.len() > 1).max_by_key(|ring| ring.bytes);
                let Some(largest) = largest else { break };
                self.bytes -= largest.drop_oldest();
                evicted = true;
            }
        }
        evicted
    }

    /// Every ring; its place is its slot.
    #[must_use]
    pub fn rings(&self) -> &[Ring] {
        &self.rings
    }

    /// The batch of that serial, while it is kept.
    #[must_use]
    pub fn batch(&self, slot: u32, serial: u64) -> Option<&Arc<LogBatch>> {
        if serial < LIVE {
            return self.past.get(serial);
        }
        self.rings.get(slot as usize)?.get(serial).map(|held| &held.batch)
    }

    /// The batch after that one of the same service.
    fn next(&self, slot: u32, serial: u64) -> Option<(u64, &Arc<LogBatch>)> {
        if serial < LIVE {
            let from = self.past.get(serial)?;
            let is_next = |next: &LogBatch| next.service == from.service && next.source == from.source;
            let near = (serial + 1)..(serial + 1 + NEAR);
            return near.map_while(|serial| Some((serial, self.past.get(serial)?))).find(|(_, next)| is_next(next));
        }
        self.rings.get(slot as usize)?.after(serial).map(|held| (held.serial, &held.batch))
    }

    /// The lines of an entry, the first one first; fewer where some have left.
    #[must_use]
    pub fn lines_of(&self, entry: EntryRow) -> Vec<(&Arc<LogBatch>, LogLine)> {
        let mut lines = Vec::with_capacity(usize::from(entry.lines));
        let Some(mut batch) = self.batch(entry.slot, entry.serial) else { return lines };
        let (mut serial, mut from) = (entry.serial, entry.line as usize);
        let Some(stream) = batch.lines.get(from).map(|line| line.stream) else { return lines };
        while lines.len() < usize::from(entry.lines) {
            let rest = batch.lines.get(from..).unwrap_or_default().iter().filter(|line| line.stream == stream);
            lines.extend(rest.take(usize::from(entry.lines) - lines.len()).map(|line| (batch, *line)));
            let Some(next) = self.next(entry.slot, serial) else { break };
            (serial, batch) = next;
            from = 0;
        }
        lines
    }

    /// The slot of what a batch comes from, and a new one for what has none.
    pub fn slot_for(&mut self, batch: &LogBatch) -> u32 {
        self.slot_of(batch.counted())
    }

    /// Takes what was loaded from the store; in front of what was loaded before, or behind it. The serials in the order of the batches.
    pub fn take_past(&mut self, batches: Vec<Arc<LogBatch>>, towards: Towards) -> std::ops::Range<u64> {
        self.past.take(batches, towards)
    }

    /// Whether more was loaded from the store than may be.
    #[must_use]
    pub const fn past_is_too_much(&self) -> bool {
        self.past.bytes > self.most_past
    }

    /// What was loaded from the store, in the order of time.
    #[must_use]
    pub fn past(&self) -> impl DoubleEndedIterator<Item = &Arc<LogBatch>> {
        self.past.batches.iter()
    }

    /// Lets go of what was loaded from the store, from this serial on; the batches, the newest first.
    pub fn forget_past_from(&mut self, serial: u64) -> Vec<Arc<LogBatch>> {
        self.past.forget_from(serial)
    }

    /// Lets go of what was loaded from the store before this serial; the batches, the oldest first.
    pub fn forget_past_before(&mut self, serial: u64) -> Vec<Arc<LogBatch>> {
        self.past.forget_before(serial)
    }

    /// Lets go of all that was loaded from the store.
    pub fn forget_past(&mut self) {
        self.past = Past::default();
    }

    /// The batch before that one in the same ring.
    #[must_use]
    pub fn previous(&self, slot: u32, serial: u64) -> Option<&Arc<LogBatch>> {
        self.previous_of(slot, serial).map(|(_, batch)| batch)
    }

    /// The same with its serial.
    #[must_use]
    pub fn previous_of(&self, slot: u32, serial: u64) -> Option<(u64, &Arc<LogBatch>)> {
        self.rings.get(slot as usize)?.before(serial).map(|held| (held.serial, &held.batch))
    }

    /// The serial of the oldest batch of each ring; `u64::MAX` for an empty one.
    #[must_use]
    pub fn oldest_serials(&self) -> Vec<u64> {
        self.rings.iter().map(|ring| ring.batches.front().map_or(u64::MAX, |held| held.serial)).collect()
    }

    /// Bytes kept, about.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::LogStore;
    use crate::model::{
        ids::{ProjectName, RunId, ServiceId, ServiceName},
        log::{LogBatch, LogLine, Source, Stream},
    };

    fn batch(first_seq: u64, wall_us: i64, words: &[&str]) -> Arc<LogBatch> {
        let mut text = String::new();
        let lines = words.iter().map(|word| {
            let start = u32::try_from(text.len()).unwrap();
            text.push_str(word);
            LogLine { start, len: u32::try_from(word.len()).unwrap(), stream: Stream::Stdout, continued: false }
        });
        let lines: Box<[LogLine]> = lines.collect();
        let service = ServiceId { project: ProjectName::new("p").unwrap(), service: ServiceName::new("web").unwrap() };
        let (source, run, text) = (Source::Output, RunId(1), text.into_boxed_str());
        Arc::new(LogBatch { service, source, run, wall_us, first_seq, text, lines })
    }

    fn shown(store: &LogStore, taken: &[super::Taken]) -> Vec<String> {
        let batches = taken.iter().filter_map(|taken| store.batch(taken.slot, taken.serial));
        batches.flat_map(|batch| batch.lines.iter().map(|line| batch.text_of(*line).to_owned())).collect()
    }

    #[test]
    fn lines_that_a_new_engine_reads_again_are_shown_once_however_it_cuts_them() {
        let mut store = LogStore::default();
        let batches = [
            batch(0, 1, &["a", "b"]),
            batch(2, 2, &["c"]),
            batch(1, 1, &["b", "c", "d"]),
            batch(0, 9_000_000, &["new"]),
        ];
        let taken: Vec<_> = batches.into_iter().filter_map(|batch| store.take(batch)).collect();
        assert_eq!(shown(&store, &taken), ["a", "b", "c", "d", "new"]);
    }

    #[test]
    fn lines_of_a_file_are_not_taken_for_output_that_was_had() {
        let mut store = LogStore::default();
        let of_file =
            |batch: Arc<LogBatch>| Arc::new(LogBatch { source: Source::File("x".into()), ..(*batch).clone() });
        let batches = [batch(0, 2, &["a", "b"]), of_file(batch(0, 1, &["of a file"])), batch(2, 3, &["c"])];
        let taken: Vec<_> = batches.into_iter().filter_map(|batch| store.take(batch)).collect();
        assert_eq!(shown(&store, &taken), ["a", "b", "of a file", "c"]);
        assert_eq!(store.rings().len(), 2);
    }
}
