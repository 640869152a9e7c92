//! A run of the slot: made, taken over, ended. Never made while another may be there, never told as ended twice.

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::{Caged, Keeper, Turn, link::Link};
use crate::{
    model::{
        deed::Remake, event::Event, heritage::FoundState, ids::RunId, intake::Position, phase::Exit,
        service::ServiceSpec, time::Timestamp,
    },
    shim_format::{exit_kind, spawn_flags, stage},
    world::{
        Stage as Told, clock,
        slot::{
            Birth,
            connect::Effort,
            found::{Trace, exit_of},
            payload::Plan,
            process::Held,
            wire::{self, End, Identity, Spawn},
        },
        tree::{TREE_VARIABLE, TreeId},
    },
};

/// A spawn that is not answered in this time is looked into.
const SPAWNED_WITHIN: Duration = Duration::from_secs(10);
/// A main process that is gone and whose end the shim has not told in this time: the same.
const TOLD_WITHIN: Duration = Duration::from_secs(2);
/// Shims that may die over one spawn.
const MOST_ATTEMPTS: u32 = 5;

/// A run.
#[derive(Debug)]
pub(super) struct Run {
    /// Its id.
    pub(super) id: RunId,
    /// What it is declared as; none: it was found, and nobody has taken it over.
    pub(super) spec: Option<Arc<ServiceSpec>>,
    /// Its tree; one that is not there until it is made or taken over.
    pub(super) tree: TreeId,
    /// Cancelled when the main process is gone.
    pub(super) ended: CancellationToken,
    /// Cancelled when the end was told.
    pub(super) told: CancellationToken,
    /// Nobody wants it: its end is not told.
    pub(super) is_stray: bool,
    pub(super) stage: Stage,
}

/// Where it stands.
#[derive(Debug)]
pub(super) enum Stage {
    /// Asked of the shim, or about to be.
    Spawning(Box<Spawning>),
    /// It is there.
    Running(Main),
    /// It was found, and is as told; nobody has taken it over. `leftover`: processes of it that are there.
    Found { trace: Trace, leftover: usize },
    /// Its end was told, or nobody wants to hear of it.
    Over,
}

#[derive(Debug)]
pub(super) struct Spawning {
    plan: Plan,
    payload: OwnedFd,
    until: Timestamp,
    attempts: u32,
}

/// The main process.
#[derive(Debug)]
pub(super) struct Main {
    identity: Identity,
    /// None where it could not be held, or has been seen to end.
    held: Option<Held>,
    /// By when its end must be told.
    until: Option<Timestamp>,
    /// How it ended, where it became our child and we waited for it.
    seen: Option<Exit>,
}

impl Run {
    fn new(id: RunId, birth: &Birth, stage: Stage) -> Self {
        Self {
            id,
            spec: Some(Arc::clone(&birth.spec)),
            tree: birth.tree,
            ended: birth.ended.clone(),
            told: CancellationToken::new(),
            is_stray: false,
            stage,
        }
    }

    /// True where a main process may be there.
    pub(super) fn is_there(&self) -> bool {
        match &self.stage {
            Stage::Spawning(_) | Stage::Running(_) => true,
            Stage::Found { trace, .. } => match trace {
                Trace::Running { .. } | Trace::Unverifiable { .. } => true,
                Trace::Fresh | Trace::Ended { .. } => false,
            },
            Stage::Over => false,
        }
    }

    /// Returns when the main process ends; never where it cannot be seen to.
    pub(super) async fn main_ended(run: Option<&Self>) {
        if let Some(Self { stage: Stage::Running(Main { held: Some(held), until: None, .. }), .. }) = run {
            held.ended().await;
        } else {
            std::future::pending::<()>().await;
        }
    }

    pub(super) fn due(&self) -> Option<Timestamp> {
        match &self.stage {
            Stage::Spawning(spawning) => Some(spawning.until),
            Stage::Running(main) => main.until,
            Stage::Found { .. } | Stage::Over => None,
        }
    }

