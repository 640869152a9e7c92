//! The driver: a project directory, `cas` in a pty, keys in, screen and raw bytes out.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    num::NonZero,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::JoinHandle,
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, SlavePty, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::eventually;

/// The binary under test.
pub(crate) const CAS: &str = env!("CARGO_BIN_EXE_cas");

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A project in a directory of its own. Its name is unlike that of any other, so that its processes can be found.
pub(crate) struct Project {
    home: tempfile::TempDir,
    /// Its name.
    pub(crate) name: String,
}

impl Project {
    /// A project with `cas.yaml`: `services` is what stands below `services:`.
    pub(crate) fn yaml(services: &str) -> Self {
        let project = Self::empty();
        project.write("cas.yaml", &project.yaml_of(services));
        project
    }

    /// A project with a `Procfile`; it is named as its directory.
    pub(crate) fn procfile(text: &str) -> Self {
        let project = Self::empty();
        project.write("Procfile", text);
        project
    }

    fn empty() -> Self {
        let name = format!("pty-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(&name)).unwrap();
        Self { home, name }
    }

    /// The whole text of the file with these services.
    pub(crate) fn yaml_of(&self, services: &str) -> String {
        format!("name: {}\nservices:\n{services}", self.name)
    }

    /// Its directory.
    pub(crate) fn root(&self) -> PathBuf {
        self.home.path().join(&self.name)
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.root().join(file), text).unwrap();
    }

    /// What keeps everything of a run below the temporary directory.
    pub(crate) fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        ["CAS_STATE_DIR", "CAS_RUNTIME_DIR", "CAS_CONFIG_DIR"]
            .into_iter()
            .map(|name| (name, self.home.path().join(name.to_lowercase())))
            .collect()
    }

    /// Runs `cas` without a terminal to its end.
    pub(crate) fn cas(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        self.command(arguments, environment).output().unwrap()
    }

    /// `cas` without a terminal.
    pub(crate) fn command(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new(CAS);
        command.args(arguments).current_dir(self.root()).stdin(Stdio::null());
        command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").env_remove("FORCE_COLOR");
        command.envs(self.environment()).envs(environment.iter().copied());
        command
    }

    /// Living processes of one of its services, as `service` (empty: of all), found by the mark in their environment.
    pub(crate) fn living(&self, service: &str) -> Vec<Pid> {
        let mark = format!("CAS_SERVICE={}/{service}", self.name);
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let has_mark = |pid: &i32| {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ.split(|byte| *byte == 0).any(|variable| {
                if service.is_empty() { variable.starts_with(mark.as_bytes()) } else { variable == mark.as_bytes() }
            })
        };
        pids.filter(has_mark).filter_map(Pid::from_raw).collect()
    }
}

impl Project {
    /// Where engines keep what outlives them.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.home.path().join("cas_state_dir")
    }

    /// Everything that was started with the directories of this project: engines, shims, services.
    pub(crate) fn relatives(&self) -> Vec<Pid> {
        let mark = format!("CAS_STATE_DIR={}", self.state_dir().display());
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let has_mark = |pid: &i32| {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        };
        pids.filter(has_mark).filter_map(Pid::from_raw).collect()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        // Engines first, so that none heals what is killed after it; each by its pid, because its mark was seen.
        let relatives = self.relatives();
        let is_engine = |pid: &Pid| {
            let pid = pid.as_raw_nonzero();
            fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == fs::canonicalize(CAS).unwrap())
        };
        let (engines, others): (Vec<Pid>, Vec<Pid>) = relatives.into_iter().partition(is_engine);
        for pid in engines.into_iter().chain(others).chain(self.living("")) {
            let _ended = kill_process(pid, Signal::KILL);
        }
    }
}

/// A port that nobody has just now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What came out of a terminal.
struct Seen {
    raw: Vec<u8>,
    /// None while the size changes faster than an emulator is to be bothered with.
    screen: Option<vt100::Parser>,
    /// The last whole frame.
    frame: Option<vt100::Screen>,
}

impl Seen {
    fn take(&mut self, bytes: &[u8], shown: &[u8]) {
        const UPDATE: &[u8] = b"\x1b[?2026";
        self.raw.extend_from_slice(bytes);
        let Some(screen) = self.screen.as_mut() else { return };
        screen.process(shown);
        // What stands between begin and end of a synchronized update is half a frame.
        let last = memchr::memmem::rfind(&self.raw, UPDATE).map(|at| self.raw.get(at + UPDATE.len()));
        if last.is_none_or(|mark| mark == Some(&b'l')) {
            self.frame = Some(screen.screen().clone());
        }
    }
}

