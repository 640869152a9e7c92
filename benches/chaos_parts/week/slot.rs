//! One slot as a shim leaves it: segments, their index, rotation, retention by size. Read by the real intake.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use cas::{
    model::{
        ids::{RunId, ServiceId},
        intake::{Cursor, Position},
        service::LogPolicy,
    },
    shim_format::{IndexKind, IndexRecord},
    world::output::Capture,
};

/// A slot and its reader.
pub(crate) struct Slot {
    dir: PathBuf,
    policy: LogPolicy,
    at: Position,
    pub(crate) capture: Capture,
}

impl Slot {
    /// Goes on behind what is there.
    pub(crate) fn open(dir: &Path, place: Arc<str>, service: ServiceId, cursor: Cursor, policy: LogPolicy) -> Self {
        fs::create_dir_all(dir).expect("a slot");
        let segment = numbers(dir).into_iter().map(|(number, _)| number).max().unwrap_or(1);
        let offset = fs::metadata(dir.join(format!("log.{segment:06}"))).map_or(0, |found| found.len());
        let capture = Capture::open(dir, place, service, cursor);
        Self { dir: dir.to_owned(), policy, at: Position { segment, offset }, capture }
    }

    /// Where the output ends.
    pub(crate) const fn end(&self) -> Position {
        self.at
    }

    /// What a service wrote in one go, and the shim with it.
    pub(crate) fn write(&mut self, run: RunId, wall_us: i64, stream: u8, text: &[u8]) {
        if self.at.offset > 0 && self.at.offset + text.len() as u64 > self.policy.segment_bytes() {
            self.at = Position { segment: self.at.segment + 1, offset: 0 };
            self.make_room();
        }
        let number = self.at.segment;
        append(&self.dir.join(format!("log.{number:06}"))).write_all(text).expect("a segment can be written");
        let record = IndexRecord {
            offset: self.at.offset,
            len: u32::try_from(text.len()).expect("a short text"),
            stream,
            kind: IndexKind::Data,
            wall_us,
            run: run.0,
            count: 0,
        };
        append(&self.dir.join(format!("idx.{number:06}"))).write_all(&record.encode()).expect("an index");
        self.at.offset += text.len() as u64;
    }

    /// As the shim does: the oldest go when all are too large.
    fn make_room(&self) {
        let mut all = numbers(&self.dir);
        all.sort_unstable();
        let mut sum: u64 = all.iter().map(|(_, bytes)| bytes).sum();
        for (number, bytes) in all {
            if sum + self.policy.segment_bytes() <= self.policy.max_size {
                return;
            }
            sum -= bytes;
            for name in [format!("log.{number:06}"), format!("log.{number:06}.zst"), format!("idx.{number:06}")] {
                // Of two forms there is one.
                let _other = fs::remove_file(self.dir.join(name));
            }
        }
    }
}

fn append(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).expect("a file of the slot")
}

/// Segments with their bytes, in either form.
fn numbers(dir: &Path) -> Vec<(u64, u64)> {
    let entries = fs::read_dir(dir).expect("a slot").flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let number = name.strip_prefix("log.")?.trim_end_matches(".zst").parse().ok()?;
            Some((number, entry.metadata().ok()?.len()))
        })
        .collect()
}
