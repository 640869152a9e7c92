//! The project of the day: ten services, in a directory of their own, on ports that are free.
//!
//! Promise: everything is real: `PostgreSQL`, Redis, `RabbitMQ`, nginx, two of node, two of Python, two small web servers. Never: a port that is fixed.

use std::{
    fs,
    net::TcpListener,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::rig::Rig;

use super::watch::Asks;

/// Names, and what they need; in this order.
pub(crate) const SERVICES: [(&str, &[&str]); 10] = [
    ("postgres", &[]),
    ("redis", &[]),
    ("rabbitmq", &[]),
    ("api", &["postgres", "redis"]),
    ("web", &["redis"]),
    ("nginx", &["api", "web"]),
    ("worker", &["redis", "rabbitmq"]),
    ("jobs", &["postgres"]),
    ("cache", &[]),
    ("echo", &[]),
];

const SCRIPTS: &[(&str, &str)] = &[
    ("start.sh", include_str!("project/start.sh")),
    ("server.js", include_str!("project/server.js")),
    ("jobs.py", include_str!("project/jobs.py")),
    ("worker.py", include_str!("project/worker.py")),
    ("hold.py", include_str!("project/hold.py")),
    ("crowd.py", include_str!("project/crowd.py")),
    ("burn.sh", include_str!("project/burn.sh")),
];

/// A run that lasted so long was stable: the first restart after it is immediate.
pub(crate) const STABLE: u64 = 3;

/// Where everything is.
#[derive(Debug)]
pub(crate) struct Town {
    pub(crate) project: PathBuf,
    ports: Vec<u16>,
    /// Erlang's name server, and the port between nodes.
    erlang: (u16, u16),
    /// Whether `cache` and `echo` are containers.
    pub(crate) containers: bool,
}

/// Ports that are free now, all different.
fn free_ports(count: usize) -> Vec<u16> {
    let held: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port is free")).collect();
    held.iter().map(|listener| listener.local_addr().expect("it is bound").port()).collect()
}

/// A program in the directories where servers are.
fn program(name: &str) -> String {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|v| v.path().join("bin"));
    let others = ["/usr/lib/rabbitmq/bin", "/usr/sbin", "/usr/bin", "/usr/local/bin", "/bin"].map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    versions
        .chain(others)
        .chain(std::env::split_paths(&path))
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
        .map_or_else(
            || panic!("{name} is not there; the day needs postgresql redis-server rabbitmq-server nginx-light nodejs python3 busybox"),
            |file| file.to_string_lossy().into_owned(),
        )
}

