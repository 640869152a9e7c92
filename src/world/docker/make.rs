//! The container of a run: networks, volumes and the container itself by compose's rules, started. Promise: what is there and was made from the
//! same is used again, with what it wrote into itself; anything else is made anew. Never: removes a container that runs, or one that is not the service's.

use std::collections::HashMap;

use bollard::{
    models::{
        ContainerCreateBody, ContainerSummary, EndpointIpamConfig, EndpointSettings, HealthConfig, HostConfig,
        HostConfigLogConfig, Mount as DockerMount, MountTmpfsOptions, MountType, NetworkConnectRequest,
        NetworkCreateRequest, NetworkingConfig, PortBinding, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
        VolumeCreateRequest,
    },
    query_parameters::{CreateContainerOptions, ListContainersOptions},
};

use super::{
    Docker,
    call::{ANSWER, Failure, WORK},
    deeds, image, labels,
    look::Look,
};
use crate::model::{
    container::{ContainerSpec, Join, Mount, MountSource, Publish},
    deed::Remake,
    ids::RunId,
    probe::{Check, ProbeKind},
    secret::SecretValues,
    service::ServiceSpec,
};

/// What a container is made for.
pub(super) struct Wish<'w> {
    pub(super) run: RunId,
    pub(super) spec: &'w ServiceSpec,
    pub(super) container: &'w ContainerSpec,
    pub(super) secrets: &'w SecretValues,
    pub(super) remake: Remake,
}

/// A container that was started.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) look: Look,
    /// It ran already: somebody else had started it.
    pub(super) is_taken_over: bool,
    /// Nothing that it ever wrote was taken in.
    pub(super) is_fresh: bool,
}

/// True where the service's file says how it is asked whether it is ready: Docker does not ask besides.
pub(super) fn has_own_probe(spec: &ServiceSpec) -> bool {
    spec.probes.get(&ProbeKind::Readiness).is_some_and(|probe| matches!(probe.check, Check::Exec(_)))
}

/// Makes and starts it. An error is a sentence; `before` is told the id of what is about to be started.
pub(super) async fn make(
    docker: &Docker,
    wish: &Wish<'_>,
    before: &mut (dyn FnMut(&str) + Send),
) -> Result<Made, String> {
    let container = wish.container;
    docker.settled(ANSWER).await.map_err(|why| format!("Docker cannot be reached: {why}"))?;
    let there = of_service(docker, container).await.map_err(|failure| failure.told())?;
    // What runs is taken over, whatever it was made from: a second is never started.
    if let Some(running) = there.iter().find(|one| is_up(one)) {
        let id = running.id.clone().unwrap_or_default();
        before(&id);
        let look = look_at(docker, wish.spec, &id).await.map_err(|failure| failure.told())?;
        if look.is_running() {
            return Ok(Made { look, is_taken_over: true, is_fresh: false });
        }
    }
    let image_id = image::ensure(docker, container).await?;
    let hash = labels::hash(wish.spec, container, &image_id);
    // Values of secrets are in no hash: who has some is made anew each time.
    let is_same = |one: &ContainerSummary| {
        wish.remake == Remake::Nothing
            && wish.secrets.0.is_empty()
            && one.labels.as_ref().is_some_and(|labels| labels.get(labels::SPEC) == Some(&hash))
    };
    let mut kept = None;
    // Volumes without a name of the one that goes, by where they are seen.
    let mut carried = Vec::new();
    for one in there {
        let id = one.id.clone().unwrap_or_default();
        if kept.is_none() && is_same(&one) {
            kept = Some(id);
        } else {
            let volumes = wish.remake == Remake::WithVolumes;
            if !volumes && carried.is_empty() {
                carried = deeds::unnamed_volumes(docker, &id).await.map_err(|failure| failure.told())?;
            }
            deeds::remove(docker, &id, false, volumes)
                .await
                .map_err(|failure| format!("its old container cannot be removed: {}", failure.told()))?;
        }
    }
    networks(docker, container).await?;
    volumes(docker, container).await?;
    let is_fresh = kept.is_none();
    let id = match kept {
        Some(id) => id,
        None => create(docker, wish, &hash, &carried).await?,
    };
    before(&id);
    let started = {
        let id = id.clone();
        docker.call(WORK, |docker| async move { docker.start_container(&id, None).await }).await
    };
    started.map_err(|failure| explained(&failure))?;
    let look = look_at(docker, wish.spec, &id).await.map_err(|failure| failure.told())?;
    Ok(Made { look, is_taken_over: false, is_fresh })
}

