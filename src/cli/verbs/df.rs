//! `cas df`: what takes up space on Docker's disk.

use super::{Place, reach::Reach};
use crate::{
    cli::{
        args::Df,
        context::Context,
        outcome::{Failure, Outcome},
        outside::Outside,
        render::{df, json_document},
    },
    model::query::{Answer, Query},
};

pub(in crate::cli) async fn df(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    args: &Df,
) -> Result<Outcome, Failure> {
    let reached = match place.reach(ctx, outside).await? {
        Reach::Engine(reached) => reached,
        Reach::Nobody(_) => return Err(Failure::no_engine()),
    };
    let Answer::Disk(disk) = reached.query(Query::Disk).await? else { return Err(Failure::odd_answer()) };
    let text = if args.json {
        json_document(&df::document(&disk))
    } else {
        df::table(&disk, args.verbose, ctx.paint(), ctx.width)
    };
    ctx.data(&text)?;
    Ok(Outcome::Ok)
}
