//! An sshd of our own: free port, own host key, own list of who may come in, everything in a temporary directory. As root and as anybody else.

use std::{
    fs,
    io::Read,
    net::TcpStream,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use portable_pty::{PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    pty::terminal::{CAS, Launch, Project, Terminal, cpu_ticks, free_port},
    support::eventually,
};

/// A running sshd and what a client of it needs.
pub(super) struct Sshd {
    home: tempfile::TempDir,
    port: u16,
    child: Child,
}

/// sshd wants to be called by its whole name, and is in the path of root alone.
fn program() -> PathBuf {
    let places = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd", "/usr/bin/sshd"];
    let found = places.iter().map(Path::new).find(|path| path.exists());
    found.expect("there is no sshd: apt-get install openssh-server openssh-client (make test-needs)").to_owned()
}

fn key(home: &Path, name: &str) -> PathBuf {
    let file = home.join(name);
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&file).output();
    let made = made.expect("there is no ssh-keygen: apt-get install openssh-client (make test-needs)");
    assert!(made.status.success(), "{made:?}");
    file
}

/// How sshd is called. It gives every terminal to the group `tty`, which an ordinary user can only where the system has done so already (devpts with
/// `gid=5`, as nearly everywhere). Where it has not, sshd gets a list of groups in which there is none, in a namespace of its own.
fn call(home: &Path) -> Command {
    let config = home.join("config");
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let field = |line: &str| line.split(':').nth(2)?.parse::<u32>().ok();
    let tty = groups.lines().find(|line| line.starts_with("tty:")).and_then(field);
    let pty = native_pty_system().openpty(PtySize::default()).unwrap();
    let given = fs::metadata(pty.master.tty_name().unwrap()).unwrap().gid();
    if rustix::process::geteuid().is_root() || tty.is_none_or(|tty| tty == given) {
        let mut command = Command::new(program());
        command.args(["-D", "-e", "-f"]).arg(config);
        return command;
    }
    let without: Vec<&str> = groups.lines().filter(|line| !line.starts_with("tty:")).collect();
    fs::write(home.join("group"), without.join("\n") + "\n").unwrap();
    let script = "mount --bind \"$0\" /etc/group && exec setpriv --ambient-caps=-all --inh-caps=-all \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-current-user", "--keep-caps", "--mount", "sh", "-c", script]);
    command.arg(home.join("group")).arg(program()).args(["-D", "-e", "-f"]).arg(config);
    command
}

impl Sshd {
    /// One whose sessions have the directories of `project`; `more` is added to its configuration.
    pub(super) fn start(project: &Project, more: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let host = key(home.path(), "host");
        fs::copy(key(home.path(), "key").with_extension("pub"), at("authorized")).unwrap();
        if rustix::process::geteuid().is_root() {
            // The place where root's sshd locks its helpers in; packages make it at boot.
            fs::DirBuilder::new().recursive(true).mode(0o755).create("/run/sshd").unwrap();
        }
        let set: Vec<String> =
            project.environment().into_iter().map(|(name, value)| format!("{name}={}", value.display())).collect();
        let mut port = free_port();
        for _ in 0..10 {
            let config = format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
                 PasswordAuthentication no\nKbdInteractiveAuthentication no\nPubkeyAuthentication yes\nPermitRootLogin yes\n\
                 PrintMotd no\nPrintLastLog no\nAcceptEnv NO_COLOR COLORTERM\nSetEnv {}\n{more}",
                host.display(),
                at("pid").display(),
                at("authorized").display(),
                set.join(" ")
            );
            fs::write(at("config"), config).unwrap();
            let log = fs::File::create(at("log")).unwrap();
            let mut child = call(home.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
            let mut listens = false;
            eventually("sshd listens, or has ended", || {
                listens = greets(port);
                listens || child.try_wait().unwrap().is_some()
            });
            // Another may have taken the port meanwhile.
            if listens && child.try_wait().unwrap().is_none() {
                return Self { home, port, child };
            }
            port = free_port();
        }
        panic!("sshd does not start:\n{}", fs::read_to_string(at("log")).unwrap());
    }