fn emulator(cols: u16, rows: u16) -> vt100::Parser {
    vt100::Parser::new(NonZero::new(rows).unwrap(), NonZero::new(cols).unwrap(), 0)
}

const fn pty_size(cols: u16, rows: u16) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

/// What of `bytes` can be shown now. The emulator drops U+FFFD, where terminals show one column: it gets `?` instead.
fn take_whole(bytes: &mut Vec<u8>) -> Vec<u8> {
    const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();
    let rest = [2, 1].into_iter().find(|len| bytes.ends_with(&REPLACEMENT[..*len])).unwrap_or(0);
    let later = bytes.split_off(bytes.len() - rest);
    let mut whole = Vec::with_capacity(bytes.len());
    while let Some(at) = memchr::memmem::find(bytes, REPLACEMENT) {
        whole.extend(bytes.drain(..at));
        whole.push(b'?');
        bytes.drain(..REPLACEMENT.len());
    }
    whole.append(bytes);
    *bytes = later;
    whole
}

/// How `cas` is started.
pub(crate) struct Launch<'a> {
    pub(crate) program: &'a str,
    pub(crate) arguments: &'a [&'a str],
    pub(crate) environment: &'a [(&'a str, &'a str)],
    /// Columns and rows.
    pub(crate) size: (u16, u16),
}

impl Default for Launch<'_> {
    fn default() -> Self {
        Self { program: CAS, arguments: &[], environment: &[], size: (120, 36) }
    }
}

/// A program in a pty.
pub(crate) struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    writer: Option<Box<dyn Write + Send>>,
    master: Option<Box<dyn MasterPty + Send>>,
    /// Kept open, so that the modes of the line can be read after the end.
    slave: Option<Box<dyn SlavePty + Send>>,
    seen: Arc<Mutex<Seen>>,
    vanishing: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
    before: String,
}

impl Terminal {
    /// `cas` in a terminal of 120×36.
    pub(crate) fn open(project: &Project) -> Self {
        Self::launch(project, &Launch::default())
    }

    pub(crate) fn launch(project: &Project, launch: &Launch<'_>) -> Self {
        let (cols, rows) = launch.size;
        let pty = native_pty_system().openpty(pty_size(cols, rows)).unwrap();
        let mut command = CommandBuilder::new(launch.program);
        command.args(launch.arguments);
        command.cwd(project.root());
        command.env("TERM", "xterm-256color");
        command.env("COLORTERM", "truecolor");
        for name in ["NO_COLOR", "TMUX", "VISUAL", "EDITOR", "RUST_BACKTRACE"] {
            command.env_remove(name);
        }
        for (name, value) in project.environment() {
            command.env(name, value);
        }
        for (name, value) in launch.environment {
            command.env(name, value);
        }
        let before = modes(&*pty.master);
        let child = pty.slave.spawn_command(command).unwrap();
        let seen = Arc::new(Mutex::new(Seen { raw: Vec::new(), screen: Some(emulator(cols, rows)), frame: None }));
        let vanishing = Arc::new(AtomicBool::new(false));
        let mut out = pty.master.try_clone_reader().unwrap();
        let (taken, stop) = (Arc::clone(&seen), Arc::clone(&vanishing));
        let reader = std::thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            let mut shown = Vec::new();
            while let Ok(count @ 1..) = out.read(&mut buffer) {
                let mut seen = taken.lock().unwrap();
                shown.extend_from_slice(&buffer[..count]);
                let whole = take_whole(&mut shown);
                seen.take(&buffer[..count], &whole);
                if stop.load(Ordering::SeqCst) {
                    return;
                }
            }
        });
        let writer = Some(pty.master.take_writer().unwrap());
        Self {
            child,
            writer,
            master: Some(pty.master),
            slave: Some(pty.slave),
            seen,
            vanishing,
            reader: Some(reader),
            before,
        }
    }

    /// The process that was started.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.process_id().unwrap().cast_signed()).unwrap()
    }

    pub(crate) fn type_keys(&mut self, keys: &str) {
        let writer = self.writer.as_mut().unwrap();
        writer.write_all(keys.as_bytes()).and_then(|()| writer.flush()).unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits until the screen is as `holds` wants it; fails with the screen.
    #[track_caller]
    pub(crate) fn eventually(&self, what: &str, holds: impl FnMut(&Screen) -> bool) {
        eventually_on(&self.seen, what, holds);
    }

    /// Waits until the screen holds `text`.
    #[track_caller]
    pub(crate) fn until_shows(&self, text: &str) {
        self.eventually(text, |screen| screen.shows(text));
    }

    /// What is on the screen.
    pub(crate) fn screen(&self) -> Screen {
        let seen = self.seen.lock().unwrap();
        Screen(seen.frame.clone())
    }

    /// Every byte that came.
    pub(crate) fn raw(&self) -> Vec<u8> {
        self.seen.lock().unwrap().raw.clone()
    }

    /// How many bytes came.
    pub(crate) fn received(&self) -> usize {
        self.seen.lock().unwrap().raw.len()
    }

    /// Changes the size of the window. The emulator goes along where `emulated`, else it is off until then.
    pub(crate) fn resize(&self, cols: u16, rows: u16, emulated: bool) {
        let mut seen = self.seen.lock().unwrap();
        self.master.as_ref().unwrap().resize(pty_size(cols, rows)).unwrap();
        seen.screen = emulated.then(|| emulator(cols, rows));
        seen.frame = None;
    }

    /// Closes the window: nobody holds the other end any more.
    pub(crate) fn vanish(&mut self) {
        self.slave.take();
        self.vanishing.store(true, Ordering::SeqCst);
        // Whatever is drawn next ends the reader, which holds the other end as well.
        self.type_keys("?");
        self.reader.take().unwrap().join().unwrap();
        self.writer.take();
        self.master.take();
    }

    /// Waits for the end; the exit code.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> u32 {
        let mut code = None;
        let (child, seen) = (&mut self.child, &self.seen);
        eventually_on(seen, "the program ends", |_| {
            code = child.try_wait().unwrap().map(|status| status.exit_code());
            code.is_some()
        });
        code.unwrap()
    }

    /// Fails where the terminal is not as it was before `cas` borrowed it.
    #[track_caller]
    pub(crate) fn is_given_back(&self) {
        self.eventually("the terminal is given back", |screen| {
            let Some(screen) = screen.0.as_ref() else { return true };
            !screen.alternate_screen()
                && !screen.hide_cursor()
                && !screen.bracketed_paste()
                && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
        });
        assert_eq!(modes(&**self.master.as_ref().unwrap()), self.before, "the modes of the line");
    }
}

