//! Records that name a number which a stranger has now: nobody is signalled.

use std::{
    fs,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use cas::{
    config::paths::Paths,
    model::ids::ProjectName,
    shim_format::{Notice, PROTOCOL, Request, phase},
};
use rustix::{
    net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketType},
    process::Signal,
};

use crate::{
    Count, Must, count,
    rig::{self, Rig, SHIM, pause, see, wait_until},
    tracer::Tracer,
};

/// A process that counts every signal that reaches it.
const WITNESS: &str = r"
import os, signal, sys
def heard(number, frame):
    with open('heard', 'a') as f:
        f.write('%d %d\n' % (os.getpid(), number))
for number in range(1, 32):
    if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD):
        signal.signal(number, heard)
open('ready.%d' % os.getpid(), 'w').close()
while True:
    signal.pause()
";

/// A stranger that tells what it hears.
struct Stranger {
    child: Child,
    directory: tempfile::TempDir,
}

impl Stranger {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let script = directory.path().join("witness.py");
        fs::write(&script, WITNESS).expect("a script can be written");
        let child =
            Command::new("python3").arg("-S").arg(&script).current_dir(directory.path()).spawn().expect("a stranger");
        let ready = directory.path().join(format!("ready.{}", child.id()));
        wait_until("the stranger is ready", || ready.exists());
        Self { child, directory }
    }

    /// Signals that it heard; one that killed it counts.
    fn heard(&mut self) -> usize {
        let killed = self.child.try_wait().expect("it was a child").is_some();
        let heard = fs::read_to_string(self.directory.path().join("heard")).unwrap_or_default();
        heard.lines().count() + usize::from(killed)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The trial: in each round the records of a service that is gone are made to name a stranger, in one of the ways in which that happens, and
/// a shim is told to end what is left; in every five-hundredth a whole engine is.
pub(crate) fn reuse(rounds: usize) -> Vec<Count> {
    let tracer = Tracer::new();
    let ByShims { heard, claimed, sent } = by_shims(rounds, tracer.as_ref());
    let engines = (rounds / 500).max(2);
    let (heard_engines, claimed_engines) = by_engines(engines);
    let mut counts = vec![
        count("records that name a stranger, shims", rounds as f64, Must::Told),
        count("records that name a stranger, engines", engines as f64, Must::Told),
        count("signals that reached a stranger", (heard + heard_engines) as f64, Must::Zero),
        count("strangers taken for the service", (claimed + claimed_engines) as f64, Must::Zero),
    ];
    counts.extend(
        sent.map(|sent| count("signals to the stranger that strace saw shims ask for", sent as f64, Must::Zero)),
    );
    counts
}

struct ByShims {
    heard: usize,
    claimed: usize,
    /// None without strace.
    sent: Option<usize>,
}

fn by_shims(rounds: usize, tracer: Option<&Tracer>) -> ByShims {
    let mut stranger = Stranger::start();
    let dir = tempfile::tempdir().expect("a directory");
    let slot = dir.path().join("slot");
    fs::DirBuilder::new().mode(0o700).create(&slot).expect("a slot can be made");
    let boot = cas::world::clock::boot_id();
    let record = format!("v=1\nrun=7\npid=1\nstart=1\nboot={boot}\nargv=00000000deadbeef\nshim=1\nflags=1\nwall=1\n");
    let mut claimed = 0;
    for round in 0..rounds {
        let _settled = fs::remove_file(slot.join("exit"));
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(slot.join("state")).expect("a record can be written");
        std::io::Write::write_all(&mut file, forged(&record, stranger.child.id(), round).as_bytes())
            .expect("a record can be written");
        drop(file);
        claimed += usize::from(end_what_is_left(&slot, tracer) == phase::RUNNING);
    }
    ByShims { heard: stranger.heard(), claimed, sent: tracer.map(|tracer| tracer.signals_to(stranger.child.id())) }
}

/// Starts a shim, tells it to kill all that is left and to end, and gives the phase that it claims.
fn end_what_is_left(slot: &Path, tracer: Option<&Tracer>) -> u8 {
    let mut shim = tracer.map_or_else(|| Command::new(SHIM), |tracer| tracer.command(SHIM));
    let mut shim = shim.arg(slot).stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("a shim can be started");
    let address = SocketAddrUnix::new(slot.join("ctl.sock")).expect("a short path");
    let mut socket: Option<OwnedFd> = None;
    wait_until("the shim listens", || {
        let open = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).expect("a socket");
        let connected = rustix::net::connect(&open, &address).is_ok();
        socket = connected.then_some(open);
        connected
    });
    let socket = socket.expect("it is connected");
    let ask = |request: Request, body: &[u8]| {
        let mut packet = (request as u16).to_le_bytes().to_vec();
        packet.extend(PROTOCOL.to_le_bytes());
        packet.extend(body);
        rustix::net::send(&socket, &packet, SendFlags::NOSIGNAL).expect("it takes packets");
    };
    ask(Request::Greet, &[]);
    let mut packet = [0_u8; 4096];
    let (length, _) = rustix::net::recv(&socket, &mut packet, RecvFlags::empty()).expect("it answers");
    assert!(length > 8 && u16::from_le_bytes([packet[0], packet[1]]) == Notice::Welcome as u16, "a welcome");
    // After the kinds of packet and protocol and its own number.
    let claimed = packet[8];
    ask(Request::Escalate, &0_u64.to_le_bytes());
    ask(Request::Count, &[]);
    loop {
        let (length, _) = rustix::net::recv(&socket, &mut packet, RecvFlags::empty()).expect("it answers");
        assert!(length >= 4, "it lives");
        if u16::from_le_bytes([packet[0], packet[1]]) == Notice::Census as u16 {
            break;
        }
    }
    // It has done what it was told; where it doubts, it stays beside the stranger.
    shim.kill().expect("it was a child");
    shim.wait().expect("it was a child");
    claimed
}

