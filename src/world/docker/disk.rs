//! What takes up space on Docker's disk. Promise: nothing is changed, and what the engine does not say is not known. Never: a guess.

use std::collections::HashSet;

use bollard::{
    models::{ContainerSummary, ImageSummary, Volume},
    query_parameters::{ListContainersOptions, ListImagesOptions, ListVolumesOptions},
};
use serde::Deserialize;

use super::{
    Docker,
    call::{Failure, WORK, quoted},
    deeds::is_unnamed,
    endpoint::{self, Endpoint},
    labels, make, raw,
};
use crate::model::deed::{DiskUse, Thing, ThingKind};

/// Docker's name of what has none.
const NAMELESS: &str = "<none>:<none>";

/// The answer of `GET /system/df`, as engines up to API 1.51 have it (<https://docs.docker.com/reference/api/engine/version/v1.41/#tag/System/operation/SystemDataUsage>):
/// bollard knows the later one only.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Usage {
    layers_size: Option<u64>,
    images: Option<Vec<ImageSummary>>,
    containers: Option<Vec<ContainerSummary>>,
    volumes: Option<Vec<Volume>>,
    build_cache: Option<Vec<CacheRecord>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct CacheRecord {
    in_use: bool,
    shared: bool,
    size: u64,
}

impl Docker {
    /// What takes up space; an error is a sentence.
    pub(in crate::world) async fn disk(&self) -> Result<DiskUse, String> {
        self.settled(super::FIRST_LOOK).await.map_err(|why| format!("Docker cannot be reached: {why}"))?;
        let usage = match self.usage_itself().await {
            Some(usage) => usage?,
            None => self.usage_by_lists().await.map_err(|failure| failure.told())?,
        };
        Ok(sorted(usage))
    }

    /// Asked of the engine as a whole; none where only bollard has a way to it.
    async fn usage_itself(&self) -> Option<Result<Usage, String>> {
        let Ok(Endpoint::Unix(path)) = endpoint::find(&self.lookup) else { return None };
        let answer = match tokio::time::timeout(WORK, raw::get(&path, "/v1.41/system/df")).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Some(Err(format!("Docker cannot be asked what takes up space: {error}"))),
            Err(_late) => return Some(Err("Docker does not say within a minute what takes up space".to_owned())),
        };
        let usage: Usage = match serde_json::from_slice(&answer) {
            Ok(usage) => usage,
            Err(error) => return Some(Err(format!("what Docker says of its disk cannot be read: {error}"))),
        };
        // A later engine says it in other words.
        usage.images.is_some().then_some(Ok(usage))
    }

    /// What the lists say: volumes and the build cache have no size there.
    async fn usage_by_lists(&self) -> Result<Usage, Failure> {
        let images = self
            .call(WORK, |docker| async move {
                docker.list_images(Some(ListImagesOptions { shared_size: true, ..ListImagesOptions::default() })).await
            })
            .await?;
        let containers = self
            .call(WORK, |docker| async move {
                let options = ListContainersOptions { all: true, size: true, ..ListContainersOptions::default() };
                docker.list_containers(Some(options)).await
            })
            .await?;
        let volumes =
            self.call(WORK, |docker| async move { docker.list_volumes(None::<ListVolumesOptions>).await }).await?;
        Ok(Usage {
            layers_size: None,
            images: Some(images),
            containers: Some(containers),
            volumes: volumes.volumes,
            build_cache: None,
        })
    }
}

fn sorted(usage: Usage) -> DiskUse {
    let containers = usage.containers.unwrap_or_default();
    // Engines that count say −1 where they did not.
    let used_images: HashSet<&str> = containers.iter().filter_map(|one| one.image_id.as_deref()).collect();
    let used_volumes: HashSet<&str> = containers
        .iter()
        .flat_map(|one| one.mounts.as_deref().unwrap_or_default())
        .filter_map(|mount| mount.name.as_deref())
        .collect();
    let mut things: Vec<Thing> = Vec::new();
    for image in usage.images.unwrap_or_default() {
        things.extend(of_image(&image, used_images.contains(image.id.as_str())));
    }
    for volume in usage.volumes.unwrap_or_default() {
        let is_used = used_volumes.contains(volume.name.as_str());
        things.push(of_volume(&volume, is_used));
    }
    things.extend(containers.iter().map(of_container));
    let cache = usage.build_cache.unwrap_or_default();
    let spare: Vec<&CacheRecord> = cache.iter().filter(|record| !record.in_use && !record.shared).collect();
    if !spare.is_empty() {
        things.push(Thing {
            kind: ThingKind::BuildCache,
            id: String::new(),
            name: format!("{} records", spare.len()),
            bytes: Some(spare.iter().map(|record| record.size).sum()),
            is_used: false,
            is_named: false,
            project: None,
        });
    }
    things.sort_by(|a, b| a.kind.cmp(&b.kind).then(b.bytes.cmp(&a.bytes)).then_with(|| a.name.cmp(&b.name)));
    DiskUse { things, layers: usage.layers_size }
}

/// One for each name that it has, as each is removed by itself; the last one that goes frees the space.
fn of_image(image: &ImageSummary, is_used: bool) -> Vec<Thing> {
    let own = image.size.saturating_sub(image.shared_size.max(0));
    let bytes = u64::try_from(own).ok();
    let project = image.labels.get(labels::PROJECT).map(|project| quoted(project));
    let thing = |name: String, is_named, bytes| Thing {
        kind: ThingKind::Images,
        id: image.id.clone(),
        name,
        bytes,
        is_used: is_used || image.containers > 0,
        is_named,
        project: project.clone(),
    };
    let names: Vec<&String> = image.repo_tags.iter().filter(|tag| *tag != NAMELESS).collect();
    if names.is_empty() {
        let short: String = image.id.trim_start_matches("sha256:").chars().take(12).collect();
        return vec![thing(short, false, bytes)];
    }
    let last = names.len() - 1;
    let of = |(place, name): (usize, &String)| thing(quoted(name), true, if place == last { bytes } else { Some(0) });
    names.into_iter().enumerate().map(of).collect()
}

fn of_volume(volume: &Volume, is_used: bool) -> Thing {
    let usage = volume.usage_data.as_ref();
    let is_made_up = is_unnamed(&volume.name);
    Thing {
        kind: ThingKind::Volumes,
        id: volume.name.clone(),
        name: if is_made_up { volume.name.chars().take(12).collect() } else { quoted(&volume.name) },
        bytes: usage.and_then(|usage| u64::try_from(usage.size).ok()),
        is_used: is_used || usage.is_some_and(|usage| usage.ref_count > 0),
        is_named: !is_made_up,
        project: volume.labels.get(labels::PROJECT).map(|project| quoted(project)),
    }
}

fn of_container(container: &ContainerSummary) -> Thing {
    let name = container.names.as_ref().and_then(|names| names.first());
    Thing {
        kind: ThingKind::Containers,
        id: container.id.clone().unwrap_or_default(),
        name: quoted(name.map_or("", |name| name.trim_start_matches('/'))),
        // It is left out where nothing was written.
        bytes: Some(container.size_rw.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0)),
        is_used: make::is_up(container),
        is_named: true,
        project: container.labels.as_ref().and_then(|labels| labels.get(labels::PROJECT)).map(|text| quoted(text)),
    }
}
