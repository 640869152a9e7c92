//! Records of an index, one after the other. Never stops at a damaged one where another follows.

use std::{fs::File, ops::ControlFlow, os::unix::fs::FileExt, path::Path};

use super::segments;
use crate::{
    model::{ids::RunId, log::Stream},
    shim_format::{INDEX_BYTES, IndexRecord, STDERR, STDOUT},
};

/// Reads records out of a part of an index.
#[derive(Debug)]
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    /// No record of a segment begins before the one that came before it.
    floor: u64,
}

impl<'a> Records<'a> {
    /// Of `bytes`, of which the first belong to a record that begins at `floor` or later.
    pub(super) const fn new(bytes: &'a [u8], floor: u64) -> Self {
        Self { bytes, at: 0, floor }
    }

    /// Bytes that were passed over or read.
    pub(super) const fn used(&self) -> usize {
        self.at
    }

    fn record_at(&self, at: usize) -> Option<IndexRecord> {
        let bytes = self.bytes.get(at..at + INDEX_BYTES)?.try_into().ok()?;
        IndexRecord::decode(bytes).filter(|record| {
            matches!(record.stream, STDOUT | STDERR)
                && record.offset >= self.floor
                && record.offset.checked_add(u64::from(record.len)).is_some()
        })
    }

    /// The next record that can be read, and where it begins. Where none can, the place stays where it is: more may be coming.
    pub(super) fn next(&mut self) -> Option<(usize, IndexRecord)> {
        // In step nearly always; after half a record (a full disk, a lost power supply) out of it.
        let last = self.bytes.len().checked_sub(INDEX_BYTES)?;
        let (at, record) = (self.at..=last).find_map(|at| Some((at, self.record_at(at)?)))?;
        self.at = at + INDEX_BYTES;
        self.floor = record.offset;
        Some((at, record))
    }
}

/// When the newest bytes of a segment came, as its index says; none where it cannot.
pub(super) fn newest_us(slot: &Path, number: u64) -> Option<i64> {
    last_record(slot, number).map(|record| record.wall_us)
}

/// The last record of a segment that can be read, of those in the last blocks of its index.
pub(super) fn last_record(slot: &Path, number: u64) -> Option<IndexRecord> {
    let file = segments::open(&segments::index_file(slot, number)).ok()?;
    let length = file.metadata().ok()?.len();
    let record = INDEX_BYTES as u64;
    let whole = length - length % record;
    [16 * record, 256 * record].into_iter().find_map(|window| {
        let from = whole.saturating_sub(window);
        let mut bytes = vec![0; usize::try_from(length - from).ok()?];
        let read = read_at(&file, from, &mut bytes);
        let mut records = Records::new(&bytes[..read], 0);
        std::iter::from_fn(|| records.next()).last().map(|(_, record)| record)
    })
}

/// The run of the first record of a segment, of those in the first block of its index.
pub(super) fn first_run(slot: &Path, number: u64) -> Option<RunId> {
    let file = segments::open(&segments::index_file(slot, number)).ok()?;
    let mut bytes = [0; 16 * INDEX_BYTES];
    let read = read_at(&file, 0, &mut bytes);
    Records::new(&bytes[..read], 0).next().map(|(_, record)| RunId(record.run))
}

