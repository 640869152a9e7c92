//! A template: what lines have in common, with `<*>` for what they have not.

use super::{
    TemplateId,
    bytes::VALUE,
    token::{Kind, Token, any, identity, shape},
};

/// How much of a line is kept as the example.
const EXAMPLE: usize = 256;

/// What lines have in common.
#[derive(Debug, Clone)]
pub struct Template {
    pub(super) id: TemplateId,
    /// The masked form; the tokens are parts of it.
    pub(super) line: Vec<u8>,
    pub(super) tokens: Vec<Token>,
    /// Whether a column was opened by regrouping, so that it takes any text and not only what masking knows as a value.
    pub(super) open: bool,
    /// The hash of the form: templates of different shapes are never one.
    pub(super) shape: u64,
    pub(super) count: u64,
    example: Box<str>,
}

impl Template {
    /// That of one line, of which `found` are the tokens.
    pub(super) fn new(id: TemplateId, line: &[u8], found: &[Token], example: &[u8]) -> Self {
        let example = String::from_utf8_lossy(&example[..example.len().min(EXAMPLE)]).into();
        Self { id, line: line.to_vec(), tokens: found.to_vec(), open: false, shape: shape(found), count: 0, example }
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> TemplateId {
        self.id
    }

    /// How many lines it stands for.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The first of them, shortened.
    #[must_use]
    pub fn example(&self) -> &str {
        &self.example
    }

    /// Its text, `<*>` for each value.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.line).replace(char::from(VALUE), "<*>")
    }

    /// The hash of what it is.
    pub(super) fn identity(&self) -> u64 {
        identity(&self.tokens)
    }

    /// Whether a line of the same shape is one of its lines.
    pub(super) fn takes(&self, found: &[Token]) -> bool {
        let fits =
            |(mine, other): (&Token, &Token)| mine.hash == other.hash || (mine.kind == Kind::Value && other.is_text());
        self.tokens.len() == found.len() && self.tokens.iter().zip(found).all(fits)
    }

    /// Takes in what another template of the same shape stands for.
    pub(super) fn absorb(&mut self, other: &Self) {
        self.count += other.count;
        self.open |= other.open;
        self.fit(&other.line, &other.tokens);
    }

    /// Opens the columns in which the tokens of a line of the same shape differ from its own, and drops what follows a value on some lines only.
    pub(super) fn fit(&mut self, line: &[u8], found: &[Token]) {
        let mut merged = Vec::with_capacity(self.line.len());
        for (mine, other) in self.tokens.iter_mut().zip(found) {
            let start = merged.len();
            if mine.hash == other.hash {
                let trail = mine.trail(&self.line);
                let kept = if trail == other.trail(line) { trail } else { &[] };
                merged.extend_from_slice(mine.text(&self.line));
                merged.extend_from_slice(kept);
                *mine = Token { start: start as u16, trail: kept.len() as u16, ..*mine };
            } else {
                merged.push(VALUE);
                self.open |= mine.kind != Kind::Value;
                *mine = any(start);
            }
        }
        self.line = merged;
    }
}
