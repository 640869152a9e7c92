//! How a run begins: made, or taken over. Promise: which container it is stands on disk before it is started. Never: a second beside one that is there.

use std::sync::Arc;

use tokio_util::task::AbortOnDropHandle;

use super::{
    ending::Kill,
    follow::From,
    keeper::{Keeper, News, Run, Stage},
    look::Look,
    make::{self, Made, Wish},
    record::Record,
    usage,
};
use crate::{
    model::{event::Event, ids::RunId, phase::Exit, secret::SecretValues, service::ServiceSpec},
    world::{
        clock, lock,
        slot::{Birth, make_place},
    },
};

impl Keeper {
    pub(super) fn begin(&mut self, id: RunId, birth: Birth, stage: Stage) {
        self.spec = Arc::clone(&birth.spec);
        self.scribe.keep(birth.spec.logs);
        self.capture.begin_run(id, &birth.spec);
        self.found = None;
        self.run = Some(Run {
            id,
            spec: birth.spec,
            ended: birth.ended,
            stage,
            container: String::new(),
            pid: 0,
            is_paused: false,
            kill: Kill::default(),
            follow: None,
            follow_again: None,
            usage: None,
            typing: None,
            making: None,
        });
    }

    pub(super) async fn spawn(&mut self, id: RunId, birth: Birth) {
        let refusal = match &self.run {
            Some(there) => Some(format!("it is there already, as run {}: a second is never started", there.id)),
            None => make_place(&self.seat.directory).err(),
        };
        if let Some(error) = refusal {
            self.shared.forget(id);
            birth.ended.cancel();
            return self.tell(Event::SpawnFailed { run: id, error }).await;
        }
        let (shared, spec, slot) = (Arc::clone(&self.shared), Arc::clone(&birth.spec), self.seat.directory.clone());
        let (news, secrets, remake) = (self.tell_news.clone(), self.shared.secrets_of(id), birth.remake);
        self.begin(id, birth, Stage::Making);
        let making = tokio::spawn(async move {
            let made = match Self::container(&spec) {
                Some(container) => {
                    let wish = Wish { run: id, spec: &spec, container, secrets: &secrets, remake };
                    let since_us = clock::now().wall_us;
                    let mut before = |container: &str| {
                        let id_of = container.to_owned();
                        let record = Record { run: id, id: id_of, started: String::new(), pid: 0, since_us };
                        if let Err(error) = record.write(&slot) {
                            tracing::warn!(%error, slot = %slot.display(), "the next engine will not know this container");
                        }
                    };
                    make::make(&shared.docker, &wish, &mut before).await
                }
                None => Err("it is no container".to_owned()),
            };
            // An error means that nobody looks after the service any more.
            let _gone = news.send(News::Made(id, Box::new(made))).await;
        });
        if let Some(run) = &mut self.run {
            run.making = Some(AbortOnDropHandle::new(making));
        }
    }

    pub(super) async fn has_started(&mut self, made: Made) {
        let Made { look, is_taken_over, is_fresh } = made;
        let from = match (is_fresh, is_taken_over, self.scribe.last_ns) {
            (true, _, _) => From::Beginning,
            (false, _, 0) => From::Tail,
            (false, _, last) => From::Behind(last),
        };
        self.stands(&look);
        let Some(run) = &mut self.run else { return };
        run.stage = Stage::Running;
        let (id, pid) = (run.id, run.pid);
        self.shared.has_spawned(id, pid);
        self.tell(Event::Spawned { run: id, pid }).await;
        self.begin_to_follow(Some(from));
        self.looked(Ok(look)).await;
    }

    /// The container of the run is known.
    pub(super) fn stands(&mut self, look: &Look) {
        let Some(run) = &mut self.run else { return };
        run.container.clone_from(&look.id);
        run.pid = look.pid;
        let record = Record {
            run: run.id,
            id: look.id.clone(),
            started: look.started.clone(),
            pid: look.pid,
            since_us: look.since().wall_us,
        };
        if let Err(error) = record.write(&self.seat.directory) {
            tracing::warn!(%error, slot = %self.seat.directory.display(), "the next engine will not know this container");
        }
        self.own();
    }

    /// Says whose the container is, and begins to listen to what it uses.
    pub(super) fn own(&mut self) {
        let Some(run) = &mut self.run else { return };
        lock(&self.shared.docker.owners).insert(run.container.clone(), (self.seat.service.clone(), run.id));
        self.shared.docker.stale.notify_one();
        let (shared, id) = (Arc::clone(&self.shared), run.container.clone());
        run.usage = Some(AbortOnDropHandle::new(tokio::spawn(async move { usage::listen(&shared.docker, &id).await })));
    }

    pub(super) async fn adopt(&mut self, id: RunId, birth: Birth) {
        self.pulse.seen().is_adopted = true;
        let record = Record::read(&self.seat.directory).filter(|record| record.run == id);
        let found = self.found.take();
        let spec = Arc::clone(&birth.spec);
        self.begin(id, birth, Stage::Running);
        match (record, found) {
            (Some(record), _) => {
                if let Some(run) = &mut self.run {
                    run.container.clone_from(&record.id);
                    run.pid = record.pid;
                }
                self.own();
            }
            (None, Some(look)) => self.stands(&look),
            (None, None) => {
                // Whatever it was, it is not there.
                return self.begin_end(Exit::Unknown).await;
            }
        }
        let Some(run) = &self.run else { return };
        self.shared.has_spawned(id, run.pid);
        self.recall_secrets(id, &spec).await;
        let from = if self.scribe.last_ns > 0 { From::Behind(self.scribe.last_ns) } else { From::Tail };
        self.begin_to_follow(Some(from));
        self.look();
    }

    /// What it was given as secrets stands in its configuration: before its first line is shown.
    async fn recall_secrets(&self, id: RunId, spec: &ServiceSpec) {
        let Some(run) = self.run.as_ref().filter(|_| !spec.secrets.is_empty()) else { return };
        let Ok(inspected) = self.shared.docker.inspect(&run.container).await else { return };
        let variables = inspected.config.and_then(|config| config.env).unwrap_or_default();
        let own = variables.iter().filter_map(|variable| variable.split_once('='));
        let own = own.filter(|(name, _)| spec.secrets.contains_key(*name));
        let values = own.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.shared.know_secrets(id, spec, SecretValues(values));
    }
}
