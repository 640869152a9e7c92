//! A file of independent zstd frames with a table at its end that says where each is: the [Zstandard Seekable Format][format], which any zstd
//! unpacks as a whole. What else is known of the frames stands in skippable frames before the table ([`Frames::note`]).
//!
//! Promise: a frame is read without its neighbours, and one that is damaged costs its own bytes; where the table is damaged or missing it is made
//! again from the frames themselves. Never: believes a length that it read before it has looked whether that can be.
//!
//! [format]: https://github.com/facebook/zstd/blob/dev/contrib/seekable_format/zstd_seekable_compression_format.md

use std::{
    borrow::Cow,
    fs::File,
    io::{self, Write},
};

use zstd::{
    bulk::{Compressor, Decompressor},
    zstd_safe::CParameter,
};

use super::index;

/// Of all log text that was tried, 3 packs as small as anything that is not three times as slow.
const LEVEL: i32 = 3;

/// No frame of ours unpacks to more bytes, nor does a note.
pub(super) const MOST_BYTES: usize = 4 << 20;

/// Begins a frame.
const FRAME: u32 = 0xFD2F_B528;
/// Begins a skippable frame, but for the last four bits.
const SKIPPABLE: u32 = 0x184D_2A50;
/// Begins the frame of the table.
const TABLE: u32 = 0x184D_2A5E;
/// Ends the table.
const TABLE_END: u32 = 0x8F92_EAB1;
/// Bytes behind the table: count of frames, descriptor, [`TABLE_END`].
const FOOTER: usize = 9;
/// Bytes before what a skippable frame holds.
const HEAD: usize = 8;
/// Bytes at the end of the file that are read at once: mostly all that is to be known is in them.
const END_BYTES: usize = 8 * 1024;

/// One of the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// Where it stands in the file.
    packed_at: u64,
    /// How long it is there.
    packed: u32,
    /// Its first byte, unpacked.
    pub(super) start: u64,
    /// Bytes, unpacked; 0: it is skipped.
    pub(super) len: u32,
}

impl Frame {
    /// Behind its last byte, unpacked.
    pub(super) const fn end(&self) -> u64 {
        self.start + self.len as u64
    }
}

/// Writes such a file.
pub(super) struct Writer<W> {
    to: W,
    packer: Compressor<'static>,
    packed: Vec<u8>,
    table: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Begins.
    pub(super) fn new(to: W) -> io::Result<Self> {
        let mut packer = Compressor::new(LEVEL)?;
        packer.set_parameter(CParameter::ChecksumFlag(true))?;
        Ok(Self { to, packer, packed: Vec::new(), table: Vec::new() })
    }

    /// One frame of at most [`MOST_BYTES`] bytes.
    pub(super) fn frame(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pack(bytes)?;
        self.to.write_all(&self.packed)?;
        self.log(self.packed.len(), bytes.len())
    }

    /// Something about the frames, which other programs pass over. Behind the last of them.
    pub(super) fn note(&mut self, tag: [u8; 4], bytes: &[u8]) -> io::Result<()> {
        self.pack(bytes)?;
        let length = self.packed.len() + tag.len();
        self.to.write_all(&SKIPPABLE.to_le_bytes())?;
        self.to.write_all(&u32::try_from(length).map_err(io::Error::other)?.to_le_bytes())?;
        self.to.write_all(&tag)?;
        self.to.write_all(&self.packed)?;
        self.log(length + HEAD, 0)
    }

    fn pack(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > MOST_BYTES {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        self.packer.compress_to_buffer(bytes, &mut self.packed).map(drop)
    }

    fn log(&mut self, packed: usize, unpacked: usize) -> io::Result<()> {
        for size in [packed, unpacked] {
            self.table.extend_from_slice(&u32::try_from(size).map_err(io::Error::other)?.to_le_bytes());
        }
        Ok(())
    }

    /// Writes the table.
    pub(super) fn finish(mut self) -> io::Result<W> {
        let number = |size: usize| u32::try_from(size).map(u32::to_le_bytes).map_err(io::Error::other);
        self.to.write_all(&TABLE.to_le_bytes())?;
        self.to.write_all(&number(self.table.len() + FOOTER)?)?;
        self.to.write_all(&self.table)?;
        self.to.write_all(&number(self.table.len() / 8)?)?;
        // No checksums in the table: each frame has its own.
        self.to.write_all(&[0])?;
        self.to.write_all(&TABLE_END.to_le_bytes())?;
        Ok(self.to)
    }
}

/// Such a file, open.
pub(super) struct Frames {
    file: File,
    table: Vec<Frame>,
    skipped: Vec<Frame>,
    length: u64,
    /// The end of the file, as it was read for the table, and where that begins.
    end: (u64, Vec<u8>),
    /// One frame, unpacked; and which.
    unpacked: Vec<u8>,
    which: Option<usize>,
    packed: Vec<u8>,
    unpacker: Decompressor<'static>,
}

impl std::fmt::Debug for Frames {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Frames").field("length", &self.length).field("which", &self.which).finish_non_exhaustive()
    }
}

