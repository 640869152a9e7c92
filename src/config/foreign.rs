//! Projects that another tool's file declares, run as they are. Promise: what cannot be carried over is a note at its line, and what
//! cannot run here is left out by name. Never: a changed file.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    FileKind, attributes, container,
    dotenv::Assigned,
    draft::{Draft, Edge},
    environment::{self, EnvFile, Named},
    gather,
    import::{self, Candidate, Imported, Material, Note, Role, Runtime, Schedule, Told, Unread, Variable, Weight},
    merge::{self, Tool},
    nature::Asked,
    occasions,
    problems::{Fault, Place},
    reader::Reader,
    ready,
    replicas::{self, Share},
    settings::{PartialBackoff, Settings},
};
use crate::model::{
    attributes::Attributes,
    container::ContainerSpec,
    hooks::Hooks,
    ids::{ProjectName, ServiceName},
    occasion::Occasions,
    schedule::{self, Pace},
    service::{CommandLine, Limits, RestartPolicy, Source},
};

/// The files of this machine.
#[derive(Debug)]
pub(crate) struct Disk;

impl import::Files for Disk {
    fn read(&self, file: &Path) -> Result<String, Unread> {
        match environment::read_text(file) {
            Ok(text) => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
            Err(unreadable) if unreadable.absent => Err(Unread::Absent),
            Err(unreadable) => Err(Unread::Because(unreadable.why)),
        }
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn list(&self, directory: &Path) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
        let names: BTreeSet<String> =
            entries.flatten().filter_map(|entry| entry.file_name().to_str().map(str::to_owned)).collect();
        names.into_iter().collect()
    }
}

/// Services that run here, with the names of their copies.
pub(super) type Running = BTreeMap<String, Vec<String>>;

/// Those of them that are processes.
pub(super) fn running(services: &[Candidate]) -> Running {
    let processes = services.iter().filter(|candidate| is_process(candidate));
    processes.map(|candidate| (candidate.name.value.clone(), copies(candidate))).collect()
}

/// All of them.
fn all(services: &[Candidate]) -> Running {
    services.iter().map(|candidate| (candidate.name.value.clone(), copies(candidate))).collect()
}

/// Which tool a file is of, and what it says; none for a project file of cas, and where no tool is known that has such a file. Why it cannot be read otherwise.
pub(super) fn imported(
    file: &Path,
    environment: &BTreeMap<String, String>,
) -> Result<Option<(Tool, Imported)>, Unread> {
    let text = import::Files::read(&Disk, file)?;
    Ok(translate(&Material { file, text: &text, environment, files: &Disk }))
}

/// The project's name and its services, as the file of another tool has them.
pub(crate) fn read(reader: &mut Reader<'_>, file: &Path, text: &str) -> (Option<ProjectName>, Vec<Draft>) {
    let material = Material { file, text, environment: reader.environment, files: &Disk };
    let Some((_, Imported { project, services, notes })) = translate(&material) else { return (None, Vec::new()) };
    for note in notes {
        tell(reader, note);
    }
    let name = project.and_then(|told| ProjectName::new(&told.value).ok());
    if services.is_empty() {
        reader.error(Place::START, "the file names no service", "cas init writes a cas.yaml of one's own");
    }
    let drafts = drafts(reader, services);
    (name, drafts)
}

/// The project's name and its services, as everything in and around its directory has them.
pub(crate) fn read_found(reader: &mut Reader<'_>) -> (Option<ProjectName>, Vec<Draft>) {
    let root = reader.root.clone();
    let gathered = gather::gather(&root, reader.environment);
    let whole = merge::merge(&root, gathered.offers);
    for note in gathered.notes.into_iter().chain(whole.notes) {
        tell(reader, note);
    }
    if whole.services.is_empty() {
        let message = format!("nothing in {} tells a service", root.display());
        reader.problems.error_of_file(
            message,
            "cas init writes a cas.yaml to begin with; docs/detect.md says what is recognised".to_owned(),
        );
    }
    let name = gathered.project.and_then(|told| ProjectName::new(&told.value).ok());
    let services = whole.services.into_iter().map(|merged| merged.candidate).collect();
    (name, drafts(reader, services))
}

