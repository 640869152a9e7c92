//! What people ask of containers beside their runs. Promise: each deed is answered once. Never: removes what runs, unless that was asked for.

use std::{sync::Arc, time::Duration};

use bollard::query_parameters::{
    KillContainerOptions, PruneBuildOptions, RemoveContainerOptions, RemoveImageOptions, RemoveVolumeOptions,
    RestartContainerOptions, StopContainerOptions,
};

use super::{
    Docker, FIRST_LOOK,
    call::{ANSWER, Failure, WORK},
    image, make,
};
use crate::{
    model::{
        container::ContainerSpec,
        deed::{Deed, Subject, Thing, ThingKind},
    },
    world::Shared,
};

/// The name of a volume that Docker made up is so long, in hexadecimal digits.
const UNNAMED: usize = 64;
/// Beyond the time that a container has to end, Docker answers within this.
const BEYOND: Duration = Duration::from_secs(30);
/// How long Docker itself waits where nobody says anything.
const GRACE: Duration = Duration::from_secs(10);

/// Does it; a note for whoever asked, or why it could not be done, a clause.
pub(in crate::world) async fn perform(shared: &Arc<Shared>, subject: &Subject, deed: &Deed) -> Result<String, String> {
    let docker = &shared.docker;
    docker.settled(FIRST_LOOK).await.map_err(|why| format!("Docker cannot be reached: {why}"))?;
    match (subject, deed) {
        (Subject::Image(tag), _) => pull(docker, tag, None).await,
        (Subject::Service(container), Deed::Pull) => {
            pull(docker, &container.tag(), container.platform.as_deref()).await
        }
        (Subject::Service(container), _) => of_service(docker, container, deed).await,
        (Subject::Container(id), _) => quietly(to_container(docker, id, deed).await),
        (Subject::Thing(thing), _) => quietly(clear(docker, thing).await),
    }
}

/// Done, and there is nothing to note.
fn quietly(done: Result<(), Failure>) -> Result<String, String> {
    done.map(|()| String::new()).map_err(|failure| failure.told())
}

async fn of_service(docker: &Docker, container: &ContainerSpec, deed: &Deed) -> Result<String, String> {
    let there = make::of_service(docker, container).await.map_err(|failure| failure.told())?;
    let meant = there.into_iter().filter(|one| match deed {
        Deed::Start | Deed::Remove { .. } => !make::is_up(one),
        Deed::Stop { .. } | Deed::Restart { .. } | Deed::Signal(_) | Deed::Pause | Deed::Unpause => make::is_up(one),
        Deed::Pull | Deed::Clear => false,
    });
    let ids: Vec<String> = meant.filter_map(|one| one.id).collect();
    if ids.is_empty() {
        return Ok(format!("{} has no such container", container.service));
    }
    for id in ids {
        to_container(docker, &id, deed).await.map_err(|failure| failure.told())?;
    }
    Ok(String::new())
}

async fn to_container(docker: &Docker, id: &str, deed: &Deed) -> Result<(), Failure> {
    let id = id.to_owned();
    let patience = |grace: Option<Duration>| grace.unwrap_or(GRACE).saturating_add(BEYOND);
    let seconds = |grace: Option<Duration>| grace.and_then(|grace| i32::try_from(grace.as_secs().max(1)).ok());
    match deed.clone() {
        Deed::Start => docker.call(WORK, |docker| async move { docker.start_container(&id, None).await }).await?,
        Deed::Stop { grace } => {
            let options = StopContainerOptions { t: seconds(grace), ..StopContainerOptions::default() };
            docker
                .call(patience(grace), |docker| async move { docker.stop_container(&id, Some(options)).await })
                .await?;
        }
        Deed::Restart { grace } => {
            let options = RestartContainerOptions { t: seconds(grace), ..RestartContainerOptions::default() };
            docker
                .call(patience(grace), |docker| async move { docker.restart_container(&id, Some(options)).await })
                .await?;
        }
        Deed::Signal(signal) => {
            let options = KillContainerOptions { signal: signal.to_string() };
            docker.call(ANSWER, |docker| async move { docker.kill_container(&id, Some(options)).await }).await?;
        }
        Deed::Pause => docker.call(WORK, |docker| async move { docker.pause_container(&id).await }).await?,
        Deed::Unpause => docker.call(WORK, |docker| async move { docker.unpause_container(&id).await }).await?,
        Deed::Remove { force, volumes } => {
            remove(docker, &id, force, volumes).await?;
        }
        // Of images and things.
        Deed::Pull | Deed::Clear => {}
    }
    Ok(())
}

