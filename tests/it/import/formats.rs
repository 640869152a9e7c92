//! Formats other than compose: whole files with reviewed expectations, tables, sentences, and hostile bytes.

mod corpus;
mod hostile;
mod tables;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use cas::config::import::{
    Files, Imported, Material, Unread, devbox, mprocs, noted, pm2, process_compose, procfile, supervisord, systemd,
};

type Import = fn(&Material<'_>) -> Imported;

/// Directory of its corpus, a usual name, its importer.
const FORMATS: &[(&str, &str, Import)] = &[
    ("process-compose", "process-compose.yaml", process_compose::import),
    ("procfile", "Procfile", procfile::import),
    ("mprocs", "mprocs.yaml", mprocs::import),
    ("pm2", "ecosystem.config.js", pm2::import),
    ("supervisord", "supervisord.conf", supervisord::import),
    ("systemd", "app.service", systemd::import),
    ("devbox", "devbox.json", devbox::import),
    ("noted", "Tiltfile", noted::import),
];

/// Files that are texts of a test.
struct Texts(BTreeMap<PathBuf, String>);

impl Files for Texts {
    fn read(&self, file: &Path) -> Result<String, Unread> {
        self.0.get(file).cloned().ok_or(Unread::Absent)
    }
    fn exists(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }
    fn list(&self, directory: &Path) -> Vec<String> {
        let beside = self.0.keys().filter(|file| file.parent() == Some(directory));
        beside.filter_map(|file| Some(file.file_name()?.to_string_lossy().into_owned())).collect()
    }
}

/// What every test's environment has.
fn environment() -> BTreeMap<String, String> {
    [("HOME", "/home/ada"), ("USER", "ada"), ("PATH", "/usr/bin")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// A file `/shop/NAME` and those beside it, translated.
fn imported(import: Import, name: &str, text: &str, beside: &[(&str, &str)]) -> Imported {
    let file = Path::new("/shop").join(name);
    let texts = beside.iter().map(|(name, text)| (Path::new("/shop").join(name), (*text).to_owned())).collect();
    import(&Material { file: &file, text, environment: &environment(), files: &Texts(texts) })
}

/// The same, as text.
fn shown(import: Import, name: &str, text: &str, beside: &[(&str, &str)]) -> String {
    super::render_formats::rendered(&imported(import, name, text, beside), Path::new("/shop"))
}
