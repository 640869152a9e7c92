//! A Docker of the tests' own: private directories, no networks of the machine touched, gone with the tests. Where it cannot be had, tests fail and say
//! what installs it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
    time::Duration,
};

use crate::support::eventually;

/// What every test's image is called.
pub(crate) const IMAGE: &str = "casbox:1";
/// The programs of the image, all of busybox.
const PROGRAMS: &str = "sh sleep echo cat true false nc httpd date seq kill trap printf env head touch test mkdir tail";

/// Addresses of its networks: many small ones, as interfaces that others left behind take those that Docker has by itself.
const POOL: &str = "10.201.0.0/16,size=26";

/// A running daemon.
pub(crate) struct Dockerd {
    directory: PathBuf,
    name: &'static str,
    arguments: String,
    keeper: Option<std::process::Child>,
}

/// The one that tests share.
pub(crate) fn shared() -> &'static Dockerd {
    static SHARED: OnceLock<Dockerd> = OnceLock::new();
    SHARED.get_or_init(|| Dockerd::start("shared"))
}

fn has(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let own = ["/usr/sbin", "/sbin", "/usr/bin"].map(PathBuf::from);
    std::env::split_paths(&paths).chain(own).any(|directory| directory.join(program).exists())
}

impl Dockerd {
    /// Starts one, with the tests' image in it.
    pub(crate) fn start(name: &'static str) -> Self {
        Self::start_with(name, "")
    }

    /// The same with more arguments, as a shell reads them.
    pub(crate) fn start_with(name: &'static str, arguments: &str) -> Self {
        for program in ["dockerd", "docker", "busybox", "setpriv"] {
            assert!(has(program), "these tests need {program}: apt-get install -y docker.io busybox-static iptables");
        }
        let directory = std::env::temp_dir().join(format!("cas-dockerd-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let mut dockerd = Self { directory, name, arguments: arguments.to_owned(), keeper: None };
        dockerd.raise();
        dockerd.load_image();
        dockerd
    }

    /// Starts the daemon over what is there.
    pub(crate) fn raise(&mut self) {
        let at = self.directory.display();
        // Ended with the tests, however they end: the shell hears of it, removes the interfaces of its networks, which would outlive it, ends the daemon,
        // and leaves nothing on disk.
        let script = format!(
            "PATH=$PATH:/usr/sbin:/sbin
            dockerd --data-root {at}/data --exec-root {at}/exec --pidfile {at}/pid -H unix://{at}/docker.sock \
                --iptables=false --bridge=none --shutdown-timeout 3 --default-address-pool base={POOL} {} >>{at}/log 2>&1 &
            dockerd=$!
            docker='timeout 10 docker --host unix://{at}/docker.sock'
            trap '$docker ps --all --quiet | xargs -r $docker rm --force >>{at}/log 2>&1
                $docker network prune --force >>{at}/log 2>&1; kill $dockerd; wait $dockerd
                grep {at}/ /proc/mounts | cut -d\" \" -f2 | sort -r | xargs -r umount -l; rm -rf {at}; exit' TERM
            wait $dockerd",
            self.arguments
        );
        let (sender, receiver) = std::sync::mpsc::channel();
        // The thread that makes it must live as long as the tests do.
        std::thread::spawn(move || {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "TERM", "sh", "-c", &script]).stdin(Stdio::null());
            sender.send(command.spawn()).unwrap();
            loop {
                std::thread::park();
            }
        });
        self.keeper = Some(receiver.recv().unwrap().unwrap());
        let log = || std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        eventually("dockerd answers", || self.docker(&["version"]).status.success());
        assert!(log().contains("API listen on"), "{}", log());
    }

    /// `kill -9`, as a crash is.
    pub(crate) fn crash(&mut self) {
        let pid = std::fs::read_to_string(self.directory.join("pid")).unwrap();
        self.signal(pid.trim(), "KILL");
        let mut keeper = self.keeper.take().unwrap();
        keeper.wait().unwrap();
        // The kernel ended its containerd with it. Until somebody has waited for that, its number looks alive to the next daemon.
        let noted = self.directory.join("exec/containerd/containerd.pid");
        let pid = std::fs::read_to_string(&noted).unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        eventually("containerd is gone", || state().is_empty() || state().contains(") Z "));
        std::fs::remove_file(noted).unwrap();
    }

    /// Stops answering, or answers again.
    pub(crate) fn freeze(&self, is_frozen: bool) {
        let pid = std::fs::read_to_string(self.directory.join("pid")).unwrap();
        self.signal(pid.trim(), if is_frozen { "STOP" } else { "CONT" });
    }

    fn signal(&self, pid: &str, signal: &str) {
        let status = Command::new("kill").args([&format!("-{signal}"), pid]).status().unwrap();
        assert!(status.success(), "{} {pid}", self.name);
    }

    pub(crate) fn host(&self) -> String {
        format!("unix://{}/docker.sock", self.directory.display())
    }

    /// The command line client, as somebody else uses it.
    pub(crate) fn docker(&self, args: &[&str]) -> Output {
        let mut command = Command::new("docker");
        command.env_remove("DOCKER_CONTEXT").env("DOCKER_HOST", self.host()).args(args).stdin(Stdio::null());
        command.output().unwrap()
    }

    /// What it says; the test fails where it fails.
    pub(crate) fn ask(&self, args: &[&str]) -> String {
        let output = self.docker(args);
        assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// One value of what `docker inspect` says.
    pub(crate) fn inspect(&self, name: &str, format: &str) -> String {
        self.ask(&["inspect", "--format", format, name])
    }

    fn load_image(&self) {
        load_image(&self.directory, &self.host());
    }
}

/// Makes the tests' image in an engine; `directory` is for what it is made from.
pub(crate) fn load_image(directory: &Path, host: &str) {
    let script = format!(
        "set -e; cd {}; mkdir -p root/bin root/tmp; cp $(command -v busybox) root/bin/busybox
        for p in {PROGRAMS}; do ln -sf busybox root/bin/$p; done
        tar -C root -c . | DOCKER_HOST={host} docker import -c 'ENV PATH=/bin' - {IMAGE}",
        directory.display(),
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            self.signal(&keeper.id().to_string(), "TERM");
            keeper.wait().unwrap();
        }
    }
}

/// Longer than a Docker that is asked something takes.
pub(crate) const SOON: Duration = Duration::from_secs(20);
