//! Whether shims take output away. Never asks a shim that does: a full FIFO is seen from outside.

use std::{
    os::fd::OwnedFd,
    sync::{Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use super::Order;
use crate::{
    model::{event::Event, time::Timestamp},
    world::{Shared, clock},
};

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// A FIFO that is fuller than three quarters for so long is looked into.
const FULL_FOR: Duration = Duration::from_secs(5);

/// What others may see of a slot.
#[derive(Debug, Default)]
pub(in crate::world) struct Pulse(Mutex<Seen>);

#[derive(Debug, Default)]
pub(in crate::world) struct Seen {
    /// The FIFOs, held open so that nothing in them is lost.
    pub(super) fifos: Vec<OwnedFd>,
    /// A shim is connected.
    pub(in crate::world) has_shim: bool,
    /// Its run was taken over from an earlier engine.
    pub(in crate::world) is_adopted: bool,
    full_since: Option<Timestamp>,
}

impl Pulse {
    /// A look, or a change.
    pub(in crate::world) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn has_long_been_full(&mut self, now: Timestamp) -> bool {
        if !self.fifos.iter().any(is_nearly_full) {
            self.full_since = None;
            return false;
        }
        now.since(*self.full_since.get_or_insert(now)) >= FULL_FOR
    }
}

fn is_nearly_full(fifo: &OwnedFd) -> bool {
    let waiting = rustix::io::ioctl_fionread(fifo).unwrap_or(0);
    // Most are empty, and then one call is enough.
    waiting > 4096 && rustix::pipe::fcntl_getpipe_size(fifo).is_ok_and(|size| waiting > size as u64 * 3 / 4)
}

/// Looks at all slots once a second, for as long as the world is there.
pub(in crate::world) async fn watch(world: Weak<Shared>) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let Some(shared) = world.upgrade() else { return };
        if shared.released.is_cancelled() {
            return;
        }
        let now = clock::now();
        for slot in shared.slots().values() {
            if slot.pulse.seen().has_long_been_full(now) {
                // Where its orders wait, it has enough to do: it is asked again in a second.
                let _later = slot.orders.try_send(Order::Look);
            }
        }
        for (run, tree) in shared.left_behind() {
            // It may walk all processes.
            if tokio::task::block_in_place(|| shared.forest.leftover(tree)) == 0 {
                // Its end may be under way still, and must be over before the next run begins.
                tokio::task::block_in_place(|| shared.forget(run));
                shared.tell(Event::LeftoversGone { run }).await;
            }
        }
    }
}
