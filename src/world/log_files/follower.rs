//! What is added to segments, as it is added. The caller decides when to look; nothing here sleeps.

use std::collections::BTreeMap;

use super::{
    LogFilter, Slots, StoredLine, chosen,
    reader::{Source, Until},
};
use crate::model::ids::ServiceId;

/// Lines of one service that one look brings, at most.
const LOOK_LINES: usize = 10_000;

/// Follows the slots from the lines on that are there (`filter.tail` of each service, if given): the first looks bring those, later ones what is added.
#[must_use]
pub fn follow(slots: &[Slots], filter: &LogFilter) -> Follower {
    let mut follower = Follower { slots: slots.to_vec(), filter: filter.clone(), sources: BTreeMap::new() };
    follower.find(filter);
    follower
}

/// Follows services on disk, through rotation, compression, deletion and a new beginning; services that appear later are followed from their
/// first line where the filter names none.
#[derive(Debug)]
pub struct Follower {
    slots: Vec<Slots>,
    filter: LogFilter,
    sources: BTreeMap<ServiceId, Source>,
}

impl Follower {
    /// New lines since the last look, by time; whole ones only. A flood comes in several looks, so look again at once while there are any.
    pub fn poll(&mut self) -> Vec<StoredLine> {
        let later = LogFilter { tail: None, ..self.filter.clone() };
        self.find(&later);
        let mut found = Vec::new();
        for source in self.sources.values_mut() {
            found.extend(std::iter::from_fn(|| source.next()).take(LOOK_LINES));
        }
        // Stable: lines of one service stay in order where they have the same time.
        found.sort_by_key(|line: &StoredLine| line.wall_us);
        found
    }

    /// Begins with services that are new.
    fn find(&mut self, filter: &LogFilter) {
        for (service, slot) in chosen(&self.slots, filter) {
            self.sources.entry(service).or_insert_with_key(|service| {
                let mut source = Source::open(service.clone(), slot, filter, Until::Followed);
                source.rest_often();
                source
            });
        }
    }
}
