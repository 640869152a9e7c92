//! `cas daemon …`: its life, from the outside. Never starts or stops a service itself: the engine does.

use super::{
    act::no_daemon,
    install::{install, uninstall},
};
use crate::{
    cli::{
        args::{DaemonAction, DaemonLogs, DaemonStop},
        care::Kept,
        context::Context,
        link::LinkWatch,
        outcome::{Failure, Outcome},
        outside::{Access, Outside, Running},
        render::{
            health::{self, Health, Look},
            json_document,
            story::{Stories, line},
        },
        text,
    },
    host::handle::{Departure, Handle},
    model::{snapshot::Snapshot, timeline::Entry},
};
use std::{sync::Arc, time::Duration};

/// Stored entries that are told at most.
const ENTRIES: usize = 10_000;

/// A story that goes on is told as far as it is after so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// What this program is.
pub(in crate::cli) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(in crate::cli) async fn daemon(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    action: DaemonAction,
) -> Result<Outcome, Failure> {
    match action {
        DaemonAction::Start => start(ctx, outside).await,
        DaemonAction::Stop(how) => stop(ctx, outside, how).await,
        DaemonAction::Status { json } => status(ctx, outside, json).await,
        DaemonAction::Logs(logs) => tell(ctx, outside, logs).await,
        DaemonAction::Restart => restart(ctx, outside).await,
        DaemonAction::Install(how) => install(ctx, outside, how).await,
        DaemonAction::Uninstall => uninstall(ctx, outside),
        DaemonAction::Run { detached } => {
            outside.run_daemon(detached).await.map_err(Failure::failed)?;
            Ok(Outcome::Ok)
        }
    }
}

async fn start(ctx: &mut Context<'_>, outside: &impl Outside) -> Result<Outcome, Failure> {
    match outside.start_daemon().await.map_err(Failure::failed)? {
        Running::New { pid } => {
            ctx.say(&format!("the daemon runs (pid {pid})"));
            let kept = outside.under_care();
            if !kept.is_empty() {
                ctx.say(&format!("it opens what was under care: {}", names(&kept)));
            }
        }
        Running::Already { pid } => {
            ctx.say(&format!("the daemon runs already (pid {pid})"));
            if let Ok(Some(handle)) = outside.daemon(Access::ReadOnly).await {
                say_if_other(ctx, &handle.snapshot().engine.version);
            }
        }
    }
    Ok(Outcome::Ok)
}

