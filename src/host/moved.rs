//! A project that was moved to another directory keeps what cas knows of it. Never: touches what another engine has open, or what still runs.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use crate::{
    config::paths::Paths,
    model::project::{ProjectRecord, ProjectSpec},
    world::{is_quiet, store::Store},
};

/// Whether an engine has the lock of the project in `root`. Every engine has that of each project that it opens.
fn is_open_elsewhere(paths: &Paths, root: &Path) -> bool {
    let Ok(lock) = File::open(paths.socket(root).with_extension("lock")) else { return false };
    flock(&lock, FlockOperation::NonBlockingLockShared).is_err()
}

/// Gives the records, output and history of the directory that `spec` was moved from to the place that it has now, where it has none of its own yet.
/// **Blocks.** A sentence where it should have been and could not.
pub(super) fn follow(paths: &Paths, store: &Store, spec: &ProjectSpec, remote: Option<&str>) -> Option<String> {
    let place = Paths::place(&spec.name, &spec.root);
    let directory = paths.project_dir(&place);
    if remote.is_none() || directory.exists() {
        return None;
    }
    let root = came_from(&store.projects_soon(), spec, remote)?;
    let old_place = Paths::place(&spec.name, &root);
    let old = paths.project_dir(&old_place);
    if !old.is_dir() {
        return None;
    }
    let cannot = |why: &str| {
        Some(format!("{} was moved from {}, and what was kept of it stays there: {why}", spec.name, root.display()))
    };
    if is_open_elsewhere(paths, &root) {
        return cannot("another cas has it open there");
    }
    if !is_quiet(&old.join("slots")) {
        return cannot("services of it still run that were started there; end them by hand");
    }
    // What is on disk last: where this ends in between, the next opening does it again.
    if let Err(why) = store.move_place(&old_place, &place) {
        return cannot(&why);
    }
    match std::fs::rename(&old, &directory) {
        Ok(()) => {
            tracing::info!(project = %spec.name, from = %root.display(), to = %spec.root.display(), "moved");
            None
        }
        Err(error) => cannot(&format!("{}: {error}", old.display())),
    }
}

/// The directory that a project was in before: by its own record, where it was put on the list since, or by one that is gone.
fn came_from(known: &[ProjectRecord], spec: &ProjectSpec, remote: Option<&str>) -> Option<PathBuf> {
    let own = known.iter().find(|record| record.root == spec.root && record.name == spec.name);
    if let Some(from) = own.and_then(|own| own.moved_from.clone()) {
        return Some(from);
    }
    let now = ProjectRecord {
        name: spec.name.clone(),
        root: spec.root.clone(),
        file: spec.file.clone(),
        services: spec.services.len(),
        last_opened_us: 0,
        exists: true,
        remote: remote.map(str::to_owned),
        moved_from: None,
    };
    let gone = known.iter().filter(|old| old.is_moved_to(&now));
    gone.max_by_key(|old| old.last_opened_us).map(|old| old.root.clone())
}
