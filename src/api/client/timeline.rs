//! The timeline over a connection that comes and goes, and over engines: nothing is lost, and numbers never go back.
//!
//! A picture holds the newest entries of its own engine, numbered from 1. After a break the entries in between are asked for; after a
//! change of engines what was there stays in front of what the new one has, whose numbers then go on from the last.

use std::{collections::VecDeque, sync::Arc};

use crate::model::{
    snapshot::{Snapshot, TIMELINE_CAPACITY},
    time::Timestamp,
    timeline::Entry,
};

/// Entries that are kept over a break.
const CAPACITY: usize = 4 * TIMELINE_CAPACITY;

/// How the numbers of the present engine are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Numbering {
    started: Timestamp,
    base: u64,
}

impl Numbering {
    /// An entry from the store as it is shown: those of the present engine go on from those of the one before.
    pub(super) fn shown(self, mut entry: Entry) -> Entry {
        if self.base > 0 && entry.at.wall_us >= self.started.wall_us {
            entry.seq += self.base;
        }
        entry
    }
}

/// What was shown.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    engine: Option<(u32, Timestamp)>,
    base: u64,
    /// The last number of the engine itself.
    last: u64,
    entries: VecDeque<Arc<Entry>>,
    /// The picture's own entries are all there is to show.
    plain: bool,
}

/// What must be asked before a picture can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// Nothing.
    Nothing,
    /// Entries of the same engine after this number.
    After(u64),
    /// Entries from this instant on, microseconds since the Unix epoch: another engine answers.
    Since(i64),
}

impl Timeline {
    /// What lies between what was shown and `picture`.
    pub(super) fn missing(&self, picture: &Snapshot) -> Missing {
        let first = picture.timeline.first().map(|entry| entry.seq);
        match self.engine {
            None => Missing::Nothing,
            Some(engine) if engine == identity(picture) => match first {
                Some(first) if first > self.last + 1 => Missing::After(self.last),
                Some(_) | None => Missing::Nothing,
            },
            Some((_, started)) => {
                let last = self.entries.back().map_or(started.wall_us, |entry| entry.at.wall_us);
                Missing::Since(last)
            }
        }
    }

    /// Puts what was shown, what was `found` and the picture's own entries together.
    pub(super) fn join(&mut self, picture: &mut Snapshot, found: Vec<Entry>) -> Numbering {
        let identity = identity(picture);
        let began_anew = self.engine.is_some_and(|engine| engine != identity);
        if self.engine.is_none() {
            self.plain = true;
        }
        let known = |entries: &VecDeque<Arc<Entry>>, entry: &Entry| {
            entries
                .iter()
                .rev()
                .any(|known| known.at == entry.at && known.what == entry.what && known.service == entry.service)
        };
        let first = picture.timeline.first().map(|entry| (entry.seq, entry.at));
        let older = |entry: &Entry| first.is_none_or(|(seq, at)| (entry.seq, entry.at) != (seq, at));
        let found: Vec<Entry> =
            found.into_iter().take_while(older).filter(|entry| !known(&self.entries, entry)).collect();
        if began_anew {
            // Of the new engine itself there may be more than its picture holds: those go on from its own first number.
            let of_new = |entry: &Entry| entry.at.wall_us >= identity.1.wall_us;
            let (new, old): (Vec<Entry>, Vec<Entry>) = found.into_iter().partition(of_new);
            for mut entry in old {
                entry.seq = self.entries.back().map_or(0, |last| last.seq) + 1;
                self.entries.push_back(Arc::new(entry));
            }
            self.base = self.entries.back().map_or(0, |last| last.seq);
            self.last = 0;
            self.plain = self.entries.is_empty();
            self.append(new.into_iter().map(Arc::new));
        } else if !found.is_empty() {
            self.plain = false;
            self.append(found.into_iter().map(Arc::new));
        }
        self.engine = Some(identity);
        self.append(picture.timeline.iter().cloned());
        if !self.plain {
            picture.timeline = self.entries.iter().cloned().collect();
        }
        Numbering { started: identity.1, base: self.base }
    }

