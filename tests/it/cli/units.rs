//! `cas daemon install` and `uninstall`, against a scripted systemd.

use std::cell::Cell;

use cas::cli::{outcome::Outcome, outside::Ran as Tool};

use super::{
    fake::{Fake, run},
    fixture,
};

fn here() -> Fake {
    Fake { project: Some(fixture::project()), ..Fake::default() }
}

#[tokio::test]
async fn a_unit_is_written_enabled_and_removed_and_one_of_somebody_else_stays() {
    let home = tempfile::tempdir().unwrap();
    let units = home.path().join("systemd/user");
    let outside = Fake { units: units.clone(), ..here() };
    let ran = run(&outside, "cas daemon install").await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.stderr);
    assert!(ran.stderr.contains("loginctl enable-linger"), "{}", ran.stderr);
    let unit = std::fs::read_to_string(units.join("cas.service")).unwrap();
    assert!(unit.contains("ExecStart=/bin/cas daemon run\n"));
    assert_eq!(
        *outside.tools.borrow(),
        [
            "systemctl --user show-environment",
            "systemctl --user daemon-reload",
            "systemctl --user enable --now cas.service"
        ]
    );
    assert_eq!(run(&outside, "cas daemon install").await.outcome, Outcome::Ok, "twice is once");
    assert_eq!(run(&outside, "cas daemon uninstall").await.outcome, Outcome::Ok);
    assert!(!units.join("cas.service").exists());
    assert!(outside.tools.borrow().contains(&"systemctl --user disable --now cas.service".to_owned()));

    std::fs::write(units.join("cas.service"), "[Service]\nExecStart=/opt/mine\n").unwrap();
    for line in ["cas daemon install", "cas daemon uninstall"] {
        assert_eq!(run(&outside, line).await.outcome, Outcome::Refused, "{line}");
    }
    assert!(std::fs::read_to_string(units.join("cas.service")).unwrap().contains("/opt/mine"));
}

#[tokio::test]
async fn without_systemd_the_unit_is_printed_and_nothing_is_written() {
    let home = tempfile::tempdir().unwrap();
    let outside = Fake { units: home.path().to_owned(), tool: Some(Tool::Missing), ..here() };
    let ran = run(&outside, "cas daemon install").await;
    assert_eq!(ran.outcome, Outcome::Failed);
    assert!(ran.stdout.contains("KillMode=process") && ran.stderr.contains("@reboot"), "{}", ran.stderr);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    let ran = run(&outside, "cas daemon install --print").await;
    assert!(ran.outcome == Outcome::Ok && ran.stdout.contains("Delegate=yes"));
    let ran = run(&outside, "cas daemon install --launchd").await;
    assert!(ran.outcome == Outcome::Ok && ran.stdout.contains("AbandonProcessGroup"));
}

#[tokio::test]
async fn a_daemon_that_runs_already_hands_over_to_the_unit() {
    let home = tempfile::tempdir().unwrap();
    let fault = Some("this engine is cas 9.0.0 and speaks version 9".to_owned());
    let outside = Fake { units: home.path().to_owned(), daemon_fault: fault, daemon_runs: Cell::new(true), ..here() };
    let ran = run(&outside, "cas daemon install").await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.stderr);
    assert!(ran.stderr.contains("the daemon that ran (pid 77) hands over"), "{}", ran.stderr);
    assert!(!outside.daemon_runs.get(), "systemd's would find the lock taken");
    let tools = outside.tools.borrow().join("; ");
    assert!(tools.contains("SIGTERM; systemctl --user daemon-reload; systemctl --user enable --now"), "{tools}");
}
