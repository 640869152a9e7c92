//! All containers of the engine, for people. Promise: what was told to have changed is asked for once a burst, and nothing else is; what those that run
//! use is listened to, and told at most once a second. Never: a value of a variable.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bollard::{
    models::{ContainerInspectResponse, PortMap},
    query_parameters::ListContainersOptions,
};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::{Docker, Happening, call::quoted, labels, look::healer_of, usage};
use crate::{
    model::{
        container::{ContainerView, Healer},
        event::Event,
        text::plain,
    },
    world::{Shared, lock},
};

/// So many containers are shown.
const MOST: usize = 500;
/// So many ports, mounts and names of variables of one.
const MOST_PARTS: usize = 100;
/// For ever, as far as anybody waits.
const NEVER: Duration = Duration::from_hours(24);
/// While something is shown whose use changes.
const USAGE: Duration = Duration::from_secs(1);
/// Of so many that are no runs it is listened to what they use.
const MOST_LISTENED: usize = 100;
/// One that stopped saying so is asked again after this.
const DEAF: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Roster {
    views: BTreeMap<String, Arc<ContainerView>>,
    stale: BTreeSet<String>,
    is_stale: bool,
    has_changed: bool,
    /// Those that run and are no runs: to runs their keepers listen.
    listeners: BTreeMap<String, Listener>,
}

/// Hears what one container uses, until it is dropped.
#[derive(Debug)]
struct Listener {
    since: Instant,
    task: AbortOnDropHandle<()>,
}

impl Listener {
    fn of(shared: &Arc<Shared>, id: &str) -> Self {
        let (shared, id) = (Arc::clone(shared), id.to_owned());
        let listening = async move { usage::listen(&shared.docker, &id).await };
        Self { since: Instant::now(), task: AbortOnDropHandle::new(tokio::spawn(listening)) }
    }

    /// It hears nothing any more, and that not only since now.
    fn is_deaf(&self) -> bool {
        self.task.is_finished() && self.since.elapsed() >= DEAF
    }
}

impl Roster {
    /// All may have changed.
    pub(super) fn anew(&mut self) {
        self.is_stale = true;
    }

    /// What is ours may have changed.
    pub(super) fn own_changed(&mut self) {
        self.has_changed = true;
    }

    pub(super) fn hear(&mut self, happening: &Happening) {
        match happening {
            Happening::Anew => self.anew(),
            Happening::Of { id, action, .. } if action == "destroy" => {
                self.views.remove(id);
                self.stale.remove(id);
                self.has_changed = true;
            }
            Happening::Of { id, .. } => {
                self.stale.insert(id.clone());
            }
        }
    }

    /// When to look: soon where something is to be asked or told.
    pub(super) fn due(&self, together: Duration) -> Duration {
        if self.is_stale || self.has_changed || !self.stale.is_empty() {
            together
        } else if !self.listeners.is_empty() || self.views.values().any(|view| view.of.is_some()) {
            USAGE
        } else {
            NEVER
        }
    }

    /// Asks for what is stale, and tells where anything is news.
    pub(super) async fn look(&mut self, shared: &Arc<Shared>) {
        let docker = &shared.docker;
        if std::mem::take(&mut self.is_stale) {
            let options = ListContainersOptions { all: true, ..ListContainersOptions::default() };
            let Ok(listed) = docker.list(options).await else { return };
            let ids: BTreeSet<String> = listed.into_iter().filter_map(|one| one.id).take(MOST).collect();
            self.views.retain(|id, _| ids.contains(id));
            self.stale = ids;
            self.has_changed = true;
        }
        for id in std::mem::take(&mut self.stale) {
            if self.views.len() >= MOST && !self.views.contains_key(&id) {
                continue;
            }
            match docker.inspect(&id).await {
                Ok(inspected) => {
                    self.views.insert(id, Arc::new(view_of(inspected)));
                }
                Err(failure) if failure.is_missing() => {
                    self.views.remove(&id);
                }
                // Asked again with the next connection.
                Err(_away) => return,
            }
            self.has_changed = true;
        }
        let mut is_news = std::mem::take(&mut self.has_changed);
        is_news |= self.name_owners(docker);
        self.listen(shared);
        if is_news {
            let all: Arc<[Arc<ContainerView>]> = self.views.values().cloned().collect();
            shared.tell(Event::ContainersListed(all)).await;
        }
    }

