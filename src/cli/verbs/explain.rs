//! `cas explain`: where every value of a service comes from, who else tells of it, and what the project expects to be there.

use clap::Args;

use super::Place;
use crate::{
    cli::{
        context::Context,
        outcome::{Failure, Outcome},
        outside::Outside,
        render::{explain as forms, json_document},
    },
    config::{self, Explanation},
    model::{phase::PortHolder, service::Port},
};

/// `cas explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// Services by name (default: all)
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// JSON
    #[arg(long)]
    pub json: bool,
}

pub(in crate::cli) fn explain(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    explain: &Explain,
) -> Result<Outcome, Failure> {
    let file = place.find(ctx, outside)?;
    let loaded = config::load(&file, None, &ctx.env);
    let mut explanation = config::explain(&loaded, &ctx.env);
    only(&mut explanation, &explain.services)?;
    let listening = listening(outside, &explanation);
    if explain.json {
        ctx.data(&json_document(&forms::document(&explanation, &listening)))?;
    } else {
        let text = forms::text(&explanation, &listening, ctx.paint(), ctx.width);
        ctx.data(&text)?;
    }
    if loaded.errors.is_empty() {
        return Ok(Outcome::Ok);
    }
    let colour = ctx.talk_paint().is_colour();
    ctx.say(config::render(&loaded.errors, colour).trim_end());
    Ok(Outcome::Usage)
}

/// Leaves those that were named, and what is needed only where nothing was.
fn only(explanation: &mut Explanation, wanted: &[String]) -> Result<(), Failure> {
    if wanted.is_empty() {
        return Ok(());
    }
    for name in wanted {
        if !explanation.services.iter().any(|service| service.name == *name) {
            let names: Vec<&str> = explanation.services.iter().map(|service| service.name.as_str()).collect();
            return Err(Failure::with_hint(
                Outcome::NotFound,
                format!("there is no service \"{name}\""),
                if names.is_empty() {
                    "nothing tells a service here".to_owned()
                } else {
                    format!("there are: {}", names.join(", "))
                },
            ));
        }
    }
    explanation.services.retain(|service| wanted.contains(&service.name));
    explanation.needs.clear();
    Ok(())
}

/// Who listens on this machine where something is needed.
fn listening(outside: &impl Outside, explanation: &Explanation) -> Vec<PortHolder> {
    const HERE: [&str; 5] = ["localhost", "127.0.0.1", "[::1]", "::1", "0.0.0.0"];
    let port = |endpoint: &str| {
        let (host, port) = endpoint.rsplit_once(':')?;
        HERE.contains(&host).then(|| port.parse().ok().map(Port)).flatten()
    };
    let mut ports: Vec<Port> =
        explanation.needs.iter().filter_map(|needed| port(needed.need.endpoint.as_deref()?)).collect();
    ports.sort();
    ports.dedup();
    outside.port_holders(&ports)
}
