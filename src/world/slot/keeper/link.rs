//! The keeper's connection: made, doubted, lost, made again. Never given up while a run needs it.

use std::{io, sync::Arc, time::Duration};

use tokio_util::task::AbortOnDropHandle;

use super::{
    Keeper, Turn,
    run::{Run, Stage},
};
use crate::{
    model::{
        event::Event,
        heritage::Found,
        service::{LogPolicy, OnFull},
        signal::Signal,
        time::Timestamp,
    },
    shim_format::Request,
    world::{
        clock,
        slot::{
            connect::{Connected, Effort, connect},
            found::Trace,
            place,
            process::Held,
            socket::Socket,
            wire::{self, Heard},
        },
    },
};

/// What a shim is asked is answered within this time, or it is not well.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);
/// After SIGCONT, and after SIGKILL, it has so long.
const LAST_CHANCE: Duration = Duration::from_secs(5);
/// Shortest and longest pause before another attempt.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

type Connecting = AbortOnDropHandle<Result<Option<Connected>, String>>;

/// The connection.
pub(super) enum Link {
    /// None, and none is needed.
    Down,
    /// The last attempt failed.
    Failed { again: Timestamp, pause: Duration },
    /// An attempt is under way.
    Connecting { attempt: Connecting, pause: Duration },
    /// It stands.
    Up { socket: Socket, shim: Held },
}

/// What happened to it.
pub(super) enum LinkEvent {
    Connected(Result<Option<Connected>, String>),
    Heard(io::Result<Heard>),
}

/// A shim that was asked and has not answered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Doubt {
    /// It was asked.
    Asked { until: Timestamp },
    /// It was told to go on: it may have been stopped.
    Continued { until: Timestamp },
    /// It was killed.
    Killed { until: Timestamp },
}

impl Doubt {
    pub(super) fn until(&self) -> Timestamp {
        match self {
            Self::Asked { until } | Self::Continued { until } | Self::Killed { until } => *until,
        }
    }
}

impl Link {
    /// The next thing that happens; for ever nothing where there is none.
    pub(super) async fn next(&mut self) -> LinkEvent {
        match self {
            Self::Down | Self::Failed { .. } => std::future::pending().await,
            Self::Connecting { attempt, .. } => {
                LinkEvent::Connected(attempt.await.unwrap_or_else(|_| Err("cas is ending".to_owned())))
            }
            Self::Up { socket, .. } => LinkEvent::Heard(socket.hear().await),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. })
    }

    pub(super) fn is_connecting(&self) -> bool {
        matches!(self, Self::Connecting { .. })
    }

    pub(super) fn due(&self) -> Option<Timestamp> {
        match self {
            Self::Failed { again, .. } => Some(*again),
            Self::Down | Self::Connecting { .. } | Self::Up { .. } => None,
        }
    }

    fn pause(&self) -> Duration {
        match self {
            Self::Failed { pause, .. } | Self::Connecting { pause, .. } => *pause,
            Self::Down | Self::Up { .. } => RETRY.0,
        }
    }
}

impl Keeper {
    /// Begins to connect, unless that is under way. `old` is the shim whose connection ended, and why, where we know.
    pub(super) fn connect(&mut self, effort: Effort, old: Option<(Held, String)>) {
        if self.link.is_connecting() || self.link.is_up() {
            return;
        }
        let attempt = tokio::spawn(connect(Arc::clone(&self.shared), self.seat.directory.clone(), effort, old));
        self.link = Link::Connecting { attempt: AbortOnDropHandle::new(attempt), pause: self.link.pause() };
    }

    /// Sends a packet. One that is not taken is no loss: the shim is asked again when it answers, or replaced.
    pub(super) fn send(&mut self, packet: &[u8]) {
        let _taken = self.is_sent(packet);
    }

