//! Writes one value into a file. Promise: the file is the old one or the new one, whole; the new one can be taken, and differs in that
//! value alone. Never: writes where somebody else has written meanwhile.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::{
    Done, Layers, Refused, Scope,
    keys::{self, Key},
};
use crate::config::{
    FileKind, Sentence,
    edit_yaml::{self, Value},
    project, tree, user,
};

impl Layers<'_> {
    /// Writes the value of a key.
    ///
    /// # Errors
    /// What is wrong with key or value, why it cannot be done safely, or what the file would not be taken for. Nothing is written then.
    pub fn set(&self, key: &str, value: &str, scope: &Scope) -> Result<Done, Refused> {
        self.change(key, scope, Some(value))
    }

    /// Takes a key out of a file.
    ///
    /// # Errors
    /// As for `set`.
    pub fn unset(&self, key: &str, scope: &Scope) -> Result<Done, Refused> {
        self.change(key, scope, None)
    }

    fn change(&self, key: &str, scope: &Scope, value: Option<&str>) -> Result<Done, Refused> {
        let key = keys::resolve(key, scope, &self.services())?;
        let file = self.file_of(&key.scope)?;
        let before = read(&file)?;
        let text = before.clone().unwrap_or_default();
        let place = self.place(&key, &text)?;
        let place: Vec<&str> = place.iter().map(String::as_str).collect();
        let name = key.full_name();
        let refuse = |why: String| {
            let hint = "\"cas config edit\" opens the file";
            Refused::Sentence(Sentence(format!("{}: {why}: nothing was written\nhint: {hint}", file.display())))
        };
        let after = match value {
            Some(value) => {
                let value = value.trim();
                if value.is_empty() {
                    let hint = format!("\"cas config unset {name}\" takes the key out");
                    return Err(Sentence(format!("{name}: an empty value means nothing\nhint: {hint}")).into());
                }
                Some(edit_yaml::set(&text, &place, written(&key, value)).map_err(refuse)?)
            }
            None => edit_yaml::unset(&text, &place).map_err(refuse)?,
        };
        let Some(after) = after.filter(|after| *after != text) else {
            return Ok(Done { file, name, changed: false, line: 0 });
        };
        self.check(&key, &file, &place, &after)?;
        replace(&file, before.as_deref(), &after)?;
        let line = tree::parse(&after).root.and_then(|root| line_of(&root, &place)).unwrap_or(0);
        Ok(Done { file, name, changed: true, line })
    }

    fn file_of(&self, scope: &Scope) -> Result<PathBuf, Refused> {
        if *scope == Scope::User {
            return Ok(self.user_file.clone());
        }
        let Some(file) = &self.project_file else {
            let hint = "\"cas init\" writes a cas.yaml here, -f PATH names another one";
            return Err(Sentence(format!("there is no project here that it could be written to\nhint: {hint}")).into());
        };
        if self.kind == Some(FileKind::CasYaml) {
            return Ok(file.clone());
        }
        let shown = file.display();
        let hint = format!("\"cas import --write {shown}\" makes a cas.yaml of it, which wins over it from then on");
        Err(Sentence(format!("{shown} is the file of another tool, and cas never writes into one\nhint: {hint}"))
            .into())
    }

    /// Where the key stands, or shall stand.
    fn place(&self, key: &Key, text: &str) -> Result<Vec<String>, Refused> {
        let lead: Vec<String> = match &key.scope {
            Scope::User => Vec::new(),
            Scope::Project => vec!["defaults".to_owned()],
            Scope::Service(name) => {
                let services = self.services();
                if !services.contains(name) {
                    let known: Vec<&str> = services.iter().map(String::as_str).collect();
                    let hint = crate::config::nearest::did_you_mean(name, &known);
                    return Err(Sentence(format!("there is no service \"{name}\"\nhint: {hint}")).into());
                }
                vec!["services".to_owned(), name.clone()]
            }
        };
        let whole = |place: &Vec<String>| lead.iter().chain(place).cloned().collect::<Vec<_>>();
        let is_there = |place: &Vec<String>| {
            let words: Vec<&str> = place.iter().map(String::as_str).collect();
            edit_yaml::has(text, &words)
        };
        let mut places = key.places.iter().map(whole);
        let there = places.clone().find(is_there);
        there.or_else(|| places.next()).ok_or_else(|| Sentence(format!("{}: no place for it", key.name)).into())
    }

    /// Whether the new text would be taken. Problems of the value itself have no place: it is in no file yet.
    fn check(&self, key: &Key, file: &Path, place: &[&str], after: &str) -> Result<(), Refused> {
        let mut errors = match &key.scope {
            Scope::User => {
                let loaded = user::load_text(file, after);
                let mut errors = loaded.errors;
                if errors.is_empty() {
                    errors = (self.judge)(&loaded.config);
                }
                errors
            }
            Scope::Project | Scope::Service(_) => project::load_text(file, after, &self.environment).errors,
        };
        if errors.is_empty() {
            return Ok(());
        }
        let root = tree::parse(after).root;
        let line = root.and_then(|root| line_of(&root, place));
        for error in &mut errors {
            if error.source.as_ref().is_some_and(|at| at.file == file && Some(at.line) == line) {
                error.source = None;
            }
        }
        Err(Refused::Problems { file: file.to_owned(), problems: errors })
    }
}

