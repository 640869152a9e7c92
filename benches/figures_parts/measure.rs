//! Clocks, processes and terminals, as a benchmark sees them.

use std::{
    fs,
    io::{Read, Write},
    num::NonZero,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use cas::{model::time::Timestamp, world::clock};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// The binary that is measured.
pub(crate) const CAS: &str = env!("CARGO_BIN_EXE_cas");

/// The value in the middle of sorted `values`, or at another quantile.
pub(crate) fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * q).round() as usize]
}

/// Milliseconds from `from` to now.
pub(crate) fn ms_since(from: Timestamp) -> f64 {
    clock::now().since(from).as_secs_f64() * 1000.0
}

#[expect(clippy::disallowed_methods, reason = "a benchmark waits for what it measures")]
pub(crate) fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// Polls until `done`; fails after two minutes.
pub(crate) fn wait_until(what: &str, step_ms: u64, mut done: impl FnMut() -> bool) {
    let begin = clock::now();
    while !done() {
        assert!(ms_since(begin) < 120_000.0, "never came true: {what}");
        pause(step_ms);
    }
}

/// User plus system time of a process in seconds, all threads.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is there");
    let rest = stat.rsplit_once(')').expect("stat has a name").1;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().expect("utime") + fields[12].parse::<f64>().expect("stime");
    ticks / rustix::param::clock_ticks_per_second() as f64
}

/// Resident memory in MiB.
pub(crate) fn resident_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("VmRSS");
    line.split_whitespace().nth(1).expect("a number").parse::<f64>().expect("a number") / 1024.0
}

/// The shims of whatever keeps its state below `directory`.
pub(crate) fn shims_of(directory: &Path) -> Vec<u32> {
    let needle = directory.to_string_lossy().into_owned();
    let pids = fs::read_dir("/proc").expect("/proc").flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).into_owned();
            command.contains("cas-shim") && command.contains(&needle)
        })
        .collect()
}

/// Number of children of a process.
pub(crate) fn children(pid: u32) -> usize {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .map(|text| text.split_whitespace().count())
        .sum()
}

/// A project directory of its own, removed on drop.
pub(crate) struct Project(tempfile::TempDir);

impl Project {
    pub(crate) fn new(yaml: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::write(dir.path().join("cas.yaml"), yaml).expect("cas.yaml can be written");
        Self(dir)
    }

    /// `count` services that do nothing.
    pub(crate) fn sleepers(count: usize, autostart: bool) -> Self {
        let mut yaml = "name: bench\nservices:\n".to_owned();
        for n in 0..count {
            let line = format!("  s{n:04}: {{ command: [sleep, '100000'], autostart: {autostart} }}\n");
            yaml.push_str(&line);
        }
        Self::new(&yaml)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Variables that keep everything of this run inside the directory.
    pub(crate) fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        ["CAS_STATE_DIR", "CAS_RUNTIME_DIR", "CAS_CONFIG_DIR"]
            .into_iter()
            .map(|name| (name, self.path().join(name.to_lowercase())))
            .collect()
    }
}

/// What came out of a terminal so far.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) bytes: usize,
    /// Reads that came at least 3 ms after the one before: about the number of frames.
    pub(crate) bursts: usize,
    last: Timestamp,
}

/// `cas` in a real pty with an emulator behind it.
pub(crate) struct Terminal {
    pub(crate) child: Box<dyn Child + Send + Sync>,
    writer: Box<dyn Write + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
    seen: Arc<Mutex<Seen>>,
    _master: Box<dyn MasterPty + Send>,
    /// Directory and environment of the project whose services are to be ended with it; none under a daemon.
    hosts: Option<(PathBuf, Vec<(&'static str, PathBuf)>)>,
}

impl Terminal {
    pub(crate) fn open(project: &Project, arguments: &[&str], cols: u16, rows: u16) -> Self {
        let pty = native_pty_system()
            .openpty(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 })
            .expect("a pty can be had");
        let mut command = CommandBuilder::new(CAS);
        command.args(arguments);
        command.cwd(project.path());
        command.env("TERM", "xterm-256color");
        command.env("COLORTERM", "truecolor");
        for (name, value) in project.environment() {
            command.env(name, value);
        }
        let child = pty.slave.spawn_command(command).expect("cas can be spawned");
        drop(pty.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(
            NonZero::new(rows).expect("rows"),
            NonZero::new(cols).expect("columns"),
            0,
        )));
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut reader = pty.master.try_clone_reader().expect("the master can be read");
        let (screen_in, seen_in) = (Arc::clone(&screen), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let now = clock::now();
                let mut seen = seen_in.lock().expect("no reader panics");
                seen.bytes += count;
                seen.bursts += usize::from(now.since(seen.last) >= Duration::from_millis(3));
                seen.last = now;
                drop(seen);
                screen_in.lock().expect("no reader panics").process(&buffer[..count]);
            }
        });
        let writer = pty.master.take_writer().expect("the master can be written");
        let has_daemon = project.path().join("cas_runtime_dir/daemon.sock").exists();
        let hosts = (!has_daemon).then(|| (project.path().to_owned(), project.environment()));
        Self { child, writer, screen, seen, _master: pty.master, hosts }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.process_id().expect("it runs")
    }

    pub(crate) fn shows(&self, text: &str) -> bool {
        self.screen.lock().expect("no reader panics").screen().contents().contains(text)
    }

    /// What it shows.
    pub(crate) fn text(&self) -> String {
        self.screen.lock().expect("no reader panics").screen().contents()
    }

    pub(crate) fn type_keys(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).and_then(|()| self.writer.flush()).expect("the terminal takes keys");
    }

    /// Bytes and bursts since the last call.
    pub(crate) fn take_seen(&self) -> Seen {
        std::mem::take(&mut *self.seen.lock().expect("no reader panics"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(project) = self.hosts.take() {
            // Services outlive their console: they are ended first.
            let mut down = std::process::Command::new(CAS);
            down.arg("down").current_dir(&project.0).envs(project.1).stdin(std::process::Stdio::null());
            let _down = down.output();
        }
        let pid = rustix::process::Pid::from_raw(self.pid().cast_signed());
        if let Some(pid) = pid {
            // An error means that it has ended.
            let _ended = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _status = self.child.wait();
    }
}
