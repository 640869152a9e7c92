//! Containers: the engine of containers as one more thing that runs services.
//!
//! Promise: whatever the engine does (absent, hung, started anew), processes are not affected, and containers come back by themselves when it does.
//! Never: takes a container for a service's that its labels do not say is; heals what Docker's own restart policy heals.

mod birth;
mod call;
mod deeds;
mod disk;
mod ending;
pub mod endpoint;
mod exec;
mod follow;
mod image;
mod keeper;
mod labels;
mod link;
mod look;
mod make;
mod raw;
mod record;
mod registry;
mod roster;
mod scribe;
pub mod session;
mod ssh;
mod survey;
mod tarball;
mod tls;
mod typing;
mod usage;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use bollard::{errors::Error, models::ContainerSummary, query_parameters::ListContainersOptions};
use tokio::sync::{Notify, broadcast, watch};

use self::call::{ANSWER, Failure, silence};
pub(in crate::world) use self::{deeds::perform, exec::ask, keeper::Keeper, link::keep};
use super::{Shared, Slot, lock};
use crate::model::{
    container::{ContainerUsage, Reach},
    ids::{RunId, ServiceId},
    metric::RunUsage,
};

/// Happenings that may wait for a keeper; one that is further behind looks again at its container.
const HAPPENINGS: usize = 1024;
/// So many calls in a row that are not answered in time open the breaker.
const LATE_CALLS: u32 = 2;
/// So often an answer in other words than Docker's is asked for again, and after how long.
const WORDS_AGAIN: u32 = 40;
const WORDS_PAUSE: Duration = Duration::from_millis(50);

/// The engine as it stands, and the way to it.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    pub(super) reach: Reach,
    client: Option<bollard::Docker>,
    /// It runs on this machine: its numbers of processes are ours.
    is_local: bool,
}

/// Something that the engine told of a container, or that all may have changed.
#[derive(Debug, Clone)]
pub(super) enum Happening {
    /// The connection is new: what happened meanwhile nobody told.
    Anew,
    /// Of one container.
    Of {
        /// Its whole id.
        id: String,
        /// `die`, `start`, `health_status: healthy` …
        action: String,
        /// Compose's project, service and number by its labels, where it has them.
        labels: Option<(String, String, u32)>,
    },
}

/// Podman calls `stopped` what has just ended, until it is cleared away: a word that Docker does not have, and for which its whole answer cannot be read. It is asked
/// again.
async fn in_words_of_docker<T, F>(ask: impl Fn() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    for _ in 0..WORDS_AGAIN {
        match ask().await {
            Err(Failure::Odd(why)) if why.contains("`stopped`") => tokio::time::sleep(WORDS_PAUSE).await,
            answer => return answer,
        }
    }
    ask().await
}

/// Everything of one engine.
pub(super) struct Docker {
    lookup: endpoint::Lookup,
    standing: watch::Sender<Standing>,
    late: AtomicU32,
    /// Look again now.
    poke: Notify,
    happenings: broadcast::Sender<Happening>,
    /// Some service is a container: its absence is trouble.
    is_wanted: AtomicBool,
    slots: Mutex<HashMap<ServiceId, Slot>>,
    usage: Mutex<HashMap<String, ContainerUsage>>,
    /// Which container is which run.
    owners: Mutex<HashMap<String, (ServiceId, RunId)>>,
    /// What its own health check says of a container.
    health: Mutex<HashMap<RunId, look::OwnHealth>>,
    /// Say again who is who.
    stale: Notify,
    /// Whoever makes a network: Docker makes a second of the same name where it is asked twice.
    networks: tokio::sync::Mutex<()>,
}

/// Before this much time an engine that was never asked is not taken for absent.
const FIRST_LOOK: Duration = Duration::from_secs(6);

/// Why the container of a service cannot be started now, a sentence; none where nothing is known against it, or it is none.
pub(super) async fn obstacle_of(shared: &Shared, service: &ServiceId) -> Option<String> {
    if !shared.docker.slots().contains_key(service) {
        return None;
    }
    let why = shared.docker.settled(FIRST_LOOK).await.err()?;
    Some(format!("Docker is not reachable: {why}"))
}