fn drafts(reader: &mut Reader<'_>, services: Vec<Candidate>) -> Vec<Draft> {
    let runs = all(&services);
    let mut drafts = Vec::new();
    for candidate in services {
        match &candidate.runtime {
            Runtime::Process(command) => {
                ready::note(reader, &candidate, command);
                let command = command.value.clone();
                drafts.extend(drafts_of(reader, &candidate, (&command, None), &runs));
            }
            Runtime::Container(told) => {
                let spec = container::of_candidate(&candidate, told, &|name| reader.variable(name));
                drafts.extend(drafts_of(reader, &candidate, (&container::shown(&spec), Some(spec)), &runs));
            }
        }
    }
    drafts
}

/// By the name of the file; what is in a `compose.yaml` decides whose it is.
fn translate(material: &Material<'_>) -> Option<(Tool, Imported)> {
    let name = material.file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    Some(match FileKind::of(material.file) {
        FileKind::Procfile if name == "Procfile.dev" => (Tool::ProcfileDev, import::procfile::import(material)),
        FileKind::Procfile => (Tool::Procfile, import::procfile::import(material)),
        FileKind::Compose if import::compose::is_compose(material.text) => {
            (Tool::Compose, import::compose::import(material))
        }
        FileKind::Compose | FileKind::ProcessCompose => {
            (Tool::ProcessCompose, import::process_compose::import(material))
        }
        FileKind::Mprocs => (Tool::Mprocs, import::mprocs::import(material)),
        FileKind::Pm2 => (Tool::Pm2, import::pm2::import(material)),
        FileKind::Supervisord => (Tool::Supervisord, import::supervisord::import(material)),
        // Files that are opened by nobody alone, and can be translated.
        FileKind::CasYaml => match name {
            "devbox.json" => (Tool::Devbox, import::devbox::import(material)),
            "devcontainer.json" | ".devcontainer.json" => (Tool::Devcontainer, import::devcontainer::import(material)),
            // They have no services that anything here would run.
            "Tiltfile" | "skaffold.yaml" => (Tool::Compose, import::noted::import(material)),
            _ if extension == "service" => (Tool::Systemd, import::systemd::import(material)),
            _ if extension == "conf" || extension == "ini" => {
                (Tool::Supervisord, import::supervisord::import(material))
            }
            _ => return None,
        },
        FileKind::Found => return None,
    })
}

fn tell(reader: &mut Reader<'_>, note: Note) {
    let Note { weight, source, message, hint } = note;
    let mut fault = Fault::new(Place { line: source.line, column: source.column }, message);
    if let Some(hint) = hint {
        fault = fault.hint(hint);
    }
    match weight {
        Weight::Error => reader.problems.error_in(&source.file, fault),
        Weight::Lost | Weight::Hint => reader.problems.note_in(&source.file, fault),
    }
}

fn note_at(reader: &mut Reader<'_>, source: &Source, message: String, hint: &str) {
    let place = Place { line: source.line, column: source.column };
    reader.problems.note_in(&source.file, Fault::new(place, message).hint(hint));
}

fn error_at(reader: &mut Reader<'_>, source: &Source, message: String, hint: &str) {
    let place = Place { line: source.line, column: source.column };
    reader.problems.error_in(&source.file, Fault::new(place, message).hint(hint));
}

fn is_process(candidate: &Candidate) -> bool {
    match candidate.runtime {
        Runtime::Process(_) => true,
        Runtime::Container(_) => false,
    }
}

/// The names of its copies: its own where there is one, else with numbers from 1.
pub(super) fn copies(candidate: &Candidate) -> Vec<String> {
    let name = usable(&candidate.name.value);
    replicas::names(&name, copy_count(candidate))
}

/// How many copies of it run.
pub(super) fn copy_count(candidate: &Candidate) -> u32 {
    candidate.replicas.as_ref().map_or(1, |told| told.value.min(replicas::MOST))
}

/// Its clock; none where it has none, or one that cannot be understood.
pub(super) fn pace(candidate: &Candidate) -> Option<Pace> {
    match &candidate.schedule.as_ref()?.value {
        Schedule::Cron(fields) => schedule::check(fields).is_ok().then(|| Pace::Cron(fields.clone())),
        Schedule::Every(pause) => (*pause >= schedule::SHORTEST).then_some(Pace::Every(*pause)),
    }
}

