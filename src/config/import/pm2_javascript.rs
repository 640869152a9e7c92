//! The literal subset of JavaScript in which most `ecosystem.config.js` are written, and JSON with comments. Promise: a value is
//! the one that node would give, or there is none. Never: evaluates anything but a constant.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::config::{
    problems::Place,
    tree::{Edit, Key, Node, Shape},
};

/// Largest nesting.
const MAX_DEPTH: usize = 48;
/// Most keys of one object.
const MOST_KEYS: usize = 1000;
/// Longest text that is made of others, in bytes.
const LONGEST: usize = 64 << 10;

/// What cannot be read without node, and where.
pub(super) struct NeedsNode {
    pub(super) at: Place,
    pub(super) what: String,
}

/// Comments as spaces, so that every place stays where it is.
pub(super) fn without_comments(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut in_string = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' if in_string => {
                plain.push(c);
                plain.extend(chars.next());
            }
            '"' => {
                in_string = !in_string;
                plain.push(c);
            }
            '\t' if !in_string => plain.push(' '),
            '/' if !in_string && chars.peek() == Some(&'/') => {
                plain.push(' ');
                while let Some(c) = chars.next_if(|c| *c != '\n') {
                    plain.push(if c == '\r' { '\r' } else { ' ' });
                }
            }
            '/' if !in_string && chars.peek() == Some(&'*') => {
                plain.push(' ');
                let mut before = ' ';
                for c in chars.by_ref() {
                    plain.push(if c == '\n' { '\n' } else { ' ' });
                    if before == '*' && c == '/' {
                        break;
                    }
                    before = c;
                }
            }
            c => plain.push(c),
        }
    }
    plain
}

/// What a module exports.
///
/// # Errors
/// Where it stops being literal.
pub(super) fn exported(
    text: &str,
    directory: &str,
    environment: &BTreeMap<String, String>,
) -> Result<Arc<Node>, NeedsNode> {
    let mut reader =
        Reader { rest: text, line: 1, column: 1, directory, environment, constants: HashMap::new(), depth: 0 };
    reader.module()
}

struct Reader<'t> {
    rest: &'t str,
    line: usize,
    column: usize,
    directory: &'t str,
    environment: &'t BTreeMap<String, String>,
    constants: HashMap<&'t str, Arc<Node>>,
    depth: usize,
}

type Read<T> = Result<T, NeedsNode>;

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

impl<'t> Reader<'t> {
    fn place(&self) -> Place {
        Place::new(self.line, self.column)
    }

    fn advance(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(bytes);
        for c in taken.chars() {
            if c == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.rest = rest;
        taken
    }

    fn skip(&mut self) {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.advance(blank);
            let end = if self.rest.starts_with("//") {
                self.rest.find('\n')
            } else if self.rest.starts_with("/*") {
                self.rest[2..].find("*/").map(|end| end + 4)
            } else {
                return;
            };
            self.advance(end.unwrap_or(self.rest.len()));
        }
    }

    fn take(&mut self, sign: &str) -> bool {
        self.skip();
        let is_there =
            self.rest.starts_with(sign) && !(sign.ends_with(is_word) && self.rest[sign.len()..].starts_with(is_word));
        if is_there {
            self.advance(sign.len());
        }
        is_there
    }

