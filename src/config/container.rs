//! Services that are containers: from `cas.yaml` and from compose files, in compose's words. Promise: what a key says is what compose makes of it.
//! Never: asks the engine of containers.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    import::{self, Candidate, Container, PortUse, Told, Variable, compose},
    nearest::did_you_mean,
    problems::Place,
    reader::{Fields, Reader},
    schema,
    tree::{Node, Shape},
};
use crate::model::{
    container::{Build, ContainerSpec, Join, Mount, MountSource, Publish, PullPolicy, project_name},
    ids::ProjectName,
    occasion::Occasions,
    probe::{Check, Probe, ProbeKind},
    service::CommandLine,
};

/// Keys that make a service a container.
const KEYS: [&str; 2] = ["image", "build"];
/// The words of `pull_policy`.
const PULL_POLICIES: [&str; 5] = ["missing", "if_not_present", "always", "never", "build"];
/// Docker says itself when it knows more: this only asks what was heard.
const HEARD_EVERY: Duration = Duration::from_secs(1);
/// A container whose own check has not passed yet is waited for.
const HEARD_WITHIN: Duration = Duration::from_mins(10);

/// Keys that mean something to containers alone.
const ONLY: [&str; 22] = [
    "entrypoint",
    "volumes",
    "networks",
    "network_mode",
    "labels",
    "container_name",
    "hostname",
    "platform",
    "pull_policy",
    "extra_hosts",
    "dns",
    "group_add",
    "cap_add",
    "cap_drop",
    "security_opt",
    "privileged",
    "read_only",
    "stdin_open",
    "init",
    "shm_size",
    "tmpfs",
    "sysctls",
];

/// Keys of containers that a process has.
fn tell_unused(reader: &mut Reader<'_>, fields: &Fields<'_>) {
    for (key, _) in ONLY.into_iter().filter_map(|key| fields.find(key)) {
        let (at, message) = (key.at, format!("{}: not used", key.text));
        if &*key.text == "entrypoint" {
            reader.error(at, "entrypoint: a process has none", "put the whole line into command, or give it an image:");
        } else {
            reader.note(at, message, "only a container has it, which is what has image: or build:");
        }
    }
}

/// True where the keys of a service in `cas.yaml` make it a container.
pub(crate) fn is_one(fields: &Fields<'_>) -> bool {
    KEYS.into_iter().any(|key| fields.get(key).is_some())
}

/// One of which nothing is said but that it is one; project and service come later.
fn blank() -> ContainerSpec {
    ContainerSpec { image: None, ..ContainerSpec::of("", "", "") }
}

/// What is asked of a container whose file says no probe: what Docker knows.
pub(crate) fn own_health() -> (ProbeKind, Arc<Probe>) {
    let probe = Probe {
        check: Check::Container,
        interval: HEARD_EVERY,
        timeout: HEARD_WITHIN,
        retries: 1,
        successes: 1,
        start_period: Duration::ZERO,
        // Docker says so after failures of its own counting.
        heals: true,
        honest: true,
    };
    (ProbeKind::Readiness, Arc::new(probe))
}

/// The finished spec: of project and service, with what follows from those.
pub(crate) fn finish(
    mut spec: ContainerSpec,
    project: &ProjectName,
    service: &str,
    occasions: &Occasions,
    (root, file): (&Path, &Path),
) -> Arc<ContainerSpec> {
    // Where the name is the directory's, compose makes its own of that.
    let directory = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let is_of_directory = super::project::name_of(root) == *project;
    spec.project = project_name(if is_of_directory { &directory } else { project.as_str() });
    (spec.service, spec.number) = match &occasions.replica {
        Some(replica) => (replica.of.to_string(), replica.number),
        None => (service.to_owned(), 1),
    };
    root.clone_into(&mut spec.root);
    spec.files = vec![file.to_owned()];
    if spec.network_mode.is_none() && spec.networks.is_empty() {
        spec.networks.push(Join { network: "default".to_owned(), aliases: Vec::new(), ipv4_address: None });
    }
    // A service of the same project, by compose's word.
    if let Some(other) = spec.network_mode.as_deref().and_then(|mode| mode.strip_prefix("service:")) {
        spec.network_mode = Some(format!("container:{}-{other}-1", spec.project));
    }
    if occasions.replica.as_ref().is_some_and(|replica| replica.count > 1) {
        // One name is for one container.
        spec.container_name = None;
    }
    Arc::new(spec)
}

