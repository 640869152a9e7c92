//! Regrouping, column by column, over the templates alone, after Yu et al., *Brain: Log Parsing with Bidirectional Parallel Tree* (2023): templates of one
//! shape that agree in all columns but a few are one, if the texts in those columns are too many to be words of different messages.
//!
//! Promise: deterministic, and what was merged stays merged. Never: a merge over different shapes.

use std::collections::BTreeMap;

use super::{
    bytes::mix,
    template::Template,
    token::{Kind, Token},
};

/// How many names in a column make it one of values.
const NAMES: usize = 3;
/// How many plain words do.
const WORDS: usize = 5;
/// What a value among names or words counts for: with one text beside it, it is enough.
const VALUE_AMONG_NAMES: usize = NAMES - 1;
const VALUE_AMONG_WORDS: usize = WORDS - 1;
/// How much more is asked of the first text of a line, which mostly says what the line is about (He et al., *Drain*, 2017).
const FIRST: usize = 2;

/// A place in the list of templates, and the place of the template that it was merged into.
pub(super) type Merged = Vec<(usize, usize)>;

/// Merges what is one template; gives which place is now part of which.
pub(super) fn regroup(templates: &mut [Option<Template>]) -> Merged {
    let mut shapes: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (place, template) in templates.iter().enumerate() {
        if let Some(template) = template {
            shapes.entry(template.shape).or_default().push(place);
        }
    }
    let mut all = Merged::new();
    for places in shapes.into_values().filter(|places| places.len() > 1) {
        Group { templates, places, merged: &mut all }.regroup();
    }
    all
}

/// Templates of one shape.
struct Group<'a> {
    templates: &'a mut [Option<Template>],
    places: Vec<usize>,
    merged: &'a mut Merged,
}

impl Group<'_> {
    fn regroup(&mut self) {
        loop {
            let before = self.merged.len();
            self.by_identity();
            self.by_names();
            self.by_words();
            if self.merged.len() == before || self.places.len() < 2 {
                return;
            }
        }
    }

    /// Merges what has become the same.
    fn by_identity(&mut self) {
        for places in self.clusters(|template| Some(template.identity())) {
            self.merge(&places);
        }
    }

    /// Merges what differs in names only, in however many columns.
    fn by_names(&mut self) {
        let blanked = |template: &Template| {
            let key = fold(template, |column| is_soft(template, column));
            (constants(template) > 0).then_some(key)
        };
        for places in self.clusters(blanked) {
            let columns = Columns::of(self.templates, &places);
            let mut variable: Vec<bool> = (0..columns.count()).map(|column| columns.are_names(column)).collect();
            if !variable.contains(&true) {
                continue;
            }
            for (column, variable) in variable.iter_mut().enumerate() {
                *variable |= columns.differ_in_digits(column);
            }
            let few = columns.templates.first().is_none_or(|template| constants(template) < 2);
            if few && columns.first_text().is_some_and(|first| variable[first]) {
                continue;
            }
            let key = |template: &Template| Some(fold(template, |column| variable[column]));
            for part in clusters(&places, |place| key(self.templates[place].as_ref()?)) {
                self.merge(&part);
            }
        }
    }

    /// Merges what differs in one column.
    fn by_words(&mut self) {
        let first = self.places.first().and_then(|place| self.templates[*place].as_ref());
        let count = first.map_or(0, |template| template.tokens.len());
        let mut sums = self.sums();
        for column in 0..count {
            let blanked = |template: &Template, sum: &Sum| {
                let token = &template.tokens[column];
                let words = sum.words - usize::from(token.kind == Kind::Word);
                let can_vary =
                    token.is_text() && !is_key(template, column) && delimiter(template, Some(column + 1)) != b':';
                (words > 1 && can_vary).then(|| sum.hash.wrapping_sub(mix(token.hash, column as u64)))
            };
            let key = |place: usize| blanked(self.templates[place].as_ref()?, sums.get(&place)?);
            let mut changed = false;
            for places in clusters(&self.places, key) {
                if Columns::of(self.templates, &places).are_words(column) {
                    self.merge(&places);
                    changed = true;
                }
            }
            if changed {
                sums = self.sums();
            }
        }
    }

    fn sums(&self) -> BTreeMap<usize, Sum> {
        self.places.iter().filter_map(|place| Some((*place, Sum::of(self.templates[*place].as_ref()?)))).collect()
    }

    fn clusters(&self, key: impl Fn(&Template) -> Option<u64>) -> Vec<Vec<usize>> {
        clusters(&self.places, |place| key(self.templates[place].as_ref()?))
    }

    /// Makes one template of several: the one that has been there the longest survives.
    fn merge(&mut self, places: &[usize]) {
        let oldest = places.iter().min_by_key(|place| self.templates[**place].as_ref().map(|template| template.id));
        let Some(survivor) = oldest.copied() else { return };
        for place in places.iter().filter(|place| **place != survivor) {
            merge_pair(self.templates, *place, survivor);
            self.merged.push((*place, survivor));
        }
        self.places.retain(|place| self.templates[*place].is_some());
    }
}

/// Merges one template into another of the same shape.
pub(super) fn merge_pair(templates: &mut [Option<Template>], from: usize, into: usize) {
    if let Some(gone) = templates[from].take()
        && let Some(survivor) = &mut templates[into]
    {
        survivor.absorb(&gone);
    }
}

