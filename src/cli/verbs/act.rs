//! Commands: put at the door, consented where it asks, and waited for until they are done.

use std::{sync::Arc, time::Duration};

use super::{
    Place, ports,
    reach::{Reach, Reached},
};
use crate::{
    cli::{
        act::Act,
        context::Context,
        outcome::{Failure, Outcome},
        outside::Outside,
        render::{json_document, reply},
        select, text,
    },
    host::handle::Handle,
    model::{
        command::{Command, Starts},
        ids::{ProjectName, RequestId, RunId, ServiceId},
        phase::{Health, Phase},
        policy::{Consent, Origin, Plan, Reply, Request},
        service::BaseEnvironment,
        snapshot::{ServiceView, Snapshot},
        time::{Timestamp, short_duration},
    },
};

pub(in crate::cli) async fn act(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    act: &Act,
) -> Result<Outcome, Failure> {
    let reached = engine_for(ctx, outside, place, &act.command).await?;
    let handle = &reached.handle;
    let before = reached.snapshot();
    let targets = match act.command.targets() {
        Some(targets) => {
            let mut chosen = select::with_containers(&targets.services, &reached.ids(&before), &before)?;
            if matches!(act.command, Command::Start { .. }) && targets.means_all() {
                let is_meant = |id: &ServiceId| before.service(id).is_some_and(|view| view.occasions.is_of_all(&[]));
                chosen.retain(is_meant);
            }
            chosen
        }
        None => Vec::new(),
    };
    if let Command::Close { project } = &act.command {
        is_open(&before, project)?;
    }
    let asked = outside.now();
    let consent = if act.manner.dry_run { Consent::DryRun } else { Consent::Ask };
    let command = reached.command(&absolute(ctx, &act.command));
    let if_rev = act.manner.if_rev;
    if if_rev.is_some() && targets.iter().filter_map(|id| before.service(id)).any(|view| view.revision == 0) {
        let hint = "\"cas daemon restart\" brings up this cas and leaves services running";
        return Err(Failure::with_hint(
            Outcome::Failed,
            "this engine is older and counts no revisions: nothing was done",
            hint,
        ));
    }
    let taken = match &act.command {
        Command::Start { .. } => ports::of_targets(outside, &before, &targets),
        Command::Stop { .. }
        | Command::Restart { .. }
        | Command::Kill { .. }
        | Command::Signal { .. }
        | Command::Rotate { .. }
        | Command::Reload
        | Command::Open { .. }
        | Command::Close { .. }
        | Command::Maintenance { .. }
        | Command::Silence { .. }
        | Command::Unsilence { .. }
        | Command::Pause { .. }
        | Command::Unpause { .. }
        | Command::Recreate { .. }
        | Command::Pull { .. }
        | Command::Rm { .. }
        | Command::Prune { .. }
        | Command::Autopilot { .. } => Vec::new(),
    };
    let mut reply = ask_at(handle, &command, consent, if_rev).await?;
    match &mut reply {
        Reply::Planned { plan } => plan.steps.extend(taken.iter().map(|sentence| format!("note: {sentence}"))),
        Reply::Accepted { .. } => ports::say(ctx, &taken),
        Reply::Unchanged { .. } | Reply::NeedsConsent { .. } | Reply::Refused { .. } => {}
    }
    if let Reply::NeedsConsent { plan } = &reply {
        reply = consented(ctx, handle, &command, plan).await?;
    }
    if act.command == Command::Reload
        && let Ok(file) = place.find(ctx, outside)
    {
        // The engine keeps what runs and tells every console; whoever asked wants to know it here.
        super::load(ctx, outside, &file)?;
    }
    let settled = match &reply {
        Reply::Accepted { .. } if !act.manner.no_wait && !targets.is_empty() => {
            let goal = Goal::of(&act.command, &targets, &before, asked);
            Some(goal.wait(handle, act.manner.timeout).await?)
        }
        Reply::Accepted { .. }
        | Reply::Unchanged { .. }
        | Reply::Planned { .. }
        | Reply::NeedsConsent { .. }
        | Reply::Refused { .. } => None,
    };
    report(ctx, act, &reply, settled.as_ref(), &targets)
}