pub(super) async fn look_at(docker: &Docker, spec: &ServiceSpec, id: &str) -> Result<Look, Failure> {
    Ok(Look::of(docker.inspect(id).await?, spec.limits.memory_bytes))
}

pub(super) fn is_up(one: &ContainerSummary) -> bool {
    let state = one.state.map(|state| state.to_string()).unwrap_or_default();
    matches!(state.as_str(), "running" | "paused" | "restarting")
}

/// All containers that are labelled as those of the service.
pub(super) async fn of_service(docker: &Docker, container: &ContainerSpec) -> Result<Vec<ContainerSummary>, Failure> {
    let wanted = vec![
        format!("{}={}", labels::PROJECT, container.project),
        format!("{}={}", labels::SERVICE, container.service),
    ];
    let filters = Some(HashMap::from([("label".to_owned(), wanted)]));
    let options = ListContainersOptions { all: true, filters, ..ListContainersOptions::default() };
    let mut all = docker.list(options).await?;
    all.retain(|one| {
        one.labels.as_ref().and_then(labels::of_compose).is_some_and(|labels| labels::fit(container, &labels))
    });
    Ok(all)
}

/// What people can do about the usual refusals.
fn explained(failure: &Failure) -> String {
    let told = failure.told();
    let hint = match failure {
        Failure::Refused { message, .. }
            if message.contains("port is already allocated") || message.contains("address already in use") =>
        {
            "; stop what listens there, or publish another port"
        }
        Failure::Refused { message, .. } if message.contains("executable file not found") => {
            "; the image has no such program: correct command or entrypoint"
        }
        Failure::Refused { .. } | Failure::Away(_) | Failure::Odd(_) => "",
    };
    format!("{told}{hint}")
}

/// Networks of the project's own that are not there.
async fn networks(docker: &Docker, container: &ContainerSpec) -> Result<(), String> {
    if container.network_mode.is_some() {
        return Ok(());
    }
    for Join { network: key, .. } in &container.networks {
        network(docker, container, key).await?;
    }
    Ok(())
}

async fn network(docker: &Docker, container: &ContainerSpec, key: &str) -> Result<(), String> {
    let name = container.network_name(key);
    // Services of one project start at the same time, and their network is made once.
    let _alone = docker.networks.lock().await;
    let asked = name.clone();
    match docker.call(ANSWER, |docker| async move { docker.inspect_network(&asked, None).await }).await {
        Ok(_) => return Ok(()),
        Err(failure) if failure.is_missing() => {}
        Err(Failure::Refused { message, .. }) if message.contains("ambiguous") => {
            return Err(format!(
                "several networks have the name {name}: docker network ls --filter name={name} has their ids, remove all but one"
            ));
        }
        Err(failure) => return Err(failure.told()),
    }
    let declared = container.network_resources.get(key).cloned().unwrap_or_default();
    if declared.is_external {
        return Err(format!("the network {name} is declared external and is not there: docker network create {name}"));
    }
    let request = NetworkCreateRequest {
        name: name.clone(),
        driver: declared.driver,
        internal: declared.is_internal.then_some(true),
        options: Some(declared.driver_opts.into_iter().collect()),
        labels: Some(labels::of_network(container, key)),
        ..NetworkCreateRequest::default()
    };
    match docker.call(WORK, |docker| async move { docker.create_network(request).await }).await {
        // Somebody else was quicker.
        Ok(_) | Err(Failure::Refused { status: 409, .. }) => Ok(()),
        Err(failure) => Err(format!("its network {name} cannot be made: {}", failure.told())),
    }
}

