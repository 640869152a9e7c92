//! Procfiles, as foreman reads them. Never: fills in `${VAR}`; the shell that runs a line does.

use std::collections::{BTreeMap, HashMap};

use super::{draft::Draft, problems::Place, reader::Reader, settings::Settings};
use crate::model::{ids::ServiceName, occasion::Occasions, service::CommandLine};

/// Port of the first process, and the distance to the next (foreman).
const FIRST_PORT: u16 = 5000;
const PORT_STEP: usize = 100;

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Process<'t> {
    pub(crate) name: &'t str,
    pub(crate) line: &'t str,
    pub(crate) at: Place,
}

/// The lines of a Procfile; the rest as place, message and hint.
pub(crate) fn lines(text: &str) -> (Vec<Process<'_>>, Vec<(Place, String)>) {
    let mut processes: Vec<Process<'_>> = Vec::new();
    let mut wrong = Vec::new();
    let mut first_lines: HashMap<&str, u32> = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        let column = line.len() - line.trim_start().len() + 1;
        let at = Place::new(number + 1, column);
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.split_once(':').map(|(name, line)| (name.trim_end(), line.trim())) {
            None => wrong.push((at, format!("\"{line}\" is not \"name: command\""))),
            Some((name, "")) => wrong.push((at, format!("{name}: it has no command"))),
            Some((name, line)) => {
                if let Some(first) = first_lines.insert(name, at.line) {
                    first_lines.insert(name, first);
                    wrong.push((at, format!("{name}: the name is there twice, first at line {first}")));
                } else {
                    processes.push(Process { name, line, at });
                }
            }
        }
    }
    (processes, wrong)
}

/// The port that foreman would give to each process; none where ports run out.
pub(crate) fn port(base: u16, index: usize) -> Option<u16> {
    u16::try_from(usize::from(base) + index * PORT_STEP).ok()
}

/// The base of [`port`]: `PORT` of `.env` or of the environment, else 5000.
pub(crate) fn base_port(environment: &BTreeMap<String, String>, dot_env: &BTreeMap<String, String>) -> u16 {
    let written = dot_env.get("PORT").or_else(|| environment.get("PORT"));
    written.and_then(|port| port.trim().parse().ok()).unwrap_or(FIRST_PORT)
}

/// Every process as a service: a shell line with the variables of `.env` and `PORT`.
pub(crate) fn read(reader: &mut Reader<'_>, text: &str) -> Vec<Draft> {
    let (processes, wrong) = lines(text);
    let is_empty = processes.is_empty() && wrong.is_empty();
    for (at, message) in wrong {
        reader.error(at, message, "each line is a name, a colon and a command; comments begin with #");
    }
    if is_empty {
        reader.error(
            Place::START,
            "the Procfile names no process",
            "write a line such as web: python3 -m http.server $PORT",
        );
    }
    let base = base_port(reader.environment, &reader.dot_env);
    let mut given = Vec::new();
    let mut drafts = Vec::new();
    for (index, Process { name, line, at }) in processes.into_iter().enumerate() {
        let name = match ServiceName::new(name) {
            Ok(name) => name,
            Err(error) => {
                reader.error(at, error.to_string(), "rename the process");
                continue;
            }
        };
        if line.contains('\0') {
            reader.error(at, format!("{name}: its line has a NUL byte"), "remove it");
            continue;
        }
        let mut environment = reader.dot_env.clone();
        if let Some(port) = port(base, index) {
            environment.insert("PORT".to_owned(), port.to_string());
            given.push(format!("{name} {port}"));
        }
        drafts.push(Draft {
            container: None,
            name,
            at,
            file: None,
            command: Some(CommandLine::Shell(line.to_owned())),
            settings: Settings { environment, ..Settings::default() },
            log_files: Vec::new(),
            edges: Vec::new(),
            probes: BTreeMap::new(),
            asked: super::nature::Asked::default(),
            nature: None,
            hooks: crate::model::hooks::Hooks::default(),
            has_health: false,
            ready_log_line: None,
            ports: Vec::new(),
            tty: false,
            occasions: Occasions::default(),
            description: None,
        });
    }
    if let Some(first) = drafts.first() {
        reader.note(
            first.at,
            format!("PORT is set as foreman sets it: {}", given.join(", ")),
            "cas init writes a cas.yaml in which ports, restarts and probes can be said",
        );
    }
    drafts
}