    /// The main process, where its end is still to be told.
    pub(super) fn main(&self) -> Option<u32> {
        match &self.stage {
            Stage::Running(main) => Some(main.identity.0),
            Stage::Spawning(_) | Stage::Found { .. } | Stage::Over => None,
        }
    }

    /// What of it is told to the next engine.
    pub(super) fn told(&self) -> Option<(RunId, FoundState)> {
        match &self.stage {
            Stage::Found { trace, leftover } => trace.told(*leftover),
            Stage::Spawning(_) | Stage::Running(_) | Stage::Over => None,
        }
    }
}

impl Keeper {
    /// Makes a run.
    pub(super) async fn spawn(&mut self, run: RunId, birth: Birth) {
        if let Some(there) = self.run.as_ref().filter(|run| run.is_there()) {
            let why = match &there.stage {
                Stage::Found { trace: Trace::Unverifiable { pid, .. }, .. } => {
                    format!("process {pid} may still be its last run: a second is never started")
                }
                Stage::Found { .. } | Stage::Spawning(_) | Stage::Running(_) | Stage::Over => {
                    format!("it is there already, as run {}: a second is never started", there.id)
                }
            };
            return self.refuse(run, &birth, why).await;
        }
        match self.plan(run, &birth.spec, birth.tree).and_then(|plan| self.stage_of(plan, &birth, 0)) {
            Ok(stage) => {
                self.run = Some(Run::new(run, &birth, stage));
                self.capture.begin_run(run, &birth.spec);
                self.begin_reading();
                if self.link.is_up() {
                    self.keep_logs_as_asked();
                    self.ask_for_spawn().await;
                } else {
                    self.connect(Effort::Start, None);
                }
            }
            Err(why) => self.refuse(run, &birth, why).await,
        }
    }

    fn plan(&mut self, run: RunId, spec: &ServiceSpec, tree: TreeId) -> Result<Plan, String> {
        let mark = (TREE_VARIABLE, self.shared.forest.mark_of(tree));
        let secrets = self.shared.secrets_of(run);
        Plan::new(run, (spec, &secrets), &self.shared.settings.environment, mark, &mut self.known)
    }

    fn stage_of(&mut self, plan: Plan, birth: &Birth, attempts: u32) -> Result<Stage, String> {
        let cage = self.cage_for(&birth.spec.limits);
        let payload = plan.write(cage.as_deref())?;
        if let Some(cage) = cage {
            self.shared.forest.confine(birth.tree, cage);
        }
        let until = clock::now().plus(SPAWNED_WITHIN);
        Ok(Stage::Spawning(Box::new(Spawning { plan, payload, until, attempts })))
    }

    async fn refuse(&self, run: RunId, birth: &Birth, error: String) {
        self.shared.forget(run);
        birth.ended.cancel();
        self.tell(Event::SpawnFailed { run, error }).await;
    }

    /// One packet to the shim.
    async fn ask_for_spawn(&mut self) {
        if self.has_escalated {
            // What was ordered for the run before must not end this one.
            self.has_escalated = false;
            self.send(&wire::escalate(u64::MAX));
        }
        let caged = self.is_caged();
        let Some(Run { id, spec: Some(spec), stage: Stage::Spawning(spawning), .. }) = &mut self.run else { return };
        spawning.attempts += 1;
        if spawning.attempts > MOST_ATTEMPTS {
            return self.fail_spawn("its shim died each time that it was about to start it".to_owned()).await;
        }
        let split = if spec.logs.split_streams { spawn_flags::SPLIT } else { 0 };
        let tty = if spec.tty { spawn_flags::TTY } else { 0 };
        let open_files = self.shared.settings.open_files.unwrap_or(0);
        let processes = self.shared.grounds.process_rlimit(&spec.limits, caged);
        let packet = wire::spawn(Spawn { run: *id, flags: split | tty, size: self.size, open_files, processes });
        let Link::Up { socket, .. } = &self.link else { return };
        // Where it is gone, its connection has ended: that is heard next. Where it does not read, the deadline tells.
        let _heard_later = socket.send_with(&packet, spawning.payload.as_fd());
    }