    /// The same; whether it was taken.
    pub(super) fn is_sent(&mut self, packet: &[u8]) -> bool {
        let Link::Up { socket, .. } = &self.link else { return false };
        match socket.send(packet) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.doubt_unasked();
                false
            }
            // Where it is gone, its connection has ended: that is heard next.
            Err(_) => false,
        }
    }

    /// The attempt to connect is over.
    pub(super) async fn settle(&mut self, connected: Result<Option<Connected>, String>) -> Turn {
        match connected {
            Ok(Some(connected)) => {
                self.shared.shims_are_well(&self.seat.service).await;
                self.welcome(connected).await;
            }
            Ok(None) => {
                self.link = Link::Down;
                match Trace::of_files(&self.seat.directory) {
                    Some(trace) if self.run.is_none() => {
                        self.take_trace(&trace, None);
                        self.answer_survey();
                    }
                    Some(_) | None => self.connect(Effort::Start, None),
                }
            }
            Err(why) => self.cannot_connect(why).await,
        }
        Turn::GoOn
    }

    async fn cannot_connect(&mut self, why: String) {
        let pause = self.link.pause();
        self.link = Link::Down;
        self.surveyor = None;
        if self.run.as_ref().is_some_and(|run| matches!(run.stage, Stage::Spawning(_))) {
            self.fail_spawn(why).await;
        } else if self.run.as_ref().is_some_and(Run::is_there) {
            self.shared.shim_is_missed(&self.seat.service, why).await;
            self.link = Link::Failed { again: clock::now().plus(pause), pause: (pause * 2).min(RETRY.1) };
        }
    }

    async fn welcome(&mut self, connected: Connected) {
        let Connected { socket, shim, welcome, is_new, old } = connected;
        let identity = shim.identity;
        self.link = Link::Up { socket, shim };
        self.doubt = None;
        self.reading.disarm();
        self.kept = None;
        self.pulse.seen().has_shim = true;
        self.hold_fifos();
        self.keep_logs_as_asked();
        let trace = Trace::of(&welcome);
        if let Some(why) = old.filter(|_| is_new) {
            self.tell(Event::ShimReplaced { service: self.seat.service.clone(), why }).await;
        }
        if self.run.is_none() {
            self.take_trace(&trace, Some((identity, is_new)));
        } else {
            self.compare(&trace, welcome.written, identity).await;
        }
        self.answer_survey();
        self.read().await;
    }

    /// While we hold them, what a service wrote stays in them, also if it and its shim die at once.
    pub(super) fn hold_fifos(&self) {
        let mut seen = self.pulse.seen();
        if let Ok(directory) = place::open(&self.seat.directory) {
            seen.fifos = ["out", "err"].into_iter().filter_map(|name| place::hold_fifo(&directory, name)).collect();
        }
    }

    /// Tells the shim how output is kept, where it has not heard that.
    pub(super) fn keep_logs_as_asked(&mut self) {
        let Some(spec) = self.run.as_ref().and_then(|run| run.spec.clone()) else { return };
        let LogPolicy { max_size, on_full, .. } = spec.logs;
        let blocks = match on_full {
            OnFull::Drop => 0,
            OnFull::Block => 1,
        };
        let asked = (spec.logs.segment_bytes(), max_size, blocks);
        if self.kept != Some(asked) {
            self.kept = Some(asked);
            self.send(&wire::keep(asked.0, asked.1, asked.2));
        }
    }

    pub(super) fn answer_survey(&mut self) {
        if let Some(reply) = self.surveyor.take() {
            let found = self.run.as_ref().and_then(Run::told);
            let service = self.seat.service.service.clone();
            // An error means that nobody waits any more.
            let _late = reply.send(found.map(|(run, state)| Found { service, run, state }));
        }
        if self.run.as_ref().is_none_or(|run| !run.is_there()) {
            self.begin_reading();
        }
    }

    /// The connection ended: the shim is gone, or will be.
    pub(super) async fn lose(&mut self) -> Turn {
        let link = std::mem::replace(&mut self.link, Link::Down);
        let Link::Up { shim, .. } = link else { return Turn::GoOn };
        self.pulse.seen().has_shim = false;
        self.reading.disarm();
        self.typing.give_up();
        for waiting in self.confirmations.drain(..) {
            // Each error means that nobody waits.
            let _nobody = waiting.send(Vec::new());
        }
        let why = match self.doubt.take() {
            Some(Doubt::Killed { .. }) => "it did not answer, and was killed".to_owned(),
            Some(Doubt::Asked { .. } | Doubt::Continued { .. }) | None => String::new(),
        };
        if let Some(reply) = self.retiring.take() {
            let _late = tokio::time::timeout(ANSWERED_WITHIN, shim.ended()).await;
            let _status = shim.reap();
            let _nobody = reply.send(());
            return Turn::Leave;
        }
        if let Some(run) = &self.run {
            self.shared.forest.scatter(run.tree);
        }
        if self.run.as_ref().is_some_and(Run::is_there) {
            self.connect(Effort::Start, Some((shim, why)));
        } else {
            tokio::spawn(async move {
                let _late = tokio::time::timeout(ANSWERED_WITHIN, shim.ended()).await;
                let _status = shim.reap();
            });
        }
        Turn::GoOn
    }

    /// Asks the shim whether it is well.
    pub(super) fn doubt(&mut self) {
        if self.doubt.is_none() && self.link.is_up() {
            self.doubt = Some(Doubt::Asked { until: clock::now().plus(ANSWERED_WITHIN) });
            self.send(&wire::bare(Request::Count));
        }
    }

    /// It does not even take the question.
    fn doubt_unasked(&mut self) {
        if self.doubt.is_none() {
            self.doubt = Some(Doubt::Asked { until: clock::now().plus(ANSWERED_WITHIN) });
        }
    }

    /// It has not answered in time.
    pub(super) fn doubt_more(&mut self) {
        let Link::Up { shim, .. } = &self.link else {
            self.doubt = None;
            return;
        };
        let until = clock::now().plus(LAST_CHANCE);
        self.doubt = match self.doubt {
            Some(Doubt::Asked { .. }) => {
                shim.signal(Signal::Cont);
                Some(Doubt::Continued { until })
            }
            Some(Doubt::Continued { .. } | Doubt::Killed { .. }) => {
                shim.signal(Signal::Kill);
                Some(Doubt::Killed { until })
            }
            None => None,
        };
    }

    /// Something came: it is well. What it may have missed meanwhile is said again.
    fn trust(&mut self) {
        if let Some(Doubt::Asked { .. } | Doubt::Continued { .. }) = self.doubt {
            self.doubt = None;
            self.reading.disarm();
            self.keep_logs_as_asked();
            self.arm();
            self.type_next();
        }
    }

    /// Takes what the shim says.
    pub(super) async fn hear(&mut self, heard: Heard) -> Turn {
        self.trust();
        match heard {
            Heard::Spawned { run, main } => self.has_spawned(run, main).await,
            Heard::SpawnFailed { run, errno, stage } => self.has_not_spawned(run, errno, stage).await,
            Heard::Exited { run, end, leftover, written } => {
                if self.has(run) {
                    self.has_exited(end, Some(leftover as usize), written).await;
                }
            }
            Heard::Wrote => return self.wrote().await,
            Heard::Empty { run, survivors } => self.is_empty(run, &survivors),
            Heard::Dropped(bytes) => self.heard_dropped(bytes).await,
            Heard::Refused(errno) => self.refused(errno).await,
            Heard::Typed => self.has_typed(),
            Heard::Welcome(_) | Heard::Census | Heard::Unknown => {}
        }
        Turn::GoOn
    }

    async fn refused(&mut self, errno: i32) {
        if let Some(reply) = self.retiring.take() {
            let _nobody = reply.send(());
        } else if self.run.as_ref().is_some_and(|run| matches!(run.stage, Stage::Spawning(_))) {
            let error = io::Error::from_raw_os_error(errno);
            let why = if error.kind() == io::ErrorKind::ResourceBusy {
                "something of an earlier run may still be there: a second is never started".to_owned()
            } else {
                format!("its shim refuses to start it: {error}")
            };
            self.fail_spawn(why).await;
        } else if self.typing.is_refused(errno) {
            // It says when the next may come.
        } else {
            tracing::warn!(service = %self.seat.service, errno, "a shim refused what it was asked");
        }
    }
}
