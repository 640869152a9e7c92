//! Which containers the view of all containers lists, in which order, and what can be done with the selected one: pure reads of the console's state.

use std::sync::Arc;

use super::{
    lists::accepts,
    ui::{Pane, Ui},
};
use crate::model::{
    command::{ServiceRef, Verb},
    container::{ContainerView, EXPLICIT, Healer, Reach, project_name},
    service::ServiceKind,
    snapshot::ServiceView,
};

/// To whom a container belongs, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Belonging {
    /// To a service of an open project.
    Open,
    /// To a project of compose that is not open.
    Closed,
    /// To no project.
    Nobody,
}

impl Belonging {
    /// The heading above them.
    pub(crate) const fn heading(self) -> &'static str {
        match self {
            Self::Open => "services of open projects",
            Self::Closed => "compose projects that are not open",
            Self::Nobody => "of no project",
        }
    }
}

/// A row of the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContainerRow {
    /// A heading, where there are containers of several sorts.
    Heading(Belonging),
    /// A container, by its place in the picture.
    Container(usize),
}

impl Ui {
    /// The service of an open project that a container is, or was made for.
    pub(crate) fn owner(&self, container: &ContainerView) -> Option<&Arc<ServiceView>> {
        if let Some(id) = &container.of {
            return self.snapshot.service(id);
        }
        let (project, name) = (container.project.as_deref()?, container.service.as_deref()?);
        self.snapshot.services.iter().find(|service| {
            service.kind == ServiceKind::Container
                && service.id.service.as_str() == name
                && project_name(service.id.project.as_str()) == project
        })
    }

    /// The container that a service is, or that was made for it.
    pub(crate) fn container_of(&self, service: &ServiceView) -> Option<&Arc<ContainerView>> {
        if service.kind != ServiceKind::Container {
            return None;
        }
        let containers = || self.snapshot.containers.iter();
        let made_for = |one: &&Arc<ContainerView>| self.owner(one).is_some_and(|owner| owner.id == service.id);
        containers().find(|one| one.of.as_ref() == Some(&service.id)).or_else(|| containers().find(made_for))
    }

    pub(crate) fn belonging(&self, container: &ContainerView) -> Belonging {
        if self.owner(container).is_some() {
            Belonging::Open
        } else if container.project.is_some() {
            Belonging::Closed
        } else {
            Belonging::Nobody
        }
    }

    /// Rows that the filter lets through: those of services in the order of these, the others by name.
    pub(crate) fn container_rows(&self) -> Vec<ContainerRow> {
        let pattern = self.containers.pattern.as_ref();
        let mut found: Vec<_> = self
            .snapshot
            .containers
            .iter()
            .enumerate()
            .filter(|(_, container)| accepts(pattern, || haystack(self, container)))
            .map(|(place, container)| {
                let owner = self.owner(container).and_then(|owner| self.service_index(&owner.id)).unwrap_or(0);
                (self.belonging(container), owner, &container.project, &container.service, &container.name, place)
            })
            .collect();
        found.sort_unstable();
        let has_headings = found.first().zip(found.last()).is_some_and(|(first, last)| first.0 != last.0);
        let mut rows = Vec::with_capacity(found.len() + 3);
        let mut group = None;
        for (belonging, .., place) in found {
            if has_headings && group != Some(belonging) {
                group = Some(belonging);
                rows.push(ContainerRow::Heading(belonging));
            }
            rows.push(ContainerRow::Container(place));
        }
        rows
    }

    /// The container of that id, while it is there.
    pub(crate) fn container(&self, id: &str) -> Option<&Arc<ContainerView>> {
        self.snapshot.containers.iter().find(|container| container.id == id)
    }

    /// The one that is selected.
    pub(crate) fn selected_container(&self) -> Option<&Arc<ContainerView>> {
        self.container(self.containers.selected.as_deref()?)
    }

    /// The container that keys of services act on just now, where it is no service's.
    pub(crate) fn loose(&self) -> Option<&Arc<ContainerView>> {
        let selected = self.selected_container().filter(|_| self.focus == Pane::Containers)?;
        self.owner(selected).is_none().then_some(selected)
    }

    /// Whether a verb would do anything to a container that is no service's.
    pub(crate) fn loose_takes(&self, container: &ContainerView, verb: Verb) -> bool {
        self.snapshot.docker.obstacle().is_none() && container.takes(verb)
    }

    /// Whether there is anything to say about an engine of containers at all.
    pub(crate) fn has_engine_of_containers(&self) -> bool {
        let is_known = match self.snapshot.docker {
            Reach::Reachable { .. } => true,
            Reach::Unknown | Reach::Absent { .. } | Reach::Hung { .. } | Reach::TooOld { .. } => false,
        };
        is_known || !self.snapshot.containers.is_empty() || self.focus == Pane::Containers
    }

    /// What stands above the list while what it shows is old.
    pub(crate) fn containers_notice(&self) -> Option<String> {
        let why = self.snapshot.docker.obstacle().filter(|_| !self.snapshot.containers.is_empty())?;
        Some(format!("as last seen; {why}"))
    }
}

/// A container that is no service's, as commands name it.
pub(crate) fn explicit(container: &ContainerView) -> ServiceRef {
    ServiceRef(format!("{EXPLICIT}{}", container.short_id()))
}

/// `shop/web` of a service, the same with its compose names of one that is not open; none of what is nobody's.
pub(crate) fn of_whom(ui: &Ui, container: &ContainerView) -> Option<String> {
    let of_compose = || match (&container.project, &container.service) {
        (Some(project), Some(service)) => Some(format!("{project}/{service}")),
        (Some(project), None) => Some(project.clone()),
        (None, _) => None,
    };
    ui.owner(container).map(|owner| owner.id.to_string()).or_else(of_compose)
}

/// Who restarts it: also one that has ended is still its service's.
pub(crate) fn healed_by(ui: &Ui, container: &ContainerView) -> &'static str {
    match container.healer {
        Healer::Cas if ui.owner(container).is_some() => "cas",
        Healer::Cas | Healer::Docker | Healer::Nobody => container.healed_by(),
    }
}

fn haystack(ui: &Ui, container: &ContainerView) -> String {
    let (of, health) = (of_whom(ui, container).unwrap_or_default(), container.health.as_deref().unwrap_or_default());
    let ContainerView { name, image, .. } = container;
    format!(
        "{name} {of} {} {health} {image} {} {}",
        container.state_words(),
        container.short_id(),
        container.ports.join(" ")
    )
}
