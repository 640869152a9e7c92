//! What the panes list and what is selected in them: pure reads of the console's state.

use std::sync::Arc;

use super::{
    layout::{Areas, inside},
    logs::row::{EntryRow, Row, Scope},
    panes::logs::content_area,
    ui::{LogMark, LogsPane, Pane, Ui},
};
use crate::{
    host::handle::Link,
    insight::filter::Pattern,
    model::{
        command::Verb,
        ids::{ProjectName, ServiceId},
        level::Level,
        pattern::Pattern as LogPattern,
        snapshot::{ProjectView, ServiceView},
        timeline::Entry,
    },
};

/// A row of the services pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServiceRow<'a> {
    /// The heading of a project, where several are open.
    Project(&'a ProjectName),
    /// A service, and its place among all services (for its colour).
    Service(usize),
}

pub(crate) fn accepts(pattern: Option<&Pattern>, text: impl FnOnce() -> String) -> bool {
    pattern.is_none_or(|pattern| pattern.accepts(&text()))
}

impl Ui {
    /// Rows of the services pane that its filter lets through.
    pub(crate) fn service_rows(&self) -> Vec<ServiceRow<'_>> {
        let services = &self.snapshot.services;
        let grouped = services.first().zip(services.last()).is_some_and(|(a, b)| a.id.project != b.id.project);
        let mut rows = Vec::with_capacity(services.len() + 4);
        let mut project = None;
        for (index, service) in services.iter().enumerate() {
            if !accepts(self.services.pattern.as_ref(), || haystack(service)) {
                continue;
            }
            if grouped && project != Some(&service.id.project) {
                project = Some(&service.id.project);
                rows.push(ServiceRow::Project(&service.id.project));
            }
            rows.push(ServiceRow::Service(index));
        }
        rows
    }

    /// The selected service, while it is there.
    pub(crate) fn selected_service(&self) -> Option<&Arc<ServiceView>> {
        self.snapshot.service(self.services.selected.as_ref()?)
    }

    /// Its place among all services.
    pub(crate) fn service_index(&self, id: &ServiceId) -> Option<usize> {
        self.snapshot.services.iter().position(|service| service.id == *id)
    }

    /// Every project, or those that are looked for, the best first.
    pub(crate) fn project_rows(&self) -> Vec<&ProjectView> {
        let projects = self.snapshot.projects.iter();
        match &self.projects.pattern {
            None => projects.collect(),
            Some(wanted) => wanted.best(
                projects.map(|project| (project, project.shown().to_owned(), project.root.display().to_string())),
            ),
        }
    }

    /// The selected project, while it is there.
    pub(crate) fn selected_project(&self) -> Option<&ProjectView> {
        let root = self.projects.selected.as_ref()?;
        self.snapshot.projects.iter().find(|project| project.root == *root)
    }

    /// Entries of the timeline, newest first.
    pub(crate) fn timeline_rows(&self) -> Vec<&Arc<Entry>> {
        let pattern = self.timeline.pattern.as_ref();
        self.snapshot.timeline.iter().rev().filter(|entry| accepts(pattern, || entry_text(entry))).collect()
    }

    /// Patterns that the filter lets through, service by service where there are several.
    pub(crate) fn pattern_rows(&self) -> Vec<(&ServiceId, &LogPattern)> {
        let wanted = self.patterns.pattern.as_ref();
        let is_new = |pattern: &LogPattern| self.patterns.since.is_none_or(|since| pattern.new_since.is(since));
        let known = self.patterns.known.iter();
        let all = known.flat_map(|known| known.patterns.iter().map(|pattern| (&known.service, pattern)));
        let mut rows: Vec<_> = all
            .filter(|(_, pattern)| is_new(pattern))
            .filter(|(of, pattern)| {
                accepts(wanted, || {
                    let level = pattern.level.map_or("", Level::label);
                    format!("{} {level} {}", of.service, pattern.text)
                })
            })
            .collect();
        // Each service is sorted; what wants a look comes before all else, whosever it is.
        rows.sort_by_key(|(_, pattern)| pattern.order());
        rows
    }

    /// The pattern under the cursor.
    pub(crate) fn selected_pattern(&self) -> Option<(&ServiceId, &LogPattern)> {
        self.pattern_rows().get(self.patterns.view.selected()).copied()
    }

    /// The entry under the cursor of the timeline.
    pub(crate) fn selected_entry(&self) -> Option<&Arc<Entry>> {
        self.timeline_rows().get(self.timeline.view.selected()).copied()
    }

    /// What service keys act on: the marked services, else the selected one (in the timeline: the entry's, among containers: the one whose it is).
    pub(crate) fn targets(&self) -> Vec<&Arc<ServiceView>> {
        if self.focus == Pane::Containers {
            return self.selected_container().and_then(|container| self.owner(container)).into_iter().collect();
        }
        if self.focus == Pane::Patterns {
            let of = self.selected_pattern().map(|(service, _)| service);
            return of.and_then(|of| self.snapshot.service(of)).into_iter().collect();
        }
        if !self.services.marks.is_empty() {
            return self.snapshot.services.iter().filter(|s| self.services.marks.contains(&s.id)).collect();
        }
        if self.focus == Pane::Timeline {
            let entry = self.selected_entry();
            let named = entry.and_then(|entry| Some((entry.project.as_ref()?, entry.service.as_ref()?)));
            return named
                .and_then(|(project, service)| {
                    self.snapshot.services.iter().find(|s| s.id.project == *project && s.id.service == *service)
                })
                .into_iter()
                .collect();
        }
        self.selected_service().into_iter().collect()
    }

    /// Whether a verb would do anything to what is selected.
    pub(crate) fn applies(&self, verb: Verb) -> bool {
        match self.loose() {
            Some(container) => self.loose_takes(container, verb),
            None => self.targets().iter().any(|service| service.takes(verb)),
        }
    }

    /// What the one key for start and stop would do: start what is down, if anything is, else stop.
    pub(crate) fn start_or_stop(&self) -> Option<Verb> {
        if self.loose().is_some() {
            return [Verb::Start, Verb::Stop].into_iter().find(|verb| self.applies(*verb));
        }
        let targets = self.targets();
        let is_down = |service: &Arc<ServiceView>| {
            Verb::Start.applies_to(&service.phase) && !Verb::Stop.applies_to(&service.phase)
        };
        if targets.iter().any(|service| is_down(service)) {
            return Some(Verb::Start);
        }
        targets.iter().any(|service| Verb::Stop.applies_to(&service.phase)).then_some(Verb::Stop)
    }

    /// What the one key for pause and unpause would do: pause what is not, if anything is not, else let it go on.
    pub(crate) fn pause_or_unpause(&self) -> Option<Verb> {
        [Verb::Pause, Verb::Unpause].into_iter().find(|verb| self.applies(*verb))
    }

    /// Services that something runs of, or will.
    pub(crate) fn services_up(&self) -> usize {
        self.snapshot
            .services
            .iter()
            .filter(|service| Verb::Stop.applies_to(&service.phase) || service.phase.run().is_some())
            .count()
    }

    /// Whose logs are to be shown.
    pub(crate) fn log_scope(&self) -> Scope {
        if self.logs.everyone {
            return Scope::All;
        }
        if !self.services.marks.is_empty() {
            return Scope::Services(self.services.marks.clone());
        }
        Scope::Services(self.services.selected.clone().into_iter().collect())
    }

    /// Rows of content that a pane has room for, without its border and headings.
    pub(crate) fn pane_height(&self, pane: Pane) -> usize {
        let area = Areas::of(self).and_then(|areas| areas.pane(pane));
        let height = area.map_or(1, |area| usize::from(inside(area).height));
        match pane {
            Pane::Services | Pane::Patterns => height.saturating_sub(1).max(1),
            Pane::Logs => area.map_or(1, |area| usize::from(content_area(self, inside(area)).height)).max(1),
            Pane::Containers => height.saturating_sub(1 + usize::from(self.containers_notice().is_some())).max(1),
            Pane::Projects | Pane::Graphs | Pane::Timeline => height.max(1),
        }
    }

    /// Whether a line below the header is needed for something that is wrong.
    pub(crate) fn has_banner(&self) -> bool {
        !self.snapshot.problems.is_empty()
            || !self.snapshot.troubles.is_empty()
            || match self.link {
                Link::Retrying { .. } => true,
                Link::Local | Link::Connected => false,
            }
            || self.other_version().is_some()
    }

    /// What is to be known where the daemon is of another version than this console.
    pub(crate) fn other_version(&self) -> Option<String> {
        let (engine, own) = (&self.snapshot.engine, env!("CARGO_PKG_VERSION"));
        let is_other = engine.daemon && self.link != Link::Local && engine.version != own;
        is_other.then(|| {
            format!(
                "the daemon is cas {}, this console {own}: `cas daemon restart` makes it the same, and no service is restarted",
                engine.version
            )
        })
    }
}

