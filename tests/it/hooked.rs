//! Hooks with the real program.

use std::{
    fs,
    process::{Command, Output, Stdio},
};

const YAML: &str = r#"
services:
  good:
    command: sh -c 'cat made && exit 0'
    pre_start:
      - echo hello > made
      - [sh, -c, "echo prepared $$CAS_HOOK for $$CAS_SERVICE"]
    restart: no
  bad:
    command: sleep 1000
    pre_start: {shell: "echo password=hunter2hunter2; exit 3", timeout: 50s}
    on_failure: {shell: 'echo "$$CAS_REASON" > reason', timeout: 50s}
    restart: no
"#;

#[test]
fn hooks_run_around_services_and_the_timeline_tells_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().join("shop");
    fs::create_dir(&project).unwrap();
    fs::create_dir(dir.path().join("config")).unwrap();
    fs::write(project.join("cas.yaml"), YAML).unwrap();
    let cas = |args: &[&str]| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cas"));
        command.args(args).current_dir(&project).stdin(Stdio::null());
        for (name, directory) in [("STATE", "state"), ("RUNTIME", "run"), ("CONFIG", "config")] {
            command.env(format!("CAS_{name}_DIR"), dir.path().join(directory));
        }
        command.output().unwrap()
    };
    let up = cas(&["up", "good", "bad"]);
    let said = format!("{}{}", String::from_utf8_lossy(&up.stdout), String::from_utf8_lossy(&up.stderr));
    assert!(!up.status.success(), "one of them cannot be started: {said}");
    assert!(said.contains("hello"), "{said}");
    let reason = fs::read_to_string(project.join("reason")).unwrap();
    assert!(reason.starts_with("bad could not be started: its pre_start failed:"), "{reason}");

    let events = String::from_utf8(cas(&["events"]).stdout).unwrap();
    for told in ["pre_start done after", "prepared pre_start for shop/good", "exit code 3", "on_failure done after"] {
        assert!(events.contains(told), "{told:?} is not in\n{events}");
    }
    assert!(events.contains("password=") && !events.contains("hunter2hunter2"), "{events}");
}