/// A name that fits nothing is no refusal.
fn is_open(snapshot: &Snapshot, project: &ProjectName) -> Result<(), Failure> {
    let open: Vec<&str> = snapshot.projects.iter().filter(|p| p.open).map(|p| p.name.as_str()).collect();
    if open.contains(&project.as_str()) {
        return Ok(());
    }
    let hint = if open.is_empty() { "none is".to_owned() } else { format!("open: {}", open.join(", ")) };
    Err(Failure::with_hint(Outcome::NotFound, format!("no project \"{project}\" is open"), hint))
}

/// The engine that a wish is put to. Where none runs the project, a start has the daemon open it first, and so has whatever is about services that
/// run without an engine.
async fn engine_for(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    command: &Command,
) -> Result<Reached, Failure> {
    if matches!(command, Command::Open { .. } | Command::Close { .. })
        && let Some(daemon) = place.everything(outside).await?
    {
        return Ok(daemon);
    }
    if let Command::Open { .. } = command {
        return Err(no_daemon());
    }
    let file = match place.reach(ctx, outside).await? {
        Reach::Engine(reached) => return Ok(reached),
        Reach::Nobody(file) => file,
    };
    let left = match outside.load(&file, &ctx.env).project {
        Some(project) => outside.left_running(&project),
        None => Vec::new(),
    };
    if (matches!(command, Command::Start { .. }) || !left.is_empty())
        && let Some(reached) = place.open_under_daemon(ctx, outside, &file, Starts::Nothing).await?
    {
        return Ok(reached);
    }
    if left.is_empty() {
        return Err(Failure::no_engine());
    }
    let names = left.iter().map(|left| left.service.as_str()).collect::<Vec<_>>().join(", ");
    Err(Failure::with_hint(
        Outcome::NoEngine,
        format!("no engine is running for this project; these run on by themselves: {names}"),
        "\"cas\" or \"cas up --detach\" takes them over, \"cas down\" stops them",
    ))
}

/// There is no daemon, and one is needed.
pub(in crate::cli) fn no_daemon() -> Failure {
    Failure::with_hint(
        Outcome::NoEngine,
        "no daemon is running",
        "\"cas daemon start\" starts one, \"cas up --detach\" starts it with the project of this directory",
    )
}

/// A directory as typed means one below where it was typed.
fn absolute(ctx: &Context<'_>, command: &Command) -> Command {
    match command {
        Command::Open { directory, environment: _, starts } => {
            let directory = ctx.cwd.join(directory);
            Command::Open {
                directory: directory.canonicalize().unwrap_or(directory),
                environment: Some(BaseEnvironment(Arc::new(ctx.env.clone()))),
                starts: *starts,
            }
        }
        Command::Start { .. }
        | Command::Stop { .. }
        | Command::Restart { .. }
        | Command::Kill { .. }
        | Command::Signal { .. }
        | Command::Rotate { .. }
        | Command::Reload
        | Command::Close { .. }
        | Command::Maintenance { .. }
        | Command::Silence { .. }
        | Command::Unsilence { .. }
        | Command::Pause { .. }
        | Command::Unpause { .. }
        | Command::Recreate { .. }
        | Command::Pull { .. }
        | Command::Rm { .. }
        | Command::Prune { .. }
        | Command::Autopilot { .. } => command.clone(),
    }
}

/// Waits until all of `targets` are up and well, and says how they are.
pub(in crate::cli) async fn wait_until_up(
    ctx: &mut Context<'_>,
    handle: &Handle,
    targets: &[ServiceId],
    asked: Timestamp,
    timeout: Duration,
) -> Result<Outcome, Failure> {
    let goal = Goal { targets: targets.iter().map(|id| (id.clone(), None)).collect(), want: Want::Up, asked };
    let settled = goal.wait(handle, timeout).await?;
    settled.say(ctx, targets);
    Ok(match settled.end {
        End::Done => Outcome::Ok,
        End::Failed | End::TimedOut { .. } => Outcome::Failed,
    })
}

/// Puts a command at the door for the command line.
pub(in crate::cli) async fn ask(handle: &Handle, command: &Command, consent: Consent) -> Result<Reply, Failure> {
    ask_at(handle, command, consent, None).await
}

