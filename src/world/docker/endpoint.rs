//! Where the engine of containers listens. Promise: found as `docker` itself finds it, then where rootless Docker and Podman listen. Never: connects.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::Read,
    path::{Path, PathBuf},
};

use crate::model::text::plain;

/// A file of Docker's configuration is never longer.
const CONFIG_BYTES: u64 = 1 << 20;
/// So many contexts are looked through.
const MOST_CONTEXTS: usize = 1000;
/// What counts, of the environment.
const VARIABLES: [&str; 8] = [
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
    "HOME",
    "PATH",
    "XDG_RUNTIME_DIR",
];
/// Ports of an address that names none, without TLS and with it.
const PORTS: (u16, u16) = (2375, 2376);

/// The authority that vouches for the engine, our certificate, and its key.
pub(super) const FILES: [&str; 3] = ["ca.pem", "cert.pem", "key.pem"];

/// What the place is looked up in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lookup {
    /// The variables that count: `DOCKER_HOST`, `DOCKER_CONTEXT`, `DOCKER_CONFIG`, `DOCKER_CERT_PATH`, `DOCKER_TLS_VERIFY`, `HOME`, `XDG_RUNTIME_DIR`;
    /// and `PATH`, where `ssh` and the helpers that keep credentials are looked for (without it: in our own).
    pub variables: BTreeMap<String, String>,
    /// Sockets where one listens that nobody names, first one first; those below `XDG_RUNTIME_DIR` come after the first.
    pub sockets: Vec<PathBuf>,
}

impl Lookup {
    /// Our own environment, and the sockets of Docker and Podman.
    #[must_use]
    pub fn of_environment() -> Self {
        let variables =
            VARIABLES.into_iter().filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?))).collect();
        Self { variables, sockets: vec!["/var/run/docker.sock".into(), "/run/podman/podman.sock".into()] }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Docker's directory of configuration.
    #[must_use]
    pub fn config_directory(&self) -> Option<PathBuf> {
        let home = || self.get("HOME").map(|home| Path::new(home).join(".docker"));
        self.get("DOCKER_CONFIG").map(PathBuf::from).or_else(home)
    }
}

/// Where it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A socket of this machine.
    Unix(PathBuf),
    /// `host:port`, unsecured.
    Tcp(String),
    /// `host:port`, and the directory of `ca.pem`, `cert.pem` and `key.pem`.
    Tls(String, PathBuf),
    /// `user@host`, or with a port, or with the path of the socket there.
    Ssh(String),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", plain(&path.display().to_string())),
            Self::Tcp(address) | Self::Tls(address, _) => write!(f, "tcp://{}", plain(address)),
            Self::Ssh(address) => write!(f, "ssh://{}", plain(address)),
        }
    }
}

/// The endpoint: `DOCKER_HOST`, else the context that `DOCKER_CONTEXT` or Docker's configuration names, else the first socket that is there.
///
/// # Errors
/// A clause that says what is missing or malformed.
pub fn find(lookup: &Lookup) -> Result<Endpoint, String> {
    if let Some(host) = lookup.get("DOCKER_HOST") {
        let certs = match lookup.get("DOCKER_TLS_VERIFY") {
            // Whoever asks for TLS is never served without it.
            Some(_) => {
                Some(lookup.get("DOCKER_CERT_PATH").map(PathBuf::from).or_else(|| lookup.config_directory()).ok_or(
                    "DOCKER_TLS_VERIFY is set, and neither DOCKER_CERT_PATH nor HOME says where certificates are",
                )?)
            }
            None => None,
        };
        return parse(host, certs).map_err(|why| format!("DOCKER_HOST {why}"));
    }
    let directory = lookup.config_directory();
    let named = lookup.get("DOCKER_CONTEXT").map(str::to_owned);
    let context = named.or_else(|| directory.as_deref().and_then(current_context));
    if let (Some(name), Some(directory)) = (context.filter(|name| name != "default"), directory) {
        return of_context(&directory, &name);
    }
    let mut sockets = lookup.sockets.clone();
    if let Some(runtime) = lookup.get("XDG_RUNTIME_DIR") {
        let below = ["docker.sock", "podman/podman.sock"].map(|name| Path::new(runtime).join(name));
        let at = sockets.len().min(1);
        sockets.splice(at..at, below);
    }
    let Some(first) = sockets.first().cloned() else { return Err("no socket is known".to_owned()) };
    sockets.into_iter().find(|socket| socket.exists()).map(Endpoint::Unix).ok_or_else(|| {
        format!("there is no socket {}, and DOCKER_HOST names no other", plain(&first.display().to_string()))
    })
}

/// From the form that `DOCKER_HOST` has.
fn parse(host: &str, certs: Option<PathBuf>) -> Result<Endpoint, String> {
    let Some((scheme, rest)) = host.split_once("://") else {
        return Err(format!("is \"{}\", which begins with no unix://, tcp:// or ssh://", plain(host)));
    };
    let address = rest.trim_end_matches('/').to_owned();
    match (scheme, certs) {
        ("unix", _) => Ok(Endpoint::Unix(PathBuf::from(rest))),
        ("ssh", _) => Ok(Endpoint::Ssh(address)),
        ("https" | "tcp" | "http", Some(certs)) => Ok(Endpoint::Tls(whole(&address, PORTS.1), certs)),
        ("tcp" | "http", None) => Ok(Endpoint::Tcp(whole(&address, PORTS.0))),
        _ => Err(format!("is \"{}\", and {}:// is not spoken here", plain(host), plain(scheme))),
    }
}