/// What all columns of a template come to, so that one of them can be taken out without looking at the others.
struct Sum {
    hash: u64,
    /// How many plain words there are.
    words: usize,
}

impl Sum {
    fn of(template: &Template) -> Self {
        let columns = template.tokens.iter().zip(0_u64..);
        let hash = columns.fold(0, |sum: u64, (token, column)| sum.wrapping_add(mix(token.hash, column)));
        Self { hash, words: template.tokens.iter().filter(|token| token.kind == Kind::Word).count() }
    }
}

/// Places with the same key, where there are two or more of them.
fn clusters(places: &[usize], key: impl Fn(usize) -> Option<u64>) -> Vec<Vec<usize>> {
    let mut clusters: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for place in places {
        if let Some(key) = key(*place) {
            clusters.entry(key).or_default().push(*place);
        }
    }
    clusters.into_values().filter(|places| places.len() > 1).collect()
}

/// The hash of a template with some columns left blank.
fn fold(template: &Template, is_blank: impl Fn(usize) -> bool) -> u64 {
    template
        .tokens
        .iter()
        .enumerate()
        .fold(3, |key, (column, token)| mix(key, if is_blank(column) { 0 } else { token.hash }))
}

/// How many words there are that are surely no values.
fn constants(template: &Template) -> usize {
    (0..template.tokens.len())
        .filter(|column| template.tokens[*column].kind == Kind::Word && !is_soft(template, *column))
        .count()
}

/// Whether what stands in a column may well be a value.
fn is_soft(template: &Template, column: usize) -> bool {
    match template.tokens[column].kind {
        Kind::Delimiter => false,
        Kind::Value | Kind::Numbered => true,
        Kind::Name => !is_key(template, column),
        Kind::Word => is_assigned(template, column),
    }
}

/// The first byte of the delimiter in a column; 0 where there is none.
fn delimiter(template: &Template, column: Option<usize>) -> u8 {
    let token = column.and_then(|column| template.tokens.get(column)).filter(|token| !token.is_text());
    token.and_then(|token| token.text(&template.line).first()).copied().unwrap_or(0)
}

/// `key=`, `key =`: what is written before is no value.
fn is_key(template: &Template, column: usize) -> bool {
    let next = delimiter(template, Some(column + 1));
    next == b'=' || (next == b' ' && delimiter(template, Some(column + 2)) == b'=')
}

/// `=word`, `'word'`, `"word"`.
fn is_assigned(template: &Template, column: usize) -> bool {
    let (before, after) = (delimiter(template, column.checked_sub(1)), delimiter(template, Some(column + 1)));
    !is_key(template, column) && (before == b'=' || (matches!(before, b'\'' | b'"') && after == before))
}

/// What stands in the columns of templates that may be one.
struct Columns<'a> {
    templates: Vec<&'a Template>,
    /// How many lines they stand for.
    lines: u64,
}

impl<'a> Columns<'a> {
    fn of(templates: &'a [Option<Template>], places: &[usize]) -> Self {
        let templates: Vec<&Template> = places.iter().filter_map(|place| templates[*place].as_ref()).collect();
        let lines = templates.iter().map(|template| template.count).sum();
        Self { templates, lines }
    }

    fn count(&self) -> usize {
        self.templates.first().map_or(0, |template| template.tokens.len())
    }

    fn first_text(&self) -> Option<usize> {
        self.templates.first()?.tokens.iter().position(Token::is_text)
    }

    fn are_names(&self, column: usize) -> bool {
        self.are_values(column, NAMES, VALUE_AMONG_NAMES)
    }

    fn are_words(&self, column: usize) -> bool {
        self.are_values(column, WORDS, VALUE_AMONG_WORDS)
    }

    /// Whether the texts of a column are enough to be values. The more lines there are to a text, the more texts it takes: words of different messages come
    /// again and again, values are ever new. Where one of them is known to be a value, nothing more is asked.
    fn are_values(&self, column: usize, needed: usize, of_value: usize) -> bool {
        let mut texts: Vec<&Token> = self.templates.iter().map(|template| &template.tokens[column]).collect();
        texts.sort_by_key(|token| token.hash);
        texts.dedup_by_key(|token| token.hash);
        let has_value = texts.iter().any(|token| token.kind == Kind::Value);
        let weight = if has_value { texts.len() - 1 + of_value } else { texts.len() };
        let lines = (self.lines / texts.len() as u64).max(1);
        let patience = if has_value { 0 } else { lines.ilog2() as usize / 2 };
        let is_first = self.first_text().is_some_and(|first| column <= first);
        let asked = if is_first { (needed + patience).max(needed * FIRST) } else { needed + patience };
        texts.len() > 1 && weight >= asked
    }

    /// Names with digits that differ in nothing else.
    fn differ_in_digits(&self, column: usize) -> bool {
        let letters = |template: &Template| -> Vec<u8> {
            template.tokens[column].text(&template.line).iter().filter(|byte| !byte.is_ascii_digit()).copied().collect()
        };
        let Some((first, rest)) = self.templates.split_first() else { return false };
        let numbered = self.templates.iter().all(|template| template.tokens[column].kind == Kind::Numbered);
        let own = letters(first);
        numbered && rest.iter().all(|template| letters(template) == own)
    }
}
