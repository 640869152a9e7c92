//! One log file, read as it grows: through truncation, replacement and whatever it is renamed to.
//!
//! Promise: each line once, in order, as long as the file's bytes are not overwritten unread; of a file that was there before, at most its last [`HISTORY`].
//! Never: waits, reads more than [`READ_BYTES`] at once, or keeps a descriptor of a file that nobody writes to any more.

use std::{collections::VecDeque, fs::File, os::unix::fs::FileExt, time::Duration};

use super::place::{Identity, identity};
use crate::{
    model::{
        ids::RunId,
        intake::{Cursor, Position},
        log::Stream,
        time::Timestamp,
    },
    world::{
        log_files::Piece,
        output::assembly::{Assembly, Draft},
    },
};

/// So much of what a file held before it was followed is shown.
pub(super) const HISTORY: u64 = 256 << 10;
/// Most that is read at once of one file.
const READ_BYTES: usize = 256 << 10;
/// Where more than this waits to be read, all but [`KEPT_BEHIND`] of it is passed over: its lines are counted, and are in the file.
const FAR_BEHIND: u64 = 32 << 20;
const KEPT_BEHIND: u64 = 1 << 20;
/// A file that was replaced is let go of when it has brought nothing for so long.
const LET_GO: Duration = Duration::from_secs(15);
/// So many bytes before the place that was reached tell whether a file is what it was.
const KNOWN_BY: usize = 64;
/// A line that has begun and not gone on for so long is shown as far as it is there.
const QUIET: Duration = Duration::from_secs(2);

/// A file that is open.
#[derive(Debug)]
pub(super) struct Tail {
    file: File,
    id: Identity,
    offset: u64,
    assembly: Assembly,
    /// Counts up where its bytes begin anew.
    generation: u64,
    /// The end of what was there before it was followed.
    earlier: u64,
    /// When it last brought something.
    fed: Timestamp,
    /// When it was last written to as the last look saw it, and the bytes before `offset`: by them it is known again.
    modified: i64,
    last: Vec<u8>,
}

/// What a look at a file has brought.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Batches, oldest first, each with whether the file held it before it was followed.
    pub(super) drafts: Vec<(Draft, bool)>,
    /// More may be there.
    pub(super) more: bool,
}

impl Tail {
    /// A file that was there before it was followed (`is_old`), or one that has appeared since.
    pub(super) fn open(file: File, is_old: bool, next_seq: u64, now: Timestamp) -> std::io::Result<Self> {
        let found = rustix::fs::fstat(&file)?;
        let length = u64::try_from(found.st_size).unwrap_or(0);
        let mut tail = Self {
            id: identity(&found),
            file,
            offset: 0,
            assembly: begun(next_seq),
            generation: 0,
            earlier: 0,
            fed: now,
            modified: i64::MIN,
            last: Vec::new(),
        };
        if is_old {
            tail.earlier = length;
            if length > HISTORY {
                tail.offset = length - HISTORY;
                tail.assembly = Assembly::in_the_middle();
                tail.assembly.count_from(next_seq);
            }
        }
        Ok(tail)
    }

    /// Which file it is.
    pub(super) const fn id(&self) -> Identity {
        self.id
    }

    /// Whether it has brought nothing for so long that whoever wrote to it has opened another one by now.
    pub(super) fn has_rested(&self, now: Timestamp) -> bool {
        now.since(self.fed) >= LET_GO
    }

    /// Whether it has no name any more.
    pub(super) fn is_deleted(&self) -> bool {
        rustix::fs::fstat(&self.file).is_ok_and(|found| found.st_nlink == 0)
    }

    /// What has been added, numbered from `seq` on, which is moved behind it.
    pub(super) fn look(&mut self, run: RunId, now: Timestamp, seq: &mut u64) -> Look {
        let mut look = Look::default();
        let mut ready = VecDeque::new();
        let Ok(found) = rustix::fs::fstat(&self.file) else { return look };
        let length = u64::try_from(found.st_size).unwrap_or(0);
        self.assembly.count_from(*seq);
        if length < self.offset || (modified_us(&found) != self.modified && !self.is_known_again()) {
            // It was emptied: what it holds now is new.
            self.begin_anew(&mut ready);
        }
        self.modified = modified_us(&found);
        if length.saturating_sub(self.offset) > FAR_BEHIND {
            self.pass_over(length - KEPT_BEHIND, &mut ready);
        }
        let is_earlier = self.offset < self.earlier;
        let room = if is_earlier { self.earlier - self.offset } else { length.saturating_sub(self.offset) };
        let wall_us = if is_earlier { modified_us(&found) } else { now.wall_us };
        let read = self.read(room, (run, wall_us), &mut ready);
        if read > 0 {
            self.fed = now;
        } else if self.assembly.has_unfinished() && now.since(self.fed) >= QUIET {
            self.assembly.give(&mut ready);
        }
        *seq = self.assembly.next_seq();
        look.more = read > 0 && self.offset < length;
        look.drafts = ready.into_iter().map(|draft| (draft, is_earlier)).collect();
        look
    }

