//! The binary as it is, with directories of its own, as a person uses it.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use crate::support::eventually;

/// A project directory and places for cas's own things.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(yaml: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("shop")).unwrap();
        fs::create_dir(dir.path().join("config")).unwrap();
        let place = Self { dir };
        fs::write(place.file("cas.yaml"), yaml).unwrap();
        place
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("shop").join(name)
    }

    /// `program` in the project, with cas's directories.
    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.dir.path().join("shop")).env("TERM", "xterm-256color");
        for (name, directory) in [("STATE", "state"), ("RUNTIME", "run"), ("CONFIG", "config")] {
            command.env(format!("CAS_{name}_DIR"), self.dir.path().join(directory));
        }
        command
    }

    fn cas(&self, args: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_cas"), args).stdin(Stdio::null()).output().unwrap()
    }

    /// The console in a terminal of its own.
    fn console(&self) -> Session {
        let mut command = self.command("script", &["-qec", env!("CARGO_BIN_EXE_cas"), "/dev/null"]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Session(child.expect("script of bsdutils is installed"))
    }

    fn status(&self, service: &str) -> (String, String) {
        let ran = self.cas(&["status", "--json"]);
        let json: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap_or_default();
        let found = json["services"].as_array().into_iter().flatten().find(|found| found["name"] == service);
        let text = |key: &str| found.and_then(|found| found[key].as_str()).unwrap_or_default().to_owned();
        if json["engine"].is_null() { (String::new(), String::new()) } else { (text("phase"), text("why")) }
    }

    fn is(&self, service: &str, phase: &str) {
        eventually(&format!("{service} is {phase}"), || self.status(service).0 == phase);
    }
}

/// A console that does not outlive its test.
struct Session(Child);

impl Session {
    fn ends(mut self, place: &Place) {
        let down = place.cas(&["down"]);
        assert!(down.status.success(), "{}", String::from_utf8_lossy(&down.stderr));
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn a_service_stopped_by_hand_stays_stopped_at_the_next_opening_unless_its_policy_is_another() {
    let place = Place::new(
        "services:\n  kept: {command: sleep 1000, autostart: true, restart: unless-stopped}\n  other: {command: sleep 1000, autostart: true, restart: always}\n",
    );
    let console = place.console();
    place.is("kept", "running");
    place.is("other", "running");
    assert!(place.cas(&["stop", "kept", "other"]).status.success());
    console.ends(&place);

    let console = place.console();
    place.is("other", "running");
    let (phase, why) = place.status("kept");
    assert_eq!(phase, "stopped");
    assert_eq!(why, "stopped by hand before its project was closed, and restart is unless-stopped");
    assert!(place.cas(&["start", "kept"]).status.success());
    console.ends(&place);

    // That cas stopped it at its end was nobody's wish.
    let console = place.console();
    place.is("kept", "running");
    console.ends(&place);
}

#[test]
fn a_service_has_the_limit_of_open_files_that_cas_was_started_with() {
    let place = Place::new(
        "services:\n  web: {shell: \"echo mine $(ulimit -Sn); echo its $(grep 'open files' /proc/$$PPID/limits)\", restart: no}\n",
    );
    let line = format!("ulimit -Sn 300; exec {} up --no-tui --no-prefix", env!("CARGO_BIN_EXE_cas"));
    let ran = place.command("sh", &["-c", &line]).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(text.contains("mine 300\n"), "{text}");
    let its: Vec<&str> = text.lines().find(|line| line.starts_with("its ")).unwrap().split_whitespace().collect();
    assert!(its[4].parse::<u64>().unwrap() > 300, "cas raises its own: {its:?}");
}

#[test]
fn a_directory_that_is_gone_is_said_and_no_other_is_taken_for_it() {
    let place = Place::new("services: {web: {command: sleep 1}}\n");
    let line = format!("mkdir gone; cd gone; rmdir ../gone; exec {} init -y", env!("CARGO_BIN_EXE_cas"));
    let ran = place.command("sh", &["-c", &line]).output().unwrap();
    assert_eq!(ran.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("does not exist any more"), "{ran:?}");
}

#[test]
fn services_named_at_once_are_known_however_fast_the_engine_is_asked() {
    let place = Place::new("services: {web: {shell: \"true\", restart: no}, db: {shell: \"true\", restart: no}}\n");
    for _ in 0..10 {
        let ran = place.cas(&["up", "--no-tui", "db", "web"]);
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }
}

#[test]
fn reloading_a_file_that_cannot_be_taken_fails_with_its_problems_and_changes_nothing() {
    let place = Place::new("services: {web: {command: sleep 1000, autostart: true}}\n");
    let console = place.console();
    place.is("web", "running");
    assert_eq!(place.cas(&["reload"]).status.code(), Some(0));
    fs::write(place.file("cas.yaml"), "services: {web: {comand: sleep 1000}}\n").unwrap();
    let ran = place.cas(&["reload"]);
    assert_eq!(ran.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("did you mean \"command\"?"), "{ran:?}");
    place.is("web", "running");
    fs::write(place.file("cas.yaml"), "services: {web: {command: sleep 1000, autostart: true}}\n").unwrap();
    console.ends(&place);
}

#[test]
fn a_port_that_somebody_else_holds_is_noted_with_its_owner_before_anything_starts() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let place = Place::new(&format!("services:\n  web: {{ command: sleep 1000, ports: [{port}] }}\n"));
    let text = place.cas(&["check"]);
    assert!(text.status.success(), "a note hinders nothing");
    let said = String::from_utf8_lossy(&text.stderr).into_owned();
    let owner = format!("pid {}", std::process::id());
    assert!(said.contains(&format!("web: port {port} is held by")) && said.contains(&owner), "{said}");
    assert!(said.contains("cas.yaml:2:"), "{said}");
    let json: serde_json::Value = serde_json::from_slice(&place.cas(&["check", "--json"]).stdout).unwrap();
    assert!(json["notes"][0]["message"].as_str().unwrap().contains(&owner), "{json}");
    drop(taken);
    let free: serde_json::Value = serde_json::from_slice(&place.cas(&["check", "--json"]).stdout).unwrap();
    assert_eq!(free["notes"], serde_json::json!([]));
}