impl Frames {
    /// Reads where the frames are.
    pub(super) fn open(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let from = size.saturating_sub(END_BYTES as u64);
        let mut end = vec![0; (size - from) as usize];
        let read = index::read_at(&file, from, &mut end);
        end.truncate(read);
        let all = table(&file, size, &end).unwrap_or_else(|| found_again(&file, size));
        let (unpacked, packed, skipped) = (Vec::new(), Vec::new(), Vec::new());
        let (end, unpacker) = ((from, end), Decompressor::new()?);
        let mut opened =
            Self { file, table: Vec::new(), skipped, length: 0, end, unpacked, which: None, packed, unpacker };
        for frame in all {
            opened.add(frame);
        }
        Ok(opened)
    }

    /// Takes a frame of the table. Where that and the frame do not say the same of its length, the frame is right if it can be unpacked so.
    fn add(&mut self, frame: Frame) {
        let frame = Frame { start: self.length, ..frame };
        let stated = head_of(&self.file, frame.packed_at).map_or(frame.len, |(_, len)| len);
        if stated != frame.len && self.fill(Frame { len: stated, ..frame }).is_some() {
            self.table.push(Frame { len: stated, ..frame });
        } else if frame.len > 0 {
            self.table.push(frame);
        } else {
            self.skipped.push(frame);
        }
        self.length = self.table.last().map_or(0, Frame::end);
    }

    /// The file.
    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    /// Bytes in all frames, unpacked.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// The frames, in order and without a gap between them.
    pub(super) fn frames(&self) -> &[Frame] {
        &self.table
    }

    /// The frame that this byte is in.
    pub(super) fn frame_at(&self, offset: u64) -> Option<Frame> {
        self.place_of(offset).map(|place| self.table[place])
    }

    fn place_of(&self, offset: u64) -> Option<usize> {
        let place = self.table.partition_point(|frame| frame.end() <= offset);
        (place < self.table.len()).then_some(place)
    }

    /// What is in a frame; none where it is damaged.
    pub(super) fn unpack(&mut self, place: usize) -> Option<&[u8]> {
        if self.which != Some(place) {
            self.which = None;
            self.fill(*self.table.get(place)?)?;
            self.which = Some(place);
        }
        Some(&self.unpacked)
    }

    fn fill(&mut self, frame: Frame) -> Option<()> {
        self.packed.resize(frame.packed as usize, 0);
        let read = index::read_at(&self.file, frame.packed_at, &mut self.packed);
        self.unpacked.clear();
        self.unpacked.reserve(frame.len as usize);
        let unpacked = self.unpacker.decompress_to_buffer(&self.packed[..read], &mut self.unpacked).ok()?;
        (unpacked == frame.len as usize).then_some(())
    }

    /// Fills `buffer` from `from` on as far as there are bytes that can be read; how many.
    pub(super) fn read(&mut self, from: u64, buffer: &mut [u8]) -> usize {
        let mut filled = 0;
        while filled < buffer.len() {
            let at = from + filled as u64;
            let Some(place) = self.place_of(at) else { break };
            let skip = (at - self.table[place].start) as usize;
            let Some(bytes) = self.unpack(place).and_then(|bytes| bytes.get(skip..)) else { break };
            let length = bytes.len().min(buffer.len() - filled);
            buffer[filled..filled + length].copy_from_slice(&bytes[..length]);
            filled += length;
        }
        filled
    }

    /// What was written with this tag; none where that is nothing, or damaged.
    pub(super) fn note(&mut self, tag: [u8; 4]) -> Option<Vec<u8>> {
        let head = HEAD + tag.len();
        let is_it = |frame: &&Frame| {
            let starts = self.packed_bytes(**frame, head);
            (head..2 * MOST_BYTES).contains(&(frame.packed as usize)) && starts.get(HEAD..) == Some(&tag)
        };
        let frame = *self.skipped.iter().rev().find(is_it)?;
        let bytes = self.packed_bytes(frame, frame.packed as usize).into_owned();
        self.unpacker.decompress(bytes.get(head..)?, MOST_BYTES).ok()
    }

