//! Which text is surely a value: numbers, addresses, times, keys. Nothing here knows a program or a data set.

use memchr::{memchr, memchr_iter, memchr2, memrchr};

use super::bytes::{DIGIT, HEX, JOINT, LETTER, MARK, all, count, is};

/// Words that are values: Khan et al., ICSE 2022, rules *Boolean* and *User String*.
pub(super) fn is_value_word(chunk: &[u8]) -> bool {
    match chunk.len() {
        4 => chunk.eq_ignore_ascii_case(b"true") || chunk.eq_ignore_ascii_case(b"null") || chunk == b"root",
        5 => chunk.eq_ignore_ascii_case(b"false") || chunk == b"admin",
        _ => false,
    }
}

/// A chunk that is one value as a whole.
pub(super) fn is_value(chunk: &[u8]) -> bool {
    let digits = count(chunk, DIGIT);
    if chunk.contains(&b':') {
        return digits > 0 && (is_colon_value(chunk) || is_address_with_port(chunk));
    }
    if digits == 0 {
        return is_domain(chunk) || is_mail(chunk);
    }
    if starts_as_number(chunk) {
        return !chunk.iter().any(|byte| matches!(byte, b'#' | b'$' | b'&' | b'*'));
    }
    if memchr2(b'/', b'\\', chunk).is_some() {
        return chunk.first().is_some_and(u8::is_ascii_alphanumeric) && !chunk.starts_with(b"HTTP/");
    }
    is_mail(chunk) || is_key(chunk) || is_domain(chunk) || is_host(chunk)
}

/// `-17`, `+0.27`, `0x1f`, `2017-07-02`, `41C`, `64172MB`.
fn starts_as_number(chunk: &[u8]) -> bool {
    match chunk {
        [b'-' | b'+', digit, ..] | [digit, ..] => digit.is_ascii_digit(),
        [] => false,
    }
}

/// Times, MAC and IPv6 addresses.
fn is_colon_value(chunk: &[u8]) -> bool {
    let colons = memchr_iter(b':', chunk).count();
    let hexadecimal = chunk.iter().all(|byte| is(*byte, HEX) || matches!(byte, b':' | b'.' | b'%' | b','));
    let number = starts_as_number(chunk)
        && chunk.iter().all(|byte| is(*byte, HEX) || matches!(byte, b':' | b'.' | b'-' | b'/' | b'T' | b'Z' | b'+'));
    (hexadecimal && colons >= 2) || number
}

/// `10.0.0.1:80`, `node-4:8080`, `db.example.com:5432`; not `key:80`, not `file.c:80`.
fn is_address_with_port(chunk: &[u8]) -> bool {
    let Some(colon) = memrchr(b':', chunk) else { return false };
    let (host, port) = (&chunk[..colon], &chunk[colon + 1..]);
    let host_like = memchr2(b':', b'_', host).is_none() && host.iter().any(|byte| matches!(byte, b'.' | b'-' | b'/'));
    host_like && !port.is_empty() && all(port, DIGIT) && !is_source_file(host)
}

/// A place in a program is told by its file, whose name is no value.
fn is_source_file(name: &[u8]) -> bool {
    const ENDINGS: [&[u8]; 26] = [
        b"c", b"cc", b"cpp", b"cs", b"cxx", b"erl", b"ex", b"go", b"h", b"hpp", b"java", b"js", b"kt", b"lua", b"m",
        b"mm", b"php", b"pl", b"py", b"rb", b"rs", b"scala", b"sh", b"sql", b"swift", b"ts",
    ];
    memrchr(b'.', name).is_some_and(|dot| ENDINGS.contains(&&name[dot + 1..]))
}

/// `name@domain.tld`, also with digits only on one side.
fn is_mail(chunk: &[u8]) -> bool {
    memchr(b'@', chunk).is_some_and(|at| at > 0 && chunk.contains(&b'.'))
}

/// Hexadecimal of six digits or more, with hyphens (UUID) or without.
fn is_key(chunk: &[u8]) -> bool {
    chunk.len() >= 6
        && chunk.iter().all(|byte| is(*byte, HEX) || *byte == b'-')
        && chunk.last().is_some_and(|byte| is(*byte, HEX))
}

/// A name in the domain name system: known by its last label.
fn is_domain(chunk: &[u8]) -> bool {
    const TOP: [&[u8]; 8] = [b"com", b"net", b"org", b"edu", b"gov", b"mil", b"arpa", b"local"];
    const SECOND: [&[u8]; 7] = [b"co", b"com", b"net", b"org", b"edu", b"ac", b"gov"];
    let Some(dot) = memrchr(b'.', chunk) else { return false };
    if dot == 0 || !chunk.iter().all(|byte| is(*byte, LETTER | DIGIT) || matches!(byte, b'.' | b'-' | b'_')) {
        return false;
    }
    let (before, last) = (&chunk[..dot], &chunk[dot + 1..]);
    let second = memrchr(b'.', before).map(|at| &before[at + 1..]);
    TOP.iter().any(|label| last.eq_ignore_ascii_case(label))
        || (last.len() == 2 && all(last, LETTER) && second.is_some_and(|label| SECOND.contains(&label)))
}

/// Three labels or more, the first of which bears digits: `cp-1.rack.utah.cloudlab.us`.
fn is_host(chunk: &[u8]) -> bool {
    let labels = chunk.split(|byte| *byte == b'.').count();
    let first = chunk.split(|byte| *byte == b'.').next().unwrap_or_default();
    let last = memrchr(b'.', chunk).map_or(chunk, |dot| &chunk[dot + 1..]);
    labels >= 3 && count(first, DIGIT) > 0 && !last.is_empty() && last.iter().all(u8::is_ascii_lowercase)
}

/// A part of a name (between two joints) that is a value by itself: a number, or letters with three digits or two groups of them.
pub(super) fn is_value_part(part: &[u8]) -> bool {
    if part.first().is_some_and(u8::is_ascii_digit) {
        return true;
    }
    let (mut digits, mut groups, mut last) = (0, 0, false);
    for byte in part {
        let digit = is(*byte, DIGIT);
        digits += usize::from(digit);
        groups += usize::from(digit && !last);
        last = digit;
    }
    digits >= 3 || groups >= 2
}

/// Ends a part of a name.
pub(super) fn ends_part(byte: u8) -> bool {
    is(byte, JOINT | MARK)
}

/// Units that are written after a number: what they say belongs to the value.
pub(super) fn is_unit(word: &[u8]) -> bool {
    const UNITS: [&[u8]; 35] = [
        b"B", b"KB", b"MB", b"GB", b"TB", b"PB", b"kB", b"KiB", b"MiB", b"GiB", b"TiB", b"Bytes", b"bytes", b"byte",
        b"ns", b"us", b"ms", b"s", b"sec", b"secs", b"second", b"seconds", b"min", b"mins", b"minute", b"minutes",
        b"h", b"hour", b"hours", b"day", b"days", b"msec", b"msecs", b"Hz", b"MHz",
    ];
    UNITS.contains(&word)
}
