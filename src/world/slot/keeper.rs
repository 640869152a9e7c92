//! One task per slot, over all its runs: talks to the shim, reads output, tells what happens. Never holds up an order that does
//! not need the shim while that is being replaced, save the first look at the slot.

mod link;
mod reading;
mod run;
mod stop;
mod typing;

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot};

use self::{
    link::{Doubt, Link, LinkEvent},
    reading::Reading,
    run::{Run, Stage},
    typing::Typing,
};
use super::{Cage, Order, Pulse, RunOrder, Seat, connect::Effort, payload::Known, wire};
use crate::{
    model::{event::Event, heritage::Found, ids::RunId, service::Limits, time::Timestamp},
    world::{
        Shared,
        cgroup::MemoryMark,
        clock,
        output::{Capture, Taken},
    },
};

/// Rows and columns of a terminal that nobody has looked at yet.
const FIRST_SIZE: (u16, u16) = (24, 80);

/// Who looks after one slot.
pub(in crate::world) struct Keeper {
    shared: Arc<Shared>,
    seat: Seat,
    inbox: mpsc::Receiver<Order>,
    pulse: Arc<Pulse>,
    capture: Capture,
    reading: Reading,
    link: Link,
    doubt: Option<Doubt>,
    run: Option<Run>,
    /// When the shim was told to end what is left of the run, with or without us.
    has_escalated: bool,
    confirmations: Vec<oneshot::Sender<Vec<u32>>>,
    surveyor: Option<oneshot::Sender<Option<Found>>>,
    retiring: Option<oneshot::Sender<()>>,
    known: Known,
    cage: Option<Caged>,
    /// What was told of limits that do not hold.
    lacking: Option<String>,
    size: (u16, u16),
    /// What the shim was last told of how output is kept: bytes of a segment, bytes in all, whether it blocks.
    kept: Option<(u64, u64, u8)>,
    typing: Typing,
}

/// The cgroup, and what it was made for.
struct Caged {
    /// None where an earlier engine made it: nobody knows for which.
    limits: Option<Limits>,
    cage: Option<Arc<Cage>>,
    memory: MemoryMark,
}

/// What the keeper woke for.
enum Wake<'o> {
    Released,
    Link(LinkEvent),
    Order(Option<Order>),
    Place(Option<mpsc::Permit<'o, Taken>>),
    MainEnded,
    ReadOn,
    Due,
}

/// Whether the keeper goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    GoOn,
    Leave,
}

impl Keeper {
    /// For a slot that nobody else of this world keeps.
    pub(in crate::world) fn new(
        shared: Arc<Shared>,
        seat: Seat,
        inbox: mpsc::Receiver<Order>,
        pulse: Arc<Pulse>,
    ) -> Self {
        let capture = Capture::open(&seat.directory, Arc::clone(&seat.place), seat.service.clone(), seat.cursor);
        Self {
            shared,
            seat,
            inbox,
            pulse,
            capture,
            reading: Reading::default(),
            link: Link::Down,
            doubt: None,
            run: None,
            has_escalated: false,
            confirmations: Vec::new(),
            surveyor: None,
            retiring: None,
            known: Known::default(),
            cage: None,
            lacking: None,
            size: FIRST_SIZE,
            kept: None,
            typing: Typing::default(),
        }
    }

    /// Until the slot is closed, or the world lets go.
    pub(in crate::world) async fn keep(mut self) {
        let output = self.shared.output.clone();
        loop {
            let turn = match self.next(&output).await {
                Wake::Released => Turn::Leave,
                Wake::Link(LinkEvent::Connected(connected)) => self.settle(connected).await,
                Wake::Link(LinkEvent::Heard(Ok(heard))) => self.hear(heard).await,
                Wake::Link(LinkEvent::Heard(Err(_gone))) => self.lose().await,
                Wake::Order(Some(order)) => self.obey(order).await,
                Wake::Order(None) => Turn::Leave,
                Wake::Place(Some(place)) => {
                    self.capture.hand_on(place);
                    Turn::GoOn
                }
                Wake::Place(None) => {
                    self.capture.drop_pending();
                    Turn::GoOn
                }
                Wake::MainEnded => self.main_ended(),
                Wake::ReadOn => self.read().await,
                Wake::Due => self.do_what_is_due().await,
            };
            if turn == Turn::Leave {
                break;
            }
        }
        self.pulse.seen().has_shim = false;
    }

