//! `/proc/PID/stat` and `/proc/PID/schedstat`, parsed by hand (`proc_pid_stat(5)`). Never panics on what a kernel, or a process that
//! chose its own name, writes there.

use std::path::Path;

use rustix::{fd::AsFd, io::pread};

/// Longest `stat` line: 52 numbers of at most 20 digits and a name of at most 64 bytes.
pub const STAT_BYTES: usize = 2048;

/// What is used of a `stat` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// `R`, `S`, `Z` …
    pub state: u8,
    /// Parent.
    pub ppid: u32,
    /// Process group.
    pub pgrp: u32,
    /// Session.
    pub session: u32,
    /// Clock ticks that it ran itself, in user and kernel mode.
    pub own_ticks: u64,
    /// Clock ticks of the children that it has waited for, and of theirs.
    pub waited_ticks: u64,
    /// Threads.
    pub threads: u32,
    /// Start, in clock ticks since boot. Together with the pid: who it is.
    pub start_ticks: u64,
    /// Resident pages.
    pub rss_pages: u64,
}

impl Stat {
    /// Reads a line. The name stands in parentheses and may hold anything, also `) R 1`: it ends at the last parenthesis.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let close = memchr::memrchr(b')', line)?;
        let mut fields = line.get(close + 1..)?.split(|byte| *byte == b' ' || *byte == b'\n').filter(|f| !f.is_empty());
        let state = *fields.next()?.first()?;
        let ppid = number(fields.next()?)?;
        let pgrp = number(fields.next()?)?;
        let session = number(fields.next()?)?;
        // tty_nr, tpgid, flags, minflt, cminflt, majflt, cmajflt
        let mut fields = fields.skip(7);
        let utime = number(fields.next()?)?;
        let stime = number(fields.next()?)?;
        let cutime = number(fields.next()?)?;
        let cstime = number(fields.next()?)?;
        // priority, nice
        let mut fields = fields.skip(2);
        let threads = number(fields.next()?)?;
        // itrealvalue
        let mut fields = fields.skip(1);
        let start_ticks = number(fields.next()?)?;
        // vsize
        let mut fields = fields.skip(1);
        let rss_pages = number(fields.next()?)?;
        Some(Self {
            state,
            ppid: u32::try_from(ppid).ok()?,
            pgrp: u32::try_from(pgrp).ok()?,
            session: u32::try_from(session).ok()?,
            own_ticks: utime.saturating_add(stime),
            waited_ticks: cutime.saturating_add(cstime),
            threads: u32::try_from(threads).ok()?,
            start_ticks,
            rss_pages,
        })
    }

    /// Reads a file once.
    #[must_use]
    pub fn read(path: &Path) -> Option<Self> {
        Self::parse(&std::fs::read(path).ok()?)
    }

    /// Reads an open file from its beginning. None: the process is gone, whoever has its pid now.
    pub fn read_at(file: impl AsFd, buffer: &mut [u8; STAT_BYTES]) -> Option<Self> {
        let read = pread(file, &mut buffer[..], 0).ok()?;
        Self::parse(&buffer[..read])
    }

    /// All ticks, its own and those it has waited for.
    #[must_use]
    pub const fn all_ticks(&self) -> u64 {
        self.own_ticks.saturating_add(self.waited_ticks)
    }

    /// A signal stopped it, and nobody has continued it. (`t` is a debugger's.)
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        matches!(self.state, b'T')
    }

    /// Dead, and not yet waited for.
    #[must_use]
    pub const fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// How often, and for how long, the main thread of a process was on a core: unchanged means that it did not run at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// Nanoseconds on a core.
    pub ran_ns: u64,
    /// Times that it was given one.
    pub slices: u64,
}

impl Pulse {
    /// Reads `/proc/PID/schedstat`: `ran waited slices`. None where the kernel keeps no such figures (all are 0).
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ' || *byte == b'\n');
        let ran_ns = number(fields.next()?)?;
        let slices = number(fields.nth(1)?)?;
        (slices > 0).then_some(Self { ran_ns, slices })
    }

    /// Reads an open file from its beginning. None: the process is gone, or the kernel keeps no figures.
    pub fn read_at(file: impl AsFd, buffer: &mut [u8; STAT_BYTES]) -> Option<Self> {
        let read = pread(file, &mut buffer[..], 0).ok()?;
        Self::parse(&buffer[..read])
    }
}

/// A number; a negative one (only `cutime`, `rss` and fields that are skipped can be, by accounting errors) counts as 0.
pub(super) fn number(field: &[u8]) -> Option<u64> {
    let (negative, digits) = match field {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_u64;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
    }
    Some(if negative { 0 } else { value })
}

#[cfg(test)]
mod tests {
    use super::{Pulse, Stat};

    const TAIL: &str =
        " S 41 42 43 0 -1 4194560 100 200 0 0 7 5 30 10 20 0 3 0 9000 4096000 250 18446744073709551615 1 1 0\n";

    #[test]
    fn a_name_may_hold_spaces_parentheses_and_a_lookalike_of_the_rest() {
        let expected = Stat {
            state: b'S',
            ppid: 41,
            pgrp: 42,
            session: 43,
            own_ticks: 12,
            waited_ticks: 40,
            threads: 3,
            start_ticks: 9000,
            rss_pages: 250,
        };
        for name in ["sh", "a) b (c", ") R 1 2 3", "((", "))", "", "tmux: server", "\u{fffd}\n) Z 9"] {
            let line = format!("77 ({name}){TAIL}");
            assert_eq!(Stat::parse(line.as_bytes()), Some(expected), "{line}");
        }
    }

    #[test]
    fn a_line_cut_anywhere_is_none_or_a_reading_and_never_a_panic() {
        let line = format!("77 (a) b (c){TAIL}").into_bytes();
        for end in 0..line.len() {
            let _reading = Stat::parse(&line[..end]);
            for byte in [0, b')', b'-', 0xff] {
                let mut bent = line.clone();
                bent[end] = byte;
                let _reading = Stat::parse(&bent);
            }
        }
        assert_eq!(Stat::parse(b"77 (x) S 1"), None);
        assert_eq!(Stat::parse(b""), None);
    }

    #[test]
    fn a_kernel_without_schedule_figures_has_no_pulse() {
        assert_eq!(Pulse::parse(b"0 0 0\n"), None);
        assert_eq!(Pulse::parse(b"120 7 3\n"), Some(Pulse { ran_ns: 120, slices: 3 }));
        assert_eq!(Pulse::parse(b"120 7"), None);
        assert_eq!(Pulse::parse(b"x y z"), None);
    }
}
