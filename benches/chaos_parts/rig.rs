//! A project under a daemon of its own, in a directory that is removed, and nothing left of either.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use cas::{
    api,
    config::paths::Paths,
    host::handle::Handle,
    model::{snapshot::Snapshot, time::Timestamp},
    world::clock,
};
use rustix::process::{Pid, Signal, kill_process};

pub(crate) const CAS: &str = env!("CARGO_BIN_EXE_cas");
pub(crate) const SHIM: &str = env!("CARGO_BIN_EXE_cas-shim");

/// Everything of one trial.
pub(crate) struct Rig {
    dir: tempfile::TempDir,
    daemon: Option<Child>,
    /// One that is no child of ours.
    detached: Option<u32>,
    pub(crate) runtime: tokio::runtime::Runtime,
}

#[expect(clippy::disallowed_methods, reason = "a trial waits for what it tries")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Milliseconds from `from` to now.
pub(crate) fn ms_since(from: Timestamp) -> f64 {
    clock::now().since(from).as_secs_f64() * 1000.0
}

/// Polls until `done`; fails after three minutes with what the rig knows.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = clock::now();
    while !done() {
        assert!(ms_since(begin) < 180_000.0, "never came true: {what}");
        pause(Duration::from_millis(5));
    }
}

/// Waits for a picture.
pub(crate) fn see(handle: &Handle, what: &str, holds: impl Fn(&Snapshot) -> bool) {
    wait_until(what, || holds(&handle.snapshot()));
}

impl Rig {
    /// A project of this file and of scripts beside it.
    pub(crate) fn new(yaml: &str, scripts: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join("project")).expect("a directory can be made");
        let rig = Self {
            dir,
            daemon: None,
            detached: None,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .expect("a runtime"),
        };
        fs::write(rig.project().join("cas.yaml"), yaml).expect("cas.yaml can be written");
        for (name, text) in scripts {
            fs::write(rig.project().join(name), text).expect("a script can be written");
        }
        rig
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    /// A path of its own.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The daemon has put itself into the background: it is ended with the rig, where it is still that.
    pub(crate) const fn is_detached(&mut self, pid: u32) {
        self.detached = Some(pid);
    }

    fn environment(&self) -> BTreeMap<&'static str, PathBuf> {
        let at = |name: &str| self.dir.path().join(name);
        BTreeMap::from([
            ("CAS_STATE_DIR", at("state")),
            ("CAS_RUNTIME_DIR", at("run")),
            ("CAS_CONFIG_DIR", at("config")),
            ("CAS_SHIM", SHIM.into()),
        ])
    }

    pub(crate) fn paths(&self) -> Paths {
        let environment = self.environment();
        Paths::from_lookup(|name| environment.get(name).cloned())
    }

    /// `cas` with these arguments, in the project.
    pub(crate) fn cas(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(CAS);
        command.args(arguments).current_dir(self.project()).envs(self.environment()).stdin(Stdio::null());
        command
    }

    /// Runs it and says what it wrote.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.cas(arguments).output().expect("cas can be run");
        assert!(
            output.status.success(),
            "cas {arguments:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts a daemon; returns when its socket answers.
    pub(crate) fn start(&mut self) {
        let log = fs::File::create(self.dir.path().join("daemon.log")).expect("a log");
        let child =
            self.cas(&["daemon", "run"]).stdout(Stdio::null()).stderr(log).spawn().expect("the daemon can be spawned");
        self.daemon = Some(child);
        let socket = self.paths().daemon_socket();
        wait_until("the daemon's socket answers", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    }

    /// SIGKILL to the daemon.
    pub(crate) fn kill_daemon(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().expect("the daemon can be killed");
            daemon.wait().expect("the daemon was a child");
        }
    }

    /// A client's end of the daemon.
    pub(crate) fn connect(&self) -> Handle {
        let socket = self.paths().daemon_socket();
        self.runtime.block_on(async { api::connect(&socket, clock::now).await }).expect("the daemon answers")
    }

    /// Processes that have a file of this rig as an argument, or run in its slots: shims and services.
    pub(crate) fn processes(&self) -> Vec<(u32, String)> {
        let needle = self.dir.path().to_string_lossy().into_owned();
        processes(|command, directory| command.contains(&needle) || directory.starts_with(&needle))
    }

    pub(crate) fn shims(&self) -> Vec<u32> {
        let shims = self.processes().into_iter().filter(|(_, command)| command.contains("cas-shim"));
        shims.map(|(pid, _)| pid).collect()
    }
}

/// Processes by command line and working directory.
pub(crate) fn processes(wanted: impl Fn(&str, &str) -> bool) -> Vec<(u32, String)> {
    let numbers = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid != std::process::id())
        .filter_map(|pid| {
            let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            let directory = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
            wanted(&command, &directory.to_string_lossy()).then_some((pid, command))
        })
        .collect()
}

pub(crate) fn kill(pid: u32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        // It has ended already: what was wanted.
        let _gone = kill_process(pid, signal);
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.kill_daemon();
        if let Some(pid) = self.detached
            && fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.starts_with(self.dir.path()))
        {
            kill(pid, Signal::KILL);
        }
        for _ in 0..50 {
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            for (pid, _) in left {
                kill(pid, Signal::KILL);
            }
            pause(Duration::from_millis(20));
        }
    }
}