impl fmt::Debug for Docker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Docker").field("reach", &self.standing.borrow().reach).finish_non_exhaustive()
    }
}

impl Docker {
    pub(super) fn new(lookup: endpoint::Lookup) -> Self {
        Self {
            lookup,
            standing: watch::Sender::new(Standing::default()),
            late: AtomicU32::new(0),
            poke: Notify::new(),
            happenings: broadcast::Sender::new(HAPPENINGS),
            is_wanted: AtomicBool::new(false),
            slots: Mutex::default(),
            usage: Mutex::default(),
            owners: Mutex::default(),
            health: Mutex::default(),
            stale: Notify::new(),
            networks: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn slots(&self) -> MutexGuard<'_, HashMap<ServiceId, Slot>> {
        lock(&self.slots)
    }

    /// Why it cannot be used now, a clause; none where it can.
    pub(super) fn obstacle(&self) -> Option<String> {
        self.standing.borrow().reach.obstacle()
    }

    /// A service that is a container is in an open project.
    pub(super) fn want(&self) {
        if !self.is_wanted.swap(true, Ordering::Relaxed) {
            self.poke.notify_one();
        }
    }

    /// Waits until it is known whether it can be reached, at most so long; why it cannot.
    pub(super) async fn settled(&self, within: Duration) -> Result<(), String> {
        let mut standing = self.standing.subscribe();
        let known = standing.wait_for(|standing| standing.reach != Reach::Unknown);
        let _late = tokio::time::timeout(within, known).await;
        self.obstacle().map_or(Ok(()), Err)
    }

    /// Asks the engine; at once an error while it is known to be away.
    async fn call<T, F>(&self, within: Duration, ask: impl FnOnce(bollard::Docker) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let Some(client) = self.client() else {
            return Err(Failure::Away(self.obstacle().unwrap_or_else(|| "its connection is being made".to_owned())));
        };
        let result = match tokio::time::timeout(within, ask(client)).await {
            Ok(result) => result.map_err(|error| Failure::of(&error)),
            Err(_late) => Err(Failure::Away(silence(within))),
        };
        match &result {
            Err(Failure::Away(_)) => {
                // The heartbeat looks at once; where calls hang and it does not answer either, nobody asks any more.
                if self.late.fetch_add(1, Ordering::Relaxed) + 1 >= LATE_CALLS {
                    self.poke.notify_one();
                }
            }
            Ok(_) | Err(Failure::Refused { .. } | Failure::Odd(_)) => self.late.store(0, Ordering::Relaxed),
        }
        result
    }

    /// The way to it, for what streams.
    fn client(&self) -> Option<bollard::Docker> {
        self.standing.borrow().client.clone()
    }

    /// What the containers use that are runs.
    pub(super) fn usage_of_runs(&self) -> Vec<(RunId, RunUsage)> {
        let (owners, usage) = (lock(&self.owners), lock(&self.usage));
        let of = |(id, (_, run)): (&String, &(ServiceId, RunId))| {
            let used = usage.get(id)?;
            Some((
                *run,
                RunUsage {
                    cpu_percent: used.cpu_percent,
                    memory_bytes: used.memory_bytes,
                    // Docker counts both as one.
                    processes: used.pids,
                    threads: used.pids,
                },
            ))
        };
        owners.iter().filter_map(of).collect()
    }

    fn is_local(&self) -> bool {
        self.standing.borrow().is_local
    }

    async fn list(&self, options: ListContainersOptions) -> Result<Vec<ContainerSummary>, Failure> {
        let ask = || {
            let options = options.clone();
            self.call(ANSWER, |docker| async move { docker.list_containers(Some(options)).await })
        };
        in_words_of_docker(ask).await
    }

    async fn inspect(&self, id: &str) -> Result<bollard::models::ContainerInspectResponse, Failure> {
        let ask = || self.call(ANSWER, |docker| async move { docker.inspect_container(id, None).await });
        in_words_of_docker(ask).await
    }
}
