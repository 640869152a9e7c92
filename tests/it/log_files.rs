//! Log files that real processes write: followed and rotated by the threads that do it in the engine, with a stand-in for what the engine decides.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up has failed")]

mod following;
mod rotating;
mod whole;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use cas::{
    model::{
        ids::{ProjectName, RunId, ServiceId, ServiceName},
        log_file::{DueFile, How, LogFileView, LogFiles, Rotated, Rotation, RotationRound},
        time::Timestamp,
    },
    world::{
        clock,
        output::{Behind, Taken},
        own_files::{Declared, News, OwnFiles, Runs},
    },
};
use rustix::process::{Pid, kill_process};
use tokio::sync::mpsc;

use crate::support::eventually;

pub(crate) fn web() -> ServiceId {
    ServiceId { project: ProjectName::new("shop").unwrap(), service: ServiceName::new("web").unwrap() }
}

/// A run of `web`, where one runs.
#[derive(Debug, Default)]
struct Stage(Mutex<Option<(RunId, u32)>>);

impl Runs for Stage {
    fn writer(&self, _: &ServiceId) -> Option<(RunId, u32)> {
        *self.0.lock().unwrap()
    }

    fn processes(&self, _: &ServiceId) -> Vec<u32> {
        self.0.lock().unwrap().iter().map(|(_, pid)| *pid).collect()
    }
}

/// What came.
#[derive(Debug, Default)]
struct Heard {
    /// By file: number and text of each line, with whether it is news.
    lines: BTreeMap<String, Vec<(u64, String, bool)>>,
    due: Vec<Vec<DueFile>>,
    rotated: Vec<Vec<Rotated>>,
}

/// Both threads, and who listens to them.
struct Rig {
    dir: tempfile::TempDir,
    own: OwnFiles,
    stage: Arc<Stage>,
    heard: Arc<Mutex<Heard>>,
    /// Without it nobody takes lines.
    _output: mpsc::Sender<Taken>,
    /// Moves the clock by which files are judged.
    ahead: Arc<Mutex<Duration>>,
    children: Vec<Child>,
}

impl Rig {
    fn new() -> Self {
        Self::in_dir(tempfile::tempdir().unwrap())
    }

    fn in_dir(dir: tempfile::TempDir) -> Self {
        let (output, mut taken) = mpsc::channel::<Taken>(16);
        let (stage, heard) = (Arc::<Stage>::default(), Arc::<Mutex<Heard>>::default());
        let ahead = Arc::<Mutex<Duration>>::default();
        let (told, sees, judged) = (Arc::clone(&heard), Arc::clone(&stage), Arc::clone(&ahead));
        let tell = move |news| match news {
            News::Due(_, files) => told.lock().unwrap().due.push(files),
            News::Moved(_, run, signal) => {
                // The engine sends it to the run that it is meant for.
                if let Some((running, pid)) = sees.writer(&web())
                    && running == run
                {
                    let signal = rustix::process::Signal::from_named_raw(signal.number()).unwrap();
                    let _gone = kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal);
                }
            }
            News::Rotated(_, files) => told.lock().unwrap().rotated.push(files),
        };
        let clock = Arc::new(move || {
            let now: Timestamp = clock::now();
            now.plus(*judged.lock().unwrap())
        });
        let runs: Arc<dyn Runs> = Arc::<Stage>::clone(&stage);
        let own = OwnFiles::with_clock(output.downgrade(), runs, tell, clock, Duration::from_millis(50)).unwrap();
        let hears = Arc::clone(&heard);
        std::thread::spawn(move || {
            while let Some(Taken { batch, behind, place }) = taken.blocking_recv() {
                assert_eq!((&*place, behind == Behind::Earlier || behind == Behind::File), ("shop-0", true));
                let mut heard = hears.lock().unwrap();
                let lines = heard.lines.entry(batch.source.file().unwrap().to_owned()).or_default();
                for (seq, line) in (batch.first_seq..).zip(&batch.lines) {
                    lines.push((seq, batch.text_of(*line).to_owned(), behind == Behind::File));
                }
            }
        });
        Self { dir, own, stage, heard, _output: output, ahead, children: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn files(&self, name: &str, rotate: Option<Rotation>) -> LogFiles {
        let directory = self.dir.path().to_owned();
        let within = Some(directory.clone());
        LogFiles { directory, name: name.to_owned(), within, prefix: String::new(), follow: true, rotate }
    }

    fn watch(&self, files: Vec<LogFiles>) {
        let directory = self.dir.path().to_owned();
        self.own.watch(vec![Declared { service: web(), place: "shop-0".into(), directory, files: files.into() }]);
    }

    /// A shell script that is the service from now on; without words it is the run of a process that catches nothing.
    fn runs(&mut self, script: &str) -> u32 {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(self.dir.path()).stdin(Stdio::null());
        self.spawn(command)
    }

    fn spawn(&mut self, mut command: Command) -> u32 {
        let child = command.spawn().unwrap();
        let pid = child.id();
        self.children.push(child);
        *self.stage.0.lock().unwrap() = Some((RunId(1), pid));
        pid
    }

    /// Rotates all, and says what came of it.
    fn rotate(&self) -> Vec<Rotated> {
        let before = self.heard.lock().unwrap().rotated.len();
        let run = self.stage.writer(&web()).map(|(run, _)| run);
        self.own.rotate(RotationRound { service: web(), run, files: Vec::new() });
        eventually("the round is over", || self.heard.lock().unwrap().rotated.len() > before);
        self.heard.lock().unwrap().rotated.last().unwrap().clone()
    }

    fn lines(&self, file: &str) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.lines.get(file).into_iter().flatten().map(|(_, text, _)| text.clone()).collect()
    }

    fn await_line(&self, file: &str, line: &str) {
        eventually(&format!("{line:?} of {file} is read"), || self.lines(file).iter().any(|one| one == line));
    }

    fn append(&self, name: &str, text: &str) {
        use std::io::Write;
        let mut file = fs::File::options().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn views(&self) -> Vec<LogFileView> {
        (self.own.views())(Some(&web()))
    }

    fn view(&self, file: &str) -> LogFileView {
        self.views().into_iter().find(|view| view.file == file).unwrap_or_else(|| panic!("{file}: {:?}", self.views()))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended by itself.
            let _gone = child.kill();
            let _reaped = child.wait();
        }
    }
}

fn rotation(how: How) -> Rotation {
    Rotation { max_bytes: None, max_age: None, keep: 30, keep_for: None, compress: true, how }
}

/// All lines of what was set aside and what is there now, in order.
fn on_disk(directory: &Path, name: &str) -> Vec<String> {
    use std::io::Read;
    let mut text = String::new();
    for number in (1..100).rev() {
        let plain = directory.join(format!("{name}.{number}"));
        let packed = directory.join(format!("{name}.{number}.gz"));
        if let Ok(bytes) = fs::read(&packed) {
            flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
        } else if let Ok(plain) = fs::read_to_string(&plain) {
            text.push_str(&plain);
        }
    }
    text.push_str(&fs::read_to_string(directory.join(name)).unwrap_or_default());
    text.lines().map(str::to_owned).collect()
}

fn names(directory: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(directory).unwrap().map(name).collect();
    names.sort_unstable();
    names
}