/// Runs a command to its end, as nobody; its words where it fails.
fn as_nobody(words: &[&str], input: Option<&Path>) {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]).args(words).current_dir("/");
    command.stdin(input.map_or_else(Stdio::null, |file| fs::File::open(file).expect("the input is there").into()));
    let output = command.output().expect("setpriv can be run");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Town {
    /// Writes everything that the services need into the project of a rig.
    pub(crate) fn build(rig: &Rig) -> Self {
        let mut ports = free_ports(SERVICES.len() + 2);
        let erlang = (ports.pop().expect("a port"), ports.pop().expect("a port"));
        let containers = is_known(rig, "image: busybox") && engine_answers();
        if containers {
            make_image();
        }
        let town = Self { project: rig.project(), ports, erlang, containers };
        let open = |path: &Path, mode: u32| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("modes can be set");
        };
        open(rig.project().parent().expect("it is in a directory"), 0o755);
        open(&rig.project(), 0o755);
        for (name, text) in SCRIPTS {
            fs::write(town.project.join(name), text).expect("a script can be written");
        }
        for directory in ["flags", "postgres", "redis", "rabbitmq", "nginx", "cache", "echo"] {
            fs::create_dir(town.project.join(directory)).expect("a directory can be made");
            open(&town.project.join(directory), 0o777);
        }
        for directory in ["cache", "echo"] {
            fs::write(town.project.join(directory).join("alive"), "well\n").expect("a page can be written");
        }
        fs::write(town.project.join("rabbitmq/plugins"), "[].\n").expect("a list of plugins can be written");
        fs::write(town.project.join("nginx/nginx.conf"), town.nginx()).expect("a configuration can be written");
        town.postgres();
        fs::write(town.project.join("cas.yaml"), town.yaml(rig)).expect("cas.yaml can be written");
        town
    }

    pub(crate) fn port(&self, name: &str) -> u16 {
        let place = SERVICES.iter().position(|(service, _)| *service == name);
        self.ports[place.unwrap_or_else(|| panic!("no service {name}"))]
    }

    /// Where a fault leaves what the next start is to do.
    pub(crate) fn flags(&self, name: &str) -> PathBuf {
        self.project.join("flags").join(name)
    }

    pub(crate) fn asks(&self, name: &str) -> Asks {
        let port = self.port(name);
        match name {
            "postgres" => Asks::Postgres(port),
            "redis" => Asks::Redis(port),
            "rabbitmq" => Asks::Amqp(port),
            "worker" => Asks::Beat(self.project.join("flags/worker.beat")),
            _ => Asks::Http(port, "/alive"),
        }
    }

    /// The variables that the line of a fault has.
    pub(crate) fn environment(&self, name: &str) -> Vec<(&'static str, String)> {
        let directory = self.project.join(name);
        vec![
            ("NAME", name.to_owned()),
            ("PORT", self.port(name).to_string()),
            ("DIR", directory.to_string_lossy().into_owned()),
            ("FLAGS", self.flags(name).to_string_lossy().into_owned()),
            ("CONTAINER", format!("day-{name}-1")),
            ("TOOLS", self.project.to_string_lossy().into_owned()),
            ("PSQL", format!("{} -qX -h 127.0.0.1 -p {} -U postgres", program("psql"), self.port("postgres"))),
            ("RABBITMQCTL", "setpriv --reuid nobody --regid nogroup --clear-groups sh rabbitmqctl.sh".to_owned()),
        ]
    }

    fn postgres(&self) {
        let data = self.project.join("postgres/data").to_string_lossy().into_owned();
        as_nobody(
            &[&program("initdb"), "-D", &data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale"],
            None,
        );
        let settings = format!(
            "port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 20\nshared_buffers = 16MB\n",
            self.port("postgres")
        );
        let file = Path::new(&data).join("postgresql.auto.conf");
        fs::write(file, settings).expect("settings can be written");
        let sql = self.project.join("role.sql");
        fs::write(&sql, "CREATE ROLE watch LOGIN\n").expect("a line can be written");
        as_nobody(&[&program("postgres"), "--single", "-D", &data, "postgres"], Some(&sql));
    }

    fn nginx(&self) -> String {
        let (own, api, web) = (self.port("nginx"), self.port("api"), self.port("web"));
        format!(
            "daemon off;\nworker_processes 1;\nuser nobody nogroup;\npid nginx.pid;\nerror_log stderr warn;\nevents {{ worker_connections 256; }}\nhttp {{\n  \
             access_log off;\n  client_body_temp_path body;\n  proxy_temp_path proxy;\n  fastcgi_temp_path fastcgi;\n  uwsgi_temp_path uwsgi;\n  scgi_temp_path scgi;\n  \
             server {{\n    listen 127.0.0.1:{own};\n    location = /alive {{ return 200 'well'; }}\n    location /api/ {{ proxy_pass http://127.0.0.1:{api}/; }}\n    \
             location /web/ {{ proxy_pass http://127.0.0.1:{web}/; }}\n  }}\n}}\n"
        )
    }

    /// `rabbitmqctl` and the server need the same variables.
    fn rabbitmq(&self) -> String {
        let directory = self.project.join("rabbitmq").to_string_lossy().into_owned();
        let (epmd, between) = self.erlang;
        let variables = format!(
            "export HOME={directory} ERL_EPMD_PORT={epmd} ERL_EPMD_ADDRESS=127.0.0.1 RABBITMQ_NODENAME=day@localhost RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT={} \
             RABBITMQ_DIST_PORT={between} RABBITMQ_MNESIA_BASE={directory}/mnesia RABBITMQ_LOG_BASE={directory}/log RABBITMQ_LOGS=- \
             RABBITMQ_ENABLED_PLUGINS_FILE={directory}/plugins RABBITMQ_CONF_ENV_FILE={directory}/none RABBITMQ_PID_FILE={directory}/pid \
             RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='+S 1:1 +sbwt none'\n",
            self.port("rabbitmq")
        );
        let ctl = format!("{variables}exec {} -n day@localhost \"$@\"\n", program("rabbitmqctl"));
        fs::write(self.project.join("rabbitmqctl.sh"), ctl).expect("a script can be written");
        // With this variable the script becomes the node instead of waiting for it.
        format!("{variables}export NOTIFY_SOCKET={directory}/none\nexec {}\n", program("rabbitmq-server"))
    }

    /// The command of a service, in words without quotes, run in the project's directory.
    fn command(&self, name: &str) -> String {
        let (port, redis, postgres) = (self.port(name), self.port("redis"), self.port("postgres"));
        let words = match name {
            "postgres" => format!("{} -D postgres/data", program("postgres")),
            "redis" => format!(
                "{} --port {port} --bind 127.0.0.1 --dir redis --save '' --appendonly no",
                program("redis-server")
            ),
            "rabbitmq" => "sh rabbitmq.sh".to_owned(),
            "nginx" => format!("{} -p {}/nginx -c nginx.conf -e stderr", program("nginx"), self.project.display()),
            "api" => format!("{} server.js {port} {redis} {postgres}", program("node")),
            "web" => format!("{} server.js {port} {redis} 0", program("node")),
            "jobs" => format!("{} -S jobs.py {port} {postgres}", program("python3")),
            "worker" => format!("{} -S worker.py {redis} flags/worker", program("python3")),
            _ if self.containers => {
                return format!("docker run --rm --init --pull never -p 127.0.0.1:{port}:8080 {IMAGE} {IN_CONTAINER}");
            }
            _ => format!("{} httpd -f -p 127.0.0.1:{port} -h {name}", program("busybox")),
        };
        format!("sh start.sh flags/{name} {words}")
    }

    /// Starts a service without cas, in a group of its own.
    pub(crate) fn start_alone(&self, name: &str) -> Child {
        let (line, is_nobody) = (self.command(name), is_nobody(name));
        let as_whom = if is_nobody { "setpriv --reuid nobody --regid nogroup --clear-groups " } else { "" };
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec {as_whom}{line}")]).current_dir(&self.project).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("a shell can be spawned")
    }

    /// Ends Erlang's name server, which outlives its nodes.
    pub(crate) fn end_names(&self) {
        let mut command = Command::new(program("epmd"));
        command.args(["-kill"]).env("ERL_EPMD_PORT", self.erlang.0.to_string());
        // Where none runs, nothing is to be ended.
        let _ended = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }

    /// `cache` and `echo`, in words.
    pub(crate) fn what_they_are(&self, rig: &Rig) -> &'static str {
        if self.containers {
            "containers"
        } else if is_known(rig, "image: busybox") {
            "plain processes: no engine of containers answers `docker info`"
        } else {
            "plain processes: this cas takes no `image:`"
        }
    }

    /// Whether a service is a container.
    pub(crate) fn is_container(&self, name: &str) -> bool {
        self.containers && matches!(name, "cache" | "echo")
    }

    /// Whom cas asks.
    fn check(&self, name: &str) -> String {
        let port = self.port(name);
        match name {
            "postgres" => format!("postgres://watch@127.0.0.1:{port}/postgres"),
            "redis" => format!("redis://127.0.0.1:{port}"),
            "rabbitmq" => format!("amqp://guest:guest@127.0.0.1:{port}"),
            "api" | "web" | "jobs" => format!("http://127.0.0.1:{port}/health"),
            _ => format!("http://127.0.0.1:{port}/alive"),
        }
    }

    fn yaml(&self, rig: &Rig) -> String {
        fs::write(self.project.join("rabbitmq.sh"), self.rabbitmq()).expect("a script can be written");
        let mut yaml = format!(
            "name: day\ndefaults:\n  restart: always\n  autostart: true\n  stop_grace_period: 3s\n  backoff: {{ base: 200ms, ceiling: 2s, stable: {STABLE}s, give_up_after: 0 }}\nservices:\n"
        );
        for (name, needs) in SERVICES {
            let port = self.port(name);
            let check = self.check(name);
            let is_server = matches!(name, "postgres" | "redis" | "rabbitmq" | "nginx");
            let is_taken = is_server && is_known(rig, &format!("command: sleep 1\n    kind: {name}"));
            let kind = if is_taken { name } else { "none" };
            let more = format!(
                "    kind: {kind}\n{}",
                if check.starts_with("http") { String::new() } else { format!("    check: \"{check}\"\n") }
            );
            let command = self.command(name);
            // Who knows that a project's broker does not come back by itself does not wait for it.
            let remedies = match name {
                "postgres" if kind != "none" => "    remedies: [{ wait: 2s }, restart]\n",
                "rabbitmq" if kind != "none" => "    remedies: [restart]\n",
                _ => "",
            };
            let probe = match (name, check.starts_with("http")) {
                ("worker", _) => "exec: 'test $(($(date +%s) - $(stat -c %Y flags/worker.beat))) -lt 2'".to_owned(),
                // A cas that knows no PostgreSQL asks it for a connection only.
                ("postgres", _) if kind == "none" => format!(
                    "exec: [{}, -h, 127.0.0.1, -p, \"{}\", -U, watch, -d, postgres, -t, \"1\"]",
                    program("pg_isready"),
                    self.port(name)
                ),
                (_, true) => format!("http: \"{check}\""),
                (_, false) => format!("check: \"{check}\""),
            };
            let probe = probe.replace("$(", "$$(");
            let user = if is_nobody(name) { "    user: nobody\n" } else { "" };
            let ports = if name == "worker" { String::new() } else { format!("    ports: [{port}]\n") };
            let limit = if matches!(name, "api" | "web" | "jobs" | "worker") { "    mem_limit: 200M\n" } else { "" };
            if self.is_container(name) {
                yaml.extend([format!(
                    "  {name}:\n    image: {IMAGE}\n    pull_policy: never\n    command: {IN_CONTAINER}\n    ports: [\"127.0.0.1:{port}:8080\"]\n    mem_limit: 64M\n    \
                     startup: {{ {probe}, interval: 250ms, timeout: 2s, retries: 400 }}\n    liveness: {{ {probe}, interval: 1s, timeout: 1s, retries: 2 }}\n"
                )]);
                continue;
            }
            yaml.extend([format!(
                "  {name}:\n    command: sh start.sh flags/{name} {command}\n{more}{remedies}{user}{ports}{limit}    startup: {{ {probe}, interval: 250ms, timeout: 2s, retries: 400 }}\n    \
                 liveness: {{ {probe}, interval: 1s, timeout: 1s, retries: 2 }}\n"
            )]);
            if !needs.is_empty() {
                yaml.push_str("    depends_on:\n");
                for need in needs {
                    yaml.extend([format!("      {need}: {{ condition: service_healthy }}\n")]);
                }
            }
        }
        yaml
    }
}