/// What is shown as its command.
pub(crate) fn shown(spec: &ContainerSpec) -> CommandLine {
    let image = match (&spec.image, &spec.build) {
        (Some(image), _) => image.clone(),
        (None, Some(build)) => format!("(built from {})", build.context),
        (None, None) => "(no image)".to_owned(),
    };
    let own = spec.entrypoint.iter().chain(&spec.command).flatten().cloned();
    CommandLine::Argv(std::iter::once(image).chain(own).collect())
}

/// TCP ports of this machine that it is published at.
pub(crate) fn host_ports(spec: &ContainerSpec) -> Vec<u16> {
    spec.ports.iter().filter(|port| !port.is_udp).filter_map(|port| port.host).collect()
}

/// From a file of another tool.
pub(crate) fn of_candidate(
    candidate: &Candidate,
    container: &Container,
    variable: &dyn Fn(&str) -> Option<String>,
) -> ContainerSpec {
    let import::Details { published, tmpfs, mut spec } = container.details.as_deref().cloned().unwrap_or_default();
    let value = |(name, value): (&String, &Variable)| {
        let value = match value {
            Variable::Text(text) => Some(text.clone()),
            Variable::Inherited => variable(name),
        };
        value.map(|value| (name.clone(), value))
    };
    spec.image = container.image.as_ref().map(|told| told.value.clone());
    spec.build = container.build.as_ref().map(|Told { value: build, .. }| Build {
        context: build.context.clone(),
        dockerfile: build.dockerfile.clone(),
        target: build.target.clone(),
        args: build.args.iter().filter_map(value).collect(),
    });
    spec.entrypoint = container.entrypoint.as_ref().map(|told| told.value.clone());
    spec.command = container.command.as_ref().map(|told| told.value.clone());
    spec.working_dir = candidate.working_dir.as_ref().map(|told| told.value.display().to_string());
    spec.user = candidate.user.as_ref().map(|told| told.value.clone());
    spec.labels.clone_from(&container.labels);
    spec.mounts =
        container.volumes.iter().map(|told| mount(&told.value)).chain(tmpfs.iter().map(|at| memory(at))).collect();
    if spec.networks.is_empty() && spec.network_mode.is_none() {
        let join = |told: &Told<String>| Join { network: told.value.clone(), aliases: Vec::new(), ipv4_address: None };
        spec.networks = container.networks.iter().map(join).collect();
    }
    for (index, told) in candidate.ports.iter().enumerate() {
        let PortUse { address, host, target, is_udp } = told.value.clone();
        let port = Publish { address, host, target, is_udp };
        // What has no port of this machine is only listened on, unless it is said to be published anywhere.
        if port.host.is_some() || index < published { spec.ports.push(port) } else { spec.expose.push(port) }
    }
    spec
}

fn memory(at: &str) -> Mount {
    let target = at.split(':').next().unwrap_or(at).to_owned();
    Mount { source: MountSource::Tmpfs, target, read_only: false }
}

/// From compose's short form, sources absolute or names of volumes.
fn mount(text: &str) -> Mount {
    let (source, target, mode) = compose::split_mount(text);
    let read_only = mode.is_some_and(|mode| mode.split(',').any(|word| word == "ro"));
    let source = match source {
        None => MountSource::Anonymous,
        Some(path) if path.starts_with('/') => MountSource::Bind(path.to_owned()),
        Some(name) => MountSource::Volume(name.to_owned()),
    };
    Mount { source, target: target.to_owned(), read_only }
}

