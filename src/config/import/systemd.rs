//! A `*.service` unit of systemd that stands in a repository. Promise: the command as systemd would split it. Never: asks
//! systemd of this machine.

use std::{path::PathBuf, time::Duration};

use super::{
    Candidate, EnvFile, Imported, Material, Role, Runtime, Told, Variable,
    page::{Page, brief, tidy},
    systemd_unit::{Setting, Word, settings, specified, words},
};
use crate::{
    config::{nearest::did_you_mean, problems::Place},
    model::service::{CommandLine, Condition, Dependency, RestartPolicy},
};

/// Keys of `[Service]` that are known here and say nothing that `cas` could do.
const LOST: &str = "BusName GuessMainPID PIDFile RemainAfterExit ExitType ExecCondition ExecReload ExecStop ExecStopPost \
TimeoutStartSec TimeoutAbortSec RuntimeMaxSec WatchdogSec WatchdogSignal SuccessExitStatus RestartPreventExitStatus \
RestartForceExitStatus RestartSteps RestartMaxDelaySec NonBlocking NotifyAccess Sockets FileDescriptorStoreMax USBFunctionDescriptors \
OOMPolicy OOMScoreAdjust RootDirectory RootImage Group DynamicUser SupplementaryGroups PAMName UMask Nice IOSchedulingClass \
IOSchedulingPriority CPUSchedulingPolicy CPUSchedulingPriority CPUAffinity LimitCPU LimitFSIZE LimitDATA LimitSTACK LimitCORE \
LimitRSS LimitNOFILE LimitAS LimitNPROC LimitMEMLOCK LimitLOCKS LimitSIGPENDING LimitNICE PassEnvironment UnsetEnvironment \
StandardInput StandardOutput StandardError SyslogIdentifier SyslogFacility SyslogLevel LogLevelMax TTYPath CapabilityBoundingSet \
AmbientCapabilities SecureBits NoNewPrivileges ProtectSystem ProtectHome ProtectHostname ProtectClock ProtectKernelTunables \
ProtectKernelModules ProtectKernelLogs ProtectControlGroups ProtectProc ProcSubset PrivateTmp PrivateDevices PrivateNetwork \
PrivateUsers PrivateIPC PrivateMounts RestrictAddressFamilies RestrictNamespaces RestrictRealtime RestrictSUIDSGID RemoveIPC \
LockPersonality MemoryDenyWriteExecute SystemCallFilter SystemCallArchitectures SystemCallErrorNumber ReadWritePaths ReadOnlyPaths \
InaccessiblePaths BindPaths BindReadOnlyPaths TemporaryFileSystem RuntimeDirectory StateDirectory CacheDirectory LogsDirectory \
ConfigurationDirectory RuntimeDirectoryMode StateDirectoryMode CacheDirectoryMode LogsDirectoryMode ConfigurationDirectoryMode RuntimeDirectoryPreserve Slice Delegate CPUAccounting CPUWeight \
CPUShares MemoryAccounting MemoryMin MemoryLow MemoryHigh MemorySwapMax TasksAccounting IOAccounting IOWeight BlockIOWeight \
DeviceAllow DevicePolicy IPAddressAllow IPAddressDeny KeyringMode KillMode SendSIGKILL SendSIGHUP FinalKillSignal Personality \
IgnoreSIGPIPE LoadCredential SetCredential ReadWriteDirectories StartLimitInterval StartLimitIntervalSec StartLimitBurst StartLimitAction PermissionsStartOnly";
/// Keys of `[Service]` that are carried over.
const CARRIED: &[&str] = &[
    "Type",
    "ExecStart",
    "ExecStartPre",
    "ExecStartPost",
    "Environment",
    "EnvironmentFile",
    "WorkingDirectory",
    "User",
    "Restart",
    "RestartSec",
    "TimeoutSec",
    "TimeoutStopSec",
    "KillSignal",
    "MemoryMax",
    "MemoryLimit",
    "CPUQuota",
    "TasksMax",
];