/// When it is started again; what a clock starts is not started always.
pub(super) fn restart(candidate: &Candidate) -> Option<RestartPolicy> {
    let restart = candidate.restart.as_ref().map(|told| told.value);
    match (restart, candidate.role) {
        (Some(RestartPolicy::Always | RestartPolicy::UnlessStopped), _) if pace(candidate).is_some() => None,
        (Some(restart), _) => Some(restart),
        (None, Role::Task) => Some(RestartPolicy::No),
        (None, Role::Service) => None,
    }
}

/// Its ports of this machine, with their places: those of one place are a range.
pub(super) fn ports(candidate: &Candidate) -> Vec<(u16, Place)> {
    let tcp = candidate.ports.iter().filter(|told| !told.value.is_udp);
    tcp.map(|told| {
        (told.value.host.unwrap_or(told.value.target), Place { line: told.source.line, column: told.source.column })
    })
    .collect()
}

/// The name with what a name cannot hold replaced.
pub(super) fn usable(name: &str) -> String {
    let safe: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' }).collect();
    let safe = safe.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    safe[..safe.len().min(56)].to_owned()
}

fn drafts_of(
    reader: &mut Reader<'_>,
    candidate: &Candidate,
    (command, container): (&CommandLine, Option<ContainerSpec>),
    runs: &Running,
) -> Vec<Draft> {
    tell_what_is_lost(reader, candidate);
    let settings = settings(reader, candidate);
    let edges = edges(reader, candidate, runs);
    let at = Place { line: candidate.name.source.line, column: candidate.name.source.column };
    let ports = match &container {
        Some(spec) => container::host_ports(spec).into_iter().map(|port| (port, at)).collect(),
        None => ports(candidate),
    };
    let (count, base) = (copy_count(candidate), ServiceName::new(&usable(&candidate.name.value)).ok());
    let profiles = candidate.profiles.iter().map(|told| told.value.clone()).collect();
    let occasions = Occasions {
        profiles: occasions::among_active(reader, profiles),
        schedule: pace(candidate).map(|pace| occasions::at_pace(pace, occasions::local_zone(reader))),
        ..Occasions::default()
    };
    let mut probes: BTreeMap<_, _> =
        candidate.probes.iter().map(|(kind, told)| (*kind, Arc::new(told.value.clone()))).collect();
    if container.is_some() && probes.is_empty() {
        probes.extend([container::own_health()]);
    }
    let mut drafts = Vec::new();
    for (number, name) in (1..).zip(copies(candidate)) {
        let name = match ServiceName::new(&name) {
            Ok(name) => name,
            Err(error) => {
                error_at(reader, &candidate.name.source, error.to_string(), "rename it");
                continue;
            }
        };
        let mut draft = Draft {
            name,
            at,
            file: Some(candidate.name.source.file.clone()),
            command: Some(command.clone()),
            container: container.clone(),
            settings: settings.clone(),
            log_files: Vec::new(),
            edges: edges.clone(),
            hooks: Hooks::default(),
            asked: Asked::default(),
            nature: None,
            has_health: !probes.is_empty(),
            probes: probes.clone(),
            ready_log_line: candidate.ready_log_line.as_ref().map(|told| told.value.clone()),
            ports: ports.clone(),
            tty: candidate.tty.as_ref().is_some_and(|told| told.value),
            occasions: occasions.clone(),
            description: candidate.description.as_ref().map(|told| told.value.clone()),
        };
        if let (true, Some(base)) = (candidate.replicas.is_some(), &base) {
            Share::of(&ports, number, count).give(&mut draft, base, count);
        }
        drafts.push(draft);
    }
    drafts
}

fn tell_what_is_lost(reader: &mut Reader<'_>, candidate: &Candidate) {
    let name = &candidate.name.value;
    if usable(name) != *name {
        note_at(
            reader,
            &candidate.name.source,
            format!("{name}: called {} here", usable(name)),
            "letters, digits, '.', '_' and '-' make a name",
        );
    }
    if let Some(Told { value, source }) = candidate.schedule.as_ref().filter(|_| pace(candidate).is_none()) {
        let when = match value {
            Schedule::Cron(fields) => {
                let why = schedule::check(fields).err().unwrap_or_default();
                format!("by \"{fields}\", which {why}")
            }
            Schedule::Every(pause) => {
                format!("every {}, which is too often", humantime::format_duration(*pause))
            }
        };
        note_at(reader, source, format!("{name}: not started {when}"), "it starts when it is asked for");
    }
    if let Some(Told { value, source }) = candidate.user.as_ref().filter(|_| is_process(candidate))
        && let Some((why, _)) = attributes::hindrance(value)
    {
        note_at(reader, source, format!("{name}: user {value} is not carried over: {why}"), "it runs as you");
    }
    if let Some(Told { value, source }) = &candidate.replicas
        && *value > replicas::MOST
    {
        let message = format!("{name}: {value} copies are more than {}", replicas::MOST);
        note_at(reader, source, message, "that many run");
    }
}

