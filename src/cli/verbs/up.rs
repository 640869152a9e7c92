//! `cas` and `cas up`: reach the project's engine (hosted elsewhere, or the daemon) or host one, then show the console or follow the merged log.
//! What becomes of services when a console that hosts their engine is left is decided here.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use super::{
    Place, accept,
    act::{ask, wait_until_up},
    load,
    logs::prefix,
    ports,
    reach::{Reached, open},
};
use crate::{
    cli::{
        args::{LineLook, Up},
        context::Context,
        follow::{Ending, Follow, follow},
        outcome::{Failure, Outcome},
        outside::{Access, Checked, Opening, Outside, Running, Shown},
        render::logs::{Form, LogLook},
        select, text,
    },
    config::{self, FileKind},
    host::handle::{Departure, Handle, Link},
    insight::entry::Formats,
    model::{
        command::{Command, ServiceRef, Starts, Targets},
        ids::ServiceId,
        occasion::active_profiles,
        policy::{Consent, Reply},
        project::ProjectSpec,
        snapshot::Snapshot,
        time::Timestamp,
    },
};

/// So long the console is not opened while the files of a directory are looked at.
const SOON: Duration = Duration::from_millis(100);

/// What is shown of a running project.
pub(in crate::cli) enum Face<'a> {
    /// The console.
    Console {
        /// How it looks.
        theme: Option<&'a str>,
    },
    /// One merged log.
    Lines(&'a LineLook),
}

pub(in crate::cli) async fn console(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    theme: Option<&str>,
) -> Result<Outcome, Failure> {
    if !ctx.can_show_console() {
        return Err(Failure::with_hint(
            Outcome::Usage,
            if ctx.is_dumb() {
                "this terminal (TERM=dumb) cannot show the console"
            } else {
                "the console needs a terminal"
            },
            "\"cas status\" shows where services stand, \"cas up --no-tui\" runs them with one merged log",
        ));
    }
    let file = match place.find(ctx, outside) {
        Ok(file) => file,
        Err(no_project) => {
            // Outside of all projects: everything that the daemon runs.
            let everything = place.everything(outside).await?.ok_or(no_project)?;
            return show(ctx, outside, place, everything.handle, theme).await;
        }
    };
    if place.access == Access::Full
        && FileKind::of(&file) == FileKind::Found
        && outside.connect(&file, place.access).await.map_err(Failure::failed)?.is_none()
        && outside.daemon(place.access).await.map_err(Failure::failed)?.is_none()
    {
        // What many files tell takes its time, and nobody looks at an empty terminal meanwhile.
        let handle = match read_soon(&file, &ctx.env).await {
            Some(checked) => {
                let project = accept(ctx, &checked)?;
                outside.host(project, Opening::Autostart).await
            }
            None => outside.host_later(&file).await,
        };
        return show(ctx, outside, place, handle.map_err(Failure::failed)?, theme).await;
    }
    let reached = engine(ctx, outside, place, &file, Wanted::Autostart).await?;
    show(ctx, outside, place, reached.handle, theme).await
}

/// What the files of a directory tell, where that is known soon.
async fn read_soon(file: &Path, env: &BTreeMap<String, String>) -> Option<Checked> {
    let (file, env) = (file.to_owned(), env.clone());
    let reading = tokio::task::spawn_blocking(move || Checked::of(config::load(&file, None, &env)));
    tokio::time::timeout(SOON, reading).await.ok()?.ok()
}

pub(in crate::cli) async fn up(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    up: &Up,
    theme: Option<&str>,
) -> Result<Outcome, Failure> {
    let file = place.find(ctx, outside)?;
    if up.detach {
        return detach(ctx, outside, &file, up).await;
    }
    let face = if up.no_tui || !ctx.can_show_console() { Face::Lines(&up.lines) } else { Face::Console { theme } };
    start(ctx, outside, place, &file, &Wish { services: &up.services, profiles: &up.profiles }, &face).await
}

/// What is to be started.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::cli) struct Wish<'a> {
    /// None named: all, save what only a profile or a clock starts.
    pub(in crate::cli) services: &'a [ServiceRef],
    /// Profiles that the line itself names; they stand in the environment, too.
    pub(in crate::cli) profiles: &'a [String],
}

