//! Which services a person means: exact names and patterns, refused with the candidates where they fit several or none.

use std::sync::Arc;

use super::outcome::{Failure, Outcome};
use crate::model::{
    command::ServiceRef,
    container::{ContainerView, EXPLICIT, find},
    ids::ServiceId,
    occasion::Replica,
    snapshot::Snapshot,
};

/// The same wishes with each name that means several copies spelled out.
#[must_use]
pub fn spelled_out(wanted: &[ServiceRef], copies: &[(ServiceId, Replica)]) -> Vec<ServiceRef> {
    let mut spelled = Vec::new();
    for reference in wanted {
        let (project, name) = match reference.0.split_once('/') {
            Some((project, name)) => (Some(project), name),
            None => (None, reference.0.as_str()),
        };
        let meant = copies.iter().filter(|(id, replica)| {
            replica.of.as_str() == name && project.is_none_or(|project| matches(project, id.project.as_str()))
        });
        let before = spelled.len();
        spelled.extend(meant.map(|(id, _)| ServiceRef(id.to_string())));
        if spelled.len() == before {
            spelled.push(reference.clone());
        }
    }
    spelled
}

/// The services that `wanted` names in a picture, of which only `known` are meant; see [`services`].
///
/// # Errors
/// As [`services`].
pub fn in_picture(wanted: &[ServiceRef], known: &[ServiceId], snapshot: &Snapshot) -> Result<Vec<ServiceId>, Failure> {
    let meant = snapshot.services.iter().filter(|view| known.contains(&view.id));
    let copies: Vec<_> = meant.filter_map(|view| Some((view.id.clone(), view.occasions.replica.clone()?))).collect();
    services(&spelled_out(wanted, &copies), known)
}

/// The services that a wish names, some of them perhaps by their containers; containers that are no service's are left out, and named by themselves.
///
/// # Errors
/// As [`services`].
pub fn with_containers(
    wanted: &[ServiceRef],
    known: &[ServiceId],
    snapshot: &Snapshot,
) -> Result<Vec<ServiceId>, Failure> {
    let mut named = Vec::new();
    for reference in wanted {
        let container = container_in(reference, known, snapshot);
        match container.map(|container| container.of.clone()) {
            None => named.push(reference.clone()),
            Some(Some(service)) => named.push(ServiceRef(service.to_string())),
            Some(None) => {}
        }
    }
    if named.is_empty() && !wanted.is_empty() {
        return Ok(Vec::new());
    }
    in_picture(&named, known, snapshot)
}

/// The container that a reference means, where it means no service; of several that fit `docker:PATTERN`, one.
#[must_use]
pub fn container_in<'s>(
    reference: &ServiceRef,
    known: &[ServiceId],
    snapshot: &'s Snapshot,
) -> Option<&'s Arc<ContainerView>> {
    if let Some(pattern) = reference.0.strip_prefix(EXPLICIT) {
        let fitting = || snapshot.containers.iter().find(|one| matches(pattern, &one.name));
        return find(&snapshot.containers, pattern).or_else(fitting);
    }
    if in_picture(std::slice::from_ref(reference), known, snapshot).is_ok() {
        return None;
    }
    find(&snapshot.containers, &reference.0)
}

/// The services among `known` that `wanted` names, in the order of `known`, each once; all of them where nothing is named.
///
/// # Errors
/// [`Outcome::NotFound`] with the candidates: no such service, or a name that several projects have.
pub fn services(wanted: &[ServiceRef], known: &[ServiceId]) -> Result<Vec<ServiceId>, Failure> {
    if wanted.is_empty() {
        return Ok(known.to_vec());
    }
    let mut chosen = Vec::new();
    for reference in wanted {
        chosen.extend(one(&reference.0, known)?);
    }
    Ok(known.iter().filter(|id| chosen.contains(id)).cloned().collect())
}

fn one(reference: &str, known: &[ServiceId]) -> Result<Vec<ServiceId>, Failure> {
    let (project, service) = match reference.split_once('/') {
        Some((project, service)) => (Some(project), service),
        None => (None, reference),
    };
    let found: Vec<ServiceId> = known
        .iter()
        .filter(|id| project.is_none_or(|project| matches(project, id.project.as_str())))
        .filter(|id| matches(service, id.service.as_str()))
        .cloned()
        .collect();
    match found.len() {
        0 => Err(unknown(reference, known)),
        1 => Ok(found),
        _ if reference.contains('*') => Ok(found),
        _ => Err(Failure::with_hint(
            Outcome::NotFound,
            format!("\"{reference}\" is the name of {} services", found.len()),
            format!("say which: {}", listed(found.iter().map(ToString::to_string))),
        )),
    }
}

fn unknown(reference: &str, known: &[ServiceId]) -> Failure {
    let several = known.windows(2).any(|pair| pair[0].project != pair[1].project);
    let name = |id: &ServiceId| if several { id.to_string() } else { id.service.to_string() };
    let hint = if known.is_empty() {
        "there are no services yet".to_owned()
    } else {
        format!("there are: {}", listed(known.iter().map(name)))
    };
    Failure::with_hint(Outcome::NotFound, format!("there is no service \"{reference}\""), hint)
}

/// At most ten names.
fn listed(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    let shown = names.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > 10 { format!("{shown} and {} more", names.len() - 10) } else { shown }
}

/// Whether `pattern`, in which `*` stands for any run of characters, fits all of `text`.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::{matches, services, spelled_out};
    use crate::model::{
        command::ServiceRef,
        ids::{ProjectName, ServiceId, ServiceName},
        occasion::Replica,
    };

    #[test]
    fn the_name_of_several_copies_means_them_and_no_namesake_elsewhere() {
        let id = |project: &str, name: &str| ServiceId {
            project: ProjectName::new(project).unwrap(),
            service: ServiceName::new(name).unwrap(),
        };
        let copy = |project: &str, number| {
            let replica = Replica { of: ServiceName::new("web").unwrap(), number, count: 2 };
            (id(project, &format!("web-{number}")), replica)
        };
        let copies = [copy("shop", 1), copy("shop", 2), copy("bank", 1), copy("bank", 2)];
        let known: Vec<ServiceId> = copies.iter().map(|(id, _)| id.clone()).chain([id("shop", "db")]).collect();
        let meant = |name: &str| {
            let spelled = spelled_out(&[ServiceRef(name.to_owned())], &copies);
            services(&spelled, &known).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(meant("shop/web"), ["shop/web-1", "shop/web-2"]);
        assert_eq!(meant("bank/web-2"), ["bank/web-2"]);
        assert_eq!(meant("db"), ["shop/db"]);
        assert_eq!(meant("web").len(), 4);
    }

    #[test]
    fn a_star_stands_for_anything_and_the_rest_for_itself() {
        for (pattern, text, fits) in [
            ("web", "web", true),
            ("web", "web2", false),
            ("w*", "web", true),
            ("*b", "web", true),
            ("w*b", "wb", true),
            ("w*b*", "web", true),
            ("wb*b", "wb", false),
            ("*", "", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }
}
