//! Signals as the kernel is asked for them: strace's list of the calls that a traced program makes. Never: a count without the proof that
//! strace sees such calls here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::rig::wait_until;

/// Calls by which a signal is sent.
const CALLS: &str = "trace=kill,tkill,tgkill,rt_sigqueueinfo,rt_tgsigqueueinfo,pidfd_send_signal";

/// Traces programs into one list.
pub(crate) struct Tracer {
    list: PathBuf,
    // Held so that it outlives the list in it.
    _directory: tempfile::TempDir,
}

impl Tracer {
    /// None where strace is not installed, or may not trace; then a sentence says so.
    pub(crate) fn new() -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        let tracer = Self { list: directory.path().join("calls"), _directory: directory };
        let mut stranger = Command::new("sleep").arg("100012").spawn().expect("sleep can be started");
        let line = format!("kill -CONT {}", stranger.id());
        let ran = tracer.command("sh").args(["-c", &line]).stderr(Stdio::null()).status();
        let sees = ran.is_ok_and(|status| status.success()) && {
            wait_until("strace has written its list", || tracer.list.metadata().is_ok_and(|list| list.len() > 0));
            tracer.signals_to(stranger.id()) == 1
        };
        // An error means that it has ended.
        let _ended = stranger.kill();
        let _status = stranger.wait();
        if !sees {
            println!("  strace is not installed or may not trace: signals are counted by who gets them alone");
            return None;
        }
        Some(tracer)
    }

    /// The program, traced; the process that is spawned is the program itself.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("strace");
        command.args(["-D", "-f", "-qq", "-A", "-e", "signal=none", "--decode-fds=pidfd", "-e", CALLS, "-o"]);
        command.arg(&self.list).arg(program.as_ref());
        command
    }

    /// Signals (0, which asks only whether a process is there, left out) that were sent to this process or its group.
    pub(crate) fn signals_to(&self, pid: u32) -> usize {
        let list = fs::read_to_string(&self.list).unwrap_or_default();
        list.lines().filter(|line| is_signal_to(line, pid)).count()
    }
}

/// `12 kill(34, SIGTERM) = 0`, `12 pidfd_send_signal(5<pid:34>, SIGKILL, NULL, 0) = 0`.
fn is_signal_to(line: &str, pid: u32) -> bool {
    let Some((_, arguments)) = line.split_once('(') else { return false };
    let mut arguments = arguments.split(", ");
    let (Some(to), Some(signal)) = (arguments.next(), arguments.next()) else { return false };
    let is_meant = to == pid.to_string() || to == format!("-{pid}") || to.ends_with(&format!("<pid:{pid}>"));
    is_meant && !signal.starts_with('0')
}
