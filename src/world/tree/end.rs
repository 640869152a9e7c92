//! Ending a whole tree. Never gives up silently: what cannot be ended is named.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{Forest, TreeId, stat::Stat};
use crate::{model::signal::Signal, world::clock};

/// Rounds of SIGKILL before the rest counts as impossible to end (it waits for a device, or belongs to another user).
const KILL_ROUNDS: u32 = 50;
/// Longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

impl Forest {
    /// SIGTERM and `patience` (unless zero), then SIGKILL until nothing is left or all rounds are over. Returns the
    /// numbers of those that still run.
    pub(in crate::world) async fn end(&self, id: TreeId, patience: Duration) -> Vec<u32> {
        let Some(blow) = self.blow(id) else { return Vec::new() };
        if !patience.is_zero() {
            blow.deliver(|| self.signal(id, &[Signal::Term, Signal::Cont]));
            let deadline = clock::now().plus(patience);
            let mut pause = Duration::from_millis(1);
            loop {
                if self.living(id).is_empty() {
                    return Vec::new();
                }
                let left = deadline.since(clock::now());
                if left.is_zero() {
                    break;
                }
                tokio::time::sleep(pause.min(left)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        for round in 0..KILL_ROUNDS {
            if let Some(cage) = self.cage(id) {
                // Where the kernel cannot kill a cgroup as one, this takes its time.
                let blow = blow.clone();
                let killed = tokio::task::spawn_blocking(move || blow.deliver(|| cage.kill())).await;
                if !matches!(killed, Ok(None | Some(Ok(())))) {
                    tracing::warn!(?killed, "a cgroup was not killed as one: each of its processes is");
                }
            }
            blow.deliver(|| self.signal(id, &[Signal::Kill]));
            tokio::time::sleep(Duration::from_millis(1 << round.min(5)).min(LONGEST_PAUSE)).await;
            if self.living(id).is_empty() {
                return Vec::new();
            }
        }
        self.census(id).members.into_iter().filter(Stat::is_living).map(|member| member.pid).collect()
    }

    fn blow(&self, id: TreeId) -> Option<Blow> {
        Some(Blow(Arc::clone(&self.table().trees.get(&id)?.is_over)))
    }
}

/// What may hit a tree for as long as it is not forgotten. The end of a run goes on beside its keeper, and that nothing of the run is left may be
/// learned elsewhere first: a blow that was under way then would hit the next run, which has a cgroup of the same path.
#[derive(Debug, Clone)]
struct Blow(Arc<Mutex<bool>>);

impl Blow {
    /// Does it, unless the tree is forgotten; forgetting waits meanwhile.
    fn deliver<T>(&self, hit: impl FnOnce() -> T) -> Option<T> {
        let is_over = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (!*is_over).then(hit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blow_that_comes_after_its_tree_was_forgotten_hits_nobody() {
        let forest = Forest::new();
        let id = forest.plant_run("of a test".to_owned());
        let late = forest.blow(id).expect("it was planted");
        assert_eq!(late.deliver(|| "hit"), Some("hit"));
        forest.forget(id);
        assert_eq!(late.deliver(|| "hit"), None);
        assert!(forest.blow(id).is_none());
    }
}
