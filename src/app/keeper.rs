//! What a daemon keeps for its next start: the list of projects under care (`care.json` in the state directory, 0600) and the environment that each was
//! opened with (in the runtime directory, 0600: secrets do not survive the boot).
//!
//! Never loses the list to a crash: it is written beside and renamed. One that cannot be read is put aside, not written over.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    cli::care::{self, Kept, UnderCare},
    config::paths::Paths,
    model::{project::ProjectSpec, service::BaseEnvironment},
    world::clock,
};

/// The keeper of a daemon.
pub(super) struct Keeper {
    paths: Paths,
    state: Mutex<State>,
}

struct State {
    care: UnderCare,
    /// Environments that are on disk, by place.
    written: HashMap<String, BaseEnvironment>,
}

fn list(paths: &Paths) -> PathBuf {
    paths.state.join("care.json")
}

fn environment(paths: &Paths, place: &str) -> PathBuf {
    paths.runtime.join(format!("environment-{place}"))
}

/// What an earlier daemon kept; nothing where none did.
pub(super) fn read(paths: &Paths) -> Result<Vec<Kept>, String> {
    let file = list(paths);
    match std::fs::read_to_string(&file) {
        Ok(text) => care::parse(&text).map_err(|error| format!("{} cannot be read: {error}", file.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(format!("{} cannot be read: {error}", file.display())),
    }
}

/// The environment that the project of a place was opened with, in this boot of the machine.
pub(super) fn environment_of(paths: &Paths, place: &str) -> Option<BTreeMap<String, String>> {
    serde_json::from_slice(&std::fs::read(environment(paths, place)).ok()?).ok()
}

impl Keeper {
    /// Takes over from an earlier daemon.
    pub(super) fn inherit(paths: &Paths) -> Self {
        let kept = read(paths).unwrap_or_else(|why| {
            let file = list(paths);
            let aside = file.with_extension(format!("json.damaged-{}", clock::now().wall_us));
            let moved = std::fs::rename(&file, &aside);
            tracing::error!(
                "{why}; it is put aside as {}: {moved:?}; open projects again with cas up --detach",
                aside.display()
            );
            Vec::new()
        });
        let state = State { care: UnderCare::of(kept), written: HashMap::new() };
        Self { paths: paths.clone(), state: Mutex::new(state) }
    }

    /// The list.
    pub(super) fn kept(&self) -> Vec<Kept> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).care.kept().to_vec()
    }

    /// The environment that a project was opened with, in this boot of the machine.
    pub(super) fn environment_of(&self, kept: &Kept) -> Option<BaseEnvironment> {
        environment_of(&self.paths, &Paths::place(&kept.name, &kept.root)).map(|read| BaseEnvironment(Arc::new(read)))
    }

    /// These are open now.
    pub(super) fn has_open(&self, specs: &[Arc<ProjectSpec>]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for spec in specs {
            self.keep_environment(&mut state, spec);
        }
        if !state.care.has_open(specs.iter().map(AsRef::as_ref), clock::now().wall_us) {
            return;
        }
        let places: Vec<String> = state.care.kept().iter().map(|kept| Paths::place(&kept.name, &kept.root)).collect();
        state.written.retain(|place, _| {
            let stays = places.contains(place);
            if !stays {
                // One that is gone already is as good.
                let _gone = std::fs::remove_file(environment(&self.paths, place));
            }
            stays
        });
        let file = list(&self.paths);
        let written = serde_json::to_vec_pretty(state.care.kept())
            .map_err(io::Error::from)
            .and_then(|text| write_private(&file, &text));
        if let Err(error) = written {
            tracing::error!(
                "{} cannot be written: {error}; a restart of the daemon would not open what is open now",
                file.display()
            );
        }
    }

    fn keep_environment(&self, state: &mut State, spec: &ProjectSpec) {
        let Some(base) = spec.services.first().and_then(|service| service.base_environment.as_ref()) else { return };
        let place = Paths::place(&spec.name, &spec.root);
        if state.written.get(&place) == Some(base) {
            return;
        }
        let file = environment(&self.paths, &place);
        let written = serde_json::to_vec(&base.0).map_err(io::Error::from).and_then(|text| write_private(&file, &text));
        match written {
            Ok(()) => drop(state.written.insert(place, base.clone())),
            Err(error) => tracing::error!("{} cannot be written: {error}", file.display()),
        }
    }
}

/// Writes a file that only its owner reads, whole or not at all.
fn write_private(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = file.with_extension(format!("new-{}", std::process::id()));
    // Left by one that was killed, or planted: never written through.
    match std::fs::remove_file(&beside) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut new = File::options().write(true).create_new(true).mode(0o600).open(&beside)?;
    let written = new.write_all(bytes).and_then(|()| new.sync_all()).and_then(|()| std::fs::rename(&beside, file));
    if written.is_err() {
        // Best effort: the next one removes it.
        let _left = std::fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc};

    use super::{Keeper, list, read};
    use crate::{
        config::paths::Paths,
        model::{ids::ProjectName, project::ProjectSpec},
    };

    fn paths(home: &tempfile::TempDir) -> Paths {
        let at = |name: &str| -> PathBuf { home.path().join(name) };
        let paths = Paths { state: at("state"), runtime: at("run"), config: at("config"), cache: at("cache") };
        paths.ensure().unwrap();
        paths
    }

    fn spec(name: &str) -> Arc<ProjectSpec> {
        let root = PathBuf::from("/srv").join(name);
        let file = root.join("cas.yaml");
        Arc::new(ProjectSpec {
            name: ProjectName::new(name).unwrap(),
            root,
            file,
            services: Vec::new(),
            alerts: Arc::default(),
        })
    }

    #[test]
    fn what_is_open_is_on_disk_for_the_next_one_and_for_nobody_else() {
        let home = tempfile::tempdir().unwrap();
        let paths = paths(&home);
        assert_eq!(read(&paths), Ok(Vec::new()));
        Keeper::inherit(&paths).has_open(&[spec("shop")]);
        let mode = std::fs::metadata(list(&paths)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let next = Keeper::inherit(&paths);
        assert_eq!(next.kept()[0].name.as_str(), "shop");
        next.has_open(&[spec("shop")]);
        next.has_open(&[]);
        assert_eq!(read(&paths), Ok(Vec::new()), "it was closed");
    }

    #[test]
    fn a_list_cut_short_is_put_aside_and_the_daemon_goes_on() {
        let home = tempfile::tempdir().unwrap();
        let paths = paths(&home);
        Keeper::inherit(&paths).has_open(&[spec("shop"), spec("blog")]);
        let whole = std::fs::read(list(&paths)).unwrap();
        for length in 0..whole.len() {
            std::fs::write(list(&paths), &whole[..length]).unwrap();
            if read(&paths).is_ok() {
                continue;
            }
            let keeper = Keeper::inherit(&paths);
            assert_eq!(keeper.kept(), []);
            keeper.has_open(&[spec("shop")]);
            assert_eq!(read(&paths).unwrap().len(), 1, "cut at byte {length}");
        }
        let aside = std::fs::read_dir(&paths.state)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("damaged"));
        assert!(aside.count() > 0);
    }
}