    /// Nobody writes to it any more: what is unfinished is a line.
    pub(super) fn finish(&mut self, seq: &mut u64) -> Look {
        let mut ready = VecDeque::new();
        self.assembly.count_from(*seq);
        self.assembly.finish(&mut ready);
        *seq = self.assembly.next_seq();
        Look { drafts: ready.into_iter().map(|draft| (draft, false)).collect(), more: false }
    }

    /// It was copied and emptied: what had not been read of it is in the copy, up to its end. False where more of that is to be read.
    pub(super) fn look_at_copy(&mut self, copy: &File, run: RunId, now: Timestamp, seq: &mut u64) -> (Look, bool) {
        let length = copy.metadata().map_or(0, |found| found.len());
        let mut ready = VecDeque::new();
        self.assembly.count_from(*seq);
        let mut buffer = vec![0; READ_BYTES];
        let is_done = match copy.read_at(&mut buffer, self.offset) {
            Ok(read @ 1..) => {
                self.feed(&buffer[..read], (run, now.wall_us), &mut ready);
                self.offset >= length
            }
            Ok(0) | Err(_) => true,
        };
        if is_done {
            self.begin_anew(&mut ready);
        }
        *seq = self.assembly.next_seq();
        (Look { drafts: ready.into_iter().map(|draft| (draft, false)).collect(), more: !is_done }, is_done)
    }

    fn read(&mut self, room: u64, of: (RunId, i64), ready: &mut VecDeque<Draft>) -> usize {
        let wanted = READ_BYTES.min(usize::try_from(room).unwrap_or(usize::MAX));
        if wanted == 0 {
            return 0;
        }
        let mut buffer = vec![0; wanted];
        // What cannot be read now is tried with the next look.
        let read = self.file.read_at(&mut buffer, self.offset).unwrap_or(0);
        if read > 0 {
            self.feed(&buffer[..read], of, ready);
        }
        read
    }

    fn feed(&mut self, bytes: &[u8], (run, wall_us): (RunId, i64), ready: &mut VecDeque<Draft>) {
        let at = Position { segment: self.generation, offset: self.offset };
        self.assembly.take(Piece::Bytes { at, stream: Stream::Stdout, run, wall_us, bytes }, ready);
        self.assembly.close(ready);
        self.offset += bytes.len() as u64;
        self.last.extend_from_slice(&bytes[bytes.len().saturating_sub(KNOWN_BY)..]);
        let surplus = self.last.len().saturating_sub(KNOWN_BY);
        self.last.drain(..surplus);
    }

    /// Whether what was read last is still there: a file that was emptied may be as long as it was by the time somebody looks.
    fn is_known_again(&self) -> bool {
        let mut there = [0; KNOWN_BY];
        let there = &mut there[..self.last.len()];
        let at = self.offset.saturating_sub(self.last.len() as u64);
        self.file.read_exact_at(there, at).is_ok() && *there == *self.last
    }

    fn begin_anew(&mut self, ready: &mut VecDeque<Draft>) {
        self.assembly.finish(ready);
        let next = self.assembly.next_seq();
        self.assembly = begun(next);
        self.generation += 1;
        self.offset = 0;
        self.earlier = 0;
        self.last.clear();
    }