/// What is not there any more need not be removed.
fn gone<T>(removed: Result<T, Failure>) -> Result<(), Failure> {
    match removed {
        Err(failure) if failure.is_missing() => Ok(()),
        result => result.map(drop),
    }
}

async fn pull(docker: &Docker, tag: &str, platform: Option<&str>) -> Result<String, String> {
    let before = image::id_of(docker, tag).await?;
    image::pull(docker, tag, platform).await?;
    let after = image::id_of(docker, tag).await?;
    Ok(if before == after {
        format!("{tag} is the newest already")
    } else {
        format!("{tag} is newer now: recreate makes it run")
    })
}

async fn clear(docker: &Docker, thing: &Thing) -> Result<(), Failure> {
    let id = thing.id.clone();
    match thing.kind {
        // Docker itself refuses where it has begun to run, or to be used, since it was listed.
        ThingKind::Containers => {
            to_container(docker, &id, &Deed::Remove { force: false, volumes: false }).await?;
        }
        ThingKind::Images => {
            let options = Some(RemoveImageOptions::default());
            let name = if thing.is_named { thing.name.clone() } else { id };
            gone(docker.call(WORK, |docker| async move { docker.remove_image(&name, options, None).await }).await)?;
        }
        ThingKind::Volumes => {
            remove_volume(docker, id).await?;
        }
        ThingKind::BuildCache => {
            let options = PruneBuildOptions { all: Some(true), ..PruneBuildOptions::default() };
            docker.call(WORK, |docker| async move { docker.prune_build(Some(options)).await }).await?;
        }
    }
    Ok(())
}

/// Whether Docker made the name of a volume up itself: nobody gave it one.
pub(super) fn is_unnamed(volume: &str) -> bool {
    volume.len() == UNNAMED && volume.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Volumes without a name that a container has, by where it sees them: a new one in its place goes on with them.
pub(super) async fn unnamed_volumes(docker: &Docker, id: &str) -> Result<Vec<(String, String)>, Failure> {
    let mounts = match docker.inspect(id).await {
        Ok(inspected) => inspected.mounts.unwrap_or_default(),
        Err(failure) if failure.is_missing() => Vec::new(),
        Err(failure) => return Err(failure),
    };
    let of = |mount: bollard::models::MountPoint| {
        let is_volume = mount.typ.as_deref() == Some("volume");
        let (name, target) = (mount.name?, mount.destination?);
        (is_volume && is_unnamed(&name)).then_some((target, name))
    };
    Ok(mounts.into_iter().filter_map(of).collect())
}

/// Removes a container, and where that is wanted its volumes without a name: Docker itself leaves those that it took over from another.
pub(super) async fn remove(docker: &Docker, id: &str, force: bool, volumes: bool) -> Result<(), Failure> {
    let unnamed = if volumes { unnamed_volumes(docker, id).await? } else { Vec::new() };
    let options = RemoveContainerOptions { force, v: volumes, ..RemoveContainerOptions::default() };
    let id = id.to_owned();
    gone(docker.call(WORK, |docker| async move { docker.remove_container(&id, Some(options)).await }).await)?;
    for (_, name) in unnamed {
        match remove_volume(docker, name).await {
            // Another container has it, too.
            Err(Failure::Refused { status: 409, .. }) => {}
            result => result?,
        }
    }
    Ok(())
}

async fn remove_volume(docker: &Docker, name: String) -> Result<(), Failure> {
    let options = None::<RemoveVolumeOptions>;
    gone(docker.call(WORK, |docker| async move { docker.remove_volume(&name, options).await }).await)
}
