//! Zombies that came to us because their parents died. Never waits for a child that somebody in this process made.

use std::{collections::HashSet, sync::Weak, time::Duration};

use rustix::process::{self, Pid, WaitId, WaitIdOptions};
use tokio::signal::unix::{SignalKind, signal};

use super::{Forest, Identity, census::Kin, stat::Stat};
use crate::world::{Shared, clock};

/// A burst of ends is one sweep.
const SETTLE: Duration = Duration::from_millis(100);
/// A zombie of a foreign session that nobody has waited for in this time has nobody who will.
const UNCLAIMED: Duration = Duration::from_secs(10);

impl Forest {
    /// Waits for every zombie that is certainly an orphan. True where another look is due in [`UNCLAIMED`].
    fn reap(&self) -> bool {
        // A main process that was made this instant is not in the table yet: do not look now.
        let Ok(_nobody_launches) = self.launching.try_write() else { return true };
        let now = clock::now();
        let own_session = Stat::read(self.me).map_or(0, |me| me.session);
        let orphans = self.orphans();
        let mut unclaimed = HashSet::new();
        for orphan in &orphans {
            let identity = (orphan.pid, orphan.start);
            let tree = match self.tree_of_orphan(orphan) {
                Kin::Of(id) => Some(id),
                Kin::Foreign | Kin::Unclear => None,
            };
            if orphan.is_living() {
                // Remembered while its environment can still be read.
                if let Some(id) = tree
                    && let Some(tree) = self.table().trees.get_mut(&id)
                {
                    tree.known.insert(identity);
                }
            } else if tree.is_some() || self.table().buried.contains(&identity) {
                wait_for(orphan.pid);
            } else if orphan.session != own_session {
                let since = *self.table().unclaimed.entry(identity).or_insert(now);
                if now.since(since) >= UNCLAIMED {
                    wait_for(orphan.pid);
                } else {
                    unclaimed.insert(identity);
                }
            }
        }
        let present: HashSet<Identity> = orphans.iter().map(|orphan| (orphan.pid, orphan.start)).collect();
        let mut table = self.table();
        table.buried.retain(|identity| present.contains(identity));
        table.unclaimed.retain(|identity, _| unclaimed.contains(identity));
        !unclaimed.is_empty()
    }
}

fn wait_for(pid: u32) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        // Somebody else was quicker: it is gone, which was wanted.
        let _gone = process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    }
}

/// Reaps whenever a child of ours ended, for as long as the world is there.
pub(in crate::world) async fn sweep(world: Weak<Shared>) {
    let Ok(mut ends) = signal(SignalKind::child()) else { return };
    let mut look_again = false;
    loop {
        if look_again {
            // Either is reason enough to look.
            let _either = tokio::time::timeout(UNCLAIMED, ends.recv()).await;
        } else if ends.recv().await.is_none() {
            return;
        }
        tokio::time::sleep(SETTLE).await;
        let Some(shared) = world.upgrade() else { return };
        look_again = shared.forest.reap();
    }
}
