//! A miner of log templates, online, of the family of Drain (He et al., *Drain: An Online Log Parsing Approach with Fixed Depth Tree*, 2017):
//!
//! 1. what is surely a value is masked, on bytes (`mask`);
//! 2. a masked line that is known has its template at once (a cache);
//! 3. one that is not is cut into tokens and found in a tree (`index`), or becomes a template of its own;
//! 4. now and then templates that differ in values only are made one (`regroup`).
//!
//! Promise: every line gets its template at once, memory is bounded whatever the lines are, and the same lines give the same templates. A template may later
//! become part of another one; [`Miner::resolve`] says of which. Never: a clock, I/O, or a rule that is about one program.

mod bytes;
mod crowd;
mod index;
mod location;
mod mask;
mod regroup;
mod state;
mod template;
mod token;
mod values;

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use self::{
    index::Index,
    state::Kept,
    token::{Token, identity, shape, tokens},
};
pub use self::{state::State, template::Template};

/// How much a miner may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Templates. Where there would be more, the least used are merged, and what cannot be merged is counted together.
    pub templates: usize,
    /// Bytes of a line that are looked at.
    pub line: usize,
    /// Tokens of a line; whatever comes after them is one value.
    pub tokens: usize,
    /// Masked lines of which the template is remembered, and as many templates of which it is remembered what they became part of.
    pub cache: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { templates: 4096, line: 2048, tokens: 160, cache: 32_768 }
    }
}

/// The name of a template. It stays; what it names may become part of another template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TemplateId(u32);

impl TemplateId {
    /// That of what was given up for want of room.
    pub const REST: Self = Self(0);

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// That with a number, as it was kept somewhere.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }
}

/// New templates after which the first regrouping comes.
const SOON: usize = 32;

/// Learns templates from lines.
#[derive(Debug)]
pub struct Miner {
    settings: Settings,
    templates: Vec<Option<Template>>,
    /// Places in `templates` that are free.
    free: Vec<usize>,
    places: HashMap<TemplateId, usize>,
    /// Which template became part of which.
    merged: BTreeMap<TemplateId, TemplateId>,
    rest: Template,
    next: u32,
    index: Index,
    cache: HashMap<u64, usize>,
    /// Templates since the last regrouping.
    fresh: usize,
    /// Times that templates became part of others, or were given up.
    merges: u64,
    masked: Vec<u8>,
    tokens: Vec<Token>,
}

