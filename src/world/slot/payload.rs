//! What a service is executed from, and why it could not be. Never fails without a sentence that says what to mend.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io::{self, Write},
    os::{
        fd::OwnedFd,
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
};

use rustix::fs::MemfdFlags;

use super::cage::Cage;
use crate::{
    model::{
        account::Account,
        attributes::{Attributes, Resource},
        ids::RunId,
        secret::SecretValues,
        service::ServiceSpec,
    },
    shim_format::{PAYLOAD, attribute, stage},
    world::process::{
        environment_of,
        launch::{explain, find_in},
    },
};

/// What runs a script that names no interpreter (execvp(3)).
const SHELL: &str = "/bin/sh";

/// Everything that a run is executed from, ready to be handed over.
#[derive(Clone)]
pub(super) struct Plan {
    /// As it was written.
    argv: Vec<String>,
    /// What is executed: none where `PATH` has no such program.
    program: Option<PathBuf>,
    directory: PathBuf,
    environment: BTreeMap<OsString, OsString>,
    attributes: Attributes,
    account: Option<Account>,
}

impl std::fmt::Debug for Plan {
    /// The program: the rest may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan").field("program", &self.program).finish_non_exhaustive()
    }
}

/// Where a program was found the last time: the service's restarts need not look again.
#[derive(Debug, Default)]
pub(super) struct Known(Option<Found>);

#[derive(Debug)]
struct Found {
    program: String,
    path: OsString,
    directory: PathBuf,
    file: PathBuf,
}

impl Plan {
    /// Resolves what `spec` says, with `secrets` among its variables. `base` is the environment below that of the service.
    ///
    /// # Errors
    /// A sentence, where it cannot even be tried.
    pub(super) fn new(
        run: RunId,
        (spec, secrets): (&ServiceSpec, &SecretValues),
        base: &[(OsString, OsString)],
        mark: (&str, String),
        known: &mut Known,
    ) -> Result<Self, String> {
        let argv = spec.command.argv();
        let Some(program) = argv.first() else { return Err("the command is empty".to_owned()) };
        let mut environment: BTreeMap<OsString, OsString> = match &spec.base_environment {
            Some(base) => base.0.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            None => base.iter().cloned().collect(),
        };
        let account = spec.attributes.user.as_deref().map(account).transpose()?;
        if let Some(account) = &account {
            let own = [("HOME", &account.home), ("USER", &account.name), ("LOGNAME", &account.name)];
            environment.extend(own.map(|(name, value)| (name.into(), value.into())));
        }
        environment.extend(environment_of(run, spec, secrets));
        environment.insert(mark.0.into(), mark.1.into());
        let path = environment.get(OsStr::new("PATH")).cloned().unwrap_or_default();
        let program = known.find(program, path, &spec.working_dir);
        let attributes = spec.attributes.clone();
        Ok(Self { argv, program, directory: spec.working_dir.clone(), environment, attributes, account })
    }

    /// As a shell would run it that was given the program's file: for a script without interpreter.
    pub(super) fn through_shell(&self) -> Option<Self> {
        let program = self.program.as_ref()?;
        let head = std::fs::read(program).unwrap_or_default();
        let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        if self.argv.first().is_some_and(|first| first == SHELL) || line.contains(&0) {
            return None;
        }
        let file = program.to_str()?.to_owned();
        let argv = [SHELL.to_owned(), file].into_iter().chain(self.argv.iter().skip(1).cloned()).collect();
        Some(Self { argv, program: Some(SHELL.into()), ..self.clone() })
    }

    /// In the layout of [`PAYLOAD`], in memory of its own.
    ///
    /// # Errors
    /// A sentence.
    pub(super) fn write(&self, cage: Option<&Cage>) -> Result<OwnedFd, String> {
        let Some(program) = &self.program else { return Err(self.explain(&raw(libc::ENOENT))) };
        let joins = cage.map(Cage::procs_files).unwrap_or_default();
        let kills = cage.and_then(Cage::kill_file);
        let attributes = self.attributes();
        let last = usize::from(kills.is_some()) | attributes.len() << 8;
        let counts = [self.argv.len(), self.environment.len(), joins.len(), last];
        let mut bytes = Vec::with_capacity(PAYLOAD + 4096);
        for count in counts {
            bytes.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
        }
        let settings = self.environment.iter().map(|(name, value)| {
            let mut setting = name.clone().into_vec();
            setting.push(b'=');
            setting.extend_from_slice(value.as_bytes());
            setting
        });
        let paths = joins.iter().chain(&kills).map(|path| path.as_os_str().as_bytes().to_vec());
        let strings = [program.as_os_str(), self.directory.as_os_str()].map(|path| path.as_bytes().to_vec());
        let arguments = self.argv.iter().map(|argument| argument.clone().into_bytes());
        for string in strings.into_iter().chain(arguments).chain(settings).chain(paths).chain(attributes) {
            if string.contains(&0) {
                return Err(self.explain(&io::ErrorKind::InvalidInput.into()));
            }
            bytes.extend_from_slice(&string);
            bytes.push(0);
        }
        in_memory(&bytes).map_err(|error| format!("no memory for its arguments: {error}"))
    }

