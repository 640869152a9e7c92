//! `cas down`: stop every service, dependents first, and end the engine.

use std::collections::BTreeSet;

use super::{Place, connect};
use crate::{
    cli::{
        context::Context,
        outcome::{Failure, Outcome},
        outside::Outside,
    },
    model::{ids::ServiceId, snapshot::Snapshot},
};

pub(in crate::cli) async fn down(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
) -> Result<Outcome, Failure> {
    let file = place.find(ctx, outside)?;
    let Some(handle) = connect(outside, &file).await? else {
        ctx.say("nothing to do: no engine is running for this project");
        return Ok(Outcome::Ok);
    };
    let mut interrupts = outside.interrupts().map_err(Failure::failed)?;
    let mut there = with_a_run(&handle.snapshot());
    ctx.say(&format!("stopping {} service{}", there.len(), if there.len() == 1 { "" } else { "s" }));
    let mut snapshots = handle.snapshots.clone();
    let mut left = std::pin::pin!(handle.leave());
    loop {
        tokio::select! {
            // The leave first, so that it has been said whatever comes.
            biased;
            () = &mut left => break,
            Some(_) = interrupts.recv() => {
                ctx.say("cas: it goes on stopping without you; \"cas status\" shows how far it is");
                return Ok(Outcome::Interrupted);
            }
            Ok(()) = snapshots.changed() => {
                let now = with_a_run(&snapshots.borrow_and_update());
                for gone in there.difference(&now) {
                    ctx.say(&format!("{} stopped", gone.service));
                }
                there = now;
            }
        }
    }
    for gone in &there {
        ctx.say(&format!("{} stopped", gone.service));
    }
    ctx.say("everything is stopped");
    Ok(Outcome::Ok)
}

fn with_a_run(snapshot: &Snapshot) -> BTreeSet<ServiceId> {
    let there = snapshot.services.iter().filter(|service| service.phase.run().is_some());
    there.map(|service| service.id.clone()).collect()
}
