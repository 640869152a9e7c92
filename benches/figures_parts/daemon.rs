//! The daemon: taking services over, what shims weigh, the way of a line, consoles attached.

use crate::{
    Figure,
    measure::{CAS, Project, Terminal, cpu_seconds, ms_since, pause, quantile, shims_of, wait_until},
};
use cas::{
    api,
    config::paths::Paths,
    model::{phase::Phase, snapshot::Snapshot},
    world::clock,
};
use std::{
    fs,
    process::{Child, Command, Stdio},
};

/// A daemon with one project under its care; ended with everything that it runs.
pub(crate) struct Daemon {
    pub(crate) project: Project,
    child: Option<Child>,
}

impl Daemon {
    /// With everything started.
    pub(crate) fn start(project: Project) -> Self {
        let daemon = Self::open(project);
        daemon.run(&["up", "--detach"]);
        daemon
    }

    /// With nothing started that does not start by itself.
    fn open(project: Project) -> Self {
        let mut daemon = Self { project, child: None };
        daemon.host();
        daemon.run(&["open", "."]);
        daemon
    }

    fn host(&mut self) {
        let child = self.cas(&["daemon", "run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.expect("the daemon can be spawned"));
        let socket = self.paths().daemon_socket();
        wait_until("the daemon answers", 1, || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it can be killed");
            child.wait().expect("it was a child");
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().map(Child::id).expect("it runs")
    }

    fn paths(&self) -> Paths {
        let environment = self.project.environment();
        Paths::from_lookup(|name| environment.iter().find(|(key, _)| *key == name).map(|(_, path)| path.clone()))
    }

    fn cas(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(CAS);
        command.args(arguments).current_dir(self.project.path()).stdin(Stdio::null());
        for (name, value) in self.project.environment() {
            command.env(name, value);
        }
        command
    }

    fn run(&self, arguments: &[&str]) {
        let output = self.cas(arguments).output().expect("cas can be run");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Waits for a picture of the daemon.
    fn see(&self, what: &str, holds: impl Fn(&Snapshot) -> bool) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let socket = self.paths().daemon_socket();
        let handle = runtime.block_on(async { api::connect(&socket, clock::now).await }).expect("the daemon answers");
        wait_until(what, 1, || holds(&handle.snapshot()));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.child.is_none() {
            self.host();
        }
        let _stopped = self.cas(&["daemon", "stop", "--down"]).output();
        self.kill();
    }
}

fn all_run(snapshot: &Snapshot, count: usize) -> bool {
    snapshot.services.len() == count && snapshot.services.iter().all(|s| matches!(s.phase, Phase::Running { .. }))
}

fn adopt(count: usize, rounds: usize) -> (f64, f64) {
    let mut daemon = Daemon::start(Project::sleepers(count, true));
    daemon.see("all run", |snapshot| all_run(snapshot, count));
    let shims = shims_of(daemon.project.path());
    let pss: f64 = shims.iter().map(|pid| pss_mib(*pid)).sum::<f64>() / shims.len() as f64;
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            daemon.kill();
            let begin = clock::now();
            daemon.host();
            daemon.see("all are under care again", |snapshot| all_run(snapshot, count));
            ms_since(begin)
        })
        .collect();
    (quantile(&mut times, 0.5), pss)
}

fn pss_mib(pid: u32) -> f64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find(|line| line.starts_with("Pss:")).unwrap_or("Pss: 0 kB");
    line.split_whitespace().nth(1).and_then(|number| number.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

pub(crate) fn adoption() -> Vec<Figure> {
    let (fifty, pss) = adopt(50, 5);
    let (five_hundred, _) = adopt(500, 3);
    vec![
        Figure { name: "re-adopt 50 services, p50", value: fifty, unit: "ms", target: 1000.0 },
        Figure { name: "re-adopt 500 services, p50", value: five_hundred, unit: "ms", target: 3000.0 },
        Figure { name: "a shim of fifty, PSS", value: pss, unit: "MiB", target: 0.2 },
    ]
}

/// Writes lines one by one to descriptor 1, and how long that took to a file.
const BY_LINE: &str = "
import os, sys, time
line = b'a line of a hundred bytes, written by itself, as a program does that flushes after each of its lines...\\n'[-100:]
count = int(sys.argv[1])
begin = time.monotonic()
for _ in range(count):
    os.write(1, line)
took = time.monotonic() - begin
with open(sys.argv[2] + '.new', 'w') as f:
    f.write(str(took))
os.rename(sys.argv[2] + '.new', sys.argv[2])
";

/// Writes lines in large pieces.
const IN_PIECES: &str = "
import os, time
piece = b'x' * 99 + b'\\n'
piece = piece * 600
for _ in range(5000):
    data = piece
    while data:
        data = data[os.write(1, data):]
open('written', 'w').close()
time.sleep(100000)
";

pub(crate) fn lines() -> Vec<Figure> {
    let count = 300_000;
    let project = Project::new(&format!(
        "name: lines\nservices:\n  one: {{ command: [python3, -S, line.py, '{count}', took], restart: 'no' }}\n"
    ));
    fs::write(project.path().join("line.py"), BY_LINE).expect("a script can be written");
    let daemon = Daemon::open(project);
    let took = daemon.project.path().join("took");
    let read = || fs::read_to_string(&took).ok().and_then(|text| text.parse::<f64>().ok());
    let mut ratios: Vec<f64> = (0..5)
        .map(|_| {
            let _none = fs::remove_file(&took);
            let file = fs::File::create(daemon.project.path().join("plain.log")).expect("a file");
            let script = daemon.project.path().join("line.py");
            let status = Command::new("python3")
                .arg("-S")
                .arg(script)
                .args([&count.to_string(), "took"])
                .current_dir(daemon.project.path())
                .stdout(file)
                .status();
            assert!(status.is_ok_and(|status| status.success()), "python3 can be run");
            let plain = read().expect("it says how long it took");
            fs::remove_file(&took).expect("it is there");
            daemon.run(&["start", "one"]);
            wait_until("all lines are written", 5, || read().is_some());
            read().expect("it says how long it took") / plain
        })
        .collect();
    drop(daemon);

    let project = Project::new("name: flood\nservices:\n  one: { command: [python3, -S, pieces.py] }\n");
    fs::write(project.path().join("pieces.py"), IN_PIECES).expect("a script can be written");
    let daemon = Daemon::open(project);
    pause(1500);
    let before = cpu_seconds(daemon.pid());
    daemon.run(&["start", "one"]);
    let written = daemon.project.path().join("written");
    wait_until("three million lines are written", 5, || written.exists());
    pause(3000);
    let cpu = (cpu_seconds(daemon.pid()) - before) / 3.0;
    vec![
        Figure {
            name: "300,000 lines one by one, over a plain file's time",
            value: quantile(&mut ratios, 0.5),
            unit: "×",
            target: 1.0,
        },
        Figure { name: "engine CPU per million 100-byte lines", value: cpu, unit: "s", target: 0.5 },
    ]
}

pub(crate) fn attach() -> Vec<Figure> {
    let daemon = Daemon::start(Project::sleepers(200, true));
    daemon.see("all run", |snapshot| all_run(snapshot, 200));
    let mut times: Vec<f64> = (0..9)
        .map(|_| {
            let begin = clock::now();
            let terminal = Terminal::open(&daemon.project, &[], 200, 60);
            wait_until("a full frame", 1, || terminal.shows("s0000") && terminal.shows("200"));
            ms_since(begin)
        })
        .collect();
    let cpu_with = |consoles: usize| {
        let open: Vec<Terminal> = (0..consoles).map(|_| Terminal::open(&daemon.project, &[], 120, 36)).collect();
        for terminal in &open {
            wait_until("a full frame", 5, || terminal.shows("s0000"));
        }
        pause(3000);
        let before = cpu_seconds(daemon.pid());
        pause(15_000);
        cpu_seconds(daemon.pid()) - before
    };
    let (one, ten) = (cpu_with(1), cpu_with(10));
    println!("  (engine over 15 s: {one:.2} s of CPU with one console, {ten:.2} s with ten)");
    vec![
        Figure {
            name: "attach with 200 services to a full frame, p50",
            value: quantile(&mut times, 0.5),
            unit: "ms",
            target: 100.0,
        },
        Figure { name: "engine with ten consoles over with one", value: ten / one.max(0.01), unit: "×", target: 1.5 },
    ]
}
