//! From a file to a project. Promise: all problems at once; a project only where there is no error. Never: starts anything.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    FileKind, Loaded, alerts,
    dotenv::Assigned,
    draft::Draft,
    environment::{self, EnvFile, Named},
    find, foreign, graph, honest, layers, log_files,
    logs::PartialLogs,
    nature,
    problems::{Fault, Place},
    procfile,
    reader::{Fields, Reader},
    replicas, schema,
    settings::Settings,
    tree::{self, Shape},
};
use crate::model::{ids::ProjectName, project::ProjectSpec, redact::Redactor, route::AlertPlan};

/// Reads a project file and checks everything that can be checked without running anything.
///
/// `name` overrides the name in the file. `env` is the environment that `${VAR}` and programs are looked up in; what `.env`
/// beside the file says is used where `env` says nothing. Problems carry absolute paths.
#[must_use]
pub fn load(file: &Path, name: Option<ProjectName>, env: &BTreeMap<String, String>) -> Loaded {
    let mut file = absolute(file);
    if FileKind::of(&file) == FileKind::Found
        && let Some(written) = find::own_file(file.parent().unwrap_or(Path::new("/")))
    {
        // A cas.yaml that was written meanwhile says it better.
        file = written;
    }
    let root = file.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
    let mut reader = Reader::new(&file, root, env);
    let kind = FileKind::of(&file);
    if kind != FileKind::CasYaml {
        reader = reader.without_interpolation();
    }
    if kind == FileKind::Found {
        read_dot_env(&mut reader);
        return read_kind(reader, file, kind, name, "");
    }
    let Some(text) = read_file(&mut reader, &file) else { return give(reader, file, None, Vec::new(), Arc::default()) };
    read_dot_env(&mut reader);
    read_kind(reader, file, kind, name, &text)
}

/// The same from a text that is to become the `cas.yaml` that `file` is.
pub(crate) fn load_text(file: &Path, text: &str, env: &BTreeMap<String, String>) -> Loaded {
    let file = absolute(file);
    let root = file.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
    let mut reader = Reader::new(&file, root, env);
    read_dot_env(&mut reader);
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    read_kind(reader, file, FileKind::CasYaml, None, text)
}

fn read_kind(mut reader: Reader<'_>, file: PathBuf, kind: FileKind, name: Option<ProjectName>, text: &str) -> Loaded {
    let outer = layers::around(&mut reader);
    let (level, of_user) = alerts::of_user(&mut reader);
    let mut written = alerts::Written::default();
    let (written_name, mut drafts) = match kind {
        FileKind::CasYaml => read_yaml(&mut reader, text, outer, name.as_ref(), (&of_user, &mut written)),
        FileKind::Procfile => (None, procfile::read(&mut reader, text)),
        FileKind::ProcessCompose | FileKind::Mprocs | FileKind::Pm2 | FileKind::Supervisord | FileKind::Compose => {
            foreign::read(&mut reader, &file, text)
        }
        FileKind::Found => foreign::read_found(&mut reader),
    };
    if kind != FileKind::CasYaml {
        for draft in &mut drafts {
            draft.settings.backoff = draft.settings.backoff.over(outer.environment).over(outer.user);
        }
    }
    nature::settle(&mut reader, &mut drafts);
    log_files::settle(&mut reader, &mut drafts);
    honest::settle(&mut reader, &mut drafts);
    graph::check(&mut reader, &mut drafts);
    let name = name.or(written_name).unwrap_or_else(|| name_of(&reader.root));
    let alerts = Arc::new(written.over(of_user).complete(level));
    give(reader, file, Some(name), drafts, alerts)
}

/// The real directory, the name as it was given.
fn absolute(file: &Path) -> PathBuf {
    let parent = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let parent = parent.canonicalize().or_else(|_| std::path::absolute(parent)).unwrap_or_else(|_| parent.to_owned());
    file.file_name().map_or_else(|| parent.clone(), |name| parent.join(name))
}

fn give(
    reader: Reader<'_>,
    file: PathBuf,
    name: Option<ProjectName>,
    drafts: Vec<Draft>,
    alerts: Arc<AlertPlan>,
) -> Loaded {
    let Reader { root, problems, environment, dot_env, mut secrets, .. } = reader;
    let (mut notes, mut errors) = problems.finish();
    let mut understood: Vec<_> = drafts.iter().map(|draft| draft.understood(&root, &file)).collect();
    let project = name.filter(|_| errors.is_empty()).map(|name| ProjectSpec {
        services: drafts.into_iter().filter_map(|draft| draft.finish(&name, &root, &file)).map(Arc::new).collect(),
        name,
        root,
        file: file.clone(),
        alerts,
    });
    // What was filled in stands in messages, too.
    secrets.learn_environment(environment);
    secrets.learn_environment(&dot_env);
    if let Some(project) = &project {
        secrets.learn(project);
    }
    let redactor = Redactor::of(&secrets);
    for service in &mut understood {
        service.redact(&redactor);
    }
    notes.iter_mut().chain(&mut errors).for_each(|problem| redactor.problem(problem));
    Loaded { file, project, understood, notes, errors }
}