impl Wish<'_> {
    /// The services that are meant; none: all of the project.
    fn meant(&self, ctx: &Context<'_>, reached: &Reached) -> Result<Option<Vec<ServiceId>>, Failure> {
        let snapshot = reached.snapshot();
        let ids = reached.ids(&snapshot);
        if !self.services.is_empty() {
            return select::in_picture(self.services, &ids, &snapshot).map(Some);
        }
        let active = active_profiles(|name| ctx.env.get(name).cloned());
        let is_meant = |id: &&ServiceId| {
            snapshot.service(id).is_some_and(|view| {
                let occasions = &view.occasions;
                let profiles = &occasions.profiles;
                occasions.schedule.is_none() && (!profiles.dormant || occasions.is_of_all(&active))
            })
        };
        let meant: Vec<ServiceId> = ids.iter().filter(is_meant).cloned().collect();
        Ok((meant.len() < ids.len()).then_some(meant))
    }

    /// Says which of its profiles no service has.
    fn tell_of_strangers(&self, ctx: &mut Context<'_>, snapshot: &Snapshot) {
        let known: BTreeSet<&String> =
            snapshot.services.iter().flat_map(|view| &view.occasions.profiles.names).collect();
        for stranger in self.profiles.iter().filter(|name| *name != "*" && !known.contains(name)) {
            let names = known.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
            let there = if names.is_empty() { "no service has any".to_owned() } else { format!("there are: {names}") };
            ctx.say(&text::plain(&format!("note: no service is of the profile {stranger}; {there}")));
        }
    }
}

/// Reaches or hosts the engine of `file`, starts what is wished, and shows it.
pub(in crate::cli) async fn start(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    file: &Path,
    wish: &Wish<'_>,
    face: &Face<'_>,
) -> Result<Outcome, Failure> {
    let reached = engine(ctx, outside, place, file, Wanted::Services(wish.services)).await?;
    let asked = outside.now();
    if place.access == Access::Full
        && let Err(failure) = want(ctx, &reached, wish).await
    {
        leave_if_ours(ctx, outside, &reached.handle).await;
        return Err(failure);
    }
    match face {
        Face::Console { theme } => show(ctx, outside, place, reached.handle, *theme).await,
        Face::Lines(lines) => print(ctx, outside, &reached, lines, asked).await,
    }
}

async fn engine(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    file: &Path,
    wanted: Wanted<'_>,
) -> Result<Reached, Failure> {
    let opening = wanted.opening();
    if let Some(handle) = outside.connect(file, place.access).await.map_err(Failure::failed)? {
        let reached = Reached::on(handle, file);
        if let (Wanted::Services(services), Access::Full) = (wanted, place.access) {
            note_ports_of(ctx, outside, &reached, services);
        }
        return Ok(reached);
    }
    if place.access == Access::ReadOnly {
        return Err(Failure::with_hint(
            Outcome::NoEngine,
            "nothing runs to look at: no engine is running for this project",
            "without --read-only \"cas\" would host one",
        ));
    }
    let project = load(ctx, outside, file)?;
    note_ports(ctx, outside, &project, wanted);
    if let Some(reached) = place.open_under_daemon(ctx, outside, file, opening.starts()).await? {
        return Ok(reached);
    }
    let handle = outside.host(project, opening).await.map_err(Failure::failed)?;
    Ok(Reached::on(handle, file))
}

/// `cas up --detach`: the services run under the daemon, and the shell is free again.
async fn detach(ctx: &mut Context<'_>, outside: &impl Outside, file: &Path, up: &Up) -> Result<Outcome, Failure> {
    // What is wrong with the file is said in full, before anything is started.
    let project = load(ctx, outside, file)?;
    let reached = if let Some(handle) = outside.connect(file, Access::Full).await.map_err(Failure::failed)? {
        let reached = Reached::on(handle, file);
        note_ports_of(ctx, outside, &reached, &up.services);
        reached
    } else {
        note_ports(ctx, outside, &project, Wanted::Services(&up.services));
        under_daemon(ctx, outside, file, opening_for(&up.services).starts()).await?
    };
    let snapshot = reached.snapshot();
    let wish = Wish { services: &up.services, profiles: &up.profiles };
    let targets = wish.meant(ctx, &reached)?.unwrap_or_else(|| reached.ids(&snapshot));
    let asked = outside.now();
    want(ctx, &reached, &wish).await?;
    let outcome = wait_until_up(ctx, &reached.handle, &targets, asked, up.timeout).await?;
    let engine = &snapshot.engine;
    ctx.say(&if engine.daemon {
        format!("the daemon (pid {}) has them under care; \"cas\" shows them, \"cas down\" stops them", engine.pid)
    } else {
        format!(
            "they run in the cas of pid {}, which was there already: leaving that one asks what becomes of them",
            engine.pid
        )
    });
    Ok(outcome)
}

