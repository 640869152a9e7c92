//! The thread that learns.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    mem,
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::{Means, Message, Queue, Shared, kept::unpack, service::Service};
use crate::{
    insight::patterns::{Look, Settings},
    model::{
        event::Event,
        ids::{ProjectName, ServiceId},
        log::LogBatch,
        pattern::ServicePatterns,
        phase::{Health, Phase},
        redact::{Passage, Redactor},
        snapshot::{ServiceView, Snapshot},
        standing::unwell,
        time::Timestamp,
    },
    world::clock,
};

/// Between two looks at all services.
const LOOK: Duration = Duration::from_secs(1);
/// The same while there is no service.
const IDLE: Duration = Duration::from_hours(1);
/// News that may wait for room in the engine's inbox.
const NEWS: usize = 256;

/// Everything that the thread owns.
pub(super) struct Learner {
    shared: Arc<Shared>,
    means: Means,
    places: HashMap<ProjectName, Arc<str>>,
    /// By project, so that one that is closed goes as a whole.
    services: BTreeMap<ServiceId, Service>,
    redactor: Option<Arc<Redactor>>,
    passage: Option<Passage>,
    news: VecDeque<Event>,
    looked: Timestamp,
}

impl Learner {
    pub(super) fn new(shared: Arc<Shared>, means: Means) -> Self {
        Self {
            shared,
            means,
            places: HashMap::new(),
            services: BTreeMap::new(),
            redactor: None,
            passage: None,
            news: VecDeque::new(),
            looked: clock::now(),
        }
    }

    /// Until it is told to end.
    pub(super) fn run(mut self) {
        let _end = End(Arc::clone(&self.shared));
        loop {
            let (messages, dropped, ended) = self.wait();
            for message in messages {
                self.take(message);
                // Also where more comes than can be learnt from.
                self.look_if_due();
            }
            for (id, lines) in dropped {
                if let Some(service) = self.service(&id) {
                    service.patterns.drop_lines(lines);
                    service.changed = true;
                }
            }
            self.look_if_due();
            if ended {
                self.keep_all();
                return;
            }
        }
    }

