//! What runs although no engine looks after it: read from what shims leave on disk and from `/proc`. For people: nothing is ever signalled by it.

use std::{fs::File, io::Read, os::unix::fs::OpenOptionsExt, path::Path};

use rustix::fs::OFlags;

use crate::{
    cli::outside::Left,
    model::{
        ids::{RunId, ServiceName},
        time::Timestamp,
    },
    shim_format::{ExitFile, StateFile},
};

/// More than any of these files has, bytes.
const LIMIT: u64 = 16 * 1024;

/// Services of the slots in `slots` whose main process is there.
pub(super) fn running(slots: &Path, now: Timestamp) -> Vec<Left> {
    let Ok(boot) = std::fs::read_to_string("/proc/sys/kernel/random/boot_id") else { return Vec::new() };
    let Ok(entries) = std::fs::read_dir(slots) else { return Vec::new() };
    let mut left: Vec<Left> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let service = entry.file_name().to_str()?.parse::<ServiceName>().ok()?;
            of_slot(&entry.path(), service, boot.trim(), now)
        })
        .collect();
    left.sort_by(|a, b| a.service.cmp(&b.service));
    left
}

fn of_slot(slot: &Path, service: ServiceName, boot: &str, now: Timestamp) -> Option<Left> {
    let text = read(&slot.join("state"))?;
    let state = StateFile::parse(&text)?;
    let has_ended =
        read(&slot.join("exit")).and_then(|text| ExitFile::parse(&text)).is_some_and(|exit| exit.run == state.run);
    if has_ended || state.boot != boot || start_of(state.pid) != Some(state.start) {
        return None;
    }
    let ago = u64::try_from(now.wall_us.saturating_sub(state.wall_us)).unwrap_or(0);
    let since = Timestamp { mono_us: now.mono_us.saturating_sub(ago), wall_us: state.wall_us };
    Some(Left { service, run: RunId(state.run), pid: state.pid, since })
}

fn read(path: &Path) -> Option<String> {
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::options().read(true).custom_flags(i32::try_from(flags.bits()).ok()?).open(path).ok()?;
    let mut text = String::new();
    file.take(LIMIT).read_to_string(&mut text).ok()?;
    Some(text)
}

/// When a living process began, in ticks after boot: field 22 of `/proc/PID/stat` (proc(5)). None for a zombie.
fn start_of(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") { None } else { fields.nth(18)?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::{running, start_of};
    use crate::model::time::Timestamp;

    fn state(pid: u32, start: u64) -> String {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        format!("v=1\nrun=7\npid={pid}\nstart={start}\nboot={}\nargv=0\nshim=1\nflags=0\nwall=5000000\n", boot.trim())
    }

    #[test]
    fn a_process_counts_by_number_and_start_and_not_after_its_exit_was_recorded() {
        let slots = tempfile::tempdir().unwrap();
        let slot = slots.path().join("web");
        std::fs::create_dir(&slot).unwrap();
        let now = Timestamp { mono_us: 9_000_000, wall_us: 6_000_000 };
        assert_eq!(running(slots.path(), now), []);
        let pid = std::process::id();
        let start = start_of(pid).unwrap();
        std::fs::write(slot.join("state"), state(pid, start)).unwrap();
        let left = running(slots.path(), now);
        assert_eq!((left[0].service.as_str(), left[0].pid, left[0].since.mono_us), ("web", pid, 8_000_000));
        std::fs::write(slot.join("state"), state(pid, start + 1)).unwrap();
        assert_eq!(running(slots.path(), now), [], "another process has its number");
        std::fs::write(slot.join("state"), state(pid, start)).unwrap();
        let exit = "v=1\nrun=7\nkind=0\nvalue=0\nwall=1\nuser=0\nsystem=0\nrss=0\n";
        std::fs::write(slot.join("exit"), exit).unwrap();
        assert_eq!(running(slots.path(), now), []);
    }
}
