//! YAML as a tree in which everything knows its line and column. Promise: any bytes give a tree or faults, quickly and in
//! little memory. Never: types, interpolation, meaning; a scalar stays the text that was written.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
};

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, Span, Tag};

use super::problems::{Fault, Place};

/// Largest nesting, aliases followed.
const MAX_DEPTH: u32 = 64;
/// Most nodes that aliases may stand for, all together.
const MAX_ALIASED: u64 = 1_000_000;

/// A key of a map.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// As written, unquoted.
    pub(crate) text: Arc<str>,
    /// Where.
    pub(crate) at: Place,
}

/// A value.
#[derive(Debug)]
pub(crate) struct Node {
    /// Where it begins.
    pub(crate) at: Place,
    /// What it is.
    pub(crate) shape: Shape,
    /// What it does to a value of an earlier file.
    pub(crate) edit: Edit,
    /// Nodes in it, itself included, aliases followed.
    weight: u64,
    /// Levels in it, itself included, aliases followed.
    depth: u32,
}

/// What a value does to that of an earlier file, by the tags of compose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Edit {
    /// It is merged with it.
    #[default]
    Merge,
    /// `!reset`: it is removed.
    Reset,
    /// `!override`: it is replaced.
    Override,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// Text, number, truth value or nothing: whatever was written.
    Scalar {
        /// Unquoted, unescaped.
        text: Arc<str>,
        /// Written without quotes, so that it may mean "nothing".
        plain: bool,
    },
    /// A sequence.
    List(Vec<Arc<Node>>),
    /// A mapping in the order of the file, merge keys resolved, each key once.
    Map(Vec<(Key, Arc<Node>)>),
}

impl Node {
    pub(crate) fn new(at: Place, shape: Shape, edit: Edit) -> Self {
        let (weight, depth) = match &shape {
            Shape::Scalar { .. } => (1, 1),
            Shape::List(items) => measure(items.iter()),
            Shape::Map(entries) => measure(entries.iter().map(|(_, node)| node)),
        };
        Self { at, shape, edit, weight, depth }
    }

    /// True for `~`, `null` and a value that is not there.
    pub(crate) fn is_null(&self) -> bool {
        match &self.shape {
            Shape::Scalar { text, plain } => *plain && matches!(&**text, "" | "~" | "null" | "Null" | "NULL"),
            Shape::List(_) | Shape::Map(_) => false,
        }
    }

    /// What it is, in a sentence.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.shape {
            Shape::Scalar { .. } if self.is_null() => "nothing",
            Shape::Scalar { .. } => "a single value",
            Shape::List(_) => "a list",
            Shape::Map(_) => "a map",
        }
    }
}

fn measure<'n>(children: impl Iterator<Item = &'n Arc<Node>>) -> (u64, u32) {
    let (weight, depth) = children
        .fold((1_u64, 0), |(weight, depth), child| (weight.saturating_add(child.weight), child.depth.max(depth)));
    (weight, depth.saturating_add(1))
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The document; none where it could not be read to its end.
    pub(crate) root: Option<Arc<Node>>,
    /// What is wrong with it.
    pub(crate) faults: Vec<Fault>,
}

/// Reads one YAML document.
pub(crate) fn parse(text: &str) -> Tree {
    build(text, Builder::default())
}

/// The same, in which `!reset` and `!override` are understood.
pub(crate) fn parse_edits(text: &str) -> Tree {
    build(text, Builder { has_edits: true, ..Builder::default() })
}

fn build(text: &str, mut builder: Builder) -> Tree {
    match builder.read(text) {
        Ok(()) => Tree { root: builder.root, faults: builder.faults },
        Err(fault) => {
            builder.faults.push(fault);
            Tree { root: None, faults: builder.faults }
        }
    }
}

