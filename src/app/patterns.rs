//! What the last engine has kept of the patterns in output, for those who ask where no engine runs. Never writes; never shows what a reader of output may not see.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{outside::slots_of, veil};
use crate::{
    cli::outside::LogExtent,
    config::paths::Paths,
    host::patterns::unpack,
    insight::patterns::Settings,
    model::{
        ids::{ProjectName, ServiceId},
        pattern::ServicePatterns,
        secret::SecretValues,
    },
    world::{clock, store},
};

/// What was kept of these services of the project of `file`.
pub(super) fn kept(
    paths: &Paths,
    environment: &BTreeMap<String, String>,
    file: &Path,
    services: &[ServiceId],
) -> Result<Vec<ServicePatterns>, String> {
    let extent = LogExtent {
        file: file.to_owned(),
        services: services.to_vec(),
        since_us: None,
        until_us: None,
        tail: None,
        raw: false,
        known: BTreeMap::new(),
        secrets: SecretValues::default(),
    };
    let redactor = veil::redactor(paths, environment, &extent);
    let root = file.parent().unwrap_or(file);
    let projects: BTreeSet<&ProjectName> = services.iter().map(|id| &id.project).collect();
    let now_us = clock::now().wall_us;
    let mut found = Vec::new();
    for project in projects {
        let slots = slots_of(paths, project, root);
        let place = slots.as_ref().and_then(|slots| slots.dir.parent()?.file_name()?.to_str());
        let Some(place) = place else { continue };
        let stored = store::read_patterns(&paths.database(), place).map_err(|error| error.to_string())?;
        for id in services.iter().filter(|id| id.project == *project) {
            let learnt = stored.get(&id.service).and_then(|bytes| unpack(Settings::default(), bytes));
            if let Some(mut learnt) = learnt {
                let mut view = learnt.view(id, now_us);
                redactor.patterns(&mut view);
                found.push(view);
            }
        }
    }
    Ok(found)
}
