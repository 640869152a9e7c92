//! Everything that reads a file which somebody else wrote: the importers, the project file, `.env`, interpolation, detection.
//!
//! The first byte of the input says which one; the environment variable `CAS_FUZZ` names one for all inputs (`make fuzz ONLY=compose`).
//! What follows is the file, and after each NUL another one that it may name. Whatever comes in: no panic, no hang, and the same input gives
//! the same answer.
#![no_main]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use cas::config::{
    self,
    detect::{Limits, detect},
    import::{self, Files, Imported, Material, Unread},
};
use libfuzzer_sys::fuzz_target;

/// Files in memory.
struct Shelf(BTreeMap<PathBuf, String>);

impl Files for Shelf {
    fn read(&self, file: &Path) -> Result<String, Unread> {
        self.0.get(file).cloned().ok_or(Unread::Absent)
    }
    fn exists(&self, path: &Path) -> bool {
        self.0.keys().any(|file| file.starts_with(path))
    }
    fn list(&self, directory: &Path) -> Vec<String> {
        let below = self.0.keys().filter(|file| file.parent() == Some(directory));
        below.filter_map(|file| Some(file.file_name()?.to_str()?.to_owned())).collect()
    }
}

type Import = fn(&Material<'_>) -> Imported;

/// Name, the file that is read, the files that it may name, and who reads it.
const IMPORTERS: [(&str, &str, &[&str], Import); 11] = [
    ("compose", "compose.yaml", &["compose.override.yaml", ".env", "other.yaml"], import::compose::import),
    ("devbox", "devbox.json", &["process-compose.yaml", ".env"], import::devbox::import),
    ("devcontainer", "devcontainer.json", &["compose.yaml", ".env"], import::devcontainer::import),
    ("mprocs", "mprocs.yaml", &["package.json"], import::mprocs::import),
    ("tiltfile", "Tiltfile", &[], import::noted::import),
    ("skaffold", "skaffold.yaml", &[], import::noted::import),
    ("pm2", "ecosystem.config.js", &[], import::pm2::import),
    ("process-compose", "process-compose.yaml", &["process-compose.override.yaml", ".env", "other.yaml"], import::process_compose::import),
    ("procfile", "Procfile", &[".env"], import::procfile::import),
    ("supervisord", "supervisord.conf", &["other.conf"], import::supervisord::import),
    ("systemd", "app.service", &["app.env", "app.service.d/10.conf"], import::systemd::import),
];

/// Those that want real files, and the files.
const ON_DISK: [(&str, &[&str]); 3] = [
    ("project", &["cas.yaml", ".env", "other.env"]),
    ("translate", &["compose.yaml", ".env"]),
    (
        "detect",
        &["package.json", ".env.example", "main.py", "Cargo.toml", "Makefile", "main.go", "go.mod", "pyproject.toml", ".flaskenv"],
    ),
];

static ONLY: LazyLock<Option<usize>> = LazyLock::new(|| {
    let wanted = std::env::var("CAS_FUZZ").ok()?;
    let names = IMPORTERS.iter().map(|(name, ..)| *name).chain(ON_DISK.iter().map(|(name, _)| *name));
    let known: Vec<&str> = names.collect();
    let at = known.iter().position(|name| *name == wanted);
    assert!(at.is_some(), "CAS_FUZZ={wanted} is none of {}", known.join(", "));
    at
});

static ENVIRONMENT: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let of = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    [("HOME", "/home/ada"), ("PATH", "/usr/bin:/bin"), ("PORT", "3000"), ("EMPTY", "")].map(of).into_iter().collect()
});

/// A directory in memory, where there is one.
static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let base = if Path::new("/dev/shm").is_dir() { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
    let directory = base.join(format!("cas-fuzz-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory for files");
    directory
});

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let which = ONLY.unwrap_or(usize::from(*first)) % (IMPORTERS.len() + ON_DISK.len());
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let mut parts = text.split('\0');
    let first = parts.next().unwrap_or_default();
    if let Some((_, name, others, read)) = IMPORTERS.get(which) {
        let file = Path::new("/p").join(name);
        let mut shelf = Shelf(BTreeMap::from([(file.clone(), first.to_owned())]));
        shelf.0.extend(others.iter().zip(parts).map(|(name, text)| (Path::new("/p").join(name), text.to_owned())));
        let material = Material { file: &file, text: first, environment: &ENVIRONMENT, files: &shelf };
        let imported = read(&material);
        assert_eq!(imported, read(&material), "the same material gives the same answer");
        return;
    }
    let (kind, names) = ON_DISK[which - IMPORTERS.len()];
    for (name, text) in names.iter().zip(std::iter::once(first).chain(parts).map(Some).chain(std::iter::repeat(None))) {
        let file = DIRECTORY.join(name);
        match text {
            Some(text) => fs::write(&file, text).expect("a file in memory"),
            None => drop(fs::remove_file(&file)),
        }
    }
    match kind {
        "project" => drop(config::load(&DIRECTORY.join("cas.yaml"), None, &ENVIRONMENT)),
        "translate" => {
            let Ok(translation) = config::translate(&DIRECTORY.join("compose.yaml"), &ENVIRONMENT) else { return };
            let file = DIRECTORY.join("cas.yaml");
            fs::write(&file, translation.cas_yaml).expect("a file in memory");
            drop(config::load(&file, None, &ENVIRONMENT));
        }
        _ => drop(detect(&DIRECTORY, &Limits::default())),
    }
    for name in ["cas.yaml", "compose.yaml", "package.json"] {
        drop(fs::remove_file(DIRECTORY.join(name)));
    }
});