/// From `cas.yaml`; none where it is a process, or after an error that leaves nothing to run.
pub(crate) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<ContainerSpec> {
    if !is_one(fields) {
        tell_unused(reader, fields);
        return None;
    }
    let mut spec = blank();
    let text = |reader: &mut Reader<'_>, key: &str| fields.get(key).and_then(|node| reader.text(key, node));
    let texts = |reader: &mut Reader<'_>, key: &str| {
        fields.get(key).and_then(|node| reader.texts(key, node)).unwrap_or_default()
    };
    let truth = |reader: &mut Reader<'_>, key: &str| fields.get(key).and_then(|node| reader.truth(key, node));
    spec.image = text(reader, "image");
    spec.build = fields.get("build").and_then(|node| build(reader, node));
    spec.entrypoint = fields.get("entrypoint").and_then(|node| words(reader, "entrypoint", node));
    spec.command = match (fields.get("command"), fields.get("shell")) {
        (Some(_), Some(shell)) => {
            reader.error(shell.at, "shell: there is a command, too", "keep one of the two");
            None
        }
        (Some(node), None) => words(reader, "command", node),
        (None, Some(node)) => reader.text("shell", node).map(|line| vec!["/bin/sh".to_owned(), "-c".to_owned(), line]),
        (None, None) => None,
    };
    spec.working_dir = text(reader, "working_dir");
    spec.user = text(reader, "user");
    spec.container_name = text(reader, "container_name");
    spec.hostname = text(reader, "hostname");
    spec.platform = text(reader, "platform");
    spec.network_mode = text(reader, "network_mode");
    spec.pull_policy = fields.get("pull_policy").and_then(|node| pull_policy(reader, node)).unwrap_or_default();
    spec.extra_hosts = texts(reader, "extra_hosts");
    spec.dns = texts(reader, "dns");
    spec.group_add = texts(reader, "group_add");
    spec.cap_add = texts(reader, "cap_add");
    spec.cap_drop = texts(reader, "cap_drop");
    spec.security_opt = texts(reader, "security_opt");
    spec.privileged = truth(reader, "privileged").unwrap_or(false);
    spec.read_only = truth(reader, "read_only").unwrap_or(false);
    spec.stdin_open = truth(reader, "stdin_open").unwrap_or(false);
    spec.init = truth(reader, "init");
    spec.shm_bytes = fields.get("shm_size").and_then(|node| reader.size("shm_size", node, 1));
    spec.labels = fields.get("labels").map(|node| pairs(reader, "labels", node)).unwrap_or_default();
    spec.sysctls = fields.get("sysctls").map(|node| pairs(reader, "sysctls", node)).unwrap_or_default();
    spec.ulimits = fields.get("ulimits").map(|node| ulimits(reader, node)).unwrap_or_default();
    spec.mounts = texts(reader, "volumes").iter().filter_map(|text| written_mount(reader, fields, text)).collect();
    spec.mounts.extend(texts(reader, "tmpfs").iter().map(|at| memory(at)));
    spec.networks = fields.get("networks").map(|node| networks(reader, node)).unwrap_or_default();
    spec.ports = fields.get("ports").map(|node| ports(reader, node)).unwrap_or_default();
    (spec.image.is_some() || spec.build.is_some()).then_some(spec)
}

/// A list, or a line that is split as a shell would.
fn words(reader: &mut Reader<'_>, key: &str, node: &Node) -> Option<Vec<String>> {
    match &node.shape {
        Shape::List(_) => reader.texts(key, node),
        Shape::Scalar { .. } => {
            let line = reader.text(key, node)?;
            let words = shlex::split(&line);
            if words.is_none() {
                let message = format!("{key}: \"{line}\" has a quote that is never closed");
                reader.error(node.at, message, "close it, or write it as a list");
            }
            words
        }
        Shape::Map(_) => {
            reader.wrong_form(key, node, "text or a list", &format!("write {key}: program argument …"));
            None
        }
    }
}

fn build(reader: &mut Reader<'_>, node: &Node) -> Option<Build> {
    let none = |context| Build { context, dockerfile: None, target: None, args: BTreeMap::new() };
    if let Shape::Scalar { .. } = &node.shape {
        let text = reader.text("build", node)?;
        let context = context(reader, &text, node.at);
        return Some(none(context));
    }
    let fields = reader.fields("build", node, &schema::BUILD)?;
    let (text, at) = match fields.get("context") {
        Some(node) => (reader.text("context", node)?, node.at),
        None => (".".to_owned(), node.at),
    };
    Some(Build {
        dockerfile: fields.get("dockerfile").and_then(|node| reader.text("dockerfile", node)),
        target: fields.get("target").and_then(|node| reader.text("target", node)),
        args: fields.get("args").map(|node| pairs(reader, "args", node)).unwrap_or_default(),
        ..none(context(reader, &text, at))
    })
}