/// The same about services as they were at a revision.
async fn ask_at(handle: &Handle, command: &Command, consent: Consent, if_rev: Option<u64>) -> Result<Reply, Failure> {
    let (id, origin) = (RequestId::default(), Origin::Cli);
    Ok(handle.request(Request { id, origin, command: command.clone(), consent, if_rev, asker: None }).await?)
}

async fn consented(ctx: &mut Context<'_>, handle: &Handle, command: &Command, plan: &Plan) -> Result<Reply, Failure> {
    let paint = ctx.talk_paint();
    ctx.say(reply::plan(plan, paint).trim_end());
    if !ctx.confirm("Do it?") {
        return Err(Failure::with_hint(
            Outcome::Refused,
            "not done: nobody agreed to it",
            "run it on a terminal and answer y; --dry-run shows what it would do",
        ));
    }
    // What was agreed to is the plan in that state: an engine that counts no revisions says 0.
    let if_rev = (plan.revision > 0).then_some(plan.revision);
    ask_at(handle, command, Consent::Given(plan.fingerprint), if_rev).await
}

fn report(
    ctx: &mut Context<'_>,
    act: &Act,
    reply: &Reply,
    settled: Option<&Settled>,
    targets: &[ServiceId],
) -> Result<Outcome, Failure> {
    if act.manner.json {
        let views: Option<Vec<&ServiceView>> = settled.map(|settled| settled.views(targets));
        ctx.data(&json_document(&reply::document(&act.command, reply, views.as_deref())))?;
        return Ok(outcome_of(reply, settled));
    }
    match reply {
        Reply::Accepted { note } | Reply::Unchanged { note } => ctx.say(&text::plain(note)),
        Reply::Planned { plan } => {
            let paint = ctx.paint();
            ctx.data(&reply::plan(plan, paint))?;
        }
        Reply::NeedsConsent { .. } => {
            return Err(Failure::new(Outcome::Refused, "not done: things changed meanwhile, ask again"));
        }
        Reply::Refused { reason, hint } => {
            return Err(Failure::Said { outcome: Outcome::Refused, message: reason.clone(), hint: hint.clone() });
        }
    }
    if let Some(settled) = settled {
        settled.say(ctx, targets);
    }
    Ok(outcome_of(reply, settled))
}

const fn outcome_of(reply: &Reply, settled: Option<&Settled>) -> Outcome {
    match reply {
        Reply::Accepted { .. } => match settled {
            Some(Settled { end: End::Failed | End::TimedOut { .. }, .. }) => Outcome::Failed,
            Some(Settled { end: End::Done, .. }) | None => Outcome::Ok,
        },
        Reply::Unchanged { .. } | Reply::Planned { .. } => Outcome::Ok,
        Reply::NeedsConsent { .. } | Reply::Refused { .. } => Outcome::Refused,
    }
}

/// What a command wants its targets to come to.
#[derive(Debug)]
struct Goal {
    /// Targets, each with the run that was there before.
    targets: Vec<(ServiceId, Option<RunId>)>,
    want: Want,
    asked: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    Up,
    UpAnew,
    Down,
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Done,
    Failed,
    UnderWay,
}

/// How the waiting ended.
#[derive(Debug)]
struct Settled {
    end: End,
    snapshot: Arc<Snapshot>,
}

#[derive(Debug)]
enum End {
    Done,
    Failed,
    TimedOut { after: Duration },
}

impl Goal {
    fn of(command: &Command, targets: &[ServiceId], before: &Snapshot, asked: Timestamp) -> Self {
        let want = match command {
            Command::Start { .. } => Want::Up,
            Command::Restart { .. } | Command::Recreate { .. } => Want::UpAnew,
            Command::Stop { .. } | Command::Kill { .. } => Want::Down,
            Command::Signal { .. }
            | Command::Rotate { .. }
            | Command::Reload
            | Command::Open { .. }
            | Command::Close { .. }
            | Command::Maintenance { .. }
            | Command::Silence { .. }
            | Command::Unsilence { .. }
            | Command::Pause { .. }
            | Command::Unpause { .. }
            | Command::Pull { .. }
            | Command::Rm { .. }
            | Command::Prune { .. }
            | Command::Autopilot { .. } => Want::Nothing,
        };
        let run = |id: &ServiceId| before.service(id).and_then(|view| view.phase.run());
        Self { targets: targets.iter().map(|id| (id.clone(), run(id))).collect(), want, asked }
    }

