//! Writes a first `cas.yaml` from what is in the directory. Promise: what it writes can be loaded. Never: overwrites.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
};

use super::{Sentence, environment::read_text, problems::Place, procfile};
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
    /// `command` or `shell` and what follows, unescaped.
    key: &'static str,
    line: String,
    environment: Vec<(String, String)>,
}

/// Writes `cas.yaml` into a directory: the processes of a Procfile, else the `dev` or `start` script of a `package.json`, else one
/// example. Returns the file and a sentence that says what it was made from.
///
/// # Errors
/// A sentence: there is a project file already, or it cannot be written.
pub fn init(dir: &Path, env: &BTreeMap<String, String>) -> Result<(PathBuf, String), Sentence> {
    for name in ["cas.yaml", "cas.yml"] {
        let file = dir.join(name);
        if file.exists() {
            return Err(Sentence(format!(
                "{} is there already and stays as it is; edit it, or move it away",
                file.display()
            )));
        }
    }
    let (services, from) = recognise(dir, env);
    let with_dot_env = from.is_procfile && dir.join(".env").is_file();
    let text = TEMPLATE.replace(MARK, &written(&services, with_dot_env));
    let file = dir.join("cas.yaml");
    let cannot = |error: std::io::Error| Sentence(format!("{} cannot be written: {error}", file.display()));
    let mut out = std::fs::OpenOptions::new().write(true).create_new(true).open(&file).map_err(cannot)?;
    out.write_all(text.as_bytes()).map_err(cannot)?;
    Ok((file, from.sentence))
}

struct From {
    sentence: String,
    is_procfile: bool,
}

fn recognise(dir: &Path, env: &BTreeMap<String, String>) -> (Vec<Recognised>, From) {
    for name in ["Procfile", "Procfile.dev"] {
        let services = from_procfile(&dir.join(name), dir, env);
        if !services.is_empty() {
            let sentence = format!("{} from {name}", counted(services.len()));
            return (services, From { sentence, is_procfile: true });
        }
    }
    let services = from_package_json(&dir.join("package.json"));
    if !services.is_empty() {
        let sentence = format!("{} from package.json", counted(services.len()));
        return (services, From { sentence, is_procfile: false });
    }
    let sentence = "one example service, for there is neither a Procfile nor a package.json with a dev or start script";
    (services, From { sentence: sentence.to_owned(), is_procfile: false })
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
            key: "shell",
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

fn from_package_json(file: &Path) -> Vec<Recognised> {
    let Ok(text) = read_text(file) else { return Vec::new() };
    let Ok(package) = serde_json::from_str::<serde_json::Value>(&text) else { return Vec::new() };
    let has = |script: &str| package.pointer(&format!("/scripts/{script}")).is_some_and(serde_json::Value::is_string);
    let Some(script) = ["dev", "start"].into_iter().find(|script| has(script)) else { return Vec::new() };
    let beside = |name: &str| file.with_file_name(name).is_file();
    let runner = match () {
        () if beside("pnpm-lock.yaml") => "pnpm",
        () if beside("yarn.lock") => "yarn",
        () if beside("bun.lock") || beside("bun.lockb") => "bun",
        () => "npm",
    };
    let name = package
        .get("name")
        .and_then(serde_json::Value::as_str)
        .and_then(|name| name.rsplit('/').next())
        .filter(|name| ServiceName::new(name).is_ok())
        .unwrap_or("web");
    vec![Recognised {
        name: name.to_owned(),
        // A shell line: it also loads on a machine where the program is yet to be installed.
        key: "shell",
        line: format!("{runner} run {script}"),
        environment: Vec::new(),
    }]
}

fn written(services: &[Recognised], with_dot_env: bool) -> String {
    if services.is_empty() {
        return EXAMPLE.to_owned();
    }
    let mut text = String::new();
    for Recognised { name, key, line, environment } in services {
        if !text.is_empty() {
            text.push('\n');
        }
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {}:\n    {key}: {}", quoted_key(name), quoted(&line.replace('$', "$$")));
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
fn quoted(text: &str) -> String {
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

fn quoted_key(name: &str) -> String {
    if name.parse::<f64>().is_ok() { format!("\"{name}\"") } else { name.to_owned() }
}

fn is_text(node: &super::tree::Node, text: &str) -> bool {
    match &node.shape {
        super::tree::Shape::Scalar { text: read, .. } => **read == *text && !node.is_null(),
        super::tree::Shape::List(_) | super::tree::Shape::Map(_) => false,
    }
}
