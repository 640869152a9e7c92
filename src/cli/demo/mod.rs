//! The demo: a project of small services that live in this binary. Never harms the machine: little memory, little CPU,
//! loopback only, and the same again with the same seed.

mod cache;
mod chatty;
mod crasher;
mod leak;
pub mod service;
mod slow;
mod stage;
mod web;
mod worker;

use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};

/// The project, with places to fill in.
const TEMPLATE: &str = include_str!("../../../assets/demo/cas.yaml");
/// How the project file is called.
pub const FILE: &str = "cas.yaml";
/// How often the crasher has run so far.
const RUNS: &str = "payments.runs";

/// One service of the demo.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct DemoService {
    /// Which
    pub kind: Kind,
    /// The same seed, the same service
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Where it listens
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Where the cache listens
    #[arg(long, default_value_t = 16379)]
    pub cache: u16,
    /// A file that counts runs
    #[arg(long)]
    pub runs: Option<PathBuf>,
}

/// The services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A web API.
    Api,
    /// Takes jobs.
    Worker,
    /// Keeps values.
    Cache,
    /// Comes up slowly.
    Slow,
    /// Leaks memory.
    Leak,
    /// Crashes now and then.
    Crasher,
    /// Logs hard.
    Chatty,
    /// Asks the cache whether it is well, and ends.
    Ping,
}

/// Where the demo's servers listen, on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// The web API.
    pub api: u16,
    /// The cache.
    pub cache: u16,
}

impl Ports {
    /// The usual ones where they are free, so that pictures repeat; else any that are.
    #[must_use]
    pub fn free() -> Self {
        let (api, cache) = (free(18_080), free(16_379));
        Self {
            api: api.as_ref().map_or(18_080, |(port, _)| *port),
            cache: cache.as_ref().map_or(16_379, |(port, _)| *port),
        }
    }
}

/// A free port and the listener that holds it, so that it is not found twice.
fn free(usual: u16) -> Option<(u16, TcpListener)> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, usual)).or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let listener = listener.ok()?;
    let port = listener.local_addr().ok()?.port();
    Some((port, listener))
}

/// Writes the project to `dir` and returns its file. `bin` is the binary in which the services live.
///
/// # Errors
/// The directory cannot be made or written.
pub fn prepare(dir: &Path, bin: &Path, seed: u64, ports: Ports) -> io::Result<PathBuf> {
    fs::create_dir_all(dir)?;
    let runs = dir.join(RUNS);
    match fs::remove_file(&runs) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let text = [
        ("CAS_DEMO_BIN", bin.to_string_lossy().into_owned()),
        ("CAS_DEMO_SEED", seed.to_string()),
        ("CAS_DEMO_API_PORT", ports.api.to_string()),
        ("CAS_DEMO_CACHE_PORT", ports.cache.to_string()),
        ("CAS_DEMO_RUNS", runs.to_string_lossy().into_owned()),
    ]
    .iter()
    .fold(TEMPLATE.to_owned(), |text, (name, value)| filled(&text, name, value));
    let file = dir.join(FILE);
    fs::write(&file, text)?;
    Ok(file)
}

/// `text` with every `${name:-…}` replaced. All stand within double quotes; a dollar sign is doubled, as interpolation wants.
fn filled(text: &str, name: &str, value: &str) -> String {
    let quoted = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$");
    let opening = format!("${{{name}:-");
    let mut pieces = text.split(&opening);
    let mut whole = pieces.next().unwrap_or("").to_owned();
    for piece in pieces {
        whole.push_str(&quoted);
        whole.push_str(piece.split_once('}').map_or("", |(_, rest)| rest));
    }
    whole
}
