//! One task per service that is a container, over all its runs: makes it, follows what it writes, tells what becomes of it. Identity is the
//! container's id. Never: waits for an engine while orders wait, save while a container is being made.

use std::{sync::Arc, time::Duration};

use tokio::sync::{broadcast, mpsc};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    Happening,
    call::Failure,
    ending::Kill,
    follow::{self, From, Piece},
    labels,
    look::{Look, State},
    make::{self, Made},
    scribe::Scribe,
    typing::Typing,
};
use crate::{
    model::{
        container::ContainerSpec, event::Event, ids::RunId, phase::Exit, service::ServiceSpec, signal::Signal,
        time::Timestamp,
    },
    world::{
        Shared, clock, lock,
        output::{Capture, Taken},
        slot::{Order, Pulse, RunOrder, Seat, make_place},
    },
};

/// Pieces of output that may wait.
const PIECES: usize = 64;
/// News of work that is under way.
const NEWS: usize = 64;
/// Batches that are written before the readers are told.
const BURST: usize = 64;
/// What a container that ended wrote last is waited for so long.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(3);
/// A stream that ended though its container runs is asked for again after this.
const FOLLOW_AGAIN: Duration = Duration::from_millis(500);

/// What the keeper's own tasks tell it.
#[derive(Debug)]
pub(super) enum News {
    /// The container was started, or could not be.
    Made(RunId, Box<Result<Made, String>>),
    /// Its output ended, or cannot be followed any more.
    FollowEnded(RunId),
    /// It was looked at.
    Looked(RunId, Box<Result<Look, Failure>>),
    /// A signal was delivered, or was not.
    Signalled(RunId, Signal, Result<(), Failure>),
    /// A container of the service was looked at while there was no run.
    Stranger(Box<Look>),
    /// A run that nobody wants is gone.
    StrayGone(RunId),
}

/// A run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) id: RunId,
    pub(super) spec: Arc<ServiceSpec>,
    pub(super) ended: CancellationToken,
    pub(super) stage: Stage,
    /// The container's id; empty while it is being made.
    pub(super) container: String,
    pub(super) pid: u32,
    pub(super) is_paused: bool,
    pub(super) kill: Kill,
    pub(super) follow: Option<AbortOnDropHandle<()>>,
    pub(super) follow_again: Option<Timestamp>,
    pub(super) usage: Option<AbortOnDropHandle<()>>,
    /// The way into its terminal, once somebody types.
    pub(super) typing: Option<Typing>,
    /// What makes it: ended with the run.
    pub(super) making: Option<AbortOnDropHandle<()>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stage {
    Making,
    Running,
    /// It ended; its last output is waited for until then.
    Ending {
        exit: Exit,
        until: Timestamp,
    },
}

/// Who looks after one service that is a container.
pub(in crate::world) struct Keeper {
    pub(super) shared: Arc<Shared>,
    pub(super) seat: Seat,
    inbox: mpsc::Receiver<Order>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) capture: Capture,
    pub(super) scribe: Scribe,
    pub(super) run: Option<Run>,
    /// As it was declared last.
    pub(super) spec: Arc<ServiceSpec>,
    /// A container of the service that somebody else started while there was no run.
    pub(super) found: Option<Look>,
    pub(super) tell_news: mpsc::Sender<News>,
    news: mpsc::Receiver<News>,
    give_pieces: mpsc::Sender<Piece>,
    pub(super) pieces: mpsc::Receiver<Piece>,
    happenings: broadcast::Receiver<Happening>,
}

enum Wake<'o> {
    Leave,
    Order(Order),
    News(News),
    Piece(Piece),
    Happening(Happening),
    Place(Option<mpsc::Permit<'o, Taken>>),
    ReadOn,
    Due,
}

impl Keeper {
    /// For a service that nobody else of this world keeps.
    pub(in crate::world) fn new(
        shared: Arc<Shared>,
        seat: Seat,
        spec: Arc<ServiceSpec>,
        inbox: mpsc::Receiver<Order>,
        pulse: Arc<Pulse>,
    ) -> Self {
        // What cannot be made is told by the first start.
        let _told_later = make_place(&seat.directory);
        let scribe = Scribe::open(&seat.directory);
        let capture = Capture::open(&seat.directory, Arc::clone(&seat.place), seat.service.clone(), seat.cursor);
        let (tell_news, news) = mpsc::channel(NEWS);
        let (give_pieces, pieces) = mpsc::channel(PIECES);
        let happenings = shared.docker.happenings.subscribe();
        Self {
            shared,
            seat,
            inbox,
            pulse,
            capture,
            scribe,
            run: None,
            spec,
            found: None,
            tell_news,
            news,
            give_pieces,
            pieces,
            happenings,
        }
    }