/// What is to be started of a project that is opened.
#[derive(Debug, Clone, Copy)]
enum Wanted<'a> {
    /// What starts by itself.
    Autostart,
    /// These with what they need; none named: all.
    Services(&'a [ServiceRef]),
}

impl Wanted<'_> {
    const fn opening(self) -> Opening {
        match self {
            Self::Autostart => Opening::Autostart,
            Self::Services(services) => opening_for(services),
        }
    }
}

/// Who has the ports of what is to be started. Names that fit nothing are told later.
fn note_ports(ctx: &mut Context<'_>, outside: &impl Outside, project: &ProjectSpec, wanted: Wanted<'_>) {
    let known: Vec<_> = project.services.iter().map(|service| service.id.clone()).collect();
    let wanted = match wanted {
        Wanted::Autostart => {
            project.services.iter().filter(|service| service.autostart).map(|service| service.id.clone()).collect()
        }
        Wanted::Services([]) => known,
        Wanted::Services(services) => select::services(services, &known).unwrap_or_default(),
    };
    let taken = ports::of_project(outside, project, &wanted);
    ports::say(ctx, &taken);
}

/// The same of a project that an engine runs.
fn note_ports_of(ctx: &mut Context<'_>, outside: &impl Outside, reached: &Reached, services: &[ServiceRef]) {
    let snapshot = reached.snapshot();
    let known = reached.ids(&snapshot);
    let wanted = if services.is_empty() { known } else { select::services(services, &known).unwrap_or_default() };
    let taken = ports::of_targets(outside, &snapshot, &wanted);
    ports::say(ctx, &taken);
}

/// Starts the daemon where none runs, and has it open the project.
async fn under_daemon(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    file: &Path,
    starts: Starts,
) -> Result<Reached, Failure> {
    if let Running::New { pid } = outside.start_daemon().await.map_err(Failure::failed)? {
        ctx.say(&format!("started the daemon (pid {pid})"));
    }
    let handle = outside.daemon(Access::Full).await.map_err(Failure::failed)?;
    let handle = handle.ok_or_else(|| Failure::failed("the daemon has ended again; \"cas daemon logs\" says why"))?;
    open(ctx, outside, &handle, file, starts).await
}

/// Who names services wants those and what they need, and no others.
const fn opening_for(services: &[ServiceRef]) -> Opening {
    if services.is_empty() { Opening::Autostart } else { Opening::Quiet }
}

async fn want(ctx: &mut Context<'_>, reached: &Reached, wish: &Wish<'_>) -> Result<(), Failure> {
    wish.tell_of_strangers(ctx, &reached.snapshot());
    let meant = wish.meant(ctx, reached)?;
    let targets = match &meant {
        Some(meant) if meant.is_empty() => {
            ctx.say("nothing to start: clocks start these services, or profiles that are not active (--profile NAME)");
            return Ok(());
        }
        _ if !wish.services.is_empty() => Targets { services: wish.services.to_vec(), all: false },
        Some(meant) => Targets { services: meant.iter().map(|id| ServiceRef(id.to_string())).collect(), all: false },
        None => Targets { services: Vec::new(), all: true },
    };
    let command = reached.command(&Command::Start { targets });
    match ask(&reached.handle, &command, Consent::Ask).await? {
        Reply::Accepted { note } | Reply::Unchanged { note } => {
            ctx.say(&text::plain(&note));
            Ok(())
        }
        Reply::Refused { reason, hint } => Err(Failure::Said { outcome: Outcome::Refused, message: reason, hint }),
        Reply::Planned { plan } | Reply::NeedsConsent { plan } => {
            Err(Failure::new(Outcome::Refused, format!("not done without consent: {}", plan.title)))
        }
    }
}

async fn show(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    handle: Handle,
    theme: Option<&str>,
) -> Result<Outcome, Failure> {
    let shown = match outside.console(handle.clone(), place.access, theme).await {
        Ok(shown) => shown,
        Err(never_shown) => {
            leave_if_ours(ctx, outside, &handle).await;
            return Err(Failure::failed(never_shown));
        }
    };
    match shown {
        Shown::Left => {
            leave_if_ours(ctx, outside, &handle).await;
            Ok(Outcome::Ok)
        }
        Shown::LeaveRunning => {
            if is_ours(&handle) {
                hand_over(ctx, outside, &handle).await?;
            }
            Ok(Outcome::Ok)
        }
        // Ctrl-C from outside means what it means to `cas up`; the others are not about services at all.
        Shown::Signalled(SIGINT) => {
            leave_if_ours(ctx, outside, &handle).await;
            Ok(Outcome::Interrupted)
        }
        Shown::Signalled(_) => {
            release_if_ours(ctx, outside, &handle).await;
            Ok(Outcome::Interrupted)
        }
        Shown::Lost(why) => {
            release_if_ours(ctx, outside, &handle).await;
            Err(Failure::failed(why))
        }
    }
}

