//! What must hold of every snapshot and every entry.

use std::sync::Arc;

use cas::model::{
    phase::{Health, Phase},
    service::ServiceSpec,
    snapshot::Snapshot,
    timeline::{Entry, What},
};

/// The newest entries, for a message.
pub(super) fn tale(entries: &[Arc<Entry>]) -> String {
    let newest = entries.iter().rev().take(30).rev();
    let lines = newest.map(|entry| {
        let service = entry.service.as_ref().map_or("", |service| service.as_str());
        format!("\n{} {service} {} ({})", entry.at.mono_us / 1000, entry.sentence(), entry.why)
    });
    lines.collect()
}

/// What an entry says is within what its service allows.
pub(super) fn check_entry(entry: &Entry, spec: &ServiceSpec) {
    if let What::RestartScheduled { delay, attempt } = &entry.what {
        assert!(*delay <= spec.backoff.bound(*attempt), "{} waits {delay:?} before restart {attempt}", spec.id);
        assert!(*delay <= spec.backoff.ceiling);
    }
    if let What::GaveUp { attempts } = &entry.what {
        assert_eq!(*attempts, spec.backoff.give_up_after, "{} gives up late", spec.id);
    }
}

pub(super) fn check_snapshot(snapshot: &Snapshot) {
    for service in &snapshot.services {
        let name = &service.id;
        assert!(!service.why.is_empty(), "{name}: no why");
        match &service.phase {
            Phase::Waiting { holds, .. } => assert!(!holds.is_empty(), "{name} waits for nothing"),
            Phase::Blocked { holders, .. } => assert!(!holders.is_empty(), "{name} is blocked by nothing"),
            Phase::BackingOff { since, until, attempt, .. } => {
                assert!(until.mono_us > since.mono_us && *attempt > 0, "{name}");
            }
            Phase::Stopped { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Exited { .. }
            | Phase::GaveUp { .. } => {}
        }
        assert_eq!(service.phase.run(), service.run, "{name}: phase and run disagree");
        if service.run.is_none() {
            assert_eq!(service.health, Health::Unknown, "{name}: health of nothing");
        }
    }
}