    /// Counts the lines up to the one that begins behind `to`, and goes on there.
    fn pass_over(&mut self, to: u64, ready: &mut VecDeque<Draft>) {
        self.assembly.finish(ready);
        let mut lines = 0;
        let mut buffer = vec![0; READ_BYTES];
        while let Ok(read @ 1..) = self.file.read_at(&mut buffer, self.offset) {
            let feeds = memchr::memchr_iter(b'\n', &buffer[..read]);
            if self.offset + read as u64 <= to {
                lines += feeds.count() as u64;
                self.offset += read as u64;
                continue;
            }
            // The first line that begins behind it; a longer one than a look is passed over with it.
            let behind = usize::try_from(to.saturating_sub(self.offset)).unwrap_or(0);
            let Some(feed) = memchr::memchr(b'\n', &buffer[behind..read]).map(|feed| behind + feed) else {
                lines += feeds.count() as u64;
                self.offset += read as u64;
                continue;
            };
            lines += feeds.take_while(|one| *one <= feed).count() as u64;
            self.offset += feed as u64 + 1;
            break;
        }
        let next = self.assembly.next_seq() + lines;
        self.assembly = begun(next);
        self.generation += 1;
        self.earlier = 0;
        self.last.clear();
    }
}

const fn begun(next_seq: u64) -> Assembly {
    let start = Position { segment: 0, offset: 0 };
    Assembly::new(Cursor { stdout: start, stderr: start, next_seq })
}

