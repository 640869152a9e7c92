//! What is there of a project's containers when it is opened: those that an earlier engine left, and those that somebody else made for it.
//! Promise: a container is told at most once, as the run that it was. Never: touches one.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::mpsc;

use super::{
    follow::{self, From},
    look::{Look, State},
    make,
    record::{self, Record},
    scribe::Scribe,
};
use crate::{
    model::{
        container::ContainerSpec,
        heritage::{Found, FoundState},
        ids::{RunId, ServiceId},
        phase::Exit,
        project::ProjectSpec,
        service::ServiceSpec,
        time::Timestamp,
    },
    world::{Shared, World, clock},
};

/// What a container wrote before it ended is waited for so long.
const CATCH_UP: Duration = Duration::from_secs(5);

impl World {
    /// Looks for the containers of an open project's services, and keeps each from now on. Runs that nobody has a number for get those after `newest`.
    /// An engine that does not answer in `patience` keeps nobody waiting: what an earlier engine noted is told, and looked at when it answers.
    pub async fn survey_containers(&self, project: &ProjectSpec, newest: RunId, patience: Duration) -> Vec<Found> {
        let specs: Vec<_> = project
            .services
            .iter()
            .filter_map(|spec| Some((Arc::clone(spec), Arc::clone(spec.container.as_ref()?))))
            .collect();
        if specs.is_empty() {
            return Vec::new();
        }
        self.shared.docker.want();
        let away = self.shared.docker.settled(patience).await.is_err();
        let mut next = newest;
        let mut all = Vec::new();
        for (spec, container) in specs {
            let Some(slot) = self.directory_of(&spec.id) else { continue };
            let found = if away { noted(&slot) } else { look(&self.shared, &spec, &container, &slot, &mut next).await };
            all.extend(found.map(|(run, state)| Found { service: spec.id.service.clone(), run, state }));
            // It hears of containers that others start for the service.
            let _kept = self.container_slot(&spec);
        }
        all
    }

    fn directory_of(&self, service: &ServiceId) -> Option<PathBuf> {
        Some(self.shared.sites().get(&service.project)?.seat(service).directory)
    }
}

/// What an earlier engine noted: as far as anybody knows, it runs.
fn noted(slot: &std::path::Path) -> Option<(RunId, FoundState)> {
    let record = Record::read(slot).filter(|record| !record.started.is_empty())?;
    let now = clock::now();
    let ago = u64::try_from(now.wall_us.saturating_sub(record.since_us)).unwrap_or(0);
    let since = Timestamp { mono_us: now.mono_us.saturating_sub(ago), wall_us: record.since_us };
    Some((record.run, FoundState::Running { pid: record.pid, since }))
}

async fn look(
    shared: &Arc<Shared>,
    spec: &ServiceSpec,
    container: &ContainerSpec,
    slot: &std::path::Path,
    next: &mut RunId,
) -> Option<(RunId, FoundState)> {
    let record = Record::read(slot);
    if let Some(record) = &record {
        match make::look_at(&shared.docker, spec, &record.id).await {
            Ok(look) if look.is_running() => return Some((record.run, running(&look))),
            Ok(Look { state: State::Ended { exit, at }, .. }) => {
                catch_up(shared, record, slot).await;
                record::forget(slot);
                return Some((record.run, FoundState::Ended { exit, at, leftover: 0 }));
            }
            // It was about to be started.
            Ok(_) => record::forget(slot),
            Err(failure) if failure.is_missing() => {}
            Err(_away) => return noted(slot),
        }
    }
    let there = make::of_service(&shared.docker, container).await.ok()?;
    let up = there.into_iter().filter(make::is_up).find_map(|one| one.id);
    if let Some(id) = up
        && let Ok(look) = make::look_at(&shared.docker, spec, &id).await
        && look.is_running()
    {
        *next = RunId(next.0.saturating_add(1));
        let (started, since_us) = (look.started.clone(), look.since().wall_us);
        let fresh = Record { run: *next, id, started, pid: look.pid, since_us };
        if let Err(error) = fresh.write(slot_of(slot)) {
            tracing::warn!(%error, slot = %slot.display(), "a container cannot be taken over");
            return None;
        }
        return Some((*next, running(&look)));
    }
    // It ran when somebody was last there, and is not there any more.
    let record = record.filter(|record| !record.started.is_empty() && slot.join("container").exists())?;
    record::forget(slot);
    Some((record.run, FoundState::Ended { exit: Exit::Removed, at: clock::now(), leftover: 0 }))
}

/// The directory, made where it is not there.
fn slot_of(slot: &std::path::Path) -> &std::path::Path {
    // An error is told by what is written there.
    let _told_later = crate::world::slot::make_place(slot);
    slot
}

fn running(look: &Look) -> FoundState {
    FoundState::Running { pid: look.pid, since: look.since() }
}

/// Takes in what it wrote while nobody was there.
async fn catch_up(shared: &Shared, record: &Record, slot: &std::path::Path) {
    let Some(client) = shared.docker.client() else { return };
    let mut scribe = Scribe::open(slot);
    let from = if scribe.last_ns > 0 { From::Behind(scribe.last_ns) } else { From::Tail };
    let (pieces, mut inbox) = mpsc::channel(16);
    let id = record.id.clone();
    let reading = tokio::spawn(async move { follow::follow(&client, &id, from, false, &pieces).await });
    let taking = async {
        while let Some(piece) = inbox.recv().await {
            scribe.append(record.run, piece.stream, &piece.bytes, piece.ns);
        }
    };
    // What takes longer is lost to the segments; Docker keeps it.
    let _late = tokio::time::timeout(CATCH_UP, taking).await;
    reading.abort();
}
