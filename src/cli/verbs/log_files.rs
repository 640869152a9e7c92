//! `cas log-files`: files that services write themselves, and how they are rotated.

use super::{Place, ids, reach::Reach};
use crate::{
    cli::{
        args::LogFiles,
        context::Context,
        outcome::{Failure, Outcome},
        outside::Outside,
        render::{json_document, log_files as render},
        select,
    },
    model::{
        ids::ServiceId,
        query::{Answer, Query},
    },
};

pub(in crate::cli) async fn log_files(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    args: &LogFiles,
) -> Result<Outcome, Failure> {
    let reached = match place.reach(ctx, outside).await? {
        Reach::Engine(reached) => reached,
        Reach::Nobody(_) => return Err(Failure::no_engine()),
    };
    let snapshot = reached.snapshot();
    let wanted: Vec<ServiceId> = select::in_picture(&args.services, &ids(&snapshot), &snapshot)?;
    let Answer::LogFiles(mut files) = reached.query(Query::LogFiles { service: None }).await? else {
        return Err(Failure::odd_answer());
    };
    files.retain(|file| wanted.contains(&file.service));
    let text = if args.json {
        json_document(&render::document(&files))
    } else {
        let is_one_project = wanted.windows(2).all(|pair| pair[0].project == pair[1].project);
        render::table(&files, is_one_project, outside.now(), ctx.paint(), ctx.width)
    };
    ctx.data(&text)?;
    Ok(Outcome::Ok)
}
