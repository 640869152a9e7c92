//! The binary, a real nginx, and a project whose services write files.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use super::{names, on_disk};
use crate::{
    docker::dockerd::{self, IMAGE},
    support::eventually,
};

/// A project under a daemon of its own, which ends with it; and where its Docker is, if it has one.
struct Place(tempfile::TempDir, Option<String>);

impl Place {
    fn new(yaml: &str) -> Self {
        Self::with_docker(yaml, None)
    }

    fn with_docker(yaml: &str, host: Option<String>) -> Self {
        let place = Self(tempfile::tempdir().unwrap(), host);
        fs::create_dir_all(place.file("log")).unwrap();
        fs::write(place.file("cas.yaml"), yaml).unwrap();
        place
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join("shop").join(name)
    }

    fn cas(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cas"));
        command.args(args).current_dir(self.file("")).stdin(Stdio::null());
        for (name, directory) in [("STATE", "state"), ("RUNTIME", "run"), ("CONFIG", "config")] {
            command.env(format!("CAS_{name}_DIR"), self.0.path().join(directory));
        }
        if let Some(host) = &self.1 {
            command.env_remove("DOCKER_CONTEXT").env("DOCKER_HOST", host);
        }
        command.output().unwrap()
    }

    /// What it prints; it must go well.
    fn told(&self, args: &[&str]) -> String {
        let ran = self.cas(args);
        assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    }

    fn log_file(&self, name: &str) -> Value {
        let json: Value = serde_json::from_str(&self.told(&["log-files", "--json"])).unwrap();
        json["files"].as_array().unwrap().iter().find(|file| file["file"] == name).cloned().unwrap_or_default()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ended = self.cas(&["daemon", "stop", "--all"]);
        let _ended = self.cas(&["down"]);
        let _ended = self.cas(&["daemon", "stop"]);
    }
}

