//! Values of `environment` that name each other. Promise: the order in which they stand does not matter, and a circle is an error
//! that names its chain. Never: looks for variables in what a variable contains.

use std::collections::{BTreeMap, BTreeSet};

use super::{interpolate::names, problems::Place, reader::Reader};

/// What gives a variable its value.
#[derive(Debug)]
pub(crate) enum Given<'n> {
    /// A text with variables in it.
    Written(&'n str),
    /// A text whose variables are filled in.
    Filled(String),
    /// The surroundings.
    Inherited,
}

/// An entry of `environment`.
#[derive(Debug)]
pub(crate) struct Entry<'n> {
    /// The variable.
    pub(crate) name: String,
    /// Where its name stands.
    pub(crate) at: Place,
    /// What it is called in messages, and where its value stands.
    pub(crate) value_at: (String, Place),
    /// Its value.
    pub(crate) given: Given<'n>,
}

impl Entry<'_> {
    /// The variables that its value names; its own name means what it has outside.
    fn needs(&self) -> BTreeSet<&str> {
        let mut needs = match &self.given {
            Given::Written(text) => names(text),
            Given::Filled(_) | Given::Inherited => BTreeSet::new(),
        };
        needs.remove(&*self.name);
        needs
    }
}

/// The entries, each after those that it names, and the names of those that are part of a circle, which is reported. The last
/// entry of a name is the one that counts.
pub(crate) fn in_order<'n>(reader: &mut Reader<'_>, entries: Vec<Entry<'n>>) -> (Vec<Entry<'n>>, Vec<String>) {
    let last: BTreeMap<String, usize> =
        entries.iter().enumerate().map(|(index, entry)| (entry.name.clone(), index)).collect();
    let mut waiting: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    let mut awaited: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for index in last.values().copied() {
        let Some(entry) = entries.get(index) else { continue };
        let needs: BTreeSet<usize> = entry.needs().into_iter().filter_map(|name| last.get(name).copied()).collect();
        for need in &needs {
            awaited.entry(*need).or_default().push(index);
        }
        waiting.insert(index, needs);
    }
    let mut ready: BTreeSet<usize> =
        waiting.iter().filter(|(_, needs)| needs.is_empty()).map(|(index, _)| *index).collect();
    let (mut order, mut circular) = (Vec::new(), Vec::new());
    loop {
        let known = match ready.pop_first() {
            Some(index) => {
                waiting.remove(&index);
                order.push(index);
                vec![index]
            }
            None if waiting.is_empty() => break,
            None => {
                let circle = circle(&waiting);
                report(reader, &circle, &entries);
                for index in &circle {
                    waiting.remove(index);
                }
                circular.extend(circle.iter().filter_map(|index| Some(entries.get(*index)?.name.clone())));
                circle
            }
        };
        for index in known {
            for waiter in awaited.remove(&index).unwrap_or_default() {
                let Some(needs) = waiting.get_mut(&waiter) else { continue };
                needs.remove(&index);
                if needs.is_empty() {
                    ready.insert(waiter);
                }
            }
        }
    }
    let mut entries: Vec<Option<Entry<'n>>> = entries.into_iter().map(Some).collect();
    let ordered = order.into_iter().filter_map(|index| entries.get_mut(index)?.take()).collect();
    (ordered, circular)
}

/// A circle among entries that all wait for another one of them, from its first one on.
fn circle(waiting: &BTreeMap<usize, BTreeSet<usize>>) -> Vec<usize> {
    let (mut path, mut places) = (Vec::new(), BTreeMap::new());
    let mut next = waiting.keys().next().copied();
    while let Some(index) = next {
        if let Some(place) = places.insert(index, path.len()) {
            let mut circle = path.split_off(place);
            let first = circle.iter().enumerate().min_by_key(|(_, index)| **index).map_or(0, |(place, _)| place);
            circle.rotate_left(first);
            return circle;
        }
        path.push(index);
        next = waiting.get(&index).and_then(BTreeSet::first).copied();
    }
    path
}

fn report(reader: &mut Reader<'_>, circle: &[usize], entries: &[Entry<'_>]) {
    let entries: Vec<_> = circle.iter().filter_map(|index| entries.get(*index)).collect();
    let Some(first) = entries.first() else { return };
    let chain: Vec<_> = entries.iter().chain([first]).map(|entry| &*entry.name).collect();
    reader.error(
        first.value_at.1,
        format!("environment: variables that are made of each other: {}", chain.join(" → ")),
        "give one of them a value that names none of the others",
    );
}
