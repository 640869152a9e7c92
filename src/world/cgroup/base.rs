//! Where cages may be made. Promise: what is claimed was tried: a child could be put there. Never: moves a process that is not our
//! own short-lived child, and leaves no directory behind that holds nothing.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    file,
    hierarchy::{Controller, Hierarchy, Version},
};
use crate::model::ids::ServiceName;

/// Our directory in a hierarchy.
pub(super) const NAME: &str = "cas";

/// Times that a chain of directories is begun anew because another engine removed an empty one of them meanwhile.
const DIGS: u32 = 50;

/// Joins each of its arguments with a child of its own, and says for each whether that went well.
const JOIN: &str = "for f do if (echo 0 >\"$f\") 2>/dev/null; then echo 1; else echo 0; fi; done";

/// A place in one hierarchy.
#[derive(Debug, Clone)]
pub(super) struct Base {
    /// Its interface.
    pub(super) version: Version,
    /// What can be used in a cage there.
    pub(super) controllers: Vec<Controller>,
    mount: PathBuf,
    /// The cgroup below which `cas` is.
    parent: PathBuf,
}

/// Why a place cannot be used.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The cgroup below which `cas` would have been.
    dir: PathBuf,
    why: Why,
}

#[derive(Debug)]
enum Why {
    /// No directory can be made.
    Make(io::Error),
    /// A process cannot be moved there.
    Join,
}

impl Base {
    /// True where its cages have this controller.
    pub(super) fn has(&self, controller: Controller) -> bool {
        self.controllers.contains(&controller)
    }

    /// True where it lies in this hierarchy.
    pub(super) fn is_of(&self, hierarchy: &Hierarchy) -> bool {
        self.mount == hierarchy.mount
    }

    fn dir(&self) -> PathBuf {
        self.parent.join(NAME)
    }

    /// The directory of a service.
    pub(super) fn leaf(&self, place: &str, service: &ServiceName) -> PathBuf {
        self.dir().join(place).join(leaf_name(service))
    }

    /// Makes the directory of a service and those above it.
    pub(super) fn dig(&self, place: &str, service: &ServiceName) -> io::Result<()> {
        let place = self.dir().join(place);
        let leaf = place.join(leaf_name(service));
        self.dig_chain(&[self.dir(), place, leaf])
    }

    /// Makes directories, each within the one before; in v2 all but the last hand their controllers down.
    fn dig_chain(&self, chain: &[PathBuf]) -> io::Result<()> {
        let mut last = None;
        for _ in 0..DIGS {
            match self.try_dig(chain) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => last = Some(error),
                done => return done,
            }
        }
        Err(last.unwrap_or_else(|| io::Error::from(io::ErrorKind::NotFound)))
    }

    fn try_dig(&self, chain: &[PathBuf]) -> io::Result<()> {
        let mut above = &self.parent;
        for dir in chain {
            if self.version == Version::V2 {
                hand_down(above);
            }
            match fs::create_dir(dir) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(file::named(dir, &error)),
            }
            above = dir;
        }
        Ok(())
    }
}

/// The name of a service's directory.
pub(super) fn leaf_name(service: &ServiceName) -> String {
    format!("{service}.svc")
}

/// Lets the children of a cgroup have its controllers, as far as the kernel allows it: not where processes are in the cgroup itself
/// ("no internal processes", cgroup-v2.rst), and not where it is not ours.
fn hand_down(dir: &Path) {
    let subtree = dir.join("cgroup.subtree_control");
    let handed = file::controllers(&subtree);
    let wanted = [Controller::Cpu, Controller::Memory, Controller::Pids];
    for controller in file::controllers(&dir.join("cgroup.controllers")) {
        if wanted.contains(&controller) && !handed.contains(&controller) {
            // What is refused is missing in the children's list of controllers, which is what counts.
            let _refused = file::write(&subtree, &format!("+{}", controller.word()));
        }
    }
}

/// Tries the hierarchies, each at the first place that works.
pub(super) fn claim(hierarchies: &[Hierarchy], uid: u32) -> (Vec<Base>, Vec<Refusal>) {
    let mut open: Vec<(&Hierarchy, Vec<PathBuf>)> =
        hierarchies.iter().map(|hierarchy| (hierarchy, candidates(hierarchy, uid))).collect();
    let (mut bases, mut refusals) = (Vec::new(), Vec::new());
    while !open.is_empty() {
        let mut trials = Vec::new();
        let mut retry = Vec::new();
        for (hierarchy, mut places) in open {
            if places.is_empty() {
                continue;
            }
            let parent = places.remove(0);
            match Trial::begin(hierarchy, parent.clone()) {
                Ok(trial) => trials.push((hierarchy, places, trial)),
                Err(error) => {
                    refusals.push(Refusal { dir: parent, why: Why::Make(error) });
                    retry.push((hierarchy, places));
                }
            }
        }
        let files: Vec<PathBuf> = trials.iter().map(|(_, _, trial)| trial.dir.join("cgroup.procs")).collect();
        let joined = join(&files);
        for (index, (hierarchy, places, trial)) in trials.into_iter().enumerate() {
            let base = trial.end();
            if joined.get(index) == Some(&true) {
                bases.push(base);
            } else {
                refusals.push(Refusal { dir: base.parent, why: Why::Join });
                retry.push((hierarchy, places));
            }
        }
        open = retry;
    }
    bases.sort_by_key(|base| base.version == Version::V1);
    (bases, refusals)
}

