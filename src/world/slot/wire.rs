//! Packets of a shim's socket: requests into bytes, bytes into what was heard. Never trusts a packet's length, never fails on
//! one that it does not know: a newer shim may say more.

use crate::{
    model::{ids::RunId, intake::Position},
    shim_format::{Notice, PACKET_BYTES, PROTOCOL, Request},
};

/// Most input that one packet carries.
pub(super) const INPUT_BYTES: usize = PACKET_BYTES - 4;

/// Survivors that a packet names at most.
const MOST_NAMED: usize = 64;

/// A process by number and start time.
pub(super) type Identity = (u32, u64);

/// How the main process of a run ended, as a shim or its record says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// Of [`crate::shim_format::exit_kind`].
    pub(super) kind: u8,
    /// Code or signal.
    pub(super) value: i32,
    /// When, microseconds since the Unix epoch.
    pub(super) wall_us: i64,
}

/// Where a slot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Welcome {
    /// The shim's number.
    pub(super) shim: u32,
    /// Of [`crate::shim_format::phase`].
    pub(super) phase: u8,
    /// The newest run.
    pub(super) run: RunId,
    /// Its main process.
    pub(super) main: Identity,
    /// When that was made, microseconds since the Unix epoch.
    pub(super) started_wall_us: i64,
    /// How it ended, where it did.
    pub(super) end: End,
    /// Where its output ends.
    pub(super) written: Position,
}

/// What a shim says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// Where things stand.
    Welcome(Welcome),
    /// The exec worked.
    Spawned {
        /// Of which run.
        run: RunId,
        /// Its main process.
        main: Identity,
    },
    /// It did not.
    SpawnFailed {
        /// Of which run.
        run: RunId,
        /// Why.
        errno: i32,
        /// Of [`crate::shim_format::stage`].
        stage: u8,
    },
    /// The main process is gone.
    Exited {
        /// Of which run.
        run: RunId,
        /// How.
        end: End,
        /// Processes of the run that the shim still sees.
        leftover: u32,
        /// Where the output that was there ends.
        written: Position,
    },
    /// Output is beyond the place that was armed.
    Wrote,
    /// An escalation is over.
    Empty {
        /// Of which run.
        run: RunId,
        /// Those that could not be ended, at most 64.
        survivors: Vec<u32>,
    },
    /// So many bytes could not be kept since the shim began.
    Dropped(u64),
    /// The request before was refused with this error number.
    Refused(i32),
    /// It answers.
    Census,
    /// All input is typed.
    Typed,
    /// Not a packet that this version knows.
    Unknown,
}

/// Begins a packet.
fn packet(request: Request) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(40);
    bytes.extend_from_slice(&(request as u16).to_le_bytes());
    bytes.extend_from_slice(&PROTOCOL.to_le_bytes());
    bytes
}

/// [`Request::Greet`], [`Request::Retire`] and [`Request::Count`], which carry nothing.
pub(super) fn bare(request: Request) -> Vec<u8> {
    packet(request)
}

/// What a spawn is asked for beside its payload.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spawn {
    /// Which run.
    pub(super) run: RunId,
    /// Of [`crate::shim_format::spawn_flags`].
    pub(super) flags: u32,
    /// Rows and columns of its terminal.
    pub(super) size: (u16, u16),
    /// Soft limit of open files; 0: that of the shim.
    pub(super) open_files: u64,
    /// Processes and threads that the user may have in all when this one makes another; 0: no limit of ours.
    pub(super) processes: u64,
}

/// [`Request::Spawn`].
pub(super) fn spawn(spawn: Spawn) -> Vec<u8> {
    let mut bytes = packet(Request::Spawn);
    bytes.extend_from_slice(&spawn.run.0.to_le_bytes());
    bytes.extend_from_slice(&spawn.flags.to_le_bytes());
    bytes.extend_from_slice(&spawn.size.0.to_le_bytes());
    bytes.extend_from_slice(&spawn.size.1.to_le_bytes());
    bytes.extend_from_slice(&spawn.open_files.to_le_bytes());
    bytes.extend_from_slice(&spawn.processes.to_le_bytes());
    bytes
}

/// [`Request::Escalate`] after so many milliseconds; `u64::MAX`: not any more.
pub(super) fn escalate(after_ms: u64) -> Vec<u8> {
    let mut bytes = packet(Request::Escalate);
    bytes.extend_from_slice(&after_ms.to_le_bytes());
    bytes
}

