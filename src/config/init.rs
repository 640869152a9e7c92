//! Writes a first `cas.yaml` from what is in the directory. Promise: what it writes can be loaded. Never: overwrites.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
};

use super::{
    Sentence,
    detect::{self, Detected, Limits},
    environment::read_text,
    found,
    problems::Place,
    procfile,
};
use crate::model::ids::ServiceName;

/// The commented file; a line `# cas:services` stands where the services go.
const TEMPLATE: &str = include_str!("../../assets/init.yaml");
const MARK: &str = "  # cas:services\n";

const EXAMPLE: &str = "  clock:
    description: An example, to be replaced by your own. It prints the time every five seconds.
    # $$ is a dollar sign for the shell; ${NAME} is filled in from the environment or from .env beside this file.
    shell: while true; do echo \"it is $$(date +%T)\"; sleep 5; done
    restart: on-failure
";

/// A service that was recognised.
struct Recognised {
    name: String,
    /// For a shell.
    line: String,
    environment: Vec<(String, String)>,
}

/// Writes `cas.yaml` into a directory: the processes of a Procfile, else the services that the code tells, else one example; what the code needs from
/// outside as comments. Returns the file and a sentence that says what it was made from.
///
/// # Errors
/// A sentence: there is a project file already, or it cannot be written.
pub fn init(dir: &Path, env: &BTreeMap<String, String>) -> Result<(PathBuf, String), Sentence> {
    refuse_where_there_is_one(dir)?;
    let detected = detect::detect(dir, &Limits::default());
    let (services, sentence) = recognise(dir, env, &detected);
    let text = TEMPLATE.replace(MARK, &services);
    Ok((write_new(dir, &text)?, sentence))
}

/// Writes a `cas.yaml` beside another file.
///
/// # Errors
/// A sentence: there is a project file already, or it cannot be written.
pub fn write_beside(file: &Path, text: &str) -> Result<PathBuf, Sentence> {
    let dir = file.parent().unwrap_or(Path::new("."));
    refuse_where_there_is_one(dir)?;
    write_new(dir, text)
}

fn refuse_where_there_is_one(dir: &Path) -> Result<(), Sentence> {
    match ["cas.yaml", "cas.yml"].map(|name| dir.join(name)).into_iter().find(|file| file.exists()) {
        Some(file) => {
            Err(Sentence(format!("{} is there already and stays as it is; edit it, or move it away", file.display())))
        }
        None => Ok(()),
    }
}

fn write_new(dir: &Path, text: &str) -> Result<PathBuf, Sentence> {
    let file = dir.join("cas.yaml");
    let cannot = |error: std::io::Error| Sentence(format!("{} cannot be written: {error}", file.display()));
    let mut out = std::fs::OpenOptions::new().write(true).create_new(true).open(&file).map_err(cannot)?;
    out.write_all(text.as_bytes()).map_err(cannot)?;
    Ok(file)
}

/// The text of the services, and a sentence.
fn recognise(dir: &Path, env: &BTreeMap<String, String>, detected: &Detected) -> (String, String) {
    let root = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let around = found::notes(&root, detected);
    for name in ["Procfile", "Procfile.dev"] {
        let services = from_procfile(&dir.join(name), dir, env);
        if !services.is_empty() {
            let sentence = format!("{} from {name}", counted(services.len()));
            return (written(&services, dir.join(".env").is_file()) + &around, sentence);
        }
    }
    let (services, count, files) = found::services(&root, detected);
    if count > 0 {
        let more = if files.len() > 4 { format!(" and {} more files", files.len() - 4) } else { String::new() };
        let files: Vec<_> = files.into_iter().take(4).collect();
        return (services + &around, format!("{} from {}{more}", counted(count), files.join(", ")));
    }
    let sentence =
        "one example service, for there is neither a Procfile nor code that tells a service (see docs/detect.md)";
    (EXAMPLE.to_owned() + &around, sentence.to_owned())
}

fn counted(services: usize) -> String {
    if services == 1 { "1 service".to_owned() } else { format!("{services} services") }
}

fn from_procfile(file: &Path, dir: &Path, env: &BTreeMap<String, String>) -> Vec<Recognised> {
    let Ok(text) = read_text(file) else { return Vec::new() };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let dot_env = dot_env_of(dir, env);
    let base = procfile::base_port(env, &dot_env);
    let (processes, _) = procfile::lines(text);
    processes
        .into_iter()
        .enumerate()
        .filter(|(_, process)| ServiceName::new(process.name).is_ok() && !process.line.contains('\0'))
        .map(|(index, process)| Recognised {
            name: process.name.to_owned(),
            line: process.line.to_owned(),
            environment: procfile::port(base, index)
                .map(|port| ("PORT".to_owned(), port.to_string()))
                .into_iter()
                .collect(),
        })
        .collect()
}

fn dot_env_of(dir: &Path, env: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let Ok(text) = read_text(&dir.join(".env")) else { return BTreeMap::new() };
    super::dotenv::read(&text, env)
        .variables
        .into_iter()
        .filter_map(|(name, assigned)| match assigned {
            super::dotenv::Assigned::Value(value) => Some((name, value)),
            super::dotenv::Assigned::Inherited => None,
        })
        .collect()
}

fn written(services: &[Recognised], with_dot_env: bool) -> String {
    let mut text = String::new();
    for Recognised { name, line, environment } in services {
        if !text.is_empty() {
            text.push('\n');
        }
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {}:\n    shell: {}", quoted_key(name), quoted(&line.replace('$', "$$")));
        if with_dot_env {
            text.push_str("    env_file: .env\n");
        }
        if !environment.is_empty() {
            text.push_str("    environment:\n");
            for (name, value) in environment {
                let _ = writeln!(text, "      {name}: {}", quoted(value));
            }
        }
    }
    text
}

/// As it is where YAML cannot mistake it, else in double quotes.
pub(super) fn quoted(text: &str) -> String {
    let reads_back = {
        let tree = super::tree::parse(&format!("key: {text}\n"));
        tree.faults.is_empty()
            && tree.root.is_some_and(|root| match &root.shape {
                super::tree::Shape::Map(entries) => {
                    matches!(entries.as_slice(), [(_, node)] if is_text(node, text) && node.at != Place::START)
                }
                super::tree::Shape::Scalar { .. } | super::tree::Shape::List(_) => false,
            })
    };
    let is_number = text.parse::<f64>().is_ok();
    // JSON's strings are YAML's double-quoted ones.
    if reads_back && !is_number { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

pub(super) fn quoted_key(name: &str) -> String {
    if name.parse::<f64>().is_ok() { format!("\"{name}\"") } else { name.to_owned() }
}

fn is_text(node: &super::tree::Node, text: &str) -> bool {
    match &node.shape {
        super::tree::Shape::Scalar { text: read, .. } => **read == *text && !node.is_null(),
        super::tree::Shape::List(_) | super::tree::Shape::Map(_) => false,
    }
}