/// A list is one where the key takes lists.
fn written<'v>(key: &Key, value: &'v str) -> Value<'v> {
    let is_flow = || {
        let tree = tree::parse(&format!("key: {value}\n"));
        let root = tree.root.filter(|_| tree.faults.is_empty() && !value.contains(['\n', '#']));
        root.is_some_and(|root| match &root.shape {
            tree::Shape::Map(entries) => matches!(
                entries.as_slice(),
                [(_, node)] if matches!(node.shape, tree::Shape::List(_) | tree::Shape::Map(_))
            ),
            tree::Shape::Scalar { .. } | tree::Shape::List(_) => false,
        })
    };
    if key.takes_list && value.starts_with(['[', '{']) && is_flow() { Value::Flow(value) } else { Value::Text(value) }
}

fn line_of(root: &tree::Node, place: &[&str]) -> Option<u32> {
    let Some((word, rest)) = place.split_first() else { return Some(root.at.line) };
    let tree::Shape::Map(entries) = &root.shape else { return None };
    let (_, below) = entries.iter().find(|(key, _)| &*key.text == *word)?;
    line_of(below, rest)
}

fn read(file: &Path) -> Result<Option<String>, Sentence> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Sentence(format!("{} cannot be read: {error}", file.display()))),
    }
}

/// Puts `after` in the place of `before`.
fn replace(file: &Path, before: Option<&str>, after: &str) -> Result<(), Sentence> {
    // A link is followed: the file that it names is replaced, not the link.
    let target = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let failed = |error: io::Error| Sentence(format!("{} cannot be written: {error}", target.display()));
    let directory = target.parent().unwrap_or(Path::new("/"));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let beside = directory.join(format!(".{name}.{}.new", std::process::id()));
    let written = write_beside(&target, &beside, after).and_then(|()| {
        if read(&target).ok().flatten().as_deref() != before {
            return Err(io::Error::other("somebody else has changed it just now; try again"));
        }
        fs::rename(&beside, &target)?;
        fs::File::open(directory)?.sync_all()
    });
    written.map_err(|error| {
        // It may be that there is none.
        let _absent = fs::remove_file(&beside);
        failed(error)
    })
}

fn write_beside(target: &Path, beside: &Path, text: &str) -> io::Result<()> {
    let like = fs::metadata(target).ok();
    let mode = like.as_ref().map_or(0o600, |like| like.mode() & 0o7777);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
    if let Some(like) = &like
        && file.metadata().is_ok_and(|own| (own.uid(), own.gid()) != (like.uid(), like.gid()))
    {
        // Only root may give a file away; for anybody else it becomes their own, as an editor's would.
        let _mine = std::os::unix::fs::fchown(&file, Some(like.uid()), Some(like.gid()));
    }
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