    /// The first so many bytes of a frame as it stands in the file.
    fn packed_bytes(&self, frame: Frame, length: usize) -> Cow<'_, [u8]> {
        let (from, end) = &self.end;
        let here = frame.packed_at.checked_sub(*from).and_then(|at| end.get(at as usize..)?.get(..length));
        here.map_or_else(
            || {
                let mut bytes = vec![0; length];
                let read = index::read_at(&self.file, frame.packed_at, &mut bytes);
                bytes.truncate(read);
                Cow::Owned(bytes)
            },
            Cow::Borrowed,
        )
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

/// The table as it was written; none where it makes no sense.
fn table(file: &File, size: u64, end: &[u8]) -> Option<Vec<Frame>> {
    let footer = end.len().checked_sub(FOOTER)?;
    (number(end, footer + 5)? == TABLE_END).then_some(())?;
    let count = number(end, footer)? as usize;
    let entry = match end[footer + 4] {
        0 => 8,
        0x80 => 12,
        _ => return None,
    };
    let length = count.checked_mul(entry)?;
    let begin = size.checked_sub((HEAD + length + FOOTER) as u64)?;
    let mut elsewhere;
    let bytes = if let Some(at) = end.len().checked_sub(HEAD + length + FOOTER) {
        &end[at..]
    } else {
        elsewhere = vec![0; HEAD + length + FOOTER];
        let read = index::read_at(file, begin, &mut elsewhere);
        &elsewhere[..read]
    };
    (number(bytes, 0)? == TABLE && number(bytes, 4)? as usize == length + FOOTER).then_some(())?;
    let (mut packed_at, mut start) = (0, 0);
    let mut frames = Vec::with_capacity(count);
    for entry in bytes.get(HEAD..HEAD + length)?.chunks_exact(entry) {
        let (packed, len) = (number(entry, 0)?, number(entry, 4)?);
        (packed > 0 && len as usize <= MOST_BYTES).then_some(())?;
        frames.push(Frame { packed_at, packed, start, len });
        packed_at += u64::from(packed);
        start += u64::from(len);
    }
    (packed_at == begin).then_some(frames)
}

/// The frames as they stand in the file, up to where something else stands or nothing more.
fn found_again(file: &File, size: u64) -> Vec<Frame> {
    let (mut packed_at, mut start) = (0, 0);
    let mut frames = Vec::new();
    while let Some((packed, len)) = frame_here(file, packed_at)
        && packed <= size - packed_at
        && let Ok(packed) = u32::try_from(packed)
    {
        frames.push(Frame { packed_at, packed, start, len });
        packed_at += u64::from(packed);
        start += u64::from(len);
    }
    frames
}

/// How long the head of the frame is that begins here, and how long the frame is unpacked, as it says itself
/// ([RFC 8878](https://www.rfc-editor.org/rfc/rfc8878), section 3.1.1.1); none where it is skipped, or does not say it.
fn head_of(file: &File, at: u64) -> Option<(u64, u32)> {
    let mut head = [0; 18];
    let read = index::read_at(file, at, &mut head);
    let head = &head[..read];
    (number(head, 0)? == FRAME).then_some(())?;
    let descriptor = *head.get(4)?;
    let is_single = descriptor & 0x20 != 0;
    let size_at = 5 + usize::from(!is_single) + [0, 1, 2, 4][usize::from(descriptor & 3)];
    let bytes = |count: usize| head.get(size_at..size_at + count);
    let (len, size_bytes) = match (descriptor >> 6, is_single) {
        (0, true) => (u64::from(bytes(1)?[0]), 1),
        (0, false) => return None,
        (1, _) => (u64::from(u16::from_le_bytes(bytes(2)?.try_into().ok()?)) + 256, 2),
        (2, _) => (u64::from(number(head, size_at)?), 4),
        _ => (u64::from_le_bytes(bytes(8)?.try_into().ok()?), 8),
    };
    let len = u32::try_from(len).ok().filter(|len| (1..=MOST_BYTES).contains(&(*len as usize)))?;
    Some(((size_at + size_bytes) as u64, len))
}

/// How long the frame is that begins here, packed and unpacked; 0 unpacked where it is skipped.
fn frame_here(file: &File, at: u64) -> Option<(u64, u32)> {
    let mut start = [0; HEAD];
    let read = index::read_at(file, at, &mut start);
    if number(&start[..read], 0)? & !0xF == SKIPPABLE {
        return Some((HEAD as u64 + u64::from(number(&start[..read], 4)?), 0));
    }
    let (head, len) = head_of(file, at)?;
    let has_checksum = start.get(4)? & 4 != 0;
    let mut block_at = at + head;
    loop {
        let mut block = [0; 4];
        (index::read_at(file, block_at, &mut block[..3]) == 3).then_some(())?;
        let block = u32::from_le_bytes(block);
        // A run of one byte is stored as one.
        let stored = if block >> 1 & 3 == 1 { 1 } else { block >> 3 };
        block_at += 3 + u64::from(stored);
        if block & 1 == 1 {
            break;
        }
    }
    let checksum = if has_checksum { 4 } else { 0 };
    Some((block_at + checksum - at, len))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{Frame, Frames, MOST_BYTES, Writer};

    const TAG: [u8; 4] = *b"test";

    fn packed(pieces: &[Vec<u8>], note: Option<&[u8]>) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new()).unwrap();
        for piece in pieces {
            writer.frame(piece).unwrap();
        }
        if let Some(note) = note {
            writer.note(TAG, note).unwrap();
        }
        writer.finish().unwrap()
    }

    fn open(bytes: &[u8]) -> Frames {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Frames::open(file).unwrap()
    }

    fn pieces(seed: u64) -> Vec<Vec<u8>> {
        let mut random = fastrand::Rng::with_seed(seed);
        let count = random.usize(1..12);
        let mut piece = |_| {
            let size = random.usize(1..90_000);
            (0..size).map(|_| random.u8(b'a'..b'f')).collect()
        };
        (0..count).map(&mut piece).collect()
    }

    #[test]
    fn what_was_packed_is_read_from_any_place_on_and_any_zstd_unpacks_it() {
        for seed in 0..20 {
            let pieces = pieces(seed);
            let whole = pieces.concat();
            let bytes = packed(&pieces, Some(b"what is known"));
            assert!(zstd::stream::decode_all(&bytes[..]).unwrap() == whole, "seed {seed}");
            let mut frames = open(&bytes);
            assert_eq!((frames.length(), frames.frames().len()), (whole.len() as u64, pieces.len()));
            assert_eq!(frames.note(TAG).as_deref(), Some(&b"what is known"[..]));
            assert_eq!(frames.note(*b"none"), None);
            let mut random = fastrand::Rng::with_seed(seed);
            for _ in 0..20 {
                let from = random.usize(0..whole.len());
                let mut buffer = vec![0; random.usize(1..100_000)];
                let read = frames.read(from as u64, &mut buffer);
                assert!(buffer[..read] == whole[from..whole.len().min(from + buffer.len())], "seed {seed} from {from}");
            }
        }
    }

    #[test]
    fn a_damaged_byte_costs_its_frame_at_most() {
        let pieces = pieces(3);
        let bytes = packed(&pieces, Some(b"known"));
        let ends: Vec<Frame> = open(&bytes).frames().to_vec();
        for at in (0..bytes.len()).step_by(97).chain(bytes.len() - 40..bytes.len()) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            let mut frames = open(&damaged);
            let mut lost = Vec::new();
            for (place, piece) in pieces.iter().enumerate() {
                match frames.unpack(place) {
                    Some(read) => assert!(read == piece, "byte {at}: frame {place} is another"),
                    None => lost.push(place),
                }
            }
            let of = ends.iter().position(|frame| (at as u64) < frame.packed_at + u64::from(frame.packed));
            assert!(lost.is_empty() || lost == of.into_iter().collect::<Vec<_>>(), "byte {at}: {lost:?} for {of:?}");
        }
    }

    #[test]
    fn without_its_table_a_file_is_read_up_to_where_it_was_cut() {
        let pieces = pieces(5);
        let bytes = packed(&pieces, Some(&vec![7; 30_000]));
        let ends: Vec<Frame> = open(&bytes).frames().to_vec();
        for length in (0..bytes.len()).step_by(101) {
            let mut cut = open(&bytes[..length]);
            let whole = ends.iter().filter(|frame| frame.packed_at + u64::from(frame.packed) <= length as u64).count();
            assert_eq!(cut.frames(), &ends[..whole], "cut at {length}");
            assert!((0..whole).all(|place| cut.unpack(place).is_some_and(|read| read == pieces[place])));
        }
    }

    #[test]
    fn nothing_is_believed_of_a_table_that_lies() {
        let bytes = packed(&pieces(7), None);
        let mut random = fastrand::Rng::with_seed(7);
        for round in 0..2000 {
            let mut lie = bytes.clone();
            let table = lie.len() - 120.min(lie.len() / 2);
            for _ in 0..random.usize(1..6) {
                let at = random.usize(table..lie.len());
                let other = random.u8(..);
                lie[at] = random.choice([0, 1, 0x7f, 0x80, 0xff, other]).unwrap();
            }
            let mut frames = open(&lie);
            assert!(frames.frames().iter().all(|frame| frame.len as usize <= MOST_BYTES), "round {round}");
            let mut buffer = vec![0; 1000];
            frames.read(random.u64(0..200_000), &mut buffer);
        }
    }

    #[test]
    fn a_file_of_zstd_itself_is_read_where_it_says_how_long_it_is() {
        let text = b"one line\n".repeat(1000);
        let mut frames = open(&zstd::bulk::compress(&text, 19).unwrap());
        assert_eq!(frames.length(), text.len() as u64);
        assert!(frames.unpack(0).is_some_and(|read| read == text));
    }
}