/// Whether it is run by a user without rights.
fn is_nobody(name: &str) -> bool {
    matches!(name, "postgres" | "rabbitmq")
}

/// What the containers are made from, and what they run.
const IMAGE: &str = "cas-day:1";
const IN_CONTAINER: &str = "/bin/busybox httpd -f -p 8080 -h /www";

/// Whether an engine of containers answers.
fn engine_answers() -> bool {
    Command::new("docker").arg("info").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// An image of a single program.
fn make_image() {
    let line = format!(
        "d=$(mktemp -d) && mkdir $d/bin $d/www && cp {} $d/bin/busybox && echo well > $d/www/alive && tar -C $d -c . | docker import - {IMAGE}; rm -rf $d",
        program("busybox")
    );
    let made = Command::new("sh").args(["-c", &line]).stdout(Stdio::null()).status();
    assert!(made.is_ok_and(|status| status.success()), "an image can be made");
}

/// Whether this cas takes a service that is written so.
pub(crate) fn is_known(rig: &Rig, service: &str) -> bool {
    let file = rig.at("probe.yaml");
    fs::write(&file, format!("name: probe\nservices:\n  x:\n    {service}\n")).expect("a file can be written");
    let checked = rig.cas(&["check", &file.to_string_lossy()]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    checked.is_ok_and(|status| status.success())
}

/// All that need a service, near or far.
pub(crate) fn dependents(name: &str) -> Vec<&'static str> {
    let mut found: Vec<&str> = Vec::new();
    // They are in the order of their needs.
    for (service, needs) in SERVICES {
        if needs.iter().any(|need| *need == name || found.contains(need)) {
            found.push(service);
        }
    }
    found
}