    /// What came, at the latest when the next look is due.
    fn wait(&self) -> (VecDeque<Message>, HashMap<ServiceId, u64>, bool) {
        let is_idle = |queue: &mut Queue| queue.messages.is_empty() && queue.dropped.is_empty() && !queue.ended;
        // Where nothing is known there is nothing to look at.
        let left = if self.services.is_empty() { IDLE } else { LOOK.saturating_sub(clock::now().since(self.looked)) };
        let queue = self.shared.queue();
        let waited = self.shared.woken.wait_timeout_while(queue, left, is_idle);
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.bytes = 0;
        (mem::take(&mut queue.messages), mem::take(&mut queue.dropped), queue.ended)
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Batch(batch) => self.learn(&batch),
            Message::Open { project, place, kept } => {
                let now = clock::now();
                self.places.insert(project.clone(), place);
                for (service, bytes) in kept {
                    let patterns = unpack(Settings::default(), &bytes);
                    if patterns.is_none() {
                        tracing::warn!(%project, %service, "what was known of its patterns cannot be read, it is learnt anew");
                    }
                    let id = ServiceId { project: project.clone(), service };
                    self.services.insert(id, Service::new(patterns, now));
                }
            }
            Message::Close { project, done } => {
                self.keep_where(clock::now(), |id, service| id.project == project && service.changed);
                self.services.retain(|id, _| id.project != project);
                self.places.remove(&project);
                // An error means that nobody waits for it.
                let _left = done.send(());
            }
            Message::Begins { service, run, wall_us, mark } => {
                if let Some(service) = self.service(&service) {
                    service.patterns.run_begins(run, wall_us, mark);
                    service.changed = true;
                }
            }
            Message::Ask { services, answer } => {
                let views = self.views(&services);
                // An error means that the asker has left.
                let _left = answer.send(views);
            }
            Message::Keep { done } => {
                self.keep_all();
                // An error means that the asker has left.
                let _left = done.send(());
            }
        }
    }

    /// A service of an open project.
    fn service(&mut self, id: &ServiceId) -> Option<&mut Service> {
        if !self.places.contains_key(&id.project) {
            return None;
        }
        if !self.services.contains_key(id) {
            self.services.insert(id.clone(), Service::new(None, clock::now()));
        }
        self.services.get_mut(id)
    }

    fn learn(&mut self, batch: &Arc<LogBatch>) {
        let formats = Arc::clone(&self.means.formats);
        let redactor = self.means.veil.redactor();
        let is_same = match (&redactor, &self.redactor) {
            (Some(new), Some(old)) => Arc::ptr_eq(new, old),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !is_same {
            self.passage = match (self.passage.take(), &redactor) {
                (Some(passage), Some(redactor)) => Some(passage.on_through(Arc::clone(redactor))),
                (None, Some(redactor)) => Some(Passage::through(Arc::clone(redactor))),
                (_, None) => None,
            };
            self.redactor.clone_from(&redactor);
        }
        let shown = self.passage.as_mut().map_or_else(|| Arc::clone(batch), |passage| passage.batch(batch));
        if let Some(service) = self.service(&batch.service) {
            service.learn(&shown, redactor.as_deref(), &formats);
        }
    }

    fn look_if_due(&mut self) {
        let now = clock::now();
        if now.since(self.looked) < LOOK {
            return;
        }
        self.looked = now;
        let picture = Arc::clone(&self.means.pictures.borrow());
        let views: HashMap<&ServiceId, &ServiceView> =
            picture.services.iter().map(|view| (&view.id, view.as_ref())).collect();
        for (id, service) in &mut self.services {
            let look = look_at(&picture, views.get(id).copied(), now);
            for news in service.patterns.look(look) {
                service.changed = true;
                self.news.push_back(Event::PatternNews { service: id.clone(), news });
            }
        }
        self.tell();
        self.keep_where(now, |_, service| service.is_due(now));
    }

    /// Tells the engine, as far as it has room; the rest the next time.
    fn tell(&mut self) {
        self.news.truncate(NEWS);
        let Some(events) = self.means.events.upgrade() else { return };
        while let Some(event) = self.news.pop_front() {
            if let Err(tokio::sync::mpsc::error::TrySendError::Full(event)) = events.try_send(event) {
                self.news.push_front(event);
                return;
            }
        }
    }

    fn keep_all(&mut self) {
        self.keep_where(clock::now(), |_, service| service.changed);
    }

    fn keep_where(&mut self, now: Timestamp, is_meant: impl Fn(&ServiceId, &Service) -> bool) {
        for (id, service) in &mut self.services {
            if is_meant(id, service)
                && let Some(place) = self.places.get(&id.project)
                && let Some(packed) = service.pack(now)
            {
                self.means.store.keep_patterns(place, &id.service, packed.into());
            }
        }
    }

    /// What is known, as it may be seen.
    fn views(&mut self, wanted: &[ServiceId]) -> Vec<ServicePatterns> {
        let now = clock::now();
        let redactor = self.means.veil.redactor();
        let meant = |id: &ServiceId| wanted.is_empty() || wanted.contains(id);
        let view = |(id, service): (&ServiceId, &mut Service)| {
            let mut view = service.patterns.view(id, now.wall_us);
            if let Some(redactor) = &redactor {
                redactor.patterns(&mut view);
            }
            view
        };
        self.services.iter_mut().filter(|(id, service)| meant(id) && service.patterns.lines() > 0).map(view).collect()
    }
}

/// The end of the thread, however it comes: nobody waits for an answer any more.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.ended = true;
        queue.messages.clear();
    }
}

/// How a service is, by the newest picture; what is in none does not run.
fn look_at(picture: &Snapshot, view: Option<&ServiceView>, now: Timestamp) -> Look {
    let runs = view.is_some_and(|view| matches!(view.phase, Phase::Running { .. }) && !view.paused);
    let is_well = view.is_some_and(|view| {
        let is_healthy = matches!(view.health, Health::Healthy { .. } | Health::Unknown);
        is_healthy && view.maintenance.is_none() && unwell(view).total() == 0
    });
    // What leaves ends its services one by one.
    Look { now_us: now.wall_us, runs: runs && !picture.engine.leaving, is_well: runs && is_well }
}