/// [`Request::Arm`].
pub(super) fn arm(from: Position) -> Vec<u8> {
    let mut bytes = packet(Request::Arm);
    bytes.extend_from_slice(&from.segment.to_le_bytes());
    bytes.extend_from_slice(&from.offset.to_le_bytes());
    bytes
}

/// [`Request::Keep`].
pub(super) fn keep(segment_bytes: u64, total_bytes: u64, blocks: u8) -> Vec<u8> {
    let mut bytes = packet(Request::Keep);
    bytes.extend_from_slice(&segment_bytes.to_le_bytes());
    bytes.extend_from_slice(&total_bytes.to_le_bytes());
    bytes.push(blocks);
    bytes
}

/// [`Request::Input`], at most [`INPUT_BYTES`].
pub(super) fn input(typed: &[u8]) -> Vec<u8> {
    let mut bytes = packet(Request::Input);
    bytes.extend_from_slice(typed);
    bytes
}

/// [`Request::Resize`].
pub(super) fn resize((rows, columns): (u16, u16)) -> Vec<u8> {
    let mut bytes = packet(Request::Resize);
    bytes.extend_from_slice(&rows.to_le_bytes());
    bytes.extend_from_slice(&columns.to_le_bytes());
    bytes
}

/// Fields of a packet, one after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk()?;
        self.0 = tail;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_le_bytes)
    }

    fn run(&mut self) -> Option<RunId> {
        self.u64().map(RunId)
    }

    fn position(&mut self) -> Option<Position> {
        Some(Position { segment: self.u64()?, offset: self.u64()? })
    }

    fn end(&mut self) -> Option<End> {
        Some(End { kind: self.u8()?, value: self.i32()?, wall_us: self.i64()? })
    }
}

/// Reads a packet.
pub(super) fn decode(bytes: &[u8]) -> Heard {
    read(&mut Fields(bytes)).unwrap_or(Heard::Unknown)
}

fn read(from: &mut Fields<'_>) -> Option<Heard> {
    let notice = Notice::from_number(from.u16()?)?;
    let _protocol = from.u16()?;
    Some(match notice {
        Notice::Welcome => Heard::Welcome(Welcome {
            shim: from.u32()?,
            phase: from.u8()?,
            run: from.run()?,
            main: (from.u32()?, from.u64()?),
            started_wall_us: from.i64()?,
            end: from.end()?,
            written: {
                let _flags = from.u32()?;
                from.position()?
            },
        }),
        Notice::Spawned => Heard::Spawned { run: from.run()?, main: (from.u32()?, from.u64()?) },
        Notice::SpawnFailed => Heard::SpawnFailed { run: from.run()?, errno: from.i32()?, stage: from.u8()? },
        Notice::Exited => {
            let (run, end) = (from.run()?, from.end()?);
            let _usage = (from.u64()?, from.u64()?, from.u64()?);
            Heard::Exited { run, end, leftover: from.u32()?, written: from.position()? }
        }
        Notice::Wrote => Heard::Wrote,
        Notice::Empty => {
            let (run, count) = (from.run()?, from.u32()? as usize);
            let survivors = std::iter::from_fn(|| from.u32()).take(count.min(MOST_NAMED)).collect();
            Heard::Empty { run, survivors }
        }
        Notice::Dropped => Heard::Dropped(from.u64()?),
        Notice::Refused => Heard::Refused(from.i32()?),
        Notice::Census => Heard::Census,
        Notice::Typed => Heard::Typed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_or_is_not_known_is_no_packet() {
        let mut exited = Vec::new();
        exited.extend_from_slice(&104_u16.to_le_bytes());
        exited.extend_from_slice(&PROTOCOL.to_le_bytes());
        exited.extend_from_slice(&7_u64.to_le_bytes());
        exited.push(1);
        exited.extend_from_slice(&9_i32.to_le_bytes());
        exited.extend_from_slice(&5_i64.to_le_bytes());
        exited.extend_from_slice(&[0; 24]);
        exited.extend_from_slice(&2_u32.to_le_bytes());
        exited.extend_from_slice(&3_u64.to_le_bytes());
        exited.extend_from_slice(&4_u64.to_le_bytes());
        let end = End { kind: 1, value: 9, wall_us: 5 };
        let whole = Heard::Exited { run: RunId(7), end, leftover: 2, written: Position { segment: 3, offset: 4 } };
        assert_eq!(decode(&exited), whole);
        for length in 0..exited.len() {
            assert_eq!(decode(&exited[..length]), Heard::Unknown, "{length} bytes");
        }
        assert_eq!(decode(&[0xff; 64]), Heard::Unknown);
    }
}
