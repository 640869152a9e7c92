//! Many at once.

use std::{collections::HashSet, time::Duration};

use cas::model::{effect::Effect, phase::Exit, service::CommandLine, signal::Signal};

use super::rig::{Rig, is_living};

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_services_come_and_go() {
    let mut rig = Rig::new();
    let sleep = || CommandLine::Argv(vec!["sleep".to_owned(), "1000".to_owned()]);
    let runs: Vec<_> = (0..300).map(|number| rig.start_spec(rig.spec(&format!("s{number}"), sleep()))).collect();
    let mut pids = HashSet::new();
    for run in &runs {
        pids.insert(rig.spawned(*run).await);
    }
    assert_eq!(pids.len(), runs.len());
    assert_eq!(rig.world.runs().into_iter().map(|(_, pid)| pid).collect::<HashSet<_>>(), pids);
    let (stopped, ended) = runs.split_at(150);
    for run in stopped {
        rig.world.perform(Effect::StopTree { run: *run, signal: Signal::Term });
    }
    for run in ended {
        rig.world.perform(Effect::EndTree { run: *run, patience: Duration::ZERO });
    }
    for run in stopped {
        assert_eq!(rig.exited(*run).await.exit, Exit::Signal(15));
    }
    for run in ended {
        assert_eq!(rig.exited(*run).await.exit, Exit::Signal(9));
    }
    assert!(rig.world.runs().is_empty());
    assert!(!pids.into_iter().any(is_living));
}