fn names(kept: &[Kept]) -> String {
    kept.iter().map(|kept| kept.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// A daemon of another version goes on working; how it becomes this one is worth knowing.
fn say_if_other(ctx: &mut Context<'_>, version: &str) {
    if let Some(sentence) = health::other_version(version, VERSION) {
        ctx.say(&format!("note: {}", text::plain(&sentence)));
    }
}

/// Services with a process now, by name.
fn running(snapshot: &Snapshot) -> Vec<String> {
    let services = snapshot.services.iter().filter(|service| service.phase.run().is_some());
    services.map(|service| service.id.to_string()).collect()
}

async fn stop(ctx: &mut Context<'_>, outside: &impl Outside, how: DaemonStop) -> Result<Outcome, Failure> {
    let handle = match outside.daemon(Access::Full).await {
        Ok(Some(handle)) => handle,
        Ok(None) => {
            ctx.say("nothing to do: no daemon is running");
            return Ok(Outcome::Ok);
        }
        Err(why) if how.keep => {
            ctx.say(&format!("cas: {}", text::plain(&why)));
            let pid = outside.terminate_daemon().await.map_err(Failure::failed)?;
            outside.daemon_gone(pid).await.map_err(Failure::failed)?;
            ctx.say("the daemon has ended; its services run on");
            return Ok(Outcome::Ok);
        }
        Err(why) => {
            let hint = "cas daemon restart makes it one of this version; cas daemon stop --keep ends it and leaves services running";
            return Err(Failure::with_hint(Outcome::Failed, why, hint));
        }
    };
    let services = running(&handle.snapshot());
    let Some(departure) = departure(ctx, &services, how)? else {
        return Err(Failure::new(Outcome::Refused, "nothing was done: the daemon runs on"));
    };
    end(ctx, outside, &handle, departure, services.len()).await?;
    Ok(Outcome::Ok)
}

/// What becomes of the services; none where whoever was asked does not want to stop the daemon after all.
fn departure(ctx: &mut Context<'_>, services: &[String], how: DaemonStop) -> Result<Option<Departure>, Failure> {
    match how {
        DaemonStop { keep: true, .. } => return Ok(Some(Departure::LeaveRunning)),
        DaemonStop { down: true, .. } => return Ok(Some(Departure::StopAll)),
        DaemonStop { keep: false, down: false } => {}
    }
    if services.is_empty() {
        return Ok(Some(Departure::StopAll));
    }
    let count = services.len();
    let (s, s_verb) = if count == 1 { ("", "s") } else { ("s", "") };
    ctx.say(&format!("{count} service{s} run{s_verb} under the daemon: {}", services.join(", ")));
    if !ctx.terminals.stdin {
        return Err(Failure::with_hint(
            Outcome::Usage,
            "it was not said what becomes of them",
            "--keep leaves them running for the next engine, --down stops them first",
        ));
    }
    let answer = ctx.question("Leave them running (k), stop them (d), or stay as it is (Enter)?");
    Ok(match answer.trim().to_ascii_lowercase().as_str() {
        "k" | "keep" => Some(Departure::LeaveRunning),
        "d" | "down" => Some(Departure::StopAll),
        _ => None,
    })
}

/// Ends the daemon and returns when it is gone.
async fn end(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    handle: &Handle,
    departure: Departure,
    running: usize,
) -> Result<(), Failure> {
    let pid = handle.snapshot().engine.pid;
    if departure == Departure::StopAll && running > 0 {
        ctx.say(&format!("stopping {running} service{}", if running == 1 { "" } else { "s" }));
    }
    handle.depart(departure).await;
    outside.daemon_gone(pid).await.map_err(Failure::failed)?;
    ctx.say(&match (departure, running) {
        (_, 0) => "the daemon has ended".to_owned(),
        (Departure::StopAll | Departure::Halt, _) => "everything is stopped, and the daemon has ended".to_owned(),
        (Departure::LeaveRunning, 1) => "the daemon has ended; its service runs on".to_owned(),
        (Departure::LeaveRunning, count) => format!("the daemon has ended; its {count} services run on"),
    });
    Ok(())
}

async fn restart(ctx: &mut Context<'_>, outside: &impl Outside) -> Result<Outcome, Failure> {
    match outside.daemon(Access::Full).await {
        Ok(None) => return start(ctx, outside).await,
        Ok(Some(handle)) => {
            let count = running(&handle.snapshot()).len();
            end(ctx, outside, &handle, Departure::LeaveRunning, count).await?;
        }
        // Of another version, most likely: a signal is understood by all of them.
        Err(why) => {
            ctx.say(&format!("cas: {}", text::plain(&why)));
            let pid = outside.terminate_daemon().await.map_err(Failure::failed)?;
            outside.daemon_gone(pid).await.map_err(Failure::failed)?;
        }
    }
    let (Running::New { pid } | Running::Already { pid }) = outside.start_daemon().await.map_err(Failure::failed)?;
    ctx.say(&format!(
        "cas {VERSION} runs as the daemon (pid {pid}) and takes over what runs; no service was restarted"
    ));
    Ok(Outcome::Ok)
}

async fn status(ctx: &mut Context<'_>, outside: &impl Outside, json: bool) -> Result<Outcome, Failure> {
    let kept = outside.under_care();
    let Some(told) = outside.daemon_view().await.map_err(Failure::failed)? else {
        if json {
            ctx.data(&json_document(&health::document(None, None, &kept)))?;
            return Ok(Outcome::NoEngine);
        }
        if !kept.is_empty() {
            ctx.say(&format!("it would open what was under care: {}", names(&kept)));
        }
        return Err(no_daemon());
    };
    let handle = outside.daemon(Access::ReadOnly).await.map_err(Failure::failed)?;
    let snapshot = handle.map(|handle| handle.snapshot());
    let snapshot = snapshot.as_deref();
    if json {
        ctx.data(&json_document(&health::document(Some(&told), snapshot, &kept)))?;
    } else {
        let look = Look { paint: ctx.paint(), zone: ctx.zone, now: outside.now(), client: VERSION };
        let health = Health::read(&told);
        ctx.data(&health::text(&health, snapshot, &kept, &look))?;
    }
    Ok(Outcome::Ok)
}

async fn tell(ctx: &mut Context<'_>, outside: &impl Outside, logs: DaemonLogs) -> Result<Outcome, Failure> {
    let since_us = logs.since.map(|when| when.wall_us(outside.now()));
    let daemon = if logs.follow { outside.daemon(Access::ReadOnly).await.map_err(Failure::failed)? } else { None };
    if logs.follow && daemon.is_none() {
        return Err(no_daemon());
    }
    let entries = outside.stored_entries(None, since_us, ENTRIES).map_err(Failure::failed)?;
    let mut stories = Stories::default();
    for entry in &entries {
        stories.take(entry);
    }
    let Some(handle) = daemon else {
        return print(ctx, outside, &stories.finish()).map(|()| Outcome::Ok);
    };
    print(ctx, outside, &stories.ready(None))?;
    follow(ctx, outside, &handle, stories, entries.last()).await
}

/// Goes on telling. What the picture holds and was not stored yet comes first.
async fn follow(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    handle: &Handle,
    mut stories: Stories,
    last: Option<&Entry>,
) -> Result<Outcome, Failure> {
    let mut interrupts = outside.interrupts().map_err(Failure::failed)?;
    let mut snapshots = handle.snapshots.clone();
    let mut link = LinkWatch::new(handle);
    let after = last.map_or(i64::MIN, |entry| entry.at.wall_us);
    let mut told = None;
    loop {
        let snapshot: Arc<Snapshot> = Arc::clone(&snapshots.borrow_and_update());
        for entry in &snapshot.timeline {
            let is_new = told.map_or_else(|| entry.at.wall_us > after, |told| entry.seq > told);
            if is_new {
                stories.take(entry);
            }
        }
        told = snapshot.timeline.last().map(|entry| entry.seq).or(told);
        let stuck = outside.now().wall_us - i64::try_from(PATIENCE.as_micros()).unwrap_or(i64::MAX);
        print(ctx, outside, &stories.ready(Some(stuck)))?;
        tokio::select! {
            biased;
            Some(_) = interrupts.recv() => {
                print(ctx, outside, &stories.finish())?;
                return Ok(Outcome::Interrupted);
            }
            sentence = link.news() => ctx.say(sentence),
            changed = snapshots.changed() => {
                if changed.is_err() {
                    ctx.say("cas: the engine has ended");
                    return Ok(Outcome::Ok);
                }
            }
            () = tokio::time::sleep(PATIENCE), if stories.is_open() => {}
        }
    }
}

fn print(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    told: &[crate::cli::render::story::Told],
) -> Result<(), Failure> {
    if told.is_empty() {
        return Ok(());
    }
    let (paint, zone, now) = (ctx.paint(), ctx.zone, outside.now());
    let text: String = told.iter().map(|told| line(told, zone, now.wall_us, paint)).collect();
    ctx.data(&text)
}
