//! Images of a registry that lets in only whom it knows: a real docker-registry with passwords, and credentials as `docker login` leaves them.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use cas::model::{phase::Exit, service::ServiceSpec};
use serde_json::{Value, json};

use super::{
    dockerd::{self, Dockerd, IMAGE},
    run::{changed, spec},
};
use crate::{
    kinds::rig::{Server, free_port, program},
    process::rig::Rig,
    support::eventually,
};

/// A password whose header has signs that base64 for URLs writes in another way.
const PASSWORD: &str = "a?>~b?>~c?>~";

/// A registry that knows `me`.
fn registry() -> Server {
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    // By perl, as every Debian has it: htpasswd is in a package of a web server.
    let mut crypt = Command::new(program("perl", "perl-base"));
    crypt.args(["-e", "print crypt($ARGV[0], q{$2b$05$abcdefghijklmnopqrstuu})", PASSWORD]);
    let hash = String::from_utf8(crypt.output().unwrap().stdout).unwrap();
    assert!(hash.starts_with("$2b$"), "{hash}");
    fs::write(dir.path().join("users"), format!("me:{hash}\n")).unwrap();
    let conf = format!(
        "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {0}/data }} }}\n\
         http: {{ addr: '127.0.0.1:{port}', secret: x }}\nauth: {{ htpasswd: {{ realm: x, path: {0}/users }} }}\n",
        dir.path().display()
    );
    fs::write(dir.path().join("conf"), conf).unwrap();
    let server = Server::start(dir, port, &program("docker-registry", "docker-registry"), &["serve", "conf"]);
    eventually("the registry listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    server
}

/// A directory of Docker's configuration with this in it.
fn configured(config: &Value) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
    directory
}

/// What `docker login` writes where there is no helper.
fn noted(registry: &str, password: &str) -> Value {
    json!({"auths": {registry: {"auth": STANDARD.encode(format!("me:{password}"))}}})
}

/// Puts the tests' image into the registry, by Docker's own client, and takes its name away here; its name there.
fn pushed(docker: &Dockerd, registry: &Server, name: &str) -> String {
    let host = format!("127.0.0.1:{}", registry.port);
    let image = format!("{host}/{name}:1");
    docker.ask(&["tag", IMAGE, &image]);
    let config = configured(&noted(&host, PASSWORD));
    let mut push = Command::new("docker");
    push.env_remove("DOCKER_CONTEXT").env("DOCKER_HOST", docker.host()).env("DOCKER_CONFIG", config.path());
    let push = push.args(["push", &image]).stdin(Stdio::null()).output().unwrap();
    assert!(push.status.success(), "{}", String::from_utf8_lossy(&push.stderr));
    docker.ask(&["rmi", &image]);
    image
}

/// A world whose Docker is configured in `config`, and which looks for helpers in `path`.
fn rig(config: &Path, path: &str) -> Rig {
    let (host, config) = (dockerd::shared().host(), config.display().to_string());
    let variables = [("DOCKER_HOST", host.as_str()), ("DOCKER_CONFIG", &config), ("PATH", path)];
    Rig::with_variables(tempfile::tempdir().unwrap(), &variables)
}

fn of_image(rig: &Rig, project: &str, image: &str) -> ServiceSpec {
    changed(&spec(rig, project, "exit 7"), |container| container.image = Some(image.to_owned()))
}

/// Starts a service of the image; why it cannot be.
async fn refusal(config: &Path, path: &str, project: &str, image: &str) -> String {
    let mut rig = rig(config, path);
    let run = rig.start_spec(of_image(&rig, project, image));
    let error = rig.refused(run).await;
    assert!(!error.contains(PASSWORD) && !error.contains("wrong-word"), "{error}");
    error
}

/// A helper that answers with this script; the directory that it is in.
fn helper(name: &str, script: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(format!("docker-credential-{name}"));
    fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

fn path_with(directory: &Path) -> String {
    format!("{}:{}", directory.display(), std::env::var("PATH").unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_a_closed_registry_is_fetched_with_what_login_noted() {
    let (docker, registry) = (dockerd::shared(), registry());
    let host = format!("127.0.0.1:{}", registry.port);
    let image = pushed(docker, &registry, "noted");
    let nobody = configured(&json!({}));
    let error = refusal(nobody.path(), "", "login-nobody", &image).await;
    assert!(error.starts_with(&format!("the image {image} is not here and cannot be fetched: ")), "{error}");
    assert!(error.ends_with(&format!("; no credentials are known for it: docker login {host}")), "{error}");
    let wrong = configured(&noted(&host, "wrong-word"));
    let error = refusal(wrong.path(), "", "login-wrong", &image).await;
    assert!(error.contains(&format!("what docker login {host} noted is not accepted")), "{error}");
    let right = configured(&noted(&host, PASSWORD));
    let mut rig = rig(right.path(), "");
    let run = rig.start_spec(of_image(&rig, "login-right", &image));
    assert_eq!(rig.exited(run).await.exit, Exit::Code(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_is_asked_and_what_is_wrong_with_it_is_told() {
    let (docker, registry) = (dockerd::shared(), registry());
    let host = format!("127.0.0.1:{}", registry.port);
    let image = pushed(docker, &registry, "helped");
    let by_host = configured(&json!({"credHelpers": {&host: "fake"}, "credsStore": "nothing-like-it"}));
    let error = refusal(by_host.path(), "", "login-none", &image).await;
    assert!(error.contains("docker-credential-fake cannot be run"), "{error}");
    assert!(error.contains(&format!("docker login {host}")), "{error}");
    for (script, words) in [
        ("echo no keyring is open; exit 1", "docker-credential-fake fails: no keyring is open"),
        ("echo secret-nonsense", "the answer of docker-credential-fake cannot be understood"),
        ("echo credentials not found in native keychain; exit 1", "no credentials are known for it"),
    ] {
        let bin = helper("fake", script);
        let error = refusal(by_host.path(), &path_with(bin.path()), "login-ill", &image).await;
        assert!(error.contains(words) && !error.contains("secret-nonsense"), "{error}");
    }
    let answer = json!({"ServerURL": &host, "Username": "me", "Secret": PASSWORD});
    let script = format!("read asked; [ \"$1 $asked\" = 'get {host}' ] || exit 1; echo '{answer}'");
    for (name, config) in
        [("login-helped", by_host), ("login-stored", configured(&json!({"auths": {&host: {}}, "credsStore": "fake"})))]
    {
        let bin = helper("fake", &script);
        let mut rig = rig(config.path(), &path_with(bin.path()));
        let run = rig.start_spec(of_image(&rig, name, &image));
        assert_eq!(rig.exited(run).await.exit, Exit::Code(7));
        docker.ask(&["rm", &format!("{name}-web-1")]);
        docker.ask(&["rmi", &image]);
    }
}