enum Frame {
    List {
        at: Place,
        anchor: usize,
        edit: Edit,
        items: Vec<Arc<Node>>,
    },
    Map {
        at: Place,
        anchor: usize,
        edit: Edit,
        entries: Vec<(Key, Arc<Node>)>,
        keys: HashMap<Arc<str>, Place>,
        key: Pending,
    },
}

/// What the next node of a map is.
enum Pending {
    /// A key.
    Key,
    /// The value of this key.
    Value(Key),
    /// The value of a key that is not taken.
    Refused,
}

#[derive(Default)]
struct Builder {
    stack: Vec<Frame>,
    anchors: HashMap<usize, Arc<Node>>,
    aliased: u64,
    root: Option<Arc<Node>>,
    documents: usize,
    has_edits: bool,
    faults: Vec<Fault>,
}

impl Builder {
    fn read(&mut self, text: &str) -> Result<(), Fault> {
        let options = granit_parser::options! { emit_unresolved_aliases: true };
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|error| syntax_fault(text, &error))?;
            self.take(event, place(span))?;
        }
        Ok(())
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum, whose variants depend on its features")]
    fn take(&mut self, event: Event<'_>, at: Place) -> Result<(), Fault> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Fault::new(at, "a second document begins here, and only one is read")
                        .hint("remove the line \"---\" and what follows"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let edit = self.edit(tag.as_deref(), at);
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let node = Arc::new(Node::new(at, Shape::Scalar { text: Arc::from(&*text), plain }, edit));
                self.place(node, anchor)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                let edit = self.edit(tag.as_deref(), at);
                self.push(Frame::List { at, anchor, edit, items: Vec::new() }, at)?;
            }
            Event::MappingStart(_, anchor, tag) => {
                let edit = self.edit(tag.as_deref(), at);
                let (entries, keys) = (Vec::new(), HashMap::new());
                self.push(Frame::Map { at, anchor, edit, entries, keys, key: Pending::Key }, at)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.pop()?,
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id).cloned() else {
                    return Err(Fault::new(at, "an alias stands inside the value that it refers to")
                        .hint("an anchor can be used only after its value has ended"));
                };
                self.aliased = self.aliased.saturating_add(node.weight);
                if self.aliased > MAX_ALIASED {
                    return Err(Fault::new(at, format!("aliases stand for more than {MAX_ALIASED} values"))
                        .hint("write out what is meant; a file that grows like this is refused"));
                }
                self.place(node, 0)?;
            }
            Event::UnresolvedAlias(name) => {
                self.faults.push(
                    Fault::new(at, format!("\"*{name}\" refers to an anchor that does not exist")).hint(format!(
                        "write \"&{name}\" before the value that is meant, further up, or quote the text"
                    )),
                );
                self.place(
                    Arc::new(Node::new(at, Shape::Scalar { text: Arc::from(""), plain: true }, Edit::Merge)),
                    0,
                )?;
            }
            _ => {}
        }
        Ok(())
    }

    fn edit(&mut self, tag: Option<&Tag>, at: Place) -> Edit {
        let Some(tag) = tag else { return Edit::Merge };
        let original = tag.original();
        if self.has_edits && original == "!reset" {
            return Edit::Reset;
        }
        if self.has_edits && original == "!override" {
            return Edit::Override;
        }
        if !tag.is_yaml_core_schema() && original != "!" {
            self.faults.push(Fault::new(at, format!("the tag {} is not understood", tag.original())).hint("remove it"));
        }
        Edit::Merge
    }

    fn push(&mut self, frame: Frame, at: Place) -> Result<(), Fault> {
        if self.stack.len() >= MAX_DEPTH as usize {
            return Err(too_deep(at));
        }
        self.stack.push(frame);
        Ok(())
    }

    fn pop(&mut self) -> Result<(), Fault> {
        match self.stack.pop() {
            Some(Frame::List { at, anchor, edit, items }) => {
                self.place(Arc::new(Node::new(at, Shape::List(items), edit)), anchor)
            }
            Some(Frame::Map { at, anchor, edit, entries, .. }) => {
                let entries = self.merge(entries);
                self.place(Arc::new(Node::new(at, Shape::Map(entries), edit)), anchor)
            }
            None => Ok(()),
        }
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Arc<Node>, anchor: usize) -> Result<(), Fault> {
        if node.depth as usize + self.stack.len() > MAX_DEPTH as usize {
            return Err(too_deep(node.at));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, Arc::clone(&node));
        }
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { entries, keys, key, .. }) => match std::mem::replace(key, Pending::Key) {
                Pending::Key => *key = key_of(&node, keys, &mut self.faults),
                Pending::Value(key) => entries.push((key, node)),
                Pending::Refused => {}
            },
        }
        Ok(())
    }

    /// Resolves `<<`: keys written here win over merged ones, earlier merged ones over later.
    fn merge(&mut self, entries: Vec<(Key, Arc<Node>)>) -> Vec<(Key, Arc<Node>)> {
        if !entries.iter().any(|(key, _)| &*key.text == "<<") {
            return entries;
        }
        let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(key, _)| &*key.text == "<<");
        let mut seen: HashSet<Arc<str>> = own.iter().map(|(key, _)| Arc::clone(&key.text)).collect();
        for (key, value) in merges {
            let sources: &[Arc<Node>] = match &value.shape {
                Shape::List(items) => items,
                Shape::Map(_) | Shape::Scalar { .. } => std::slice::from_ref(&value),
            };
            for source in sources {
                let Shape::Map(more) = &source.shape else {
                    if source.is_null() {
                        continue;
                    }
                    self.faults.push(
                        Fault::new(key.at, format!("<<: {} cannot be merged, only a map can", source.describe()))
                            .hint("write \"<<: *name\", where &name marks a map"),
                    );
                    continue;
                };
                for (key, node) in more {
                    if seen.insert(Arc::clone(&key.text)) {
                        own.push((key.clone(), Arc::clone(node)));
                    }
                }
            }
        }
        own
    }
}

