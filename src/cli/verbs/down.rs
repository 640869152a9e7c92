//! `cas down`: stop every service of the project, dependents first, and end its engine; under a daemon: let go of the project.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use super::{
    Place,
    act::ask,
    load,
    reach::{Reached, agreed, open_project},
};
use crate::{
    cli::{
        context::Context,
        outcome::{Failure, Outcome},
        outside::{Opening, Outside},
    },
    host::handle::Handle,
    model::{
        command::{Command, Starts},
        ids::{ProjectName, ServiceId},
        policy::Consent,
        snapshot::Snapshot,
    },
};

pub(in crate::cli) async fn down(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
) -> Result<Outcome, Failure> {
    let file = place.find(ctx, outside)?;
    let connected = outside.connect(&file, place.access).await.map_err(Failure::failed)?;
    let reached = match connected.map(|handle| Reached::on(handle, &file)) {
        Some(reached) => Some(reached),
        None => take_over(ctx, outside, place, &file).await?,
    };
    let Some(reached) = reached else {
        ctx.say("nothing to do: no engine is running for this project");
        return Ok(Outcome::Ok);
    };
    let end = match (&reached.project, reached.handle.snapshot().engine.daemon) {
        (Some(project), true) => End::Project(project.clone()),
        (Some(_) | None, _) => End::Engine,
    };
    let mut interrupts = outside.interrupts().map_err(Failure::failed)?;
    let mut there = with_a_run(&reached.snapshot());
    ctx.say(&format!("stopping {} service{}", there.len(), if there.len() == 1 { "" } else { "s" }));
    let mut snapshots = reached.handle.snapshots.clone();
    let mut ended = std::pin::pin!(end.bring_about(&reached.handle, &file));
    loop {
        tokio::select! {
            // The wish first, so that it has been said whatever comes.
            biased;
            done = &mut ended => {
                done?;
                break;
            }
            Some(_) = interrupts.recv() => {
                ctx.say("cas: it goes on stopping without you; \"cas status\" shows how far it is");
                return Ok(Outcome::Interrupted);
            }
            Ok(()) = snapshots.changed() => {
                let now = with_a_run(&reached.part(&Arc::clone(&snapshots.borrow_and_update())));
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

/// What is to end.
enum End {
    /// The engine, and with it all that it runs.
    Engine,
    /// One project of the daemon.
    Project(ProjectName),
}

impl End {
    async fn bring_about(&self, handle: &Handle, file: &Path) -> Result<(), Failure> {
        let project = match self {
            Self::Engine => {
                handle.leave().await;
                return Ok(());
            }
            Self::Project(project) => project.clone(),
        };
        agreed(ask(handle, &Command::Close { project }, Consent::Ask).await?)?;
        let mut snapshots = handle.snapshots.clone();
        // An error means that the daemon has ended, and what it ran is stopped or is the next one's.
        let _closed = snapshots.wait_for(|snapshot| open_project(snapshot, file).is_none()).await.is_ok();
        Ok(())
    }
}

/// Services that run without an engine have to be taken over before they can be stopped.
async fn take_over(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    file: &Path,
) -> Result<Option<Reached>, Failure> {
    // A file that cannot be taken any more hides what it declared, not that nothing runs by it.
    let Some(project) = outside.load(file, &ctx.env).project else { return Ok(None) };
    let left = outside.left_running(&project).len();
    if left == 0 {
        return Ok(None);
    }
    ctx.say(&format!(
        "taking over {left} service{} that run{} without an engine",
        if left == 1 { "" } else { "s" },
        if left == 1 { "s" } else { "" }
    ));
    if let Some(reached) = place.open_under_daemon(ctx, outside, file, Starts::Nothing).await? {
        return Ok(Some(reached));
    }
    let project = load(ctx, outside, file)?;
    let handle = outside.host(project, Opening::Quiet).await.map_err(Failure::failed)?;
    Ok(Some(Reached::on(handle, file)))
}

fn with_a_run(snapshot: &Snapshot) -> BTreeSet<ServiceId> {
    let there = snapshot.services.iter().filter(|service| service.phase.run().is_some());
    there.map(|service| service.id.clone()).collect()
}
