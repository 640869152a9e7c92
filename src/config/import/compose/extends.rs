//! `extends`: a service that begins as another one, of the same file or of another. Promise: a cycle is told, printed, and ends.

use std::{path::PathBuf, rc::Rc, sync::Arc};

use super::{
    item::{Form, Item, resolved},
    load::{DEEPEST, Loader, Unit},
    merge::merged,
};

/// Where a chain of `extends` has come: a file and a service.
type Link = (PathBuf, Arc<str>);

impl Loader<'_> {
    /// The root of a file, in which no service extends another one any more.
    pub(super) fn services(&mut self, unit: &Rc<Unit>) -> Arc<Item> {
        let root = &unit.root;
        let Some((_, services)) = root.find("services") else { return Arc::clone(root) };
        if !services.entries().iter().any(|(_, service)| service.find("extends").is_some()) {
            return Arc::clone(root);
        }
        let entries = services
            .entries()
            .iter()
            .filter_map(|(name, _)| Some((name.clone(), self.service(unit, &name.text, &mut Vec::new())?)))
            .collect();
        let services = Arc::new(services.with(Form::Map(entries)));
        let entries = root.entries().iter().map(|(name, item)| {
            let item = if &*name.text == "services" { &services } else { item };
            (name.clone(), Arc::clone(item))
        });
        Arc::new(root.with(Form::Map(entries.collect())))
    }

    /// A service of a file with all that it extends; none after an error.
    fn service(&mut self, unit: &Rc<Unit>, name: &Arc<str>, chain: &mut Vec<Link>) -> Option<Arc<Item>> {
        let service = Arc::clone(unit.root.get("services")?.find(name)?.1);
        let Some((_, extends)) = service.find("extends") else { return Some(service) };
        let key = (unit.root.origin.file.clone(), unit.root.origin.base.clone(), Arc::clone(name));
        if let Some(known) = self.extended.get(&key) {
            return known.clone();
        }
        let link = (key.0.clone(), Arc::clone(name));
        if let Some(from) = chain.iter().position(|known| *known == link) {
            let links = chain[from..].iter().chain([&link]);
            let names: Vec<_> = links.map(|(file, name)| shown(file, name, chain)).collect();
            let message = format!("extends: a cycle: {}", names.join(" -> "));
            self.notes.error(extends.source(), message, "remove one of these extends");
            return None;
        }
        if chain.len() >= DEEPEST {
            let message = format!("extends: more than {DEEPEST} services in a row");
            self.notes.error(extends.source(), message, "extend a service that is nearer");
            return None;
        }
        chain.push(link);
        let base = self.base(unit, extends, chain);
        chain.pop();
        let whole = base.and_then(|base| {
            let own = service.entries().iter().filter(|(name, _)| &*name.text != "extends").cloned().collect();
            let own = Arc::new(service.with(Form::Map(own)));
            merged(&mut self.notes, &["services", name], &base, &own)
        });
        self.extended.insert(key, whole.clone());
        whole
    }

    fn base(&mut self, unit: &Rc<Unit>, extends: &Item, chain: &mut Vec<Link>) -> Option<Arc<Item>> {
        let (service, file) = match &extends.form {
            Form::Text(text) => (Arc::clone(text), None),
            Form::Map(_) => (extends.get("service")?.as_text()?.into(), extends.get("file")),
            Form::Null | Form::List(_) => {
                let message = format!("extends: found {}, not a service", extends.describe());
                self.notes.error(extends.source(), message, "write extends: {file: other.yaml, service: name}");
                return None;
            }
        };
        let other = match file.and_then(|file| Some((file, file.as_text()?))) {
            None => Rc::clone(unit),
            Some((item, text)) if text.contains("://") => {
                let message = format!("extends.file: {text} is not carried over: it is not on this machine");
                self.notes.lost_because(item.source(), message);
                return None;
            }
            Some((item, text)) => {
                let path = resolved(text, &item.origin.base, self.home.as_deref());
                if path == unit.root.origin.file {
                    Rc::clone(unit)
                } else {
                    let base = path.parent()?.to_owned();
                    self.unit(&path, &base, &unit.environment, Some(("extends.file", item)))?
                }
            }
        };
        if other.root.get("services").is_none_or(|services| services.find(&service).is_none()) {
            let place = extends.get("service").map_or_else(|| extends.source(), |item| item.source());
            let message = format!("extends: there is no service \"{service}\" in {}", other.root.origin.file.display());
            self.notes.error(place, message, "write the name of a service of that file");
            return None;
        }
        self.service(&other, &service, chain)
    }
}

/// A service of a chain; with its file where the chain goes through several.
fn shown(file: &PathBuf, name: &str, chain: &[Link]) -> String {
    if chain.iter().all(|(other, _)| other == file) { name.to_owned() } else { format!("{name} ({})", file.display()) }
}
