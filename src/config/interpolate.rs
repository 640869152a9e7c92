//! `${VAR}` in values, in compose's words. Promise: one pass; what a variable contains is never read again.
//! Never: changes keys, and never fails because a variable is missing, unless it was marked as needed.

use std::collections::BTreeSet;

/// Longest text that one value may grow to, in bytes.
const MAX_EXPANDED: usize = 1 << 20;
/// How deep defaults may stand within defaults.
const MAX_NESTING: usize = 16;

/// A text with its variables filled in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Expansion {
    /// The result.
    pub(crate) text: String,
    /// Variables that were not set and had no default, in order.
    pub(crate) missing: Vec<String>,
    /// What is wrong, one sentence each.
    pub(crate) errors: Vec<String>,
}

/// Fills in `$VAR`, `${VAR}`, `${VAR:-default}`, `${VAR-default}`, `${VAR:?message}`, `${VAR?message}`, `${VAR:+other}`,
/// `${VAR+other}`; `$$` is one dollar sign. A dollar sign before anything else stays.
pub(crate) fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Expansion {
    let mut expansion = Expansion::default();
    if text.contains('$') {
        into(text, lookup, 0, &mut expansion);
    } else {
        text.clone_into(&mut expansion.text);
    }
    expansion
}

/// Every variable that the text names, those within defaults, too.
pub(crate) fn names(text: &str) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('$') {
        if let Some(after) = after.strip_prefix('$') {
            rest = after;
            continue;
        }
        let after = after.strip_prefix('{').unwrap_or(after);
        let name = name_at(after);
        if !name.is_empty() {
            names.insert(name);
        }
        rest = &after[name.len()..];
    }
    names
}

fn into(text: &str, lookup: &dyn Fn(&str) -> Option<String>, nesting: usize, out: &mut Expansion) {
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.text.push_str(&rest[..dollar]);
        if out.text.len() > MAX_EXPANDED {
            out.errors.push(format!("variables make the value longer than {MAX_EXPANDED} bytes"));
            return;
        }
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.text.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let Some(end) = closing_brace(after) else {
                out.errors.push("\"${\" has no closing \"}\"".to_owned());
                return;
            };
            braced(&after[..end], lookup, nesting, out);
            rest = &after[end + 1..];
        } else {
            let name = name_at(rest);
            if name.is_empty() {
                out.text.push('$');
            } else {
                plain(name, lookup, out);
            }
            rest = &rest[name.len()..];
        }
    }
    out.text.push_str(rest);
}

fn plain(name: &str, lookup: &dyn Fn(&str) -> Option<String>, out: &mut Expansion) {
    match lookup(name) {
        Some(value) => out.text.push_str(&value),
        None => out.missing.push(name.to_owned()),
    }
}

/// What stands between the braces: `NAME`, or `NAME`, an operator and its word.
fn braced(inner: &str, lookup: &dyn Fn(&str) -> Option<String>, nesting: usize, out: &mut Expansion) {
    let name = name_at(inner);
    let operation = &inner[name.len()..];
    if name.is_empty() {
        out.errors.push(format!("\"${{{inner}}}\" does not name a variable"));
        return;
    }
    if operation.is_empty() {
        plain(name, lookup, out);
        return;
    }
    if nesting >= MAX_NESTING {
        out.errors.push(format!("defaults stand more than {MAX_NESTING} deep in defaults"));
        return;
    }
    let (empty_counts_as_unset, operation) = match operation.strip_prefix(':') {
        Some(operation) => (true, operation),
        None => (false, operation),
    };
    let value = lookup(name).filter(|value| !(empty_counts_as_unset && value.is_empty()));
    let mut operation = operation.chars();
    match (operation.next(), value) {
        (Some('-' | '?'), Some(value)) => out.text.push_str(&value),
        (Some('-'), None) | (Some('+'), Some(_)) => into(operation.as_str(), lookup, nesting + 1, out),
        (Some('+'), None) => {}
        (Some('?'), None) => {
            let mut message = Expansion::default();
            into(operation.as_str(), lookup, nesting + 1, &mut message);
            let why = if message.text.is_empty() { "and it is needed".to_owned() } else { message.text };
            out.errors.push(format!("{name} is not set: {why}"));
        }
        _ => out.errors.push(format!("\"${{{inner}}}\" is not an expansion")),
    }
}

/// Bytes before the brace that closes, braces of inner expansions skipped.
fn closing_brace(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut previous = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '{' if previous == '$' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
        previous = c;
    }
    None
}

/// The variable's name at the beginning: a letter or `_`, then letters, digits, `_`.
fn name_at(text: &str) -> &str {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return "";
    }
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "A" => Some("alpha".to_owned()),
            "EMPTY" => Some(String::new()),
            "TRICK" => Some("${A} $A $$".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn every_form_of_compose_is_understood() {
        for (text, result) in [
            ("plain", "plain"),
            ("$A", "alpha"),
            ("${A}", "alpha"),
            ("x$A.y", "xalpha.y"),
            ("$$A", "$A"),
            ("$${A}", "${A}"),
            ("${NONE:-d}", "d"),
            ("${NONE-d}", "d"),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY-d}", ""),
            ("${A:-d}", "alpha"),
            ("${A:+yes}", "yes"),
            ("${A+yes}", "yes"),
            ("${EMPTY:+yes}", ""),
            ("${EMPTY+yes}", "yes"),
            ("${NONE+yes}", ""),
            ("${NONE:-${A}-b}", "alpha-b"),
            ("${NONE:-${NONE2:-deep}}", "deep"),
            ("${A:?needed}", "alpha"),
            ("${EMPTY?needed}", ""),
            ("^ready$", "^ready$"),
            ("cost: 5$ or $1", "cost: 5$ or $1"),
            ("ünï$A", "ünïalpha"),
            ("$TRICK", "${A} $A $$"),
            ("${NONE:-$TRICK}", "${A} $A $$"),
        ] {
            let expansion = expand(text, &lookup);
            assert_eq!(expansion.text, result, "{text}");
            assert!(expansion.missing.is_empty() && expansion.errors.is_empty(), "{text}: {expansion:?}");
        }
    }

    #[test]
    fn every_name_is_found_wherever_it_stands() {
        let found = names("$A ${B:-${C:+$D}} $$E $${F} ${G:?${H}} $1 ^x$");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["A", "B", "C", "D", "G", "H"]);
    }

    #[test]
    fn a_missing_variable_is_named_and_empty() {
        let expansion = expand("a${NONE}b$NONE2", &lookup);
        assert_eq!(expansion.text, "ab");
        assert_eq!(expansion.missing, ["NONE", "NONE2"]);
    }

    #[test]
    fn what_cannot_be_expanded_is_said_in_a_sentence() {
        for (text, error) in [
            ("${A", "\"${\" has no closing \"}\""),
            ("${}", "\"${}\" does not name a variable"),
            ("${1}", "\"${1}\" does not name a variable"),
            ("${A!x}", "\"${A!x}\" is not an expansion"),
            ("${NONE:?set it}", "NONE is not set: set it"),
            ("${EMPTY:?}", "EMPTY is not set: and it is needed"),
        ] {
            assert_eq!(expand(text, &lookup).errors, [error], "{text}");
        }
    }

    #[test]
    fn a_value_cannot_grow_without_bound() {
        let long = |_: &str| Some("x".repeat(100_000));
        let expansion = expand(&"$A".repeat(100_000), &long);
        assert_eq!(expansion.errors.len(), 1);
        assert!(expansion.text.len() < 2 * MAX_EXPANDED);
    }
}