    fn word(&mut self) -> &'t str {
        self.skip();
        let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
        self.advance(end)
    }

    fn needs<T>(&self, what: &str) -> Read<T> {
        Err(NeedsNode { at: self.place(), what: what.to_owned() })
    }

    fn module(&mut self) -> Read<Arc<Node>> {
        loop {
            self.skip();
            if self.take("'use strict'") || self.take("\"use strict\"") || self.take(";") {
                continue;
            }
            if self.take("module.exports") || self.take("exports") {
                if !self.take("=") {
                    return self.needs("an export that is not \"module.exports = …\"");
                }
                return self.last();
            }
            if self.take("export default") {
                return self.last();
            }
            if self.take("const") || self.take("let") || self.take("var") {
                let name = self.word();
                if name.is_empty() || !self.take("=") {
                    return self.needs("a declaration that is not \"const name = value\"");
                }
                // What a constant is matters only where it is used.
                let before = (self.rest, self.line, self.column);
                match self.value() {
                    Ok(value) => {
                        self.constants.insert(name, value);
                    }
                    Err(why) => {
                        (self.rest, self.line, self.column) = before;
                        self.depth = 0;
                        if !self.take("require") {
                            return Err(why);
                        }
                        let end = self.rest.find('\n').unwrap_or(self.rest.len());
                        self.advance(end);
                    }
                }
                continue;
            }
            return self.needs(if self.rest.is_empty() { "a file that exports nothing" } else { "a statement" });
        }
    }

    fn last(&mut self) -> Read<Arc<Node>> {
        let value = self.value()?;
        self.take(";");
        self.skip();
        if self.rest.is_empty() { Ok(value) } else { self.needs("a statement after the export") }
    }

    /// `a || b`, `a ?? b`, `a + b`.
    fn value(&mut self) -> Read<Arc<Node>> {
        if self.depth >= MAX_DEPTH {
            return self.needs("a value nested too deep");
        }
        self.depth += 1;
        let at = {
            self.skip();
            self.place()
        };
        let mut value = self.single()?;
        loop {
            if self.take("||") {
                let other = self.single()?;
                if value.as_ref().is_none_or(|node| is_falsy(node)) {
                    value = other;
                }
            } else if self.take("??") {
                let other = self.single()?;
                value = value.or(other);
            } else if self.take("+") {
                let other = self.single()?;
                let joined = [value, other].map(|node| node.and_then(|node| string(&node)));
                let [Some(left), Some(right)] = joined else { return self.needs("a sum that is not of texts") };
                if left.len() + right.len() > LONGEST {
                    return self.needs("a text of more than 64 KiB");
                }
                value = Some(scalar(at, &format!("{left}{right}"), false));
            } else {
                break;
            }
        }
        self.depth -= 1;
        self.skip();
        if self.rest.is_empty() || self.rest.starts_with([',', '}', ']', ')', ';', '\n']) || self.starts_statement() {
            // What is not defined is nothing.
            return Ok(value.unwrap_or_else(|| scalar(at, "null", true)));
        }
        self.needs("an expression")
    }

    /// A declaration or an export may follow without a semicolon.
    fn starts_statement(&self) -> bool {
        ["const ", "let ", "var ", "module.exports", "export default"].iter().any(|word| self.rest.starts_with(word))
    }

    /// None: not defined.
    fn single(&mut self) -> Read<Option<Arc<Node>>> {
        self.skip();
        let at = self.place();
        match self.rest.chars().next() {
            Some('{') => self.object(at).map(Some),
            Some('[') => self.array(at).map(Some),
            Some(quote @ ('\'' | '"' | '`')) => self.string(quote).map(|text| Some(scalar(at, &text, false))),
            Some('(') => {
                self.advance(1);
                let value = self.value()?;
                if self.take(")") { Ok(Some(value)) } else { self.needs("an expression") }
            }
            Some(c) if c.is_ascii_digit() || matches!(c, '-' | '.') => self.number(at).map(Some),
            Some(c) if is_word(c) => self.named(at),
            Some(_) | None => self.needs("an expression"),
        }
    }

    fn number(&mut self, at: Place) -> Read<Arc<Node>> {
        let sign = if self.take("-") { "-" } else { "" };
        let end =
            self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_'))).unwrap_or(self.rest.len());
        let text = format!("{sign}{}", self.advance(end).replace('_', ""));
        let Ok(mut number) = text.parse::<f64>() else { return self.needs("a number that is not decimal") };
        while self.take("*") {
            let start = self.place();
            let factor = self.number(start)?;
            number *= string(&factor).and_then(|text| text.parse::<f64>().ok()).unwrap_or(f64::NAN);
        }
        let text =
            if number.fract() == 0.0 && number.abs() < 1e15 { format!("{number:.0}") } else { number.to_string() };
        Ok(scalar(at, &text, true))
    }

    fn named(&mut self, at: Place) -> Read<Option<Arc<Node>>> {
        for (word, text) in [("true", "true"), ("false", "false"), ("null", "null")] {
            if self.take(word) {
                return Ok(Some(scalar(at, text, true)));
            }
        }
        if self.take("undefined") {
            return Ok(None);
        }
        if self.take("__dirname") || self.take("process.cwd()") {
            return Ok(Some(scalar(at, self.directory, false)));
        }
        if self.take("process.env.") {
            let name = self.word();
            return Ok(self.environment.get(name).map(|value| scalar(at, value, false)));
        }
        if self.take("path.join(") || self.take("path.resolve(") {
            let mut whole = std::path::PathBuf::from(self.directory);
            while !self.take(")") {
                let part = self.value()?;
                let Some(part) = string(&part) else { return self.needs("a path that is not a text") };
                whole.push(part);
                self.take(",");
            }
            let whole = super::page::tidy(&whole);
            return Ok(Some(scalar(at, &whole.display().to_string(), false)));
        }
        let before = self.rest;
        let name = self.word();
        self.skip();
        if let Some(value) = self.constants.get(name)
            && !self.rest.starts_with(['.', '(', '['])
        {
            return Ok(Some(Arc::new(Node::new(at, value.shape.clone(), Edit::Merge))));
        }
        let shown: String = before.chars().take_while(|c| is_word(*c) || matches!(c, '.' | '(')).take(40).collect();
        Err(NeedsNode { at, what: format!("\"{shown}\"") })
    }

    fn object(&mut self, at: Place) -> Read<Arc<Node>> {
        self.advance(1);
        let mut entries: Vec<(Key, Arc<Node>)> = Vec::new();
        while !self.take("}") {
            if entries.len() >= MOST_KEYS {
                return self.needs("an object of more than 1,000 keys");
            }
            let key_at = self.place();
            if self.take("...") {
                let value = self.value()?;
                let Shape::Map(more) = value.shape.clone() else {
                    return self.needs("a spread of something else than an object");
                };
                for (key, node) in more {
                    put(&mut entries, key, node);
                }
            } else {
                let text = match self.rest.chars().next() {
                    Some(quote @ ('\'' | '"')) => self.string(quote)?,
                    Some(c) if is_word(c) => self.word().to_owned(),
                    Some(_) | None => return self.needs("a key that is not a name"),
                };
                let key = Key { text: Arc::from(text.as_str()), at: key_at };
                let value = if self.take(":") {
                    self.value()?
                } else if let Some(value) = self.constants.get(text.as_str()) {
                    Arc::clone(value)
                } else {
                    return self.needs("a key without a value");
                };
                put(&mut entries, key, value);
            }
            self.skip();
            if !self.take(",") && !self.rest.starts_with('}') {
                return self.needs("an object that is not \"key: value\"");
            }
        }
        Ok(Arc::new(Node::new(at, Shape::Map(entries), Edit::Merge)))
    }

    fn array(&mut self, at: Place) -> Read<Arc<Node>> {
        self.advance(1);
        let mut items = Vec::new();
        while !self.take("]") {
            items.push(self.value()?);
            self.skip();
            if !self.take(",") && !self.rest.starts_with(']') {
                return self.needs("a list that is not of values");
            }
        }
        Ok(Arc::new(Node::new(at, Shape::List(items), Edit::Merge)))
    }

    fn string(&mut self, quote: char) -> Read<String> {
        let opened = self.place();
        self.advance(1);
        let mut text = String::new();
        loop {
            let Some(c) = self.rest.chars().next() else {
                return Err(NeedsNode { at: opened, what: "a text that never ends".to_owned() });
            };
            if quote == '`' && self.rest.starts_with("${") {
                self.advance(2);
                let value = self.value()?;
                let Some(part) = string(&value) else { return self.needs("a template of something else than a text") };
                text.push_str(&part);
                if text.len() > LONGEST {
                    return self.needs("a text of more than 64 KiB");
                }
                if !self.take("}") {
                    return self.needs("an expression");
                }
                continue;
            }
            self.advance(c.len_utf8());
            if c == quote {
                return Ok(text);
            }
            if c != '\\' {
                text.push(c);
                continue;
            }
            let Some(escaped) = self.rest.chars().next() else { continue };
            self.advance(escaped.len_utf8());
            match escaped {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                '\n' => {}
                'x' | 'u' => return self.needs("an escape in a text"),
                c => text.push(c),
            }
        }
    }
}

fn put(entries: &mut Vec<(Key, Arc<Node>)>, key: Key, node: Arc<Node>) {
    match entries.iter_mut().find(|(known, _)| known.text == key.text) {
        Some(entry) => *entry = (key, node),
        None => entries.push((key, node)),
    }
}

fn scalar(at: Place, text: &str, plain: bool) -> Arc<Node> {
    Arc::new(Node::new(at, Shape::Scalar { text: Arc::from(text), plain }, Edit::Merge))
}

fn string(node: &Node) -> Option<String> {
    match &node.shape {
        Shape::Scalar { text, .. } if !node.is_null() => Some(text.to_string()),
        Shape::Scalar { .. } | Shape::List(_) | Shape::Map(_) => None,
    }
}

fn is_falsy(node: &Node) -> bool {
    match &node.shape {
        Shape::Scalar { text, plain } => text.is_empty() || *plain && matches!(&**text, "null" | "false" | "0"),
        Shape::List(_) | Shape::Map(_) => false,
    }
}