    /// Until the project is closed, or the world lets go.
    pub(in crate::world) async fn keep(mut self) {
        let output = self.shared.output.clone();
        let mut reads_on = false;
        loop {
            match self.next(&output, reads_on).await {
                Wake::Leave => return,
                Wake::Order(Order::Retire(reply)) => {
                    // An error means that nobody waits.
                    let _nobody = reply.send(());
                    return;
                }
                Wake::Order(order) => self.obey(order).await,
                Wake::News(news) => self.hear_news(news).await,
                Wake::Piece(piece) => {
                    self.write(&piece);
                    for _ in 0..BURST {
                        let Ok(piece) = self.pieces.try_recv() else { break };
                        self.write(&piece);
                    }
                    reads_on = self.read().await;
                }
                Wake::Happening(happening) => self.hear(happening),
                Wake::Place(Some(place)) => self.capture.hand_on(place),
                Wake::Place(None) => self.capture.drop_pending(),
                Wake::ReadOn => reads_on = self.read().await,
                Wake::Due => self.do_what_is_due().await,
            }
        }
    }

    async fn next<'o>(&mut self, output: &'o mpsc::Sender<Taken>, reads_on: bool) -> Wake<'o> {
        let due = self.due();
        let is_making = self.run.as_ref().is_some_and(|run| run.stage == Stage::Making);
        let has_pending = self.capture.has_pending();
        let Self { shared, inbox, news, pieces, happenings, .. } = self;
        tokio::select! {
            biased;
            () = shared.released.cancelled() => Wake::Leave,
            news = news.recv() => news.map_or(Wake::Leave, Wake::News),
            order = inbox.recv(), if !is_making => order.map_or(Wake::Leave, Wake::Order),
            happening = happenings.recv() => match happening {
                Ok(happening) => Wake::Happening(happening),
                // What was missed is seen by looking.
                Err(broadcast::error::RecvError::Lagged(_)) => Wake::Happening(Happening::Anew),
                Err(broadcast::error::RecvError::Closed) => Wake::Leave,
            },
            place = output.reserve(), if has_pending => Wake::Place(place.ok()),
            piece = pieces.recv(), if !has_pending => piece.map_or(Wake::Leave, Wake::Piece),
            () = tokio::task::yield_now(), if reads_on && !has_pending => Wake::ReadOn,
            () = sleep_until(due) => Wake::Due,
        }
    }

    fn due(&self) -> Option<Timestamp> {
        let run = self.run.as_ref()?;
        let ending = match &run.stage {
            Stage::Ending { until, .. } => Some(*until),
            Stage::Making | Stage::Running => None,
        };
        [ending, run.follow_again, run.kill.due()].into_iter().flatten().min_by_key(|at| at.mono_us)
    }

    async fn do_what_is_due(&mut self) {
        let now = clock::now();
        let Some(run) = &mut self.run else { return };
        if run.follow_again.is_some_and(|at| now.has_reached(at)) {
            run.follow_again = None;
            self.begin_to_follow(None);
            self.look();
        }
        let Some(run) = &self.run else { return };
        if matches!(&run.stage, Stage::Ending { until, .. } if now.has_reached(*until)) {
            return self.finish().await;
        }
        self.kill_is_due(now).await;
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Run(run, RunOrder::Spawn(birth)) => self.spawn(run, birth).await,
            Order::Run(run, RunOrder::Adopt(birth)) => self.adopt(run, birth).await,
            Order::Run(run, RunOrder::EndStray(_)) => self.end_stray(run),
            Order::Run(run, RunOrder::Signal(signal)) if self.has(run) => self.signal(signal),
            Order::Run(run, RunOrder::StopTree(signal)) if self.has(run) => self.stop(signal),
            Order::Run(run, RunOrder::EndTree(patience)) => self.end_tree(run, patience).await,
            Order::Run(run, RunOrder::Watch { question, pattern }) if self.has(run) => {
                // One that cannot be compiled is told by its probe.
                if self.capture.watch(question, &pattern) == Ok(true) {
                    self.tell(Event::LogMatched { run, kind: question }).await;
                }
            }
            Order::Run(run, RunOrder::HasMatched { pattern, reply }) => {
                let answer = if self.has(run) {
                    self.capture.has_matched(&pattern)
                } else {
                    Err("the run has ended".to_owned())
                };
                // An error, here and below, means that nobody waits.
                let _nobody = reply.send(answer);
            }
            Order::Run(_, RunOrder::Confirm(reply)) => {
                let _nobody = reply.send(Vec::new());
            }
            Order::Survey(reply) => {
                let _nobody = reply.send(None);
            }
            Order::Run(run, RunOrder::Input(bytes, typed)) if self.has(run) => self.type_in(bytes, typed),
            Order::Run(run, RunOrder::Resize(rows, columns)) if self.has(run) => self.resize(rows, columns),
            // A run that is gone.
            Order::Run(
                _,
                RunOrder::Signal(_)
                | RunOrder::StopTree(_)
                | RunOrder::Watch { .. }
                | RunOrder::Input(..)
                | RunOrder::Resize(..),
            )
            | Order::Retire(_)
            | Order::Look => {}
        }
    }

    /// What the spec says of containers; that of a process says nothing.
    pub(super) fn container(spec: &ServiceSpec) -> Option<&Arc<ContainerSpec>> {
        spec.container.as_ref()
    }

    async fn hear_news(&mut self, news: News) {
        match news {
            News::Made(run, made) if self.has(run) => match *made {
                Ok(made) => self.has_started(made).await,
                Err(error) => {
                    self.run = None;
                    self.shared.forget(run);
                    self.tell(Event::SpawnFailed { run, error }).await;
                }
            },
            News::FollowEnded(run) if self.has(run) => self.follow_ended().await,
            News::Looked(run, looked) if self.has(run) => self.looked(*looked).await,
            News::Signalled(run, signal, result) if self.has(run) => self.signalled(signal, &result),
            News::Stranger(look) => self.meet(*look).await,
            News::StrayGone(run) => {
                self.shared.forget(run);
                self.tell(Event::TreeEnded { run, survivors: Vec::new() }).await;
            }
            // Of a run that is over.
            News::Made(..) | News::FollowEnded(_) | News::Looked(..) | News::Signalled(..) => {}
        }
    }

    /// Follows what it writes, unless that is followed.
    pub(super) fn begin_to_follow(&mut self, from: Option<From>) {
        let last = self.scribe.last_ns;
        let from = from.unwrap_or(if last > 0 { From::Behind(last) } else { From::Beginning });
        let Some(run) = &mut self.run else { return };
        if run.follow.is_some() {
            return;
        }
        let (id, container) = (run.id, run.container.clone());
        let (shared, pieces, news) = (Arc::clone(&self.shared), self.give_pieces.clone(), self.tell_news.clone());
        run.follow = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            if let Some(client) = shared.docker.client()
                && let Err(failure) = follow::follow(&client, &container, from, true, &pieces).await
            {
                tracing::debug!(?failure, container, "output cannot be followed");
            }
            // An error means that nobody looks after the service any more.
            let _gone = news.send(News::FollowEnded(id)).await;
        })));
    }

    async fn follow_ended(&mut self) {
        let Some(run) = &mut self.run else { return };
        run.follow = None;
        match run.stage {
            Stage::Ending { .. } => self.finish().await,
            Stage::Making => {}
            Stage::Running => {
                run.follow_again = Some(clock::now().plus(FOLLOW_AGAIN));
                self.look();
            }
        }
    }

    /// Asks what the container does now; the answer is news.
    pub(super) fn look(&self) {
        let Some(run) = self.run.as_ref().filter(|run| run.stage != Stage::Making) else { return };
        let (id, spec, container) = (run.id, Arc::clone(&run.spec), run.container.clone());
        let (shared, news) = (Arc::clone(&self.shared), self.tell_news.clone());
        tokio::spawn(async move {
            let looked = make::look_at(&shared.docker, &spec, &container).await;
            let _gone = news.send(News::Looked(id, Box::new(looked))).await;
        });
    }

    pub(super) async fn looked(&mut self, looked: Result<Look, Failure>) {
        let Some(run) = self.run.as_mut().filter(|run| run.stage == Stage::Running) else { return };
        match looked {
            Ok(look) => {
                let is_news = run.is_paused != look.is_paused;
                run.is_paused = look.is_paused;
                lock(&self.shared.docker.health).insert(run.id, look.health.clone());
                if is_news {
                    let event = Event::RunPaused { run: run.id, is_paused: look.is_paused };
                    self.shared.tell(event).await;
                }
                let Some(run) = self.run.as_mut() else { return };
                match look.state {
                    State::Running | State::Restarting => {
                        if look.pid != run.pid && look.pid != 0 {
                            // Docker, or somebody, started it again.
                            run.pid = look.pid;
                            let id = run.id;
                            self.shared.has_spawned(id, look.pid);
                            self.stands(&look);
                        }
                        self.retry_kill();
                    }
                    State::Ended { exit, .. } => self.begin_end(exit).await,
                    State::Created => self.begin_end(Exit::Unknown).await,
                }
            }
            Err(failure) if failure.is_missing() => self.begin_end(Exit::Removed).await,
            // The engine comes back, or says more the next time.
            Err(failure) => tracing::debug!(?failure, service = %self.seat.service, "a container cannot be looked at"),
        }
    }

    /// It ended: its last output is waited for, then its end is told.
    pub(super) async fn begin_end(&mut self, exit: Exit) {
        let Some(run) = &mut self.run else { return };
        run.stage = Stage::Ending { exit, until: clock::now().plus(LAST_WORDS_WITHIN) };
        if run.follow.is_none() {
            self.finish().await;
        }
    }

    fn hear(&mut self, happening: Happening) {
        match happening {
            Happening::Anew => {
                // While one is being made it has no id yet: what makes it says the rest.
                if self.run.as_ref().is_some_and(|run| run.stage == Stage::Making) {
                    return;
                }
                if self.run.is_some() {
                    self.begin_to_follow(None);
                    self.own();
                    self.look();
                } else {
                    self.look_for_strangers(None);
                }
            }
            Happening::Of { id, action, labels } => {
                if self.run.as_ref().is_some_and(|run| run.container == id) {
                    self.look();
                } else if self.run.is_none()
                    && action == "start"
                    && let Some(container) = Self::container(&self.spec)
                    && labels.is_some_and(|labels| labels::fit(container, &labels))
                {
                    self.look_for_strangers(Some(id));
                }
            }
        }
    }

    /// Looks for a container of the service that somebody else started.
    fn look_for_strangers(&self, id: Option<String>) {
        let (shared, spec, news) = (Arc::clone(&self.shared), Arc::clone(&self.spec), self.tell_news.clone());
        tokio::spawn(async move {
            let Some(container) = Self::container(&spec) else { return };
            let id = if id.is_some() {
                id
            } else {
                let Ok(there) = make::of_service(&shared.docker, container).await else { return };
                there.into_iter().filter(make::is_up).find_map(|one| one.id)
            };
            let Some(id) = id else { return };
            if let Ok(look) = make::look_at(&shared.docker, &spec, &id).await
                && look.is_running()
            {
                let _gone = news.send(News::Stranger(Box::new(look))).await;
            }
        });
    }

    /// A container of the service runs, and no run of ours is it: the engine decides.
    async fn meet(&mut self, look: Look) {
        if self.run.is_some() {
            return;
        }
        let (pid, since) = (look.pid, look.since());
        let service = self.seat.service.clone();
        self.found = Some(look);
        self.tell(Event::RunFound { service, pid, since }).await;
    }

    fn write(&mut self, piece: &Piece) {
        if let Some(run) = &self.run {
            self.scribe.append(run.id, piece.stream, &piece.bytes, piece.ns);
        }
    }

    /// True where there is more to read.
    pub(super) async fn read(&mut self) -> bool {
        let more = self.capture.read();
        self.after_reading().await;
        more
    }

    pub(super) async fn after_reading(&mut self) {
        self.capture.hand_on_now(&self.shared.output);
        let answered = self.capture.take_answered();
        if let Some(run) = self.run.as_ref().map(|run| run.id) {
            for question in answered {
                self.tell(Event::LogMatched { run, kind: question }).await;
            }
        }
        let bytes = self.capture.take_dropped();
        if bytes > 0 {
            self.tell(Event::OutputDropped { service: self.seat.service.clone(), bytes }).await;
        }
    }

    pub(super) fn has(&self, run: RunId) -> bool {
        self.run.as_ref().is_some_and(|of| of.id == run)
    }

    pub(super) async fn tell(&self, event: Event) {
        self.shared.tell(event).await;
    }
}

/// Sleeps until an instant of the boot clock; for ever without one.
async fn sleep_until(at: Option<Timestamp>) {
    match at {
        Some(at) => tokio::time::sleep(at.since(clock::now()).max(Duration::from_micros(1))).await,
        None => std::future::pending().await,
    }
}