    /// The run could not be made.
    pub(super) async fn fail_spawn(&mut self, error: String) {
        if let Some(run) = self.run.take() {
            self.shared.forget(run.id);
            run.ended.cancel();
            self.tell(Event::SpawnFailed { run: run.id, error }).await;
        }
    }

    /// The exec worked.
    pub(super) async fn has_spawned(&mut self, id: RunId, main: Identity) {
        let Link::Up { shim, .. } = &self.link else { return };
        let shim = shim.identity;
        let Some(run) = self.run.as_mut().filter(|run| run.id == id) else { return };
        if !matches!(run.stage, Stage::Spawning(_)) {
            return;
        }
        self.shared.forest.stand(run.tree, main, shim);
        self.shared.has_spawned(id, main.0);
        self.shared.tell(Event::Spawned { run: id, pid: main.0 }).await;
        run.stage = Stage::Running(Main { identity: main, held: Held::hold(main), until: None, seen: None });
        self.tell_limits(main.0).await;
        if self.pulse.seen().fifos.is_empty() {
            self.hold_fifos();
        }
        self.arm();
    }

    /// It did not.
    pub(super) async fn has_not_spawned(&mut self, id: RunId, errno: i32, at: u8) {
        let Some(Run { id: of, spec: Some(spec), tree, ended, stage: Stage::Spawning(spawning), .. }) = &self.run
        else {
            return;
        };
        if *of != id {
            return;
        }
        let birth = Birth { spec: Arc::clone(spec), remake: Remake::Nothing, tree: *tree, ended: ended.clone() };
        let (plan, attempts) = (spawning.plan.clone(), spawning.attempts);
        let other = if at != stage::EXEC {
            None
        } else if errno == Errno::NOEXEC.raw_os_error() {
            plan.through_shell()
        } else if errno == Errno::NOENT.raw_os_error() && self.known.forget() {
            // It was there the last time: the search path may have another by now.
            self.plan(id, &birth.spec, birth.tree).ok()
        } else {
            None
        };
        let again = other.and_then(|plan| self.stage_of(plan, &birth, attempts).ok());
        if let (Some(stage), Some(run)) = (again, &mut self.run) {
            run.stage = stage;
            return self.ask_for_spawn().await;
        }
        let explained = tokio::task::spawn_blocking(move || plan.explain_failure(errno, at)).await;
        self.fail_spawn(explained.unwrap_or_else(|_| "cas is ending".to_owned())).await;
    }

    /// Takes a run over that was found.
    pub(super) async fn adopt(&mut self, id: RunId, birth: Birth) {
        self.pulse.seen().is_adopted = true;
        let stage = self.run.take().filter(|run| run.id == id).map(|run| run.stage);
        let mut run = Run::new(id, &birth, Stage::Over);
        match stage {
            Some(Stage::Found { trace: Trace::Running { main, .. }, .. }) => {
                if let Link::Up { shim, .. } = &self.link {
                    self.shared.forest.stand(birth.tree, main, shim.identity);
                }
                self.shared.has_spawned(id, main.0);
                // Before its first line is read.
                self.shared.recall_secrets(id, &birth.spec, main.0);
                run.stage = Stage::Running(Main { identity: main, held: Held::hold(main), until: None, seen: None });
                self.run = Some(run);
                // Limits that have changed since hold from its next run on.
                if let Some(cage) = self.shared.grounds.cage_holding(&self.seat, main.0) {
                    let memory = cage.mark_memory_late();
                    self.shared.forest.confine(birth.tree, Arc::clone(&cage));
                    self.cage = Some(Caged { limits: None, cage: Some(cage), memory });
                }
                self.tell_limits(main.0).await;
                self.capture.begin_run(id, &birth.spec);
                self.keep_logs_as_asked();
                self.begin_reading();
                self.read().await;
            }
            Some(Stage::Found { trace: Trace::Ended { end, .. }, leftover }) => {
                self.run = Some(run);
                self.end_told(exit_of(end, None), leftover).await;
            }
            Some(Stage::Found { trace: Trace::Fresh | Trace::Unverifiable { .. }, .. } | Stage::Over) | None => {
                self.run = Some(run);
                self.end_told(Exit::Unknown, 0).await;
            }
            Some(stage @ (Stage::Spawning(_) | Stage::Running(_))) => {
                run.stage = stage;
                self.run = Some(run);
            }
        }
    }

