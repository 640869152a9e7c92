//! Profiles, copies and clocks as the command line has them, under a daemon.

use super::{end, good, service};
use crate::{pty::terminal::Project, support::eventually};

const SERVICES: &str = "  web: {shell: 'echo copy $$CAS_REPLICA; exec sleep 1000', replicas: 2}
  mail: {command: [sleep, '1000'], profiles: [dev]}
  job: {shell: echo done, schedule: every 1s}
";

fn phase(project: &Project, name: &str) -> String {
    service(project, name)["phase"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn up_starts_what_no_profile_and_no_clock_starts_and_a_profile_joins_later() {
    let project = Project::yaml(SERVICES);
    good(&project, &["up", "--detach"]);
    assert_eq!((phase(&project, "web-1"), phase(&project, "web-2")), ("running".to_owned(), "running".to_owned()));
    let mail = service(&project, "mail");
    assert_eq!(mail["phase"], "stopped");
    assert!(mail["why"].as_str().unwrap().contains("of the profile dev"), "{mail}");
    let said = good(&project, &["up", "--detach", "--profile", "dve"]);
    assert!(said.contains("no service is of the profile dve; there are: dev"), "{said}");
    assert_eq!(phase(&project, "mail"), "stopped");
    good(&project, &["up", "--detach", "--profile", "dev"]);
    assert_eq!(phase(&project, "mail"), "running");
    end(&project);
}

#[test]
fn a_profile_that_is_active_from_the_first_on_is_still_so_after_a_reload() {
    let project = Project::yaml("  mail: {command: [sleep, '1000'], profiles: [dev], autostart: true}\n");
    good(&project, &["up", "--detach", "--profile", "dev"]);
    assert_eq!(phase(&project, "mail"), "running");
    project.write(
        "cas.yaml",
        &project.yaml_of(
            "  mail: {command: [sleep, '1000'], profiles: [dev], autostart: true}\n  more: {command: [sleep, '1000'], profiles: [dev], autostart: true}\n",
        ),
    );
    good(&project, &["reload"]);
    eventually("what is new and of it runs, too", || phase(&project, "more") == "running");
    end(&project);
}

#[test]
fn the_name_of_copies_means_all_and_a_clock_is_stopped_and_started_by_name() {
    let project = Project::yaml(SERVICES);
    good(&project, &["up", "--detach"]);
    let pids = || ["web-1", "web-2"].map(|name| service(&project, name)["pid"].as_i64());
    let before = pids();
    good(&project, &["restart", "web"]);
    let after = pids();
    assert!(
        before.iter().zip(&after).all(|(before, after)| after.is_some() && before != after),
        "{before:?} {after:?}"
    );
    let log = good(&project, &["logs", "web"]);
    assert!(log.contains("copy 1") && log.contains("copy 2"), "{log}");
    eventually("the clock has started it", || phase(&project, "job") == "completed");
    assert!(service(&project, "job")["next_at"].is_string());
    good(&project, &["stop", "job"]);
    eventually("it is suspended", || {
        let job = service(&project, "job");
        job["next_at"].is_null() && job["phase"] == "stopped"
    });
    good(&project, &["start", "job"]);
    eventually("it goes on", || service(&project, "job")["next_at"].is_string());
    end(&project);
}
