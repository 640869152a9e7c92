//! `cas alerts`: what is wrong, who was told and who was not; and a try of a route.

use super::{
    Place, load,
    reach::{Reach, Reached},
};
use crate::{
    cli::{
        args::{Alerts, AlertsAction},
        context::Context,
        outcome::{Failure, Outcome},
        outside::Outside,
        render::{
            alerts::{document, table},
            json_document,
        },
        text,
    },
    config::nearest::did_you_mean,
    model::{
        alarm::Notice,
        redact::{Redactor, Secrets},
        route::Destination,
    },
};

pub(in crate::cli) async fn alerts(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    alerts: &Alerts,
) -> Result<Outcome, Failure> {
    if let Some(AlertsAction::Test { route }) = &alerts.action {
        return test(ctx, outside, place, route).await;
    }
    let reached: Reached = match place.reach(ctx, outside).await? {
        Reach::Engine(reached) => reached,
        Reach::Nobody(_) => return Err(Failure::no_engine()),
    };
    let snapshot = reached.snapshot();
    let text = if alerts.json {
        json_document(&document(&snapshot, alerts.all))
    } else {
        table(&snapshot, alerts.all, ctx.zone, ctx.paint(), ctx.width)
    };
    ctx.data(&text)?;
    Ok(Outcome::Ok)
}

/// The route is that of the project's file as it is now, so that it can be tried out before an engine has it.
async fn test(ctx: &mut Context<'_>, outside: &impl Outside, place: &Place, name: &str) -> Result<Outcome, Failure> {
    let file = place.find(ctx, outside)?;
    let project = load(ctx, outside, &file)?;
    let routes = &project.alerts.routes;
    let Some(route) = routes.iter().find(|route| route.name == name) else {
        let names: Vec<&str> = routes.iter().map(|route| route.name.as_str()).collect();
        let hint = if names.is_empty() {
            "there is none: write one below alerts.routes".to_owned()
        } else {
            did_you_mean(name, &names)
        };
        return Err(Failure::with_hint(Outcome::NotFound, format!("{} has no route \"{name}\"", project.name), hint));
    };
    let mut notice = Notice::test(name, project.name.as_str(), outside.now());
    let mut secrets = Secrets::default();
    secrets.learn(&project);
    let redactor = Redactor::of(&secrets);
    redactor.notice(&mut notice);
    let env = ctx.env.clone();
    match outside.send_notice(route, &notice, &env).await {
        Ok(taken) => {
            ctx.data(&format!("{name} ({}): sent, {}\n", route.to.kind(), text::plain(&redactor.text(&taken))))?;
            if let Destination::Desktop(way) = &route.to
                && way.is_for_consoles()
            {
                match outside.tell_terminal(*way, &notice) {
                    Some(sequence) => {
                        ctx.say(&format!("note: this terminal was told by {sequence}, as a console in it would"));
                    }
                    None => ctx.say("note: consoles tell their terminals, and here is none"),
                }
            }
            Ok(Outcome::Ok)
        }
        Err(why) => {
            let why = redactor.text(&why).into_owned();
            Err(Failure::new(Outcome::Failed, format!("{name} ({}): not sent: {}", route.to.kind(), text::plain(&why))))
        }
    }
}