    /// Learns of a run that nobody has asked for yet. `shim`: who says so, and whether it is new.
    pub(super) fn take_trace(&mut self, trace: &Trace, shim: Option<(Identity, bool)>) {
        let id = match trace {
            Trace::Fresh => return,
            Trace::Running { run, .. } | Trace::Ended { run, .. } | Trace::Unverifiable { run, .. } => *run,
        };
        let tree = self.shared.plant(&self.seat.service, id);
        let mut leftover = 0;
        if let Trace::Ended { main, .. } = trace {
            self.shared.forest.leave_behind(tree, *main, shim.filter(|(_, is_new)| !is_new).map(|(shim, _)| shim));
            leftover = self.shared.forest.leftover(tree);
        }
        let ended = CancellationToken::new();
        if leftover > 0 {
            let Some(orders) = self.shared.slots().get(&self.seat.service).map(|slot| slot.orders.clone()) else {
                return;
            };
            self.shared.enter(id, (&self.seat.service, orders), None, tree, Told::Leftover, ended.clone());
        } else {
            self.shared.forest.forget(tree);
        }
        self.run = Some(Run {
            id,
            spec: None,
            tree,
            ended,
            told: CancellationToken::new(),
            is_stray: false,
            stage: Stage::Found { trace: trace.clone(), leftover },
        });
    }

    /// A new shim looks after our run: what does it say of it?
    pub(super) async fn compare(&mut self, trace: &Trace, written: Position, shim: Identity) {
        let Some(run) = &self.run else { return };
        let (id, tree) = (run.id, run.tree);
        let says_running = match trace {
            Trace::Running { run, main, .. } => Some((*run, *main)),
            Trace::Fresh | Trace::Ended { .. } | Trace::Unverifiable { .. } => None,
        };
        let says_ended = match trace {
            Trace::Ended { run, end, .. } if *run == id => Some(*end),
            Trace::Fresh | Trace::Running { .. } | Trace::Ended { .. } | Trace::Unverifiable { .. } => None,
        };
        match &run.stage {
            Stage::Spawning(_) => match (says_running, says_ended, trace) {
                (Some((other, main)), ..) if other == id => self.has_spawned(id, main).await,
                (Some((other, main)), ..) => {
                    let why =
                        format!("it is there already, as run {other} (pid {}): a second is never started", main.0);
                    self.fail_spawn(why).await;
                    self.take_trace(trace, None);
                }
                (None, Some(end), _) => {
                    self.shared.tell(Event::Spawned { run: id, pid: 0 }).await;
                    self.has_exited(end, None, written).await;
                }
                (None, None, Trace::Unverifiable { pid, .. }) => {
                    let why = format!("process {pid} may still be its last run: a second is never started");
                    self.fail_spawn(why).await;
                    self.take_trace(trace, None);
                }
                (None, None, Trace::Fresh | Trace::Running { .. } | Trace::Ended { .. }) => {
                    self.keep_logs_as_asked();
                    self.ask_for_spawn().await;
                }
            },
            Stage::Running(main) => {
                let identity = main.identity;
                if let Some(end) = says_ended {
                    self.has_exited(end, None, written).await;
                } else if says_running.is_some_and(|(run, _)| run == id) {
                    self.shared.forest.stand(tree, identity, shim);
                } else {
                    // It knows nothing of it, or nothing for certain. We hold the process: its end is seen by us.
                    self.watch_alone(written).await;
                }
            }
            Stage::Found { .. } => {
                if let Some(run) = &mut self.run {
                    run.stage = Stage::Found { trace: trace.clone(), leftover: 0 };
                }
            }
            Stage::Over => {}
        }
    }