/// An absolute directory, or a URL as written.
fn context(reader: &mut Reader<'_>, text: &str, at: Place) -> String {
    let is_remote = text.contains("://") || text.starts_with("git@") || text.starts_with("github.com/");
    if is_remote {
        return text.to_owned();
    }
    let directory = absolute(reader, text);
    if !directory.is_dir() {
        let message = format!("build: there is no directory {}", directory.display());
        reader.error(at, message, "make it, or write a path relative to this file");
    }
    directory.display().to_string()
}

fn absolute(reader: &Reader<'_>, text: &str) -> PathBuf {
    let home = reader.environment.get("HOME").map(String::as_str);
    compose::absolute(text, &reader.root, home)
}

fn pull_policy(reader: &mut Reader<'_>, node: &Node) -> Option<PullPolicy> {
    let text = reader.text("pull_policy", node)?;
    let policy = PullPolicy::parse(&text);
    if policy.is_none() {
        let message = format!("pull_policy: \"{text}\" is not one");
        reader.error(node.at, message, did_you_mean(&text, &PULL_POLICIES));
    }
    policy
}

/// A map, or a list of `NAME=value`.
fn pairs(reader: &mut Reader<'_>, key: &str, node: &Node) -> BTreeMap<String, String> {
    match &node.shape {
        Shape::Map(entries) => entries
            .iter()
            .filter_map(|(name, value)| {
                let text = if value.is_null() { Some(String::new()) } else { reader.text(key, value) };
                Some((name.text.to_string(), text?))
            })
            .collect(),
        Shape::List(_) => {
            let all = reader.texts(key, node).unwrap_or_default();
            all.iter()
                .map(|text| text.split_once('=').unwrap_or((text, "")))
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
                .collect()
        }
        Shape::Scalar { .. } => {
            reader.wrong_form(key, node, "a map or a list", "write NAME: value, one a line");
            BTreeMap::new()
        }
    }
}

/// `nofile: 1024`, or `{soft, hard}`.
fn ulimits(reader: &mut Reader<'_>, node: &Node) -> BTreeMap<String, (i64, i64)> {
    let Shape::Map(entries) = &node.shape else {
        reader.wrong_form("ulimits", node, "a map", "write nofile: 1024, one limit a line");
        return BTreeMap::new();
    };
    let mut all = BTreeMap::new();
    for (name, value) in entries {
        let both = if let Shape::Map(bounds) = &value.shape {
            let mut bound = |key: &str| {
                let (_, node) = bounds.iter().find(|(name, _)| &*name.text == key)?;
                ulimit(reader, node)
            };
            let (soft, hard) = (bound("soft"), bound("hard"));
            if soft.is_none() || hard.is_none() {
                reader.error(
                    value.at,
                    format!("ulimits.{}: soft and hard are needed", name.text),
                    "write {soft: 1024, hard: 4096}",
                );
            }
            soft.zip(hard)
        } else {
            ulimit(reader, value).map(|one| (one, one))
        };
        all.extend(both.map(|both| (name.text.to_string(), both)));
    }
    all
}

fn ulimit(reader: &mut Reader<'_>, node: &Node) -> Option<i64> {
    reader.parsed("ulimits", node, "write a number, or unlimited", |text| match text {
        "unlimited" | "-1" => Ok(-1),
        text => text.parse::<i64>().map_err(|_| "is not a number".to_owned()),
    })
}

fn written_mount(reader: &mut Reader<'_>, fields: &Fields<'_>, text: &str) -> Option<Mount> {
    let (source, target, mode) = compose::split_mount(text);
    if target.is_empty() || source == Some("") {
        let at = fields.get("volumes").map_or(fields.at, |node| node.at);
        let hint = "write ./source:/target, name:/target or /target";
        reader.error(at, format!("volumes: \"{text}\" is not a mount"), hint);
        return None;
    }
    let source = source.map(|source| {
        if source.starts_with(['/', '.', '~']) {
            absolute(reader, source).display().to_string()
        } else {
            source.to_owned()
        }
    });
    let whole = source.into_iter().chain([target.to_owned()]).chain(mode.map(str::to_owned));
    Some(mount(&whole.collect::<Vec<_>>().join(":")))
}