/// With a host and a port, as `docker` adds them.
fn whole(address: &str, port: u16) -> String {
    let host_ends = address.rfind(']').map_or(0, |at| at + 1);
    match address[host_ends..].rfind(':') {
        Some(0) if host_ends == 0 => format!("localhost{address}"),
        Some(_) => address.to_owned(),
        None => format!("{address}:{port}"),
    }
}

fn json(path: &Path) -> Option<serde_json::Value> {
    let mut text = String::new();
    fs::File::open(path).ok()?.take(CONFIG_BYTES).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn current_context(directory: &Path) -> Option<String> {
    let config = json(&directory.join("config.json"))?;
    config.get("currentContext")?.as_str().filter(|name| !name.is_empty()).map(str::to_owned)
}

/// A context is kept in a directory whose name is a hash: the name inside decides.
fn of_context(directory: &Path, name: &str) -> Result<Endpoint, String> {
    let shown = plain(name).into_owned();
    let all = directory.join("contexts/meta");
    let entries = fs::read_dir(&all).map_err(|error| format!("Docker's context {shown} is not there: {error}"))?;
    for entry in entries.flatten().take(MOST_CONTEXTS) {
        let Some(meta) = json(&entry.path().join("meta.json")) else { continue };
        if meta.get("Name").and_then(serde_json::Value::as_str) != Some(name) {
            continue;
        }
        let host = meta.pointer("/Endpoints/docker/Host").and_then(serde_json::Value::as_str).unwrap_or_default();
        let certs = directory.join("contexts/tls").join(entry.file_name()).join("docker");
        let certs = FILES.iter().any(|file| certs.join(file).exists()).then_some(certs);
        let skips = meta.pointer("/Endpoints/docker/SkipTLSVerify").and_then(serde_json::Value::as_bool);
        if skips == Some(true) && host.starts_with("tcp://") {
            return Err(format!(
                "Docker's context {shown} asks for TLS that takes any certificate, which is not done here: \
                 docker context update {shown} --docker host={},ca=FILE,cert=FILE,key=FILE",
                plain(host)
            ));
        }
        return parse(host, certs).map_err(|why| format!("the host of Docker's context {shown} {why}"));
    }
    Err(format!("Docker's context {shown} is not there (docker context ls lists them)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(variables: &[(&str, &str)]) -> Lookup {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Lookup { variables, sockets: Vec::new() }
    }

    #[test]
    fn the_host_of_the_environment_wins() {
        let tls = [("DOCKER_HOST", "tcp://h:2376"), ("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", "/certs")];
        for (variables, endpoint) in [
            (&[("DOCKER_HOST", "unix:///run/d.sock")][..], Endpoint::Unix("/run/d.sock".into())),
            (&[("DOCKER_HOST", "tcp://h:2375")], Endpoint::Tcp("h:2375".to_owned())),
            (&[("DOCKER_HOST", "ssh://me@h:22/")], Endpoint::Ssh("me@h:22".to_owned())),
            (&tls, Endpoint::Tls("h:2376".to_owned(), "/certs".into())),
            (&[("DOCKER_HOST", "tcp://h")], Endpoint::Tcp("h:2375".to_owned())),
            (&[("DOCKER_HOST", "tcp://:99")], Endpoint::Tcp("localhost:99".to_owned())),
            (&[("DOCKER_HOST", "tcp://[::1]")], Endpoint::Tcp("[::1]:2375".to_owned())),
            (&[("DOCKER_HOST", "tcp://[::1]:99")], Endpoint::Tcp("[::1]:99".to_owned())),
        ] {
            assert_eq!(find(&lookup(variables)), Ok(endpoint));
        }
        for host in ["h:2375", "npipe:////./pipe/docker"] {
            let error = find(&lookup(&[("DOCKER_HOST", host)])).unwrap_err();
            assert!(error.contains(host), "{error}");
        }
    }

    #[test]
    fn whoever_asks_for_tls_is_not_served_without_it() {
        let error = find(&lookup(&[("DOCKER_HOST", "tcp://h"), ("DOCKER_TLS_VERIFY", "1")])).unwrap_err();
        assert!(error.contains("DOCKER_CERT_PATH"), "{error}");
        let home = [("DOCKER_HOST", "tcp://h"), ("DOCKER_TLS_VERIFY", "1"), ("HOME", "/me")];
        assert_eq!(find(&lookup(&home)), Ok(Endpoint::Tls("h:2376".to_owned(), "/me/.docker".into())));
    }

    #[test]
    fn a_context_is_known_by_the_name_inside() {
        let directory = std::env::temp_dir().join(format!("cas-contexts-{}", std::process::id()));
        let meta = directory.join("contexts/meta/0123");
        fs::create_dir_all(&meta).unwrap();
        fs::write(directory.join("config.json"), r#"{"currentContext":"far"}"#).unwrap();
        let text = r#"{"Name":"far","Endpoints":{"docker":{"Host":"ssh://me@far"}}}"#;
        fs::write(meta.join("meta.json"), text).unwrap();
        let config = directory.display().to_string();
        assert_eq!(find(&lookup(&[("DOCKER_CONFIG", &config)])), Ok(Endpoint::Ssh("me@far".to_owned())));
        let error = find(&lookup(&[("DOCKER_CONFIG", &config), ("DOCKER_CONTEXT", "near")])).unwrap_err();
        assert!(error.contains("near"), "{error}");
        fs::remove_dir_all(&directory).unwrap();
    }
}
