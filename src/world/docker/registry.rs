//! Credentials of registries, as `docker login` left them: in Docker's configuration, or with a helper. Promise: where they cannot be had, an image that anybody may
//! fetch is fetched all the same, and one that is refused says why and what to do. Never: a secret in an error or a log.

use std::{fs, io::Read, path::Path, process::Stdio, time::Duration};

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bollard::{BollardRequest, auth::DockerCredentials};
use hyper::header::HeaderValue;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
};

use super::{call::quoted, endpoint::Lookup};

/// Docker's configuration is never longer.
const CONFIG_BYTES: u64 = 1 << 20;
/// A helper answers within this time: some ask a keyring, some a cloud.
const HELPER_WITHIN: Duration = Duration::from_secs(20);
/// A helper says no more than this.
const HELPER_BYTES: u64 = 64 * 1024;
/// Under which Docker keeps what is for Docker Hub.
const HUB: &str = "https://index.docker.io/v1/";
/// The name that a helper gives where the secret is a token.
const TOKEN: &str = "<token>";
/// Helpers say so, and fail, where there is nothing; that is no fault.
const NOT_FOUND: &str = "credentials not found";
/// The header that credentials go in.
const HEADER: &str = "x-registry-auth";
/// Words of an engine or a registry that does not let us in.
const REFUSALS: [&str; 4] = ["no basic auth credentials", "unauthorized", "authentication required", "denied"];

/// What is known for the registry of an image.
pub(super) struct Known {
    host: String,
    /// None: nobody has logged in.
    pub(super) credentials: Option<DockerCredentials>,
    obstacle: Option<String>,
}

impl Known {
    /// What to do where the registry refused it for this reason; empty where the reason is another.
    pub(super) fn hint(&self, why: &str) -> String {
        let why = why.to_ascii_lowercase();
        if !REFUSALS.iter().any(|word| why.contains(word)) {
            return String::new();
        }
        let login = match self.host.as_str() {
            HUB => "docker login".to_owned(),
            host => format!("docker login {}", quoted(host)),
        };
        match (&self.obstacle, &self.credentials) {
            (Some(obstacle), _) => format!("; {obstacle} ({login} writes what is needed)"),
            (None, Some(_)) => format!("; what {login} noted is not accepted, or not for this image: {login} again"),
            (None, None) => format!("; no credentials are known for it: {login}"),
        }
    }
}

/// The credentials for the registry of an image.
pub(super) async fn known(lookup: &Lookup, image: &str) -> Known {
    let host = host_of(image).to_owned();
    let (credentials, obstacle) = match credentials(lookup, &host).await {
        Ok(credentials) => (credentials, None),
        Err(why) => (None, Some(why)),
    };
    Known { host, credentials, obstacle }
}

/// Docker reads the header as base64 for URLs; the library writes the other kind, of which an engine understands nothing where two of its signs are in it.
pub(super) fn url_safe(mut request: BollardRequest) -> BollardRequest {
    if let Some(value) = request.headers_mut().get_mut(HEADER) {
        let safe = value.to_str().map(|text| text.replace('+', "-").replace('/', "_"));
        if let Some(mut safe) = safe.ok().and_then(|text| HeaderValue::from_str(&text).ok()) {
            safe.set_sensitive(true);
            *value = safe;
        }
    }
    request
}

/// The registry of an image by its name, as Docker's configuration calls it.
fn host_of(image: &str) -> &str {
    match image.split_once('/') {
        Some(("docker.io" | "index.docker.io" | "registry-1.docker.io", _)) => HUB,
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => HUB,
    }
}

async fn credentials(lookup: &Lookup, host: &str) -> Result<Option<DockerCredentials>, String> {
    let Some(directory) = lookup.config_directory() else { return Ok(None) };
    let file = directory.join("config.json");
    let shown = quoted(&file.display().to_string());
    let reading = tokio::task::spawn_blocking(move || read_file(&file));
    let text = reading
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| format!("{shown} cannot be read: {error}"))?;
    let Some(text) = text else { return Ok(None) };
    // What is wrong with it is told by its place: its text may be a secret.
    let config: Value = serde_json::from_str(&text)
        .map_err(|error| format!("{shown} is no JSON (line {}, column {})", error.line(), error.column()))?;
    let word = |value: &Value| value.as_str().filter(|word| !word.is_empty()).map(str::to_owned);
    let helper = config.get("credHelpers").and_then(|all| word(all.get(host)?));
    if let Some(helper) = helper.or_else(|| config.get("credsStore").and_then(word)) {
        return ask(lookup, &helper, host).await;
    }
    let Some(entry) = config.get("auths").and_then(|auths| entry_of(auths, host)) else { return Ok(None) };
    of_entry(entry, host).map_err(|why| format!("{shown} has no usable auth for {}: {why}", quoted(host)))
}

