//! The loop around an engine that has nothing to look after.

use std::{collections::BTreeMap, path::Path};

use tokio::sync::mpsc::error::TrySendError;

use super::{Config, Host, start};
use crate::{
    config::paths::Paths,
    engine::Budget,
    model::{event::Event, ids::RunId, policy::Autopilot},
};

fn idle(home: &Path) -> Host {
    let paths = Paths::from_lookup(|name| name.starts_with("CAS_").then(|| home.join(name.to_lowercase())));
    paths.ensure().unwrap();
    start(Config {
        directory: None,
        projects: Vec::new(),
        paths,
        autopilot: Autopilot::On,
        learning: false,
        auto_reload: false,
        budget: Budget::default(),
        seed: 1,
        withheld: BTreeMap::new(),
        environment: BTreeMap::new(),
        open_files: None,
        daemon: false,
        shim: "/nowhere".into(),
        gate: None,
        care: None,
        log_formats: Vec::new(),
        masks: crate::model::redact::Masks::default(),
    })
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_room_does_not_keep_an_engine_from_its_end() {
    let home = tempfile::tempdir().unwrap();
    let host = idle(home.path());
    let events = host.facts.events.upgrade().unwrap();
    let pictures = host.handle.snapshots.clone();
    // On the thread that the last flush waits for, as an answer of the store's is.
    host.facts.store.projects_then(move |_records| {
        while !pictures.borrow().engine.leaving {
            std::thread::yield_now();
        }
        let fact = || Event::LeftoversGone { run: RunId(1) };
        while !matches!(events.try_send(fact()), Err(TrySendError::Full(_) | TrySendError::Closed(_))) {}
        let _ended = events.blocking_send(fact());
    });
    host.handle.leave().await;
    host.task.await.unwrap();
}
