//! What containers, networks and volumes are labelled with, so that `docker compose ps` and we agree whose they are. Never: trusts a label of somebody
//! else's to say what a container runs.

use std::{collections::HashMap, fmt::Write as _};

use serde::Serialize;

use crate::{
    model::{
        container::ContainerSpec,
        service::{Limits, ServiceSpec, StopPlan},
    },
    shim_format::fnv1a,
};

/// Compose's labels (`pkg/api/labels.go` of <https://github.com/docker/compose>).
pub(super) const PROJECT: &str = "com.docker.compose.project";
pub(super) const SERVICE: &str = "com.docker.compose.service";
const NUMBER: &str = "com.docker.compose.container-number";
const ONEOFF: &str = "com.docker.compose.oneoff";
const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
const CONFIG_FILES: &str = "com.docker.compose.project.config_files";
const CONFIG_HASH: &str = "com.docker.compose.config-hash";
const VERSION: &str = "com.docker.compose.version";
const NETWORK: &str = "com.docker.compose.network";
const VOLUME: &str = "com.docker.compose.volume";
/// Our own: what it was made from.
pub(super) const SPEC: &str = "io.cas.spec";
/// Our own: the run that it was made for.
pub(super) const RUN: &str = "io.cas.run";

/// Project, service and number of a container that compose, or we, made for a service.
pub(super) fn of_compose(labels: &HashMap<String, String>) -> Option<(String, String, u32)> {
    if labels.get(ONEOFF).is_some_and(|oneoff| oneoff.eq_ignore_ascii_case("true")) {
        return None;
    }
    let number = labels.get(NUMBER).and_then(|number| number.parse().ok()).unwrap_or(1);
    Some((labels.get(PROJECT)?.clone(), labels.get(SERVICE)?.clone(), number))
}

/// True where these are the labels of a container of this service.
pub(super) fn fit(spec: &ContainerSpec, labels: &(String, String, u32)) -> bool {
    labels.0 == spec.project && labels.1 == spec.service && labels.2 == spec.number
}

/// What a container is made from.
#[derive(Serialize)]
struct Made<'a> {
    container: &'a ContainerSpec,
    environment: &'a std::collections::BTreeMap<String, String>,
    limits: Limits,
    tty: bool,
    stop: StopPlan,
    image_id: &'a str,
    has_own_probe: bool,
}

/// A name for all that a container is made from, 16 hexadecimal digits.
pub(super) fn hash(spec: &ServiceSpec, container: &ContainerSpec, image_id: &str) -> String {
    let made = Made {
        container,
        environment: &spec.environment,
        limits: spec.limits,
        tty: spec.tty,
        stop: spec.stop,
        image_id,
        has_own_probe: super::make::has_own_probe(spec),
    };
    // Every key is text: there is nothing that JSON could not hold.
    let hash = serde_json::to_vec(&made).map_or(0, |bytes| fnv1a(&bytes));
    let mut text = String::new();
    let _ = write!(text, "{hash:016x}");
    text
}

/// Of a container.
pub(super) fn of_container(container: &ContainerSpec, hash: &str, run: u64) -> HashMap<String, String> {
    let files: Vec<String> = container.files.iter().map(|file| file.display().to_string()).collect();
    let own = [
        (PROJECT, container.project.clone()),
        (SERVICE, container.service.clone()),
        (NUMBER, container.number.to_string()),
        (ONEOFF, "False".to_owned()),
        (WORKING_DIR, container.root.display().to_string()),
        (CONFIG_FILES, files.join(",")),
        (CONFIG_HASH, hash.to_owned()),
        (VERSION, concat!("cas ", env!("CARGO_PKG_VERSION")).to_owned()),
        (SPEC, hash.to_owned()),
        (RUN, run.to_string()),
    ];
    let written = container.labels.iter().map(|(name, value)| (name.clone(), value.clone()));
    written.chain(own.map(|(name, value)| (name.to_owned(), value))).collect()
}

/// Of a network.
pub(super) fn of_network(container: &ContainerSpec, key: &str) -> HashMap<String, String> {
    of_resource(container, NETWORK, key)
}

/// Of a volume.
pub(super) fn of_volume(container: &ContainerSpec, key: &str) -> HashMap<String, String> {
    of_resource(container, VOLUME, key)
}

fn of_resource(container: &ContainerSpec, kind: &str, key: &str) -> HashMap<String, String> {
    [(PROJECT, container.project.as_str()), (kind, key), (VERSION, concat!("cas ", env!("CARGO_PKG_VERSION")))]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// Who made a container, by its labels.
pub(super) fn maker(labels: &HashMap<String, String>) -> Option<&'static str> {
    if labels.contains_key(SPEC) {
        return Some("cas");
    }
    labels.contains_key(PROJECT).then_some("docker compose")
}
