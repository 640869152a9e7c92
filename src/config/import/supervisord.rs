//! `supervisord.conf`. Promise: programs, numbers of processes and `[include]` as supervisor reads them. Never: speaks the
//! protocol of event listeners.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    Candidate, Imported, Material, Runtime, Told, Variable, Weight,
    page::{Page, brief},
    supervisord_ini::{Section, Setting, expand, pairs, sections},
};
use crate::{
    config::{nearest::did_you_mean, problems::Place},
    model::service::{CommandLine, RestartPolicy},
};

/// Most processes of one program.
const MOST: u32 = 100;
/// Most files that `[include]` may name.
const MOST_FILES: usize = 200;
/// Kinds of sections.
const SECTIONS: &[&str] = &[
    "supervisord",
    "supervisorctl",
    "unix_http_server",
    "inet_http_server",
    "include",
    "program",
    "group",
    "fcgi-program",
    "eventlistener",
    "rpcinterface",
    "ctlplugin",
];
/// Keys of a program.
const PROGRAM: &[&str] = &[
    "command",
    "process_name",
    "numprocs",
    "numprocs_start",
    "priority",
    "autostart",
    "startsecs",
    "startretries",
    "autorestart",
    "exitcodes",
    "stopsignal",
    "stopwaitsecs",
    "stopasgroup",
    "killasgroup",
    "user",
    "redirect_stderr",
    "stdout_logfile",
    "stdout_logfile_maxbytes",
    "stdout_logfile_backups",
    "stdout_capture_maxbytes",
    "stdout_events_enabled",
    "stdout_syslog",
    "stderr_logfile",
    "stderr_logfile_maxbytes",
    "stderr_logfile_backups",
    "stderr_capture_maxbytes",
    "stderr_events_enabled",
    "stderr_syslog",
    "environment",
    "directory",
    "umask",
    "serverurl",
    "socket",
    "socket_owner",
    "socket_mode",
    "socket_backlog",
];

/// Translates the file and those that it includes.
#[must_use]
pub fn import(material: &Material<'_>) -> Imported {
    let mut page = Page::new(material);
    let mut all = sections(&mut page, material.text);
    let mut known = BTreeMap::from([("here".to_owned(), material.directory().display().to_string())]);
    known.extend(material.environment.iter().map(|(name, value)| (format!("ENV_{name}"), value.clone())));
    for file in included(&mut page, &all, &known) {
        let Some(text) = page.read(Place::START, "include", &file) else { continue };
        page.file = file;
        all.extend(sections(&mut page, &text));
        material.file.clone_into(&mut page.file);
    }
    let mut imported = Imported::default();
    let mut common = BTreeMap::new();
    for section in all.iter().filter(|section| section.name == "supervisord") {
        if let Some(setting) = section.get("environment") {
            page.file.clone_from(&setting.file);
            common.extend(environment(&mut page, "supervisord.environment", setting, &known));
        }
    }
    for section in &all {
        page.file.clone_from(&section.file);
        read_section(&mut page, section, &known, &common, &mut imported);
    }
    page.finish(imported)
}

fn read_section(
    page: &mut Page<'_>,
    section: &Section,
    known: &BTreeMap<String, String>,
    common: &BTreeMap<String, Told<Variable>>,
    imported: &mut Imported,
) {
    let (kind, name) =
        section.name.split_once(':').map_or((section.name.as_str(), ""), |(kind, name)| (kind, name.trim()));
    match kind {
        "program" | "fcgi-program" if name.is_empty() => {
            page.error(section.at, &format!("[{}] has no name", brief(&section.name)), "write [program:name]");
        }
        "program" | "fcgi-program" => program(page, section, name, known, common, imported),
        "group" => {
            let programs = section.get("programs").map(|setting| brief(&setting.value)).unwrap_or_default();
            page.lost(section.at, &format!("group {name} of {programs} is not carried over"), "cas has no groups");
        }
        "eventlistener" => {
            let message = format!("eventlistener {name} is not carried over");
            page.lost(section.at, &message, "it speaks to supervisord, which does not run under cas");
        }
        known if SECTIONS.contains(&known) => {}
        other => page.hint(
            section.at,
            &format!("[{}]: supervisor reads no such section", brief(other)),
            &did_you_mean(other, SECTIONS),
        ),
    }
}

/// The files of `[include]`, their patterns resolved.
fn included(page: &mut Page<'_>, all: &[Section], known: &BTreeMap<String, String>) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for setting in all.iter().filter(|section| section.name == "include").filter_map(|section| section.get("files")) {
        for pattern in setting.value.split_whitespace() {
            let Ok(pattern) = expand(pattern, known) else {
                page.error(setting.value_at, &format!("include.files: {} cannot be filled in", brief(pattern)), "");
                continue;
            };
            let mut files = matching(page, &pattern);
            if files.is_empty() {
                page.hint(setting.value_at, &format!("include.files: {} names no file", brief(&pattern)), "");
            }
            files.sort();
            found.extend(files);
        }
    }
    found.truncate(MOST_FILES);
    found
}

