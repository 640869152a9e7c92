//! `cas projects add` and `cas projects scan`: what is found on disk, and what of it comes on the list. Never starts anything.

use std::path::{Path, PathBuf};

use super::Place;
use crate::{
    cli::{
        args::Scan,
        context::Context,
        outcome::{Failure, Outcome},
        outside::{Access, Outside},
        render::{
            json_document,
            projects::{self as forms, Seen, Standing},
        },
        text::plain,
    },
    config::{self, FileKind, scan::Limits},
    model::{project::ProjectRecord, registry},
};

/// What a project file is to the list.
fn look(ctx: &Context<'_>, outside: &impl Outside, list: &[ProjectRecord], file: PathBuf) -> Seen {
    let checked = outside.load(&file, &ctx.env);
    let kind = FileKind::of(&file);
    let Some(project) = checked.project.filter(|_| checked.errors.is_empty()) else {
        return Seen { file, kind, problems: checked.errors.len().max(1), found: None };
    };
    let known = list.iter().find(|record| record.root == project.root);
    let mut record = ProjectRecord {
        name: project.name.clone(),
        root: project.root.clone(),
        file: project.file.clone(),
        services: project.services.len(),
        last_opened_us: known.map_or(0, |known| known.last_opened_us),
        exists: true,
        remote: config::git::remote(&project.root),
        moved_from: None,
    };
    let standing = match known {
        Some(known) if known.file == record.file && known.name == record.name => Standing::Known,
        Some(_) => Standing::Changed,
        None => {
            let gone = list.iter().filter(|old| old.is_moved_to(&record)).max_by_key(|old| old.last_opened_us);
            match gone {
                Some(old) => {
                    record.last_opened_us = old.last_opened_us;
                    record.moved_from = Some(old.root.clone());
                    Standing::Moved
                }
                None => Standing::New,
            }
        }
    };
    Seen { file, kind, problems: 0, found: Some((record, standing)) }
}

pub(in crate::cli) fn add(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    directories: &[PathBuf],
    json: bool,
) -> Result<Outcome, Failure> {
    let mut list = outside.registry().map_err(Failure::failed)?;
    let mut seen: Vec<Seen> = Vec::new();
    for directory in directories {
        let file = file_of(ctx, outside, directory)?;
        let one = look(ctx, outside, &list, file);
        let Some((record, _)) = &one.found else {
            return Err(Failure::with_hint(
                Outcome::Usage,
                format!("{} has problems, so nothing was put on the list", one.file.display()),
                format!("cas check {} names them", one.file.display()),
            ));
        };
        registry::take_in(&mut list, record.clone());
        seen.push(one);
    }
    let records: Vec<ProjectRecord> = seen.iter().filter_map(|one| Some(one.found.as_ref()?.0.clone())).collect();
    outside.remember(&records).map_err(Failure::failed)?;
    if json {
        ctx.data(&json_document(&forms::seen_document(&seen, &list)))?;
        return Ok(Outcome::Ok);
    }
    for (record, standing) in seen.iter().filter_map(|one| one.found.as_ref()) {
        let name = registry::reference_of(record, &list);
        let said = match standing {
            Standing::New => format!("{name} is on the list: {}", record.file.display()),
            Standing::Known | Standing::Changed => format!("{name} was on the list already: {}", record.file.display()),
            Standing::Moved => {
                let from = record.moved_from.as_deref().unwrap_or(Path::new("elsewhere"));
                format!("{name} is on the list: moved from {} to {}", from.display(), record.root.display())
            }
        };
        ctx.say(&plain(&said));
    }
    Ok(Outcome::Ok)
}

fn file_of(ctx: &Context<'_>, outside: &impl Outside, named: &Path) -> Result<PathBuf, Failure> {
    let path = ctx.cwd.join(named);
    if path.is_file() {
        return Ok(path);
    }
    if !path.is_dir() {
        return Err(Failure::new(Outcome::Usage, format!("there is no directory {}", path.display())));
    }
    outside.find(&path).map_err(|why| Failure::from_sentence(Outcome::Usage, &why))
}

pub(in crate::cli) fn scan(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    wanted: &Scan,
) -> Result<Outcome, Failure> {
    let directory = wanted.directory.as_ref().map_or_else(|| ctx.cwd.clone(), |named| ctx.cwd.join(named));
    if !directory.is_dir() {
        return Err(Failure::new(Outcome::Usage, format!("there is no directory {}", directory.display())));
    }
    let list = outside.registry().map_err(Failure::failed)?;
    let limits = Limits { depth: wanted.depth, ..Limits::default() };
    let found = config::scan::scan(&directory, &limits);
    let seen: Vec<Seen> = found.found.into_iter().map(|found| look(ctx, outside, &list, found.file)).collect();
    let wanting: Vec<ProjectRecord> = seen
        .iter()
        .filter_map(|one| one.found.as_ref())
        .filter(|(_, standing)| *standing != Standing::Known)
        .map(|(record, _)| record.clone())
        .collect();
    let mut after = list.clone();
    for record in &wanting {
        registry::take_in(&mut after, record.clone());
    }
    if !wanted.json {
        let directory = directory.canonicalize().unwrap_or_else(|_| directory.clone());
        ctx.data(&forms::seen_table(&seen, &after, &directory, ctx.paint(), ctx.width))?;
        if found.was_cut {
            ctx.say("cas: there may be more: a limit was reached; scan a smaller directory");
        }
    }
    let is_new = !wanting.is_empty();
    let may_ask = !wanted.json && ctx.terminals.stdin && place.access == Access::Full;
    let question = format!("Put {} on the list?", count(wanting.len()));
    let added = is_new && (wanted.yes || (may_ask && ctx.confirm(&question)));
    if added {
        outside.remember(&wanting).map_err(Failure::failed)?;
    }
    if wanted.json {
        ctx.data(&json_document(&forms::scan_document(&seen, &after, &directory, found.was_cut, added)))?;
    } else if added {
        ctx.say(&format!("{} on the list; \"cas projects\" shows it", count(wanting.len())));
    } else if is_new && !may_ask {
        ctx.say("--yes puts them on the list");
    } else if is_new {
        ctx.say("nothing was put on the list");
    }
    Ok(Outcome::Ok)
}

fn count(projects: usize) -> String {
    format!("{projects} project{}", if projects == 1 { "" } else { "s" })
}
