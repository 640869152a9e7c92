//! `${NAME}` in values of `environment`: also the service's other variables, and what cas knows of the service. Promise: whichever order they
//! stand in, each is filled in before it is used; a circle is an error that prints it. Never: looks at what a variable contains again.

use std::{cell::RefCell, collections::BTreeMap};

use super::{
    interpolate::{Expansion, expand},
    problems::Place,
    reader::Reader,
    settings::Settings,
};
use crate::model::secret::SecretSource;

/// So many variables may stand in one another.
const DEEPEST: usize = 64;

/// A value with variables that are not filled in yet.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    /// As it is written.
    pub(crate) text: String,
    /// Where.
    pub(crate) at: Place,
}

/// Fills in what the settings of a service have of templates, those of `defaults` among them. `service` is its name.
pub(crate) fn fill(reader: &mut Reader<'_>, service: &str, settings: Settings) -> Settings {
    if settings.templates.is_empty() {
        return settings;
    }
    let Settings { mut environment, templates, secrets, .. } = settings;
    let project = reader.project.as_ref().map(ToString::to_string).unwrap_or_default();
    let filling = Filling {
        own: [
            ("CAS_SERVICE", format!("{project}/{service}")),
            ("CAS_PROJECT", project),
            ("CAS_ROOT", reader.root.to_string_lossy().into_owned()),
        ],
        surroundings: reader.environment,
        plain: &environment,
        templates: &templates,
        secrets: &secrets,
        dot_env: &reader.dot_env,
        chain: RefCell::default(),
        filled: RefCell::default(),
        faults: RefCell::default(),
    };
    for name in templates.keys() {
        filling.value(name);
    }
    let Filling { filled, faults, .. } = filling;
    for (at, message, hint) in faults.into_inner() {
        reader.error(at, message, hint);
    }
    for (name, expansion) in filled.into_inner() {
        let Some(template) = templates.get(&name) else { continue };
        match reader.reported(&name, template.at, expansion) {
            Some(value) => environment.insert(name, value),
            None => environment.remove(&name),
        };
    }
    Settings { environment, templates: BTreeMap::new(), secrets, ..settings }
}

struct Filling<'f> {
    /// What cas says, whatever the surroundings say: they may be those of another service.
    own: [(&'static str, String); 3],
    surroundings: &'f BTreeMap<String, String>,
    /// Without templates; also what such a one stands over.
    plain: &'f BTreeMap<String, String>,
    templates: &'f BTreeMap<String, Template>,
    secrets: &'f BTreeMap<String, SecretSource>,
    dot_env: &'f BTreeMap<String, String>,
    /// What is being filled in, each needed by the one before.
    chain: RefCell<Vec<String>>,
    filled: RefCell<BTreeMap<String, Expansion>>,
    faults: RefCell<Vec<(Place, String, &'static str)>>,
}

impl Filling<'_> {
    /// The value of a template, filled in where it was not yet.
    fn value(&self, name: &str) -> String {
        if let Some(filled) = self.filled.borrow().get(name) {
            return filled.text.clone();
        }
        let Some(template) = self.templates.get(name) else { return String::new() };
        self.chain.borrow_mut().push(name.to_owned());
        let expansion = expand(&template.text, &|wanted| self.find(name, wanted));
        self.chain.borrow_mut().pop();
        let text = expansion.text.clone();
        self.filled.borrow_mut().insert(name.to_owned(), expansion);
        text
    }

    /// What `wanted` is in the value of `name`.
    fn find(&self, name: &str, wanted: &str) -> Option<String> {
        if let Some((_, value)) = self.own.iter().find(|(own, _)| *own == wanted) {
            return Some(value.clone());
        }
        if let Some(value) = self.surroundings.get(wanted) {
            return Some(value.clone());
        }
        // One that names itself means what it stands over.
        if wanted != name && self.templates.contains_key(wanted) {
            return Some(self.other(wanted));
        }
        if let Some(value) = self.plain.get(wanted) {
            return Some(value.clone());
        }
        if self.secrets.contains_key(wanted) {
            let message = format!("the variable {name} cannot have the secret {wanted} in it");
            self.fault(name, message, "it is known at a start only: let the service put it together");
            return Some(String::new());
        }
        self.dot_env.get(wanted).cloned()
    }

    fn other(&self, wanted: &str) -> String {
        let (begins, depth) = {
            let chain = self.chain.borrow();
            (chain.iter().position(|name| name == wanted), chain.len())
        };
        if let Some(begins) = begins {
            let circle = self.chain.borrow()[begins..].join(" → ");
            let message = format!("environment: the variables go in a circle: {circle} → {wanted}");
            self.fault(wanted, message, "give one of them a value that needs none of the others");
            return String::new();
        }
        if depth >= DEEPEST {
            let message = format!("environment: variables stand more than {DEEPEST} deep in one another");
            self.fault(wanted, message, "write some of the values out");
            return String::new();
        }
        self.value(wanted)
    }

    fn fault(&self, name: &str, message: String, hint: &'static str) {
        let at = self.templates.get(name).map_or(Place::START, |template| template.at);
        self.faults.borrow_mut().push((at, message, hint));
    }
}
