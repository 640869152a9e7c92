//! One log file by its name, whatever file has that name, and those that had it before.
//!
//! Promise: lines of files that had the name one after the other come in that order, however much of each is unread. Never: keeps more than four files that were
//! replaced and read, or [`MOST_UNREAD`] that are not read yet.

use std::{collections::VecDeque, fs::File};

use rustix::fs::OFlags;

use super::{
    follower::Handed,
    place::{Identity, Owners, Place, identity},
    tail::{Look, Tail},
};
use crate::{
    model::{ids::RunId, time::Timestamp},
    world::{clock, output::assembly::Draft},
};

/// So many files that were replaced and read are kept open for what comes late, and so many at most that are not read yet.
const MOST_LEFT: usize = 4;
pub(super) const MOST_UNREAD: usize = 64;

/// The files of one name.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// None: it is not there.
    current: Option<Tail>,
    /// Files that had the name before.
    left: VecDeque<Tail>,
    next_seq: u64,
    /// A file that was left alone: where it may be read after all it is as old as it was then.
    refused: Option<Identity>,
    /// Lines that were read.
    pub(super) lines: u64,
}

impl Stream {
    /// Whether there is anything to remember.
    pub(super) fn is_open(&self) -> bool {
        self.current.is_some() || !self.left.is_empty() || self.refused.is_some()
    }

    /// Looks whether another file has the name now; why it is not read, if it is not. `is_new`: the name was looked for before, so that a file that has appeared
    /// is new from its first line on.
    pub(super) fn take_in(&mut self, place: &Place, name: &str, owners: &Owners, is_new: bool) -> Option<String> {
        let Ok(found) = place.stat(name) else {
            self.refused = None;
            // What was open is read to its end: it may have got another name. Where it has none it takes up room for nobody.
            if self.current.as_ref().is_some_and(|tail| tail.is_deleted() && tail.has_rested(clock::now())) {
                self.leave();
            }
            return None;
        };
        if self.current.as_ref().is_some_and(|tail| tail.id() == identity(&found)) {
            return None;
        }
        if let Some(at) = self.left.iter().position(|tail| tail.id() == identity(&found)) {
            // It has its name back.
            let tail = self.left.remove(at);
            self.leave();
            self.current = tail;
            return None;
        }
        if let Some(why) = owners.objection(&found) {
            self.leave();
            if !is_new {
                self.refused = Some(identity(&found));
            }
            return Some(why);
        }
        let is_new = is_new && self.refused != Some(identity(&found));
        let opened = place.file(name, OFlags::RDONLY).and_then(|file| {
            // It may have been exchanged in between.
            let found = rustix::fs::fstat(&file)?;
            owners.objection(&found).map_or(Ok(file), |why| Err(std::io::Error::other(why)))
        });
        match opened.and_then(|file| Tail::open(file, !is_new, self.next_seq, clock::now())) {
            Ok(tail) => {
                self.leave();
                self.current = Some(tail);
                self.refused = None;
                None
            }
            Err(error) => Some(format!("it cannot be read: {error}")),
        }
    }

    /// Files that have lost the name since the last look, in order: they are read to their end before the one that has it now.
    pub(super) fn take_over(&mut self, renamed: Vec<File>, is_new: bool) {
        for file in renamed {
            let Ok(found) = rustix::fs::fstat(&file) else { continue };
            let id = identity(&found);
            let was_current = self.current.as_ref().is_some_and(|tail| tail.id() == id);
            // Whatever was read until now came before it.
            self.leave();
            if is_new
                && !was_current
                && self.left.iter().all(|tail| tail.id() != id)
                && let Ok(tail) = Tail::open(file, false, self.next_seq, clock::now())
            {
                self.left.push_back(tail);
            }
        }
    }

    /// Whether one of its files is this one.
    pub(super) fn has(&self, id: Identity) -> bool {
        self.current.iter().chain(&self.left).any(|tail| tail.id() == id)
    }

    /// What is new: of files that had the name before, the oldest first, then of the one that has it. Where one has more than is read at once nothing is read
    /// of those behind it. True where more is to be read at once.
    pub(super) fn read(&mut self, handed: &Handed, run: RunId, now: Timestamp) -> (Vec<(Draft, bool)>, bool) {
        let (mut drafts, mut kept, mut is_hungry) = (Vec::new(), VecDeque::new(), false);
        let mut seq = self.next_seq;
        for mut tail in self.left.drain(..) {
            if is_hungry {
                kept.push_back(tail);
                continue;
            }
            let look = look_into(&mut tail, handed, run, now, &mut seq);
            let has_brought = !look.drafts.is_empty();
            is_hungry = look.more;
            drafts.extend(look.drafts);
            if has_brought || !tail.has_rested(now) {
                kept.push_back(tail);
            } else {
                drafts.extend(tail.finish(&mut seq).drafts);
            }
        }
        while kept.len() > MOST_LEFT && !is_hungry {
            let Some(mut tail) = kept.pop_front() else { break };
            drafts.extend(tail.finish(&mut seq).drafts);
        }
        self.left = kept;
        if !is_hungry && let Some(tail) = &mut self.current {
            let look = look_into(tail, handed, run, now, &mut seq);
            is_hungry = look.more;
            drafts.extend(look.drafts);
        }
        self.next_seq = seq;
        (drafts, is_hungry)
    }

    /// What was read until now has the name no more.
    fn leave(&mut self) {
        if let Some(tail) = self.current.take() {
            self.left.push_back(tail);
            while self.left.len() > MOST_UNREAD {
                self.left.pop_front();
            }
        }
    }
}

/// What is new of one file; where it was copied and emptied, first what is in the copy.
fn look_into(tail: &mut Tail, handed: &Handed, run: RunId, now: Timestamp, seq: &mut u64) -> Look {
    let mut left = handed.hold();
    if let Some(copies) = left.emptied.get_mut(&tail.id())
        && !copies.is_empty()
    {
        let (mut look, is_done) = tail.look_at_copy(&copies[0], run, now, seq);
        if is_done {
            copies.remove(0);
        }
        look.more = true;
        return look;
    }
    tail.look(run, now, seq)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_that_had_the_name_one_after_the_other_are_read_in_that_order_however_long_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let mut stream = Stream::default();
        let mut expected = Vec::new();
        for file in 0..4 {
            // More than is read at once.
            let lines: Vec<String> = (0..60_000).map(|line| format!("{file} {line:08}")).collect();
            fs::write(&path, lines.join("\n") + "\n").unwrap();
            stream.take_over(vec![File::open(&path).unwrap()], true);
            fs::remove_file(&path).unwrap();
            expected.extend(lines);
        }
        let (mut read, mut seqs) = (Vec::new(), Vec::new());
        loop {
            let (drafts, is_hungry) = stream.read(&Handed::default(), RunId(1), clock::now());
            for (draft, _) in drafts {
                seqs.push(draft.first_seq);
                read.extend(draft.lines.iter().map(|line| draft.text_of(*line).to_owned()));
            }
            if !is_hungry {
                break;
            }
        }
        assert!(read == expected, "{} of {} lines", read.len(), expected.len());
        assert!(seqs.is_sorted());
    }
}