    /// Listens to those that run and are no runs, and to no others.
    fn listen(&mut self, shared: &Arc<Shared>) {
        let is_wanted =
            |view: &ContainerView| view.run.is_none() && matches!(view.state.as_str(), "running" | "paused");
        let views = &self.views;
        self.listeners.retain(|id, it| views.get(id).is_some_and(|view| is_wanted(view)) && !it.is_deaf());
        for (id, view) in views {
            if self.listeners.len() >= MOST_LISTENED {
                break;
            }
            if is_wanted(view) {
                self.listeners.entry(id.clone()).or_insert_with(|| Listener::of(shared, id));
            }
        }
    }

    /// Who is whose, and what each uses; true where that changed.
    fn name_owners(&mut self, docker: &Docker) -> bool {
        let (owners, used_by) = (lock(&docker.owners).clone(), lock(&docker.usage).clone());
        let mut has_changed = false;
        for (id, view) in &mut self.views {
            let of = owners.get(id);
            // The last word of one that has ended may still be there.
            let used = used_by.get(id).copied().filter(|_| view.is_up()).map(usage::shown);
            let fresh = (of.map(|(service, _)| service.clone()), of.map(|(_, run)| *run), used);
            if (&view.of, view.run, view.usage) != (&fresh.0, fresh.1, fresh.2) {
                let view = Arc::make_mut(view);
                (view.of, view.run, view.usage) = fresh;
                has_changed = true;
            }
        }
        has_changed
    }
}

fn view_of(inspected: ContainerInspectResponse) -> ContainerView {
    let state = inspected.state.unwrap_or_default();
    let config = inspected.config.unwrap_or_default();
    let host = inspected.host_config.unwrap_or_default();
    let labelled = config.labels.unwrap_or_default();
    let policy = host.restart_policy.and_then(|policy| policy.name);
    let status = state.status.map(|status| status.to_string()).unwrap_or_default();
    let is_over = matches!(status.as_str(), "exited" | "dead");
    let health = state.health.and_then(|health| health.status).map(|status| status.to_string());
    let of = labels::of_compose(&labelled);
    let mounts = inspected.mounts.unwrap_or_default().into_iter().map(|mount| {
        let kind = mount.typ.unwrap_or_default();
        let source = mount.name.or(mount.source).unwrap_or_default();
        quoted(&format!("{kind} {source} -> {}", mount.destination.unwrap_or_default()))
    });
    let names = config.env.unwrap_or_default();
    let names = names.iter().map(|variable| quoted(variable.split('=').next().unwrap_or_default()));
    ContainerView {
        id: plain(&inspected.id.unwrap_or_default()).into_owned(),
        name: quoted(inspected.name.unwrap_or_default().trim_start_matches('/')),
        image: quoted(&config.image.unwrap_or_default()),
        image_id: quoted(&inspected.image.unwrap_or_default()),
        state: status,
        health: health.filter(|word| !word.is_empty() && word != "none"),
        exit_code: state.exit_code.filter(|_| is_over),
        oom_killed: state.oom_killed == Some(true),
        restart_count: inspected.restart_count.unwrap_or(0),
        ports: ports(inspected.network_settings.and_then(|network| network.ports)),
        mounts: mounts.take(MOST_PARTS).collect(),
        environment_names: names.take(MOST_PARTS).collect(),
        project: of.as_ref().map(|(project, ..)| quoted(project)),
        service: of.as_ref().map(|(_, service, _)| quoted(service)),
        made_by: labels::maker(&labelled).map(str::to_owned),
        healer: match (healer_of(policy), labels::maker(&labelled)) {
            (Healer::Cas, None) => Healer::Nobody,
            (healer, _) => healer,
        },
        restart_policy: policy
            .map(|policy| policy.to_string())
            .filter(|word| !word.is_empty())
            .unwrap_or_else(|| "no".to_owned()),
        usage: None,
        of: None,
        run: None,
    }
}

/// `0.0.0.0:8080->80/tcp`, sorted.
fn ports(map: Option<PortMap>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for (target, bindings) in map.into_iter().flatten().take(MOST_PARTS) {
        for binding in bindings.into_iter().flatten().take(MOST_PARTS) {
            let address = binding.host_ip.unwrap_or_default();
            let address = if address.contains(':') { format!("[{address}]") } else { address };
            all.push(quoted(&format!("{address}:{}->{target}", binding.host_port.unwrap_or_default())));
        }
    }
    all.sort();
    all
}
