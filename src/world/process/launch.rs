//! From a probe's command to a child. Never panics, never fails without a sentence that says what to mend.

use std::{
    ffi::OsString,
    fs, io,
    os::{
        fd::{OwnedFd, RawFd},
        unix::fs::PermissionsExt,
    },
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use rustix::io::Errno;
use tokio::process::{Child, Command};

use super::session;
use crate::{
    model::{service::BaseEnvironment, text::plain},
    world::{
        Shared,
        tree::{TREE_VARIABLE, TreeId},
    },
};

/// Everything that a child is made from.
pub(in crate::world) struct Plan {
    /// Program and arguments.
    pub(in crate::world) argv: Vec<String>,
    /// Where it runs.
    pub(in crate::world) directory: PathBuf,
    /// What it begins with; none: cas's own environment.
    pub(in crate::world) base: Option<BaseEnvironment>,
    /// What is added to or overrides that.
    pub(in crate::world) environment: Vec<(OsString, OsString)>,
    /// Its descriptor 1.
    pub(in crate::world) stdout: OwnedFd,
    /// Its descriptor 2.
    pub(in crate::world) stderr: OwnedFd,
}

/// Makes the child as main process of `tree`.
///
/// # Errors
/// A sentence that names what is missing or not permitted.
pub(in crate::world) async fn launch(shared: &Arc<Shared>, tree: TreeId, plan: Plan) -> Result<(Child, u32), String> {
    // Fork and exec block for a moment: a few at a time, and not where the engine runs.
    let turn = shared.launches.clone().acquire_owned().await.map_err(|_| "cas is ending".to_owned())?;
    let shared = Arc::clone(shared);
    let made = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        shared.forest.root(tree, || spawn(&shared, tree, plan))
    });
    made.await.map_or_else(|_| Err("cas is ending".to_owned()), |made| made.map(|(pid, child)| (child, pid)))
}

fn spawn(shared: &Shared, tree: TreeId, plan: Plan) -> Result<(u32, Child), String> {
    let Some((program, arguments)) = plan.argv.split_first() else { return Err("the command is empty".to_owned()) };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&plan.directory).env_clear();
    match &plan.base {
        Some(base) => command.envs(base.0.iter()),
        None => command.envs(shared.settings.environment.iter().map(|(name, value)| (name, value))),
    };
    command
        .envs(plan.environment.iter().map(|(name, value)| (name, value)))
        .env(TREE_VARIABLE, shared.forest.mark_of(tree))
        .stdin(Stdio::null())
        .stdout(plan.stdout)
        .stderr(plan.stderr)
        .kill_on_drop(false);
    session::lead_session(&mut command, shared.inherited.clone(), shared.settings.open_files);
    let spawned = command.spawn();
    let path = command.as_std().get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value);
    let child = spawned.map_err(|error| explain(&error, program, &plan.directory, path.unwrap_or_default()))?;
    child.id().map(|pid| (pid, child)).ok_or_else(|| "it ended before it could be seen".to_owned())
}

/// Why a program could not be executed. The kernel says only a number; the rest is found by looking.
pub(in crate::world) fn explain(error: &io::Error, program: &str, directory: &Path, path: &std::ffi::OsStr) -> String {
    let shown = plain(program);
    if let Some(why) = explain_directory(directory) {
        return why;
    }
    if error.kind() == io::ErrorKind::InvalidInput {
        return "the command or its environment contains a NUL character".to_owned();
    }
    let errno = Errno::from_io_error(error);
    match errno {
        Some(Errno::TOOBIG) => return format!("arguments and environment of {shown} are too long for this machine"),
        Some(Errno::AGAIN) => return "this machine allows no more processes (see `ulimit -u` and pids.max)".to_owned(),
        Some(Errno::NOMEM) => return "this machine has no memory left for another process".to_owned(),
        Some(Errno::MFILE | Errno::NFILE) => return "too many open files (see `ulimit -n`)".to_owned(),
        _ => {}
    }
    let found = if program.contains('/') { Some(directory.join(program)) } else { find_in(path, directory, program) };
    let Some(file) = found.filter(|file| file.exists()) else {
        return if program.contains('/') {
            format!("no such program: {shown} (looked in {})", directory.display())
        } else if path.is_empty() {
            format!("no such program: {shown} (PATH is not set)")
        } else {
            format!("no such program: {shown} (looked in PATH: {})", plain(&path.to_string_lossy()))
        };
    };
    let shown = plain(&file.to_string_lossy()).into_owned();
    if file.is_dir() {
        return format!("{shown} is a directory, not a program");
    }
    match errno {
        Some(Errno::ACCESS) if !is_executable(&file) => {
            format!("{shown} is not executable (chmod +x would make it so)")
        }
        Some(Errno::ACCESS | Errno::PERM) => format!("not permitted to execute {shown}"),
        Some(Errno::NOEXEC) => format!("exec format error: {shown} is no program for this machine, nor a script"),
        Some(Errno::NOENT) => explain_interpreter(&file, &shown),
        _ => format!("{shown} could not be executed: {error}"),
    }
}

fn explain_directory(directory: &Path) -> Option<String> {
    let shown = plain(&directory.to_string_lossy()).into_owned();
    match fs::metadata(directory) {
        Ok(metadata) if !metadata.is_dir() => Some(format!("the working directory {shown} is not a directory")),
        Ok(_) if rustix::fs::access(directory, rustix::fs::Access::EXEC_OK).is_err() => {
            Some(format!("not permitted to enter the working directory {shown}"))
        }
        Ok(_) => None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(format!("no such working directory: {shown}")),
        Err(error) => Some(format!("the working directory {shown} cannot be entered: {error}")),
    }
}

fn explain_interpreter(file: &Path, shown: &str) -> String {
    let head = fs::read(file).unwrap_or_default();
    let line = head.strip_prefix(b"#!").and_then(|rest| rest.split(|byte| *byte == b'\n').next());
    line.map_or_else(
        || format!("{shown} needs a loader that this machine does not have"),
        |line| format!("the interpreter of {shown} does not exist: {}", plain(String::from_utf8_lossy(line).trim())),
    )
}

fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}

/// As execvp(3) would find it; a file that may not be executed counts where no other is found.
pub(in crate::world) fn find_in(path: &std::ffi::OsStr, directory: &Path, program: &str) -> Option<PathBuf> {
    let candidates = std::env::split_paths(path).map(|place| directory.join(place).join(program));
    let mut found: Vec<PathBuf> = candidates.filter(|file| file.is_file()).collect();
    found.sort_by_key(|file| !is_executable(file));
    found.into_iter().next()
}

/// Descriptors that we were started with, beyond the standard three, and that would leak into children.
pub(in crate::world) fn inherited_descriptors() -> Vec<RawFd> {
    const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    let numbers = crate::world::tree::stat::numbers_in(Path::new("/proc/self/fd"));
    let leaks = |number: &u32| {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).map(str::trim);
        flags.and_then(|flags| u32::from_str_radix(flags, 8).ok()).is_some_and(|flags| flags & CLOSE_ON_EXEC == 0)
    };
    numbers.into_iter().filter(|number| *number > 2).filter(leaks).map(u32::cast_signed).collect()
}