    async fn wait(&self, handle: &Handle, timeout: Duration) -> Result<Settled, Failure> {
        let mut snapshots = handle.snapshots.clone();
        let deadline = tokio::time::sleep(timeout);
        let mut deadline = std::pin::pin!(deadline);
        loop {
            let snapshot = snapshots.borrow_and_update().clone();
            match self.progress(&snapshot) {
                Progress::Done => return Ok(Settled { end: End::Done, snapshot }),
                Progress::Failed => return Ok(Settled { end: End::Failed, snapshot }),
                Progress::UnderWay => {}
            }
            tokio::select! {
                changed = snapshots.changed() => changed.map_err(|_| Failure::failed("the engine has ended"))?,
                () = &mut deadline => return Ok(Settled { end: End::TimedOut { after: timeout }, snapshot }),
            }
        }
    }

    /// Failed as soon as one has failed and none is under way.
    fn progress(&self, snapshot: &Snapshot) -> Progress {
        let all: Vec<Progress> = self
            .targets
            .iter()
            .map(|(id, run)| snapshot.service(id).map_or(Progress::Failed, |view| self.progress_of(view, *run)))
            .collect();
        if all.contains(&Progress::UnderWay) {
            Progress::UnderWay
        } else if all.contains(&Progress::Failed) {
            Progress::Failed
        } else {
            Progress::Done
        }
    }

    fn progress_of(&self, view: &ServiceView, before: Option<RunId>) -> Progress {
        let is_new = view.phase.since().has_reached(self.asked);
        match self.want {
            Want::Nothing => Progress::Done,
            Want::Down => match &view.phase {
                Phase::Stopped { .. } | Phase::Exited { .. } | Phase::GaveUp { .. } => Progress::Done,
                Phase::Waiting { .. }
                | Phase::Blocked { .. }
                | Phase::Starting { .. }
                | Phase::Running { .. }
                | Phase::Stopping { .. }
                | Phase::BackingOff { .. } => Progress::UnderWay,
            },
            Want::Up | Want::UpAnew => match &view.phase {
                Phase::Running { run, .. } if self.want == Want::UpAnew && before == Some(*run) => Progress::UnderWay,
                Phase::Running { .. } => running(&view.health),
                Phase::Exited { exit, .. } if is_new && exit.is_success() => Progress::Done,
                Phase::Exited { .. } | Phase::GaveUp { .. } | Phase::Stopped { .. } if is_new => Progress::Failed,
                Phase::Exited { .. }
                | Phase::GaveUp { .. }
                | Phase::Stopped { .. }
                | Phase::Waiting { .. }
                | Phase::Blocked { .. }
                | Phase::Starting { .. }
                | Phase::Stopping { .. }
                | Phase::BackingOff { .. } => Progress::UnderWay,
            },
        }
    }
}

const fn running(health: &Health) -> Progress {
    match health {
        Health::Unknown | Health::Healthy { .. } => Progress::Done,
        Health::Starting { .. } => Progress::UnderWay,
        Health::Unhealthy { .. } | Health::Misconfigured { .. } => Progress::Failed,
    }
}

impl Settled {
    fn views(&self, targets: &[ServiceId]) -> Vec<&ServiceView> {
        targets.iter().filter_map(|id| self.snapshot.service(id)).map(AsRef::as_ref).collect()
    }

    fn say(&self, ctx: &mut Context<'_>, targets: &[ServiceId]) {
        for view in self.views(targets) {
            let phase = &view.phase;
            let why = text::plain(&view.why);
            ctx.say(&format!("{} {} {}: {why}", phase.glyph(), view.id.service, phase.label()));
        }
        if let End::TimedOut { after } = self.end {
            ctx.say(&format!("cas: not done after {}; it goes on without you", short_duration(after)));
        }
    }
}