/// Number of the signal that a terminal sends on Ctrl-C (POSIX).
const SIGINT: i32 = 2;

/// Services with a process now.
fn running(handle: &Handle) -> usize {
    handle.snapshot().services.iter().filter(|service| service.phase.run().is_some()).count()
}

const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// The engine of this process ends without its services: the next one takes them over.
async fn release_if_ours(ctx: &mut Context<'_>, outside: &impl Outside, handle: &Handle) {
    if !is_ours(handle) {
        return;
    }
    let there = running(handle);
    handle.depart(Departure::LeaveRunning).await;
    outside.let_go().await;
    if there > 0 {
        let (s, s_verb) = (plural(there), if there == 1 { "s" } else { "" });
        ctx.say(&format!("{there} service{s} run{s_verb} on; \"cas\" takes over, \"cas down\" stops"));
    }
}

/// The same, and the daemon is the next one.
async fn hand_over(ctx: &mut Context<'_>, outside: &impl Outside, handle: &Handle) -> Result<(), Failure> {
    let there = running(handle);
    let snapshot = handle.snapshot();
    let files: Vec<_> =
        snapshot.projects.iter().filter(|project| project.open).map(|project| project.file.clone()).collect();
    handle.depart(Departure::LeaveRunning).await;
    outside.let_go().await;
    let mut pid = None;
    for file in &files {
        match under_daemon(ctx, outside, file, Starts::Wanted).await {
            Ok(reached) => pid = Some(reached.handle.snapshot().engine.pid),
            Err(failure) => {
                ctx.say("cas: services run on by themselves: \"cas\" takes them over, \"cas down\" stops them");
                return Err(failure);
            }
        }
    }
    if let Some(pid) = pid {
        let (s, s_verb) = (plural(there), if there == 1 { "s" } else { "" });
        ctx.say(&format!(
            "{there} service{s} run{s_verb} on under the daemon (pid {pid}); \"cas\" shows, \"cas down\" stops"
        ));
    }
    Ok(())
}

async fn print(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    reached: &Reached,
    lines: &LineLook,
    asked: Timestamp,
) -> Result<Outcome, Failure> {
    let handle = &reached.handle;
    if is_ours(handle) {
        outside.reload_on_hangup(handle);
    }
    let interrupts = match outside.interrupts() {
        Ok(interrupts) => interrupts,
        Err(why) => {
            leave_if_ours(ctx, outside, handle).await;
            return Err(Failure::failed(why));
        }
    };
    let services = reached.ids(&handle.snapshot());
    let look = LogLook {
        prefix: prefix(&services, lines),
        services,
        timestamps: lines.timestamps,
        zone: ctx.zone,
        paint: ctx.paint(),
        marks: Vec::new(),
        formats: std::sync::Arc::new(Formats::builtin()),
        files: Vec::new(),
        form: Form::Text,
    };
    let ending = if is_ours(handle) { Ending::StopAll } else { Ending::LeaveRunning };
    follow(reached, ctx, Follow { look, ending, interrupts, asked }).await
}

/// True where the engine runs in this process and ends with it.
fn is_ours(handle: &Handle) -> bool {
    matches!(*handle.link.borrow(), Link::Local)
}

/// An engine of this process must not end before its services have. An interrupt meanwhile kills them.
async fn leave_if_ours(ctx: &mut Context<'_>, outside: &impl Outside, handle: &Handle) {
    if !is_ours(handle) {
        return;
    }
    let there = running(handle);
    if there > 0 {
        ctx.say(&format!("stopping {there} service{} (Ctrl-C: kill)", plural(there)));
    }
    let interrupts = outside.interrupts();
    let mut left = std::pin::pin!(handle.leave());
    if let Ok(mut interrupts) = interrupts {
        tokio::select! {
            // The leave first: the engine hears of it before it hears of a kill.
            biased;
            () = &mut left => return,
            Some(_) = interrupts.recv() => {
                ctx.say("cas: killing everything");
                let all = Targets { services: Vec::new(), all: true };
                // Refused or gone: the stop that is under way ends it all the same.
                let _stopping_anyway = ask(handle, &Command::Kill { targets: all }, Consent::Ask).await;
            }
        }
    }
    left.await;
}
