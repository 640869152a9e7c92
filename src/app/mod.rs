//! The binary behind `main`: wires rooms together. Promise: an exit code is always set and the terminal always restored.
//! Never decides about services.

mod daemon;
mod exec;
mod keeper;
mod left;
mod notify;
mod outside;
mod patterns;
mod selfview;
mod systemd;
mod trace;
mod veil;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::ExitCode,
};

use self::outside::{Real, Setup};
use crate::{
    cli::{
        self,
        args::{Cli, Verb},
        context::{Context, Terminals, Zone},
    },
    config::paths::Paths,
    model::occasion::PROFILE_VARIABLES,
    tui,
    world::limits,
};

/// Most threads of the runtime; the console or the follower has the main thread besides.
const MOST_WORKERS: usize = 4;

/// Runs `cas` with the process's own arguments, streams and environment.
#[must_use]
pub fn run() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(code) = cli::demo_service(arguments.clone()) {
        return code;
    }
    let _patience = tui::Patience;
    // Never locked for long: a panic in any thread must be able to restore the terminal.
    let (mut stdout, stderr) = (io::stdout(), io::stderr());
    let here = std::env::current_dir();
    let is_lost = here.is_err();
    let mut paths = Paths::from_env();
    let mut ctx = Context {
        terminals: Terminals {
            stdin: io::stdin().is_terminal(),
            stdout: stdout.is_terminal(),
            stderr: stderr.is_terminal(),
        },
        width: crossterm::terminal::size().ok().map(|(columns, _)| columns).filter(|_| io::stdout().is_terminal()),
        stdin: &mut io::stdin().lock(),
        stdout: &mut stdout,
        stderr: &mut io::LineWriter::new(stderr),
        cwd: here.unwrap_or_else(|_| Path::new("/").to_owned()),
        env: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        zone: Zone::Local,
        exe: own_program(),
        state_dir: paths.state.clone(),
        no_color: false,
    };
    let cli = match cli::parse(arguments, &mut ctx) {
        Ok(cli) => cli,
        Err(outcome) => return outcome.into(),
    };
    // Nothing is read or written in a place that nobody named.
    if is_lost && !cli.directory.as_ref().is_some_and(|directory| directory.is_absolute()) {
        ctx.say("error: the current directory does not exist any more\nhint: go to one that does, or name one with -C");
        return ExitCode::FAILURE;
    }
    if cli.system {
        paths = system_paths();
        ctx.state_dir.clone_from(&paths.state);
    }
    let _trace = trace::begin(&paths.trace());
    // The first to install it wins; there is no other.
    let _already = rustls::crypto::ring::default_provider().install_default();
    limits::share_one_arena();
    // Before the runtime and its threads; services get back what was there.
    let open_files = limits::raise_open_files();
    let workers = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, MOST_WORKERS);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            ctx.say(&format!("error: cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        name_profiles(&cli, &mut ctx.env);
        let setup = Setup { environment: ctx.env.clone(), exe: ctx.exe.clone(), open_files, is_system: cli.system };
        let outside = Real::new(paths, setup);
        let outcome = Box::pin(cli::run(cli, &mut ctx, &outside)).await;
        outside.close().await;
        outcome
    });
    runtime.shutdown_background();
    outcome.into()
}

/// The profiles that the line names stand in the environment: whoever reads the project's file finds them there, now and later.
fn name_profiles(cli: &Cli, environment: &mut BTreeMap<String, String>) {
    let Some(Verb::Up(up)) = &cli.verb else { return };
    if up.profiles.is_empty() {
        return;
    }
    let [_, own] = PROFILE_VARIABLES;
    let before = environment.get(own).filter(|names| !names.is_empty()).cloned();
    let names: Vec<String> = before.into_iter().chain(up.profiles.iter().cloned()).collect();
    environment.insert(own.to_owned(), names.join(","));
}

/// This program, also where another has taken its place on disk since it was started: the kernel then says `(deleted)` behind its name.
fn own_program() -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("cas"));
    match exe.to_str().and_then(|path| path.strip_suffix(" (deleted)")) {
        Some(path) => PathBuf::from(path),
        None => exe,
    }
}

/// Where the machine's daemon keeps its things, as the file system hierarchy standard has it.
fn system_paths() -> Paths {
    Paths {
        state: PathBuf::from("/var/lib/cas"),
        runtime: PathBuf::from("/run/cas"),
        config: PathBuf::from("/etc/cas"),
        cache: PathBuf::from("/var/cache/cas"),
    }
}
