//! `cas up --no-tui`: one merged log and what happens in between, until every service has ended or the person has enough.
//! Never leaves a service behind that it started: the first interrupt stops all, the second kills.

use tokio::sync::mpsc;

use super::{
    context::Context,
    interrupts::Interrupt,
    link::LinkWatch,
    outcome::{Failure, Outcome},
    paint::Tone,
    render::{
        events::clause,
        logs::{LogLook, LogPrinter, OneLine},
    },
    verbs::{self, events::newer, logs::missed, reach::Reached},
};
use crate::{
    host::handle::{Handle, LogSubscription},
    model::{
        command::{Command, Targets},
        ids::ServiceId,
        log::{Counted, LogNews},
        phase::{Hold, Phase},
        policy::Consent,
        query::{Answer, Query},
        snapshot::{ServiceView, Snapshot},
        time::Timestamp,
        timeline::{Entry, What},
    },
};

/// What becomes of the services when the following ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// They are stopped: the engine is ours.
    StopAll,
    /// They stay: the engine is another process.
    LeaveRunning,
}

/// How to follow.
pub struct Follow {
    /// How lines look.
    pub look: LogLook,
    /// What the first interrupt and the end mean.
    pub ending: Ending,
    /// SIGINT and SIGTERM.
    pub interrupts: mpsc::Receiver<Interrupt>,
    /// When the start was asked for: a picture from before says nothing about the end.
    pub asked: Timestamp,
}

/// Text that is gathered before it is written.
const CHUNK_BYTES: usize = 64 * 1024;

/// Follows until every service has ended ([`Outcome::Ok`], or [`Outcome::Failed`] where one failed), the engine has ended,
/// or an interrupt came ([`Outcome::Interrupted`]).
///
/// # Errors
/// stdout cannot be written. Services are stopped then, too, where the engine is ours.
pub(super) async fn follow(reached: &Reached, ctx: &mut Context<'_>, how: Follow) -> Result<Outcome, Failure> {
    let handle = &reached.handle;
    let Follow { look, ending, mut interrupts, asked } = how;
    let feed = handle.logs.subscribe();
    let told = match ending {
        Ending::StopAll => 0,
        // What happened before we came is not news.
        Ending::LeaveRunning => handle.snapshot().timeline.last().map_or(0, |entry| entry.seq),
    };
    let mut follower = Follower {
        reached: reached.clone(),
        printer: LogPrinter::new(look),
        ending,
        asked,
        told,
        next: std::collections::BTreeMap::new(),
        out: String::new(),
    };
    let followed = follower.until_the_end(handle, ctx, feed, &mut interrupts).await;
    // Whatever went wrong, nothing is left behind.
    if followed.is_err() && ending == Ending::StopAll {
        handle.leave().await;
    }
    followed
}

struct Follower {
    reached: Reached,
    printer: LogPrinter,
    ending: Ending,
    asked: Timestamp,
    /// The last entry that was told.
    told: u64,
    /// The next line of each source of each service that was not yet printed.
    next: std::collections::BTreeMap<Counted, u64>,
    out: String,
}

/// Why the first loop ended.
enum Reason {
    AllEnded(Outcome),
    EngineEnded,
    Interrupted,
}

impl Follower {
    async fn until_the_end(
        &mut self,
        handle: &Handle,
        ctx: &mut Context<'_>,
        mut feed: LogSubscription,
        interrupts: &mut mpsc::Receiver<Interrupt>,
    ) -> Result<Outcome, Failure> {
        if self.ending == Ending::StopAll
            && let Answer::Logs(batches) = handle.query(Query::Logs { service: None }).await?
        {
            for batch in batches {
                self.news(ctx, &LogNews::Batch(batch));
            }
        }
        let reason = self.watch(handle, ctx, &mut feed, interrupts).await?;
        let outcome = match (reason, self.ending) {
            (Reason::EngineEnded, _) => {
                ctx.say("cas: the engine has ended");
                return Ok(Outcome::Ok);
            }
            (Reason::AllEnded(outcome), Ending::LeaveRunning) => return Ok(outcome),
            (Reason::Interrupted, Ending::LeaveRunning) => {
                ctx.say("cas: services go on running; \"cas down\" stops them");
                return Ok(Outcome::Interrupted);
            }
            (Reason::AllEnded(outcome), Ending::StopAll) => outcome,
            (Reason::Interrupted, Ending::StopAll) => {
                ctx.say("cas: stopping everything (again: kill)");
                Outcome::Interrupted
            }
        };
        self.leave(handle, ctx, &mut feed, interrupts).await?;
        Ok(outcome)
    }

