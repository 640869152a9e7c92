//! `cas projects`: every project that cas has seen, and how to forget one.

use super::{Place, reach::open_project};
use crate::{
    cli::{
        args::{Projects, ProjectsAction},
        context::Context,
        offline,
        outcome::{Failure, Outcome},
        outside::Outside,
        render::{json_document, projects as forms},
    },
    host::handle::Handle,
    model::{project::ProjectRecord, snapshot::ProjectView},
};

pub(in crate::cli) async fn projects(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    projects: &Projects,
) -> Result<Outcome, Failure> {
    if let Some(ProjectsAction::Forget { project }) = &projects.action {
        return forget(ctx, outside, project);
    }
    let views = views(ctx, outside, place).await?;
    let text = if projects.json {
        json_document(&forms::document(&views))
    } else {
        forms::table(&views, ctx.zone, ctx.paint(), ctx.width)
    };
    ctx.data(&text)?;
    Ok(Outcome::Ok)
}

/// Remembered ones, and each that has an engine as that engine sees it.
async fn views(ctx: &Context<'_>, outside: &impl Outside, place: &Place) -> Result<Vec<ProjectView>, Failure> {
    let mut views = offline::projects(&outside.registry().map_err(Failure::failed)?);
    let mut files: Vec<std::path::PathBuf> =
        views.iter().filter(|view| view.exists).map(|view| view.file.clone()).collect();
    if let Ok(here) = place.find(ctx, outside)
        && !files.contains(&here)
    {
        files.push(here);
    }
    // The daemon runs several; what it runs is not asked for again. An engine that does not answer is a matter of its own project, not of this list.
    let mut engines: Vec<Handle> = outside.daemon(place.access).await.ok().flatten().into_iter().collect();
    for file in files {
        if engines.iter().any(|handle| open_project(&handle.snapshot(), &file).is_some()) {
            continue;
        }
        engines.extend(outside.connect(&file, place.access).await.ok().flatten());
    }
    for handle in engines {
        for open in handle.snapshot().projects.iter().filter(|project| project.open) {
            match views.iter_mut().find(|view| view.root == open.root) {
                Some(view) => *view = open.clone(),
                None => views.push(open.clone()),
            }
        }
    }
    views.sort_by(|a, b| (!a.open, &a.name, &a.root).cmp(&(!b.open, &b.name, &b.root)));
    Ok(views)
}

fn forget(ctx: &mut Context<'_>, outside: &impl Outside, project: &str) -> Result<Outcome, Failure> {
    let registry = outside.registry().map_err(Failure::failed)?;
    let path = ctx.cwd.join(project);
    let named: Vec<&ProjectRecord> = registry
        .iter()
        .filter(|record| record.name.as_str() == project || record.root == path || record.file == path)
        .collect();
    let shown = |records: &mut dyn Iterator<Item = &ProjectRecord>| {
        records.map(|record| record.root.display().to_string()).collect::<Vec<_>>().join(", ")
    };
    match named.as_slice() {
        [one] => {
            outside.forget(one).map_err(Failure::failed)?;
            ctx.say(&format!("{} is off the list; its files stay", one.name));
            Ok(Outcome::Ok)
        }
        [] => Err(Failure::with_hint(
            Outcome::NotFound,
            format!("there is no project \"{project}\" on the list"),
            "\"cas projects\" lists them",
        )),
        several => Err(Failure::with_hint(
            Outcome::NotFound,
            format!("\"{project}\" is the name of {} projects", several.len()),
            format!("say which directory: {}", shown(&mut several.iter().copied())),
        )),
    }
}