    async fn watch_alone(&mut self, written: Position) {
        let is_gone = match &self.run {
            Some(Run { stage: Stage::Running(Main { held: Some(held), .. }), .. }) => {
                crate::world::tree::stat::Stat::read(held.identity.0)
                    .is_none_or(|stat| stat.start != held.identity.1 || !stat.is_living())
            }
            Some(_) | None => true,
        };
        if is_gone {
            let unknown = End { kind: exit_kind::UNKNOWN, value: 0, wall_us: 0 };
            self.has_exited(unknown, None, written).await;
        }
    }

    /// The main process is gone, as we see ourselves: the shim has a moment to tell.
    pub(super) fn main_ended(&mut self) -> Turn {
        if let Some(Run { stage: Stage::Running(main), .. }) = &mut self.run {
            main.seen = main.held.as_ref().and_then(Held::reap);
            main.until = Some(clock::now().plus(TOLD_WITHIN));
        }
        Turn::GoOn
    }

    /// A spawn, or an end, that should have been told by now.
    pub(super) fn run_is_due(&mut self) {
        let next = clock::now().plus(TOLD_WITHIN);
        match self.run.as_mut().map(|run| &mut run.stage) {
            Some(Stage::Spawning(spawning)) => spawning.until = next,
            Some(Stage::Running(main)) => main.until = Some(next),
            Some(Stage::Found { .. } | Stage::Over) | None => {}
        }
        self.doubt();
    }

    /// The main process is gone, and its output is in the segments up to `written`. `leftover`: what the shim still sees.
    pub(super) async fn has_exited(&mut self, end: End, leftover: Option<usize>, written: Position) {
        let Some(run) = &mut self.run else { return };
        let tree = run.tree;
        let seen = match &run.stage {
            Stage::Running(main) => main.seen.clone().or_else(|| main.held.as_ref().and_then(Held::reap)),
            Stage::Spawning(_) => None,
            Stage::Found { .. } => {
                let (main, run) = ((0, 0), run.id);
                return self.set_trace(Trace::Ended { run, main, end });
            }
            Stage::Over => return,
        };
        run.stage = Stage::Over;
        run.ended.cancel();
        self.typing.give_up();
        self.shared.forest.fell(tree);
        self.capture.drain(written);
        self.reading.has_more |= self.capture.is_behind_end();
        self.after_reading().await;
        let exit = match (exit_of(end, None), seen) {
            (Exit::Unknown, Some(seen)) => seen,
            (exit, _) => exit,
        };
        let caged = self.cage.as_ref().and_then(|caged| Some((&caged.memory, caged.cage.as_ref()?)));
        let exit = caged.and_then(|(before, cage)| cage.oom_of(before, &exit)).unwrap_or(exit);
        // A shim that has no child and was there from the beginning knows that nothing is left; else we count ourselves.
        let leftover = leftover.filter(|seen| *seen == 0 && !self.shared.forest.is_scattered(tree));
        let leftover = leftover.unwrap_or_else(|| self.shared.forest.leftover(tree));
        self.end_told(exit, leftover).await;
    }

    fn set_trace(&mut self, trace: Trace) {
        if let Some(run) = &mut self.run {
            run.stage = Stage::Found { trace, leftover: 0 };
        }
    }

    /// Tells the end, once.
    async fn end_told(&mut self, exit: Exit, leftover: usize) {
        let last_words = self.capture.last_words();
        let Some(run) = &mut self.run else { return };
        run.stage = Stage::Over;
        run.ended.cancel();
        if leftover == 0 {
            self.shared.forget(run.id);
        } else {
            self.shared.has_exited(run.id);
        }
        if !run.is_stray {
            self.shared.tell(Event::Exited { run: run.id, exit, last_words, leftover }).await;
        }
        run.told.cancel();
        if leftover == 0 && self.has_escalated {
            self.has_escalated = false;
            self.send(&wire::escalate(u64::MAX));
        }
        self.arm();
    }
}
