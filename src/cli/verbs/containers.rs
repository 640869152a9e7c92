//! `cas containers`: every container of the engine of containers, those of services and others.

use super::{Place, reach::Reach};
use crate::cli::{
    args::Containers,
    context::Context,
    outcome::{Failure, Outcome},
    outside::Outside,
    render::{
        containers::{document, table},
        json_document,
    },
};

pub(in crate::cli) async fn containers(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    containers: &Containers,
) -> Result<Outcome, Failure> {
    let reached = match place.reach(ctx, outside).await? {
        Reach::Engine(reached) => reached,
        Reach::Nobody(_) => return Err(Failure::no_engine()),
    };
    // All of them: containers are of the machine, not of a project.
    let snapshot = reached.handle.snapshot();
    let text = if containers.json {
        json_document(&document(&snapshot, containers.all))
    } else {
        table(&snapshot, containers.all, ctx.paint(), ctx.width)
    };
    ctx.data(&text)?;
    Ok(Outcome::Ok)
}
