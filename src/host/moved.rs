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
    // Another project may be there by now.
    if let Some(from) = own.and_then(|own| own.moved_from.clone()).filter(|from| !from.exists()) {
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

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf, sync::Arc};

    use rustix::fs::{FlockOperation, flock};

    use super::follow;
    use crate::{
        config::paths::Paths,
        model::{
            ids::ProjectName,
            project::{ProjectRecord, ProjectSpec},
        },
        world::store::Store,
    };

    const REMOTE: Option<&str> = Some("git@host:shop");

    struct Rig {
        home: tempfile::TempDir,
        paths: Paths,
        store: Store,
    }

    /// `shop`, known in `old`, with a place of its own, and now in `new`.
    fn rig() -> Rig {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::from_lookup(|name| name.starts_with("CAS_").then(|| home.path().join(name)));
        paths.ensure().unwrap();
        let store = Store::open(paths.database(), |_| {});
        let rig = Rig { home, paths, store };
        fs::create_dir(rig.root("old")).unwrap();
        let record = ProjectRecord {
            name: ProjectName::new("shop").unwrap(),
            root: rig.root("old"),
            file: rig.root("old").join("cas.yaml"),
            services: 1,
            last_opened_us: 1,
            exists: true,
            remote: REMOTE.map(str::to_owned),
            moved_from: None,
        };
        rig.store.register(record);
        rig.store.flush();
        fs::create_dir_all(rig.place("old").join("slots/web")).unwrap();
        fs::write(rig.place("old").join("journal"), "kept").unwrap();
        fs::rename(rig.root("old"), rig.root("new")).unwrap();
        rig
    }

    impl Rig {
        fn root(&self, name: &str) -> PathBuf {
            self.home.path().join(name)
        }

        fn place(&self, name: &str) -> PathBuf {
            self.paths.project_dir(&Paths::place(&ProjectName::new("shop").unwrap(), &self.root(name)))
        }

        fn follow(&self, remote: Option<&str>) -> Option<String> {
            let (root, file) = (self.root("new"), self.root("new").join("cas.yaml"));
            let spec = ProjectSpec {
                name: ProjectName::new("shop").unwrap(),
                root,
                file,
                services: Vec::new(),
                alerts: Arc::default(),
            };
            follow(&self.paths, &self.store, &spec, remote)
        }

        fn has_moved(&self) -> bool {
            let is_in = |name| self.place(name).join("journal").exists();
            assert_ne!(is_in("old"), is_in("new"));
            is_in("new")
        }
    }

    #[test]
    fn the_place_goes_with_the_project_once() {
        let rig = rig();
        assert_eq!(rig.follow(REMOTE), None);
        assert!(rig.has_moved());
        assert_eq!(rig.follow(REMOTE), None, "it has its own by now");
        assert!(rig.has_moved());
    }

    #[test]
    fn one_that_was_put_on_the_list_before_it_is_opened_has_moved_all_the_same() {
        let rig = rig();
        let mut known = rig.store.projects();
        let old = known.pop().unwrap();
        let (root, file) = (rig.root("new"), rig.root("new").join("cas.yaml"));
        rig.store.register(ProjectRecord { root, file, exists: true, ..old });
        assert_eq!(rig.store.projects().len(), 1);
        assert_eq!(rig.follow(REMOTE), None);
        assert!(rig.has_moved());
    }

    #[test]
    fn without_the_same_remote_nothing_is_moved() {
        for remote in [None, Some("git@host:other")] {
            let rig = rig();
            assert_eq!(rig.follow(remote), None);
            assert!(!rig.has_moved(), "{remote:?}");
        }
    }

    #[test]
    fn what_another_engine_has_open_stays_and_that_is_told() {
        let rig = rig();
        let lock = rig.paths.socket(&rig.root("old")).with_extension("lock");
        let lock = fs::File::create(lock).unwrap();
        flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        let told = rig.follow(REMOTE).unwrap();
        assert!(told.starts_with("shop was moved from ") && told.ends_with("another cas has it open there"), "{told}");
        assert!(!rig.has_moved());
    }

    #[test]
    fn what_still_runs_stays_and_that_is_told() {
        let rig = rig();
        // A record that cannot be read may hide a process.
        fs::write(rig.place("old").join("slots/web/state"), "garbage").unwrap();
        let told = rig.follow(REMOTE).unwrap();
        assert!(told.contains("services of it still run"), "{told}");
        assert!(!rig.has_moved());
    }
}
