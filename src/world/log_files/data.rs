//! The bytes of a segment, raw or compressed, read forwards; what is not compressed by an earlier version, from any place on. Never trusts that they
//! are all there.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
};

use flate2::bufread::GzDecoder;

use super::{
    frames::Frames,
    segments::{self, Form, Segment},
};

/// An open segment.
pub(super) enum Data {
    Raw(File),
    Archive(Box<Frames>),
    /// Unpacked up to `at`.
    Gzip {
        decoder: Box<GzDecoder<BufReader<File>>>,
        at: u64,
    },
}

impl std::fmt::Debug for Data {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Raw(file) => to.debug_tuple("Raw").field(file).finish(),
            Self::Archive(frames) => to.debug_tuple("Archive").field(frames).finish(),
            Self::Gzip { at, .. } => to.debug_struct("Gzip").field("at", at).finish_non_exhaustive(),
        }
    }
}

impl Data {
    pub(super) fn open(slot: &Path, segment: Segment) -> io::Result<Self> {
        let file = segments::open(&segments::file(slot, segment))?;
        Ok(match segment.form {
            Form::Raw => Self::Raw(file),
            Form::Archive => Self::Archive(Box::new(Frames::open(file)?)),
            Form::Gzip => {
                Self::Gzip { decoder: Box::new(GzDecoder::new(BufReader::with_capacity(32 * 1024, file))), at: 0 }
            }
        })
    }

    /// Bytes there are now; none where only unpacking would tell.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::Raw(file) => Some(file.metadata().map_or(0, |found| found.len())),
            Self::Archive(frames) => Some(frames.length()),
            Self::Gzip { .. } => None,
        }
    }

    /// How many bytes from `from` on can be read, or cannot, together: an archive is unpacked frame by frame.
    pub(super) fn together(&self, from: u64) -> Option<u64> {
        match self {
            Self::Archive(frames) => frames.frame_at(from).map(|frame| frame.end() - from),
            Self::Raw(_) | Self::Gzip { .. } => None,
        }
    }

    /// Where the frame ends that `from` is in, if it is damaged.
    pub(super) fn hole_at(&mut self, from: u64) -> Option<u64> {
        match self {
            Self::Archive(frames) => {
                let frame = frames.frame_at(from)?;
                (frames.read(from, &mut [0]) == 0).then(|| frame.end())
            }
            Self::Raw(_) | Self::Gzip { .. } => None,
        }
    }

    /// Whether its place would have to be looked for again, were it closed.
    pub(super) const fn is_lost_when_closed(&self) -> bool {
        match self {
            Self::Raw(_) | Self::Archive(_) => false,
            Self::Gzip { .. } => true,
        }
    }

    /// Its name is gone: it was deleted or compressed.
    pub(super) fn is_unlinked(&self) -> bool {
        match self {
            Self::Raw(file) => file.metadata().is_ok_and(|found| found.nlink() == 0),
            Self::Archive(_) | Self::Gzip { .. } => false,
        }
    }

    /// Last written to, microseconds since the Unix epoch.
    pub(super) fn modified_us(&self) -> i64 {
        let file = match self {
            Self::Raw(file) => file,
            Self::Archive(frames) => frames.file(),
            Self::Gzip { decoder, .. } => decoder.get_ref().get_ref(),
        };
        file.metadata()
            .map_or(0, |found| found.mtime().saturating_mul(1_000_000).saturating_add(found.mtime_nsec() / 1000))
    }

    /// Fills `buffer` from `from` on as far as there are bytes; how many. What cannot be read or unpacked is as good as not there. What
    /// was compressed by an earlier version goes forwards only: what lies before where it is reads as nothing.
    pub(super) fn read(&mut self, from: u64, buffer: &mut [u8]) -> usize {
        let mut filled = 0;
        if let Self::Gzip { decoder, at } = self {
            if from < *at {
                return 0;
            }
            while *at < from {
                let step = usize::try_from(from - *at).unwrap_or(usize::MAX).min(buffer.len());
                match decoder.read(&mut buffer[..step]) {
                    Ok(0) | Err(_) => return 0,
                    Ok(read) => *at += read as u64,
                }
            }
        }
        while filled < buffer.len() {
            let rest = &mut buffer[filled..];
            let read = match self {
                Self::Raw(file) => file.read_at(rest, from + filled as u64),
                Self::Archive(frames) => return frames.read(from, buffer),
                Self::Gzip { decoder, .. } => decoder.read(rest),
            };
            match read {
                Ok(read) if read > 0 => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => break,
            }
        }
        if let Self::Gzip { at, .. } = self {
            *at += filled as u64;
        }
        filled
    }
}