/// Whether a segment has bytes of a stream; what has no index is taken for standard output.
pub(super) fn has_stream(slot: &Path, number: u64, stream: Stream) -> bool {
    let wanted = match stream {
        Stream::Stdout => STDOUT,
        Stream::Stderr => STDERR,
    };
    let mut has = false;
    let was_read = each(slot, number, |_, record| {
        has = record.stream == wanted && record.len > 0;
        if has { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if was_read { has } else { stream == Stream::Stdout }
}

/// When the oldest and the newest bytes of a segment came, as its index says, microseconds since the Unix epoch; none where it cannot.
pub(super) fn times(slot: &Path, number: u64) -> Option<(i64, i64)> {
    let mut times: Option<(i64, i64)> = None;
    each(slot, number, |_, record| {
        let (oldest, newest) = times.unwrap_or((record.wall_us, record.wall_us));
        times = Some((oldest.min(record.wall_us), newest.max(record.wall_us)));
        ControlFlow::Continue(())
    });
    times
}

/// For each of these offsets, in ascending order, where the last record stands that begins before it.
pub(super) fn places_before(slot: &Path, number: u64, offsets: &[u64]) -> Vec<u64> {
    let mut places = Vec::with_capacity(offsets.len());
    let mut before = 0;
    each(slot, number, |place, record| {
        while offsets.get(places.len()).is_some_and(|offset| *offset <= record.offset) {
            places.push(before);
        }
        before = place;
        if places.len() == offsets.len() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    places.resize(offsets.len(), before);
    places
}

/// All records of a segment that can be read, and where they stand. False where there is no index.
fn each(slot: &Path, number: u64, mut visit: impl FnMut(u64, IndexRecord) -> ControlFlow<()>) -> bool {
    let Ok(file) = segments::open(&segments::index_file(slot, number)) else { return false };
    let mut bytes = vec![0; 32 * 1024];
    let (mut at, mut floor) = (0, 0);
    loop {
        let read = read_at(&file, at, &mut bytes);
        let mut records = Records::new(&bytes[..read], floor);
        while let Some((place, record)) = records.next() {
            floor = record.offset;
            if visit(at + place as u64, record).is_break() {
                return true;
            }
        }
        if read < bytes.len() {
            return true;
        }
        // At least what cannot be read: one record may begin in the last bytes.
        at += records.used().max(read - INDEX_BYTES + 1) as u64;
    }
}

/// Fills `buffer` from `from` on as far as there are bytes; how many.
pub(super) fn read_at(file: &File, from: u64, buffer: &mut [u8]) -> usize {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], from + filled as u64) {
            Ok(read) if read > 0 => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => break,
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::Records;
    use crate::shim_format::{INDEX_BYTES, IndexKind, IndexRecord};

    fn record(offset: u64) -> IndexRecord {
        IndexRecord { offset, len: 10, stream: 1, kind: IndexKind::Data, wall_us: 5, run: 7, count: 0 }
    }

    fn offsets(bytes: &[u8]) -> Vec<u64> {
        let mut records = Records::new(bytes, 0);
        std::iter::from_fn(|| records.next()).map(|(_, record)| record.offset).collect()
    }

    #[test]
    fn a_damaged_record_costs_itself_and_half_a_record_nothing() {
        let whole: Vec<u8> = (0..50).flat_map(|n| record(n * 10).encode()).collect();
        let all: Vec<u64> = (0..50).map(|n| n * 10).collect();
        assert_eq!(offsets(&whole), all);
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x40;
            let mut rest = all.clone();
            rest.remove(at / INDEX_BYTES);
            assert_eq!(offsets(&damaged), rest, "byte {at}");
        }
        for cut in 0..INDEX_BYTES {
            // A record was cut short, and others were appended to what was left of it.
            let mut torn = whole[..400 + cut].to_vec();
            torn.extend_from_slice(&whole[440..]);
            let mut rest = all.clone();
            rest.remove(10);
            assert_eq!(offsets(&torn), rest, "cut {cut}");
        }
        let mut empty = whole.clone();
        empty[80..1200].fill(0);
        assert_eq!(offsets(&empty).len(), 50 - 28);
    }

    #[test]
    fn half_a_record_at_the_end_is_waited_for() {
        let bytes: Vec<u8> = (0..2).flat_map(|n| record(n * 10).encode()).collect();
        let mut records = Records::new(&bytes[..60], 0);
        assert!(records.next().is_some() && records.next().is_none());
        assert_eq!(records.used(), INDEX_BYTES);
    }
}