    async fn next<'o>(&mut self, output: &'o mpsc::Sender<Taken>) -> Wake<'o> {
        let due = self.due();
        let takes_orders = self.takes_orders();
        let has_pending = self.capture.has_pending();
        let reads_on = self.reading.has_more && !has_pending;
        let Self { shared, inbox, link, run, .. } = self;
        tokio::select! {
            biased;
            () = shared.released.cancelled() => Wake::Released,
            event = link.next() => Wake::Link(event),
            order = inbox.recv(), if takes_orders => Wake::Order(order),
            place = output.reserve(), if has_pending => Wake::Place(place.ok()),
            () = Run::main_ended(run.as_ref()) => Wake::MainEnded,
            // A service that writes without end must not keep others from their turn.
            () = tokio::task::yield_now(), if reads_on => Wake::ReadOn,
            () = sleep_until(due) => Wake::Due,
        }
    }

    /// False while nothing can be said of the slot, or its run is being made: what is asked then waits.
    fn takes_orders(&self) -> bool {
        match &self.run {
            None => !self.link.is_connecting(),
            Some(run) => !matches!(run.stage, Stage::Spawning(_)),
        }
    }

    fn due(&self) -> Option<Timestamp> {
        let doubt = self.doubt.as_ref().map(Doubt::until);
        let spawn = self.run.as_ref().and_then(Run::due);
        [doubt, spawn, self.link.due(), self.reading.due()].into_iter().flatten().min_by_key(|at| at.mono_us)
    }

    async fn do_what_is_due(&mut self) -> Turn {
        let now = clock::now();
        let is_due = |at: Option<Timestamp>| at.is_some_and(|at| now.has_reached(at));
        if is_due(self.doubt.as_ref().map(Doubt::until)) {
            self.doubt_more();
        }
        if is_due(self.run.as_ref().and_then(Run::due)) {
            self.run_is_due();
        }
        if is_due(self.link.due()) {
            self.connect(Effort::Start, None);
        }
        if is_due(self.reading.due()) { self.read().await } else { Turn::GoOn }
    }

    async fn obey(&mut self, order: Order) -> Turn {
        match order {
            Order::Run(run, RunOrder::Spawn(birth)) => self.spawn(run, birth).await,
            Order::Run(run, RunOrder::Adopt(birth)) => self.adopt(run, birth).await,
            Order::Run(run, RunOrder::EndStray(tree)) => self.end_stray(run, tree),
            Order::Run(run, order) => self.obey_for(run, order).await,
            Order::Survey(reply) => self.survey(reply),
            Order::Retire(reply) => return self.retire(reply),
            Order::Look => self.doubt(),
        }
        Turn::GoOn
    }

    /// Looks at the slot: with a new shim where a run may have outlived its own.
    fn survey(&mut self, reply: oneshot::Sender<Option<Found>>) {
        self.surveyor = Some(reply);
        if self.link.is_up() {
            self.answer_survey();
        } else {
            self.connect(Effort::Find, None);
        }
    }

    fn retire(&mut self, reply: oneshot::Sender<()>) -> Turn {
        if let Some(cage) = self.cage.take().and_then(|caged| caged.cage) {
            // What still holds a process stays; directories of the kernel's are not worth a wait.
            tokio::task::spawn_blocking(move || cage.remove());
        }
        if !self.link.is_up() {
            // An error, here and below, means that nobody waits.
            let _nobody = reply.send(());
            return Turn::Leave;
        }
        self.retiring = Some(reply);
        self.send(&wire::bare(crate::shim_format::Request::Retire));
        Turn::GoOn
    }

    /// Made anew where limits changed, where it could not be made before, and where all in it was killed: the kernel would kill what is
    /// born in it, too.
    fn cage_for(&mut self, limits: &Limits) -> Option<Arc<Cage>> {
        let has_none = self.shared.grounds.have_none();
        let fits = |caged: &Caged| {
            caged.limits == Some(*limits) && caged.cage.as_ref().map_or(has_none, |cage| !cage.was_killed())
        };
        if !self.cage.as_ref().is_some_and(fits) {
            let before = self.cage.take().and_then(|caged| caged.cage);
            let cage = tokio::task::block_in_place(|| {
                if let Some(killed) = before.filter(|cage| cage.was_killed()) {
                    killed.remove();
                }
                self.shared.grounds.cage_for(&self.seat, limits)
            });
            self.cage = Some(Caged { limits: Some(*limits), cage, memory: MemoryMark::default() });
        }
        let caged = self.cage.as_mut()?;
        caged.memory = caged.cage.as_ref().map_or_else(MemoryMark::default, |cage| cage.mark_memory());
        caged.cage.clone()
    }

    /// True where what runs is, or will be, in a cgroup.
    fn is_caged(&self) -> bool {
        self.cage.as_ref().is_some_and(|caged| caged.cage.is_some())
    }

    /// Says which limits of the run, whose main process is `pid`, do not hold, where that is news.
    async fn tell_limits(&mut self, pid: u32) {
        let Some(spec) = self.run.as_ref().and_then(|run| run.spec.as_ref()) else { return };
        let lacking = self.shared.grounds.lacking(&spec.limits, self.is_caged(), pid);
        if self.lacking != lacking {
            self.lacking.clone_from(&lacking);
            self.tell(Event::LimitsKnown { service: self.seat.service.clone(), lacking }).await;
        }
    }

    async fn tell(&self, event: Event) {
        self.shared.tell(event).await;
    }

    /// True where this is the run of the slot.
    fn has(&self, run: RunId) -> bool {
        self.run.as_ref().is_some_and(|of| of.id == run)
    }
}

/// Sleeps until an instant of the boot clock; for ever without one.
async fn sleep_until(at: Option<Timestamp>) {
    match at {
        Some(at) => tokio::time::sleep(at.since(clock::now()).max(Duration::from_micros(1))).await,
        None => std::future::pending().await,
    }
}
