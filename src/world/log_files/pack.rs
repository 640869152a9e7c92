//! A segment made an archive: in frames of whole lines, with what is known of each.
//!
//! Never reads the segment into memory whole, and never writes an archive of less than all of it.

use std::{
    fs::File,
    io::{self, ErrorKind},
    ops::ControlFlow,
    os::unix::fs::FileExt,
    path::Path,
};

use super::{
    frames::{MOST_BYTES, Writer},
    grams::{self, Grams},
    index,
    map::{About, Map, grams_note, words_note},
    passage::{Passage, Reached, seam_before},
    search::{clean, is_plain},
    segments,
    walk::{Piece, Progress, Unindexed, Walk},
    words::Words,
};
use crate::{
    model::{ids::RunId, intake::Position},
    world::output::assembly::Draft,
};

/// A frame is closed behind the first whole line after so many bytes: little enough to be unpacked for a few lines, enough to be packed well.
pub(super) const FRAME_BYTES: u64 = 512 * 1024;

/// Where there is no such line, after so many times as many.
const LONGEST: u64 = 2;

/// A smaller segment is unpacked sooner than it is asked what is in it.
const LEAST_FOR_GRAMS: u64 = 256 * 1024;

/// Most that is read at once, bytes.
const STEP: usize = 64 * 1024;

/// Writes the archive of a closed segment, of which `raw` is open, in frames of about so many bytes.
///
/// # Errors
/// Those of reading and writing; that the segment changed meanwhile.
pub(super) fn write(slot: &Path, number: u64, frame_bytes: u64, raw: &File, to: File) -> io::Result<File> {
    let length = raw.metadata()?.len();
    let frame_bytes = frame_bytes.clamp(1, FRAME_BYTES);
    let there = segments::list(slot);
    let seam = seam_before(slot, &there, number);
    let is_open = [seam[0].segment < number, seam[1].segment < number];
    let ends = cuts(slot, number, (length, frame_bytes), is_open);
    let starts: Vec<u64> = std::iter::once(0).chain(ends.iter().copied()).take(ends.len()).collect();
    let places = index::places_before(slot, number, &starts);
    let mut passage = Some(Passage::begin(slot, seam, 0, 0));
    let mut writer = Writer::new(to)?;
    let (mut frames, mut sets, mut words) = (Vec::new(), Vec::new(), Vec::new());
    let mut bytes = Vec::new();
    for ((start, end), index_at) in starts.into_iter().zip(ends).zip(places) {
        bytes.resize((end - start) as usize, 0);
        raw.read_exact_at(&mut bytes, start).map_err(changed)?;
        writer.frame(&bytes)?;
        passage = passage.take().and_then(|mut passage| {
            let here = Position { segment: number, offset: start };
            let mut survey = Survey::of(&bytes, here, &passage);
            let reached = passage.advance(number, end, &mut |draft| survey.take(draft));
            (reached == Reached::There).then_some(())?;
            frames.push(survey.about(&passage, if survey.from == [here; 2] { index_at } else { 0 }));
            sets.push(survey.grams);
            words.push(survey.words.set());
            Some(passage)
        });
    }
    if raw.metadata()?.len() != length {
        return Err(changed(ErrorKind::UnexpectedEof.into()));
    }
    // Without it the archive is read all the same.
    if let Some(passage) = passage {
        let end = passage.seam(number);
        if length >= LEAST_FOR_GRAMS && sets.len() * grams::BYTES <= MOST_BYTES {
            let (tag, note) = grams_note(&sets);
            writer.note(tag, &note)?;
            let (tag, note) = words_note(&words);
            if note.len() <= MOST_BYTES {
                writer.note(tag, &note)?;
            }
        }
        let (tag, note) = Map { frames, end }.note();
        writer.note(tag, &note)?;
    }
    writer.finish()
}

fn changed(_error: io::Error) -> io::Error {
    io::Error::other("it grew or shrank meanwhile")
}

/// Where frames end: behind a line feed where no line of the other stream is unfinished, if there is one in time.
fn cuts(slot: &Path, number: u64, (length, frame_bytes): (u64, u64), mut is_open: [bool; 2]) -> Vec<u64> {
    let mut cuts = Vec::new();
    let (mut begin, mut last_run) = (0, None);
    let from = Position { segment: number, offset: 0 };
    let mut walk = Walk::new(slot.to_owned(), from, Unindexed::Guess(0));
    while walk.at().segment == number && walk.at().offset < length {
        let room = (length - walk.at().offset).min(STEP as u64) as usize;
        let progress = walk.step(room, |piece| {
            let Piece::Bytes { at, stream, run, bytes, .. } = piece else { return };
            if at.segment != number {
                return;
            }
            if last_run.replace(run).is_some_and(|before| before != run) {
                is_open = [false; 2];
            }
            let end = at.offset + bytes.len() as u64;
            let whole = memchr::memrchr(b'\n', bytes).map(|feed| at.offset + feed as u64 + 1);
            let cut = whole.filter(|_| !is_open[1 - stream as usize]).filter(|cut| cut - begin >= frame_bytes);
            let cut = cut.or((end - begin >= LONGEST * frame_bytes).then_some(end));
            if let Some(cut) = cut {
                cuts.push(cut);
                begin = cut;
            }
            is_open[stream as usize] = whole != Some(end);
        });
        if matches!(progress, Progress::End | Progress::Anew) {
            break;
        }
    }
    // What cannot be walked through is packed all the same.
    while length - begin > LONGEST * FRAME_BYTES {
        begin += FRAME_BYTES;
        cuts.push(begin);
    }
    if begin < length {
        cuts.push(length);
    }
    cuts
}

/// What is found out about a frame while its lines are read.
struct Survey<'a> {
    bytes: &'a [u8],
    from: [Position; 2],
    first_seq: u64,
    /// So much of the bytes was found as lines, in this order.
    same: Option<usize>,
    times: Option<(i64, i64)>,
    run: RunId,
    grams: Grams,
    words: Words,
}

impl<'a> Survey<'a> {
    /// Of these bytes, which begin here, and which `passage` is about to enter.
    fn of(bytes: &'a [u8], here: Position, passage: &Passage) -> Self {
        let from = passage.seam_here();
        let same = (from == [here; 2] && is_plain(bytes)).then_some(0);
        let first_seq = passage.next_seq();
        let (grams, words) = (Grams::none(), Words::default());
        Self { bytes, from, first_seq, same, times: None, run: RunId(0), grams, words }
    }

    fn take(&mut self, draft: &Draft) -> ControlFlow<()> {
        let (oldest, newest) = self.times.unwrap_or((draft.wall_us, draft.wall_us));
        self.times = Some((oldest.min(draft.wall_us), newest.max(draft.wall_us)));
        self.run = draft.run;
        let is_whole = draft.lines.iter().all(|line| !line.continued);
        self.same = self.same.filter(|_| is_whole).and_then(|same| {
            let end = same + draft.text.len();
            (self.bytes.get(same..end)? == draft.text.as_bytes()).then_some(end)
        });
        for line in &draft.lines {
            let line = clean(draft.text_of(*line));
            self.grams.add(line.as_bytes());
            self.words.add(line.as_bytes());
        }
        ControlFlow::Continue(())
    }

    fn about(&self, passage: &Passage, index_at: u64) -> About {
        About {
            from: self.from,
            index_at,
            lines: (passage.next_seq() - self.first_seq) as u32,
            times: self.times.unwrap_or((i64::MAX, i64::MIN)),
            run: self.run,
            is_plain: self.same == Some(self.bytes.len()),
        }
    }
}
