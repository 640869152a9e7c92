//! `cas insight patterns`: what an engine has learnt of the output of services, or what the last one has kept.

use super::{
    Place, ids, load,
    reach::{Reach, Reached},
};
use crate::{
    cli::{
        args::Patterns,
        context::Context,
        offline,
        outcome::{Failure, Outcome},
        outside::Outside,
        render::{json_document, patterns as forms},
        select,
    },
    model::{
        pattern::ServicePatterns,
        query::{Answer, Query},
    },
};

pub(in crate::cli) async fn patterns(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    wanted: &Patterns,
) -> Result<Outcome, Failure> {
    let mut known = match place.reach(ctx, outside).await? {
        Reach::Engine(reached) => learnt(&reached, wanted).await?,
        Reach::Nobody(file) => {
            let project = load(ctx, outside, &file)?;
            let snapshot = offline::snapshot(Some(&project), &[], &[], &[], outside.now());
            let services = select::in_picture(&wanted.services, &ids(&snapshot), &snapshot)?;
            ctx.say("cas: no engine runs: this is what the last one has kept");
            outside.stored_patterns(&file, &services).map_err(Failure::failed)?
        }
    };
    forms::Wanted { new: wanted.new, level: wanted.level, top: wanted.top }.keep(&mut known);
    if wanted.json {
        ctx.data(&json_document(&forms::document(&known)))?;
        return Ok(Outcome::Ok);
    }
    ctx.data(&forms::table(&known, ctx.paint(), ctx.width))?;
    for note in forms::notes(&known, ctx.zone) {
        ctx.say(&note);
    }
    Ok(Outcome::Ok)
}

async fn learnt(reached: &Reached, wanted: &Patterns) -> Result<Vec<ServicePatterns>, Failure> {
    let snapshot = reached.handle.snapshot();
    let services = select::in_picture(&wanted.services, &reached.ids(&snapshot), &snapshot)?;
    if services.is_empty() {
        return Ok(Vec::new());
    }
    match reached.handle.query(Query::Patterns { services }).await? {
        Answer::Patterns(patterns) => Ok(patterns),
        Answer::Unavailable(why) => Err(Failure::failed(why)),
        Answer::Logs(_) | Answer::Entries(_) | Answer::ShellContext { .. } | Answer::Disk(_) => {
            Err(Failure::failed("the engine answered something else".to_owned()))
        }
    }
}