/// Translates the unit.
#[must_use]
pub fn import(material: &Material<'_>) -> Imported {
    let mut page = Page::new(material);
    let mut imported = Imported::default();
    let settings = settings(&mut page, material.text);
    let unit = material.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name = unit.split('@').next().unwrap_or_default().to_owned();
    let mut lines: Vec<(Place, String)> = Vec::new();
    let nothing = page.told(Place::START, CommandLine::Shell(String::new()));
    let mut candidate = Candidate::new(page.told(Place::START, name.clone()), Runtime::Process(nothing));
    for setting in &settings {
        match setting.section.as_str() {
            "Unit" => unit_key(&mut page, setting, &mut candidate),
            "Service" if setting.key == "ExecStart" => {
                if setting.value.is_empty() {
                    lines.clear();
                } else {
                    lines.push((setting.value_at, setting.value.clone()));
                }
            }
            "Service" => service_key(&mut page, setting, &mut candidate),
            "Install" => {}
            other if other.starts_with("X-") => {}
            _ if page.is_full() => {}
            other => {
                let hint = did_you_mean(other, &["Unit", "Service", "Install"]);
                page.hint(setting.at, &format!("[{}]: a service has no such section", brief(other)), &hint);
            }
        }
    }
    if let Some(command) = command(&mut page, &lines) {
        candidate.runtime = Runtime::Process(command);
        imported.services.push(candidate);
    } else if lines.is_empty() {
        page.error(Place::START, &format!("{name}: the unit has no ExecStart"), "write ExecStart= under [Service]");
    }
    page.finish(imported)
}

/// One line as it is; several, one after the other, as systemd runs those of a oneshot.
fn command(page: &mut Page<'_>, lines: &[(Place, String)]) -> Option<Told<CommandLine>> {
    let commands: Vec<CommandLine> = lines.iter().filter_map(|(at, line)| exec(page, *at, line)).collect();
    let (at, _) = lines.first()?;
    let command = match commands.as_slice() {
        [] => return None,
        [one] => one.clone(),
        several => CommandLine::Shell(several.iter().map(CommandLine::display).collect::<Vec<_>>().join(" && ")),
    };
    Some(page.told(*at, command))
}

fn exec(page: &mut Page<'_>, at: Place, line: &str) -> Option<CommandLine> {
    let line = specified(page, "ExecStart", at, line);
    let rest = line.trim_start_matches(['@', '-', ':', '+', '!', '|']);
    let prefix = &line[..line.len() - rest.len()];
    if prefix.contains(['+', '!']) {
        page.lost(at, &format!("ExecStart: its prefix {prefix} is not carried over"), "cas gives no privileges");
    }
    if prefix.contains('-') {
        page.lost(at, "ExecStart: its prefix - is not carried over", "a failure is shown as one");
    }
    let mut words = match words(rest) {
        Ok(words) if !words.is_empty() => words,
        Ok(_) => {
            page.error(at, "ExecStart: it names no program", "");
            return None;
        }
        Err(why) => {
            page.error(at, &format!("ExecStart: {why}"), "quote as systemd.syntax(7) says");
            return None;
        }
    };
    if prefix.contains('@') && words.len() > 1 {
        let name = words.remove(1);
        page.lost(
            at,
            &format!("ExecStart: the name {} in place of the program's is not carried over", brief(&name.text)),
            "",
        );
    }
    if prefix.contains(':') || !words.iter().any(|word| word.text.contains('$')) {
        return Some(CommandLine::Argv(words.into_iter().map(|word| word.text).collect()));
    }
    // systemd fills in variables itself; here a shell does, with the same words as the result.
    let line: Vec<String> = words.iter().map(shell_word).collect();
    Some(CommandLine::Shell(format!("exec {}", line.join(" "))))
}

/// A word for a shell: `$VAR` alone may become several words, `${VAR}` never does, `$$` is a dollar sign.
fn shell_word(word: &Word) -> String {
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !word.is_quoted && word.text.strip_prefix('$').is_some_and(is_name) {
        return word.text.clone();
    }
    if !word.text.contains('$') {
        return shlex::try_quote(&word.text).map_or_else(|_| word.text.clone(), std::borrow::Cow::into_owned);
    }
    let mut quoted = String::from("\"");
    let mut rest = word.text.as_str();
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("$$") {
            quoted.push_str("\\$");
            rest = after;
            continue;
        }
        if let Some((name, after)) = rest.strip_prefix("${").and_then(|inner| inner.split_once('}'))
            && is_name(name)
        {
            quoted.push_str("${");
            quoted.push_str(name);
            quoted.push('}');
            rest = after;
            continue;
        }
        if matches!(c, '"' | '\\' | '`' | '$') {
            quoted.push('\\');
        }
        quoted.push(c);
        rest = &rest[c.len_utf8()..];
    }
    quoted.push('"');
    quoted
}

fn unit_key(page: &mut Page<'_>, setting: &Setting, candidate: &mut Candidate) {
    match setting.key.as_str() {
        "Description" => {
            let text = specified(page, "Description", setting.value_at, &setting.value);
            candidate.description = Some(page.told(setting.value_at, text));
        }
        "After" | "Requires" | "Wants" | "BindsTo" | "Requisite" => {
            for other in setting.value.split_whitespace() {
                needs(page, setting, other, candidate);
            }
        }
        "StartLimitInterval" | "StartLimitIntervalSec" | "StartLimitBurst" | "StartLimitAction" => {
            lost(page, setting, "cas gives up on its own terms: restart in cas.yaml");
        }
        "Conflicts" | "PartOf" | "Before" | "OnFailure" | "OnSuccess" => lost(page, setting, ""),
        key if key.starts_with("Condition") || key.starts_with("Assert") => lost(page, setting, "cas starts it always"),
        _ => {}
    }
}