    async fn watch(
        &mut self,
        handle: &Handle,
        ctx: &mut Context<'_>,
        feed: &mut LogSubscription,
        interrupts: &mut mpsc::Receiver<Interrupt>,
    ) -> Result<Reason, Failure> {
        let mut snapshots = handle.snapshots.clone();
        let mut link = LinkWatch::new(handle);
        loop {
            // What a service wrote comes before what became of it.
            self.drain(ctx, feed)?;
            let snapshot = self.reached.part(&snapshots.borrow_and_update());
            self.tell(ctx, &snapshot);
            if let Some(outcome) = all_ended(&snapshot, self.asked) {
                self.drain(ctx, feed)?;
                return Ok(Reason::AllEnded(outcome));
            }
            tokio::select! {
                biased;
                Some(_) = interrupts.recv() => return Ok(Reason::Interrupted),
                sentence = link.news() => ctx.say(sentence),
                news = feed.next() => match news {
                    Some(news) => self.news(ctx, &news),
                    None => return Ok(Reason::EngineEnded),
                },
                changed = snapshots.changed() => if changed.is_err() {
                    return Ok(Reason::EngineEnded);
                },
            }
        }
    }

    /// Stops everything and goes on printing meanwhile.
    async fn leave(
        &mut self,
        handle: &Handle,
        ctx: &mut Context<'_>,
        feed: &mut LogSubscription,
        interrupts: &mut mpsc::Receiver<Interrupt>,
    ) -> Result<(), Failure> {
        let mut snapshots = handle.snapshots.clone();
        let mut left = std::pin::pin!(handle.leave());
        let mut killed = false;
        loop {
            self.drain(ctx, feed)?;
            let snapshot = self.reached.part(&snapshots.borrow_and_update());
            self.tell(ctx, &snapshot);
            tokio::select! {
                // The leave first: the engine hears of it before it hears of a kill.
                biased;
                () = &mut left => {
                    self.drain(ctx, feed)?;
                    let snapshot = self.reached.part(&snapshots.borrow_and_update());
                    self.tell(ctx, &snapshot);
                    return Ok(());
                }
                Some(_) = interrupts.recv(), if !killed => {
                    killed = true;
                    ctx.say("cas: killing everything");
                    let all = Targets { services: Vec::new(), all: true };
                    // Refused or gone: the stop that is under way ends it all the same.
                    let _stopping_anyway = verbs::act::ask(handle, &Command::Kill { targets: all }, Consent::Ask).await;
                }
                Some(news) = feed.next() => self.news(ctx, &news),
                Ok(()) = snapshots.changed() => {}
            }
        }
    }

    /// Prints all output that is there.
    fn drain(&mut self, ctx: &mut Context<'_>, feed: &mut LogSubscription) -> Result<(), Failure> {
        while let Some(news) = feed.try_next() {
            self.news(ctx, &news);
            if self.out.len() >= CHUNK_BYTES {
                self.write(ctx)?;
            }
        }
        self.write(ctx)
    }

    fn write(&mut self, ctx: &mut Context<'_>) -> Result<(), Failure> {
        if self.out.is_empty() {
            return Ok(());
        }
        let written = ctx.data(&self.out);
        self.out.clear();
        written
    }

    fn news(&mut self, ctx: &mut Context<'_>, news: &LogNews) {
        let batch = match news {
            LogNews::Batch(batch) => batch,
            LogNews::Missed { batches } => return ctx.say(&missed(*batches)),
        };
        if self.reached.project.as_ref().is_some_and(|project| *project != batch.service.project) {
            return;
        }
        let next = self.next.entry(batch.counted()).or_insert(0);
        let skip = usize::try_from(next.saturating_sub(batch.first_seq)).unwrap_or(usize::MAX);
        *next = (batch.first_seq + batch.lines.len() as u64).max(*next);
        for (index, line) in batch.lines.iter().enumerate().skip(skip) {
            self.printer.line(&mut self.out, &OneLine::of(batch, index, *line));
        }
    }

    /// Says what has happened since it last did.
    fn tell(&mut self, ctx: &mut Context<'_>, snapshot: &Snapshot) {
        let entries: Vec<&Entry> = newer(snapshot, self.told).collect();
        let Some(last) = entries.last() else { return };
        self.told = last.seq;
        let mut open = String::new();
        self.printer.close(&mut open);
        if !open.is_empty() {
            // stdout has been written up to here; a line that was left open ends before talk.
            let _reader_left = ctx.data(&open);
        }
        let paint = ctx.talk_paint();
        let mut joined = None;
        for (index, entry) in entries.iter().enumerate() {
            if joined == Some(index) || !is_told(entry) {
                continue;
            }
            let mut sentence = clause(entry, paint);
            let follows = entries.iter().skip(index + 1).position(|later| later.service == entry.service);
            if let (What::Exited { .. }, Some(at)) = (&entry.what, follows.map(|at| index + 1 + at))
                && matches!(entries[at].what, What::RestartScheduled { .. })
            {
                sentence = format!("{sentence} — {}", entries[at].sentence());
                joined = Some(at);
            }
            ctx.say(&format!("{}{sentence}", self.about(entry, paint)));
        }
    }

