//! Limits that do not hold, in words; and what stands in for that of processes.
//!
//! Never: a limit that is called held and is not.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use super::hierarchy::Controller;
use crate::{model::service::Limits, world::system::stat::Stat};

/// What stands in for a limit of processes that no cgroup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StandIn {
    /// `RLIMIT_NPROC`.
    Set,
    /// Nothing: it would not bind root.
    Root,
    /// Nothing: the shim that made the run does not know of it.
    Missing,
}

/// Which of `limits` nothing enforces where `lacks` says which controllers are missing, and `why`; none where all hold as they should.
pub(super) fn clause(
    limits: &Limits,
    lacks: &dyn Fn(Controller) -> bool,
    why: &str,
    stand_in: StandIn,
) -> Option<String> {
    let pids = limits.pids.filter(|_| lacks(Controller::Pids));
    let missing: Vec<&str> = [
        (limits.cpus.is_some() && lacks(Controller::Cpu), "cpus"),
        (limits.memory_bytes.is_some() && lacks(Controller::Memory), "memory"),
        (pids.is_some() && stand_in != StandIn::Set, "pids"),
    ]
    .into_iter()
    .filter_map(|(missing, name)| missing.then_some(name))
    .collect();
    let mut clauses = Vec::new();
    let names = missing.join(" and ");
    match missing.len() {
        0 => {}
        1 => clauses.push(format!("its {names} limit does not hold: {why}")),
        _ => clauses.push(format!("its {names} limits do not hold: {why}")),
    }
    if let Some(pids) = pids {
        let reason = if missing.is_empty() { format!(": {why}") } else { String::new() };
        clauses.push(match stand_in {
            StandIn::Root => "RLIMIT_NPROC cannot stand in for pids, as it does not bind root".to_owned(),
            StandIn::Missing => "its shim is of an older cas, which does not set RLIMIT_NPROC instead of pids".to_owned(),
            StandIn::Set => format!(
                "its pids limit is held by RLIMIT_NPROC only, which counts everything of this user: {pids} more than there \
                 were at its start{reason}"
            ),
        });
    }
    (!clauses.is_empty()).then(|| clauses.join("; "))
}

/// Whether a process may have fewer processes than we may: nobody but a shim has seen to that.
pub(super) fn has_own_process_limit(pid: u32) -> bool {
    let soft = |process: &str| {
        let limits = fs::read_to_string(format!("/proc/{process}/limits")).ok()?;
        let line = limits.lines().find_map(|line| line.strip_prefix("Max processes"))?;
        // `unlimited` is no number.
        Some(line.split_ascii_whitespace().next()?.parse().unwrap_or(u64::MAX))
    };
    soft(&pid.to_string()).zip(soft("self")).is_some_and(|(its, own)| its < own)
}

/// Processes and threads that a user has, as far as they can be seen.
pub(super) fn tasks_of(uid: u32) -> u64 {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().filter(|entry| {
        entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit)
            && entry.metadata().is_ok_and(|found| found.uid() == uid)
    });
    let threads = |process: &Path| Stat::read(&process.join("stat")).map_or(0, |stat| u64::from(stat.threads));
    processes.map(|entry| threads(&entry.path())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Limits = Limits { cpus: Some(1.5), memory_bytes: Some(64 << 20), pids: Some(100) };

    #[test]
    fn what_does_not_hold_is_named_with_why_and_what_stands_in_for_it() {
        let user = clause(&ALL, &|_| true, "there is none", StandIn::Set).expect("nothing holds");
        assert!(
            user.starts_with("its cpus and memory limits do not hold: there is none; its pids limit is held by"),
            "{user}"
        );
        assert!(user.contains("everything of this user: 100 more"), "{user}");
        let root = clause(&ALL, &|_| true, "there is none", StandIn::Root).expect("nothing holds");
        assert!(root.starts_with("its cpus and memory and pids limits do not hold: there is none"), "{root}");
        assert!(root.ends_with("it does not bind root"), "{root}");
        let older =
            clause(&ALL, &|one| one == Controller::Pids, "it is missing", StandIn::Missing).expect("it does not hold");
        assert!(older.starts_with("its pids limit does not hold: it is missing; its shim is of an older"), "{older}");
    }

    #[test]
    fn what_holds_or_is_not_limited_is_not_spoken_of() {
        assert_eq!(clause(&ALL, &|_| false, "", StandIn::Missing), None);
        assert_eq!(clause(&Limits::default(), &|_| true, "", StandIn::Root), None);
        let memory = clause(&ALL, &|one| one == Controller::Memory, "it is missing", StandIn::Root);
        assert_eq!(memory.as_deref(), Some("its memory limit does not hold: it is missing"));
        let pids =
            clause(&ALL, &|one| one == Controller::Pids, "it is missing", StandIn::Set).expect("it is another limit");
        assert!(pids.ends_with("at its start: it is missing"), "{pids}");
    }

    #[test]
    fn the_tasks_of_this_user_are_at_least_those_of_this_test() {
        assert!(tasks_of(rustix::process::geteuid().as_raw()) >= 1);
    }
}
