//! `.env` files as compose reads them. Promise: every bad line is reported with its place, and no value is ever quoted in a
//! message. Never: touches or reads the process environment.

use std::collections::BTreeMap;

use super::{
    interpolate::expand,
    problems::{Fault, Place},
};

/// A file's variables and what is wrong with it.
#[derive(Debug, Default)]
pub(crate) struct DotEnv {
    /// In the order of the file; a name that comes twice comes twice.
    pub(crate) variables: Vec<(String, Assigned)>,
    /// Lines that are not understood.
    pub(crate) faults: Vec<Fault>,
    /// Variables that a value uses and nobody sets.
    pub(crate) missing: Vec<Fault>,
}

/// What a line gives its variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Assigned {
    /// `NAME=value`.
    Value(String),
    /// `NAME` alone: the value it has outside.
    Inherited,
}

/// Reads `NAME=value` lines: `#` comments, `export`, `'literal'`, `"with $VAR and \n"`, unquoted with ` # comment`.
/// `outside` is asked for variables that values use; it wins over what the file said further up.
pub(crate) fn read(text: &str, outside: &BTreeMap<String, String>) -> DotEnv {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut scanner = Scanner { rest: text, line: 1, line_start: text };
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut found = DotEnv::default();
    loop {
        scanner.skip_blank();
        if scanner.rest.is_empty() {
            return found;
        }
        let at = scanner.place();
        match scanner.assignment() {
            Ok((name, raw)) => {
                let value = raw.map(|raw| match raw {
                    Raw::Literal(text) => text,
                    Raw::Expanded(text) => {
                        let lookup = |name: &str| outside.get(name).or_else(|| known.get(name)).cloned();
                        let expansion = expand(&text, &lookup);
                        found.faults.extend(expansion.errors.into_iter().map(|error| Fault::new(at, error)));
                        found.missing.extend(expansion.missing.into_iter().map(|missing| {
                            Fault::new(at, format!("{missing} is not set, so it is empty in {name}"))
                                .hint("write $$ for a dollar sign, or quote the value with '…'")
                        }));
                        expansion.text
                    }
                });
                match value {
                    Some(value) => {
                        known.insert(name.clone(), value.clone());
                        found.variables.push((name, Assigned::Value(value)));
                    }
                    None => found.variables.push((name, Assigned::Inherited)),
                }
            }
            Err(fault) => {
                found.faults.push(fault);
                scanner.skip_line();
            }
        }
    }
}

enum Raw {
    Literal(String),
    Expanded(String),
}

struct Scanner<'t> {
    rest: &'t str,
    line: usize,
    line_start: &'t str,
}

impl<'t> Scanner<'t> {
    fn place(&self) -> Place {
        let before = self.line_start.len() - self.rest.len();
        Place::new(self.line, self.line_start[..before].chars().count() + 1)
    }

    fn advance(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        if let Some(last) = taken.rfind('\n') {
            self.line += taken.matches('\n').count();
            self.line_start = &self.line_start[self.line_start.len() - rest.len() - (taken.len() - last - 1)..];
        }
        taken
    }

