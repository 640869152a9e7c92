//! `cas insight patterns`: what an engine has learnt of the output of services, or what the last one has kept.

use std::path::Path;

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
    host::handle::Handle,
    insight::filter::{TEMPLATE, Term},
    model::{
        ids::ServiceId,
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
    let Answer::Patterns(patterns) = reached.query(Query::Patterns { services }).await? else {
        return Err(Failure::odd_answer());
    };
    Ok(patterns)
}

/// What finds the lines of the pattern that has this id among those of the services.
pub(super) async fn lines_of(
    outside: &impl Outside,
    handle: Option<&Handle>,
    file: &Path,
    services: &[ServiceId],
    id: u32,
) -> Result<Term, Failure> {
    let known = match handle {
        Some(handle) => {
            let reached = Reached { handle: handle.clone(), project: None };
            let query = Query::Patterns { services: services.to_vec() };
            let Answer::Patterns(known) = reached.query(query).await? else { return Err(Failure::odd_answer()) };
            known
        }
        None => outside.stored_patterns(file, services).map_err(Failure::failed)?,
    };
    let of_services = known.iter().filter(|known| services.contains(&known.service));
    let named = of_services.flat_map(|known| known.patterns.iter().map(move |pattern| (&known.service, pattern)));
    let mut named: Vec<_> = named.filter(|(_, pattern)| pattern.id == id).collect();
    named.dedup_by(|one, other| one.1.text == other.1.text);
    let hint = "cas insight patterns --json has the ids, service by service";
    match named.as_slice() {
        [(_, pattern)] => Term::parse(&format!("{TEMPLATE}{}", pattern.text)).ok_or_else(|| {
            Failure::with_hint(Outcome::NotFound, format!("pattern {id} has no text to find its lines by"), hint)
        }),
        [] => Err(Failure::with_hint(Outcome::NotFound, format!("there is no pattern {id}"), hint)),
        [(one, _), (other, _), ..] => {
            let why = format!("pattern {id} is another one of {one} than of {other}: name one service");
            Err(Failure::with_hint(Outcome::NotFound, why, hint))
        }
    }
}
