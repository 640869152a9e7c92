//! Limits in the kernel's words (cgroup-v2.rst; cgroup-v1/memory.rst, pids.rst; scheduler/sched-bwc.rst). Promise: what is not limited is
//! written as unlimited, so that a limit that was taken out of the file does not stay.

use std::{io, path::Path};

use super::{
    DEFAULT_PIDS,
    base::Base,
    file,
    hierarchy::{Controller, Version},
};
use crate::model::service::Limits;

/// Microseconds over which processor time is shared out: the kernel's own default.
const PERIOD_US: u64 = 100_000;
/// The kernel refuses less.
const LEAST_QUOTA_US: u64 = 1000;

/// Writes those limits that this hierarchy has a controller for.
pub(super) fn write(dir: &Path, base: &Base, limits: &Limits) -> io::Result<()> {
    match base.version {
        Version::V2 => write_v2(dir, &|one| base.has(one), limits),
        Version::V1 => write_v1(dir, &|one| base.has(one), limits),
    }
}

fn write_v2(dir: &Path, has: &dyn Fn(Controller) -> bool, limits: &Limits) -> io::Result<()> {
    let or_max = |value: Option<u64>| value.map_or_else(|| "max".to_owned(), |value| value.to_string());
    if has(Controller::Cpu) {
        file::write(&dir.join("cpu.max"), &format!("{} {PERIOD_US}", or_max(limits.cpus.map(quota_us))))?;
    }
    if has(Controller::Memory) {
        let is_limited = limits.memory_bytes.is_some();
        // Swap would only make the limit a slow one. Absent where the kernel has none.
        write_if_there(&dir.join("memory.swap.max"), if is_limited { "0" } else { "max" })?;
        // Who runs into its limit ends as a whole, and is started again as a whole.
        write_if_there(&dir.join("memory.oom.group"), if is_limited { "1" } else { "0" })?;
        file::write(&dir.join("memory.max"), &or_max(limits.memory_bytes))?;
    }
    if has(Controller::Pids) {
        file::write(&dir.join("pids.max"), &limits.pids.unwrap_or(DEFAULT_PIDS).to_string())?;
    }
    Ok(())
}

fn write_v1(dir: &Path, has: &dyn Fn(Controller) -> bool, limits: &Limits) -> io::Result<()> {
    let or_none = |value: Option<u64>| value.map_or_else(|| "-1".to_owned(), |value| value.to_string());
    if has(Controller::Cpu) {
        file::write(&dir.join("cpu.cfs_period_us"), &PERIOD_US.to_string())?;
        file::write(&dir.join("cpu.cfs_quota_us"), &or_none(limits.cpus.map(quota_us)))?;
    }
    if has(Controller::Memory) {
        let bytes = or_none(limits.memory_bytes);
        // Memory and swap together may never be less than memory alone: lifted first, lowered last.
        write_if_there(&dir.join("memory.memsw.limit_in_bytes"), "-1")?;
        file::write(&dir.join("memory.limit_in_bytes"), &bytes)?;
        write_if_there(&dir.join("memory.memsw.limit_in_bytes"), &bytes)?;
    }
    if has(Controller::Pids) {
        file::write(&dir.join("pids.max"), &limits.pids.unwrap_or(DEFAULT_PIDS).to_string())?;
    }
    Ok(())
}

fn write_if_there(path: &Path, value: &str) -> io::Result<()> {
    match file::write(path, value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Microseconds in each period.
fn quota_us(cpus: f64) -> u64 {
    ((cpus * PERIOD_US as f64).round() as u64).max(LEAST_QUOTA_US)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{quota_us, write_v1, write_v2};
    use crate::model::service::Limits;

    /// A directory with these files in it, all of them empty, as the kernel would show them.
    fn cgroup(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory can be made");
        for file in files {
            fs::write(dir.path().join(file), "").expect("a file can be made");
        }
        dir
    }

    fn told(dir: &tempfile::TempDir, file: &str) -> String {
        fs::read_to_string(dir.path().join(file)).expect("the file is there")
    }

    const LIMITS: Limits = Limits { cpus: Some(1.5), memory_bytes: Some(64 << 20), pids: Some(100) };

    #[test]
    fn v2_is_told_each_limit_in_its_own_words() {
        let files = ["cpu.max", "memory.max", "memory.swap.max", "memory.oom.group", "pids.max"];
        let dir = cgroup(&files);
        write_v2(dir.path(), &|_| true, &LIMITS).expect("they are written");
        assert_eq!(files.map(|file| told(&dir, file)), ["150000 100000", "67108864", "0", "1", "100"]);
        let dir = cgroup(&files);
        write_v2(dir.path(), &|_| true, &Limits::default()).expect("they are written");
        assert_eq!(files.map(|file| told(&dir, file)), ["max 100000", "max", "max", "0", "4096"]);
    }

    #[test]
    fn v1_is_told_each_limit_in_its_own_words() {
        let files = ["cpu.cfs_period_us", "cpu.cfs_quota_us", "memory.limit_in_bytes", "pids.max"];
        let dir = cgroup(&files);
        write_v1(dir.path(), &|_| true, &LIMITS).expect("a kernel without swap accounting is no error");
        assert_eq!(files.map(|file| told(&dir, file)), ["100000", "150000", "67108864", "100"]);
        let dir = cgroup(&files);
        write_v1(dir.path(), &|_| true, &Limits::default()).expect("they are written");
        assert_eq!(files.map(|file| told(&dir, file)), ["100000", "-1", "-1", "4096"]);
    }

    #[test]
    fn without_a_controller_nothing_is_written_and_with_one_a_missing_file_is_an_error() {
        let dir = cgroup(&[]);
        assert!(write_v2(dir.path(), &|_| false, &LIMITS).is_ok());
        let error = write_v2(dir.path(), &|_| true, &LIMITS).expect_err("there is no such file");
        assert!(error.to_string().contains("cpu.max"), "{error}");
    }

    #[test]
    fn a_share_of_a_core_becomes_microseconds_that_the_kernel_takes() {
        assert_eq!([1.5, 0.5, 0.001, 64.0].map(quota_us), [150_000, 50_000, 1000, 6_400_000]);
    }
}
