//! The daemon becomes another program and back, while services run, write and crash: `cas daemon restart` by the new one each time.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use cas::{
    host::handle::Handle,
    model::{ids::RunId, snapshot::Snapshot},
    world::clock,
};

use crate::{
    Count, Must, count, engines,
    ledger::WRITER,
    rig::{CAS, Rig, SHIM, ms_since, pause, see, wait_until},
};

/// A copy of both programs in a directory of its own: what an upgrade puts beside the old ones.
struct Version(PathBuf);

impl Version {
    fn install(rig: &Rig, name: &str) -> Self {
        let dir = rig.at(name);
        fs::create_dir(&dir).expect("a directory");
        for (program, name) in [(CAS, "cas"), (SHIM, "cas-shim")] {
            fs::copy(program, dir.join(name)).expect("a program can be copied");
        }
        Self(dir.canonicalize().expect("it is there"))
    }

    fn cas(&self, rig: &Rig, arguments: &[&str]) {
        let like = rig.cas(arguments);
        let mut command = Command::new(self.0.join("cas"));
        command.args(arguments).current_dir(rig.project()).stdin(std::process::Stdio::null());
        command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("CAS_SHIM", self.0.join("cas-shim"));
        let output = command.output().expect("it can be run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cas {arguments:?}: {}\n{said}", output.status);
    }

    /// Whether the daemon is this program.
    fn runs(&self, handle: &Handle) -> bool {
        let pid = handle.snapshot().engine.pid;
        fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == self.0.join("cas"))
    }
}

/// The runs of those that never crash.
fn steady_runs(snapshot: &Snapshot) -> Vec<(String, Option<RunId>, Option<u32>)> {
    let steady = snapshot.services.iter().filter(|service| !engines::crashes(service.id.service.as_str()));
    steady.map(|service| (service.id.service.to_string(), service.run, service.pid)).collect()
}

/// The trial: so many times there and back.
pub(crate) fn there_and_back(rounds: usize) -> Vec<Count> {
    let mut rig = Rig::new(&engines::yaml(), &[("writer.py", WRITER)]);
    fs::create_dir(rig.project().join("ledger")).expect("a directory");
    let [old, new] = ["old", "new"].map(|name| Version::install(&rig, name));
    old.cas(&rig, &["up", "--detach"]);
    let handle = rig.connect();
    rig.is_detached(handle.snapshot().engine.pid);
    see(&handle, "every service runs", engines::all_under_care);
    let before = steady_runs(&handle.snapshot());
    drop(handle);
    let begin = clock::now();
    let (mut adoption, mut others, mut touched) = (Vec::new(), 0, 0);
    for version in std::iter::repeat_n([&new, &old], rounds).flatten() {
        pause(Duration::from_millis(fastrand::u64(200..600)));
        let from = clock::now();
        version.cas(&rig, &["daemon", "restart"]);
        let handle = rig.connect();
        rig.is_detached(handle.snapshot().engine.pid);
        see(&handle, "every service is under care again", engines::all_under_care);
        adoption.push(ms_since(from));
        others += usize::from(!version.runs(&handle));
        let after = steady_runs(&handle.snapshot());
        touched += before.iter().zip(&after).filter(|(before, after)| before != after).count();
    }
    let seconds = ms_since(begin) / 1000.0;
    let handle = rig.connect();
    see(&handle, "all are under care at the end", engines::all_under_care);
    let lost = engines::SERVICES.saturating_sub(handle.snapshot().services.len());
    drop(handle);
    let there = engines::in_segments(&rig).len() as u64;
    wait_until("the store has taken in what was there", || engines::counted(&rig) >= there);
    old.cas(&rig, &["daemon", "stop", "--down"]);
    wait_until("shims have ended", || rig.shims().is_empty());
    let orphans = rig.processes().len();
    let mut counts = vec![
        count("upgrades, there and back", 2.0 * rounds as f64, Must::Told),
        count("upgrades after which the old program ran", others as f64, Must::Zero),
        count("services that never crash and were another run after one", touched as f64, Must::Zero),
    ];
    counts.extend(engines::judge(&rig, seconds, lost, orphans, &mut adoption));
    counts
}
