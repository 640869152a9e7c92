//! What is known of secrets where stored output is read without asking an engine for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{keeper, left};
use crate::{
    cli::outside::LogExtent,
    config::{self, paths::Paths},
    model::{
        ids::ProjectName,
        redact::{Passage, Redactor, Secrets},
    },
    world::{
        clock,
        secrets::{at_rest, of_process},
    },
};

/// Knows this process's environment, what the engine has set, the project's file as it is now, and with what it was opened.
pub(super) fn passage(paths: &Paths, environment: &BTreeMap<String, String>, extent: &LogExtent) -> Passage {
    Passage::through(Arc::new(redactor(paths, environment, extent)))
}

/// The same for text that is no output.
pub(super) fn redactor(paths: &Paths, environment: &BTreeMap<String, String>, extent: &LogExtent) -> Redactor {
    let mut secrets = Secrets::default();
    secrets.learn_environment(environment);
    secrets.learn_environment(&extent.known);
    secrets.learn_declared(&extent.secrets);
    let projects: BTreeSet<&ProjectName> = extent.services.iter().map(|service| &service.project).collect();
    let kept = keeper::read(paths).unwrap_or_default();
    let kept = kept.into_iter().filter(|kept| projects.contains(&kept.name)).map(|kept| kept.file);
    let files: BTreeSet<_> = kept.chain([extent.file.clone()]).filter(|file| file.is_file()).collect();
    for file in &files {
        learn_file(&mut secrets, paths, file, environment);
        let root = file.parent().unwrap_or(file);
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        for name in &projects {
            if let Some(opened_with) = keeper::environment_of(paths, &Paths::place(name, &root)) {
                secrets.learn_environment(&opened_with);
                learn_file(&mut secrets, paths, file, &opened_with);
            }
        }
    }
    Redactor::of(&secrets)
}

fn learn_file(secrets: &mut Secrets, paths: &Paths, file: &std::path::Path, environment: &BTreeMap<String, String>) {
    let Some(project) = config::load(file, None, environment).project else { return };
    secrets.learn(&project);
    if project.services.iter().all(|service| service.secrets.is_empty()) {
        return;
    }
    // What runs was given what its command said then, which nobody else knows.
    let slots = paths.project_dir(&Paths::place(&project.name, &project.root)).join("slots");
    let running = left::running(&slots, clock::now());
    for service in &project.services {
        secrets.learn_declared(&at_rest(service, |name| environment.get(name).cloned()));
        if let Some(left) = running.iter().find(|left| left.service == service.id.service) {
            secrets.learn_declared(&of_process(service, left.pid));
        }
    }
}