#[track_caller]
fn eventually_on(seen: &Mutex<Seen>, what: &str, mut holds: impl FnMut(&Screen) -> bool) {
    let began = std::time::SystemTime::now();
    eventually(what, || {
        let screen = Screen(seen.lock().unwrap().frame.clone());
        let held = holds(&screen);
        assert!(
            held || began.elapsed().is_ok_and(|waited| waited.as_secs() < 25),
            "never came true: {what}; the screen is\n{}",
            screen.text()
        );
        held
    });
}

fn modes(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios())
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // A failed test: the project ends what is left of its services.
            let _ended = kill_process(self.pid(), Signal::KILL);
            let _status = self.child.wait();
        }
    }
}

/// A picture of the screen.
pub(crate) struct Screen(Option<vt100::Screen>);

impl Screen {
    pub(crate) fn text(&self) -> String {
        self.0.as_ref().map(vt100::Screen::contents).unwrap_or_default()
    }

    pub(crate) fn shows(&self, text: &str) -> bool {
        self.text().contains(text)
    }

    /// As the emulator holds it.
    pub(crate) fn emulated(&self) -> vt100::Screen {
        self.0.clone().expect("the emulator is on")
    }

    /// The words of a service's row: name, state, health, uptime, restarts …
    pub(crate) fn row(&self, service: &str) -> Vec<String> {
        let text = self.text();
        let rows = text.lines().filter_map(|line| line.trim_start_matches(['│', '┃']).strip_prefix(['▎', '◆']));
        let mut words = rows.map(|row| row.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>());
        words.find(|words| words.first().is_some_and(|first| first == service)).unwrap_or_default()
    }

    /// True where the service's row says `state`.
    pub(crate) fn is(&self, service: &str, state: &str) -> bool {
        self.row(service).get(1).is_some_and(|word| word == state)
    }

    /// Places of the characters for which `wanted` holds: row and column.
    pub(crate) fn places(&self, wanted: impl Fn(char) -> bool) -> Vec<(u16, u16, String)> {
        let Some(screen) = self.0.as_ref() else { return Vec::new() };
        let (rows, cols) = screen.size();
        let mut places = Vec::new();
        for row in 0..rows.get() {
            for col in 0..cols.get() {
                let cell = screen.cell(row, col).unwrap();
                if cell.contents().chars().any(&wanted) {
                    places.push((row, col, cell.contents().to_owned()));
                }
            }
        }
        places
    }
}

/// Whether a directory of one process says so: user plus system time, in clock ticks; none when it has ended.
pub(crate) fn cpu_ticks(pid: Pid) -> Option<u64> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.as_raw_nonzero().to_string()).join("stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    (fields[0] != "Z").then_some(())?;
    Some(fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?)
}