fn needs(page: &mut Page<'_>, setting: &Setting, other: &str, candidate: &mut Candidate) {
    let Some(name) = other.strip_suffix(".service") else {
        // Targets, sockets and mounts are the system's; a project has none of them.
        return;
    };
    if !page.material.files.exists(&page.material.directory().join(other)) {
        let message = format!("{}: {} is no service of this project", setting.key, brief(other));
        page.lost(setting.value_at, &message, "start it before, or write it into cas.yaml");
        return;
    }
    let required = matches!(setting.key.as_str(), "Requires" | "BindsTo" | "Requisite");
    let needs = Dependency { condition: Condition::ServiceStarted, restart: setting.key == "BindsTo", required };
    let told = page.told(setting.value_at, needs);
    let name = name.split('@').next().unwrap_or(name).to_owned();
    let known = candidate.depends_on.entry(name).or_insert_with(|| told.clone());
    if required {
        *known = told;
    }
}

fn lost(page: &mut Page<'_>, setting: &Setting, hint: &str) {
    let value = if setting.value.is_empty() { "nothing".to_owned() } else { brief(&setting.value) };
    page.lost(setting.value_at, &format!("{}: {value} is not carried over", setting.key), hint);
}

fn service_key(page: &mut Page<'_>, setting: &Setting, candidate: &mut Candidate) {
    let (key, at) = (setting.key.as_str(), setting.value_at);
    let value = specified(page, key, at, &setting.value);
    match key {
        "Type" => kind(page, setting, &value, candidate),
        "ExecStartPre" => lost(page, setting, "write it as a task that this service depends on"),
        "ExecStartPost" | "ExecStop" | "ExecStopPost" | "ExecReload" => lost(page, setting, ""),
        "Environment" => environment(page, at, &value, candidate),
        "EnvironmentFile" => env_file(page, setting, &value, candidate),
        "WorkingDirectory" => {
            let path = value.trim_start_matches('-');
            let home = page.material.environment.get("HOME").cloned();
            let path = if path == "~" { home.map(PathBuf::from) } else { Some(tidy(&page.path(path))) };
            candidate.working_dir = path.map(|path| page.told(at, path));
        }
        "User" => candidate.user = Some(page.told(at, value)),
        "Restart" => restart(page, setting, &value, candidate),
        "RestartSec" => candidate.restart_delay = span(page, setting, &value).map(|delay| page.told(at, delay)),
        "TimeoutStopSec" | "TimeoutSec" => {
            candidate.stop_grace = span(page, setting, &value).map(|grace| page.told(at, grace));
        }
        "KillSignal" => match value.parse() {
            Ok(signal) => candidate.stop_signal = Some(page.told(at, signal)),
            Err(_) => page.error(
                at,
                &format!("KillSignal: \"{}\" is no signal that cas sends", brief(&value)),
                "write SIGTERM",
            ),
        },
        // Both streams are kept, and nothing is written to a service, whatever is said here.
        "StandardInput" if value == "null" => {}
        "StandardOutput" | "StandardError"
            if matches!(value.as_str(), "inherit" | "journal" | "syslog" | "kmsg" | "journal+console") => {}
        "KillMode" if matches!(value.as_str(), "control-group" | "mixed") => {}
        "MemoryMax" | "MemoryLimit" => {
            candidate.bounds.memory_bytes = bytes(page, setting, &value).map(|bytes| page.told(at, bytes));
        }
        "CPUQuota" => match value.trim_end_matches('%').trim().parse::<f64>() {
            Ok(percent) if value.ends_with('%') && percent > 0.0 && percent.is_finite() => {
                candidate.bounds.cpus = Some(page.told(at, percent / 100.0));
            }
            Ok(_) | Err(_) => {
                page.error(at, &format!("CPUQuota: \"{}\" is not a percentage", brief(&value)), "write 50%");
            }
        },
        "TasksMax" if value == "infinity" => {}
        "TasksMax" => match value.parse() {
            Ok(pids) => candidate.bounds.pids = Some(page.told(at, pids)),
            Err(_) => lost(page, setting, "write a number"),
        },
        key if key.starts_with("X-") => {}
        key if LOST.split_whitespace().any(|known| known == key) => lost(page, setting, ""),
        _ if page.is_full() => {}
        key => {
            let known: Vec<&str> = CARRIED.iter().copied().chain(LOST.split_whitespace()).collect();
            let near = crate::config::nearest::nearest(key, known);
            let hint = near.map(|near| format!("did you mean \"{near}\"?")).unwrap_or_default();
            page.hint(setting.at, &format!("Service.{}: cas does not know this key", brief(key)), &hint);
        }
    }
}

