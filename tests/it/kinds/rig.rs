//! Real servers on free ports, each with a directory of its own, gone with the test.

use std::{
    fs::File,
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::support::eventually;
use cas::{
    model::exam::{Protocol, Reading, Target, Trouble},
    world::kinds,
};

/// Questions, 5 ms and their own time apart, that a server may take to come up on a busy machine.
const PATIENCE: u32 = 10_000;

/// A server.
pub(crate) struct Server {
    child: Child,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // The whole group.
        let _gone = Command::new("kill").args(["-9", "--", &format!("-{}", self.child.id())]).status();
        let _reaped = self.child.wait();
    }
}

impl Server {
    /// Starts `program` with its arguments in a new group; its output goes to `out` in `dir`.
    pub(crate) fn start(dir: tempfile::TempDir, port: u16, program: &Path, arguments: &[&str]) -> Self {
        Self::start_with(dir, port, Command::new(program).args(arguments))
    }

    /// As [`Self::start`], with all that a command can say (user, environment).
    pub(crate) fn start_with(dir: tempfile::TempDir, port: u16, command: &mut Command) -> Self {
        let out = File::create(dir.path().join("out")).unwrap();
        let child = command
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, dir, port }
    }

    /// What it has written so far.
    pub(crate) fn output(&self) -> String {
        std::fs::read(self.dir.path().join("out"))
            .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Where it listens, asked as nobody.
    pub(crate) fn target(&self) -> Target {
        at(self.port)
    }

    /// Sends a signal to its whole group: `STOP`, `CONT`, `KILL`.
    pub(crate) fn signal(&self, name: &str) {
        let done = Command::new("kill").args([&format!("-{name}"), "--", &format!("-{}", self.child.id())]).status();
        assert!(done.unwrap().success());
    }
}

/// `127.0.0.1` at a port.
pub(crate) fn at(port: u16) -> Target {
    Target { host: "127.0.0.1".to_owned(), port, ..Target::default() }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The path of a program, also of those that are in no PATH. A machine without it fails with what installs it.
pub(crate) fn program(name: &str, package: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let others = ["/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/share/zookeeper/bin"].map(PathBuf::from);
    versions
        .map(|version| version.path().join("bin"))
        .chain(std::env::split_paths(&path))
        .chain(others)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed: apt-get install {package} (make test does it)"))
}

/// A directory of its own.
pub(crate) fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Runs a question to its end.
pub(crate) fn run<T>(question: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(question)
}

/// One round, bounded as the world bounds it.
pub(crate) fn ready(protocol: Protocol, target: &Target) -> Result<(), Trouble> {
    run(async {
        tokio::time::timeout(Duration::from_secs(10), kinds::ready(protocol, target))
            .await
            .unwrap_or_else(|_| Err(Trouble::Unreachable("no answer within 10 s".to_owned())))
    })
}

/// One look, bounded as the world bounds it.
pub(crate) fn look(protocol: Protocol, target: &Target) -> Result<Reading, Trouble> {
    run(async {
        tokio::time::timeout(Duration::from_secs(20), kinds::look(protocol, target))
            .await
            .unwrap_or_else(|_| Err(Trouble::Unreachable("no answer within 20 s".to_owned())))
    })
}

/// Waits until a server says that it serves.
pub(crate) fn until_ready(server: &Server, protocol: Protocol, target: &Target) {
    let mut last = String::new();
    let mut asked = 0;
    eventually("the server serves", || {
        let answer = ready(protocol, target);
        last = format!("{answer:?}");
        asked += 1;
        // Told before the waiting is given up, which tells less.
        assert!(answer.is_ok() || asked < PATIENCE, "{last}; it said:\n{}", server.output());
        answer.is_ok()
    });
}

/// A figure of a reading.
pub(crate) fn figure(reading: &Reading, name: &str) -> f64 {
    let found = reading.measures.iter().find(|measure| measure.name == name);
    found.unwrap_or_else(|| panic!("no {name} in {reading:?}")).value
}
