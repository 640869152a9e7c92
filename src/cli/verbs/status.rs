//! `cas status`: where services stand and why, once or whenever it changes.

use std::time::Duration;

use super::{
    Place, ids, load,
    reach::{Reach, Reached},
};
use crate::{
    cli::{
        args::Status,
        context::Context,
        link::LinkWatch,
        offline,
        outcome::{Failure, Outcome},
        outside::Outside,
        render::{
            json_document, json_line,
            status::{Pictured, document, table},
        },
        select,
    },
    model::snapshot::Snapshot,
};

/// Stored entries that are looked through for how services ended.
const ENTRIES: usize = 500;
/// A watch is not written more often than this.
const PACE: Duration = Duration::from_secs(1);

pub(in crate::cli) async fn status(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    status: &Status,
) -> Result<Outcome, Failure> {
    let file = match place.reach(ctx, outside).await? {
        Reach::Engine(reached) if status.watch => return watch(ctx, outside, &reached, status).await,
        Reach::Engine(reached) => {
            let snapshot = reached.snapshot();
            show(ctx, &snapshot, status, Pictured::ByEngine)?;
            return verdict(&snapshot, status);
        }
        Reach::Nobody(file) => file,
    };
    if status.watch {
        return Err(Failure::no_engine());
    }
    let project = load(ctx, outside, &file)?;
    let entries = outside.stored_entries(Some(&project.name), None, ENTRIES).unwrap_or_else(|why| {
        ctx.say(&format!("cas: what happened before cannot be read: {why}"));
        Vec::new()
    });
    let registry = outside.registry().unwrap_or_default();
    let left = outside.left_running(&project);
    let snapshot = offline::snapshot(Some(&project), &left, &registry, &entries, outside.now());
    show(ctx, &snapshot, status, Pictured::FromFile)?;
    Ok(if status.exit_code { Outcome::NoEngine } else { Outcome::Ok })
}

fn verdict(snapshot: &Snapshot, status: &Status) -> Result<Outcome, Failure> {
    if !status.exit_code {
        return Ok(Outcome::Ok);
    }
    let wanted = select::in_picture(&status.services, &ids(snapshot), snapshot)?;
    let unwell = snapshot.services.iter().any(|service| wanted.contains(&service.id) && service.concern() >= 2);
    Ok(if unwell { Outcome::Failed } else { Outcome::Ok })
}

fn show(ctx: &mut Context<'_>, snapshot: &Snapshot, status: &Status, pictured: Pictured) -> Result<(), Failure> {
    let wanted = select::in_picture(&status.services, &ids(snapshot), snapshot)?;
    let text = match (status.json, status.watch) {
        (true, false) => json_document(&document(snapshot, &wanted, pictured)),
        (true, true) => json_line(&document(snapshot, &wanted, pictured)),
        (false, _) => table(snapshot, &wanted, ctx.paint(), ctx.width),
    };
    ctx.data(&text)
}

async fn watch(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    reached: &Reached,
    status: &Status,
) -> Result<Outcome, Failure> {
    let mut interrupts = outside.interrupts().map_err(Failure::failed)?;
    let mut snapshots = reached.handle.snapshots.clone();
    let mut link = LinkWatch::new(&reached.handle);
    loop {
        let snapshot = reached.part(&snapshots.borrow_and_update());
        if !status.json && ctx.terminals.stdout {
            if ctx.is_dumb() {
                ctx.data("\n")?;
            } else {
                // Home, and clear what is below: a table in place.
                ctx.data("\x1b[H\x1b[J")?;
            }
        }
        show(ctx, &snapshot, status, Pictured::ByEngine)?;
        let next = async {
            tokio::time::sleep(PACE).await;
            snapshots.changed().await
        };
        let mut next = std::pin::pin!(next);
        loop {
            tokio::select! {
                Some(_) = interrupts.recv() => return Ok(Outcome::Interrupted),
                sentence = link.news() => ctx.say(sentence),
                changed = &mut next => {
                    if changed.is_err() {
                        ctx.say("cas: the engine has ended");
                        return Ok(Outcome::Ok);
                    }
                    break;
                }
            }
        }
    }
}
