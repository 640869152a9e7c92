//! `cas` and `cas up`: reach the project's engine or host one, then show the console or follow the merged log.

use std::path::Path;

use super::{Place, act::ask, connect, ids, load, logs::prefix};
use crate::{
    cli::{
        args::{LineLook, Up},
        context::Context,
        follow::{Ending, Follow, follow},
        outcome::{Failure, Outcome},
        outside::{Opening, Outside},
        render::logs::{Form, LogLook},
        select, text,
    },
    host::handle::{Handle, Link},
    model::{
        command::{Command, ServiceRef, Targets},
        policy::{Consent, Reply},
        time::Timestamp,
    },
};

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
    let file = place.find(ctx, outside)?;
    let handle = engine(ctx, outside, &file, Opening::Autostart).await?;
    show(ctx, outside, handle, theme).await
}

pub(in crate::cli) async fn up(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    up: &Up,
    theme: Option<&str>,
) -> Result<Outcome, Failure> {
    let file = place.find(ctx, outside)?;
    let face = if up.no_tui || !ctx.can_show_console() { Face::Lines(&up.lines) } else { Face::Console { theme } };
    start(ctx, outside, &file, &up.services, &face).await
}

/// Reaches or hosts the engine of `file`, starts `services` (none named: all), and shows it.
pub(in crate::cli) async fn start(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    file: &Path,
    services: &[ServiceRef],
    face: &Face<'_>,
) -> Result<Outcome, Failure> {
    let opening = if services.is_empty() { Opening::Autostart } else { Opening::Quiet };
    let handle = engine(ctx, outside, file, opening).await?;
    let asked = outside.now();
    if let Err(failure) = want(ctx, &handle, services).await {
        leave_if_ours(ctx, outside, &handle).await;
        return Err(failure);
    }
    match face {
        Face::Console { theme } => show(ctx, outside, handle, *theme).await,
        Face::Lines(lines) => print(ctx, outside, &handle, lines, asked).await,
    }
}

async fn engine(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    file: &Path,
    opening: Opening,
) -> Result<Handle, Failure> {
    if let Some(handle) = connect(outside, file).await? {
        return Ok(handle);
    }
    let project = load(ctx, outside, file)?;
    outside.host(project, opening).await.map_err(Failure::failed)
}

async fn want(ctx: &mut Context<'_>, handle: &Handle, services: &[ServiceRef]) -> Result<(), Failure> {
    let snapshot = handle.snapshot();
    if !services.is_empty() {
        select::services(services, &ids(&snapshot))?;
    }
    let targets = Targets { services: services.to_vec(), all: services.is_empty() };
    match ask(handle, &Command::Start { targets }, Consent::Ask).await? {
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
    handle: Handle,
    theme: Option<&str>,
) -> Result<Outcome, Failure> {
    let shown = outside.console(handle.clone(), theme).await;
    leave_if_ours(ctx, outside, &handle).await;
    shown.map_err(Failure::failed)
}

async fn print(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    handle: &Handle,
    lines: &LineLook,
    asked: Timestamp,
) -> Result<Outcome, Failure> {
    let interrupts = match outside.interrupts() {
        Ok(interrupts) => interrupts,
        Err(why) => {
            leave_if_ours(ctx, outside, handle).await;
            return Err(Failure::failed(why));
        }
    };
    let services = ids(&handle.snapshot());
    let look = LogLook {
        prefix: prefix(&services, lines),
        services,
        timestamps: lines.timestamps,
        zone: ctx.zone,
        paint: ctx.paint(),
        grep: None,
        form: Form::Text,
    };
    let ending = if is_ours(handle) { Ending::StopAll } else { Ending::LeaveRunning };
    follow(handle, ctx, Follow { look, ending, interrupts, asked }).await
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
    let there = handle.snapshot().services.iter().filter(|service| service.phase.run().is_some()).count();
    if there > 0 {
        ctx.say(&format!("stopping {there} service{} (Ctrl-C: kill)", if there == 1 { "" } else { "s" }));
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
