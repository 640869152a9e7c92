//! Which key does what: the defaults are `assets/keymap.toml`, a user's file of the same form goes over them.
//! Problems are reported together, as sentences; a key never has two meanings at the same time.

use std::collections::{BTreeMap, HashMap};

use crossterm::event::KeyEvent;

use super::{
    action::{Action, Layer, Section},
    key::Chord,
};

/// The default keymap, as text.
pub const DEFAULTS: &str = include_str!("../../assets/keymap.toml");

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// What it does.
    pub action: Action,
    /// Keys that do it; none: unbound.
    pub keys: Vec<Chord>,
    /// One or two words for footers.
    pub label: String,
    /// A sentence for the help screen.
    pub help: String,
}

/// All keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keymap {
    bindings: Vec<Binding>,
    lookup: HashMap<(Layer, Chord), Action>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self::read(DEFAULTS, "assets/keymap.toml", None).expect("a test reads the built-in keymap")
    }
}

impl Keymap {
    /// The defaults with `text` over them; `file` is how problems name it.
    ///
    /// # Errors
    /// Every problem as one sentence: unknown section, action or key, and keys that would mean two things.
    pub fn with_overrides(text: &str, file: &str) -> Result<Self, Vec<String>> {
        Self::read(text, file, Some(&Self::default()))
    }

    /// The defaults with the user's own keys over them: names of actions, `section.action` or the action alone where only one
    /// section has it, to names of keys.
    ///
    /// # Errors
    /// As [`Keymap::with_overrides`].
    pub fn with_user_keys(keys: &BTreeMap<String, Vec<String>>, file: &str) -> Result<Self, Vec<String>> {
        let mut table = toml::Table::new();
        let mut problems = Vec::new();
        for (name, chords) in keys {
            let of_name = |action: &&Action| action.name() == name || full(**action) == *name;
            let found: Vec<_> = Action::ALL.iter().filter(of_name).collect();
            let [action] = found[..] else {
                let names = found.iter().map(|action| full(**action)).collect::<Vec<_>>().join(", ");
                problems.push(if found.is_empty() {
                    format!(
                        "{file}: keys.{name}: there is no such action; \"?\" in the console and docs/keys.md list them"
                    )
                } else {
                    format!("{file}: keys.{name}: which one? {names}")
                });
                continue;
            };
            let chords = chords.iter().cloned().map(toml::Value::String).collect();
            let section =
                table.entry(action.section().name()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let Some(section) = section.as_table_mut() {
                section.insert(action.name().to_owned(), toml::Value::Array(chords));
            }
        }
        let read = Self::with_overrides(&table.to_string(), file);
        match read {
            Ok(keymap) if problems.is_empty() => Ok(keymap),
            Ok(_) => Err(problems),
            Err(more) => Err(problems.into_iter().chain(more).collect()),
        }
    }

    fn read(text: &str, file: &str, base: Option<&Self>) -> Result<Self, Vec<String>> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| vec![format!("{file}: {error}")])?;
        let mut problems = Vec::new();
        let mut bindings: HashMap<Action, Binding> =
            base.map(|base| base.bindings.iter().map(|b| (b.action, b.clone())).collect()).unwrap_or_default();
        for (section_name, entries) in &table {
            let Some(section) = Section::ALL.into_iter().find(|section| section.name() == section_name) else {
                let known = Section::ALL.map(Section::name).join(", ");
                problems.push(format!("{file}: \"{section_name}\" is not a section of the keymap: one of {known}"));
                continue;
            };
            let Some(entries) = entries.as_table() else {
                problems.push(format!("{file}: {section_name} must be a table of actions"));
                continue;
            };
            for (name, value) in entries {
                match read_entry(section, name, value, &mut bindings) {
                    Ok(()) => {}
                    Err(problem) => problems.push(format!("{file}: {section_name}.{name}: {problem}")),
                }
            }
        }
        let bindings: Vec<Binding> = Action::ALL.iter().filter_map(|action| bindings.remove(action)).collect();
        let mut lookup = HashMap::new();
        for binding in &bindings {
            for key in &binding.keys {
                let layer = binding.action.section().layer();
                if let Some(other) = lookup.insert((layer, *key), binding.action).filter(|o| *o != binding.action) {
                    problems.push(format!("{file}: {key} is both {} and {}", full(other), full(binding.action)));
                }
            }
        }
        if problems.is_empty() { Ok(Self { bindings, lookup }) } else { Err(problems) }
    }

    /// What `event` does in `layer`.
    #[must_use]
    pub fn action(&self, layer: Layer, event: &KeyEvent) -> Option<Action> {
        self.lookup.get(&(layer, Chord::of(event))).copied()
    }

    /// Every entry, in the order of [`Action::ALL`].
    #[must_use]
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// The entry of `action`.
    #[must_use]
    pub fn binding(&self, action: Action) -> Option<&Binding> {
        self.bindings.iter().find(|binding| binding.action == action)
    }

    /// The first key of `action` in its short form; none where it is unbound.
    #[must_use]
    pub fn key(&self, action: Action) -> Option<String> {
        self.binding(action)?.keys.first().map(|key| key.short())
    }
}

fn full(action: Action) -> String {
    format!("{}.{}", action.section().name(), action.name())
}

fn read_entry(
    section: Section,
    name: &str,
    value: &toml::Value,
    bindings: &mut HashMap<Action, Binding>,
) -> Result<(), String> {
    let action = Action::ALL.iter().copied().find(|action| action.section() == section && action.name() == name);
    let action = action.ok_or_else(|| {
        let known = Action::ALL.iter().filter(|a| a.section() == section).map(|a| a.name()).collect::<Vec<_>>();
        format!("no such action: one of {}", known.join(", "))
    })?;
    let text = |key: &str| value.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let keys = value.as_array().or_else(|| value.get("keys").and_then(toml::Value::as_array));
    let keys = keys.ok_or("must be a list of keys, such as [\"ctrl-r\"], or a table with keys")?;
    let mut chords = Vec::new();
    for key in keys {
        let key = key.as_str().ok_or_else(|| format!("{key} is not the name of a key"))?;
        chords.push(key.parse::<Chord>().map_err(|error| error.to_string())?);
    }
    let old = bindings.get(&action);
    let label = text("label").or_else(|| old.map(|old| old.label.clone())).unwrap_or_else(|| name.to_owned());
    let help = text("help").or_else(|| old.map(|old| old.help.clone())).unwrap_or_default();
    bindings.insert(action, Binding { action, keys: chords, label, help });
    Ok(())
}