/// The file's text; none after an error.
pub(crate) fn read_file(reader: &mut Reader<'_>, file: &Path) -> Option<String> {
    match environment::read_text(file) {
        Ok(text) => Some(match text.strip_prefix('\u{feff}') {
            Some(text) => text.to_owned(),
            None => text,
        }),
        Err(unreadable) => {
            let message = format!("{} cannot be read: {}", file.display(), unreadable.why);
            let hint = if unreadable.absent { "check the path" } else { "a text file in UTF-8 is needed" };
            match unreadable.at {
                Some(at) => reader.error(at, message, hint),
                None => reader.problems.error_of_file(message, hint.to_owned()),
            }
            None
        }
    }
}

/// Takes what `.env` beside the file says.
pub(crate) fn read_dot_env(reader: &mut Reader<'_>) {
    let path = reader.root.join(".env");
    match environment::load(reader, &path, Named::Nowhere) {
        EnvFile::Read(variables) => {
            for (name, assigned) in variables {
                if let Assigned::Value(value) = assigned {
                    reader.dot_env.insert(name, value);
                }
            }
            // As an env_file of a service it is read anew, now that its own variables are known.
            reader.env_files = HashMap::new();
        }
        EnvFile::Absent => {}
        EnvFile::Unreadable(why) => {
            let fault = Fault::new(Place::START, format!(".env cannot be read: {why}")).hint("it is not used");
            reader.problems.note_in(&path, fault);
        }
    }
}

fn read_yaml(
    reader: &mut Reader<'_>,
    text: &str,
    outer: layers::Outer,
    given: Option<&ProjectName>,
    (of_user, written): (&alerts::Written, &mut alerts::Written),
) -> (Option<ProjectName>, Vec<Draft>) {
    let tree = tree::parse(text);
    let was_cut = tree.root.is_none() && !tree.faults.is_empty();
    tree.faults.into_iter().for_each(|fault| reader.problems.error(fault));
    let root = match tree.root {
        Some(root) if !root.is_null() => root,
        Some(_) | None => {
            if !was_cut {
                no_services(reader, Place::START, "the file is empty");
            }
            return (None, Vec::new());
        }
    };
    let Some(fields) = reader.fields("the file", &root, &schema::PROJECT) else { return (None, Vec::new()) };
    let name = fields.get("name").and_then(|node| {
        let text = reader.text("name", node)?;
        ProjectName::new(&text)
            .map_err(|error| reader.error(node.at, format!("name: {error}"), "such as my-project"))
            .ok()
    });
    reader.project =
        Some(given.or(name.as_ref()).map_or_else(|| name_of(&reader.root).to_string(), ProjectName::to_string));
    if let Some(node) = fields.get("alerts") {
        *written = alerts::Written::read(reader, node, of_user);
    }
    let logs = PartialLogs::read(reader, &fields);
    let defaults = match fields.get("defaults") {
        Some(node) => match reader.fields("defaults", node, &schema::DEFAULTS) {
            Some(fields) => {
                replicas::refuse_in_defaults(reader, &fields);
                Settings::read(reader, &fields, &Settings::default())
            }
            None => Settings::default(),
        },
        None => Settings::default(),
    };
    let backoff = outer.environment.over(defaults.backoff).over(outer.user);
    let defaults = Settings { logs: defaults.logs.over(logs), backoff, ..defaults };
    (name, read_services(reader, &fields, &defaults))
}

fn read_services(reader: &mut Reader<'_>, fields: &Fields<'_>, defaults: &Settings) -> Vec<Draft> {
    let Some((key, node)) = fields.find("services") else {
        if !fields.misspells("services", &schema::PROJECT) {
            no_services(reader, fields.at, "there is no \"services:\"");
        }
        return Vec::new();
    };
    match &node.shape {
        Shape::Map(entries) if !entries.is_empty() => {
            entries.iter().flat_map(|(key, node)| replicas::read(reader, key, node, defaults)).collect()
        }
        Shape::Scalar { .. } if !node.is_null() => {
            reader.wrong_form("services", node, "a map", "write the services below it, each as a name and its keys");
            Vec::new()
        }
        Shape::List(_) => {
            reader.wrong_form("services", node, "a map", "write the services below it, each as a name and its keys");
            Vec::new()
        }
        Shape::Map(_) | Shape::Scalar { .. } => {
            no_services(reader, key.at, "services: there are none");
            Vec::new()
        }
    }
}

fn no_services(reader: &mut Reader<'_>, at: Place, message: &str) {
    reader.error(
        at,
        message,
        "write \"services:\", below it a name, below that \"command: …\"; cas init writes an example",
    );
}

/// The directory's name with what a name cannot hold replaced.
pub(super) fn name_of(root: &Path) -> ProjectName {
    let directory = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let safe: String = directory
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' })
        .collect();
    let safe = safe.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    let safe = &safe[..safe.len().min(63)];
    ProjectName::new(safe)
        .or_else(|_| ProjectName::new("project"))
        .expect("\"project\" is a usable name, as a test says")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_directory_gives_a_name() {
        for (directory, name) in [
            ("/srv/shop", "shop"),
            ("/srv/My Shop!", "My-Shop-"),
            ("/srv/.hidden", "hidden"),
            ("/", "project"),
            ("/ä", "project"),
        ] {
            assert_eq!(name_of(Path::new(directory)).as_str(), name);
        }
        assert_eq!(name_of(Path::new(&"x".repeat(200))).as_str().len(), 63);
    }
}