    /// Adds what is new of the present engine.
    fn append(&mut self, entries: impl Iterator<Item = Arc<Entry>>) {
        for entry in entries {
            if entry.seq <= self.last {
                continue;
            }
            self.last = entry.seq;
            let shown = if self.base == 0 {
                entry
            } else {
                Arc::new(Entry { seq: entry.seq + self.base, ..Entry::clone(&entry) })
            };
            if self.entries.len() == CAPACITY {
                self.entries.pop_front();
            }
            self.entries.push_back(shown);
        }
    }
}

fn identity(picture: &Snapshot) -> (u32, Timestamp) {
    (picture.engine.pid, picture.engine.started)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Missing, Timeline};
    use crate::model::{
        policy::Origin,
        snapshot::Snapshot,
        time::Timestamp,
        timeline::{Entry, What},
    };

    fn entry(seq: u64, at: u64) -> Entry {
        let at = Timestamp { mono_us: at, wall_us: i64::try_from(at).unwrap() };
        let what = What::Trouble { text: format!("at {}", at.mono_us) };
        Entry { seq, at, project: None, service: None, run: None, who: Origin::System, what, why: String::new() }
    }

    fn picture(pid: u32, started: u64, entries: &[(u64, u64)]) -> Snapshot {
        let mut picture = Snapshot::default();
        picture.engine.pid = pid;
        picture.engine.started = Timestamp { mono_us: started, wall_us: i64::try_from(started).unwrap() };
        picture.timeline = entries.iter().map(|(seq, at)| Arc::new(entry(*seq, *at))).collect();
        picture
    }

    fn shown(picture: &Snapshot) -> Vec<(u64, u64)> {
        picture.timeline.iter().map(|entry| (entry.seq, entry.at.mono_us)).collect()
    }

    #[test]
    fn entries_of_the_same_engine_that_no_picture_held_are_asked_for() {
        let mut timeline = Timeline::default();
        let mut first = picture(1, 10, &[(1, 11), (2, 12)]);
        assert_eq!(timeline.missing(&first), Missing::Nothing);
        timeline.join(&mut first, vec![]);
        let mut second = picture(1, 10, &[(5, 15), (6, 16)]);
        assert_eq!(timeline.missing(&second), Missing::After(2));
        timeline.join(&mut second, vec![entry(3, 13), entry(4, 14)]);
        assert_eq!(shown(&second), [(1, 11), (2, 12), (3, 13), (4, 14), (5, 15), (6, 16)]);
    }

    #[test]
    fn a_new_engine_goes_on_where_the_last_one_ended() {
        let mut timeline = Timeline::default();
        timeline.join(&mut picture(1, 10, &[(1, 11), (2, 12)]), vec![]);
        let mut second = picture(2, 20, &[(1, 21), (2, 22)]);
        assert_eq!(timeline.missing(&second), Missing::Since(12));
        // The store has the end of the first engine, which nobody saw, and the second from its beginning.
        let stored = vec![entry(2, 12), entry(3, 13), entry(1, 21), entry(2, 22)];
        let numbering = timeline.join(&mut second, stored);
        assert_eq!(shown(&second), [(1, 11), (2, 12), (3, 13), (4, 21), (5, 22)]);
        assert_eq!(numbering.shown(entry(2, 22)).seq, 5);
        assert_eq!(numbering.shown(entry(2, 12)).seq, 2);
        let mut third = picture(2, 20, &[(1, 21), (2, 22), (3, 23)]);
        assert_eq!(timeline.missing(&third), Missing::Nothing);
        timeline.join(&mut third, vec![]);
        assert_eq!(shown(&third).last(), Some(&(6, 23)));
        assert_eq!(third.timeline.len(), 6);
    }
}