/// A cgroup that is made to see whether it can be.
struct Trial {
    base: Base,
    dir: PathBuf,
}

impl Trial {
    fn begin(hierarchy: &Hierarchy, parent: PathBuf) -> io::Result<Self> {
        if !file::is_cgroup(&parent, hierarchy.version) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "it is no cgroup"));
        }
        let mut base = Base {
            version: hierarchy.version,
            controllers: hierarchy.controllers.clone(),
            mount: hierarchy.mount.clone(),
            parent,
        };
        // No place begins with a dot, and no other process has our number.
        let dir = base.dir().join(format!(".trial-{}-{:08x}", std::process::id(), fastrand::u32(..)));
        if let Err(error) = base.dig_chain(&[base.dir(), dir.clone()]) {
            let _not_ours = fs::remove_dir(base.dir());
            return Err(error);
        }
        if base.version == Version::V2 {
            base.controllers = file::controllers(&dir.join("cgroup.controllers"));
        }
        Ok(Self { base, dir })
    }

    fn end(self) -> Base {
        let _gone = fs::remove_dir(&self.dir);
        // Refused where cages are in it, as it should be.
        let _in_use = fs::remove_dir(self.base.dir());
        self.base
    }
}

/// Where `cas` may be: first where every engine of this user would put it, last where only this one would.
fn candidates(hierarchy: &Hierarchy, uid: u32) -> Vec<PathBuf> {
    let mut places = Vec::new();
    if uid == 0 {
        places.push(hierarchy.mount.clone());
    } else if hierarchy.version == Version::V2 {
        places.extend(delegated(hierarchy, uid));
    }
    if let Some(own) = hierarchy.own_dir()
        && !places.contains(&own)
    {
        places.push(own);
    }
    places
}

/// The subtree of this user's systemd, whether or not we are in it.
fn delegated(hierarchy: &Hierarchy, uid: u32) -> Option<PathBuf> {
    let unit = format!("user@{uid}.service");
    let above = hierarchy.own.ancestors().find(|path| path.file_name().is_some_and(|name| *name == *unit));
    let path = match above {
        Some(path) => path.to_owned(),
        None => Path::new("/user.slice").join(format!("user-{uid}.slice")).join(&unit),
    };
    hierarchy.visible(&path).filter(|dir| dir.is_dir())
}

/// For each file whether a process could join by it.
fn join(files: &[PathBuf]) -> Vec<bool> {
    if files.is_empty() {
        return Vec::new();
    }
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(JOIN).arg("sh").args(files).env_clear().stdin(Stdio::null()).stderr(Stdio::null());
    let said = shell.output().map(|output| output.stdout).unwrap_or_default();
    said.split(|byte| *byte == b'\n').map(|line| line == b"1").collect()
}

/// Why no place could be claimed, and what would give one.
pub(super) fn note(refusals: &[Refusal], uid: u32) -> String {
    const WITHOUT: &str = "services are held together by process group and descent, and limits are not enforced";
    let reason = reason(refusals);
    if refusals.is_empty() {
        return format!("{reason}, so {WITHOUT}");
    }
    let hint = if uid == 0 {
        "in a container, mount /sys/fs/cgroup writable"
    } else {
        "install the daemon as a user unit (cas daemon install), or start cas by: systemd-run --user --scope cas"
    };
    format!("{reason}, so {WITHOUT}; {hint}")
}

/// Why no place could be claimed, as a clause.
pub(super) fn reason(refusals: &[Refusal]) -> String {
    let Some(first) = refusals.first() else { return "no cgroup file system is mounted here".to_owned() };
    let dir = first.dir.display();
    match &first.why {
        Why::Make(error) => {
            // The file's name is said once.
            let text = error.to_string();
            let reason = text.rsplit_once(": ").map_or(text.as_str(), |(_, reason)| reason);
            format!("no cgroup can be made in {dir} ({reason})")
        }
        Why::Join => format!("processes of this session cannot be put into a cgroup in {dir}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";

    fn hierarchy(own: &str) -> Hierarchy {
        Hierarchy::parse(USER, own).remove(0)
    }

    #[test]
    fn root_always_finds_the_same_place_and_falls_back_to_its_own() {
        let found = candidates(&hierarchy("0::/system.slice/cas.service\n"), 0);
        assert_eq!(found, [PathBuf::from("/sys/fs/cgroup"), PathBuf::from("/sys/fs/cgroup/system.slice/cas.service")]);
        assert_eq!(candidates(&hierarchy("0::/\n"), 0), [PathBuf::from("/sys/fs/cgroup")]);
    }

    #[test]
    fn a_cgroup_outside_of_what_is_mounted_is_no_candidate() {
        assert_eq!(candidates(&hierarchy("0::/../../elsewhere\n"), 4242), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_note_says_where_why_and_what_to_do() {
        let none = note(&[], 1000);
        assert!(none.contains("no cgroup file system"), "{none}");
        let why = Why::Make(file::named(Path::new("/x/cas"), &io::Error::from(io::ErrorKind::PermissionDenied)));
        let denied = note(&[Refusal { dir: PathBuf::from("/x"), why }], 1000);
        assert!(denied.contains("in /x (permission denied)") && denied.contains("cas daemon install"), "{denied}");
        let join = note(&[Refusal { dir: PathBuf::from("/x"), why: Why::Join }], 1000);
        assert!(join.contains("this session") && join.contains("systemd-run"), "{join}");
    }
}
