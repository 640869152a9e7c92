//! The newest bytes of one run as they come, for who looks at its terminal. Never a line: bytes, in the order in which they were written.

use std::path::{Path, PathBuf};

use super::{
    recent, segments,
    walk::{Piece, Progress, Unindexed, Walk},
};
use crate::model::{ids::RunId, intake::Position};

/// Most that one look reads, bytes.
const STEP: usize = 16 * 1024;

/// A place in the output of one run, which goes with it over segments.
#[derive(Debug)]
pub struct Tail {
    run: RunId,
    slot: PathBuf,
    /// None: nothing was written in this slot ever.
    walk: Option<Walk>,
    /// What came with the last look: kept over looks, so that each needs no memory of its own.
    came: Vec<u8>,
}

impl Tail {
    /// Stands about `before` bytes before the end of what is there now.
    #[must_use]
    pub fn begin(slot: &Path, run: RunId, before: u64) -> Self {
        let mut tail = Self { run, slot: slot.to_owned(), walk: None, came: Vec::with_capacity(STEP) };
        if let Some(newest) = segments::list(slot).last() {
            let end = Position { segment: newest.number, offset: recent::length_of(slot, *newest) };
            tail.walk = Some(walk_from(slot, recent::start_of(slot, end, before)));
        }
        tail
    }

    /// What has come of the run since the last look, at most 16 KiB; empty where nothing has. Bytes of other runs are passed over.
    pub fn read(&mut self) -> &[u8] {
        self.came.clear();
        if self.walk.is_none() && segments::list(&self.slot).is_empty() {
            return &self.came;
        }
        let slot = &self.slot;
        let walk = self.walk.get_or_insert_with(|| walk_from(slot, Position { segment: 0, offset: 0 }));
        let (came, run) = (&mut self.came, self.run);
        while came.is_empty() {
            let progress = walk.step(STEP, |piece| match piece {
                Piece::Bytes { run: of, bytes, .. } if of == run => came.extend_from_slice(bytes),
                Piece::Bytes { .. } | Piece::Mark { .. } => {}
            });
            if progress == Progress::End {
                break;
            }
        }
        &self.came
    }

    /// Nobody writes any more: the next looks also bring bytes that no index speaks of.
    pub fn settle(&mut self) {
        if let Some(walk) = &mut self.walk {
            let segment = walk.at().segment;
            walk.think(Unindexed::Await(Position { segment, offset: u64::MAX }));
        }
    }
}

fn walk_from(slot: &Path, from: Position) -> Walk {
    Walk::new(slot.to_owned(), from, Unindexed::Await(Position { segment: 0, offset: 0 }))
}