fn by_engines(rounds: usize) -> (usize, usize) {
    let mut rig = Rig::new(
        "name: chaos\nservices:\n  victim: { command: [sleep, '100011'], autostart: true, restart: 'no', stop_grace_period: 100ms }\n",
        &[],
    );
    let name = ProjectName::new("chaos").expect("a name");
    let slot = rig.paths().project_dir(&Paths::place(&name, &rig.project())).join("slots/victim");
    let (mut heard, mut claimed) = (0, 0);
    rig.start();
    rig.run(&["up", "--detach"]);
    for round in 0..rounds {
        // All that could know better is gone: engine, shim, service.
        rig.kill_daemon();
        let state = fs::read_to_string(slot.join("state")).expect("a run was made");
        for (pid, _) in rig.processes() {
            rig::kill(pid, Signal::KILL);
        }
        wait_until("nothing is left", || rig.processes().is_empty());
        let mut stranger = Stranger::start();
        fs::write(slot.join("state"), forged(&state, stranger.child.id(), round)).expect("the record can be forged");
        // An exit record would settle it.
        let _gone = fs::remove_file(slot.join("exit"));
        rig.start();
        let handle = rig.connect();
        see(&handle, "the project is open", |snapshot| !snapshot.services.is_empty());
        claimed += usize::from(handle.snapshot().services[0].pid == Some(stranger.child.id()));
        drop(handle);
        for order in ["restart", "stop", "kill"] {
            let _said = rig.cas(&[order, "victim"]).output().expect("cas can be run");
        }
        pause(Duration::from_millis(30));
        heard += stranger.heard();
        // While it is there nobody can be sure that it is not the last run, and a second is never started.
        drop(stranger);
        rig.run(&["start", "victim"]);
    }
    rig.run(&["daemon", "stop", "--down"]);
    (heard, claimed)
}

/// The record with the stranger's number, and with what else a reused number may share with the run.
fn forged(state: &str, pid: u32, round: usize) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the stranger is there");
    let start = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(19)).expect("a start time");
    let boot = if round % 3 == 2 { Some("00000000-0000-0000-0000-000000000000") } else { None };
    let lines = state.lines().map(|line| match line.split_once('=') {
        Some(("pid", _)) => format!("pid={pid}"),
        // Within a tick of the clock a number can be given again: the start times are equal then.
        Some(("start", _)) if round % 3 != 1 => format!("start={start}"),
        Some(("boot", old)) => format!("boot={}", boot.unwrap_or(old)),
        _ => line.to_owned(),
    });
    lines.map(|line| line + "\n").collect()
}
