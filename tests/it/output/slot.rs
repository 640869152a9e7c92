//! A slot, written as a shim does: bytes first, then their record.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use cas::{
    model::{
        ids::{ProjectName, ServiceId, ServiceName},
        intake::Position,
        log::Stream,
    },
    shim_format::{IndexKind, IndexRecord},
    world::log_files::{LogFilter, Slots, StoredLine, read_lines},
};

pub(crate) fn id(service: &str) -> ServiceId {
    ServiceId { project: ProjectName::new("shop").unwrap(), service: ServiceName::new(service).unwrap() }
}

pub(crate) fn slots(dir: &Path) -> Vec<Slots> {
    vec![Slots { project: ProjectName::new("shop").unwrap(), dir: dir.to_owned() }]
}

pub(crate) fn of(service: &str) -> LogFilter {
    LogFilter { services: vec![id(service)], ..LogFilter::default() }
}

pub(crate) fn texts(lines: impl IntoIterator<Item = StoredLine>) -> Vec<String> {
    lines.into_iter().map(|line| line.text).collect()
}

/// The texts of a service's lines on disk.
pub(crate) fn stored(dir: &Path, service: &str) -> Vec<String> {
    texts(read_lines(&slots(dir), &of(service)))
}

/// Writes one slot.
pub(crate) struct SlotWriter {
    pub(crate) slot: PathBuf,
    /// A segment that has so many bytes is closed.
    pub(crate) segment_bytes: u64,
    /// Time of the next record; each advances it by 10 ms.
    pub(crate) now_us: i64,
    pub(crate) run: u64,
    number: u64,
    offset: u64,
    log: Option<(File, File)>,
}

impl SlotWriter {
    pub(crate) fn new(dir: &Path, service: &str, segment_bytes: u64) -> Self {
        let slot = dir.join(service);
        fs::create_dir_all(&slot).unwrap();
        Self { slot, segment_bytes, now_us: 1_000_000, run: 1, number: 0, offset: 0, log: None }
    }

    pub(crate) fn path(&self, kind: &str, number: u64) -> PathBuf {
        self.slot.join(format!("{kind}.{number:06}"))
    }

    fn begin_segment(&mut self) {
        self.number += 1;
        self.offset = 0;
        let open = |path| OpenOptions::new().create(true).append(true).open(path).unwrap();
        self.log = Some((open(self.path("log", self.number)), open(self.path("idx", self.number))));
    }

    pub(crate) fn end(&self) -> Position {
        Position { segment: self.number, offset: self.offset }
    }

    /// One batch: cut where a segment is full, at any byte.
    pub(crate) fn write(&mut self, stream: Stream, bytes: impl AsRef<[u8]>) {
        let mut rest = bytes.as_ref();
        while !rest.is_empty() {
            if self.log.is_none() || self.offset >= self.segment_bytes {
                self.begin_segment();
            }
            let room = usize::try_from(self.segment_bytes - self.offset).unwrap();
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.bytes(now);
            self.record(stream, now.len(), IndexKind::Data, 0);
            rest = later;
        }
        self.now_us += 10_000;
    }

    pub(crate) fn out(&mut self, text: impl AsRef<[u8]>) {
        self.write(Stream::Stdout, text);
    }

    pub(crate) fn err(&mut self, text: impl AsRef<[u8]>) {
        self.write(Stream::Stderr, text);
    }

    /// Bytes without their record.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.log.as_mut().unwrap().0.write_all(bytes).unwrap();
        self.offset += bytes.len() as u64;
    }

    /// The record of the last `len` bytes.
    pub(crate) fn record(&mut self, stream: Stream, len: usize, kind: IndexKind, count: u64) {
        let record = IndexRecord {
            offset: self.offset - len as u64,
            len: u32::try_from(len).unwrap(),
            stream: if stream == Stream::Stdout { 1 } else { 2 },
            kind,
            wall_us: self.now_us,
            run: self.run,
            count,
        };
        self.log.as_mut().unwrap().1.write_all(&record.encode()).unwrap();
    }

    pub(crate) fn dropped(&mut self, count: u64) {
        self.record(Stream::Stdout, 0, IndexKind::Dropped, count);
    }

    /// The run has ended, and its exit record is there.
    pub(crate) fn exit(&self) {
        let text = format!("v=1\nrun={}\nkind=0\nvalue=0\nwall=1\nuser=0\nsystem=0\nrss=0\n", self.run);
        fs::write(self.slot.join("exit"), text).unwrap();
    }

    /// Deletes a segment, as retention does.
    pub(crate) fn delete(&self, number: u64) {
        fs::remove_file(self.path("log", number)).unwrap();
        fs::remove_file(self.path("idx", number)).unwrap();
    }

    /// Makes an archive of a segment; the raw one goes.
    pub(crate) fn compress(&self, number: u64) {
        let bytes = fs::read(self.path("log", number)).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&bytes).unwrap();
        fs::write(self.slot.join(format!("log.{number:06}.gz")), encoder.finish().unwrap()).unwrap();
        fs::remove_file(self.path("log", number)).unwrap();
    }
}
