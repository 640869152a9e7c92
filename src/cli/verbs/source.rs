//! Log files of anybody, read line by line, compressed or not. Never holds a file in memory, and never follows what it reads into another file.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use flate2::read::MultiGzDecoder;

use crate::cli::outcome::{Failure, Outcome};

/// Bytes of a line that are kept.
const LINE: usize = 64 * 1024;
/// What may be of control bytes in text: colours, form feeds, the hole that a truncated file begins with.
const CONTROL_SHARE: usize = 10;
/// Bytes that are read at once.
const BUFFER: usize = 128 * 1024;

/// How compressed files begin: gzip (RFC 1952, section 2.3.1) and Zstandard (RFC 8878, section 3.1.1).
const GZIP: [u8; 2] = [0x1F, 0x8B];
const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// What standard input is called.
const STDIN: &str = "standard input";

/// Opens a file; what is compressed is unpacked as it is read. `one_file` says in an error why a directory is none.
///
/// # Errors
/// There is no such file, it is a directory, or it cannot be read.
pub(super) fn open(path: &Path, name: &str, one_file: &str) -> Result<Box<dyn BufRead>, Failure> {
    if path.is_dir() {
        let why = format!("{name} is a directory, and {one_file}");
        return Err(Failure::with_hint(Outcome::Usage, why, format!("name files of it: {name}/FILE")));
    }
    let file = File::open(path).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            let hint = "name a log file, or - for standard input";
            return Failure::with_hint(Outcome::Usage, format!("there is no file {name}"), hint);
        }
        Failure::with_hint(
            Outcome::Failed,
            format!("{name} cannot be read: {error}"),
            "look at its owner and mode: ls -l",
        )
    })?;
    unpacked(BufReader::with_capacity(BUFFER, file)).map_err(|error| cannot(Some(name), &error))
}

/// The lines of a source, unpacked where they are compressed.
///
/// # Errors
/// It cannot be read.
pub(super) fn unpacked<'s>(mut source: impl BufRead + 's) -> io::Result<Box<dyn BufRead + 's>> {
    let head = loop {
        match source.fill_buf() {
            Ok(buffer) => break buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    };
    let buffered =
        |inner: Box<dyn Read + 's>| -> Box<dyn BufRead + 's> { Box::new(BufReader::with_capacity(BUFFER, inner)) };
    if head.starts_with(&GZIP) {
        return Ok(buffered(Box::new(MultiGzDecoder::new(source))));
    }
    if head.starts_with(&ZSTD) {
        return Ok(buffered(Box::new(zstd::stream::read::Decoder::with_buffer(source)?)));
    }
    Ok(Box::new(source))
}

/// What is said where reading ends early, of a file or (none) standard input.
pub(super) fn cannot(file: Option<&str>, error: &io::Error) -> Failure {
    Failure::new(Outcome::Failed, format!("{} cannot be read to its end: {error}", file.unwrap_or(STDIN)))
}

/// Reads a line without its end, and of a long one only its beginning; false at the end of the source.
///
/// # Errors
/// It cannot be read.
pub(super) fn read_line(source: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut any = false;
    loop {
        let buffer = match source.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if buffer.is_empty() {
            break;
        }
        any = true;
        let end = memchr::memchr(b'\n', buffer);
        let part = &buffer[..end.unwrap_or(buffer.len())];
        line.extend_from_slice(&part[..part.len().min(LINE - line.len())]);
        let taken = end.map_or(buffer.len(), |end| end + 1);
        source.consume(taken);
        if end.is_some() {
            break;
        }
    }
    while line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(any)
}

/// Says what a file, or (none) standard input is that holds no lines of text; `command` reads standard input.
///
/// # Errors
/// It is none.
pub(super) fn refuse_binary(sample: &[Vec<u8>], file: Option<&str>, command: &str) -> Result<(), Failure> {
    let bytes = || sample.iter().flatten();
    let refused = |what: &str, program: &str| {
        let why = format!("{} is {what}, so it has no lines that can be read", file.unwrap_or(STDIN));
        let hint = match file {
            Some(name) => format!("{program} {name} | {command}"),
            None => format!("… | {program} | {command}"),
        };
        Err(Failure::with_hint(Outcome::Failed, why, hint))
    };
    let first = sample.first().map_or(&[][..], Vec::as_slice);
    if first.starts_with(&[0xFF, 0xFE]) || first.starts_with(&[0xFE, 0xFF]) {
        return refused("in UTF-16", "iconv -f UTF-16 -t UTF-8");
    }
    let control = bytes().filter(|byte| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\r' | 0x1B)).count();
    if control * CONTROL_SHARE > bytes().count() {
        return refused("binary data", "strings");
    }
    Ok(())
}
