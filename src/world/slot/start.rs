//! Starting a shim. The one place with unsafe code for it: nothing else hands descriptor 3 to a child without a fork of our memory.
//!
//! The shim gets nothing of ours: no environment, no descriptor but its connection, no ignored or blocked signal.

use std::{
    ffi::CString,
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsRawFd, BorrowedFd, RawFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    ptr,
};

/// Where the shim expects its connection.
const CONNECTION: RawFd = 3;

/// Starts `program SLOT` with `connection` as its descriptor 3; its process number. Blocks for the moment that an exec takes. What
/// else is open here and not close-on-exec, the shim closes itself.
///
/// # Errors
/// Those of `posix_spawn(3)`, which are those of fork(2) and execve(2).
#[expect(
    unsafe_code,
    reason = "std can map the three standard descriptors only, and forks where it is given a closure"
)]
pub(super) fn start(program: &Path, slot: &Path, connection: BorrowedFd<'_>) -> io::Result<u32> {
    let path = CString::new(program.as_os_str().as_bytes())?;
    let arguments = [CString::new("cas-shim")?, CString::new(slot.as_os_str().as_bytes())?];
    let argv = [arguments[0].as_ptr().cast_mut(), arguments[1].as_ptr().cast_mut(), ptr::null_mut()];
    let envp = [ptr::null_mut()];
    let actions = Actions::new(connection.as_raw_fd())?;
    let attributes = Attributes::new()?;
    let mut pid = 0;
    // SAFETY: all strings and both arrays live until the call returns, the arrays end with a null pointer, and both objects
    // were initialised.
    let result = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            path.as_ptr(),
            &raw const actions.0,
            &raw const attributes.0,
            argv.as_ptr(),
            envp.as_ptr(),
        )
    };
    check(result)?;
    Ok(pid.cast_unsigned())
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(result)) }
}

struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    #[expect(unsafe_code, reason = "a C object")]
    fn new(connection: RawFd) -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: the object is ours, and is taken for initialised only after the call that does it has succeeded.
        let mut actions = unsafe {
            check(libc::posix_spawn_file_actions_init(actions.as_mut_ptr()))?;
            Self(actions.assume_init())
        };
        // SAFETY: the object is initialised; the numbers are those of open descriptors, the path is a C string.
        unsafe {
            check(libc::posix_spawn_file_actions_adddup2(&raw mut actions.0, connection, CONNECTION))?;
            for standard in 0..3 {
                let null = c"/dev/null".as_ptr();
                check(libc::posix_spawn_file_actions_addopen(&raw mut actions.0, standard, null, libc::O_RDWR, 0))?;
            }
        }
        Ok(actions)
    }
}

impl Drop for Actions {
    #[expect(unsafe_code, reason = "a C object")]
    fn drop(&mut self) {
        // SAFETY: it was initialised, and is not used again.
        unsafe {
            libc::posix_spawn_file_actions_destroy(&raw mut self.0);
        }
    }
}

struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    #[expect(unsafe_code, reason = "a C object")]
    fn new() -> io::Result<Self> {
        let mut attributes = MaybeUninit::uninit();
        let mut signals = MaybeUninit::uninit();
        // SAFETY: both objects are ours, and are used after the calls that initialise them have succeeded; sigemptyset and
        // sigfillset cannot fail on a set of ours.
        unsafe {
            check(libc::posix_spawnattr_init(attributes.as_mut_ptr()))?;
            let mut attributes = Self(attributes.assume_init());
            libc::sigemptyset(signals.as_mut_ptr());
            check(libc::posix_spawnattr_setsigmask(&raw mut attributes.0, signals.as_ptr()))?;
            libc::sigfillset(signals.as_mut_ptr());
            check(libc::posix_spawnattr_setsigdefault(&raw mut attributes.0, signals.as_ptr()))?;
            let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
            check(libc::posix_spawnattr_setflags(&raw mut attributes.0, flags as libc::c_short))?;
            Ok(attributes)
        }
    }
}

impl Drop for Attributes {
    #[expect(unsafe_code, reason = "a C object")]
    fn drop(&mut self) {
        // SAFETY: it was initialised, and is not used again.
        unsafe {
            libc::posix_spawnattr_destroy(&raw mut self.0);
        }
    }
}