impl LogsPane {
    /// What an entry is marked by; none where it has left.
    pub(crate) fn mark_of(&self, entry: EntryRow) -> Option<LogMark> {
        let batch = self.store.batch(entry.slot, entry.serial)?;
        Some((entry.slot, batch.first_seq + u64::from(entry.line)))
    }

    /// Whether an entry is marked.
    pub(crate) fn is_marked(&self, entry: EntryRow) -> bool {
        !self.marks.is_empty() && self.mark_of(entry).is_some_and(|mark| self.marks.contains(&mark))
    }

    /// Numbers of the rows that are marked.
    pub(crate) fn marked_rows(&self) -> impl Iterator<Item = i64> {
        let numbers = (self.view.first()..=self.view.last()).filter(|_| !self.marks.is_empty());
        numbers.filter(|number| self.view.row(*number).and_then(Row::entry).is_some_and(|entry| self.is_marked(entry)))
    }
}

fn haystack(service: &ServiceView) -> String {
    let paused = if service.paused { "paused" } else { "" };
    format!("{} {} {} {paused}", service.id, service.phase.label(), service.health.label())
}

/// What the filter of the timeline looks at.
pub(crate) fn entry_text(entry: &Entry) -> String {
    let place = match (&entry.project, &entry.service) {
        (Some(project), Some(service)) => format!("{project}/{service}"),
        (Some(project), None) => project.to_string(),
        (None, _) => String::new(),
    };
    format!("{place} {} {} {}", entry.who.label(), entry.sentence(), entry.why)
}
