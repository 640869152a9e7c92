//! A slot, its shims and what they say.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's tool: what is not as it must be fails the test")]

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs::{self, File},
    io::{IoSlice, Write},
    mem::MaybeUninit,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use cas::shim_format::{
    INDEX_BYTES, IndexKind, IndexRecord, Notice, PROTOCOL, Request, STDERR, STDOUT, StateFile, exit_kind, phase,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::{AsFd, OwnedFd},
    fs::{MemfdFlags, Mode, OFlags, memfd_create, open},
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
        SocketType, connect, recv, send, sendmsg, socket_with, socketpair,
    },
    process::{Pid, Signal, kill_process},
};

use crate::support::eventually;

/// A packet that a shim sent.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) notice: Notice,
    fields: Vec<u8>,
    at: usize,
}

impl Said {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        self.at += N;
        self.fields[self.at - N..self.at].try_into().unwrap()
    }
    pub(crate) fn u8(&mut self) -> u8 {
        self.take::<1>()[0]
    }
    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }
    pub(crate) fn i32(&mut self) -> i32 {
        i32::from_le_bytes(self.take())
    }
    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
    fn is_read(&self) -> bool {
        self.at == self.fields.len()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Welcome {
    pub(crate) shim: u32,
    pub(crate) phase: u8,
    pub(crate) run: u64,
    pub(crate) pid: u32,
    pub(crate) exit: (u8, i32),
    pub(crate) end: (u64, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exited {
    pub(crate) run: u64,
    pub(crate) exit: (u8, i32),
    pub(crate) max_rss_kib: u64,
    pub(crate) leftover: u32,
    pub(crate) end: (u64, u64),
}

/// A connection to a shim.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) socket: OwnedFd,
}

impl Line {
    pub(crate) fn ask(&self, request: Request, fields: &[&[u8]]) {
        match send(&self.socket, &packet(request, fields), SendFlags::NOSIGNAL) {
            // It may have refused and gone already; what it said is still there to be heard.
            Ok(_) | Err(Errno::PIPE | Errno::CONNRESET) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// None where nothing comes for so long, or the other side is gone.
    pub(crate) fn hear(&self, ms: i64) -> Option<Said> {
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
        let timeout = Timespec { tv_sec: ms / 1000, tv_nsec: (ms % 1000) * 1_000_000 };
        while let Err(error) = poll(&mut fds, Some(&timeout)) {
            assert_eq!(error, Errno::INTR);
        }
        let mut bytes = [0_u8; 4096];
        let once = |bytes: &mut [u8]| recv(&self.socket, bytes, RecvFlags::DONTWAIT);
        let received = match once(&mut bytes) {
            // Said once where the other side went without reading all; what it sent before is still there.
            Err(Errno::CONNRESET) => once(&mut bytes),
            received => received,
        };
        let (len, _) = received.ok().filter(|(len, _)| *len > 0)?;
        let number = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        assert_eq!(number(2), PROTOCOL);
        let notice = Notice::from_number(number(0)).unwrap();
        Some(Said { notice, fields: bytes[4..len].to_vec(), at: 0 })
    }

    /// The next packet of this kind; others before it are passed over.
    #[track_caller]
    pub(crate) fn expect(&self, notice: Notice) -> Said {
        loop {
            let said = self.hear(60_000).unwrap_or_else(|| panic!("no {notice:?} came"));
            if said.notice == notice {
                return said;
            }
        }
    }

    #[track_caller]
    pub(crate) fn greet(&self) -> Welcome {
        self.ask(Request::Greet, &[]);
        let mut said = self.expect(Notice::Welcome);
        let (shim, phase, run, pid) = (said.u32(), said.u8(), said.u64(), said.u32());
        let (_start, _wall) = (said.u64(), said.u64());
        let exit = (said.u8(), said.i32());
        let (_wall, _flags) = (said.u64(), said.u32());
        let welcome = Welcome { shim, phase, run, pid, exit, end: (said.u64(), said.u64()) };
        assert!(said.is_read(), "{said:?}");
        welcome
    }

    #[track_caller]
    pub(crate) fn exited(&self) -> Exited {
        let mut said = self.expect(Notice::Exited);
        let (run, exit) = (said.u64(), (said.u8(), said.i32()));
        let (_wall, _user, _system) = (said.u64(), said.u64(), said.u64());
        let (max_rss_kib, leftover) = (said.u64(), said.u32());
        let exited = Exited { run, exit, max_rss_kib, leftover, end: (said.u64(), said.u64()) };
        assert!(said.is_read(), "{said:?}");
        exited
    }

    /// Asks that all be killed after so long; who survived.
    #[track_caller]
    pub(crate) fn end_all(&self, after_ms: u64) -> Vec<u32> {
        self.ask(Request::Escalate, &[&after_ms.to_le_bytes()]);
        self.empty()
    }

    #[track_caller]
    pub(crate) fn empty(&self) -> Vec<u32> {
        let mut said = self.expect(Notice::Empty);
        let (_run, count) = (said.u64(), said.u32());
        (0..count.min(64)).map(|_| said.u32()).collect()
    }

    pub(crate) fn keep(&self, segment: u64, total: u64, block: bool) {
        self.ask(Request::Keep, &[&segment.to_le_bytes(), &total.to_le_bytes(), &[u8::from(block)]]);
    }

    #[track_caller]
    pub(crate) fn count(&self) -> u32 {
        self.ask(Request::Count, &[]);
        self.expect(Notice::Census).u32()
    }

    /// Hands over a spawn and does not wait.
    pub(crate) fn order(&self, run: u64, flags: u32, service: &Service) {
        self.order_with(run, flags, service, &[]);
    }

    /// The same with more fields than the oldest engines send.
    pub(crate) fn order_with(&self, run: u64, flags: u32, service: &Service, more: &[u8]) {
        let (rows, cols, open_files) = (24_u16, 80_u16, 0_u64);
        let bytes = packet(
            Request::Spawn,
            &[
                &run.to_le_bytes(),
                &flags.to_le_bytes(),
                &rows.to_le_bytes(),
                &cols.to_le_bytes(),
                &open_files.to_le_bytes(),
                more,
            ],
        );
        let memfd = service.payload(run);
        let descriptors = [memfd.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
        sendmsg(&self.socket, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL).unwrap();
    }

    /// Spawns and waits until it runs; its pid.
    #[track_caller]
    pub(crate) fn spawn(&self, run: u64, flags: u32, service: &Service) -> u32 {
        self.order(run, flags, service);
        loop {
            let mut said = self.hear(60_000).expect("an answer to Spawn");
            match said.notice {
                Notice::Spawned => {
                    assert_eq!(said.u64(), run);
                    return said.u32();
                }
                Notice::SpawnFailed | Notice::Refused => panic!("{said:?}"),
                Notice::Welcome
                | Notice::Exited
                | Notice::Wrote
                | Notice::Empty
                | Notice::Dropped
                | Notice::Census
                | Notice::Typed => {}
            }
        }
    }

    /// Waits until the other side is gone.
    pub(crate) fn is_cut(&self) -> bool {
        let mut fds = [PollFd::new(&self.socket, PollFlags::empty())];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap();
        fds[0].revents().contains(PollFlags::HUP)
    }
}

pub(crate) fn packet(request: Request, fields: &[&[u8]]) -> Vec<u8> {
    let head: [&[u8]; 2] = [&(request as u16).to_le_bytes(), &PROTOCOL.to_le_bytes()];
    [head.concat(), fields.concat()].concat()
}

/// What to run.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) program: String,
    pub(crate) directory: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<String>,
    pub(crate) cgroups: Vec<String>,
}

/// A shell script.
pub(crate) fn shell(script: &str) -> Service {
    Service {
        program: "/bin/sh".into(),
        directory: "/".into(),
        arguments: ["sh", "-c", script].map(str::to_owned).to_vec(),
        environment: vec![format!("PATH={}", std::env::var("PATH").unwrap())],
        cgroups: Vec::new(),
    }
}

impl Service {
    fn payload(&self, run: u64) -> File {
        let mark = format!("CAS_RUN={run}");
        let counts = [self.arguments.len(), self.environment.len() + 1, self.cgroups.len(), 0];
        let mut bytes: Vec<u8> = counts.iter().flat_map(|count| u32::try_from(*count).unwrap().to_le_bytes()).collect();
        let before = [&self.program, &self.directory];
        let strings = before.into_iter().chain(&self.arguments).chain(&self.environment).chain([&mark]);
        for string in strings.chain(&self.cgroups) {
            bytes.extend_from_slice(string.as_bytes());
            bytes.push(0);
        }
        let mut file = File::from(memfd_create("payload", MemfdFlags::CLOEXEC).unwrap());
        file.write_all(&bytes).unwrap();
        file
    }
}

/// A slot; whatever runs in it ends with it.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) dir: PathBuf,
    _parent: tempfile::TempDir,
    shims: RefCell<Vec<Child>>,
    /// An engine holds these open, so that output survives shim and service.
    fifos: RefCell<Vec<OwnedFd>>,
}

impl Slot {
    pub(crate) fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("web");
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
        Self { dir, _parent: parent, shims: RefCell::default(), fifos: RefCell::default() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Starts a shim with its first connection on descriptor 3.
    pub(crate) fn launch(&self, idle_ms: Option<u64>) -> Line {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        let idle = idle_ms.unwrap_or(60_000).to_string();
        let mut command = Command::new("/bin/sh");
        let script = r#"exec "$0" "$@" 3<&0 <&-"#;
        command.args(["-c", script, env!("CARGO_BIN_EXE_cas-shim")]).arg(&self.dir).arg(idle);
        self.shims.borrow_mut().push(command.stdin(Stdio::from(theirs)).spawn().unwrap());
        Line { socket: ours }
    }

    /// A shim that has greeted; tries again while another, or a child before its exec, has the lock.
    #[track_caller]
    pub(crate) fn shim(&self) -> (Line, Welcome) {
        let mut found = None;
        eventually("a shim has the slot", || {
            let line = self.launch(None);
            line.ask(Request::Greet, &[]);
            let Some(said) = line.hear(60_000).filter(|said| said.notice == Notice::Welcome) else {
                self.bury();
                return false;
            };
            drop(said);
            let welcome = line.greet();
            found = Some((line, welcome));
            true
        });
        if self.fifos.borrow().is_empty() {
            for name in ["out", "err"] {
                let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
                self.fifos.borrow_mut().push(open(self.path(name), flags, Mode::empty()).unwrap());
            }
        }
        found.unwrap()
    }

    /// Waits for the newest shim; its exit code.
    pub(crate) fn bury(&self) -> Option<i32> {
        let mut shim = self.shims.borrow_mut().pop().unwrap();
        shim.wait().unwrap().code()
    }

    /// Whether the newest shim has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.shims.borrow_mut().last_mut().unwrap().try_wait().unwrap().is_some()
    }

    /// `kill -9` of the newest shim.
    pub(crate) fn kill_shim(&self) {
        let mut shim = self.shims.borrow_mut().pop().unwrap();
        shim.kill().unwrap();
        shim.wait().unwrap();
    }

    /// A further connection.
    pub(crate) fn connect(&self) -> Line {
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        connect(&socket, &SocketAddrUnix::new(self.path("ctl.sock")).unwrap()).unwrap();
        Line { socket }
    }

    /// Numbers of the segments that are there.
    pub(crate) fn segments(&self) -> Vec<u64> {
        let names = fs::read_dir(&self.dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut numbers: Vec<u64> = names.filter_map(|name| name.strip_prefix("log.")?.parse().ok()).collect();
        numbers.sort_unstable();
        numbers
    }

    pub(crate) fn index(&self, segment: u64) -> Vec<IndexRecord> {
        let bytes = fs::read(self.path(&format!("idx.{segment:06}"))).unwrap();
        let (records, rest) = bytes.as_chunks::<INDEX_BYTES>();
        assert!(rest.is_empty(), "a torn record");
        records.iter().map(|record| IndexRecord::decode(record).expect("a whole record")).collect()
    }

    /// All output by stream, as the index says; fails unless the index accounts for each byte once.
    #[track_caller]
    pub(crate) fn output(&self) -> Output {
        let mut output = Output::default();
        for number in self.segments() {
            let (bytes, index) = self.at_rest(number);
            let mut at = 0;
            for record in index {
                let is_data = matches!(record.kind, IndexKind::Data | IndexKind::Recovered);
                match record.kind {
                    IndexKind::Dropped => output.dropped += record.count,
                    IndexKind::Removed => output.removed += record.count,
                    IndexKind::Data | IndexKind::Recovered => {}
                }
                assert_eq!(record.offset, at, "segment {number}: {record:?}");
                at += u64::from(record.len);
                let part = &bytes[usize::try_from(record.offset).unwrap()..usize::try_from(at).unwrap()];
                if is_data {
                    output.streams.entry(record.stream).or_default().extend_from_slice(part);
                    *output.runs.entry(record.run).or_default() += part.len();
                }
            }
            assert_eq!(at, bytes.len() as u64, "segment {number} has bytes that the index does not know");
        }
        output
    }

    /// A segment and its index as they were at the same time, where both do not change all the time.
    fn at_rest(&self, number: u64) -> (Vec<u8>, Vec<IndexRecord>) {
        let mut looks = 0;
        loop {
            let index = self.index(number);
            let bytes = fs::read(self.path(&format!("log.{number:06}"))).unwrap();
            looks += 1;
            if looks == 100 || index.iter().map(|record| u64::from(record.len)).sum::<u64>() == bytes.len() as u64 {
                return (bytes, index);
            }
            std::thread::yield_now();
        }
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

/// `count` lines: `before`, a number from 1 on, `after`.
pub(crate) fn numbered(before: &str, count: u32, after: &str) -> String {
    (1..=count).map(|i| format!("{before}{i}{after}")).collect::<Vec<_>>().concat()
}

/// What a slot kept.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) streams: BTreeMap<u8, Vec<u8>>,
    pub(crate) runs: BTreeMap<u64, usize>,
    pub(crate) dropped: u64,
    pub(crate) removed: u64,
}

impl Output {
    pub(crate) fn out(&self) -> String {
        String::from_utf8(self.streams.get(&STDOUT).cloned().unwrap_or_default()).unwrap()
    }
    pub(crate) fn err(&self) -> String {
        String::from_utf8(self.streams.get(&STDERR).cloned().unwrap_or_default()).unwrap()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        for mut shim in self.shims.borrow_mut().drain(..) {
            let _ = shim.kill();
            let _ = shim.wait();
        }
        let Ok(facts) = fs::metadata(&self.dir) else { return };
        let mark = format!("CAS_SLOT={}:{}", facts.dev(), facts.ino());
        for _ in 0..50 {
            let left = marked(&mark);
            for pid in &left {
                signal(*pid, Signal::KILL);
            }
            if left.is_empty() {
                break;
            }
        }
    }
}

/// Processes with this in their environment.
pub(crate) fn marked(variable: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let pids = entries.filter_map(|name| name.parse().ok());
    pids.filter(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
    })
    .collect()
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal);
}

/// State and start time of a process, of `/proc/PID/stat`.
pub(crate) fn stat(pid: u32) -> Option<(char, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_ascii_whitespace().collect();
    Some((fields[0].chars().next()?, fields[19].parse().ok()?))
}

/// Whether it is there and no body.
pub(crate) fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z')
}

/// A state file as a shim would have written it in this boot.
pub(crate) fn write_state(slot: &Path, run: u64, pid: u32, start: u64, boot: Option<&str>) {
    let this = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let boot = boot.unwrap_or(this.trim_end());
    let text = format!(
        "v=1\nrun={run}\npid={pid}\nstart={start}\nboot={boot}\nargv=0000000000000001\nshim=1\nflags=0\nwall=1000000\n"
    );
    assert!(StateFile::parse(&text).is_some());
    fs::write(slot.join("state"), text).unwrap();
}

pub(crate) const RUNNING: u8 = phase::RUNNING;
pub(crate) const ENDED: u8 = phase::ENDED;

pub(crate) fn code(value: i32) -> (u8, i32) {
    (exit_kind::CODE, value)
}
pub(crate) fn by_signal(value: i32) -> (u8, i32) {
    (exit_kind::SIGNAL, value)
}

impl Service {
    /// In the slot's directory.
    pub(crate) fn within(mut self, slot: &Slot) -> Self {
        slot.dir.to_str().unwrap().clone_into(&mut self.directory);
        self
    }
}

impl Slot {
    /// Bytes of output that are in the segments.
    pub(crate) fn shim_end(&self) -> u64 {
        let sizes =
            self.segments().into_iter().map(|no| fs::metadata(self.path(&format!("log.{no:06}"))).unwrap().len());
        sizes.sum()
    }
}