    /// What it said.
    fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }

    /// The arguments of ssh: to this machine, by this key, knowing nothing else.
    fn arguments(&self, options: &[&str], line: &str) -> Vec<String> {
        let known = format!("UserKnownHostsFile={}", self.home.path().join("known").display());
        let mut arguments: Vec<String> = vec!["-F".to_owned(), "none".to_owned(), "-i".to_owned()];
        arguments.push(self.home.path().join("key").display().to_string());
        arguments.extend(["-p".to_owned(), self.port.to_string()]);
        for option in [
            known.as_str(),
            "GlobalKnownHostsFile=/dev/null",
            "StrictHostKeyChecking=accept-new",
            "IdentitiesOnly=yes",
            "BatchMode=yes",
            "AddressFamily=inet",
            "LogLevel=ERROR",
            "SendEnv=NO_COLOR COLORTERM",
        ] {
            arguments.extend(["-o".to_owned(), option.to_owned()]);
        }
        arguments.extend(options.iter().map(|option| (*option).to_owned()));
        arguments.extend(["localhost".to_owned(), line.to_owned()]);
        arguments
    }

    /// Runs a line there without a terminal.
    pub(super) fn run(&self, line: &str) -> Output {
        let ran = Command::new("ssh").args(self.arguments(&[], line)).stdin(Stdio::null()).output().unwrap();
        assert_ne!(ran.status.code(), Some(255), "ssh itself failed: {ran:?}\n{}", self.log());
        ran
    }

    /// `cas ARGUMENTS` there, in the project's directory, without a terminal.
    pub(super) fn cas(&self, project: &Project, arguments: &str) -> Output {
        self.run(&format!("cd {} && exec {CAS} {arguments}", project.root().display()))
    }

    /// `ssh -t localhost LINE` in a terminal.
    pub(super) fn terminal(&self, project: &Project, line: &str, environment: &[(&str, &str)]) -> Terminal {
        let arguments = self.arguments(&["-t", "-e", "none"], line);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Terminal::launch(project, &Launch { program: "ssh", arguments: &arguments, environment, size: (200, 60) })
    }

    /// `ssh -t localhost cas` in the project's directory: the console, and its process there.
    pub(super) fn console(&self, project: &Project) -> (Terminal, Pid) {
        let before = self.consoles();
        let line = format!("cd {} && exec {CAS}", project.root().display());
        let terminal = self.terminal(project, &line, &[]);
        let mut found = None;
        terminal.eventually("the console is there", |_| {
            found = self.consoles().into_iter().find(|pid| !before.contains(pid));
            found.is_some()
        });
        (terminal, found.unwrap())
    }

    /// Every `cas` below this sshd.
    fn consoles(&self) -> Vec<Pid> {
        let cas = fs::canonicalize(CAS).unwrap();
        let below = descendants(pid_of(self.child.id()));
        below.into_iter().filter(|pid| fs::read_link(place(*pid).join("exe")).is_ok_and(|exe| exe == cas)).collect()
    }

    /// The process of sshd that serves the session of a console: its parent.
    pub(super) fn session_of(&self, console: Pid) -> Pid {
        let stat = fs::read_to_string(place(console).join("stat")).unwrap();
        let parent = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap();
        let parent = Pid::from_raw(parent).unwrap();
        let comm = fs::read_to_string(place(parent).join("comm")).unwrap();
        assert!(comm.starts_with("sshd"), "{comm}");
        assert!(descendants(pid_of(self.child.id())).contains(&parent), "it is a session of this sshd");
        parent
    }
}