    fn about(&self, entry: &Entry, paint: super::paint::Paint) -> String {
        match (&entry.project, &entry.service) {
            (Some(project), Some(service)) => {
                let id = ServiceId { project: project.clone(), service: service.clone() };
                self.printer.prefix_in(&id, paint)
            }
            (_, None) | (None, Some(_)) => paint.text(Tone::Dim, "cas: "),
        }
    }
}

/// What belongs between the lines: what became of services. Requests are the person's own words.
const fn is_told(entry: &Entry) -> bool {
    match &entry.what {
        What::Requested { .. }
        | What::ProjectOpened { .. }
        | What::Stable { .. }
        | What::Stopping { .. }
        | What::AlarmFired { .. }
        | What::AlarmResolved { .. }
        | What::Silenced { .. }
        | What::Unsilenced
        | What::Hook { failed: None, .. } => false,
        What::Started { .. }
        | What::Ready { .. }
        | What::Unhealthy { .. }
        | What::Recovered { .. }
        | What::Flapping { .. }
        | What::Steady
        | What::Exited { .. }
        | What::Forked { .. }
        | What::Hook { failed: Some(_), .. }
        | What::SpawnFailed { .. }
        | What::RestartScheduled { .. }
        | What::RestartWithheld { .. }
        | What::GaveUp { .. }
        | What::Held { .. }
        | What::Blocked { .. }
        | What::Killed { .. }
        | What::Stopped
        | What::Survivors { .. }
        | What::Signalled { .. }
        | What::Reloaded { .. }
        | What::ReloadRefused { .. }
        | What::AutopilotSet { .. }
        | What::Found { .. }
        | What::Remedied { .. }
        | What::RemedyJudged { .. }
        | What::Escalated { .. }
        | What::Maintenance { .. }
        | What::Stalled { .. }
        | What::Adopted { .. }
        | What::Unverifiable { .. }
        | What::ProjectClosed
        | What::Released { .. }
        | What::ShimReplaced
        | What::Suspended { .. }
        | What::Paused
        | What::Resumed { .. }
        | What::Handled { .. }
        | What::Continued { .. }
        | What::ScheduleMissed { .. }
        | What::ScheduleSkipped { .. }
        | What::RunBegun { .. }
        | What::RunEnded { .. }
        | What::LogRotated { .. }
        | What::OutputDropped { .. }
        | What::NotSent { .. }
        | What::Trouble { .. } => true,
    }
}

/// Whether nothing runs and nothing will, after something was `asked` for: then failed where one failed or can never start,
/// else well.
#[must_use]
pub fn all_ended(snapshot: &Snapshot, asked: Timestamp) -> Option<Outcome> {
    let is_news = snapshot.services.iter().any(|service| service.phase.since().has_reached(asked));
    if !is_news && !snapshot.services.is_empty() {
        return None;
    }
    let mut outcome = Outcome::Ok;
    for service in &snapshot.services {
        match fate(service, snapshot) {
            Fate::Alive => return None,
            Fate::EndedWell => {}
            Fate::EndedBadly => outcome = Outcome::Failed,
        }
    }
    Some(outcome)
}

#[derive(Clone, Copy)]
enum Fate {
    Alive,
    EndedWell,
    EndedBadly,
}

fn fate(service: &ServiceView, snapshot: &Snapshot) -> Fate {
    if service.occasions.next_at.is_some() {
        return Fate::Alive;
    }
    match &service.phase {
        Phase::Stopped { .. } => Fate::EndedWell,
        Phase::Exited { exit, .. } if exit.is_success() => Fate::EndedWell,
        Phase::Exited { .. } | Phase::GaveUp { .. } => Fate::EndedBadly,
        Phase::Waiting { holds, .. } if holds.iter().any(|hold| is_hopeless(hold, service, snapshot)) => {
            Fate::EndedBadly
        }
        Phase::Waiting { .. }
        | Phase::Blocked { .. }
        | Phase::Starting { .. }
        | Phase::Running { .. }
        | Phase::Stopping { .. }
        | Phase::BackingOff { .. } => Fate::Alive,
    }
}

/// A dependency that has ended and will not come by itself; what it was to bring, it will not bring.
fn is_hopeless(hold: &Hold, service: &ServiceView, snapshot: &Snapshot) -> bool {
    let Hold::Dependency { service: name, .. } = hold else { return false };
    let id = ServiceId { project: service.id.project.clone(), service: name.clone() };
    snapshot.service(&id).is_some_and(|dependency| match &dependency.phase {
        Phase::Exited { .. } | Phase::GaveUp { .. } => true,
        Phase::Waiting { holds, .. } => holds.iter().any(|hold| is_hopeless(hold, dependency, snapshot)),
        Phase::Stopped { .. }
        | Phase::Blocked { .. }
        | Phase::Starting { .. }
        | Phase::Running { .. }
        | Phase::Stopping { .. }
        | Phase::BackingOff { .. } => false,
    })
}