/// A file of Docker's configuration; none where there is none. **Blocks**.
fn read_file(file: &Path) -> std::io::Result<Option<String>> {
    let mut text = String::new();
    match fs::File::open(file) {
        Ok(open) => open.take(CONFIG_BYTES).read_to_string(&mut text).map(|_| Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The entry of a host, also where its key is written as a URL.
fn entry_of<'c>(auths: &'c Value, host: &str) -> Option<&'c Value> {
    let bare = |key: &str| {
        let key = key.trim_start_matches("https://").trim_start_matches("http://");
        key.split('/').next().unwrap_or_default().to_owned()
    };
    let wanted = bare(host);
    auths
        .get(host)
        .or_else(|| auths.as_object()?.iter().find_map(|(key, entry)| (bare(key) == wanted).then_some(entry)))
}

fn of_entry(entry: &Value, host: &str) -> Result<Option<DockerCredentials>, &'static str> {
    let word = |name: &str| entry.get(name).and_then(Value::as_str).filter(|word| !word.is_empty()).map(str::to_owned);
    let (mut username, mut password) = (word("username"), word("password"));
    if let Some(auth) = word("auth") {
        let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let decoded = GeneralPurpose::new(&STANDARD, config).decode(auth.trim()).map_err(|_| "it is not base64")?;
        let decoded = String::from_utf8(decoded).map_err(|_| "it is not text")?;
        let (user, secret) = decoded.split_once(':').ok_or("it is not user:password")?;
        username = Some(user.to_owned());
        password = Some(secret.trim_end_matches('\0').to_owned());
    }
    let (identitytoken, registrytoken) = (word("identitytoken"), word("registrytoken"));
    if username.is_none() && identitytoken.is_none() && registrytoken.is_none() {
        return Ok(None);
    }
    let password = password.filter(|_| identitytoken.is_none());
    let serveraddress = Some(host.to_owned());
    Ok(Some(DockerCredentials {
        username,
        password,
        serveraddress,
        identitytoken,
        registrytoken,
        ..Default::default()
    }))
}

/// Asks a helper (<https://github.com/docker/docker-credential-helpers#development>).
async fn ask(lookup: &Lookup, helper: &str, host: &str) -> Result<Option<DockerCredentials>, String> {
    let program = format!("docker-credential-{}", quoted(helper));
    if helper.contains('/') {
        return Err(format!("{program} is no name of a helper"));
    }
    let mut command = Command::new(format!("docker-credential-{helper}"));
    if let Some(path) = lookup.get("PATH") {
        command.env("PATH", path);
    }
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("{program} cannot be run: {error}"))?;
    let answer = match tokio::time::timeout(HELPER_WITHIN, converse(&mut child, host)).await {
        Err(_late) => return Err(format!("{program} gives no answer within {} s", HELPER_WITHIN.as_secs())),
        Ok(Err(error)) => return Err(format!("{program} cannot be asked: {error}")),
        Ok(Ok((true, answer))) => answer,
        Ok(Ok((false, answer))) => {
            let said = String::from_utf8_lossy(&answer);
            if said.contains(NOT_FOUND) {
                return Ok(None);
            }
            return Err(match quoted(&said) {
                said if said.is_empty() => format!("{program} fails without a word"),
                said => format!("{program} fails: {said}"),
            });
        }
    };
    let answer: Value =
        serde_json::from_slice(&answer).map_err(|_| format!("the answer of {program} cannot be understood"))?;
    let word = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (username, secret) = (word("Username"), word("Secret"));
    if secret.is_empty() {
        return Ok(None);
    }
    let serveraddress = Some(host.to_owned());
    Ok(Some(if username == TOKEN {
        DockerCredentials { identitytoken: Some(secret), serveraddress, ..Default::default() }
    } else {
        DockerCredentials { username: Some(username), password: Some(secret), serveraddress, ..Default::default() }
    }))
}

/// Whether it succeeded, and what it said.
async fn converse(child: &mut Child, host: &str) -> std::io::Result<(bool, Vec<u8>)> {
    if let Some(mut input) = child.stdin.take() {
        // One that does not read it knows what to say.
        let _unread = input.write_all(host.as_bytes()).await;
    }
    let mut answer = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(HELPER_BYTES).read_to_end(&mut answer).await?;
    }
    Ok((child.wait().await?.success(), answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_in_the_name() {
        for (image, host) in [
            ("busybox", HUB),
            ("me/app:1", HUB),
            ("docker.io/me/app", HUB),
            ("localhost/app", "localhost"),
            ("box:5000/app:1", "box:5000"),
            ("ghcr.io/me/app@sha256:00", "ghcr.io"),
        ] {
            assert_eq!(host_of(image), host, "{image}");
        }
    }

    /// User, password and token.
    fn read(entry: &str) -> Result<Option<[Option<String>; 3]>, &'static str> {
        let found = of_entry(&serde_json::from_str(entry).unwrap(), "box")?;
        Ok(found.map(|found| [found.username, found.password, found.identitytoken]))
    }

    #[test]
    fn entries_are_read_in_all_their_forms() {
        let some = |word: &str| Some(word.to_owned());
        // me:a:b
        assert_eq!(read(r#"{"auth":"bWU6YTpi"}"#), Ok(Some([some("me"), some("a:b"), None])));
        assert_eq!(read(r#"{"username":"me","password":"a"}"#), Ok(Some([some("me"), some("a"), None])));
        assert_eq!(read(r#"{"auth":"bWU6","identitytoken":"t"}"#), Ok(Some([some("me"), None, some("t")])));
        assert_eq!(read("{}"), Ok(None), "a helper has it");
        assert!(read(r#"{"auth":"%"}"#).is_err() && read(r#"{"auth":"bWU="}"#).is_err());
        let auths = serde_json::json!({"https://box/v2/": {"auth": "x"}, "https://index.docker.io/v1/": {"auth": "y"}});
        assert_eq!(entry_of(&auths, "box").unwrap()["auth"], "x");
        assert_eq!(entry_of(&auths, HUB).unwrap()["auth"], "y");
        assert!(entry_of(&auths, "box:5000").is_none());
    }
}
