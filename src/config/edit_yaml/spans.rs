//! YAML as a tree in which everything knows its bytes. Never: resolves an alias or a merge key.

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

/// A value.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
    /// An anchor or a tag stands before it.
    pub(super) marked: bool,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Kind {
    Scalar { style: ScalarStyle, text: String },
    Map { flow: bool, entries: Vec<Entry> },
    List { items: Vec<Item> },
    Alias,
}

/// A key and its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) value: Item,
}

impl Item {
    /// A value that is not there: nothing stands behind the colon.
    pub(super) fn is_absent(&self) -> bool {
        self.span.is_empty() && matches!(&self.kind, Kind::Scalar { style: ScalarStyle::Plain, .. })
    }

    /// A word for nothing: `~` or `null`.
    pub(super) fn is_null_word(&self) -> bool {
        !self.is_absent()
            && matches!(&self.kind, Kind::Scalar { style: ScalarStyle::Plain, text } if matches!(text.as_str(), "~" | "null" | "Null" | "NULL"))
    }

    /// Where it ends; `column` is that of the key that it belongs to.
    pub(super) fn end(&self, text: &str, column: usize) -> usize {
        match &self.kind {
            Kind::Scalar { style: ScalarStyle::Literal | ScalarStyle::Folded, .. } => {
                block_scalar_end(text, self.span.start, column)
            }
            Kind::Scalar { .. } | Kind::Alias => self.span.end,
            Kind::Map { flow: true, .. } => self.span.end,
            Kind::Map { entries, .. } => entries.last().map_or(self.span.start, |entry| entry.end(text, column)),
            // A flow list has a closing bracket behind its last item.
            Kind::List { items } => {
                let last = items.last().map_or(self.span.start, |item| item.end(text, column));
                if text[self.span.clone()].ends_with(']') { self.span.end } else { last }
            }
        }
    }
}

impl Entry {
    /// Where key and value end.
    pub(super) fn end(&self, text: &str, column: usize) -> usize {
        if self.value.is_absent() {
            self.key_span.end.max(self.colon(text).unwrap_or(0))
        } else {
            self.value.end(text, column)
        }
    }

    /// The place behind its colon; none where it is written in another way.
    pub(super) fn colon(&self, text: &str) -> Option<usize> {
        let rest = &text[self.key_span.end..];
        let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        rest[blank..].starts_with(':').then_some(self.key_span.end + blank + 1)
    }

    /// What stands before it on its line, where that is nothing but spaces.
    pub(super) fn indent<'t>(&self, text: &'t str) -> Option<&'t str> {
        let before = &text[line_start(text, self.key_span.start)..self.key_span.start];
        before.bytes().all(|byte| byte == b' ').then_some(before)
    }
}

/// The first byte of the line of `at`.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |end| end + 1)
}

/// The end of the line of `at`, before its line end.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
    if text[at..end].ends_with('\r') { end - 1 } else { end }
}

/// Lines below the header belong to it as long as they are empty or indented more than its key; empty ones at the end do not.
fn block_scalar_end(text: &str, start: usize, column: usize) -> usize {
    let mut end = line_end(text, start);
    let mut at = text[start..].find('\n').map_or(text.len(), |end| start + end + 1);
    while at < text.len() {
        let line = &text[at..line_end(text, at)];
        let spaces = line.len() - line.trim_start_matches(' ').len();
        if !line.trim().is_empty() {
            if spaces <= column {
                break;
            }
            end = at + line.len();
        }
        at = text[at..].find('\n').map_or(text.len(), |more| at + more + 1);
    }
    end
}

enum Frame {
    List { span: Range<usize>, marked: bool, items: Vec<Item> },
    Map { span: Range<usize>, marked: bool, flow: bool, entries: Vec<Entry>, key: Option<(String, Range<usize>)> },
}

/// The one document of a text that was found to be sound; none where it is empty, or written in a way that has no bytes to point at.
pub(super) fn read(text: &str) -> Option<Item> {
    let mut stack: Vec<Frame> = Vec::new();
    let mut root = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.ok()?;
        let bytes = bytes(&span, text)?;
        take(text, event, bytes, &mut stack, &mut root)?;
    }
    root
}

fn bytes(span: &Span, text: &str) -> Option<Range<usize>> {
    let range = span.byte_range()?;
    let end = range.end.max(range.start).min(text.len());
    let start = range.start.min(text.len());
    text.get(start..end).map(|_| start..end)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum, whose variants depend on its features")]
fn take(
    text: &str,
    event: Event<'_>,
    span: Range<usize>,
    stack: &mut Vec<Frame>,
    root: &mut Option<Item>,
) -> Option<()> {
    let item = match event {
        Event::Scalar(value, style, anchor, tag) => {
            let marked = anchor != 0 || tag.is_some();
            let end = match style {
                ScalarStyle::Plain => span.start + text[span.clone()].trim_end().len(),
                _ => span.end,
            };
            Item { span: span.start..end, kind: Kind::Scalar { style, text: value.into_owned() }, marked }
        }
        Event::SequenceStart(_, anchor, tag) => {
            stack.push(Frame::List { span, marked: anchor != 0 || tag.is_some(), items: Vec::new() });
            return Some(());
        }
        Event::MappingStart(style, anchor, tag) => {
            let (flow, marked) = (style == StructureStyle::Flow, anchor != 0 || tag.is_some());
            stack.push(Frame::Map { span, marked, flow, entries: Vec::new(), key: None });
            return Some(());
        }
        Event::SequenceEnd | Event::MappingEnd => match stack.pop()? {
            Frame::List { span: begin, marked, items } => {
                Item { span: begin.start..span.end.max(begin.start), kind: Kind::List { items }, marked }
            }
            Frame::Map { span: begin, marked, flow, entries, .. } => {
                Item { span: begin.start..span.end.max(begin.start), kind: Kind::Map { flow, entries }, marked }
            }
        },
        Event::Alias(_) => Item { span, kind: Kind::Alias, marked: false },
        _ => return Some(()),
    };
    match stack.last_mut() {
        None => *root = Some(item),
        Some(Frame::List { items, .. }) => items.push(item),
        Some(Frame::Map { entries, key, .. }) => match key.take() {
            Some((key, key_span)) => entries.push(Entry { key, key_span, value: item }),
            None => match item.kind {
                Kind::Scalar { text, .. } => *key = Some((text, item.span)),
                Kind::Map { .. } | Kind::List { .. } | Kind::Alias => return None,
            },
        },
    }
    Some(())
}
