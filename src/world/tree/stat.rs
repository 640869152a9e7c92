//! What `/proc` says about one process (proc(5)). Never cached: a reader asks again.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// A process as it was a moment ago. `pid` and `start` together name it for as long as the machine is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::world) struct Stat {
    /// Its number.
    pub(in crate::world) pid: u32,
    /// When it started, in clock ticks since boot.
    pub(in crate::world) start: u64,
    /// Its parent.
    pub(in crate::world) parent: u32,
    /// Its process group.
    pub(in crate::world) group: u32,
    /// Its session.
    pub(in crate::world) session: u32,
    /// The letter of its state: `R`, `S`, `D`, `T`, `Z`…
    pub(in crate::world) state: u8,
}

impl Stat {
    /// Reads `/proc/PID/stat`; none where there is no such process.
    pub(in crate::world) fn read(pid: u32) -> Option<Self> {
        let mut bytes = [0; 1024];
        let length = fs::File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut bytes).ok()?;
        Self::parse(pid, &bytes[..length])
    }

    /// The name in parentheses may itself hold parentheses and spaces: only what follows the last one is counted.
    fn parse(pid: u32, bytes: &[u8]) -> Option<Self> {
        let after_name = memchr::memrchr(b')', bytes)? + 2;
        let text = std::str::from_utf8(bytes.get(after_name..)?).ok()?;
        let mut fields = text.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let session = fields.next()?.parse().ok()?;
        let start = fields.nth(15)?.parse().ok()?;
        Some(Self { pid, start, parent, group, session, state })
    }

    /// False for a zombie: it runs no more, only its parent has not asked yet.
    pub(in crate::world) fn is_living(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }

    /// True while the very same process is still there (a zombie counts).
    pub(in crate::world) fn still_holds(&self) -> bool {
        Self::read(self.pid).is_some_and(|now| now.start == self.start)
    }
}

/// Every process number of this machine.
pub(in crate::world) fn all_pids() -> Vec<u32> {
    numbers_in(Path::new("/proc"))
}

/// The entries of a directory that are numbers.
pub(in crate::world) fn numbers_in(directory: &Path) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// True where the kernel lists children (`CONFIG_PROC_CHILDREN`).
pub(in crate::world) fn kernel_lists_children() -> bool {
    let me = std::process::id();
    children_file(me, me).exists()
}

fn children_file(pid: u32, thread: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/task/{thread}/children"))
}

/// Children of one thread.
pub(in crate::world) fn children_of_thread(pid: u32, thread: u32) -> Vec<u32> {
    let text = fs::read_to_string(children_file(pid, thread)).unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|number| number.parse().ok()).collect()
}

/// Children of a process, of whichever thread.
pub(in crate::world) fn children_of(pid: u32) -> Vec<u32> {
    let threads = numbers_in(Path::new(&format!("/proc/{pid}/task")));
    threads.into_iter().flat_map(|thread| children_of_thread(pid, thread)).collect()
}

/// The same where the kernel does not list them: a look at every process.
pub(in crate::world) fn children_by_search(parent: u32) -> Vec<u32> {
    all_pids().into_iter().filter(|pid| Stat::read(*pid).is_some_and(|stat| stat.parent == parent)).collect()
}

/// The environment that the process was executed with; empty for a zombie, and for a moment during an exec.
///
/// # Errors
/// Those of open(2) and read(2): it is gone, or we may not look.
pub(in crate::world) fn environment(pid: u32) -> io::Result<Vec<u8>> {
    fs::read(format!("/proc/{pid}/environ"))
}

/// The value of `name` in an environment.
pub(in crate::world) fn value_in(environment: &[u8], name: &str) -> Option<String> {
    environment.split(|byte| *byte == 0).find_map(|entry| {
        let value = entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        String::from_utf8(value.to_vec()).ok()
    })
}

/// The command line, or the name in brackets where there is none; not yet fit for a screen.
pub(in crate::world) fn command_line(pid: u32) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        return Some(format!("[{}]", name.trim_end()));
    }
    Some(String::from_utf8_lossy(&words.join(&b' ')).into_owned())
}

#[cfg(test)]
mod tests {
    use super::Stat;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let line = b"7 (a) b (c) S 3 5 6 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 9";
        let stat = Stat::parse(7, line).expect("it is well formed");
        assert_eq!((stat.parent, stat.group, stat.session, stat.start, stat.state), (3, 5, 6, 4711, b'S'));
    }

    #[test]
    fn a_line_that_was_cut_is_no_process() {
        assert_eq!(Stat::parse(7, b"7 (a) S 3 5"), None);
    }
}
