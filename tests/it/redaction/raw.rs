//! `cas logs --raw`: for who may act, and never without a word on the timeline.

use cas::{
    host::veil::Veil,
    model::{
        project::ProjectSpec,
        redact::{Masks, Redactor},
    },
};

use super::{get, sockets};
use crate::{
    daemon::{good, json, nothing_is_left, service},
    pty::terminal::Project,
    support::eventually,
};

const WEB: &str = "  web: {shell: 'echo password=hunter2; echo ready; sleep 1000'}\n";

fn output(project: &Project, arguments: &[&str]) -> String {
    String::from_utf8_lossy(&project.cas(arguments, &[]).stdout).into_owned()
}

#[test]
fn raw_output_is_for_who_may_act_and_the_timeline_tells() {
    let project = Project::yaml(WEB);
    good(&project, &["up", "--detach"]);
    eventually("it has written", || output(&project, &["logs"]).contains("ready"));
    assert!(output(&project, &["logs"]).contains("password=‹redacted:password›"));
    let events = || output(&project, &["events"]);
    assert!(!events().contains("logs --raw"));

    let refused = project.cas(&["--read-only", "logs", "--raw"], &[]);
    assert!(!refused.status.success(), "{refused:?}");
    assert!(refused.stdout.is_empty());
    let [socket, shows] = sockets(&project);
    let refused = get(&shows, "/v1/logs?raw=true");
    assert!(refused.starts_with("HTTP/1.1 403") && !refused.contains("hunter2"), "{refused}");
    assert!(!events().contains("logs --raw"), "nothing was shown, nothing is told");

    assert!(output(&project, &["logs", "--raw"]).contains("password=hunter2"));
    eventually("it is told", || events().matches("logs --raw").count() == 1);
    assert!(get(&socket, "/v1/logs?raw=true&since=1h").contains("password=hunter2"));
    eventually("it is told again", || events().matches("logs --raw").count() == 2);
    let told = output(&project, &["events", "--json"]);
    let told = told.lines().find(|line| line.contains("logs --raw")).unwrap();
    let told: serde_json::Value = serde_json::from_str(told).unwrap();
    assert!(told["detail"]["from"]["pid"].is_u64(), "who it was: {told}");
    assert!(!output(&project, &["logs"]).contains("hunter2"));

    good(&project, &["down"]);
    good(&project, &["daemon", "stop"]);
    assert!(output(&project, &["logs", "--raw"]).contains("password=hunter2"), "without an engine, too");
    assert_eq!(events().matches("logs --raw").count(), 3);
    nothing_is_left(&project);
}

#[test]
fn an_edited_secret_is_known_after_the_reload_and_the_old_one_still_is() {
    let services = |secret: &str| {
        format!(
            "  web:\n    shell: 'echo value $$APP_SECRET end; sleep 1000'\n    environment: {{APP_SECRET: {secret}}}\n"
        )
    };
    let project = Project::yaml(&services("first-canary"));
    good(&project, &["up", "--detach"]);
    eventually("it has written", || output(&project, &["logs"]).contains("value"));
    project.write("cas.yaml", &project.yaml_of(&services("second-canary")));
    good(&project, &["reload"]);
    let [socket, _] = sockets(&project);
    eventually("the new one runs", || get(&socket, "/v1/logs").matches("value ").count() == 2);
    let said = get(&socket, "/v1/logs?since=1h");
    assert!(!said.contains("canary") && said.matches("‹redacted:APP_SECRET›").count() == 2, "{said}");
    eventually("it runs", || service(&project, "web")["phase"] == "running");
    assert_eq!(json(&project, &["status", "--json"])["services"].as_array().unwrap().len(), 1);
    good(&project, &["daemon", "stop", "--down"]);
    nothing_is_left(&project);
}

#[test]
fn what_was_learned_stays_known() {
    let load = |value: &str| -> ProjectSpec {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("cas.yaml");
        std::fs::write(&file, format!("services:\n  web: {{command: ['true'], environment: {{MY_TOKEN: {value}}}}}\n"))
            .unwrap();
        let path = std::env::var("PATH").unwrap();
        cas::config::load(&file, None, &[("PATH".to_owned(), path)].into()).project.unwrap()
    };
    let veil = Veil::of(&[("OWN_SECRET".to_owned(), "third-value".to_owned())].into(), &Masks::default());
    veil.learn(&load("first-value"));
    veil.learn(&load("second-value"));
    let redactor = veil.redactor().unwrap();
    for known in ["first-value", "second-value", "third-value"] {
        assert!(!redactor.text(known).contains(known), "{known}");
    }
    assert_eq!(Redactor::default().text("first-value"), "first-value");
    assert!(Veil::none().redactor().is_none());
}
