//! Faults around a daemon that runs: its clock is set, inotify is used up, its memory is limited, it is stopped for a while.

mod churn;
mod clock;
mod inotify;
mod limits;
mod memory;
mod occasions;
mod paused;
mod still;

use rustix::process::Pid;

use crate::pty::terminal::Project;

/// Runs `cas` and expects it to be content; what it said.
#[track_caller]
fn good(project: &Project, arguments: &[&str]) -> String {
    let ran = project.cas(arguments, &[]);
    assert!(ran.status.success(), "cas {arguments:?}: {ran:?}");
    format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr))
}

#[track_caller]
fn json(project: &Project, arguments: &[&str]) -> serde_json::Value {
    let ran = project.cas(arguments, &[]);
    serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

/// What `cas status` says of a service; null where no engine answers.
fn service(project: &Project, name: &str) -> serde_json::Value {
    let ran = project.cas(&["status", "--json"], &[]);
    let status: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap_or_default();
    let services = status["services"].as_array().cloned().unwrap_or_default();
    services.into_iter().find(|service| service["name"] == name).unwrap_or_default()
}

fn daemon(project: &Project) -> Option<Pid> {
    let ran = project.cas(&["daemon", "status", "--json"], &[]);
    let status: serde_json::Value = serde_json::from_slice(&ran.stdout).ok()?;
    Pid::from_raw(i32::try_from(status["pid"].as_i64()?).ok()?)
}

/// Ends the daemon and its services, and sees that nothing is left.
fn end(project: &Project) {
    good(project, &["daemon", "stop", "--down"]);
    crate::support::eventually("nothing is left", || project.relatives().is_empty());
}
