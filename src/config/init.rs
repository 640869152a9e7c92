//! Writes a first `cas.yaml` from what is in the directory. Promise: what it writes can be loaded. Never: overwrites.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
};

use super::{Sentence, found, gather, merge, problems::Place, written};

/// The commented file; a line `# cas:services` stands where the services go.
const TEMPLATE: &str = include_str!("../../assets/init.yaml");
const MARK: &str = "  # cas:services\n";

const EXAMPLE: &str = "  clock:
    description: An example, to be replaced by your own. It prints the time every five seconds.
    # $$ is a dollar sign for the shell; ${NAME} is filled in from the environment or from .env beside this file.
    shell: while true; do echo \"it is $$(date +%T)\"; sleep 5; done
    restart: on-failure
";

/// Writes `cas.yaml` into a directory: what files of other tools and the code tell, else one example; as comments where each was found, what else was told,
/// and what the code needs from outside. Returns the file and a sentence that says what it was made from.
///
/// # Errors
/// A sentence: there is a project file already, or it cannot be written.
pub fn init(dir: &Path, env: &BTreeMap<String, String>) -> Result<(PathBuf, String), Sentence> {
    refuse_where_there_is_one(dir)?;
    let (services, sentence) = recognise(dir, env);
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
fn recognise(dir: &Path, env: &BTreeMap<String, String>) -> (String, String) {
    let root = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let gathered = gather::gather(&root, env);
    let around = found::notes(&root, &gathered.detected);
    let whole = merge::merge(&root, gathered.offers);
    let (services, count, files) = written::services(&root, &whole);
    let around = written::aside(&root, &whole) + &around;
    if count > 0 {
        let more = if files.len() > 4 { format!(" and {} more files", files.len() - 4) } else { String::new() };
        let files: Vec<_> = files.into_iter().take(4).collect();
        let counted = if count == 1 { "1 service".to_owned() } else { format!("{count} services") };
        return (services + &around, format!("{counted} from {}{more}", files.join(", ")));
    }
    let sentence =
        "one example service, for neither a file nor code tells a service that could run here (see docs/detect.md)";
    (EXAMPLE.to_owned() + &services + &around, sentence.to_owned())
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