async fn volumes(docker: &Docker, container: &ContainerSpec) -> Result<(), String> {
    for mount in &container.mounts {
        let MountSource::Volume(key) = &mount.source else { continue };
        let name = container.volume_name(key);
        let asked = name.clone();
        match docker.call(ANSWER, |docker| async move { docker.inspect_volume(&asked).await }).await {
            Ok(_) => continue,
            Err(failure) if failure.is_missing() => {}
            Err(failure) => return Err(failure.told()),
        }
        let declared = container.volume_resources.get(key).cloned().unwrap_or_default();
        if declared.is_external {
            return Err(format!(
                "the volume {name} is declared external and is not there: docker volume create {name}"
            ));
        }
        let request = VolumeCreateRequest {
            name: Some(name.clone()),
            driver: declared.driver,
            driver_opts: Some(declared.driver_opts.into_iter().collect()),
            labels: Some(labels::of_volume(container, key)),
            ..VolumeCreateRequest::default()
        };
        docker
            .call(WORK, |docker| async move { docker.create_volume(request).await })
            .await
            .map_err(|failure| format!("its volume {name} cannot be made: {}", failure.told()))?;
    }
    Ok(())
}

async fn create(docker: &Docker, wish: &Wish<'_>, hash: &str, carried: &[(String, String)]) -> Result<String, String> {
    let container = wish.container;
    let name = container.name();
    let options =
        CreateContainerOptions { name: Some(name.clone()), platform: container.platform.clone().unwrap_or_default() };
    let body = body(wish, hash, carried);
    let made = docker.call(WORK, |docker| async move { docker.create_container(Some(options), body).await }).await;
    let id = match made {
        Ok(made) => made.id,
        Err(Failure::Refused { status: 409, message }) => {
            return Err(format!(
                "another container, which is not this service's, has the name {name} ({message}): rename or remove it"
            ));
        }
        Err(failure) => return Err(format!("its container cannot be made: {}", failure.told())),
    };
    // What is created joins one network; the others come before it starts.
    for join in container.networks.iter().skip(1).filter(|_| container.network_mode.is_none()) {
        let network = container.network_name(&join.network);
        let request = NetworkConnectRequest { container: id.clone(), endpoint_config: Some(endpoint(container, join)) };
        let asked = network.clone();
        let joined = docker.call(WORK, |docker| async move { docker.connect_network(&asked, request).await }).await;
        if let Err(failure) = joined {
            // Half a container must not be taken for a whole one by the next start.
            let _left = deeds::remove(docker, &id, true, false).await;
            return Err(format!("its network {network} cannot be joined: {}", failure.told()));
        }
    }
    Ok(id)
}

fn endpoint(container: &ContainerSpec, join: &Join) -> EndpointSettings {
    let aliases = std::iter::once(container.service.clone()).chain(join.aliases.iter().cloned()).collect();
    let fixed = join.ipv4_address.clone();
    EndpointSettings {
        aliases: Some(aliases),
        ipam_config: fixed
            .map(|address| EndpointIpamConfig { ipv4_address: Some(address), ..EndpointIpamConfig::default() }),
        ..EndpointSettings::default()
    }
}

fn body(wish: &Wish<'_>, hash: &str, carried: &[(String, String)]) -> ContainerCreateBody {
    let Wish { run, spec, container, secrets, remake: _ } = wish;
    let variables = spec
        .environment
        .iter()
        .chain(secrets.0.iter().map(|(name, value)| (name, value)))
        .map(|(name, value)| format!("{name}={value}"));
    let first = container.networks.first().filter(|_| container.network_mode.is_none());
    let networking = first.map(|join| NetworkingConfig {
        endpoints_config: Some(HashMap::from([(container.network_name(&join.network), endpoint(container, join))])),
    });
    let all = container.ports.iter().chain(&container.expose).map(port_key).collect::<Vec<_>>();
    ContainerCreateBody {
        hostname: container.hostname.clone(),
        user: container.user.clone(),
        tty: Some(spec.tty),
        open_stdin: Some(container.stdin_open || spec.tty),
        env: Some(variables.collect()),
        cmd: container.command.clone(),
        entrypoint: container.entrypoint.clone(),
        image: Some(container.tag()),
        working_dir: container.working_dir.clone(),
        exposed_ports: Some(all),
        labels: Some(labels::of_container(container, hash, run.0)),
        stop_signal: Some(spec.stop.signal.to_string()),
        stop_timeout: i64::try_from(spec.stop.grace.as_secs().max(1)).ok(),
        healthcheck: has_own_probe(spec)
            .then(|| HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }),
        host_config: Some(host_config(spec, container, first, carried)),
        networking_config: networking,
        ..ContainerCreateBody::default()
    }
}

