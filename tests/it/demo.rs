//! The demo's services as real processes, and the project that is written for them.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
};

use cas::cli::demo::{self, Ports};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::eventually;

/// A running service that does not outlive its test.
struct Service {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Service {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cas"))
            .arg("demo-service")
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary was built for this test");
        let stdout = child.stdout.take().expect("it is piped");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Waits for a line that contains `text`.
    fn says(&self, text: &str) -> String {
        loop {
            let line = self.lines.recv().unwrap_or_else(|_| panic!("it ended without saying \"{text}\""));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The first `count` lines.
    fn first(&self, count: usize) -> Vec<String> {
        self.lines.iter().take(count).collect()
    }

    fn ends(&mut self) -> ExitStatus {
        self.child.wait().expect("it is a child of ours")
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is a child of ours").is_none()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A server of the demo on a port of the machine's choice.
fn server(kind: &str) -> (Service, u16) {
    let service = Service::start(&[kind, "--port", "0"]);
    let line = service.says("listening on ");
    let port = line.rsplit(':').next().and_then(|port| port.trim().parse().ok()).expect("it says its port");
    (service, port)
}

fn ask(port: u16, question: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens");
    stream.write_all(question.as_bytes()).expect("it reads");
    stream.shutdown(std::net::Shutdown::Write).expect("it is connected");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

#[test]
fn the_cache_speaks_its_protocol_and_is_pinged() {
    let (cache, port) = server("cache");
    cache.says("ready to accept connections");
    assert_eq!(
        ask(port, "PING\nGET a\nSET a b c\nGET a\nHELO\n"),
        "PONG\nNONE\nOK\nb c\nERROR say PING, GET key or SET key value\n"
    );
    assert!(Service::start(&["ping", "--port", &port.to_string()]).ends().success());
    drop(cache);
    assert_eq!(Service::start(&["ping", "--port", &port.to_string()]).ends().code(), Some(1));
}

#[test]
fn the_api_is_healthy_and_logs_requests_of_its_own_making() {
    let (api, port) = server("api");
    let answer = ask(port, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("{\"status\":\"ok\"}"), "{answer}");
    assert!(ask(port, "GET /nosuch HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
    api.says("GET");
}

#[test]
fn the_worker_waits_for_its_cache_and_works_with_it() {
    let (cache, port) = server("cache");
    let worker = Service::start(&["worker", "--cache", &port.to_string()]);
    assert!(worker.says("job 1 ").contains("done"));
    drop(cache);
    worker.says("cache is away");
}

#[test]
fn the_same_seed_gives_the_same_output() {
    let lines = |seed: &str| Service::start(&["chatty", "--seed", seed]).first(200);
    assert_eq!(lines("7"), lines("7"));
    assert_ne!(lines("7"), lines("8"));
}

#[test]
fn a_service_ends_when_it_is_asked_to_or_nobody_reads_any_more() {
    let mut asked = Service::start(&["chatty"]);
    asked.first(1);
    let pid = Pid::from_child(&asked.child);
    kill_process(pid, Signal::TERM).expect("it runs");
    assert!(!asked.ends().success());
    let mut unread = Service::start(&["chatty"]);
    // The thread that reads stops, and the pipe closes.
    drop(std::mem::replace(&mut unread.lines, mpsc::channel().1));
    eventually("it ends by itself", || !unread.is_running());
    assert_eq!(unread.ends().code(), Some(0));
}

#[test]
fn the_crasher_crashes_each_time_in_another_way() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let runs = dir.path().join("runs");
    let mut first = Service::start(&["crasher", "--runs", &runs.to_string_lossy()]);
    first.says("payments 0.9.0 up");
    first.says("ZeroDivisionError");
    assert_eq!(first.ends().code(), Some(1));
    let second = Service::start(&["crasher", "--runs", &runs.to_string_lossy()]);
    second.says("payments 0.9.1 up");
}

#[test]
fn a_service_that_needs_a_port_which_is_taken_says_so() {
    let (_api, port) = server("api");
    let mut second = Service::start(&["api", "--port", &port.to_string()]);
    second.says("fatal: ");
    assert_eq!(second.ends().code(), Some(1));
}

#[test]
fn the_project_is_written_with_every_place_filled_in() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let bin = Path::new("/opt/my \"cas\"/$HOME/cas");
    let file = demo::prepare(dir.path(), bin, 9, Ports { api: 4001, cache: 4002 }).expect("it can be written");
    let text = std::fs::read_to_string(&file).expect("it was written");
    let yaml: String = text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    assert!(!yaml.contains("${"), "{yaml}");
    assert!(
        yaml.contains(r#"["/opt/my \"cas\"/$$HOME/cas", demo-service, api, --port, "4001", --seed, "9"]"#),
        "{yaml}"
    );
    assert!(yaml.contains(r#"http: "http://127.0.0.1:4001/health""#), "{yaml}");
}

#[test]
fn the_project_is_taken_without_a_problem_and_starts_by_itself() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let bin = Path::new(env!("CARGO_BIN_EXE_cas"));
    let prepared = demo::prepare(dir.path(), bin, 9, Ports { api: 4001, cache: 4002 }).expect("it can be written");
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo/cas.yaml");
    let path = bin.parent().expect("it is in a directory").to_string_lossy().into_owned();
    for file in [prepared, bundled] {
        let loaded = cas::config::load(&file, None, &BTreeMap::from([("PATH".to_owned(), path.clone())]));
        assert_eq!((loaded.errors, loaded.notes), (vec![], vec![]), "{}", file.display());
        let project = loaded.project.expect("there are no errors");
        assert_eq!(project.services.len(), 7);
        assert!(project.services.iter().all(|service| service.autostart && service.backoff.stable.as_secs() == 5));
    }
}

#[test]
fn preparing_again_begins_anew() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let ports = Ports { api: 1, cache: 2 };
    demo::prepare(dir.path(), Path::new("/bin/cas"), 1, ports).expect("it can be written");
    let runs = dir.path().join("payments.runs");
    std::fs::write(&runs, "3").expect("it can be written");
    demo::prepare(dir.path(), Path::new("/bin/cas"), 1, ports).expect("it can be written again");
    assert!(!runs.exists());
}

#[test]
fn ports_that_are_free_are_two() {
    let ports = Ports::free();
    assert_ne!(ports.api, ports.cache);
    assert!(ports.api > 0 && ports.cache > 0);
}
