//! What is known of the lines in each frame of an archive, so that one frame can be read without those before it: where its first lines begin, how
//! many end in it, when they came. It stands in the archive itself, with the groups of characters ([`super::grams`]) and the long words
//! ([`super::words`]) of each frame.
//!
//! Never more than a convenience: an archive without it is read like a segment.

use super::{frames::Frames, grams, words};
use crate::model::{ids::RunId, intake::Position};

/// Behind the last whole line of each stream, standard output first.
pub(super) type Seam = [Position; 2];

const MAP: [u8; 4] = *b"casm";
const GRAMS: [u8; 4] = *b"casg";
const WORDS: [u8; 4] = *b"casw";

/// First byte of a map: what is not of this form is not read.
const FORM: u8 = 1;

/// Bytes of one [`About`], and of a [`Seam`].
const ABOUT_BYTES: usize = SEAM_BYTES + 8 + 4 + 8 + 8 + 8 + 1;
const SEAM_BYTES: usize = 32;

/// What is known of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct About {
    /// Where whoever wants its lines begins to read.
    pub(super) from: Seam,
    /// The records from this byte of the index on are needed for that.
    pub(super) index_at: u64,
    /// Lines that end in it.
    pub(super) lines: u32,
    /// When the first of them came, and the last, microseconds since the Unix epoch.
    pub(super) times: (i64, i64),
    /// The run of the last.
    pub(super) run: RunId,
    /// It is nothing but whole lines of printable ASCII, in this order.
    pub(super) is_plain: bool,
}

/// What is known of the lines of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Map {
    /// Of each frame.
    pub(super) frames: Vec<About>,
    /// Behind the last whole line of each stream where the archive ends.
    pub(super) end: Seam,
}

impl Map {
    /// Lines that end in all frames.
    pub(super) fn lines(&self) -> u64 {
        self.frames.iter().map(|frame| u64::from(frame.lines)).sum()
    }

    /// As it is stored, and with which tag.
    pub(super) fn note(&self) -> ([u8; 4], Vec<u8>) {
        let mut bytes = Vec::with_capacity(1 + SEAM_BYTES + self.frames.len() * ABOUT_BYTES);
        bytes.push(FORM);
        put_seam(&mut bytes, self.end);
        for frame in &self.frames {
            put_seam(&mut bytes, frame.from);
            bytes.extend_from_slice(&frame.index_at.to_le_bytes());
            bytes.extend_from_slice(&frame.lines.to_le_bytes());
            bytes.extend_from_slice(&frame.times.0.to_le_bytes());
            bytes.extend_from_slice(&frame.times.1.to_le_bytes());
            bytes.extend_from_slice(&frame.run.0.to_le_bytes());
            bytes.push(u8::from(frame.is_plain));
        }
        (MAP, bytes)
    }

    /// That of an archive; none where there is no whole one of all its frames.
    pub(super) fn of(archive: &mut Frames) -> Option<Self> {
        let map = Self::parse(&archive.note(MAP)?)?;
        (map.frames.len() == archive.frames().len()).then_some(map)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (form, rest) = bytes.split_first()?;
        (*form == FORM).then_some(())?;
        let (end, rest) = rest.split_at_checked(SEAM_BYTES)?;
        (rest.len() % ABOUT_BYTES == 0).then_some(())?;
        let frames = rest.chunks_exact(ABOUT_BYTES).map(about).collect::<Option<_>>()?;
        Some(Self { frames, end: seam(end)? })
    }
}

/// The groups of characters of all frames, as they are stored and with which tag.
pub(super) fn grams_note(of_frames: &[grams::Grams]) -> ([u8; 4], Vec<u8>) {
    (GRAMS, of_frames.iter().flat_map(grams::Grams::bytes).copied().collect())
}

/// The groups of characters of all frames; none where they are not stored, or damaged.
pub(super) fn grams(archive: &mut Frames) -> Option<Vec<u8>> {
    let bytes = archive.note(GRAMS)?;
    (bytes.len() == archive.frames().len() * grams::BYTES).then_some(bytes)
}

/// The long words of all frames, as they are stored and with which tag.
pub(super) fn words_note(of_frames: &[Option<Vec<u8>>]) -> ([u8; 4], Vec<u8>) {
    (WORDS, words::encode(of_frames))
}

/// The long words of each frame, where they are known; nothing where they are not stored, or damaged.
pub(super) fn words(archive: &mut Frames) -> Vec<Option<Vec<u8>>> {
    archive.note(WORDS).and_then(|bytes| words::decode(&bytes, archive.frames().len())).unwrap_or_default()
}

fn put_seam(bytes: &mut Vec<u8>, seam: Seam) {
    for position in seam {
        bytes.extend_from_slice(&position.segment.to_le_bytes());
        bytes.extend_from_slice(&position.offset.to_le_bytes());
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

fn seam(bytes: &[u8]) -> Option<Seam> {
    let position = |at| Some(Position { segment: number(bytes, at)?, offset: number(bytes, at + 8)? });
    Some([position(0)?, position(16)?])
}

fn about(bytes: &[u8]) -> Option<About> {
    let at = SEAM_BYTES;
    Some(About {
        from: seam(bytes)?,
        index_at: number(bytes, at)?,
        lines: u32::from_le_bytes(bytes.get(at + 8..at + 12)?.try_into().ok()?),
        times: (number(bytes, at + 12)?.cast_signed(), number(bytes, at + 20)?.cast_signed()),
        run: RunId(number(bytes, at + 28)?),
        is_plain: *bytes.get(at + 36)? == 1,
    })
}

#[cfg(test)]
mod tests {
    use super::{About, Map};
    use crate::model::{ids::RunId, intake::Position};

    #[test]
    fn a_map_is_read_as_it_was_written_and_half_of_one_is_none() {
        let at = |segment, offset| Position { segment, offset };
        let about = |n: u64| About {
            from: [at(3, n), at(2, 7)],
            index_at: 40 * n,
            lines: 12,
            times: (-5, 1_700_000_000_000_000),
            run: RunId(n),
            is_plain: n.is_multiple_of(2),
        };
        let map = Map { frames: (0..20).map(about).collect(), end: [at(4, 0), at(3, 9)] };
        let (_, bytes) = map.note();
        assert_eq!(Map::parse(&bytes).as_ref(), Some(&map));
        assert_eq!(map.lines(), 240);
        assert!((0..bytes.len()).all(|cut| Map::parse(&bytes[..cut]).is_none_or(|read| read.frames.len() < 20)));
        assert_eq!(Map::parse(&[2; 300]), None);
    }
}
