//! `cas projects`: every project that cas has seen, and what becomes of the list.

use std::path::{Path, PathBuf};

use super::{Place, reach::open_project, scan};
use crate::{
    cli::{
        args::{Projects, ProjectsAction},
        context::Context,
        offline,
        outcome::{Failure, Outcome},
        outside::Outside,
        render::{json_document, projects as forms},
        text::plain,
    },
    host::handle::Handle,
    model::{project::ProjectRecord, registry, snapshot::ProjectView},
};

pub(in crate::cli) async fn projects(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    projects: &Projects,
) -> Result<Outcome, Failure> {
    match &projects.action {
        None => {}
        Some(ProjectsAction::Add { directories, json }) => return scan::add(ctx, outside, directories, *json),
        Some(ProjectsAction::Remove { project, json }) => return remove(ctx, outside, project, *json),
        Some(ProjectsAction::Scan(wanted)) => return scan::scan(ctx, outside, place, wanted),
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
    let mut files: Vec<PathBuf> = views.iter().filter(|view| view.exists).map(|view| view.file.clone()).collect();
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
                Some(view) => {
                    let (remote, moved_from) = (view.remote.take(), view.moved_from.take());
                    *view = open.clone();
                    view.remote = view.remote.take().or(remote);
                    view.moved_from = view.moved_from.take().or(moved_from);
                }
                None => views.push(open.clone()),
            }
        }
    }
    // An engine may know of a move before the list does.
    let left: Vec<PathBuf> = views.iter().filter_map(|view| view.moved_from.clone()).collect();
    views.retain(|view| view.exists || !left.contains(&view.root));
    registry::tell_apart(&mut views);
    views.sort_by(|a, b| (!a.open, &a.name, &a.root).cmp(&(!b.open, &b.name, &b.root)));
    Ok(views)
}

/// The directory that `-C` means: one that is there, else that of the project on the list that is called so.
pub(in crate::cli) fn directory(ctx: &Context<'_>, outside: &impl Outside, named: &Path) -> Result<PathBuf, Failure> {
    let directory = ctx.cwd.join(named);
    if directory.is_dir() {
        return Ok(directory);
    }
    let missing = || format!("there is no directory {}", directory.display());
    let text = named.to_string_lossy();
    // A list that cannot be read does not hide that the directory is missing.
    let list = outside.registry().unwrap_or_default();
    match registry::meant(&list, &text, &directory).as_slice() {
        [] => Err(Failure::new(Outcome::Usage, missing())),
        [one] if one.root.is_dir() => Ok(one.root.clone()),
        [gone] => Err(Failure::with_hint(
            Outcome::Usage,
            format!("the directory of {} is gone: {}", gone.name, gone.root.display()),
            "\"cas projects add DIR\" in its new place, or \"cas projects remove\" takes it off the list",
        )),
        _ => known(ctx, &list, &text).map(|one| one.root.clone()),
    }
}

fn remove(ctx: &mut Context<'_>, outside: &impl Outside, project: &str, json: bool) -> Result<Outcome, Failure> {
    let registry = outside.registry().map_err(Failure::failed)?;
    let one = known(ctx, &registry, project)?;
    outside.forget(one).map_err(Failure::failed)?;
    if json {
        ctx.data(&json_document(&forms::removed(one)))?;
    } else {
        ctx.say(&plain(&format!("{} is off the list; its files stay", one.name)));
    }
    Ok(Outcome::Ok)
}

/// The one project on the list that `text` means.
pub(in crate::cli) fn known<'a>(
    ctx: &Context<'_>,
    registry: &'a [ProjectRecord],
    text: &str,
) -> Result<&'a ProjectRecord, Failure> {
    let path = ctx.cwd.join(text);
    let path = path.canonicalize().unwrap_or(path);
    match registry::meant(registry, text, &path).as_slice() {
        [one] => Ok(one),
        [] => Err(Failure::with_hint(
            Outcome::NotFound,
            format!("there is no project \"{text}\" on the list"),
            "\"cas projects\" lists them",
        )),
        several => {
            let names: Vec<String> = several.iter().map(|one| registry::reference_of(one, registry)).collect();
            Err(Failure::with_hint(
                Outcome::NotFound,
                format!("\"{text}\" is the name of {} projects", several.len()),
                format!("say which: {}", names.join(", ")),
            ))
        }
    }
}
