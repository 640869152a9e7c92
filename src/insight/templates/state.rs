//! What a miner knows, in a form that can be kept: text only, so that whatever reads it back need not trust it.

use serde::{Deserialize, Serialize};

use super::{
    Settings, TemplateId,
    bytes::VALUE,
    template::Template,
    token::{Kind, Token, kind, of_text},
};

/// What a miner knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub(super) next: u32,
    pub(super) rest: u64,
    pub(super) templates: Vec<Kept>,
    pub(super) merged: Vec<(u32, u32)>,
}

/// One template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    id: u32,
    count: u64,
    open: bool,
    example: String,
    columns: Vec<Column>,
}

/// One token: its text, and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Column(String, String);

impl Kept {
    /// That of a template.
    pub(super) fn of(template: &Template) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let column = |token: &Token| Column(text(token.text(&template.line)), text(token.trail(&template.line)));
        Self {
            id: template.id.0,
            count: template.count,
            open: template.open,
            example: template.example().to_owned(),
            columns: template.tokens.iter().map(column).collect(),
        }
    }

    /// How many lines it stands for.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// The template that it was; none where it is larger than the settings allow.
    pub(super) fn template(&self, settings: &Settings) -> Option<Template> {
        let length: usize = self.columns.iter().map(|column| column.0.len() + column.1.len()).sum();
        if length > usize::from(u16::MAX) || self.columns.len() > settings.tokens {
            return None;
        }
        let mut line = Vec::with_capacity(length);
        let mut tokens = Vec::with_capacity(self.columns.len());
        for Column(text, trail) in &self.columns {
            let is_value = text.as_bytes() == [VALUE];
            let trail = if is_value { trail.as_bytes() } else { &[] };
            let kind = if is_value { Kind::Value } else { kind(text.as_bytes()) };
            tokens.push(Token { trail: trail.len() as u16, ..of_text(text.as_bytes(), line.len(), kind) });
            line.extend_from_slice(text.as_bytes());
            line.extend_from_slice(trail);
        }
        let mut template = Template::new(TemplateId(self.id), &line, &tokens, self.example.as_bytes());
        template.open = self.open;
        template.count = self.count;
        Some(template)
    }
}
