//! Texts of servers, taken apart: figures in them, lists, statements without the values.
//!
//! Never: passes on a byte that a terminal would act on.

use std::collections::BTreeMap;

pub(super) use super::words::{said, said_in};

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

#[cfg(test)]
mod tests {
    use super::{number, shape};

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
}
