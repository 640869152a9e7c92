//! `cas why`: why a service, or the project as a whole, is as it is. The answer is `model::why`'s; never adds to it.

use super::{Place, ids, load, reach::Reach};
use crate::{
    cli::{
        args::Why,
        context::Context,
        offline,
        outcome::{Failure, Outcome},
        outside::Outside,
        render::{json_document, why as forms},
        select,
    },
    model::{ids::ProjectName, snapshot::Snapshot, why as reasons},
};

/// Stored entries that are looked through where no engine runs.
const ENTRIES: usize = 500;

pub(in crate::cli) async fn why(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    why: &Why,
) -> Result<Outcome, Failure> {
    let file = match place.reach(ctx, outside).await? {
        Reach::Engine(reached) => {
            let snapshot = reached.snapshot();
            return answer(ctx, &snapshot, reached.project.as_ref(), why);
        }
        Reach::Nobody(file) => file,
    };
    let project = load(ctx, outside, &file)?;
    let entries = outside.stored_entries(Some(&project.name), None, ENTRIES).unwrap_or_else(|why| {
        ctx.say(&format!("cas: what happened before cannot be read: {}", crate::cli::text::plain(&why)));
        Vec::new()
    });
    let left = outside.left_running(&project);
    let snapshot = offline::snapshot(Some(&project), &left, &[], &entries, outside.now());
    ctx.say("cas: no engine is running; this is from the project file and what is stored");
    answer(ctx, &snapshot, Some(&project.name), why)
}

fn answer(
    ctx: &mut Context<'_>,
    snapshot: &Snapshot,
    project: Option<&ProjectName>,
    why: &Why,
) -> Result<Outcome, Failure> {
    let answers: Vec<reasons::Answer> = if why.services.is_empty() {
        vec![reasons::project(snapshot, project)]
    } else {
        let wanted = select::in_picture(&why.services, &ids(snapshot), snapshot)?;
        wanted.iter().filter_map(|id| reasons::service(snapshot, id)).collect()
    };
    let text = if why.json {
        json_document(&forms::document(&answers, snapshot.at))
    } else {
        let told: Vec<String> =
            answers.iter().map(|answer| forms::text(answer, snapshot.at, ctx.zone, ctx.paint(), ctx.width)).collect();
        told.join("\n")
    };
    ctx.data(&text)?;
    Ok(Outcome::Ok)
}
