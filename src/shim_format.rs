//! What `cas-shim` and the engine say to each other, and what the shim leaves on disk. The one file that both share: std only,
//! nothing of ours, no allocation in what the shim calls.
//!
//! A slot is the directory of one service, 0700, made by the engine before its shim starts:
//!
//! | name | what |
//! | --- | --- |
//! | `lock` | flock(2)ed by the shim for its life, and by a child until its exec: never two shims, never two runs |
//! | `out`, `err` | FIFOs 0600, opened `O_RDWR` by shim, service and engine, so that none of them dying ends it (`err` only with split streams) |
//! | `state` | the run that was made last, written by the child before its exec: see [`StateFile`] |
//! | `exit` | how the last run that ended did: see [`ExitFile`] |
//! | `ctl.sock` | `SOCK_SEQPACKET`; one [`Request`] or [`Notice`] a packet |
//! | `log.NNNNNN` | a segment of output, bytes as the service wrote them, numbers from 000001 |
//! | `idx.NNNNNN` | its index: [`IndexRecord`]s |
//!
//! All numbers on the socket and in an index are little-endian.

/// Version of the protocol. A shim of version N is understood by engines that speak N or N + 1.
pub const PROTOCOL: u16 = 1;

/// The oldest protocol that an engine of this version still speaks.
pub const OLDEST_PROTOCOL: u16 = 1;

/// Largest packet in either direction, bytes.
pub const PACKET_BYTES: usize = 4096;

/// Size of an index record, bytes.
pub const INDEX_BYTES: usize = 40;

/// What an index record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum IndexKind {
    /// `len` bytes from `offset` came from `stream` at `wall_us`.
    Data = 1,
    /// As `Data`, but written for a shim that died before it could say so: time and stream are a guess.
    Recovered = 2,
    /// `count` bytes were dropped here: the disk was full.
    Dropped = 3,
    /// `count` bytes of older segments were removed, oldest first, to make room on a full disk.
    Removed = 4,
}

impl IndexKind {
    /// From its number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Data),
            2 => Some(Self::Recovered),
            3 => Some(Self::Dropped),
            4 => Some(Self::Removed),
            _ => None,
        }
    }
}

/// Which of the service's descriptors.
pub const STDOUT: u8 = 1;
/// The other.
pub const STDERR: u8 = 2;

/// One batch of a segment: what one read or splice moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexRecord {
    /// First byte in the segment.
    pub offset: u64,
    /// Bytes in the segment; 0 for what is not there.
    pub len: u32,
    /// [`STDOUT`] or [`STDERR`]; with one FIFO for both always [`STDOUT`].
    pub stream: u8,
    /// What it says.
    pub kind: IndexKind,
    /// Microseconds since the Unix epoch when it was moved.
    pub wall_us: i64,
    /// The newest run then.
    pub run: u64,
    /// Bytes dropped or removed; of data 0, or, of a container, when its last line was written in nanoseconds since the Unix epoch.
    pub count: u64,
}

impl IndexRecord {
    /// As it stands in the file. The last two bytes are [`check`] of those before.
    #[must_use]
    pub fn encode(&self) -> [u8; INDEX_BYTES] {
        let mut bytes = [0_u8; INDEX_BYTES];
        bytes[0..8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.wall_us.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.run.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.count.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.len.to_le_bytes());
        bytes[36] = self.stream;
        bytes[37] = self.kind as u8;
        let sum = check(&bytes[..38]);
        bytes[38..40].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// From the file; none where the bytes are damaged or of a kind that is not known.
    #[must_use]
    pub fn decode(bytes: &[u8; INDEX_BYTES]) -> Option<Self> {
        let number = |from: usize| u64::from_le_bytes(std::array::from_fn(|at| bytes[from + at]));
        if check(&bytes[..38]) != u16::from_le_bytes([bytes[38], bytes[39]]) {
            return None;
        }
        Some(Self {
            offset: number(0),
            wall_us: number(8).cast_signed(),
            run: number(16),
            count: number(24),
            len: u32::from_le_bytes(std::array::from_fn(|at| bytes[32 + at])),
            stream: bytes[36],
            kind: IndexKind::from_number(bytes[37])?,
        })
    }
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo), folded to 16.
#[must_use]
pub fn check(bytes: &[u8]) -> u16 {
    let hash = fnv1a(bytes);
    let folded = hash ^ (hash >> 32);
    ((folded ^ (folded >> 16)) & 0xffff) as u16
}

/// FNV-1a, 64 bits. The argv hash of [`StateFile`] is that of every argument followed by a NUL, as in `/proc/PID/cmdline`.
#[must_use]
pub fn fnv1a(bytes: &[u8]) -> u64 {
    fnv1a_on(0xcbf2_9ce4_8422_2325, bytes)
}

/// [`fnv1a`] carried on from the hash of what came before.
#[must_use]
pub fn fnv1a_on(mut hash: u64, bytes: &[u8]) -> u64 {
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

/// Asked of a shim. The first field of a packet is a `u16` of these, the second the [`PROTOCOL`] of the sender; then the fields
/// in the order given here, without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Request {
    /// `{}` → [`Notice::Welcome`]. The first on every connection; the newest connection that greeted gets all notices.
    Greet = 1,
    /// `{run u64, flags u32, rows u16, cols u16, open_files u64, processes u64}` and one descriptor by `SCM_RIGHTS`: a memfd that holds a
    /// [payload](PAYLOAD). → [`Notice::Spawned`] or [`Notice::SpawnFailed`], later one [`Notice::Exited`]. Refused (`EBUSY`) while a run is there.
    /// `processes` (`RLIMIT_NPROC`; 0: none) is not there in what older engines send, and passed over by older shims.
    Spawn = 2,
    /// `{after_ms u64}`: kill all that is left of the run after so long, and go on until nothing is left, with or without an engine.
    /// 0: now; `u64::MAX`: not any more. → [`Notice::Empty`] when nothing is left.
    Escalate = 3,
    /// `{segment u64, offset u64}`: → one [`Notice::Wrote`] as soon as the output's end is beyond.
    Arm = 4,
    /// `{segment_bytes u64, total_bytes u64, on_full u8}`: how output is kept from now on. `on_full`: 0 drop, 1 block.
    Keep = 5,
    /// Bytes: input for the pseudo-terminal. → [`Notice::Typed`] when it has taken them all; refused (`EAGAIN`) before that.
    Input = 6,
    /// `{rows u16, cols u16}`: size of the pseudo-terminal.
    Resize = 7,
    /// `{}`: end, as soon as no run is there and the FIFOs are empty.
    Retire = 8,
    /// `{}` → [`Notice::Census`].
    Count = 9,
}

impl Request {
    /// From its number.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Greet),
            2 => Some(Self::Spawn),
            3 => Some(Self::Escalate),
            4 => Some(Self::Arm),
            5 => Some(Self::Keep),
            6 => Some(Self::Input),
            7 => Some(Self::Resize),
            8 => Some(Self::Retire),
            9 => Some(Self::Count),
            _ => None,
        }
    }
}

