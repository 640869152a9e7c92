//! `cas health`: how services are, once or whenever it changes, and a code that says it to scripts.
//!
//! Never: looks by itself (the engine does, at its own pace); says 0 where nobody looks.

use super::{
    Place, ids, load,
    reach::{Reach, Reached},
};
use crate::{
    cli::{
        args::Health,
        context::Context,
        link::LinkWatch,
        offline,
        outcome::{Failure, Outcome},
        outside::Outside,
        render::{
            checkup::{self, Patients},
            deep, json_document, json_line,
        },
        select,
    },
    model::{exam::Grade, ids::ServiceId, snapshot::Snapshot},
};

/// A watch is not written more often than this.
const PACE: std::time::Duration = std::time::Duration::from_secs(1);

pub(in crate::cli) async fn health(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    health: &Health,
) -> Result<Outcome, Failure> {
    let file = match place.reach(ctx, outside).await? {
        Reach::Engine(reached) if health.watch => return watch(ctx, outside, &reached, health).await,
        Reach::Engine(reached) => {
            let snapshot = reached.snapshot();
            let wanted = wanted(&snapshot, health)?;
            let patients = Patients::of(&snapshot, &wanted);
            let text = form(ctx, &patients, health);
            ctx.data(&text)?;
            return Ok(outcome(patients.worst()));
        }
        Reach::Nobody(file) => file,
    };
    if health.watch {
        return Err(Failure::no_engine());
    }
    let project = load(ctx, outside, &file)?;
    let left = outside.left_running(&project);
    let snapshot = offline::snapshot(Some(&project), &left, &[], &[], outside.now());
    let wanted = wanted(&snapshot, health)?;
    let text = form(ctx, &Patients::of(&snapshot, &wanted), health);
    ctx.data(&text)?;
    Err(Failure::no_engine())
}

fn wanted(snapshot: &Snapshot, health: &Health) -> Result<Vec<ServiceId>, Failure> {
    select::in_picture(&health.services, &ids(snapshot), snapshot)
}

const fn outcome(worst: Grade) -> Outcome {
    match worst {
        Grade::Good | Grade::Notice => Outcome::Ok,
        Grade::Warning => Outcome::Warned,
        Grade::Critical => Outcome::Critical,
    }
}

fn form(ctx: &Context<'_>, patients: &Patients<'_>, health: &Health) -> String {
    match (health.json, health.watch, health.deep) {
        (true, false, _) => json_document(&checkup::document(patients)),
        (true, true, _) => json_line(&checkup::document(patients)),
        (false, _, false) => checkup::table(patients, ctx.paint(), ctx.width),
        (false, _, true) => deep::text(patients, ctx.paint(), ctx.width),
    }
}

async fn watch(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    reached: &Reached,
    health: &Health,
) -> Result<Outcome, Failure> {
    let mut interrupts = outside.interrupts().map_err(Failure::failed)?;
    let mut snapshots = reached.handle.snapshots.clone();
    let mut link = LinkWatch::new(&reached.handle);
    let in_place = !health.json && ctx.terminals.stdout && !ctx.is_dumb();
    let mut told = None;
    loop {
        let snapshot = reached.part(&snapshots.borrow_and_update());
        let wanted = wanted(&snapshot, health)?;
        let patients = Patients::of(&snapshot, &wanted);
        // Where a picture is drawn in place its figures may tick; elsewhere only what changed is news.
        let news = patients.news();
        if in_place || told.as_ref() != Some(&news) {
            let text = form(ctx, &patients, health);
            // Home, and clear what is below: a table in place.
            let before = if in_place {
                "\x1b[H\x1b[J"
            } else if health.json || told.is_none() {
                ""
            } else {
                "\n"
            };
            ctx.data(&format!("{before}{text}"))?;
            told = Some(news);
        }
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
