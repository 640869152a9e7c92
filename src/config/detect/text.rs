//! A text that knows its places, and ports as commands and settings say them.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use regex::Regex;

use super::{super::import::Told, walk::Tree};
use crate::model::service::Source;

/// A file's text.
#[derive(Clone)]
pub(super) struct Text {
    file: Arc<PathBuf>,
    text: Arc<str>,
}

impl Text {
    pub(super) fn new(file: &Path, text: &str) -> Self {
        Self { file: Arc::new(file.to_owned()), text: Arc::from(text) }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The place of a byte.
    pub(super) fn at(&self, offset: usize) -> Source {
        let before = self.text.get(..offset).unwrap_or("");
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Source {
            file: self.file.as_ref().clone(),
            line: count(before.matches('\n').count() + 1),
            column: count(before[start..].chars().count() + 1),
        }
    }

    /// The place of the first match, else the beginning.
    pub(super) fn place_of(&self, needle: &str) -> Source {
        self.at(self.text.find(needle).unwrap_or(0))
    }

    /// The place of a key of JSON, after another key where one is named.
    pub(super) fn place_of_key(&self, after: &str, key: &str) -> Source {
        let quoted = |word: &str| serde_json::Value::from(word).to_string();
        let start = if after.is_empty() { 0 } else { self.text.find(&quoted(after)).unwrap_or(0) };
        let offset = self.text[start..].find(&quoted(key)).map_or(start, |at| start + at);
        self.at(offset)
    }

    /// The first group of the first match.
    pub(super) fn capture(&self, pattern: &Regex) -> Option<Told<String>> {
        let found = pattern.captures(&self.text)?;
        let group = found.get(1).or_else(|| found.get(0))?;
        Some(Told { value: group.as_str().to_owned(), source: self.at(group.start()) })
    }
}

/// Proof for `LazyLock`s of constant patterns: the test `all_patterns_compile` looks at each.
pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern, compiled by a test")
}

static FLAG: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:--port[= ]|--http-port[= ]|\s-p[= ]?|^PORT=|\sPORT=|-b \S+:|--bind[= ]\S+:|--addr[= ]\S*:|runserver (?:\S+:)?|artisan serve --port[= ])(\d{2,5})\b",
    )
});
static DOT_ENV: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?m)^(?:export\s+)?PORT\s*=\s*["']?(\d{2,5})["']?\s*(?:#.*)?$"#));
static VITE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?s)\bserver\s*:\s*\{[^{}]*?\bport\s*:\s*(\d{2,5})\b"));

/// The port that a command names.
pub(super) fn port_of_command(command: &str) -> Option<u16> {
    FLAG.captures(command)?.get(1)?.as_str().parse().ok()
}

/// `PORT=` of the `.env` files beside a service.
pub(super) fn port_of_env(tree: &Tree, directory: &Path) -> Option<Told<u16>> {
    [".env", ".env.local", ".env.development", ".env.example", ".env.sample"].iter().find_map(|name| {
        let found = tree.read(&directory.join(name))?.capture(&DOT_ENV)?;
        Some(Told { value: found.value.parse().ok()?, source: found.source })
    })
}

/// `server: { port: N }` of a Vite (or Astro, Nuxt) configuration.
pub(super) fn port_of_config(tree: &Tree, directory: &Path) -> Option<Told<u16>> {
    let is_one =
        |name: &&String| ["vite.config.", "astro.config.", "nuxt.config."].iter().any(|start| name.starts_with(start));
    let name = tree.names(directory).iter().find(is_one)?;
    let found = tree.read(&directory.join(name))?.capture(&VITE)?;
    Some(Told { value: found.value.parse().ok()?, source: found.source })
}

/// Where databases, brokers and caches listen: code that names such a port calls them.
const OF_OTHERS: [u16; 12] = [25, 1025, 1433, 3306, 4222, 5432, 5672, 6379, 9092, 9200, 11211, 27017];

/// The port that code gives as its own default: `process.env.PORT || 3000`, `app.listen(3000)`, `":8080"`.
pub(super) fn port_of_code(text: &Text, pattern: &Regex) -> Option<Told<u16>> {
    pattern.captures_iter(text.as_str()).find_map(|found| {
        let group = found.get(1)?;
        let value = group.as_str().parse().ok().filter(|port| !OF_OTHERS.contains(port))?;
        Some(Told { value, source: text.at(group.start()) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_from_commands_cautiously() {
        for (command, port) in [
            ("next dev -p 3001", Some(3001)),
            ("vite --port=5180", Some(5180)),
            ("PORT=4000 node x", Some(4000)),
            ("gunicorn -b 0.0.0.0:8001 app", Some(8001)),
            ("python manage.py runserver 0.0.0.0:8002", Some(8002)),
            ("node x", None),
            ("vite --port 99999", None),
        ] {
            assert_eq!(port_of_command(command), port, "{command}");
        }
    }
}