    /// Why the shim could not execute it.
    pub(super) fn explain_failure(&self, errno: i32, at: u8) -> String {
        let error = raw(errno);
        match at {
            stage::PAYLOAD if !self.attributes.is_default() => format!(
                "its shim could not read what to execute: {error}; one of an earlier cas knows no user, umask, nice and ulimits: stop the service and start it again"
            ),
            stage::LIMITS => format!(
                "its ulimits, nice or umask could not be set: {error}; only root may raise a hard limit or go below nice 0"
            ),
            stage::USER => format!(
                "it could not become user {}: {error}; only root may run services as another user",
                self.attributes.user.as_deref().unwrap_or_default()
            ),
            stage::PAYLOAD => format!("its shim could not read what to execute: {error}"),
            stage::STATE => format!("its state could not be written beside its logs: {error}"),
            stage::CGROUP => format!("its cgroup could not be joined: {error}"),
            stage::DESCRIPTORS => format!("its output or terminal could not be set up: {error}"),
            // fork, chdir and execve.
            _ => self.explain(&error),
        }
    }

    /// In the letters of [`attribute`].
    fn attributes(&self) -> Vec<Vec<u8>> {
        let said = |letter: u8, rest: String| [vec![letter], rest.into_bytes()].concat();
        let Attributes { user: _, umask, nice, ulimits } = &self.attributes;
        let mut all = Vec::new();
        if let Some(account) = &self.account {
            all.push(said(attribute::USER, account.uid.to_string()));
            all.push(said(attribute::GROUP, account.gid.to_string()));
            let further = account.groups.iter().take(attribute::MOST_GROUPS);
            all.extend(further.map(|group| said(attribute::FURTHER, group.to_string())));
        }
        all.extend(umask.map(|mask| said(attribute::MASK, mask.to_string())));
        all.extend(nice.map(|nice| said(attribute::NICE, (nice + 20).to_string())));
        for (resource, limit) in ulimits {
            let place = Resource::ALL.iter().position(|known| known == resource).unwrap_or_default();
            let bound = |bound: Option<u64>| bound.map_or_else(String::new, |bound| bound.to_string());
            all.push(said(attribute::LIMIT, format!("{place}:{}:{}", bound(limit.soft), bound(limit.hard))));
        }
        all
    }

    fn explain(&self, error: &io::Error) -> String {
        let path = self.environment.get(OsStr::new("PATH")).map(OsString::as_os_str).unwrap_or_default();
        explain(error, self.argv.first().map_or("", String::as_str), &self.directory, path)
    }
}

impl Known {
    /// What execvp(3) would execute: absolute, below the directory where it is not.
    fn find(&mut self, program: &str, path: OsString, directory: &Path) -> Option<PathBuf> {
        if program.contains('/') {
            return Some(directory.join(program));
        }
        if let Some(found) = &self.0
            && found.program == program
            && found.path == path
            && found.directory == directory
        {
            return Some(found.file.clone());
        }
        let file = find_in(&path, directory, program)?;
        self.0 = Some(Found { program: program.to_owned(), path, directory: directory.to_owned(), file: file.clone() });
        Some(file)
    }

    /// It was not there any more.
    pub(super) fn forget(&mut self) -> bool {
        self.0.take().is_some()
    }
}

/// Who is meant, by the files of this machine as they are now.
fn account(user: &str) -> Result<Account, String> {
    let text = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    Account::find(user, &text("/etc/passwd"), &text("/etc/group"))
}

fn raw(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

fn in_memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    let memory = rustix::fs::memfd_create("cas-run", MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(memory);
    file.write_all(bytes)?;
    Ok(file.into())
}