fn settings(reader: &mut Reader<'_>, candidate: &Candidate) -> Settings {
    let bounds = &candidate.bounds;
    Settings {
        working_dir: candidate
            .working_dir
            .as_ref()
            .filter(|_| is_process(candidate))
            .map(|told| existing(reader, &candidate.name.value, told)),
        environment: variables(reader, candidate),
        restart: restart(candidate),
        backoff: candidate.restart_delay.as_ref().map(|told| PartialBackoff::fixed(told.value)).unwrap_or_default(),
        stop_signal: candidate.stop_signal.as_ref().map(|told| told.value),
        stop_grace_period: candidate.stop_grace.as_ref().map(|told| told.value),
        autostart: candidate.autostart.as_ref().map(|told| told.value).filter(|_| pace(candidate).is_none()),
        limits: Limits {
            cpus: bounds.cpus.as_ref().map(|told| told.value),
            memory_bytes: bounds.memory_bytes.as_ref().map(|told| told.value),
            pids: bounds.pids.as_ref().map(|told| told.value),
        },
        attributes: Attributes {
            user: candidate
                .user
                .as_ref()
                .filter(|_| is_process(candidate))
                .map(|told| told.value.clone())
                .filter(|user| attributes::hindrance(user).is_none()),
            ..Attributes::default()
        },
        ..Settings::default()
    }
}

fn existing(reader: &mut Reader<'_>, name: &str, told: &Told<PathBuf>) -> PathBuf {
    if !told.value.is_dir() {
        let message = format!("{name}: there is no directory {}", told.value.display());
        error_at(reader, &told.source, message, "make it, or correct the path");
    }
    told.value.clone()
}

fn variables(reader: &mut Reader<'_>, candidate: &Candidate) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for told in &candidate.env_files {
        match environment::load(reader, &told.value.path, Named::InFile) {
            EnvFile::Read(lines) => {
                for (name, assigned) in lines {
                    let value = match assigned {
                        Assigned::Value(value) => Some(value),
                        Assigned::Inherited => reader.variable(&name),
                    };
                    variables.extend(value.map(|value| (name, value)));
                }
            }
            EnvFile::Absent if !told.value.required => {}
            EnvFile::Absent => {
                let message = format!("{}: there is no file {}", candidate.name.value, told.value.path.display());
                error_at(reader, &told.source, message, "make it, or take the line out");
            }
            EnvFile::Unreadable(why) => {
                let message = format!("{}: {} cannot be read: {why}", candidate.name.value, told.value.path.display());
                error_at(reader, &told.source, message, "a text file of NAME=value lines is needed");
            }
        }
    }
    for (name, told) in &candidate.environment {
        let value = match &told.value {
            Variable::Text(text) => Some(text.clone()),
            Variable::Inherited => reader.variable(name),
        };
        variables.extend(value.map(|value| (name.clone(), value)));
    }
    variables
}

/// Arrows to what runs here: each copy of what is needed. Others are told and left out.
fn edges(reader: &mut Reader<'_>, candidate: &Candidate, runs: &Running) -> Vec<Edge> {
    let mut edges = Vec::new();
    for (to, told) in &candidate.depends_on {
        let at = Place { line: told.source.line, column: told.source.column };
        let Some(copies) = runs.get(to) else {
            let message = format!("{}: does not wait for {to}, which does not run here", candidate.name.value);
            note_at(reader, &told.source, message, "see that it is there before");
            continue;
        };
        edges.extend(copies.iter().map(|copy| Edge {
            to: copy.clone(),
            at,
            file: Some(told.source.file.clone()),
            dependency: told.value,
        }));
    }
    edges
}
