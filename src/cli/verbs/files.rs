//! Verbs that are about the project file alone: `graph`, `check`, `init`, `import`.

use super::{Place, load};
use crate::{
    cli::{
        args::{Check, Graph, GraphFormat, Import, Init},
        context::Context,
        outcome::{Failure, Outcome},
        outside::{Access, Checked, Outside},
        render::{graph as forms, json_document},
        shown_path,
        text::{plain, plain_lines},
    },
    config,
    model::{project::Problem, service::ServiceSpec},
};
use std::path::Path;

pub(in crate::cli) fn graph(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    graph: &Graph,
) -> Result<Outcome, Failure> {
    let file = place.find(ctx, outside)?;
    let project = load(ctx, outside, &file)?;
    let text = match graph.format {
        GraphFormat::Tree => forms::tree(&project, ctx.paint()),
        GraphFormat::Mermaid => forms::mermaid(&project),
        GraphFormat::Dot => forms::dot(&project),
        GraphFormat::Json => json_document(&forms::document(&project)),
    };
    ctx.data(&text)?;
    Ok(Outcome::Ok)
}

pub(in crate::cli) async fn check(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    check: &Check,
) -> Result<Outcome, Failure> {
    let named = check.path.as_ref().map(|path| ctx.cwd.join(path));
    let file = Place { file: named.or_else(|| place.file.clone()), access: place.access }.find(ctx, outside)?;
    let mut checked = outside.load(&file, &ctx.env);
    note_ports(outside, &file, &mut checked).await;
    let outcome = if checked.errors.is_empty() { Outcome::Ok } else { Outcome::Usage };
    if check.json {
        ctx.data(&json_document(&checked.json))?;
        return Ok(outcome);
    }
    let colour = ctx.talk_paint().is_colour();
    for (word, problems) in [("error", &checked.errors), ("note", &checked.notes)] {
        if !problems.is_empty() {
            ctx.say(config::render_as(word, problems, colour).trim_end());
        }
    }
    let shown = shown_path(&checked.file, &ctx.cwd);
    let count = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let verdict = match &checked.project {
        Some(project) if checked.errors.is_empty() => {
            let notes = if checked.notes.is_empty() {
                String::new()
            } else {
                format!(", {}", count(checked.notes.len(), "note"))
            };
            format!("{}: good, {}{notes}\n", shown.display(), count(project.services.len(), "service"))
        }
        Some(_) | None => format!("{}: {}\n", shown.display(), count(checked.errors.len(), "problem")),
    };
    ctx.data(&plain_lines(&verdict))?;
    Ok(outcome)
}

/// Adds a note for every port of the project that somebody else holds, or that a service of another open project wants.
async fn note_ports(outside: &impl Outside, file: &Path, checked: &mut Checked) {
    let Some(project) = checked.project.clone() else { return };
    let engine = outside.connect(file, Access::Full).await;
    // An engine that cannot be talked to runs them all the same.
    let Ok(engine) = engine else { return };
    let own = engine.map(|handle| handle.snapshot());
    let daemon = outside.daemon(Access::Full).await.ok().flatten().map(|handle| handle.snapshot());
    let now = outside.now().wall_us;
    for service in &project.services {
        let view = own.as_ref().and_then(|own| own.service(&service.id));
        if service.ports.is_empty() || view.is_some_and(|view| view.phase.run().is_some()) {
            continue;
        }
        let held = outside.port_holders(&service.ports);
        for holder in held.iter().filter(|holder| holder.service.as_ref() != Some(&service.id)) {
            let hint = "end that process, or give the service another port; until then it would be blocked";
            add_note(checked, service, &holder.told_at(now), hint);
        }
        let others = [&own, &daemon].into_iter().flatten().flat_map(|snapshot| &snapshot.services);
        let mut named: Vec<String> = Vec::new();
        for other in others.filter(|other| other.id.project != project.name) {
            for port in service.ports.iter().filter(|port| other.ports.contains(port)) {
                let is_held = held.iter().any(|holder| holder.port == port.0);
                let message = format!("port {} is wanted by {}, too, which cas has open", port.0, other.id);
                if !is_held && !named.contains(&message) {
                    add_note(checked, service, &message, "only one of them can have it: give one another port");
                    named.push(message);
                }
            }
        }
    }
}

fn add_note(checked: &mut Checked, service: &ServiceSpec, message: &str, hint: &str) {
    let note = Problem {
        source: Some(service.source.clone()),
        message: format!("{}: {message}", service.id.service),
        hint: Some(hint.to_owned()),
    };
    if let Some(notes) = checked.json.get_mut("notes").and_then(serde_json::Value::as_array_mut) {
        notes.push(config::problem_json(&note));
    }
    checked.notes.push(note);
}

pub(in crate::cli) fn init(ctx: &mut Context<'_>, init: &Init) -> Result<Outcome, Failure> {
    let directory = ctx.cwd.clone();
    if !init.yes && ctx.terminals.stdin && !ctx.confirm(&format!("Write a cas.yaml into {}?", directory.display())) {
        return Err(Failure::new(Outcome::Refused, "nothing was written"));
    }
    let (file, sentence) = config::init(&directory, &ctx.env).map_err(Failure::failed)?;
    ctx.data(&format!("{}\n", plain(&shown_path(&file, &directory).to_string_lossy())))?;
    ctx.say(&plain(&sentence));
    ctx.say("\"cas check\" checks it, \"cas up\" starts it");
    Ok(Outcome::Ok)
}

pub(in crate::cli) fn import(ctx: &mut Context<'_>, import: &Import) -> Result<Outcome, Failure> {
    let path = ctx.cwd.join(&import.path);
    let translate = if import.evaluate { config::translate_evaluated } else { config::translate };
    let translation = translate(&path, &ctx.env).map_err(Failure::failed)?;
    let colour = ctx.talk_paint().is_colour();
    for (word, problems) in [("error", &translation.errors), ("note", &translation.notes)] {
        if !problems.is_empty() {
            ctx.say(config::render_as(word, problems, colour).trim_end());
        }
    }
    if translation.services == 0 {
        return Err(Failure::new(Outcome::Usage, "there is no service in it that could run here"));
    }
    if import.write {
        let file = config::write_beside(&path, &translation.cas_yaml).map_err(Failure::failed)?;
        ctx.data(&format!("{}\n", plain(&shown_path(&file, &ctx.cwd).to_string_lossy())))?;
        ctx.say("\"cas check\" checks it, \"cas up\" starts it");
    } else {
        ctx.data(&translation.cas_yaml)?;
    }
    Ok(if translation.errors.is_empty() { Outcome::Ok } else { Outcome::Usage })
}
