//! A service that somebody stopped with SIGSTOP looks alive and does nothing: it is named, and no more when it goes on.

use rustix::process::{Pid, Signal, kill_process};

use super::{end, good, service};
use crate::{pty::terminal::Project, support::eventually};

#[test]
fn row_60_a_service_that_was_sent_sigstop_is_named_until_it_is_continued() {
    // One that sleeps, and one whose children go on without it.
    let project = Project::yaml(
        "  web: {command: [sleep, '1001']}\n  busy: {shell: '(while :; do sleep 0.02; done) & while :; do sleep 0.02; done'}\n",
    );
    good(&project, &["up", "--detach"]);
    let why = |name: &str| service(&project, name)["why"].as_str().unwrap_or_default().to_owned();
    let mains = ["web", "busy"].map(|name| {
        eventually("it runs", || service(&project, name)["phase"] == "running");
        Pid::from_raw(i32::try_from(service(&project, name)["pid"].as_i64().unwrap()).unwrap()).unwrap()
    });
    for main in mains {
        kill_process(main, Signal::STOP).unwrap();
    }
    for (name, main) in ["web", "busy"].iter().zip(mains) {
        let wanted = format!("kill -CONT {} continues it", main.as_raw_nonzero());
        eventually("it is named", || why(name).contains("(SIGSTOP) since ") && why(name).ends_with(&wanted));
        assert_eq!(service(&project, name)["phase"], "running");
    }
    for main in mains {
        kill_process(main, Signal::CONT).unwrap();
    }
    for name in ["web", "busy"] {
        eventually("it goes on", || !why(name).contains("SIGSTOP"));
        let events = good(&project, &["events", name]);
        assert_eq!(events.matches("stopped by a signal (SIGSTOP), pid").count(), 1, "{events}");
        eventually("and that is told", || {
            good(&project, &["events", name]).contains("goes on after it was stopped for")
        });
    }
    kill_process(mains[0], Signal::STOP).unwrap();
    good(&project, &["stop", "web"]);
    end(&project);
}
