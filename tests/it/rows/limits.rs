//! A machine where no cgroup can be had: it is said which limits do not hold and why, and what stands in for that of processes holds.

use std::{
    fs,
    process::{Child, Command, Output, Stdio},
};

use rustix::process::geteuid;
use serde_json::Value;

use crate::{
    pty::terminal::{CAS, Project},
    support::eventually,
};

const NOBODY: &str = "65534";

/// `cas` by another user, or by root, where nothing is to be seen of cgroups.
struct Bare<'p> {
    project: &'p Project,
    user: Option<&'static str>,
}

impl Bare<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        const HIDE: &str = "mount -t tmpfs -o ro none /sys/fs/cgroup && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", HIDE, "sh"]);
        if let Some(user) = self.user {
            command.args(["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--"]);
        }
        command.arg(CAS).args(arguments).current_dir(self.project.root()).stdin(Stdio::null());
        command.envs(self.project.environment());
        command
    }

    fn cas(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn daemon(&self) -> Child {
        let daemon = self.command(&["daemon", "run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        eventually("the daemon answers", || self.cas(&["daemon", "status"]).status.success());
        daemon
    }

    fn service(&self, name: &str) -> Value {
        let status: Value = serde_json::from_slice(&self.cas(&["status", "--json"]).stdout).unwrap_or_default();
        let services = status["services"].as_array().cloned().unwrap_or_default();
        services.into_iter().find(|service| service["name"] == name).unwrap_or_default()
    }

    /// Why it runs, as soon as it does.
    fn why(&self, name: &str) -> String {
        eventually("it runs", || self.service(name)["phase"] == "running");
        self.service(name)["why"].as_str().unwrap().to_owned()
    }

    fn end(&self, mut daemon: Child) {
        assert!(self.cas(&["daemon", "stop", "--down"]).status.success());
        daemon.wait().unwrap();
        eventually("nothing is left", || self.project.relatives().is_empty());
    }
}

const LIMITED: &str =
    "  web: {command: [sleep, '1001'], mem_limit: 64M, cpus: 0.5, pids_limit: 7}\n  free: {command: [sleep, '1001']}\n";

#[test]
fn limits_that_root_has_no_cgroup_for_are_named_with_the_reason() {
    if !geteuid().is_root() {
        return;
    }
    let project = Project::yaml(LIMITED);
    let bare = Bare { project: &project, user: None };
    let daemon = bare.daemon();
    assert!(bare.cas(&["up", "--detach"]).status.success());
    let why = bare.why("web");
    let wanted = "its cpus and memory and pids limits do not hold: no cgroup can be made in /sys/fs/cgroup";
    assert!(why.contains(wanted) && why.contains("it does not bind root"), "{why}");
    let why = bare.why("free");
    assert!(!why.contains("limit"), "who has none is not told of them: {why}");
    bare.end(daemon);
}

#[test]
fn row_7_without_a_pids_controller_the_kernel_counts_what_the_user_has() {
    if !geteuid().is_root() {
        return;
    }
    // Bounded, lest it take the machine along where the limit does not hold.
    let many = "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 1001 & done; wait; sleep 1001";
    let project = Project::yaml(
        &format!("{LIMITED}  many: {{shell: '{many}', pids_limit: 6, restart: 'no'}}\n  free: {{shell: '{many}'}}\n")
            .replacen("  free: {command: [sleep, '1001']}\n", "", 1),
    );
    let home = project.root().parent().unwrap().to_owned();
    let owner = format!("{NOBODY}:{NOBODY}");
    assert!(Command::new("chown").args(["-R", &owner]).arg(&home).status().unwrap().success());
    let bare = Bare { project: &project, user: Some(NOBODY) };
    let daemon = bare.daemon();
    assert!(bare.cas(&["up", "--detach", "web"]).status.success());
    let why = bare.why("web");
    assert!(why.contains("its cpus and memory limits do not hold: no cgroup can be made in"), "{why}");
    assert!(
        why.contains("its pids limit is held by RLIMIT_NPROC only") && why.contains("7 more than there were"),
        "{why}"
    );
    let limits = fs::read_to_string(format!("/proc/{}/limits", bare.service("web")["pid"])).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max processes")).unwrap();
    let numbers: Vec<u64> = line.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(numbers.len() == 2 && numbers[0] == numbers[1] && (8..200).contains(&numbers[0]), "{line}");
    bare.cas(&["start", "many", "--no-wait"]);
    eventually("it is refused a process", || {
        let logs = bare.cas(&["logs", "many", "--no-prefix"]);
        String::from_utf8_lossy(&logs.stdout).to_lowercase().contains("fork")
    });
    assert!(bare.cas(&["start", "free"]).status.success());
    eventually("who has no limit has them all", || project.living("free").len() == 21);
    bare.end(daemon);
}
