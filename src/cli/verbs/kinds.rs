//! `cas kinds`: the catalogue of kinds of services. Never asks a service.

use crate::{
    cli::{
        args::Kinds,
        context::Context,
        outcome::{Failure, Outcome},
        render::{json_document, kinds as forms},
    },
    config::kinds::{self, Kind},
};

pub(in crate::cli) fn kinds(ctx: &mut Context<'_>, wanted: &Kinds) -> Result<Outcome, Failure> {
    let text = match &wanted.kind {
        None if wanted.json => json_document(&forms::list_document(kinds::all())),
        None => forms::list(kinds::all(), ctx.paint(), ctx.width),
        Some(word) => {
            let kind = find(word)?;
            if wanted.json { json_document(&forms::document(kind)) } else { forms::page(kind, ctx.paint(), ctx.width) }
        }
    };
    ctx.data(&text)?;
    Ok(Outcome::Ok)
}

fn find(word: &str) -> Result<&'static Kind, Failure> {
    let is_it = |kind: &&Kind| kind.id == word || kind.title.eq_ignore_ascii_case(word);
    kinds::all().iter().find(is_it).ok_or_else(|| {
        let known: Vec<&str> = kinds::all().iter().map(|kind| kind.id.as_str()).collect();
        Failure::with_hint(
            Outcome::NotFound,
            format!("there is no kind \"{word}\""),
            format!("there are: {}", known.join(", ")),
        )
    })
}
