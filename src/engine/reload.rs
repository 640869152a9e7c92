//! Taking the file of a project in, at its opening and again later: what is new, gone, changed.
//!
//! Never: touches a service that stayed the same; stops anything because a file cannot be taken.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::model::{
    ids::{ProjectName, RunId, ServiceId, ServiceName},
    mark::SpecMark,
    phase::{AfterStop, Phase},
    policy::Origin,
    project::{Problem, ProjectSpec},
    service::ServiceSpec,
    timeline::What,
};

use super::{
    Engine,
    difference::changed_keys,
    ending::Order,
    graph,
    state::{Declared, Goal, Manner, Service},
    timeline::About,
};

/// What a new reading of a file does to a project.
#[derive(Debug, Default)]
pub(super) struct Difference {
    added: Vec<ServiceName>,
    removed: Vec<ServiceName>,
    changed: Vec<ServiceName>,
    /// Those of `changed` whose process would not notice without being started again.
    restarted: Vec<ServiceId>,
    /// Which keys of which of `changed`.
    keys: Vec<String>,
}

impl Difference {
    /// Takes only those as new that `is_new` accepts.
    pub(super) fn keep_added(&mut self, is_new: impl Fn(&ServiceName) -> bool) {
        self.added.retain(is_new);
    }
}

impl Service {
    /// Whether its run, or where it has none the start that is planned, is not what a spec with `mark` asks for.
    pub(super) fn is_out_of_date_by(&self, mark: SpecMark) -> bool {
        match self.run.as_ref().and_then(|run| run.made_from) {
            // One that is about to be started anew for the last change is not in need of it for that change.
            Some(made_from) => made_from.differs(mark) && (self.due.is_none() || self.mark != mark),
            None => self.mark != mark,
        }
    }
}

impl Engine {
    /// An open project whose file was read again.
    pub(super) fn read_again(&mut self, project: &Arc<ProjectSpec>) {
        self.clear_problems();
        let Some(open) = self.projects.get_mut(&project.name) else { return };
        open.spec = project.clone();
        let difference = self.take_specs(project);
        self.rebuild_graph(&project.name);
        let what = What::Reloaded {
            added: difference.added.clone(),
            removed: difference.removed.clone(),
            changed: difference.changed.clone(),
            restarted: difference.restarted.iter().map(|id| id.service.clone()).collect(),
        };
        self.record(About::Project(&project.name), Origin::Config, what, difference.keys.join("; "));
        self.register(project);
        self.set_clocks(&project.name);
        self.apply(&project.name, &difference);
        self.changed = true;
    }

    /// A file that could be taken ends what was wrong with the one before.
    pub(super) fn clear_problems(&mut self) {
        if !self.problems.is_empty() {
            self.problems = Arc::from([]);
        }
    }

    /// Puts the new specs in place and says what differs.
    pub(super) fn take_specs(&mut self, project: &ProjectSpec) -> Difference {
        let now = self.now;
        let mut difference = Difference::default();
        let mut looks_anew = Vec::new();
        for spec in &project.services {
            let Some(service) = self.services.get_mut(&spec.id) else {
                let mut service = Service::new(spec.clone(), now);
                service.last_run = RunId(self.next_run.saturating_sub(1));
                if spec.autostart
                    && let Some(why) = self.settings.withheld.get(&spec.id)
                {
                    service.why.clone_from(why);
                }
                self.services.insert(spec.id.clone(), service);
                difference.added.push(spec.id.service.clone());
                continue;
            };
            let is_back = std::mem::replace(&mut service.declared, Declared::Yes) != Declared::Yes;
            if is_back {
                difference.added.push(spec.id.service.clone());
                if service.due.take_if(|due| due.by == Origin::Config).is_some() {
                    service.goal = Goal::Up;
                }
            }
            let mark = SpecMark::of(spec);
            // What somebody is stopping stays on its way down.
            let restarts = service.restarts_for(mark);
            if restarts {
                difference.restarted.push(spec.id.clone());
            }
            let keys = changed_keys(&service.spec, spec);
            if !is_back && !keys.is_empty() {
                difference.keys.push(format!("{}: {}", spec.id.service, keys.join(", ")));
            }
            if !is_back && (restarts || !keys.is_empty()) {
                service.revisions.differs();
                difference.changed.push(spec.id.service.clone());
            }
            if service.spec.nature != spec.nature {
                service.drawn = None;
                looks_anew.push(spec.id.clone());
            }
            service.spec = spec.clone();
            service.mark = mark;
            service.view = None;
        }
        for id in &looks_anew {
            self.begin_exams(id);
        }
        let declared: BTreeSet<&ServiceId> = project.services.iter().map(|spec| &spec.id).collect();
        for (id, service) in &mut self.services {
            let is_gone = id.project == project.name && !declared.contains(id);
            // One that was spared goes now: whoever has the file read again agrees to it.
            if is_gone && std::mem::replace(&mut service.declared, Declared::No) != Declared::No {
                difference.removed.push(id.service.clone());
            }
        }
        difference
    }