fn kind(page: &mut Page<'_>, setting: &Setting, value: &str, candidate: &mut Candidate) {
    match value {
        "simple" | "exec" | "idle" => {}
        "oneshot" => candidate.role = Role::Task,
        "forking" => lost(page, setting, "cas watches what it starts itself: start the program in the foreground"),
        "notify" | "notify-reload" | "dbus" => lost(page, setting, "a readiness probe says when the service is up"),
        other => {
            let hint = did_you_mean(
                other,
                &["simple", "exec", "forking", "oneshot", "dbus", "notify", "notify-reload", "idle"],
            );
            page.error(setting.value_at, &format!("Type: \"{}\" is no type of service", brief(other)), &hint);
        }
    }
}

fn environment(page: &mut Page<'_>, at: Place, value: &str, candidate: &mut Candidate) {
    if value.is_empty() {
        candidate.environment.clear();
        return;
    }
    match words(value) {
        Ok(words) => {
            for word in words {
                match word.text.split_once('=') {
                    Some((name, value)) => {
                        let told = page.told(at, Variable::Text(value.to_owned()));
                        candidate.environment.insert(name.to_owned(), told);
                    }
                    None => page.error(at, &format!("Environment: \"{}\" is not NAME=value", brief(&word.text)), ""),
                }
            }
        }
        Err(why) => page.error(at, &format!("Environment: {why}"), "quote as systemd.syntax(7) says"),
    }
}

fn env_file(page: &mut Page<'_>, setting: &Setting, value: &str, candidate: &mut Candidate) {
    if value.is_empty() {
        return candidate.env_files.clear();
    }
    let path = value.trim_start_matches('-');
    if path.contains(['*', '?', '[']) {
        return lost(page, setting, "name the file itself");
    }
    let file = EnvFile { path: page.path(path), required: !value.starts_with('-') };
    candidate.env_files.push(page.told(setting.value_at, file));
}

fn restart(page: &mut Page<'_>, setting: &Setting, value: &str, candidate: &mut Candidate) {
    let policy = match value {
        "no" => RestartPolicy::No,
        "always" => RestartPolicy::Always,
        "on-failure" => RestartPolicy::OnFailure { max_retries: None },
        "on-abnormal" | "on-abort" | "on-watchdog" => {
            page.lost(setting.value_at, &format!("Restart: {value} is taken as on-failure"), "");
            RestartPolicy::OnFailure { max_retries: None }
        }
        "on-success" => {
            page.lost(
                setting.value_at,
                "Restart: on-success is taken as no",
                "cas restarts always, on failure, or never",
            );
            RestartPolicy::No
        }
        other => {
            let known = ["no", "always", "on-success", "on-failure", "on-abnormal", "on-abort", "on-watchdog"];
            let hint = did_you_mean(other, &known);
            return page.error(setting.value_at, &format!("Restart: \"{}\" is no restart policy", brief(other)), &hint);
        }
    };
    candidate.restart = Some(page.told(setting.value_at, policy));
}

/// A time span: `5`, `5min 20s`, `100ms`; none and a note for `infinity`.
fn span(page: &mut Page<'_>, setting: &Setting, value: &str) -> Option<Duration> {
    if value == "infinity" || value == "0" && setting.key.starts_with("Timeout") {
        lost(page, setting, "cas has no span without an end");
        return None;
    }
    let seconds = value.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let span = seconds.or_else(|| humantime::parse_duration(value).ok());
    if span.is_none() {
        let message = format!("{}: \"{}\" is not a time span", setting.key, brief(value));
        page.error(setting.value_at, &message, "write 5, 5s or 1min 30s");
    }
    span
}

/// `512M`, `1.5G`; none and a note for a share of the machine.
fn bytes(page: &mut Page<'_>, setting: &Setting, value: &str) -> Option<u64> {
    if value == "infinity" {
        return None;
    }
    let number = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &value[number.len()..] {
        "" | "B" => Some(0),
        "K" => Some(10),
        "M" => Some(20),
        "G" => Some(30),
        "T" => Some(40),
        _ => None,
    };
    let number = number.trim().parse::<f64>().ok().filter(|number| *number >= 0.0 && number.is_finite());
    if let (Some(number), Some(shift)) = (number, shift) {
        Some((number * f64::from(shift).exp2()) as u64)
    } else {
        lost(page, setting, "write bytes, or 512M, or 2G");
        None
    }
}
