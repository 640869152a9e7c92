//! Reads a journal from its beginning, in bounded memory: records that are whole are kept, all else is counted.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use crate::{model::ids::ServiceName, shim_format::fnv1a};

/// Bytes read at a time.
const CHUNK: usize = 64 << 10;

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The last of each service.
    pub(super) records: BTreeMap<ServiceName, Arc<str>>,
    /// Lines that are no records.
    pub(super) damaged: u64,
    /// Lines of newer formats.
    pub(super) newer: u64,
    /// What is behind the last line feed is no record: a power cut or a full disk stopped a write.
    cut: bool,
    /// Why it could not be read to its end.
    error: Option<io::Error>,
}

impl Scan {
    /// What is wrong, for people.
    pub(super) fn sentences(&self, path: &Path) -> Vec<String> {
        let path = path.display();
        let mut said = Vec::new();
        if self.damaged > 0 {
            said.push(format!(
                "{path} was damaged: {} of its lines could not be read and were passed over, and a copy is kept beside it; cas may \
                 know less of earlier restarts, services are not affected",
                self.damaged
            ));
        }
        if self.newer > 0 {
            said.push(format!(
                "{path} holds {} records of a newer cas, which this one does not understand: they were passed over",
                self.newer
            ));
        }
        if self.cut {
            said.push(format!("the last record of {path} is cut off and was passed over"));
        }
        if let Some(error) = &self.error {
            said.push(format!("{path} could not be read to its end ({error}): what came before is used"));
        }
        said
    }

    fn take(&mut self, line: &Line) {
        match line.as_bytes().map(parse) {
            Some(Parsed::Nothing) => {}
            Some(Parsed::Record(service, record)) => {
                self.records.insert(service, record);
            }
            Some(Parsed::Newer) => self.newer += 1,
            Some(Parsed::Damaged) | None => self.damaged += 1,
        }
    }
}

/// A line that is being gathered.
struct Line {
    bytes: Vec<u8>,
    limit: usize,
    too_long: bool,
}

impl Line {
    fn push(&mut self, part: &[u8]) {
        if self.bytes.len() + part.len() > self.limit {
            self.too_long = true;
        }
        if !self.too_long {
            self.bytes.extend_from_slice(part);
        }
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        (!self.too_long).then_some(&*self.bytes)
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.too_long = false;
    }
}

enum Parsed {
    /// An empty line: what is before and behind each record.
    Nothing,
    Record(ServiceName, Arc<str>),
    Newer,
    Damaged,
}

fn parse(line: &[u8]) -> Parsed {
    if line.is_empty() {
        return Parsed::Nothing;
    }
    let Some((version, rest)) = split(line) else { return Parsed::Damaged };
    if version != b"1" {
        let newer = version.len() <= 4 && version.iter().all(u8::is_ascii_digit) && !version.starts_with(b"0");
        return if newer { Parsed::Newer } else { Parsed::Damaged };
    }
    record(rest).map_or(Parsed::Damaged, |(service, record)| Parsed::Record(service, record))
}

fn record(rest: &[u8]) -> Option<(ServiceName, Arc<str>)> {
    let (hash, body) = split(rest)?;
    if hash != format!("{:016x}", fnv1a(body)).as_bytes() {
        return None;
    }
    let (service, record) = std::str::from_utf8(body).ok()?.split_once(' ')?;
    Some((ServiceName::new(service).ok()?, Arc::from(record)))
}

/// What is before the first space, and behind it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = memchr::memchr(b' ', bytes)?;
    Some((&bytes[..space], &bytes[space + 1..]))
}

/// Reads all of `file`; of a line no more than `limit` bytes are kept.
pub(super) fn scan(file: &mut impl Read, limit: usize) -> Scan {
    let mut found = Scan::default();
    let mut line = Line { bytes: Vec::new(), limit, too_long: false };
    let mut chunk = vec![0; CHUNK];
    loop {
        let mut rest = match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => &chunk[..read],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                found.error = Some(error);
                break;
            }
        };
        while let Some(end) = memchr::memchr(b'\n', rest) {
            line.push(&rest[..end]);
            found.take(&line);
            line.clear();
            rest = &rest[end + 1..];
        }
        line.push(rest);
    }
    // Without its line feed a record may still be whole.
    let before = found.damaged;
    found.take(&line);
    found.cut = found.damaged > before;
    found.damaged = before;
    found
}