fn key_of(node: &Node, keys: &mut HashMap<Arc<str>, Place>, faults: &mut Vec<Fault>) -> Pending {
    let Shape::Scalar { text, .. } = &node.shape else {
        faults.push(Fault::new(node.at, format!("{} cannot be a key", node.describe())).hint("quote it if it is text"));
        return Pending::Refused;
    };
    match keys.entry(Arc::clone(text)) {
        Entry::Vacant(entry) => {
            entry.insert(node.at);
            Pending::Value(Key { text: Arc::clone(text), at: node.at })
        }
        Entry::Occupied(entry) => {
            let first = entry.get();
            faults.push(
                Fault::new(node.at, format!("{text}: the key is there twice, first at line {}", first.line))
                    .hint("keep one of them"),
            );
            Pending::Refused
        }
    }
}

fn too_deep(at: Place) -> Fault {
    Fault::new(at, format!("nested more than {MAX_DEPTH} levels deep")).hint("a project file needs six at most")
}

fn place(span: Span) -> Place {
    Place::new(span.start.line(), span.start.col() + 1)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum; only some of its variants deserve a hint")]
fn syntax_fault(text: &str, error: &granit_parser::ScanError) -> Fault {
    let mark = error.marker();
    let at = Place::new(mark.line(), mark.col() + 1);
    if let ErrorKind::RecursionLimitExceeded = error.kind() {
        return too_deep(at);
    }
    let line = text.lines().nth(mark.line().saturating_sub(1)).unwrap_or_default();
    let indented_with_tab = line.trim_start_matches(' ').starts_with('\t');
    let hint = match error.kind() {
        ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation => {
            "indent with spaces, not with tabs"
        }
        _ if indented_with_tab => "indent with spaces, not with tabs",
        ErrorKind::InvalidIndentation => "keys of one map begin in the same column",
        _ => "check indentation, quotes and brackets on this line and the one above",
    };
    Fault::new(at, format!("not valid YAML: {}", error.kind())).hint(hint)
}