fn modified_us(found: &rustix::fs::Stat) -> i64 {
    found.st_mtime.saturating_mul(1_000_000).saturating_add(i64::try_from(found.st_mtime_nsec / 1000).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::Write,
        path::{Path, PathBuf},
    };

    use super::*;

    struct Rig {
        _dir: tempfile::TempDir,
        path: PathBuf,
        seq: u64,
        now: Timestamp,
    }

    impl Rig {
        fn new(text: &[u8]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a.log");
            fs::write(&path, text).unwrap();
            Self { _dir: dir, path, seq: 0, now: Timestamp { mono_us: 1_000_000, wall_us: 1_000_000 } }
        }

        fn tail(&self, is_old: bool) -> Tail {
            Tail::open(open(&self.path), is_old, 0, self.now).unwrap()
        }

        fn append(&self, text: &[u8]) {
            File::options().append(true).open(&self.path).unwrap().write_all(text).unwrap();
        }

        fn lines(&mut self, tail: &mut Tail) -> Vec<(u64, String)> {
            let mut found = Vec::new();
            loop {
                let look = tail.look(RunId(1), self.now, &mut self.seq);
                let is_over = look.drafts.is_empty() && !look.more;
                found.extend(texts(look));
                if is_over {
                    return found;
                }
            }
        }

        fn wait(&mut self, seconds: u64) {
            self.now = self.now.plus(Duration::from_secs(seconds));
        }
    }

    fn open(path: &Path) -> File {
        File::open(path).unwrap()
    }

    fn texts(look: Look) -> Vec<(u64, String)> {
        let of = |(draft, _): (Draft, bool)| {
            let mark = |continued| if continued { "…" } else { "" };
            let text = |line| format!("{}{}", draft.text_of(line), mark(line.continued));
            (draft.first_seq..).zip(draft.lines.iter().map(|line| text(*line)).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        look.drafts.into_iter().flat_map(of).collect()
    }

    fn numbered(from: u64, lines: &[&str]) -> Vec<(u64, String)> {
        (from..).zip(lines.iter().map(|line| (*line).to_owned())).collect()
    }

    #[test]
    fn what_is_added_comes_once_and_half_a_line_when_it_is_whole() {
        let mut rig = Rig::new(b"one\ntwo\n");
        let mut tail = rig.tail(true);
        assert_eq!(rig.lines(&mut tail), numbered(0, &["one", "two"]));
        rig.append(b"three\r\nfo");
        assert_eq!(rig.lines(&mut tail), numbered(2, &["three"]));
        rig.append(b"ur\n\xff\n");
        assert_eq!(rig.lines(&mut tail), numbered(3, &["four", "\u{fffd}"]));
        assert_eq!(rig.lines(&mut tail), []);
    }

    #[test]
    fn half_a_line_that_does_not_go_on_is_shown_and_its_rest_belongs_to_it() {
        let mut rig = Rig::new(b"");
        let mut tail = rig.tail(true);
        rig.append(b"password: ");
        assert_eq!(rig.lines(&mut tail), []);
        rig.wait(2);
        assert_eq!(rig.lines(&mut tail), numbered(0, &["password: …"]));
        rig.wait(2);
        assert_eq!(rig.lines(&mut tail), []);
        rig.append(b"ok\nnext\n");
        assert_eq!(rig.lines(&mut tail), numbered(1, &["ok", "next"]));
    }

    #[test]
    fn a_file_that_was_emptied_goes_on_from_its_start() {
        let mut rig = Rig::new(b"one\ntwo\nunfinished");
        let mut tail = rig.tail(true);
        rig.lines(&mut tail);
        fs::write(&rig.path, "new\n").unwrap();
        assert_eq!(rig.lines(&mut tail), numbered(2, &["unfinished", "new"]));
        rig.append(b"more\n");
        assert_eq!(rig.lines(&mut tail), numbered(4, &["more"]));
    }

    #[test]
    fn a_file_that_was_emptied_and_is_as_long_as_before_is_known_by_its_bytes() {
        let mut rig = Rig::new(b"one\n");
        let mut tail = rig.tail(true);
        rig.lines(&mut tail);
        fs::write(&rig.path, "two\n").unwrap();
        let later = std::time::SystemTime::now() + Duration::from_secs(1);
        File::options().append(true).open(&rig.path).unwrap().set_modified(later).unwrap();
        assert_eq!(rig.lines(&mut tail), numbered(1, &["two"]));
    }

    #[test]
    fn of_a_large_file_the_end_is_shown_from_the_first_whole_line_and_with_its_own_time() {
        let text: Vec<u8> = (0..100_000).flat_map(|n| format!("line {n:06}\n").into_bytes()).collect();
        let mut rig = Rig::new(&text);
        let mut tail = rig.tail(true);
        let look = tail.look(RunId(1), rig.now, &mut rig.seq);
        let modified = fs::metadata(&rig.path).unwrap().modified().unwrap();
        let modified = modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
        assert!(look.drafts.iter().all(|(draft, is_earlier)| *is_earlier && draft.wall_us as u128 == modified));
        let mut lines = texts(look);
        lines.extend(rig.lines(&mut tail));
        assert_eq!(lines.last().unwrap().1, "line 099999");
        assert_eq!(lines.len() as u64, HISTORY / 12, "{:?}", lines.first());
        assert_eq!(lines[0].0, 0);
        rig.append(b"new\n");
        let look = tail.look(RunId(1), rig.now, &mut rig.seq);
        assert!(look.drafts.iter().all(|(draft, is_earlier)| !is_earlier && draft.wall_us == rig.now.wall_us));
    }

    #[test]
    fn of_a_flood_the_end_is_shown_and_the_rest_is_counted() {
        let mut rig = Rig::new(b"first\n");
        let mut tail = rig.tail(true);
        rig.lines(&mut tail);
        let count = FAR_BEHIND / 12 + 200_000;
        let text: Vec<u8> = (0..count).flat_map(|n| format!("line {n:06}\n").into_bytes()).collect();
        rig.append(&text);
        let lines = rig.lines(&mut tail);
        let (last, text) = lines.last().unwrap();
        assert_eq!(
            (*last, text.as_str()),
            (count, format!("line {:06}", count - 1).as_str()),
            "its number tells what is missing"
        );
        assert!((lines.len() as u64) * 12 <= KEPT_BEHIND && (lines.len() as u64) * 12 > KEPT_BEHIND / 2);
        for (seq, text) in lines {
            assert_eq!(text, format!("line {:06}", seq - 1));
        }
    }

    #[test]
    fn a_line_without_end_is_cut_into_pieces() {
        let mut rig = Rig::new(b"");
        let mut tail = rig.tail(false);
        rig.append("é".repeat(100_000).as_bytes());
        rig.append(b"\nnext\n");
        let lines = rig.lines(&mut tail);
        assert_eq!(lines.len(), 5);
        assert!(lines[..3].iter().all(|(_, line)| line.ends_with('…') && line.len() <= (64 << 10) + 3));
        assert_eq!(lines[4].1, "next");
    }

    #[test]
    fn what_was_not_read_before_it_was_copied_and_emptied_is_read_in_the_copy() {
        let mut rig = Rig::new(b"one\n");
        let mut tail = rig.tail(true);
        rig.lines(&mut tail);
        rig.append(b"two\nthree\n");
        let copy = rig.path.with_file_name("copy");
        fs::copy(&rig.path, &copy).unwrap();
        fs::write(&rig.path, "four is longer than what was there before\n").unwrap();
        let (look, is_done) = tail.look_at_copy(&open(&copy), RunId(1), rig.now, &mut rig.seq);
        assert!(is_done);
        assert_eq!(texts(look), numbered(1, &["two", "three"]));
        assert_eq!(rig.lines(&mut tail), numbered(3, &["four is longer than what was there before"]));
    }
}
