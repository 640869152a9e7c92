//! Whether anything runs in the slots of a project. Never asks a shim: only looks.

use std::{fs, path::Path};

use super::place;
use crate::{shim_format::StateFile, world::tree::stat::Stat};

/// Whether no slot in `slots` has a main process that may still be there.
#[must_use]
pub fn is_quiet(slots: &Path) -> bool {
    let Ok(entries) = fs::read_dir(slots) else { return true };
    !entries.flatten().any(|slot| runs(&slot.path()))
}

fn runs(slot: &Path) -> bool {
    let Some(text) = place::state(slot) else { return false };
    // One that cannot be read may hide a process.
    let Some(state) = StateFile::parse(&text) else { return true };
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    state.boot == boot.trim() && Stat::read(state.pid).is_some_and(|stat| stat.is_living() && stat.start == state.start)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::is_quiet;
    use crate::world::tree::stat::Stat;

    #[test]
    fn a_slot_is_in_use_while_its_main_process_lives() {
        let slots = tempfile::tempdir().unwrap();
        assert!(is_quiet(&slots.path().join("nosuch")));
        let slot = slots.path().join("web");
        fs::create_dir(&slot).unwrap();
        assert!(is_quiet(slots.path()));
        let me = Stat::read(std::process::id()).unwrap();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let state = |start| {
            let (pid, boot) = (me.pid, boot.trim());
            format!("v=1\nrun=7\npid={pid}\nstart={start}\nboot={boot}\nargv=0\nshim=1\nflags=0\nwall=5000000\n")
        };
        fs::write(slot.join("state"), state(me.start)).unwrap();
        assert!(!is_quiet(slots.path()));
        fs::write(slot.join("state"), state(me.start + 1)).unwrap();
        assert!(is_quiet(slots.path()), "another process has its number");
        fs::write(slot.join("state"), "garbage").unwrap();
        assert!(!is_quiet(slots.path()), "it may hide one");
    }
}
