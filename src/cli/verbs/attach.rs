//! `cas attach`: this terminal becomes that of a service, until it is let go of.

use super::{Place, reach::Reach};
use crate::{
    cli::{
        args::Attach,
        context::Context,
        outcome::{Failure, Outcome},
        outside::Outside,
        select,
    },
    model::tty::Parted,
};

pub(in crate::cli) async fn attach(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    attach: &Attach,
) -> Result<Outcome, Failure> {
    let reached = match place.reach(ctx, outside).await? {
        Reach::Engine(reached) => reached,
        Reach::Nobody(_) => return Err(Failure::no_engine()),
    };
    let snapshot = reached.snapshot();
    let chosen = select::in_picture(std::slice::from_ref(&attach.service), &reached.ids(&snapshot), &snapshot)?;
    let [service] = chosen.as_slice() else {
        return Err(Failure::new(Outcome::NotFound, format!("\"{}\" is several services: name one", attach.service)));
    };
    let view = snapshot.service(service);
    if !view.is_some_and(|view| view.tty) {
        return Err(Failure::with_hint(
            Outcome::Refused,
            format!("{service} has no terminal to attach to"),
            "write \"tty: true\" for it in its file and restart it; \"cas logs -f\" follows what it writes",
        ));
    }
    if !ctx.can_show_console() {
        return Err(Failure::new(Outcome::Usage, "attaching needs a terminal on both sides, and here is none"));
    }
    match outside.attach(&reached.handle, service).await.map_err(Failure::failed)? {
        Parted::LetGo => ctx.say(&format!("let go of {service}; it goes on")),
        Parted::Ended => ctx.say(&format!("{service} has ended, and its terminal with it")),
        Parted::EngineGone => {
            return Err(Failure::with_hint(
                Outcome::Failed,
                format!("the engine does not answer any more; {service} goes on"),
                "\"cas\" or \"cas daemon start\" takes it over; then attach again",
            ));
        }
        Parted::Signalled(_) => return Ok(Outcome::Interrupted),
    }
    Ok(Outcome::Ok)
}