/// Flags of [`Request::Spawn`].
pub mod spawn_flags {
    /// Standard error has a FIFO of its own.
    pub const SPLIT: u32 = 1;
    /// The service gets a pseudo-terminal of `rows` × `cols`, and its output comes from there.
    pub const TTY: u32 = 2;
}

/// Said by a shim; laid out as [`Request`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Notice {
    /// `{shim_pid u32, phase u8, run u64, pid u32, start_ticks u64, started_wall_us i64, exit_kind u8, exit_value i32, exit_wall_us i64, flags u32, segment u64,
    /// offset u64}`: where things stand; `phase` is [`phase`], `exit_*` as in [`Notice::Exited`], flags those of the run's spawn, then where the output ends.
    Welcome = 101,
    /// `{run u64, pid u32, start_ticks u64, started_wall_us i64}`: the exec worked.
    Spawned = 102,
    /// `{run u64, errno i32, stage u8}`: it did not; `stage` is [`stage`].
    SpawnFailed = 103,
    /// `{run u64, exit_kind u8, exit_value i32, exit_wall_us i64, user_us u64, system_us u64, max_rss_kib u64, leftover u32, segment u64, offset u64}`: the main process is gone, the
    /// output that was there is in the segment up to the end given, the exit record is on disk. `exit_kind` is [`exit_kind`]; leftover: processes of the run still seen, or [`UNCLEAR`]; 0 is certain.
    Exited = 104,
    /// `{segment u64, offset u64}`: the output's end.
    Wrote = 105,
    /// `{run u64, survivors u32}` then so many pids (`u32` each, at most 64): the answer to an escalation.
    Empty = 106,
    /// `{bytes u64}`: so many bytes in all could not be kept since the shim began (full disk); sent when it changes, at most once a second.
    Dropped = 107,
    /// `{errno i32}`: the request before was refused.
    Refused = 108,
    /// `{leftover u32}`: live processes that descend from this shim, the main one included.
    Census = 109,
    /// `{}`: all input is typed, and the next may come.
    Typed = 110,
}

impl Notice {
    /// From its number.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            101 => Some(Self::Welcome),
            102 => Some(Self::Spawned),
            103 => Some(Self::SpawnFailed),
            104 => Some(Self::Exited),
            105 => Some(Self::Wrote),
            106 => Some(Self::Empty),
            107 => Some(Self::Dropped),
            108 => Some(Self::Refused),
            109 => Some(Self::Census),
            110 => Some(Self::Typed),
            _ => None,
        }
    }
}

/// Where a slot stands.
pub mod phase {
    /// No run was ever made here.
    pub const FRESH: u8 = 0;
    /// A run is there.
    pub const RUNNING: u8 = 1;
    /// The last run has ended, and how is known.
    pub const ENDED: u8 = 2;
    /// There is a process with the number and start time of the last run, and nothing proves that it is that run. It is never touched.
    pub const UNVERIFIABLE: u8 = 3;
}

/// How a run ended.
pub mod exit_kind {
    /// `exit(value)`.
    pub const CODE: u8 = 0;
    /// By signal `value`.
    pub const SIGNAL: u8 = 1;
    /// Nobody saw how.
    pub const UNKNOWN: u8 = 2;
    /// The machine was started anew meanwhile.
    pub const REBOOT: u8 = 3;
    /// By the kernel's out-of-memory killer (value: 9).
    pub const OUT_OF_MEMORY: u8 = 4;
}