fn host_config(
    spec: &ServiceSpec,
    container: &ContainerSpec,
    first: Option<&Join>,
    carried: &[(String, String)],
) -> HostConfig {
    let network_mode =
        container.network_mode.clone().or_else(|| first.map(|join| container.network_name(&join.network)));
    let tmpfs = container.mounts.iter().filter(|mount| mount.source == MountSource::Tmpfs);
    let tmpfs: HashMap<String, String> = tmpfs.map(|mount| (mount.target.clone(), String::new())).collect();
    let binds: Vec<String> = container.mounts.iter().filter_map(|mount| bind(container, mount)).collect();
    let ulimits = container.ulimits.iter().map(|(name, (soft, hard))| ResourcesUlimits {
        name: Some(name.clone()),
        soft: Some(*soft),
        hard: Some(*hard),
    });
    let some = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    HostConfig {
        binds: Some(binds),
        tmpfs: (!tmpfs.is_empty()).then_some(tmpfs),
        mounts: Some(anonymous(container, carried)),
        network_mode,
        port_bindings: Some(container.ports.iter().fold(HashMap::new(), |mut all, port| {
            let binding = PortBinding {
                host_ip: port.address.clone(),
                host_port: Some(port.host.map_or_else(String::new, |port| port.to_string())),
            };
            let entry: &mut Option<Vec<PortBinding>> = all.entry(port_key(port)).or_insert_with(|| Some(Vec::new()));
            entry.get_or_insert_with(Vec::new).push(binding);
            all
        })),
        // One healer only.
        restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None }),
        log_config: None::<HostConfigLogConfig>,
        memory: spec.limits.memory_bytes.and_then(|bytes| i64::try_from(bytes).ok()),
        // What may not have more memory does not swap either.
        memory_swap: spec.limits.memory_bytes.and_then(|bytes| i64::try_from(bytes).ok()),
        nano_cpus: spec.limits.cpus.map(|cpus| (cpus * 1e9) as i64),
        pids_limit: spec.limits.pids.map(i64::from),
        cap_add: some(&container.cap_add),
        cap_drop: some(&container.cap_drop),
        security_opt: some(&container.security_opt),
        group_add: some(&container.group_add),
        extra_hosts: some(&container.extra_hosts),
        dns: some(&container.dns),
        privileged: Some(container.privileged),
        readonly_rootfs: Some(container.read_only),
        init: container.init,
        shm_size: container.shm_bytes.and_then(|bytes| i64::try_from(bytes).ok()),
        sysctls: (!container.sysctls.is_empty()).then(|| container.sysctls.clone().into_iter().collect()),
        ulimits: (!container.ulimits.is_empty()).then(|| ulimits.collect()),
        ..HostConfig::default()
    }
}

fn port_key(port: &Publish) -> String {
    format!("{}/{}", port.target, if port.is_udp { "udp" } else { "tcp" })
}

/// In Docker's short form, which makes a directory that is not there.
fn bind(container: &ContainerSpec, mount: &Mount) -> Option<String> {
    let source = match &mount.source {
        MountSource::Bind(path) => path.clone(),
        MountSource::Volume(key) => container.volume_name(key),
        MountSource::Anonymous | MountSource::Tmpfs => return None,
    };
    Some(format!("{source}:{}:{}", mount.target, if mount.read_only { "ro" } else { "rw" }))
}

/// Volumes without a name: those that the file declares, and those that the one before had (`carried`, by where it saw them), be it that its image
/// declares them.
fn anonymous(container: &ContainerSpec, carried: &[(String, String)]) -> Vec<DockerMount> {
    let of = |target: &str, read_only: bool| DockerMount {
        source: carried.iter().find(|(at, _)| at == target).map(|(_, name)| name.clone()),
        target: Some(target.to_owned()),
        typ: Some(MountType::VOLUME),
        read_only: Some(read_only),
        tmpfs_options: None::<MountTmpfsOptions>,
        ..DockerMount::default()
    };
    let declared: Vec<&Mount> =
        container.mounts.iter().filter(|mount| mount.source == MountSource::Anonymous).collect();
    let undeclared = carried.iter().filter(|(at, _)| !declared.iter().any(|mount| mount.target == *at));
    declared
        .iter()
        .map(|mount| of(&mount.target, mount.read_only))
        .chain(undeclared.map(|(at, _)| of(at, false)))
        .collect()
}
