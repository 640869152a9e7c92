//! The thread that looks at the machine once a second. Nothing else polls it.

use std::{
    path::PathBuf,
    sync::{Arc, mpsc as std_mpsc},
    thread,
    time::Duration,
};

use tokio::sync::mpsc;

use super::StartError;
use crate::{
    model::event::{Event, TroubleSlot},
    world::{World, clock, system::Sampler},
};

/// Keeps the thread alive; dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Running(#[expect(dead_code, reason = "its drop is what ends the thread")] std_mpsc::Sender<()>);

/// Starts the thread.
pub(super) fn start(disk_path: PathBuf, world: World, events: mpsc::Sender<Event>) -> Result<Running, StartError> {
    let mut sampler = Sampler::new(disk_path).map_err(|error| StartError::Sampler(error.to_string()))?;
    let (alive, ended) = std_mpsc::channel();
    thread::Builder::new().name("cas-sampler".to_owned()).spawn(move || {
        let period = Duration::from_secs(1);
        let mut due = clock::now();
        loop {
            let now = clock::now();
            let mut sample = sampler.sample(now, &world.watched());
            sample.runs.extend(world.container_usage());
            match events.try_send(Event::Sampled(Arc::new(sample))) {
                Ok(()) => {}
                // The engine is behind by thousands of facts: this look is dropped, the next one tells as much.
                Err(mpsc::error::TrySendError::Full(_)) => {
                    tracing::warn!(slot = ?TroubleSlot::Sampler, "a sample was dropped");
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return,
            }
            due = due.plus(period);
            if clock::now().has_reached(due) {
                // Behind (suspended, starved): skip what was missed instead of catching up in a burst.
                due = clock::now().plus(period);
            }
            match ended.recv_timeout(due.since(clock::now())) {
                Err(std_mpsc::RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(std_mpsc::RecvTimeoutError::Disconnected) => return,
            }
        }
    })?;
    Ok(Running(alive))
}