/// In the place of a count of leftovers: there may be some, and they could not be counted in one look.
pub const UNCLEAR: u32 = u32::MAX;

/// Where a spawn failed.
pub mod stage {
    /// The payload could not be read.
    pub const PAYLOAD: u8 = 1;
    /// fork(2).
    pub const FORK: u8 = 2;
    /// Its state could not be written.
    pub const STATE: u8 = 3;
    /// A cgroup could not be joined.
    pub const CGROUP: u8 = 4;
    /// The working directory could not be entered.
    pub const DIRECTORY: u8 = 5;
    /// execve(2).
    pub const EXEC: u8 = 6;
    /// Descriptors or the terminal could not be set up.
    pub const DESCRIPTORS: u8 = 7;
    /// A limit or the priority could not be set.
    pub const LIMITS: u8 = 8;
    /// It could not become its user.
    pub const USER: u8 = 9;
}

/// The first letter of an [attribute](PAYLOAD).
pub mod attribute {
    /// `u1000`: the user's number.
    pub const USER: u8 = b'u';
    /// `g1000`: its group's number.
    pub const GROUP: u8 = b'g';
    /// `G44`: a further group, one each.
    pub const FURTHER: u8 = b'G';
    /// `m23`: umask, decimal.
    pub const MASK: u8 = b'm';
    /// `n24`: priority and 20.
    pub const NICE: u8 = b'n';
    /// `l7:1024:4096`: limit of the resource of that place in `model::attributes::Resource::ALL`, soft and hard; nothing for unlimited.
    pub const LIMIT: u8 = b'l';
    /// Most further groups.
    pub const MOST_GROUPS: usize = 64;
}

/// Layout of the memfd that comes with [`Request::Spawn`]: `{argc u32, envc u32, cgroups u32, kills u32}`, then NUL-terminated strings without
/// anything between: the program's absolute path, the working directory, `argc` arguments, `envc` of `NAME=value`, `cgroups` paths of `cgroup.procs`
/// files that the child joins by writing `0`, and `kills` (0 or 1) path of a `cgroup.kill` file. In the upper 24 bits of `kills` is how many
/// [attributes](attribute) follow; a shim that knows none takes the payload for a lie, and begins nothing as the wrong user. Sealed by nobody: the shim maps it privately and unmaps it after the fork.
pub const PAYLOAD: usize = 16;

/// Keys of `state`, one `key=value` a line in this order: `v run pid start boot argv shim flags wall`.
///
/// `start` is field 22 of `/proc/PID/stat`, `boot` is `/proc/sys/kernel/random/boot_id`, `argv` is [`fnv1a`] in hexadecimal, `wall` microseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateFile<'a> {
    /// Which run.
    pub run: u64,
    /// Its main process.
    pub pid: u32,
    /// When that began, clock ticks after boot.
    pub start: u64,
    /// In which boot.
    pub boot: &'a str,
    /// Hash of its arguments.
    pub argv: u64,
    /// The flags of its spawn.
    pub flags: u32,
    /// When it was made.
    pub wall_us: i64,
}

impl<'a> StateFile<'a> {
    /// From the file's text; none where it is damaged or of another version.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        (field(text, "v")? == "1").then_some(())?;
        // A file that was cut short ends within its last line.
        text.ends_with('\n').then_some(())?;
        Some(Self {
            run: field(text, "run")?.parse().ok()?,
            pid: field(text, "pid")?.parse().ok()?,
            start: field(text, "start")?.parse().ok()?,
            boot: field(text, "boot")?,
            argv: u64::from_str_radix(field(text, "argv")?, 16).ok()?,
            flags: field(text, "flags")?.parse().ok()?,
            wall_us: field(text, "wall")?.parse().ok()?,
        })
    }
}

/// Keys of `exit`, one `key=value` a line in this order: `v run kind value wall user system rss`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitFile {
    /// Which run.
    pub run: u64,
    /// Of [`exit_kind`].
    pub kind: u8,
    /// Code or signal.
    pub value: i32,
    /// When, microseconds since the Unix epoch.
    pub wall_us: i64,
    /// Processor time, microseconds: in user mode, in the kernel.
    pub cpu_us: (u64, u64),
    /// Largest resident set, KiB.
    pub max_rss_kib: u64,
}

impl ExitFile {
    /// From the file's text; none where it is damaged or of another version.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (field(text, "v")? == "1" && text.ends_with('\n')).then_some(())?;
        Some(Self {
            run: field(text, "run")?.parse().ok()?,
            kind: field(text, "kind")?.parse().ok()?,
            value: field(text, "value")?.parse().ok()?,
            wall_us: field(text, "wall")?.parse().ok()?,
            cpu_us: (field(text, "user")?.parse().ok()?, field(text, "system")?.parse().ok()?),
            max_rss_kib: field(text, "rss")?.parse().ok()?,
        })
    }
}

/// The value of the line `key=value`.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}
