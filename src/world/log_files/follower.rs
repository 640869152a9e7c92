//! What is added to segments, as it is added. The caller decides when to look; nothing here sleeps.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::{
    LogFilter, StoredLine, line,
    reader::{Piece, Place, Source, StoredLines, read_line},
    segments,
};
use crate::model::ids::ServiceId;

/// Bytes of one service that one look takes in, about.
const LOOK_BYTES: u64 = 1 << 20;

/// The lines that are there (`filter.tail` of each service, if given) and a follower that goes on exactly behind them: none is missing
/// between the two, and none is in both.
#[must_use]
pub fn follow(dir: &Path, filter: &LogFilter) -> (StoredLines, Follower) {
    let mut follower = Follower { dir: dir.to_owned(), filter: filter.clone(), places: BTreeMap::new(), skipped: 0 };
    for service in follower.services() {
        let place = end_of(&segments::directory(dir, &service));
        follower.places.insert(service, place);
    }
    let sources =
        follower.places.iter().map(|(service, place)| Source::open(dir, service, filter, Some(*place))).collect();
    (StoredLines::new(sources), follower)
}

/// Follows services on disk, through rotation, deletion and a new beginning; services that appear later are followed from their first
/// line where the filter names none.
#[derive(Debug)]
pub struct Follower {
    dir: PathBuf,
    filter: LogFilter,
    places: BTreeMap<ServiceId, Place>,
    skipped: u64,
}

impl Follower {
    /// New lines since the last look, by time; at most about a mebibyte of each service, so look again at once while there are any.
    pub fn poll(&mut self) -> Vec<StoredLine> {
        let mut found = Vec::new();
        for service in self.services() {
            let directory = segments::directory(&self.dir, &service);
            let mut place = self.places.get(&service).copied().unwrap_or(Place { segment: 0, offset: 0 });
            self.advance(&service, &directory, &mut place, &mut found);
            self.places.insert(service, place);
        }
        // Stable: lines of one service stay in order where they have the same time.
        found.sort_by_key(|line: &StoredLine| line.wall_us);
        found
    }

    /// Pieces so far that were no lines.
    #[must_use]
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    fn services(&self) -> Vec<ServiceId> {
        if self.filter.services.is_empty() { segments::services(&self.dir, None) } else { self.filter.services.clone() }
    }

    fn advance(&mut self, service: &ServiceId, directory: &Path, place: &mut Place, found: &mut Vec<StoredLine>) {
        let mut budget = LOOK_BYTES;
        loop {
            // Listed before the reading: once there is a later segment, this one does not grow any more.
            let numbers = segments::list(directory);
            if numbers.last().is_some_and(|newest| *newest < place.segment) {
                // All was deleted and begun anew.
                *place = Place { segment: 0, offset: 0 };
            }
            if let Some(oldest) = numbers.iter().find(|number| **number >= place.segment)
                && *oldest != place.segment
            {
                *place = Place { segment: *oldest, offset: 0 };
            }
            let read = self.read_segment(service, directory, place, budget, found);
            budget = budget.saturating_sub(read);
            let next = numbers.iter().find(|number| **number > place.segment);
            match next {
                Some(next) if read == 0 => *place = Place { segment: *next, offset: 0 },
                Some(_) | None if read == 0 || budget == 0 => return,
                Some(_) | None => {}
            }
        }
    }

    /// Reads whole lines from `place` on. Returns the bytes that it went on by.
    fn read_segment(
        &mut self,
        service: &ServiceId,
        directory: &Path,
        place: &mut Place,
        budget: u64,
        found: &mut Vec<StoredLine>,
    ) -> u64 {
        let Ok(mut file) = File::open(segments::file(directory, place.segment)) else { return 0 };
        let length = file.metadata().map_or(0, |found| found.len());
        if length < place.offset {
            // Somebody emptied it.
            place.offset = 0;
        }
        let end = last_line_feed(&file, place.offset, length.min(place.offset.saturating_add(budget)))
            // A line longer than the budget: take in all there is.
            .or_else(|| last_line_feed(&file, place.offset, length));
        let Some(end) = end else { return 0 };
        if file.seek(SeekFrom::Start(place.offset)).is_err() {
            return 0;
        }
        let mut reader = BufReader::with_capacity(64 * 1024, file.take(end - place.offset));
        let mut buffer = Vec::new();
        loop {
            match read_line(&mut reader, &mut buffer) {
                Ok(Piece::End) | Err(_) => break,
                Ok(Piece::TooLong) => self.skipped += 1,
                Ok(Piece::Line) => match line::parse(service, &buffer) {
                    Some(line) if self.filter.takes(line.wall_us) => found.push(line),
                    Some(_) => {}
                    None => self.skipped += u64::from(buffer.iter().any(|byte| *byte != 0)),
                },
            }
        }
        let read = end - place.offset;
        place.offset = end;
        read
    }
}

/// Behind the last whole line that is there now.
fn end_of(directory: &Path) -> Place {
    let Some(segment) = segments::list(directory).last().copied() else { return Place { segment: 0, offset: 0 } };
    let offset = File::open(segments::file(directory, segment))
        .and_then(|file| {
            let length = file.metadata()?.len();
            Ok(last_line_feed(&file, 0, length))
        })
        .ok()
        .flatten();
    Place { segment, offset: offset.unwrap_or(0) }
}

/// Behind the last line feed between two offsets. Reads backwards, block by block.
fn last_line_feed(file: &File, from: u64, to: u64) -> Option<u64> {
    let mut block = vec![0; 16 * 1024];
    let mut end = to;
    while end > from {
        let start = end.saturating_sub(block.len() as u64).max(from);
        let bytes = block.get_mut(..usize::try_from(end - start).ok()?)?;
        file.read_exact_at(bytes, start).ok()?;
        if let Some(at) = memchr::memrchr(b'\n', bytes) {
            return Some(start + at as u64 + 1);
        }
        end = start;
    }
    None
}
