//! As much of BSON (<https://bsonspec.org/spec.html>) as a few commands and their answers need. Never: believes a length that the bytes do not have.

use serde_json::{Map, Number, Value};

/// How deep documents are nested at most.
const DEPTH: u8 = 16;

/// What is said in a command.
pub(super) enum Item<'a> {
    /// `int32`.
    Int(i32),
    /// A string.
    Text(&'a str),
    /// A generic binary.
    Bytes(&'a [u8]),
    /// A boolean.
    Bool(bool),
    /// A document.
    Document(&'a [(&'a str, Item<'a>)]),
}

/// A document of these items, in this order.
pub(super) fn encode(items: &[(&str, Item<'_>)]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut element = |kind: u8, key: &str, value: &[u8]| {
        body.push(kind);
        body.extend_from_slice(key.as_bytes());
        body.push(0);
        body.extend_from_slice(value);
    };
    for (key, item) in items {
        match item {
            Item::Int(number) => element(0x10, key, &number.to_le_bytes()),
            Item::Text(text) => element(0x02, key, &[&length(text.len() + 1), text.as_bytes(), &[0]].concat()),
            Item::Bytes(bytes) => element(0x05, key, &[&length(bytes.len())[..], &[0], bytes].concat()),
            Item::Bool(truth) => element(0x08, key, &[u8::from(*truth)]),
            Item::Document(items) => element(0x03, key, &encode(items)),
        }
    }
    [&length(body.len() + 5)[..], &body, &[0]].concat()
}

fn length(count: usize) -> [u8; 4] {
    u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes()
}

/// A document as JSON: dates are milliseconds, timestamps seconds, binaries their text, what has no like is null. None where it is no document.
pub(super) fn decode(bytes: &[u8]) -> Option<Value> {
    document(bytes, false, 0).map(|(value, _)| value)
}

fn take(bytes: &[u8], count: usize) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(count)
}

fn int(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (four, rest) = take(bytes, 4)?;
    let number = i32::from_le_bytes(four.try_into().ok()?);
    Some((usize::try_from(number).ok()?, rest))
}

fn cstring(bytes: &[u8]) -> Option<(String, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((String::from_utf8_lossy(&bytes[..end]).into_owned(), &bytes[end + 1..]))
}

fn document(bytes: &[u8], list: bool, depth: u8) -> Option<(Value, &[u8])> {
    if depth == DEPTH {
        return None;
    }
    let (size, _) = int(bytes)?;
    let (whole, after) = take(bytes, size)?;
    let mut rest = whole.get(4..)?.strip_suffix(&[0])?;
    let (mut map, mut items) = (Map::new(), Vec::new());
    while let Some((kind, more)) = rest.split_first() {
        let (key, more) = cstring(more)?;
        let (value, more) = value(*kind, more, depth)?;
        rest = more;
        if list {
            items.push(value);
        } else {
            map.insert(key, value);
        }
    }
    Some((if list { Value::Array(items) } else { Value::Object(map) }, after))
}

fn value(kind: u8, bytes: &[u8], depth: u8) -> Option<(Value, &[u8])> {
    let whole = |count: usize| take(bytes, count);
    Some(match kind {
        0x01 => {
            let (eight, rest) = whole(8)?;
            let number = Number::from_f64(f64::from_le_bytes(eight.try_into().ok()?));
            (number.map_or(Value::Null, Value::Number), rest)
        }
        0x02 | 0x0d | 0x0e => {
            let (size, rest) = int(bytes)?;
            let (text, rest) = take(rest, size)?;
            (Value::String(String::from_utf8_lossy(text.strip_suffix(&[0])?).into_owned()), rest)
        }
        0x03 => document(bytes, false, depth + 1)?,
        0x04 => document(bytes, true, depth + 1)?,
        0x05 => {
            let (size, rest) = int(bytes)?;
            let (binary, rest) = take(rest.get(1..)?, size)?;
            (Value::String(String::from_utf8_lossy(binary).into_owned()), rest)
        }
        0x06 | 0x0a | 0x7f | 0xff => (Value::Null, bytes),
        0x07 => (Value::Null, whole(12)?.1),
        0x08 => {
            let (one, rest) = whole(1)?;
            (Value::Bool(one[0] != 0), rest)
        }
        0x09 | 0x12 => {
            let (eight, rest) = whole(8)?;
            (i64::from_le_bytes(eight.try_into().ok()?).into(), rest)
        }
        0x0b => {
            let (_, rest) = cstring(bytes)?;
            (Value::Null, cstring(rest)?.1)
        }
        0x10 => {
            let (four, rest) = whole(4)?;
            (i32::from_le_bytes(four.try_into().ok()?).into(), rest)
        }
        // A timestamp: a count, then seconds.
        0x11 => {
            let (eight, rest) = whole(8)?;
            (u32::from_le_bytes(eight[4..].try_into().ok()?).into(), rest)
        }
        0x13 => (Value::Null, whole(16)?.1),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        let inner = [("a", Item::Bool(true))];
        let bytes = encode(&[
            ("n", Item::Int(-7)),
            ("t", Item::Text("ä")),
            ("b", Item::Bytes(b"xy")),
            ("d", Item::Document(&inner)),
        ]);
        assert_eq!(decode(&bytes), Some(serde_json::json!({"n": -7, "t": "ä", "b": "xy", "d": {"a": true}})));
        // The example of the specification.
        let hello = b"\x16\x00\x00\x00\x02hello\x00\x06\x00\x00\x00world\x00\x00";
        assert_eq!(encode(&[("hello", Item::Text("world"))]), hello);
        assert_eq!(decode(hello), Some(serde_json::json!({"hello": "world"})));
    }

    #[test]
    fn lengths_that_lie_are_no_document() {
        let hello = b"\x16\x00\x00\x00\x02hello\x00\x06\x00\x00\x00world\x00\x00";
        for end in 0..hello.len() {
            assert_eq!(decode(&hello[..end]), None);
        }
        assert_eq!(decode(b"\x16\x00\x00\x00\x02hello\x00\xff\xff\xff\x7fworld\x00\x00"), None);
        assert_eq!(decode(b"\xff\xff\xff\xff\x00"), None);
        let mut deep = vec![5, 0, 0, 0, 0];
        for _ in 0..100 {
            deep = [&u32::try_from(deep.len() + 8).unwrap().to_le_bytes()[..], b"\x03a\0", &deep, &[0]].concat();
        }
        assert_eq!(decode(&deep), None);
    }
}