impl Miner {
    /// One that knows nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let line = settings.line.min(usize::from(u16::MAX));
        let settings =
            Settings { line, templates: settings.templates.max(8), tokens: settings.tokens.max(8), ..settings };
        Self {
            settings,
            templates: Vec::new(),
            free: Vec::new(),
            places: HashMap::new(),
            merged: BTreeMap::new(),
            rest: Template::new(TemplateId::REST, &[bytes::VALUE], &[token::any(0)], b""),
            next: 1,
            index: Index::default(),
            cache: HashMap::new(),
            fresh: 0,
            merges: 0,
            masked: Vec::new(),
            tokens: Vec::new(),
        }
    }

    /// The template of a line, which is a new one where the line is like no other.
    pub fn learn(&mut self, line: &[u8]) -> TemplateId {
        let line = &line[..line.len().min(self.settings.line)];
        let mut masked = std::mem::take(&mut self.masked);
        mask::mask(line, &mut masked);
        let key = bytes::hash(&masked);
        let place = if let Some(place) = self.cache.get(&key) {
            *place
        } else {
            let place = self.find(&mut masked, line);
            self.remember(key, place);
            place
        };
        self.masked = masked;
        let template = self.templates.get_mut(place).and_then(Option::as_mut).unwrap_or(&mut self.rest);
        template.count += 1;
        let id = template.id;
        if self.fresh > SOON + self.places.len() / 2 {
            self.settle();
        }
        id
    }

    fn remember(&mut self, key: u64, place: usize) {
        if self.cache.len() >= self.settings.cache {
            self.cache.clear();
        }
        self.cache.insert(key, place);
    }

    /// The place of the template of a masked line that is not remembered.
    fn find(&mut self, masked: &mut Vec<u8>, line: &[u8]) -> usize {
        let mut found = std::mem::take(&mut self.tokens);
        tokens(masked, self.settings.tokens, &mut found);
        let place = if let Some(place) = self.index.exact(identity(&found)) {
            if let Some(template) = &mut self.templates[place] {
                template.fit(masked, &found);
            }
            place
        } else if let Some(place) = self.index.open(shape(&found), &found, &self.templates) {
            place
        } else {
            self.add(masked, &found, line)
        };
        self.tokens = found;
        place
    }

    /// A new template.
    fn add(&mut self, masked: &[u8], found: &[Token], line: &[u8]) -> usize {
        if self.places.len() >= self.settings.templates {
            self.make_room();
        }
        let template = Template::new(TemplateId(self.next), masked, found, line);
        self.next = self.next.saturating_add(1);
        self.fresh += 1;
        self.put(template)
    }

    fn put(&mut self, template: Template) -> usize {
        let place = self.free.pop().unwrap_or(self.templates.len());
        self.places.insert(template.id, place);
        self.index.add(place, &template);
        if let Some(slot) = self.templates.get_mut(place) {
            *slot = Some(template);
        } else {
            self.templates.push(Some(template));
        }
        place
    }

    /// Makes one of templates that differ in values only. It happens by itself now and then; to be called before templates are shown.
    pub fn settle(&mut self) {
        // Those that are there were compared with each other.
        if self.fresh == 0 {
            return;
        }
        self.fresh = 0;
        let before = self.names();
        let merged = regroup::regroup(&mut self.templates);
        self.forget(&before, &merged, &[]);
    }

    /// Settles, and where that is not enough gives up a quarter of the templates.
    fn make_room(&mut self) {
        self.settle();
        let keep = self.settings.templates - self.settings.templates / 4;
        if self.places.len() > keep {
            let before = self.names();
            let (merged, given_up) = crowd::thin_out(&mut self.templates, keep);
            self.forget(&before, &merged, &given_up);
        }
    }

    /// The names of templates by place.
    fn names(&self) -> Vec<Option<TemplateId>> {
        self.templates.iter().map(|template| template.as_ref().map(|template| template.id)).collect()
    }

    /// Writes down what became part of what, and forgets places that are gone.
    fn forget(&mut self, before: &[Option<TemplateId>], merged: &[(usize, usize)], given_up: &[usize]) {
        if merged.is_empty() && given_up.is_empty() {
            return;
        }
        self.merges += 1;
        for (from, into) in merged {
            if let (Some(from), Some(into)) = (before[*from], before[*into]) {
                self.merged.insert(from, into);
            }
        }
        for place in given_up {
            if let Some(template) = self.templates[*place].take() {
                self.rest.count += template.count;
                self.merged.insert(template.id, TemplateId::REST);
            }
        }
        while self.merged.len() > self.settings.cache {
            self.merged.pop_first();
        }
        self.rebuild();
    }

    /// Makes everything anew that follows from the templates.
    fn rebuild(&mut self) {
        self.cache.clear();
        self.index = Index::of(&self.templates);
        self.free = (0..self.templates.len()).rev().filter(|place| self.templates[*place].is_none()).collect();
        let placed = |(place, template): (usize, &Option<Template>)| Some((template.as_ref()?.id, place));
        self.places = self.templates.iter().enumerate().filter_map(placed).collect();
    }

    /// The template that this one has become part of by now; itself where it has not. One that was forgotten is part of the rest.
    #[must_use]
    pub fn resolve(&self, id: TemplateId) -> TemplateId {
        let mut id = id;
        while let Some(into) = self.merged.get(&id) {
            id = *into;
        }
        if self.places.contains_key(&id) { id } else { TemplateId::REST }
    }

    /// Grows whenever templates became part of others, or were given up: whoever keeps something by their names resolves them anew then.
    #[must_use]
    pub const fn merges(&self) -> u64 {
        self.merges
    }

    /// What a name stands for by now.
    #[must_use]
    pub fn template(&self, id: TemplateId) -> &Template {
        let place = self.places.get(&self.resolve(id));
        place.and_then(|place| self.templates[*place].as_ref()).unwrap_or(&self.rest)
    }

    /// All templates in the order of their names. The rest comes first, if it stands for anything.
    #[must_use]
    pub fn templates(&self) -> Vec<&Template> {
        let rest = Some(&self.rest).filter(|rest| rest.count > 0);
        let mut all: Vec<&Template> = self.templates.iter().flatten().chain(rest).collect();
        all.sort_unstable_by_key(|template| template.id);
        all
    }

    /// What it knows, to be kept.
    #[must_use]
    pub fn state(&self) -> State {
        let mut templates: Vec<&Template> = self.templates.iter().flatten().collect();
        templates.sort_unstable_by_key(|template| template.id);
        State {
            next: self.next,
            rest: self.rest.count,
            templates: templates.into_iter().map(Kept::of).collect(),
            merged: self.merged.iter().map(|(from, into)| (from.0, into.0)).collect(),
        }
    }

    /// One that knows what another one knew. Whatever does not fit into the settings is counted with the rest.
    #[must_use]
    pub fn restore(settings: Settings, state: &State) -> Self {
        let mut miner = Self::new(settings);
        miner.rest.count = state.rest;
        // A chain that does not lead to older templates would have no end.
        let older = state.merged.iter().filter(|(from, into)| into < from);
        miner.merged = older.map(|(from, into)| (TemplateId(*from), TemplateId(*into))).collect();
        for kept in &state.templates {
            let room = miner.places.len() < miner.settings.templates;
            match kept.template(&miner.settings).filter(|template| room && !miner.places.contains_key(&template.id)) {
                Some(template) => {
                    miner.next = miner.next.max(template.id.0.saturating_add(1));
                    miner.merged.remove(&template.id);
                    miner.put(template);
                }
                None => miner.rest.count += kept.count(),
            }
        }
        miner.next = miner.next.max(state.next);
        miner
    }
}

#[cfg(test)]
mod tests;
