//! URLs, paths and requests of HTTP: values that go on where other values end.

use memchr::{memchr_iter, memmem};

use super::bytes::{SPACE, is};

/// How many bytes of `rest` a URL or a path takes, if its first `length` bytes begin one.
pub(super) fn location(rest: &[u8], length: usize) -> Option<usize> {
    let chunk = &rest[..length];
    if memmem::find(chunk, b"://").is_some_and(|at| at > 0) {
        return Some(url_end(rest, length));
    }
    is_path(chunk).then(|| request_end(rest, path_end(rest, length)))
}

fn is_path(chunk: &[u8]) -> bool {
    match chunk {
        [b'/', b'/' | b':', ..] => false,
        [b'/', _, ..] | [b'~' | b'.', b'/', _, ..] | [b'.', b'.', b'/', _, ..] => true,
        [drive, b':', b'/' | b'\\', ..] => drive.is_ascii_alphabetic(),
        [b'\\', b'\\', _, ..] => true,
        [first, ..] => first.is_ascii_alphabetic() && memchr_iter(b'\\', chunk).count() > 1,
        [] => false,
    }
}

/// A URL goes on beyond `=` and `&`, up to what may be around it.
fn url_end(rest: &[u8], length: usize) -> usize {
    let around = |byte: &u8| {
        is(*byte, SPACE) || matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'|' | b')' | b']' | b'}' | b'`' | b',' | b';')
    };
    rest[length..].iter().position(around).map_or(rest.len(), |more| length + more)
}

/// A path goes on beyond a bracket that opens the name of a file; one with a query is a URL's.
fn path_end(rest: &[u8], length: usize) -> usize {
    if rest[..length].contains(&b'?') {
        return url_end(rest, length);
    }
    let opens = matches!(rest.get(length), Some(b'[' | b'{' | b'(')) && matches!(rest[length - 1], b'/' | b'\\');
    if !opens {
        return length;
    }
    let around = |byte: &u8| is(*byte, SPACE) || matches!(byte, b'"' | b'\'');
    rest[length..].iter().position(around).map_or(rest.len(), |more| length + more)
}

/// A request of HTTP is its target and the version of the protocol.
fn request_end(rest: &[u8], end: usize) -> usize {
    const VERSION: &[u8] = b" HTTP/";
    if !rest[end..].starts_with(VERSION) {
        return end;
    }
    let after = end + VERSION.len();
    let digits = rest[after..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    after + digits
}
