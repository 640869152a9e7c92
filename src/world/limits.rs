//! Limits of this process. Promise: children get back what cas was started with. Never fails: a limit that cannot be
//! raised stays.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More open files than this are never asked for: enough for thousands of services.
const WANTED: u64 = 65_536;

/// Raises the soft limit of open files towards the hard one (every service costs some), and gives the one that was there
/// before, for children; none where nothing was changed.
#[must_use]
pub fn raise_open_files() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = raised(current, maximum)?;
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).ok().and(current)
}

/// The new soft limit; none where the old one does. No limit is `None`, as in [`Rlimit`].
fn raised(current: Option<u64>, maximum: Option<u64>) -> Option<u64> {
    let wanted = maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
    current.filter(|current| *current < wanted).map(|_| wanted)
}

/// Keeps freed memory in one place for all threads. Batches of lines are made by one thread and freed by another: with an
/// arena for each, as glibc has it (mallopt(3), `M_ARENA_MAX`), each would grow to what a flood needs at its worst. Nothing elsewhere.
pub fn share_one_arena() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "there is no other door to this setting of the C library")]
    // SAFETY: mallopt takes two numbers and may be called at any time; a value that it refuses changes nothing.
    let _set = unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

/// Sets the soft limit of this process alone. Two system calls: may be called between fork and exec.
pub(crate) fn set_open_files(soft: u64) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // An error leaves the higher limit, with which a service runs as well.
    let _kept = setrlimit(Resource::Nofile, Rlimit { current: Some(soft), maximum });
}

#[cfg(test)]
mod tests {
    use super::raised;

    #[test]
    fn a_soft_limit_is_raised_to_the_hard_one_and_never_lowered() {
        assert_eq!(raised(Some(1024), Some(4096)), Some(4096));
        assert_eq!(raised(Some(1024), Some(1_048_576)), Some(65_536));
        assert_eq!(raised(Some(1024), None), Some(65_536));
        assert_eq!(raised(Some(100_000), Some(1_048_576)), None);
        assert_eq!(raised(Some(4096), Some(4096)), None);
        assert_eq!(raised(None, None), None);
    }
}
