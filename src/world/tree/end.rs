//! Ending a whole tree. Never gives up silently: what cannot be ended is named.

use std::time::Duration;

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
        if !patience.is_zero() {
            self.signal(id, &[Signal::Term, Signal::Cont]);
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
                let killed = tokio::task::spawn_blocking(move || cage.kill()).await;
                if !matches!(killed, Ok(Ok(()))) {
                    tracing::warn!(?killed, "a cgroup was not killed as one: each of its processes is");
                }
            }
            self.signal(id, &[Signal::Kill]);
            tokio::time::sleep(Duration::from_millis(1 << round.min(5)).min(LONGEST_PAUSE)).await;
            if self.living(id).is_empty() {
                return Vec::new();
            }
        }
        self.census(id).members.into_iter().filter(Stat::is_living).map(|member| member.pid).collect()
    }
}
