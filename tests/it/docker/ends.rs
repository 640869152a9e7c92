//! Every way to an engine, each to a real one: TCP, TLS, a context of Docker's, SSH, Podman's socket.
#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test says what it expects by failing")]

use std::{
    fs,
    io::Read,
    net::TcpStream,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use cas::model::{container::Reach, effect::Effect, event::Event, phase::Exit, signal::Signal};

use super::{
    dockerd::{self, Dockerd},
    run::{lines, spec},
};
use crate::{
    kinds::rig::{free_port, program},
    process::rig::Rig,
    support::eventually,
};

fn rig(variables: &[(&str, &str)]) -> Rig {
    Rig::with_variables(tempfile::tempdir().unwrap(), variables)
}

/// A service needs the engine, and is refused for this reason: from now on it is looked for every few seconds.
async fn needed(rig: &mut Rig, words: &str) {
    let run = rig.start_spec(spec(rig, "needed", "true"));
    let error = rig.refused(run).await;
    assert!(error.starts_with("Docker cannot be reached: ") && error.contains(words), "{error}");
}

/// Waits until the engine is reached; who it is.
async fn reached(rig: &mut Rig) -> (String, String, String) {
    rig.event("the engine is reached", |event| match event {
        Event::DockerKnown(Reach::Reachable { endpoint, engine, api }) => {
            Some((endpoint.clone(), engine.clone(), api.clone()))
        }
        _ => None,
    })
    .await
}

/// Waits for a sentence with these words about an engine that cannot be used.
async fn told(rig: &mut Rig, words: &str) {
    rig.event(&format!("told: {words}"), |event| match event {
        Event::DockerKnown(reach) => reach.obstacle().filter(|why| why.contains(words)),
        _ => None,
    })
    .await;
}

/// A service is started there, writes, hears a stop, and ends.
async fn serves(rig: &mut Rig, name: &str) {
    let line = "trap 'echo bye; exit 0' TERM; echo up; echo and >&2; while :; do sleep 0.1; done";
    let run = rig.start_spec(spec(rig, name, line));
    rig.spawned(run).await;
    lines(rig, run, &["up", "and"]).await;
    let inside = cas::model::probe::Check::Exec(cas::model::service::CommandLine::Shell("test -d /bin".to_owned()));
    assert_eq!(rig.probe(run, inside, dockerd::SOON).await, cas::model::probe::ProbeOutcome::Passed);
    rig.world.perform(Effect::StopTree { run, signal: Signal::Term });
    let ended = rig.exited(run).await;
    assert_eq!(ended.exit, Exit::Code(0), "{ended:?}");
    assert_eq!(ended.last_words.last().map(String::as_str), Some("bye"));
    assert_eq!(rig.end(run, Duration::ZERO).await, Vec::<u32>::new());
}

fn version(dockerd: &Dockerd, format: &str) -> String {
    dockerd.ask(&["version", "--format", format])
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tcp_it_works_and_comes_back_when_the_engine_does() {
    let port = free_port();
    let mut docker = Dockerd::start_with("tcp", &format!("-H tcp://127.0.0.1:{port}"));
    let host = format!("tcp://127.0.0.1:{port}");
    let mut rig = rig(&[("DOCKER_HOST", &host)]);
    let (endpoint, engine, api) = reached(&mut rig).await;
    assert_eq!(endpoint, host);
    assert_eq!(engine, format!("Docker {}", version(&docker, "{{.Server.Version}}")));
    assert_eq!(api, version(&docker, "{{.Server.APIVersion}}"));
    serves(&mut rig, "tcp").await;
    docker.crash();
    told(&mut rig, &format!("{host}: Connection refused")).await;
    docker.raise();
    reached(&mut rig).await;
    serves(&mut rig, "tcp-again").await;
}

fn openssl(dir: &Path, line: &str) {
    let done = Command::new(program("openssl", "openssl")).current_dir(dir).args(line.split(' ')).output().unwrap();
    assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
}

/// An authority `NAME-ca`, and signed by it `NAME-server` for 127.0.0.1 and `NAME-client`.
fn certificates(dir: &Path, name: &str) {
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(dir, &format!("req -x509 {new} -keyout {name}-ca.key -out {name}-ca.pem -days 9 -subj /CN={name}-ca"));
    for (role, use_for) in [("server", "serverAuth"), ("client", "clientAuth")] {
        let leaf = format!("{name}-{role}");
        openssl(dir, &format!("req {new} -keyout {leaf}.key -out {leaf}.csr -subj /CN={leaf}"));
        let extensions =
            format!("basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1\nextendedKeyUsage={use_for}\n");
        fs::write(dir.join("extensions"), extensions).unwrap();
        let by = format!("-CA {name}-ca.pem -CAkey {name}-ca.key -CAcreateserial");
        openssl(dir, &format!("x509 -req -in {leaf}.csr {by} -days 9 -out {leaf}.pem -extfile extensions"));
    }
}

/// A directory as `DOCKER_CERT_PATH` names one: who vouches for the engine, and who we are.
fn shown(dir: &Path, to: &Path, authority: &str, client: Option<&str>) {
    let _old = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    fs::copy(dir.join(format!("{authority}-ca.pem")), to.join("ca.pem")).unwrap();
    if let Some(client) = client {
        fs::copy(dir.join(format!("{client}-client.pem")), to.join("cert.pem")).unwrap();
        fs::copy(dir.join(format!("{client}-client.key")), to.join("key.pem")).unwrap();
    }
}

/// An engine that speaks TLS only, and lets in whom `own` vouches for; its address.
fn secured(dir: &Path, name: &'static str) -> (Dockerd, String) {
    certificates(dir, "own");
    let port = free_port();
    let at = dir.display();
    let tls =
        format!("--tlsverify --tlscacert {at}/own-ca.pem --tlscert {at}/own-server.pem --tlskey {at}/own-server.key");
    (Dockerd::start_with(name, &format!("-H tcp://127.0.0.1:{port} {tls}")), format!("tcp://127.0.0.1:{port}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_it_works_and_a_wrong_certificate_is_told_until_it_is_right() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    certificates(dir, "other");
    let (mut docker, host) = secured(dir, "tls");
    let certs = dir.join("certs");
    let at = certs.display().to_string();
    let variables = [("DOCKER_HOST", host.as_str()), ("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", &at)];
    let mut rig = rig(&variables);
    told(&mut rig, &format!("{host}: there is no directory {at} of certificates")).await;
    needed(&mut rig, "of certificates").await;
    shown(dir, &certs, "other", Some("own"));
    told(&mut rig, &format!("its certificate is not signed by whom {at}/ca.pem vouches for")).await;
    shown(dir, &certs, "own", None);
    told(&mut rig, &format!("it wants to see a certificate, and there is no {at}/cert.pem")).await;
    shown(dir, &certs, "own", Some("other"));
    told(&mut rig, &format!("it does not accept the certificate {at}/cert.pem")).await;
    fs::copy(dir.join("own-client.key"), certs.join("key.pem")).unwrap();
    told(&mut rig, &format!("{at}/key.pem is not the key of {at}/cert.pem")).await;
    shown(dir, &certs, "own", Some("own"));
    let (endpoint, engine, _) = reached(&mut rig).await;
    assert_eq!(endpoint, host);
    assert_eq!(engine, format!("Docker {}", version(&docker, "{{.Server.Version}}")));
    serves(&mut rig, "tls").await;
    docker.crash();
    told(&mut rig, &format!("{host}: Connection refused")).await;
    docker.raise();
    reached(&mut rig).await;
    serves(&mut rig, "tls-again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_where_there_is_none_and_none_where_there_is_are_told() {
    let home = tempfile::tempdir().unwrap();
    let (_docker, host) = secured(home.path(), "mistaken");
    let mut without = rig(&[("DOCKER_HOST", &host)]);
    told(&mut without, "it speaks TLS only: DOCKER_TLS_VERIFY=1").await;
    // The certificate is for the number alone.
    let certs = home.path().join("certs");
    shown(home.path(), &certs, "own", Some("own"));
    let at = certs.display().to_string();
    let named = host.replace("127.0.0.1", "localhost");
    let mut named = rig(&[("DOCKER_HOST", &named), ("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", &at)]);
    told(&mut named, "its certificate is for another name").await;
    let port = free_port();
    let _plain = Dockerd::start_with("plain", &format!("-H tcp://127.0.0.1:{port}"));
    let plain = format!("tcp://127.0.0.1:{port}");
    let mut with = rig(&[("DOCKER_HOST", &plain), ("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", &at)]);
    told(&mut with, "it does not speak TLS").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_that_docker_made_leads_to_its_engine() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    let (docker, host) = secured(dir, "context");
    let config = dir.join("config");
    fs::create_dir(&config).unwrap();
    let context = |words: &[&str]| {
        let mut command = Command::new("docker");
        command.env_remove("DOCKER_HOST").env_remove("DOCKER_CONTEXT").env("DOCKER_CONFIG", &config);
        let done = command.arg("context").args(words).output().unwrap();
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    let at = dir.display();
    let files = format!("ca={at}/own-ca.pem,cert={at}/own-client.pem,key={at}/own-client.key");
    context(&["create", "far", "--docker", &format!("host={host},{files}")]);
    context(&["create", "careless", "--docker", &format!("host={host},skip-tls-verify=true,{files}")]);
    context(&["use", "far"]);
    let config = config.display().to_string();
    let mut current = rig(&[("DOCKER_CONFIG", &config)]);
    let (endpoint, engine, api) = reached(&mut current).await;
    assert_eq!(endpoint, host);
    assert_eq!(engine, format!("Docker {}", version(&docker, "{{.Server.Version}}")));
    assert_eq!(api, version(&docker, "{{.Server.APIVersion}}"));
    serves(&mut current, "context").await;
    let mut careless = rig(&[("DOCKER_CONFIG", &config), ("DOCKER_CONTEXT", "careless")]);
    told(&mut careless, "context careless asks for TLS that takes any certificate").await;
    let mut missing = rig(&[("DOCKER_CONFIG", &config), ("DOCKER_CONTEXT", "near")]);
    told(&mut missing, "context near is not there").await;
}

/// An sshd on a port of its own, and an `ssh` that knows its user's key and what the test lets it know of the host.
struct Sshd {
    home: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

impl Sshd {
    /// One whose sessions find the engine at `docker_host`.
    fn new(docker_host: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        for name in ["key", "right", "wrong"] {
            let mut made = Command::new(program("ssh-keygen", "openssh-client"));
            made.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(at(name));
            assert!(made.status().unwrap().success());
        }
        fs::copy(at("key.pub"), at("authorized")).unwrap();
        if rustix::process::geteuid().is_root() {
            // The place where root's sshd locks its helpers in; packages make it at boot.
            fs::DirBuilder::new().recursive(true).mode(0o755).create("/run/sshd").unwrap();
        }
        let client = format!(
            "Host *\nIdentityFile {0}/key\nIdentitiesOnly yes\nUserKnownHostsFile {0}/known\nGlobalKnownHostsFile /dev/null\n",
            home.path().display()
        );
        fs::write(at("client"), client).unwrap();
        fs::create_dir(at("bin")).unwrap();
        let ssh = program("ssh", "openssh-client");
        let script = format!("#!/bin/sh\nexec {} -F {} \"$@\"\n", ssh.display(), at("client").display());
        fs::write(at("bin/ssh"), script).unwrap();
        fs::set_permissions(at("bin/ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        let mut sshd = Self { home, port: free_port(), child: None };
        sshd.configure(docker_host);
        sshd.raise("right");
        sshd
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn configure(&self, docker_host: &str) {
        let config = format!(
            "Port {}\nListenAddress 127.0.0.1\nPidFile {1}/pid\nAuthorizedKeysFile {1}/authorized\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nSetEnv DOCKER_HOST={docker_host}\n",
            self.port,
            self.home.path().display()
        );
        fs::write(self.at("config"), config).unwrap();
    }

    /// Starts it with this key.
    fn raise(&mut self, key: &str) {
        let mut command = Command::new(program("sshd", "openssh-server"));
        command.args(["-D", "-e", "-f"]).arg(self.at("config")).arg("-h").arg(self.at(key));
        let log = fs::File::create(self.at("log")).unwrap();
        self.child = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
        eventually("sshd listens", || {
            let mut banner = [0; 4];
            TcpStream::connect(("127.0.0.1", self.port)).and_then(|mut stream| stream.read_exact(&mut banner)).is_ok()
        });
    }

    /// Ends it and its sessions.
    fn fell(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let sessions = Command::new("pgrep").args(["-P", &child.id().to_string()]).output().unwrap();
        let _ended = child.kill();
        let _status = child.wait();
        for pid in String::from_utf8_lossy(&sessions.stdout).split_whitespace() {
            let _ended = Command::new("kill").args(["-KILL", pid]).status();
        }
    }

    /// What the client takes for the key of the host.
    fn known(&self, key: &str) {
        let key = fs::read_to_string(self.at(&format!("{key}.pub"))).unwrap();
        fs::write(self.at("known"), format!("[127.0.0.1]:{} {key}", self.port)).unwrap();
    }

    fn address(&self) -> String {
        let user = Command::new("id").arg("-un").output().unwrap();
        format!("ssh://{}@127.0.0.1:{}", String::from_utf8_lossy(&user.stdout).trim(), self.port)
    }

    fn path(&self) -> String {
        format!("{}:{}", self.at("bin").display(), std::env::var("PATH").unwrap_or_default())
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.fell();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_ssh_it_works_and_a_host_that_is_not_the_known_one_is_told() {
    let docker = dockerd::shared();
    let mut sshd = Sshd::new(&docker.host());
    let (host, path) = (sshd.address(), sshd.path());
    let mut rig = rig(&[("DOCKER_HOST", &host), ("PATH", &path)]);
    told(&mut rig, &format!("{host}: the host key of 127.0.0.1 is not known yet")).await;
    needed(&mut rig, "not known yet").await;
    sshd.known("right");
    let (endpoint, engine, api) = reached(&mut rig).await;
    assert_eq!(endpoint, host);
    assert_eq!(engine, format!("Docker {}", version(docker, "{{.Server.Version}}")));
    assert_eq!(api, version(docker, "{{.Server.APIVersion}}"));
    serves(&mut rig, "ssh").await;
    sshd.fell();
    told(&mut rig, &format!("{host}: ssh: connect to host 127.0.0.1 port {}: Connection refused", sshd.port)).await;
    sshd.raise("wrong");
    told(&mut rig, "the host key of 127.0.0.1 is not the one that is known for it").await;
    sshd.fell();
    sshd.raise("right");
    reached(&mut rig).await;
    serves(&mut rig, "ssh-again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_ssh_what_is_missing_on_the_other_side_is_told_in_its_words() {
    let docker = dockerd::shared();
    let nowhere = tempfile::tempdir().unwrap();
    let socket = nowhere.path().join("none.sock").display().to_string();
    let sshd = Sshd::new(&format!("unix://{socket}"));
    sshd.known("right");
    let (host, path) = (sshd.address(), sshd.path());
    let mut gone = rig(&[("DOCKER_HOST", &host), ("PATH", &path)]);
    told(&mut gone, &socket).await;
    // The address may say which socket it is, over there.
    let whole = format!("{host}{}", docker.host().trim_start_matches("unix://"));
    let mut told_where = rig(&[("DOCKER_HOST", &whole), ("PATH", &path)]);
    assert_eq!(reached(&mut told_where).await.0, whole);
    fs::write(sshd.at("authorized"), "").unwrap();
    let mut locked_out = rig(&[("DOCKER_HOST", &host), ("PATH", &path)]);
    told(&mut locked_out, "give ssh-agent a key").await;
    let mut without = rig(&[("DOCKER_HOST", &host), ("PATH", &nowhere.path().display().to_string())]);
    told(&mut without, "ssh cannot be run").await;
}

/// A Podman of the tests' own.
struct Podman {
    directory: PathBuf,
    keeper: Option<Child>,
}

impl Podman {
    fn start() -> Self {
        for (needed, package) in [("podman", "podman"), ("docker", "docker.io"), ("setpriv", "util-linux")] {
            program(needed, package);
        }
        let directory = std::env::temp_dir().join(format!("cas-podman-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        // What it gives by itself may be more than this machine lets it have.
        let config = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n";
        fs::write(directory.join("containers.conf"), config).unwrap();
        let mut podman = Self { directory, keeper: None };
        podman.raise();
        dockerd::load_image(&podman.directory, &podman.host());
        podman
    }

    fn raise(&mut self) {
        let at = self.directory.display();
        let podman = format!(
            "podman --root {at}/root --runroot {at}/run --tmpdir {at}/tmp --storage-driver vfs \
             --cgroup-manager cgroupfs --events-backend file --log-level warn"
        );
        // Ended with the tests, however they end.
        let script = format!(
            "PATH=$PATH:/usr/sbin:/sbin; export CONTAINERS_CONF={at}/containers.conf
            {podman} system service --time=0 unix://{at}/podman.sock >>{at}/log 2>&1 &
            service=$!
            trap 'kill $service; wait $service; {podman} rm --all --force --time 0
                for found in $(grep -ls {at}/ /proc/[0-9]*/cmdline); do
                    found=${{found%/cmdline}}; [ \"$(cat $found/comm)\" = conmon ] && kill -KILL ${{found#/proc/}}
                done
                grep {at}/ /proc/mounts | cut -d\" \" -f2 | sort -r | xargs -r umount -l; rm -rf {at}; exit' TERM
            trap 'kill -KILL $service; wait $service; exit' INT
            wait $service"
        );
        let (sender, receiver) = std::sync::mpsc::channel();
        // The thread that makes it must live as long as the tests do.
        std::thread::spawn(move || {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "TERM", "sh", "-c", &script]);
            sender.send(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()).unwrap();
            loop {
                std::thread::park();
            }
        });
        self.keeper = Some(receiver.recv().unwrap().unwrap());
        eventually("podman answers", || {
            let asked = Command::new("docker")
                .env_remove("DOCKER_CONTEXT")
                .env("DOCKER_HOST", self.host())
                .arg("version")
                .output();
            asked.unwrap().status.success()
        });
    }

    fn host(&self) -> String {
        format!("unix://{}/podman.sock", self.directory.display())
    }

    fn end(&mut self, signal: &str) {
        let Some(mut keeper) = self.keeper.take() else { return };
        let sent = Command::new("kill").args([&format!("-{signal}"), &keeper.id().to_string()]).status().unwrap();
        assert!(sent.success());
        keeper.wait().unwrap();
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        self.end("TERM");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_serves_as_docker_does_and_is_called_by_its_name() {
    let mut podman = Podman::start();
    let host = podman.host();
    let mut rig = rig(&[("DOCKER_HOST", &host)]);
    let (endpoint, engine, api) = reached(&mut rig).await;
    assert_eq!(endpoint, host);
    let said = Command::new("podman").arg("--version").output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert_eq!(Some(engine.trim_start_matches("Podman ")), said.split_whitespace().last(), "{engine}, {said}");
    assert!(engine.starts_with("Podman ") && api.starts_with("1."), "{engine} {api}");
    serves(&mut rig, "podman").await;
    let run = rig.start_spec(spec(&rig, "podman-ends", "echo out; echo err >&2; exit 3"));
    let ended = rig.exited(run).await;
    assert_eq!((ended.exit, ended.last_words.len()), (Exit::Code(3), 2), "{:?}", ended.last_words);
    let kept = rig.start_spec(spec(&rig, "podman-kept", "echo up; exec sleep 1000"));
    lines(&rig, kept, &["up"]).await;
    podman.end("INT");
    told(&mut rig, &format!("{host}: ")).await;
    podman.raise();
    reached(&mut rig).await;
    assert!(rig.world.is_running(kept), "what ran went on");
    assert_eq!(rig.end(kept, Duration::ZERO).await, Vec::<u32>::new());
    assert_eq!(rig.exited(kept).await.exit, Exit::Signal(9));
    serves(&mut rig, "podman-again").await;
    let missing = super::run::changed(&spec(&rig, "podman-none", "true"), |container| {
        container.image = Some("localhost/no-such-image:9".to_owned());
    });
    let run = rig.start_spec(missing);
    let error = rig.refused(run).await;
    assert!(error.starts_with("the image localhost/no-such-image:9 is not here and cannot be fetched: "), "{error}");
}
