//! The parse tree of Drain (He et al., 2017), two levels deep: first by shape (how many texts there are, and which delimiters between them), then by what the
//! columns are. A leaf is one template, so that a line is found by two look-ups; only templates with columns that take any text are compared one by one.

use std::collections::HashMap;

use super::{template::Template, token::Token};

/// Finds the template of a line that has not been seen before.
#[derive(Debug, Default)]
pub(super) struct Index {
    exact: HashMap<u64, usize>,
    open: HashMap<u64, Vec<usize>>,
}

impl Index {
    /// Of all templates.
    pub(super) fn of(templates: &[Option<Template>]) -> Self {
        let mut index = Self::default();
        for (place, template) in templates.iter().enumerate() {
            if let Some(template) = template {
                index.add(place, template);
            }
        }
        index
    }

    /// One more template.
    pub(super) fn add(&mut self, place: usize, template: &Template) {
        self.exact.insert(template.identity(), place);
        if template.open {
            self.open.entry(template.shape).or_default().push(place);
        }
    }

    /// The template with the same tokens.
    pub(super) fn exact(&self, identity: u64) -> Option<usize> {
        self.exact.get(&identity).copied()
    }

    /// A template whose columns take the tokens.
    pub(super) fn open(&self, shape: u64, found: &[Token], templates: &[Option<Template>]) -> Option<usize> {
        let takes = |place: &usize| templates[*place].as_ref().is_some_and(|template| template.takes(found));
        self.open.get(&shape)?.iter().copied().find(takes)
    }
}