    fn skip_blank(&mut self) {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.advance(blank);
            if !self.rest.starts_with('#') {
                return;
            }
            self.skip_line();
        }
    }

    fn skip_line(&mut self) {
        let end = self.rest.find('\n').map_or(self.rest.len(), |end| end + 1);
        self.advance(end);
    }

    fn skip_spaces(&mut self) {
        let spaces = self.rest.len() - self.rest.trim_start_matches([' ', '\t']).len();
        self.advance(spaces);
    }

    fn name(&mut self) -> &'t str {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let end = self.rest.find(|c| !allowed(c)).unwrap_or(self.rest.len());
        self.advance(end)
    }

    /// True at the end of the line, a comment aside.
    fn is_at_end(&mut self) -> bool {
        self.skip_spaces();
        self.rest.is_empty() || self.rest.starts_with(['\n', '\r', '#'])
    }

    fn assignment(&mut self) -> Result<(String, Option<Raw>), Fault> {
        let mut at = self.place();
        let mut name = self.name();
        if name == "export" && self.rest.starts_with([' ', '\t']) {
            self.skip_spaces();
            if !self.rest.starts_with('=') {
                at = self.place();
                name = self.name();
            }
        }
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Fault::new(at, "a line that does not begin with a variable's name")
                .hint("write NAME=value, or begin a comment with #"));
        }
        if self.is_at_end() {
            self.skip_line();
            return Ok((name.to_owned(), None));
        }
        if !self.rest.starts_with('=') {
            return Err(Fault::new(self.place(), format!("{name}: there is no = after the name"))
                .hint(format!("write {name}=value; a value of several lines stands in quotes")));
        }
        self.advance(1);
        self.skip_spaces();
        let value = match self.rest.chars().next() {
            Some(quote @ ('\'' | '"')) => self.quoted(name, quote)?,
            _ => Raw::Expanded(self.unquoted()),
        };
        Ok((name.to_owned(), Some(value)))
    }

    fn unquoted(&mut self) -> String {
        let end = self.rest.find('\n').unwrap_or(self.rest.len());
        let line = self.advance(end);
        let comment = line
            .char_indices()
            .find(|(at, c)| *c == '#' && (*at == 0 || line[..*at].ends_with([' ', '\t'])))
            .map_or(line.len(), |(at, _)| at);
        line[..comment].trim_end().to_owned()
    }

    fn quoted(&mut self, name: &str, quote: char) -> Result<Raw, Fault> {
        let opened = self.place();
        let body = &self.rest[1..];
        let mut escaped = false;
        let end = body.char_indices().find(|(_, c)| {
            let closes = *c == quote && !escaped;
            escaped = *c == '\\' && !escaped && quote == '"';
            closes
        });
        let Some((end, _)) = end else {
            return Err(Fault::new(opened, format!("{name}: the quote {quote} is never closed"))
                .hint("close it, or write the value without quotes"));
        };
        let body = &body[..end];
        self.advance(end + 2);
        if !self.is_at_end() {
            return Err(Fault::new(self.place(), format!("{name}: something follows the closing quote"))
                .hint("put the whole value between the quotes"));
        }
        Ok(if quote == '"' { Raw::Expanded(unescape(body)) } else { Raw::Literal(body.to_owned()) })
    }
}

/// `\n`, `\r`, `\t`, `\"`, `\\`; `\$` becomes `$$` for the expansion that follows; any other backslash stays.
fn unescape(body: &str) -> String {
    let mut text = String::with_capacity(body.len());
    let mut chars = body.chars().filter(|c| *c != '\r');
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('$') => text.push_str("$$"),
            Some(c @ ('"' | '\\')) => text.push(c),
            Some(other) => text.extend(['\\', other]),
            None => text.push('\\'),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(String, String)> {
        let outside = BTreeMap::from([("HOME".to_owned(), "/home/ada".to_owned())]);
        let found = read(text, &outside);
        assert!(found.faults.is_empty(), "{text}: {:?}", found.faults);
        found
            .variables
            .into_iter()
            .map(|(name, value)| match value {
                Assigned::Value(value) => (name, value),
                Assigned::Inherited => (name, "(inherited)".to_owned()),
            })
            .collect()
    }

    #[test]
    fn lines_are_read_as_compose_reads_them() {
        for (text, name, value) in [
            ("A=1", "A", "1"),
            ("A = 1 ", "A", "1"),
            ("export A=1", "A", "1"),
            ("export=1", "export", "1"),
            ("A=", "A", ""),
            ("A", "A", "(inherited)"),
            ("A=two words", "A", "two words"),
            ("A=x#y", "A", "x#y"),
            ("A=x # why", "A", "x"),
            ("A='it is $HOME'", "A", "it is $HOME"),
            ("A=\"$HOME/x\" # why", "A", "/home/ada/x"),
            ("A=${HOME}/x", "A", "/home/ada/x"),
            ("A=\"a\\nb\\\"c\\$HOME\"", "A", "a\nb\"c$HOME"),
            ("A='two\nlines'", "A", "two\nlines"),
            ("\u{feff}A=1\r\n", "A", "1"),
            ("# c\n\n  A=1", "A", "1"),
            ("A_B.c-d=1", "A_B.c-d", "1"),
            ("A=a=b", "A", "a=b"),
        ] {
            assert_eq!(values(text), [(name.to_owned(), value.to_owned())], "{text:?}");
        }
    }

    #[test]
    fn a_value_may_use_what_stands_above_it() {
        assert_eq!(values("A=1\nB=${A}2")[1].1, "12");
    }

    #[test]
    fn every_bad_line_is_reported_with_its_place_and_no_value() {
        let found = read("A=1\n=secret\nB secret\nC='x\ny' secret\nD=\"secret", &BTreeMap::new());
        let places: Vec<_> = found.faults.iter().map(|fault| (fault.at.line, fault.at.column)).collect();
        assert_eq!(places, [(2, 1), (3, 3), (5, 4), (6, 3)]);
        assert!(found.faults.iter().all(|fault| !fault.message.contains("secret")));
    }
}
