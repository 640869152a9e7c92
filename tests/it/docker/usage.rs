//! What containers use that are no service's.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test says what it expects by failing")]

use cas::model::{
    container::{ContainerUsage, ContainerView},
    event::Event,
};

use super::{
    dockerd::{self, IMAGE},
    run::rig,
};
use crate::process::rig::Rig;

/// What the container of that name uses, as soon as it is told to be as it `fits`.
async fn told(rig: &mut Rig, name: &str, fits: impl Fn(&ContainerView) -> bool) -> Option<ContainerUsage> {
    rig.event(&format!("use of {name}"), |event| match event {
        Event::ContainersListed(views) => {
            views.iter().find(|view| view.name == name && fits(view)).map(|view| view.usage)
        }
        _ => None,
    })
    .await
}

/// A container that runs `line` and is nobody's.
fn run(name: &str, line: &str) {
    let named = format!("--name={name}");
    dockerd::shared().ask(&["run", "-d", "--network=none", "--memory=64m", &named, IMAGE, "sh", "-c", line]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_container_of_nobody_uses_is_told_while_it_runs_and_no_longer() {
    let docker = dockerd::shared();
    let mut rig = rig();
    run("unowned", "while :; do :; done");
    let is_busy = |view: &ContainerView| view.usage.is_some_and(|usage| usage.cpu_percent > 1.0);
    let used = told(&mut rig, "unowned", is_busy).await.unwrap();
    assert!(used.memory_bytes > 0 && used.memory_limit_bytes == 64 << 20 && used.pids == 1, "{used:?}");
    docker.ask(&["kill", "unowned"]);
    assert_eq!(told(&mut rig, "unowned", |view| view.state == "exited" && view.usage.is_none()).await, None);
    // One that is started again is listened to again.
    docker.ask(&["update", "--memory=32m", "--memory-swap=32m", "unowned"]);
    docker.ask(&["start", "unowned"]);
    let limited = |view: &ContainerView| view.usage.is_some_and(|usage| usage.memory_limit_bytes == 32 << 20);
    assert!(told(&mut rig, "unowned", limited).await.is_some());
    docker.ask(&["rm", "-f", "unowned"]);
}