impl Drop for Sshd {
    /// Its sessions would outlive it.
    fn drop(&mut self) {
        for pid in descendants(pid_of(self.child.id())) {
            let _ended = kill_process(pid, Signal::KILL);
        }
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

fn greets(port: u16) -> bool {
    let mut banner = [0; 4];
    TcpStream::connect(("127.0.0.1", port))
        .and_then(|mut stream| stream.read_exact(&mut banner))
        .is_ok_and(|()| banner == *b"SSH-")
}

fn pid_of(number: u32) -> Pid {
    Pid::from_raw(number.cast_signed()).unwrap()
}

fn place(pid: Pid) -> PathBuf {
    Path::new("/proc").join(pid.as_raw_nonzero().to_string())
}

fn descendants(of: Pid) -> Vec<Pid> {
    let tasks = fs::read_dir(place(of).join("task")).into_iter().flatten().flatten();
    let children = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    let children: Vec<Pid> = children
        .flat_map(|text| text.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect::<Vec<_>>())
        .collect();
    children.into_iter().flat_map(|child| std::iter::once(child).chain(descendants(child))).collect()
}

/// Whether a process has gone, zombies counted as gone.
pub(super) fn is_gone(pid: Pid) -> bool {
    cpu_ticks(pid).is_none()
}

/// Waits until a process is gone, and fails where it turned in circles meanwhile.
#[track_caller]
pub(super) fn ends_calmly(pid: Pid) {
    let before = cpu_ticks(pid).unwrap_or(0);
    let mut used = before;
    eventually("the console ends", || {
        let now = cpu_ticks(pid);
        used = now.unwrap_or(used);
        now.is_none()
    });
    let spent = (used - before) as f64 / rustix::param::clock_ticks_per_second() as f64;
    assert!(spent < 2.0, "{spent} s of CPU for ending");
}

/// Waits until a console is held in write(2) to its terminal, and stays so.
#[track_caller]
pub(super) fn is_held(console: Pid) {
    let mut seen = 0;
    eventually("the terminal takes nothing any more", || {
        let call = fs::read_to_string(place(console).join("syscall")).unwrap_or_default();
        let is_write = ["1 0x1 ", "64 0x1 "].iter().any(|write| call.starts_with(write));
        let waits = fs::read_to_string(place(console).join("wchan")).unwrap_or_default();
        seen = if is_write || ["n_tty_write", "wait_woken"].contains(&waits.as_str()) { seen + 1 } else { 0 };
        seen > 60
    });
}

/// Main processes of services by what the engine, or the disk, says.
pub(super) fn pids(project: &Project, names: &[&str]) -> Vec<i64> {
    let mut found = Vec::new();
    eventually("all run", || {
        let ran = project.cas(&["status", "--json"], &[]);
        let status: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap_or_default();
        let services = status["services"].as_array().cloned().unwrap_or_default();
        let running = services.iter().filter(|service| service["phase"] == "running");
        let pid = |name: &&str| running.clone().find(|service| service["name"] == *name)?["pid"].as_i64();
        found = names.iter().filter_map(pid).collect();
        found.len() == names.len()
    });
    found
}

/// The numbers that `web` has written, as the logs have them: each one once, from the first on.
#[track_caller]
pub(super) fn no_line_is_lost(project: &Project) -> usize {
    let ran = project.cas(&["logs", "web", "--no-prefix"], &[]);
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    let numbers: Vec<usize> = text.lines().filter_map(|line| line.strip_prefix("line ")?.trim().parse().ok()).collect();
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>(), "none is missing, none twice, none out of order");
    numbers.len()
}

/// Waits until `web` has written `more` lines than it had.
#[track_caller]
pub(super) fn writes_on(project: &Project, more: usize) {
    let before = no_line_is_lost(project);
    eventually("it writes on", || no_line_is_lost(project) >= before + more);
}

/// What fills a link in seconds: a service whose log never stands still and has a colour for every letter.
pub(super) const FLOOD: &str = r#"  flood:
    autostart: true
    command:
      - python3
      - -uc
      - |
        import random, time
        letter = lambda: "\x1b[38;5;%dm%c" % (random.randrange(16, 255), random.randrange(97, 122))
        number = 0
        while True:
            for _ in range(60):
                number += 1
                print("flood", number, "".join(letter() for _ in range(150)))
            time.sleep(0.1)
"#;

/// Ends the daemon and all that it runs.
pub(super) fn down(project: &Project) {
    let ran = project.cas(&["daemon", "stop", "--down"], &[]);
    assert!(ran.status.success(), "{ran:?}");
}
