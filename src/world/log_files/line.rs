//! One line as bytes, and back.

use std::io::Write;

use crate::model::{
    ids::{RunId, ServiceId},
    log::{MAX_LINE_BYTES, Stream},
};

use super::StoredLine;

/// Longest line on disk: text, four numbers and a little. What is longer was not written by cas.
pub(super) const LONGEST: usize = MAX_LINE_BYTES + 64;

/// What stands before the text.
pub(super) fn write_prefix(out: &mut Vec<u8>, head: &Head<'_>) {
    let Head { wall_us, seq, stream, continued, run, .. } = *head;
    let stream = match stream {
        Stream::Stdout => 'o',
        Stream::Stderr => 'e',
    };
    let mark = if continued { "+" } else { "" };
    // Writing to memory does not fail.
    let _written = write!(out, "{wall_us} {seq} {stream}{mark} {run} ");
}

/// Reads a line without its line feed; `None` for what is not one. NULs before it (left by a lost power supply) are passed over.
pub(super) fn parse(service: &ServiceId, line: &[u8]) -> Option<StoredLine> {
    let head = head(line)?;
    Some(StoredLine {
        service: service.clone(),
        run: head.run,
        wall_us: head.wall_us,
        seq: head.seq,
        stream: head.stream,
        continued: head.continued,
        text: String::from_utf8_lossy(head.text).into_owned(),
    })
}

/// A line with its text still in place.
pub(super) struct Head<'a> {
    pub(super) wall_us: i64,
    pub(super) seq: u64,
    pub(super) stream: Stream,
    pub(super) continued: bool,
    pub(super) run: RunId,
    pub(super) text: &'a [u8],
}

/// Reads what stands before the text.
pub(super) fn head(line: &[u8]) -> Option<Head<'_>> {
    let start = line.iter().position(|byte| *byte != 0)?;
    let line = line.get(start..)?;
    let (wall_us, rest) = split(line)?;
    let (seq, rest) = split(rest)?;
    let (mark, rest) = split(rest)?;
    let (run, text) = split(rest)?;
    let (stream, continued) = match mark {
        b"o" => (Stream::Stdout, false),
        b"o+" => (Stream::Stdout, true),
        b"e" => (Stream::Stderr, false),
        b"e+" => (Stream::Stderr, true),
        _ => return None,
    };
    Some(Head { wall_us: number(wall_us)?, seq: number(seq)?, stream, continued, run: RunId(number(run)?), text })
}

fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = memchr::memchr(b' ', line)?;
    Some((&line[..space], &line[space + 1..]))
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Head, parse, write_prefix};
    use crate::model::{
        ids::{ProjectName, RunId, ServiceId, ServiceName},
        log::Stream,
    };

    #[test]
    fn a_line_reads_back_and_nothing_else_is_taken_for_one() {
        let service =
            ServiceId { project: ProjectName::new("shop").unwrap(), service: ServiceName::new("web").unwrap() };
        for (stream, continued) in [(Stream::Stdout, false), (Stream::Stderr, true)] {
            for text in ["", "hello", " two  spaces ", "\u{1b}[31m\u{0}\r€"] {
                let mut bytes = vec![0; 3];
                let run = RunId(u64::MAX);
                write_prefix(&mut bytes, &Head { wall_us: -5, seq: 7, stream, continued, run, text: b"" });
                bytes.extend_from_slice(text.as_bytes());
                let line = parse(&service, &bytes).unwrap();
                assert_eq!(
                    (line.wall_us, line.seq, line.stream, line.continued, line.run),
                    (-5, 7, stream, continued, run)
                );
                assert_eq!(line.text, text);
            }
        }
        for garbage in [
            "",
            "\0\0\0",
            "12",
            "12 o",
            "12 1 o 3",
            "x 1 o 3 y",
            "12 x o 3 y",
            "12 1 q 3 y",
            "12 1 o x y",
            "12 1  o 3 y",
            "99999999999999999999 1 o 1 x",
        ] {
            assert_eq!(parse(&service, garbage.as_bytes()), None, "{garbage:?}");
        }
    }
}