/// The files that a pattern with `*` and `?` names.
fn matching(page: &Page<'_>, pattern: &str) -> Vec<PathBuf> {
    let whole = page.path(pattern);
    let mut found = vec![PathBuf::from("/")];
    for part in whole.components().skip(1) {
        let part = part.as_os_str().to_string_lossy();
        let mut next = Vec::new();
        for directory in &found {
            if part.contains(['*', '?']) {
                let names = page.material.files.list(directory);
                next.extend(names.iter().filter(|name| is_like(name, &part)).map(|name| directory.join(name)));
            } else {
                next.push(directory.join(&*part));
            }
        }
        next.truncate(MOST_FILES);
        found = next;
    }
    found.retain(|file| page.material.files.exists(file));
    found
}

/// True where a name is like a pattern; a `*` takes any letters, a `?` one.
fn is_like(name: &str, pattern: &str) -> bool {
    let (name, pattern): (Vec<char>, Vec<char>) = (name.chars().collect(), pattern.chars().collect());
    let (mut n, mut p, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                n += 1;
                p += 1;
            }
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                (p, n) = (at + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

fn environment(
    page: &mut Page<'_>,
    what: &str,
    setting: &Setting,
    known: &BTreeMap<String, String>,
) -> BTreeMap<String, Told<Variable>> {
    let Some(text) = filled(page, what, setting, known) else { return BTreeMap::new() };
    match pairs(&text) {
        Ok(pairs) => {
            pairs.into_iter().map(|(name, value)| (name, page.told(setting.value_at, Variable::Text(value)))).collect()
        }
        Err(part) => {
            page.error(
                setting.value_at,
                &format!("{what}: \"{part}\" is not NAME=\"value\""),
                "separate variables with commas",
            );
            BTreeMap::new()
        }
    }
}

fn filled(page: &mut Page<'_>, what: &str, setting: &Setting, known: &BTreeMap<String, String>) -> Option<String> {
    match expand(&setting.value, known) {
        Ok(text) => Some(text),
        Err(name) => {
            let hint = "supervisor knows %(ENV_NAME)s, %(here)s, %(program_name)s, %(process_num)d; write %% for a percent sign";
            page.error(setting.value_at, &format!("{what}: {name} cannot be filled in"), hint);
            None
        }
    }
}

fn whole(page: &mut Page<'_>, name: &str, section: &Section, key: &str, default: u32) -> u32 {
    let Some(setting) = section.get(key) else { return default };
    page.file.clone_from(&setting.file);
    setting.value.trim().parse().unwrap_or_else(|_| {
        let message = format!("{name}.{key}: \"{}\" is not a whole number", brief(&setting.value));
        page.error(setting.value_at, &message, "");
        default
    })
}

fn program(
    page: &mut Page<'_>,
    section: &Section,
    name: &str,
    known: &BTreeMap<String, String>,
    common: &BTreeMap<String, Told<Variable>>,
    imported: &mut Imported,
) {
    let numbers = whole(page, name, section, "numprocs", 1);
    let first = whole(page, name, section, "numprocs_start", 0);
    if numbers > MOST {
        page.lost(section.at, &format!("{name}.numprocs: {numbers} is more than {MOST}, the others are left out"), "");
    }
    let naming = section.get("process_name");
    if numbers > 1 && !naming.is_some_and(|setting| setting.value.contains("%(process_num)")) {
        let hint = "write process_name = %(program_name)s_%(process_num)02d";
        page.error(
            section.at,
            &format!("{name}: process_name must have %(process_num) where numprocs is more than 1"),
            hint,
        );
    }
    for number in 0..numbers.min(MOST) {
        let mut known = known.clone();
        let words = [
            ("program_name", name.to_owned()),
            ("group_name", name.to_owned()),
            ("process_num", (first.saturating_add(number)).to_string()),
            ("numprocs", numbers.to_string()),
        ];
        known.extend(words.into_iter().map(|(word, value)| (word.to_owned(), value)));
        let process = naming.and_then(|setting| filled(page, &format!("{name}.process_name"), setting, &known));
        let process = process.unwrap_or_else(|| name.to_owned());
        let Some(command) = command(page, section, name, &known) else { return };
        let mut candidate = Candidate::new(page.told(section.at, process), Runtime::Process(command));
        candidate.environment.clone_from(common);
        // What supervisor does where the file does not say it.
        candidate.restart = Some(page.told(section.at, RestartPolicy::OnFailure { max_retries: None }));
        for setting in &section.settings {
            page.file.clone_from(&setting.file);
            key(page, &format!("{name}.{}", setting.key), setting, &known, &mut candidate);
        }
        imported.services.push(candidate);
    }
}

fn command(
    page: &mut Page<'_>,
    section: &Section,
    name: &str,
    known: &BTreeMap<String, String>,
) -> Option<Told<CommandLine>> {
    let Some(setting) = section.get("command") else {
        page.error(
            section.at,
            &format!("{name}: it has no command"),
            "write command = and the program with its arguments",
        );
        return None;
    };
    page.file.clone_from(&setting.file);
    let text = filled(page, &format!("{name}.command"), setting, known).unwrap_or_else(|| setting.value.clone());
    if let Some(argv) = shlex::split(&text).filter(|argv| !argv.is_empty()) {
        Some(page.told(setting.value_at, CommandLine::Argv(argv)))
    } else {
        let message = format!("{name}.command: \"{}\" is not a program with arguments", brief(&text));
        page.error(setting.value_at, &message, "close its quotes");
        None
    }
}

fn key(
    page: &mut Page<'_>,
    what: &str,
    setting: &Setting,
    known: &BTreeMap<String, String>,
    candidate: &mut Candidate,
) {
    let at = setting.value_at;
    let value = setting.value.trim();
    let is_off = matches!(value.to_ascii_lowercase().as_str(), "false" | "no" | "off" | "0" | "");
    match setting.key.as_str() {
        "command" | "process_name" | "numprocs" | "numprocs_start" => {}
        // A stop of cas always reaches the whole group, and both streams are kept.
        "stopasgroup" | "killasgroup" | "redirect_stderr" => {}
        "environment" => candidate.environment.extend(environment(page, what, setting, known)),
        "directory" => {
            let directory = filled(page, what, setting, known).map(|text| page.path(&text));
            candidate.working_dir = directory.map(|directory| page.told(at, directory));
        }
        "user" => candidate.user = filled(page, what, setting, known).map(|user| page.told(at, user)),
        "autostart" => candidate.autostart = Some(page.told(at, !is_off)),
        "autorestart" => {
            let policy = match value.to_ascii_lowercase().as_str() {
                "unexpected" => RestartPolicy::OnFailure { max_retries: None },
                "true" | "yes" | "on" | "1" => RestartPolicy::Always,
                "false" | "no" | "off" | "0" => RestartPolicy::No,
                other => {
                    let hint = did_you_mean(other, &["unexpected", "true", "false"]);
                    return page.error(at, &format!("{what}: \"{}\" is no restart policy", brief(value)), &hint);
                }
            };
            candidate.restart = Some(page.told(at, policy));
        }
        "exitcodes" if value == "0" => {}
        "exitcodes" => lost(page, what, setting, "cas takes exit code 0 alone as expected"),
        "stopsignal" => match value.parse() {
            Ok(signal) => candidate.stop_signal = Some(page.told(at, signal)),
            Err(_) => page.error(
                at,
                &format!("{what}: \"{}\" is no signal that cas sends", brief(value)),
                "write TERM or INT",
            ),
        },
        "stopwaitsecs" => match value.parse().map(std::time::Duration::from_secs) {
            Ok(grace) => candidate.stop_grace = Some(page.told(at, grace)),
            Err(_) => page.error(at, &format!("{what}: \"{}\" is not a number of seconds", brief(value)), ""),
        },
        "startsecs" => lost(page, what, setting, "a readiness probe says better when a service is up"),
        "startretries" => {
            lost(page, what, setting, "cas spaces restarts and gives up on its own terms: restart in cas.yaml");
        }
        "priority" => lost(page, what, setting, "write depends_on: cas starts in the order of what needs what"),
        "stdout_logfile" | "stderr_logfile" => {
            let goes_out = value.is_empty() || value.starts_with("/dev/") || value.starts_with("/proc/");
            if !goes_out && !matches!(value.to_ascii_uppercase().as_str(), "AUTO" | "NONE") {
                lost(page, what, setting, "cas keeps output itself: logs in cas.yaml says how much");
            }
        }
        "socket" | "socket_owner" | "socket_mode" | "socket_backlog" => {
            lost(page, what, setting, "cas opens no sockets for a service: the program must listen itself");
        }
        known if PROGRAM.contains(&known) => {
            if !is_off {
                lost(page, what, setting, "");
            }
        }
        _ => page.unknown(Weight::Hint, what, setting.at, PROGRAM),
    }
}

fn lost(page: &mut Page<'_>, what: &str, setting: &Setting, hint: &str) {
    page.lost(setting.value_at, &format!("{what}: {} is not carried over", brief(&setting.value)), hint);
}
