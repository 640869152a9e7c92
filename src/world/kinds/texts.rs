//! Texts of servers, taken apart: figures in them, lists, statements without the values, parts of URLs.
//!
//! Never: passes on a byte that a terminal would act on.

use std::collections::BTreeMap;

use crate::model::text::{plain, truncate};

/// Columns that words of a server may take in a message.
const COLUMNS: usize = 200;

/// Words of a server: plain, one line, at most 200 columns.
pub(super) fn said(text: &str) -> String {
    said_in(text, COLUMNS)
}

/// The same with another length.
pub(super) fn said_in(text: &str, columns: usize) -> String {
    // Nothing longer is worth making plain first.
    let mut end = text.len().min(columns * 16);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let one_line = plain(&text[..end]);
    truncate(one_line.split_whitespace().collect::<Vec<_>>().join(" ").as_str(), columns).into_owned()
}

/// A number as servers write it; none where it is none, or no finite one.
pub(super) fn number(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|number| number.is_finite())
}

/// The number behind a key.
pub(super) fn number_of(map: &BTreeMap<String, String>, key: &str) -> Option<f64> {
    map.get(key).and_then(|text| number(text))
}

/// An option of a target that lists names: `a,b`. Empty ones are left out.
pub(super) fn list<'a>(options: &'a BTreeMap<String, String>, key: &str) -> Vec<&'a str> {
    let listed = options.get(key).map_or("", String::as_str);
    listed.split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
}

/// A statement without the texts in it, which may be anybody's: `UPDATE users SET mail = '…'`.
pub(super) fn shape(sql: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in sql.chars() {
        match (c, inside) {
            ('\'', false) => {
                inside = true;
                out.push_str("'…");
            }
            ('\'', true) => {
                inside = false;
                out.push('\'');
            }
            (_, true) => {}
            (c, false) => out.push(c),
        }
    }
    said_in(out.trim_end_matches([';', ' ', '\n']), 120)
}

/// All but letters, digits and `-._~` as `%XX` (RFC 3986, section 2.3); of a path the slashes stay.
pub(super) fn encoded(text: &str, path: bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (path && byte == b'/') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for half in [byte >> 4, byte & 15] {
                out.push(char::from_digit(u32::from(half), 16).unwrap_or('0').to_ascii_uppercase());
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{encoded, number, said, said_in, shape};

    #[test]
    fn what_a_server_says_is_one_plain_line_of_bounded_length() {
        assert_eq!(said("a\x1b[31mb\nc\td"), "ab c d");
        assert_eq!(said_in(&"x".repeat(1 << 20), 10).chars().count(), 10);
        assert!(said(&"ä".repeat(100_000)).len() < 1000);
    }

    #[test]
    fn only_finite_numbers_are_figures() {
        assert_eq!(number(" 1.5\r"), Some(1.5));
        assert_eq!(number("nan"), None);
        assert_eq!(number("inf"), None);
        assert_eq!(number("ok"), None);
    }

    #[test]
    fn texts_in_statements_are_left_out() {
        assert_eq!(shape("UPDATE t\n SET a = 'secret', b = 1"), "UPDATE t SET a = '…', b = 1");
        assert_eq!(shape("SELECT 'it''s' AS x"), "SELECT '…''…' AS x");
        assert_eq!(shape("SELECT 'never ended"), "SELECT '…");
    }

    #[test]
    fn what_may_not_be_in_a_url_is_written_in_hexadecimal() {
        assert_eq!(encoded("a b/ä~", false), "a%20b%2F%C3%A4~");
        assert_eq!(encoded("a/b?c", true), "a/b%3Fc");
    }
}
