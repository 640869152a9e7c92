//! One file per verb, or per family of verbs that share a source. Never formats (the renderers do).

pub(super) mod act;
pub(super) mod alerts;
pub(super) mod attach;
pub(super) mod config;
pub(super) mod containers;
pub(super) mod daemon;
pub(super) mod demo;
pub(super) mod df;
pub(super) mod down;
pub(super) mod events;
pub(super) mod exec;
pub(super) mod explain;
pub(super) mod files;
pub(super) mod health;
pub(super) mod insight;
pub(super) mod install;
pub(super) mod kinds;
pub(super) mod log_files;
pub(super) mod logs;
pub(super) mod papers;
pub(super) mod ports;
pub(super) mod projects;
pub(super) mod reach;
pub(super) mod scan;
pub(super) mod status;
pub(super) mod up;
pub(super) mod why;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    context::Context,
    outcome::{Failure, Outcome},
    outside::{Access, Checked, Outside},
    shown_path,
};
use crate::model::{ids::ServiceId, project::ProjectSpec, snapshot::Snapshot};

/// Which project a command line is about.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    /// The file that was named.
    pub(super) file: Option<PathBuf>,
    /// Whether it may only look.
    pub(super) access: Access,
}

impl Place {
    /// The project file.
    pub(super) fn find(&self, ctx: &Context<'_>, outside: &impl Outside) -> Result<PathBuf, Failure> {
        let Some(file) = &self.file else {
            return outside.find(&ctx.cwd).map_err(|why| Failure::from_sentence(Outcome::Usage, &why));
        };
        if file.is_dir() {
            return outside.find(file).map_err(|why| Failure::from_sentence(Outcome::Usage, &why));
        }
        if !file.exists() {
            return Err(Failure::new(Outcome::Usage, format!("there is no file {}", file.display())));
        }
        Ok(file.clone())
    }
}

/// Reads a project; problems are shown in full on stderr.
pub(super) fn load(ctx: &mut Context<'_>, outside: &impl Outside, file: &Path) -> Result<Arc<ProjectSpec>, Failure> {
    let checked = outside.load(file, &ctx.env);
    accept(ctx, &checked)
}

/// The project that was read; problems are shown in full on stderr.
pub(super) fn accept(ctx: &mut Context<'_>, checked: &Checked) -> Result<Arc<ProjectSpec>, Failure> {
    match checked.project.clone() {
        Some(project) if checked.errors.is_empty() => Ok(project),
        Some(_) | None => Err(refuse(ctx, checked)),
    }
}

fn refuse(ctx: &mut Context<'_>, checked: &Checked) -> Failure {
    let rendered = crate::config::render(&checked.errors, ctx.talk_paint().is_colour());
    ctx.say(rendered.trim_end());
    let count = checked.errors.len();
    let file = shown_path(&checked.file, &ctx.cwd);
    Failure::new(Outcome::Usage, format!("{} has {count} problem{}", file.display(), if count == 1 { "" } else { "s" }))
}

/// The services in a picture.
pub(super) fn ids(snapshot: &Snapshot) -> Vec<ServiceId> {
    snapshot.services.iter().map(|service| service.id.clone()).collect()
}
