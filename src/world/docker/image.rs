//! The image of a container: there, fetched or built. Promise: an image that cannot be had is a sentence that says what to do. Never: fetches
//! what is there and was not asked for.

use std::{collections::HashMap, path::Path, time::Duration};

use bollard::query_parameters::{BuildImageOptions, CreateImageOptions};
use futures_util::StreamExt;

use super::{
    Docker,
    call::{ANSWER, Failure, quoted},
    registry, tarball,
};
use crate::model::{
    container::{Build, ContainerSpec, PullPolicy},
    deed::image_name,
};

/// A fetch or build that says nothing for so long is given up.
const SILENCE: Duration = Duration::from_mins(5);
/// Of what a build says, so many lines are told where it fails.
const LAST_LINES: usize = 5;

/// Sees to it that the image is there; its id.
pub(super) async fn ensure(docker: &Docker, container: &ContainerSpec) -> Result<String, String> {
    let tag = container.tag();
    let there = id_of(docker, &tag).await?;
    match (container.pull_policy, &container.build, there) {
        (PullPolicy::Missing | PullPolicy::Never, _, Some(id)) => Ok(id),
        (PullPolicy::Never, _, None) => {
            Err(format!("there is no image {tag} here, and pull_policy is never: docker pull {tag}, or change it"))
        }
        (PullPolicy::Missing | PullPolicy::Build, Some(build), _) => {
            self::build(docker, container, build, &tag).await?;
            known(docker, &tag).await
        }
        (PullPolicy::Missing | PullPolicy::Always | PullPolicy::Build, _, there) => {
            match pull(docker, &tag, container.platform.as_deref()).await {
                Ok(()) => known(docker, &tag).await,
                Err(why) => there.ok_or(why),
            }
        }
    }
}

pub(super) async fn id_of(docker: &Docker, tag: &str) -> Result<Option<String>, String> {
    let asked = tag.to_owned();
    match docker.call(ANSWER, |docker| async move { docker.inspect_image(&asked).await }).await {
        Ok(image) => Ok(Some(image.id.unwrap_or_default())),
        Err(failure) if failure.is_missing() => Ok(None),
        Err(failure) => Err(failure.told()),
    }
}

async fn known(docker: &Docker, tag: &str) -> Result<String, String> {
    id_of(docker, tag).await?.ok_or_else(|| format!("the image {tag} is not there, though Docker said that it had it"))
}

/// Fetches an image.
pub(super) async fn pull(docker: &Docker, tag: &str, platform: Option<&str>) -> Result<(), String> {
    let Some(client) = docker.client() else {
        return Err(Failure::Away(docker.obstacle().unwrap_or_default()).told());
    };
    let options = CreateImageOptions {
        // Without a tag all tags would come.
        from_image: Some(image_name(tag)),
        platform: platform.unwrap_or_default().to_owned(),
        ..CreateImageOptions::default()
    };
    let known = registry::known(&docker.lookup, tag).await;
    let mut said = Box::pin(client.create_image(Some(options), None, known.credentials.clone()));
    let cannot = |why: &str| format!("the image {tag} is not here and cannot be fetched: {why}{}", known.hint(why));
    loop {
        match tokio::time::timeout(SILENCE, said.next()).await {
            Err(_silent) => return Err(cannot("the registry, or Docker, says nothing any more")),
            Ok(None) => return Ok(()),
            Ok(Some(Ok(info))) => {
                if let Some(message) = info.error_detail.and_then(|detail| detail.message) {
                    return Err(cannot(&quoted(&message)));
                }
            }
            Ok(Some(Err(error))) => return Err(cannot(&Failure::of(&error).told())),
        }
    }
}

async fn build(docker: &Docker, container: &ContainerSpec, build: &Build, tag: &str) -> Result<(), String> {
    let Some(client) = docker.client() else {
        return Err(Failure::Away(docker.obstacle().unwrap_or_default()).told());
    };
    let is_remote = !Path::new(&build.context).is_absolute();
    let args: HashMap<String, String> = build.args.clone().into_iter().collect();
    let options = BuildImageOptions {
        dockerfile: build.dockerfile.clone().unwrap_or_else(|| "Dockerfile".to_owned()),
        t: Some(tag.to_owned()),
        remote: is_remote.then(|| build.context.clone()),
        buildargs: Some(args),
        target: build.target.clone().unwrap_or_default(),
        platform: container.platform.clone().unwrap_or_default(),
        labels: Some(HashMap::from([
            (super::labels::PROJECT.to_owned(), container.project.clone()),
            (super::labels::SERVICE.to_owned(), container.service.clone()),
        ])),
        rm: true,
        forcerm: true,
        ..BuildImageOptions::default()
    };
    let context = if is_remote {
        None
    } else {
        Some(bollard::body_try_stream(tarball::of_directory(Path::new(&build.context), build.dockerfile.as_deref())?))
    };
    let mut said = Box::pin(client.build_image(options, None, context));
    let mut last: Vec<String> = Vec::new();
    let cannot = |why: &str, last: &[String]| {
        let said = if last.is_empty() { String::new() } else { format!(" (it said: {})", last.join(" / ")) };
        format!("the image {tag} cannot be built from {}: {why}{said}", quoted(&build.context))
    };
    loop {
        match tokio::time::timeout(SILENCE, said.next()).await {
            Err(_silent) => return Err(cannot("Docker says nothing any more", &last)),
            Ok(None) => return Ok(()),
            Ok(Some(Ok(info))) => {
                if let Some(message) = info.error_detail.and_then(|detail| detail.message) {
                    return Err(cannot(&quoted(&message), &last));
                }
                let line = info.stream.as_deref().map(quoted).unwrap_or_default();
                if !line.is_empty() {
                    last.push(line);
                    let surplus = last.len().saturating_sub(LAST_LINES);
                    last.drain(..surplus);
                }
            }
            Ok(Some(Err(error))) => return Err(cannot(&Failure::of(&error).told(), &last)),
        }
    }
}