    /// Starts what is new, ends what is gone, restarts what changed.
    pub(super) fn apply(&mut self, project: &ProjectName, difference: &Difference) {
        let ids = |names: &[ServiceName]| -> Vec<ServiceId> {
            names.iter().map(|name| ServiceId { project: project.clone(), service: name.clone() }).collect()
        };
        let gone = ids(&difference.removed);
        self.order_endings(
            &gone,
            &Order {
                then: AfterStop::StayStopped,
                manner: Manner::Ask { grace: None },
                by: Origin::Config,
                because: "stopped because it is gone from the project file".to_owned(),
            },
        );
        let again = graph::in_order(&self.services, difference.restarted.iter().cloned());
        self.order_endings(
            &again,
            &Order {
                then: AfterStop::StartAgain,
                manner: Manner::Ask { grace: None },
                by: Origin::Config,
                because: "stopped because its part of the project file changed".to_owned(),
            },
        );
        let new: Vec<ServiceId> = ids(&difference.added)
            .into_iter()
            .filter(|id| self.service(id).is_some_and(|service| service.spec.autostart))
            .filter(|id| !self.settings.withheld.contains_key(id))
            .collect();
        // Only the first opening is meant: what comes back into the file later is new.
        self.settings.withheld.retain(|id, _| id.project != *project);
        for id in graph::needed_for_start(&self.services, &new) {
            let asked = self.service(&id).is_some_and(|service| service.spec.autostart);
            let ends_with_cas = |service: &Service| {
                service.due.as_ref().is_some_and(|due| due.then == AfterStop::StayStopped && due.by == Origin::System)
            };
            let down = self
                .service(&id)
                .is_some_and(|service| !service.is_undeclared() && (!service.is_active() || ends_with_cas(service)));
            if down {
                let because =
                    if asked { "started by the project file" } else { "started because another service needs it" };
                self.order_start(&id, Origin::Config, because.to_owned());
            }
        }
        // Holds may have changed with the edges.
        for id in self.order.clone() {
            if self
                .service(&id)
                .is_some_and(|service| id.project == *project && matches!(service.phase, Phase::Waiting { .. }))
            {
                self.worklist.push(&id);
            }
        }
    }

    /// Order, ranks and dependents of a project, after its services changed.
    pub(super) fn rebuild_graph(&mut self, project: &ProjectName) {
        let specs: Vec<Arc<ServiceSpec>> = self
            .services
            .iter()
            .filter(|(id, _)| id.project == *project)
            .map(|(_, service)| service.spec.clone())
            .collect();
        let places: BTreeMap<ServiceId, usize> = self
            .projects
            .get(project)
            .map(|project| project.spec.services.iter().enumerate().map(|(at, spec)| (spec.id.clone(), at)).collect())
            .unwrap_or_default();
        let mut placed: Vec<(usize, Arc<ServiceSpec>)> =
            specs.into_iter().map(|spec| (places.get(&spec.id).copied().unwrap_or(usize::MAX), spec)).collect();
        placed.sort_by_key(|(place, _)| *place);
        let nodes: Vec<_> = placed.iter().map(|(_, spec)| (&spec.id.service, &spec.depends_on)).collect();
        let ranks = graph::ranks(&nodes);
        let mut dependents: BTreeMap<ServiceName, Vec<ServiceName>> = BTreeMap::new();
        for (_, spec) in &placed {
            for below in spec.depends_on.keys() {
                dependents.entry(below.clone()).or_default().push(spec.id.service.clone());
            }
        }
        for (id, service) in &mut self.services {
            if id.project == *project {
                service.rank = ranks.get(&id.service).copied().unwrap_or(usize::MAX);
                service.dependents = dependents.remove(&id.service).unwrap_or_default();
                service.view = None;
            }
        }
        // What is gone from the file stays in sight, last, until nothing of it is left.
        self.order.retain(|id| id.project != *project);
        let at = self.order.partition_point(|id| id.project < *project);
        self.order.splice(at..at, placed.iter().map(|(_, spec)| spec.id.clone()));
    }

    /// Forgets a service that is gone from its file and from the machine.
    pub(super) fn drop_service(&mut self, id: &ServiceId) {
        let Some(service) = self.services.remove(id) else { return };
        self.forget(id);
        self.order.retain(|other| other != id);
        for below in service.spec.depends_on.keys() {
            if let Some(dependency) = self.services.get_mut(&graph::sibling(id, below)) {
                dependency.dependents.retain(|name| *name != id.service);
                dependency.view = None;
            }
        }
        self.changed = true;
    }

    /// A file that cannot be taken: everything stays as it is.
    pub(super) fn project_refused(&mut self, problems: &[Problem]) {
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        let what = What::ReloadRefused { problems: problems.len(), first };
        self.problems = self.redactor.problems(problems);
        self.record(About::Everything, Origin::Config, what, "the running configuration stays");
    }
}