fn networks(reader: &mut Reader<'_>, node: &Node) -> Vec<Join> {
    let plain = |network: String| Join { network, aliases: Vec::new(), ipv4_address: None };
    let Shape::Map(entries) = &node.shape else {
        return reader.texts("networks", node).unwrap_or_default().into_iter().map(plain).collect();
    };
    let mut joins = Vec::new();
    for (name, value) in entries {
        let mut join = plain(name.text.to_string());
        if !value.is_null()
            && let Some(fields) = reader.fields("networks", value, &schema::JOINED)
        {
            join.aliases = fields.get("aliases").and_then(|node| reader.texts("aliases", node)).unwrap_or_default();
            join.ipv4_address = fields.get("ipv4_address").and_then(|node| reader.text("ipv4_address", node));
        }
        joins.push(join);
    }
    joins
}

/// `80`, `8080:80`, `127.0.0.1:8080:80/udp`, ranges of one length.
fn ports(reader: &mut Reader<'_>, node: &Node) -> Vec<Publish> {
    let Shape::List(items) = &node.shape else { return Vec::new() };
    let mut all = Vec::new();
    for item in items {
        let Shape::Scalar { .. } = &item.shape else {
            let Some(fields) = reader.fields("ports", item, &schema::PUBLISHED) else { continue };
            let number = |reader: &mut Reader<'_>, key: &str| fields.get(key).and_then(|node| reader.text(key, node));
            let target = number(reader, "target").and_then(|text| text.parse().ok());
            let Some(target) = target else {
                reader.error(item.at, "ports: an entry without a target", "write target: 80");
                continue;
            };
            let host = number(reader, "published").and_then(|text| text.parse().ok());
            let is_udp = number(reader, "protocol").as_deref() == Some("udp");
            all.push(Publish { address: number(reader, "host_ip"), host, target, is_udp });
            continue;
        };
        let Some(text) = reader.text("ports", item) else { continue };
        match published(&text) {
            Ok(ports) => all.extend(ports),
            Err(why) => {
                let hint = "write 80, \"8080:80\", \"127.0.0.1:8080:80/udp\" or ranges of one length";
                reader.error(item.at, format!("ports: \"{text}\" {why}"), hint);
            }
        }
    }
    all
}

fn published(text: &str) -> Result<Vec<Publish>, String> {
    let (addresses, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let mut parts = addresses.rsplitn(3, ':');
    let targets = super::ports::parse_range(parts.next().unwrap_or_default())?;
    let host = parts.next().filter(|host| !host.is_empty() && *host != "0");
    let address = parts.next().filter(|address| !address.is_empty());
    let address = address.map(|address| address.trim_matches(['[', ']']).to_owned());
    let is_udp = match protocol {
        "tcp" => false,
        "udp" => true,
        other => return Err(format!("names the protocol {other}, and only tcp and udp are published")),
    };
    let hosts = match host {
        Some(host) => super::ports::parse_range(host)?.into_iter().map(Some).collect(),
        None => vec![None; targets.len()],
    };
    if hosts.len() != targets.len() {
        return Err("has two ranges of different lengths".to_owned());
    }
    let port = |(host, target)| Publish { address: address.clone(), host, target, is_udp };
    Ok(hosts.into_iter().zip(targets).map(port).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_a_path_a_volume_memory_or_nobody_s() {
        for (text, source, target, read_only) in [
            ("/data:/var/lib:ro", MountSource::Bind("/data".to_owned()), "/var/lib", true),
            ("data:/var/lib", MountSource::Volume("data".to_owned()), "/var/lib", false),
            ("/var/lib", MountSource::Anonymous, "/var/lib", false),
        ] {
            assert_eq!(mount(text), Mount { source, target: target.to_owned(), read_only });
        }
    }

    #[test]
    fn ports_are_published_as_they_are_written() {
        let one = |address: Option<&str>, host, target, is_udp| Publish {
            address: address.map(str::to_owned),
            host,
            target,
            is_udp,
        };
        assert_eq!(published("80").unwrap(), [one(None, None, 80, false)]);
        assert_eq!(published("127.0.0.1:8080:80/udp").unwrap(), [one(Some("127.0.0.1"), Some(8080), 80, true)]);
        assert_eq!(
            published("[::1]:1-2:3-4").unwrap(),
            [one(Some("::1"), Some(1), 3, false), one(Some("::1"), Some(2), 4, false)]
        );
        assert!(published("1-3:1-2").is_err());
    }
}