#[test]
fn lines_of_a_file_are_shown_with_the_output_and_it_is_rotated_by_what_is_declared() {
    let place = Place::new(
        "name: shop
services:
  web:
    shell: |
      exec 3>>log/web.log
      trap 'exec 3>>log/web.log' USR1
      echo started
      n=0; while :; do n=$$((n + 1)); echo \"line $$n\" >&3; sleep 0.01; done
    log_files:
      - path: log/*.log
        rotate: {max_size: 4K, signal: USR1, keep: 2}
",
    );
    place.told(&["up", "--detach"]);
    eventually("its lines are shown", || place.told(&["logs", "web"]).contains("web | log/web.log: line 3\n"));
    assert!(place.told(&["logs", "web"]).contains("web | started\n"));
    eventually("it is rotated by its size", || place.file("log/web.log.1").exists());
    eventually("that is told", || {
        let events = place.told(&["events"]);
        events.contains("log/web.log rotated, ") && events.contains("it is larger than 4K")
    });
    let view = place.log_file("log/web.log");
    assert_eq!((view["declared"].as_bool(), view["rotate"]["how"].as_str()), (Some(true), Some("SIGUSR1")));
    assert!(view["rotated_at"].is_string() && view["trouble"].is_null(), "{view}");
    let ran = place.cas(&["rotate", "web"]);
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && said.contains("rotate the log files of web"), "{said}");
    eventually("a person's word is told, too", || place.told(&["events"]).contains("asked: rotate web"));
    eventually("no more are kept than is declared", || {
        let names = names(&place.file("log"));
        names == ["web.log", "web.log.1", "web.log.2.gz"]
    });
    // What the screen has is in order, each line once.
    let lines: Vec<u64> = place
        .told(&["logs", "web", "--json"])
        .lines()
        .filter_map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["text"].as_str()?.strip_prefix("line ")?.parse().ok()
        })
        .collect();
    assert!(lines.windows(2).all(|pair| pair[1] == pair[0] + 1), "{:?}", &lines[..lines.len().min(20)]);
    assert!(lines.len() > 400, "{}", lines.len());
    place.told(&["down"]);
}

#[test]
fn a_service_that_says_in_its_file_that_it_is_ready_lets_others_start() {
    let place = Place::new(
        "name: shop
services:
  db:
    shell: |
      while [ ! -e go ]; do sleep 0.05; done
      echo 'db is listening' >>log/db.log
      exec sleep 1000
    log_files: [log/*.log]
    ready_log_line: is listening
  web:
    command: sleep 1000
    depends_on: {db: {condition: service_log_ready}}
",
    );
    // What an earlier run wrote does not count.
    fs::write(place.file("log/db.log"), "db is listening\n").unwrap();
    let waited = place.cas(&["up", "--detach", "--timeout", "1s"]);
    assert!(!waited.status.success(), "it is not ready yet");
    eventually("what was there is read", || place.told(&["logs", "db"]).contains("is listening"));
    assert!(place.told(&["status"]).contains("waiting"));
    fs::write(place.file("go"), "").unwrap();
    eventually("web runs", || !place.told(&["status"]).contains("waiting"));
    place.told(&["down"]);
}

fn get(port: u16, path: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let mut said = String::new();
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_to_string(&mut said).is_ok()
        && said.starts_with("HTTP/1.1 200")
}

#[test]
fn a_real_nginx_is_rotated_under_requests_and_no_request_is_lost() {
    let nginx = ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|path| PathBuf::from(path).exists());
    let nginx = nginx.expect("nginx-light is installed");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let place = Place::new(&format!(
        "name: shop
services:
  web:
    command: [{nginx}, -p, ., -c, conf]
    log_files:
      - path: log/*.log
        rotate: {{max_size: 1G, keep: 20}}
"
    ));
    fs::write(
        place.file("conf"),
        format!(
            "daemon off; error_log log/error.log; pid pid; worker_processes 2; events {{ worker_connections 64; }}\n\
             http {{ log_format path '$request_uri'; access_log log/access.log path;\n\
             server {{ listen 127.0.0.1:{port}; return 200 ok; }} }}\n"
        ),
    )
    .unwrap();
    place.told(&["up", "--detach"]);
    eventually("it answers", || get(port, "/first"));
    assert_eq!(place.log_file("log/access.log")["rotate"]["how"], "SIGUSR1, else copytruncate");
    let mut asked = vec!["/first".to_owned()];
    for round in 1..=6 {
        place.told(&["rotate", "web"]);
        let moved =
            || fs::exists(place.file(&format!("log/access.log.{}", if round == 1 { "1" } else { "2.gz" }))).unwrap();
        let mut number = 0;
        eventually("requests go on while it is rotated", || {
            number += 1;
            let path = format!("/{round}/{number}");
            if get(port, &path) {
                asked.push(path);
            }
            number >= 200 && moved()
        });
        eventually("the round is over", || {
            let told = place.told(&["events"]);
            told.matches("log/access.log rotated").count() == round
        });
    }
    asked.sort_unstable();
    eventually("every request is in a file, once", || {
        let mut written = on_disk(&place.file("log"), "access.log");
        // Those of probes and deep looks are not ours.
        written.retain(|line| line == "/first" || line.split('/').skip(1).all(|part| part.parse::<u32>().is_ok()));
        written.sort_unstable();
        written == asked
    });
    let shown = place.told(&["logs", "web", "--no-prefix"]);
    let shown: std::collections::HashSet<&str> = shown.lines().collect();
    let missing = asked.iter().filter(|path| !shown.contains(path.as_str())).count();
    assert_eq!(missing, 0, "on the screen");
    place.told(&["down"]);
}

#[test]
fn files_that_a_container_writes_where_a_directory_is_mounted_are_read_and_rotated() {
    let yaml = format!(
        "name: shop
services:
  web:
    image: {IMAGE}
    network_mode: none
    command:
      - sh
      - -c
      - |
        trap 'exec 3>>/var/log/app/web.log' USR1
        exec 3>>/var/log/app/web.log 4>/var/log/app/other.log
        echo one >&4
        n=0; while :; do n=$$((n + 1)); echo \"line $$n\" >&3; sleep 0.02; done
    volumes: ['./log:/var/log/app']
    log_files:
      - path: /var/log/app/web.log
        rotate: {{max_size: 1G, signal: USR1}}
      - path: /var/log/app/other.log
        rotate: {{max_size: 1G, how: copytruncate}}
"
    );
    let place = Place::with_docker(&yaml, Some(dockerd::shared().host()));
    place.told(&["up", "--detach"]);
    eventually("its lines are shown", || place.told(&["logs", "web"]).contains("web | /var/log/app/web.log: line 3\n"));
    place.told(&["rotate", "web"]);
    eventually("it is rotated", || place.told(&["events"]).contains("/var/log/app/web.log rotated, "));
    eventually("it goes on in a new file", || {
        fs::read_to_string(place.file("log/web.log")).is_ok_and(|text| text.lines().count() > 3)
    });
    assert!(place.file("log/web.log.1").exists());
    let lines = on_disk(&place.file("log"), "web.log");
    let expected: Vec<String> = (1..=lines.len()).map(|n| format!("line {n}")).collect();
    assert!(lines == expected, "no line is lost: {} of them", lines.len());
    let said = "/var/log/app/other.log not rotated: the service writes it without O_APPEND";
    eventually("one that it does not append to is left alone", || place.told(&["events"]).contains(said));
    assert_eq!(fs::read_to_string(place.file("log/other.log")).unwrap(), "one\n");
    place.told(&["down"]);
}
