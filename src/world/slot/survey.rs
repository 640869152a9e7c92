//! What the world does with whole projects: opens them, looks at their slots, closes them.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc, time::Duration};

use tokio::{sync::oneshot, task::JoinSet};

use super::{Order, RunOrder, Site, found::Trace, place, wire};
use crate::{
    model::{
        heritage::Found,
        ids::{ProjectName, RunId, ServiceId, ServiceName},
        intake::Cursor,
    },
    world::{SlotCensus, World},
};

/// What nothing but a shim can tell is waited for so long: a machine that has just begun, or is overloaded, is slow.
const LAST_PATIENCE: Duration = Duration::from_secs(20);

/// A shim that is asked to end is waited for so long.
const RETIRED_WITHIN: Duration = Duration::from_secs(3);

impl World {
    /// Says where the slots of a project are, before any of its effects. `place` is the project's key in the store, `slots` the
    /// directory that holds one directory for each service, `cursors` how far the output of each was taken in.
    pub fn open_project(
        &self,
        project: &ProjectName,
        place: Arc<str>,
        slots: PathBuf,
        cursors: BTreeMap<ServiceName, Cursor>,
    ) {
        let site = Site { place, slots, cursors: Arc::new(cursors) };
        self.shared.sites().insert(project.clone(), site);
    }

    /// Looks at all slots of an open project, in parallel: connects to their shims, and starts new ones where a run may have outlived its own.
    /// A run that is proven without its shim is told after `patience`, any other after 20 s at most: what takes longer is not touched.
    /// What is found waits for `Effect::Adopt` or `Effect::EndStray`.
    pub async fn survey(&self, project: &ProjectName, patience: Duration) -> Vec<Found> {
        let Some(site) = self.shared.sites().get(project).cloned() else { return Vec::new() };
        let mut asked = JoinSet::new();
        for service in services_in(&site.slots) {
            let seat = site.seat(&ServiceId { project: project.clone(), service: service.clone() });
            if place::state(&seat.directory).is_none() && !place::has_socket(&seat.directory) {
                continue;
            }
            let Some(slot) = self.slot(&seat.service) else { continue };
            asked.spawn_on(
                async move {
                    let (reply, answer) = oneshot::channel();
                    let asking = async {
                        slot.orders.send(Order::Survey(reply)).await.ok()?;
                        answer.await.ok()
                    };
                    tokio::pin!(asking);
                    if let Ok(found) = tokio::time::timeout(patience, &mut asking).await {
                        return found.flatten();
                    }
                    let told = |(run, state)| Found { service: seat.service.service.clone(), run, state };
                    // Its keeper goes on and has it taken over when the shim is reached.
                    if let Some(there) = Trace::proven(&seat.directory) {
                        return Some(told(there));
                    }
                    match tokio::time::timeout(LAST_PATIENCE, asking).await {
                        Ok(found) => found.flatten(),
                        // Nothing is known of it: then it is not touched.
                        Err(_late) => Trace::unknown(&seat.directory).map(told),
                    }
                },
                &self.runtime,
            );
        }
        let mut found: Vec<Found> = Vec::new();
        while let Some(answer) = asked.join_next().await {
            found.extend(answer.ok().flatten());
        }
        found.sort_by(|a, b| a.service.cmp(&b.service));
        found
    }

    /// Ends all shims of the project below which nothing runs, and lets go of its slots. Returns when they are gone, or did
    /// not end within three seconds.
    pub async fn close_project(&self, project: &ProjectName) {
        let slots: Vec<_> = {
            let mut slots = self.shared.slots();
            let services: Vec<_> = slots.keys().filter(|service| service.project == *project).cloned().collect();
            let shims: Vec<_> = services.into_iter().filter_map(|service| slots.remove(&service)).collect();
            drop(slots);
            let mut containers = self.shared.docker.slots();
            let services: Vec<_> = containers.keys().filter(|service| service.project == *project).cloned().collect();
            let containers = services.into_iter().filter_map(|service| containers.remove(&service));
            shims.into_iter().chain(containers).collect()
        };
        let mut retiring = JoinSet::new();
        for slot in slots {
            retiring.spawn_on(
                async move {
                    let (reply, retired) = oneshot::channel();
                    let asking = async {
                        if slot.orders.send(Order::Retire(reply)).await.is_ok() {
                            // An error means that its keeper has ended.
                            let _ended = retired.await;
                        }
                    };
                    let _late = tokio::time::timeout(RETIRED_WITHIN, asking).await;
                },
                &self.runtime,
            );
        }
        while retiring.join_next().await.is_some() {}
        self.shared.sites().remove(project);
        self.shared.missed_no_more(project).await;
    }

    /// Lets go of everything and ends nothing: services and shims go on, for the next engine. No event comes any more.
    pub fn release(&self) {
        self.shared.released.cancel();
    }

    /// How many slots there are, and what is connected to them.
    #[must_use]
    pub fn census(&self) -> SlotCensus {
        let slots = self.shared.slots();
        let running = self.runs().len();
        let mut census = SlotCensus { slots: slots.len(), running, ..SlotCensus::default() };
        for slot in slots.values() {
            let seen = slot.pulse.seen();
            census.shims += usize::from(seen.has_shim);
            census.adopted += usize::from(seen.is_adopted);
        }
        census
    }

    /// Types into the terminal of a run; returns when that has taken it all, which is when the service reads.
    ///
    /// # Errors
    /// A sentence: it has none, or it is gone.
    pub async fn type_in(&self, run: RunId, bytes: &[u8]) -> Result<(), String> {
        self.has_tty(run)?;
        let running = self.shared.running(run).ok_or("it does not run any more")?;
        for piece in bytes.chunks(wire::INPUT_BYTES) {
            let (typed, has_typed) = oneshot::channel();
            let order = Order::Run(run, RunOrder::Input(piece.to_owned(), typed));
            running.orders.send(order).await.map_err(|_| "it was let go of".to_owned())?;
            has_typed.await.map_err(|_| "it does not run any more, or its shim was replaced".to_owned())?;
        }
        Ok(())
    }

    /// Tells the terminal of a run its size.
    ///
    /// # Errors
    /// As [`Self::type_in`].
    pub fn resize_tty(&self, run: RunId, rows: u16, columns: u16) -> Result<(), String> {
        self.has_tty(run)?;
        self.try_order(run, RunOrder::Resize(rows, columns))
    }

    fn has_tty(&self, run: RunId) -> Result<(), String> {
        let running = self.shared.running(run).ok_or("it does not run any more")?;
        let has_tty = running.spec.is_some_and(|spec| spec.tty);
        if has_tty { Ok(()) } else { Err("it has no terminal (tty: true would give it one)".to_owned()) }
    }

    fn try_order(&self, run: RunId, order: RunOrder) -> Result<(), String> {
        let running = self.shared.running(run).ok_or("it does not run any more")?;
        running.orders.try_send(Order::Run(run, order)).map_err(|_| "it does not read what was typed".to_owned())
    }
}

/// The services that have a directory among the slots.
fn services_in(slots: &std::path::Path) -> Vec<ServiceName> {
    let Ok(entries) = fs::read_dir(slots) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| ServiceName::new(&name).ok()).collect()
}
