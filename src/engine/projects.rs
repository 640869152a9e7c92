//! Projects come under care and leave it: opening, closing, and letting go of everything at once.
//!
//! Never: two projects of one name; a project that leaves while something of it runs, save where cas ends and the next takes over.

use std::{path::PathBuf, sync::Arc};

use crate::model::{
    command::{Command, LONGEST_SILENCE, Starts},
    effect::Effect,
    heritage::Heritage,
    ids::{ProjectName, RequestId, ServiceId},
    phase::AfterStop,
    policy::{Origin, Reply},
    project::{ProjectRecord, ProjectSpec},
    service::BaseEnvironment,
    timeline::What,
};

use super::{
    Engine, Life, Project,
    ending::Order,
    heritage::{HALT, Inherited},
    names::Unresolved,
    state::{Manner, Run, Stage},
    timeline::About,
};

/// So many closed projects are known by name: a reading of a file that was begun before its project was closed comes within moments.
const LET_GO: usize = 16;

/// A directory whose project is being looked for.
#[derive(Debug)]
pub(super) struct Opening {
    directory: PathBuf,
    /// The most that any of them wants to be started.
    starts: Starts,
    /// Who waits for it; the effect has the first.
    requests: Vec<RequestId>,
}

impl Engine {
    /// Looks for the project of a directory; the answer comes later, to all who ask meanwhile.
    pub(super) fn ask_open(
        &mut self,
        directory: &std::path::Path,
        environment: Option<&BaseEnvironment>,
        starts: Starts,
        request: RequestId,
    ) {
        if let Some(opening) = self.opening.iter_mut().find(|opening| opening.directory == directory) {
            opening.starts = opening.starts.max(starts);
            return opening.requests.push(request);
        }
        self.opening.push(Opening { directory: directory.to_owned(), starts, requests: vec![request] });
        let (directory, environment) = (directory.to_owned(), environment.cloned());
        self.effects.push(Effect::OpenProject { directory, environment, request });
    }

    /// Answers all who asked for the same directory as `request`.
    pub(super) fn answer_open(&mut self, request: RequestId, reply: &Reply) {
        let at = self.opening.iter().position(|opening| opening.requests.contains(&request));
        let requests = at.map_or_else(|| vec![request], |at| self.opening.remove(at).requests);
        let answers = requests.into_iter().map(|request| Effect::Reply { request, reply: reply.clone() });
        self.effects.extend(answers);
    }

    /// A valid project: opened, or read again.
    pub(super) fn project_loaded(
        &mut self,
        project: &Arc<ProjectSpec>,
        heritage: Heritage,
        request: Option<RequestId>,
    ) {
        let reply = if self.life == Life::Working {
            self.take_project(project, heritage, request)
        } else {
            Err(Reply::Refused { reason: "cas is ending".to_owned(), hint: Some("start cas again".to_owned()) })
        };
        if let (Some(request), Ok(reply) | Err(reply)) = (request, reply) {
            self.answer_open(request, &reply);
        }
    }

    fn take_project(
        &mut self,
        project: &Arc<ProjectSpec>,
        heritage: Heritage,
        request: Option<RequestId>,
    ) -> Result<Reply, Reply> {
        let name = &project.name;
        if let Some(open) = self.projects.get(name) {
            if open.closing.is_some() {
                return Err(closing(name));
            }
            if open.spec.root != project.root {
                return Err(self.namesake(project, request));
            }
            if request.is_some() {
                return Ok(Reply::Unchanged { note: format!("{name} is open already") });
            }
            self.read_again(project);
            return Ok(Reply::Unchanged { note: String::new() });
        }
        if request.is_none() && self.let_go.contains(name) {
            return Err(Reply::Unchanged { note: format!("{name} was closed") });
        }
        let opening =
            self.opening.iter().find(|opening| request.is_some_and(|request| opening.requests.contains(&request)));
        let starts = opening.map_or_else(Starts::default, |opening| opening.starts);
        let adopted = self.open(project, heritage, starts);
        let taken_over = if adopted > 0 { format!(", {adopted} taken over") } else { String::new() };
        let count = project.services.len();
        let plural = if count == 1 { "" } else { "s" };
        Ok(Reply::Accepted { note: format!("opened {name}: {count} service{plural}{taken_over}") })
    }

    /// Another project has the name.
    fn namesake(&mut self, project: &ProjectSpec, request: Option<RequestId>) -> Reply {
        let root = self.projects.get(&project.name).map(|open| open.spec.root.clone()).unwrap_or_default();
        let reason = format!("a project named {} is open already, in {}", project.name, root.display());
        let is_gone = self.registry.iter().any(|record| record.root == root && !record.exists);
        let hint = if is_gone {
            format!("that directory is gone: cas close {}, then open this one", project.name)
        } else {
            format!("set `name:` in {}", project.file.display())
        };
        if request.is_none() {
            let what = What::Trouble { text: format!("{} is not opened: {reason}", project.root.display()) };
            self.record(About::Everything, Origin::Config, what, hint.clone());
        }
        Reply::Refused { reason, hint: Some(hint) }
    }

    /// Opens a project; says how many runs were taken over.
    fn open(&mut self, project: &Arc<ProjectSpec>, heritage: Heritage, starts: Starts) -> usize {
        self.clear_problems();
        self.let_go.retain(|name| *name != project.name);
        let opened = Project { spec: project.clone(), opened: self.now, closing: None };
        self.projects.insert(project.name.clone(), opened);
        let mut difference = self.take_specs(project);
        self.spare(project, &heritage);
        self.rebuild_graph(&project.name);
        let what = What::ProjectOpened { services: project.services.len() };
        self.record(About::Project(&project.name), Origin::Config, what, "");
        self.register(project);
        let inherited = self.inherit(project, heritage);
        difference.keep_added(|name| {
            let id = ServiceId { project: project.name.clone(), service: name.clone() };
            inherited.fresh.contains(&id)
        });
        self.withhold_fresh(&inherited, starts);
        if starts > Starts::Nothing {
            self.start_again(&inherited.again, if inherited.halted { HALT } else { "the machine's restart" });
        }
        self.set_clocks(&project.name);
        self.apply(&project.name, &difference);
        self.changed = true;
        inherited.adopted
    }

    pub(super) fn register(&mut self, project: &ProjectSpec) {
        self.effects.push(Effect::Register(ProjectRecord {
            name: project.name.clone(),
            root: project.root.clone(),
            file: project.file.clone(),
            services: project.services.len(),
            last_opened_us: self.now.wall_us,
            exists: true,
            // The host knows it.
            remote: None,
            moved_from: None,
        }));
    }

    /// Keeps those down that would start as at a first opening, as far as this one is not to start them. That goes on record: the
    /// next engine does not take them for new.
    fn withhold_fresh(&mut self, inherited: &Inherited, starts: Starts) {
        let why = match starts {
            Starts::Autostart => None,
            // Where nothing is known of any service, this is a first opening.
            Starts::Wanted => {
                inherited.goes_on.then_some("not started yet: new in the project file since cas last ran")
            }
            Starts::Nothing => Some("not started yet: opened without autostart"),
        };
        for id in &inherited.fresh {
            let autostarts = self
                .service(id)
                .is_some_and(|service| service.spec.autostart || service.spec.occasions.schedule.is_some());
            if let Some(why) = why.filter(|_| autostarts && !self.settings.withheld.contains_key(id)) {
                self.keep_down(id, why);
            }
            if autostarts
                && self.settings.withheld.contains_key(id)
                && let Some(service) = self.services.get_mut(id)
            {
                service.withheld = true;
                self.mark(id);
            }
        }
    }

    /// What ran when the machine went down.
    fn start_again(&mut self, again: &[ServiceId], end: &str) {
        let again: Vec<ServiceId> =
            again.iter().filter(|id| !self.settings.withheld.contains_key(*id)).cloned().collect();
        for id in super::graph::needed_for_start(&self.services, &again) {
            if self.service(&id).is_some_and(|service| !service.is_active()) {
                self.order_start(&id, Origin::System, format!("started again after {end}"));
            }
        }
    }

    /// Why a command about projects, or about services of one that is being closed, cannot be taken.
    pub(super) fn objection(&self, command: &Command, targets: &[ServiceId]) -> Option<Unresolved> {
        match command {
            Command::Close { project } if !self.projects.contains_key(project) => Some(self.unknown_project(project)),
            Command::Open { directory, .. } => {
                let open = self.projects.values().find(|project| project.spec.root == *directory)?;
                open.closing.map(|_| being_closed(&open.spec.name))
            }
            Command::Start { .. } | Command::Restart { .. } | Command::Recreate { .. } => {
                let project = targets.iter().map(|id| &id.project).find(|name| self.is_leaving(name))?;
                Some(being_closed(project))
            }
            Command::Silence { lasting, .. } if *lasting > LONGEST_SILENCE => Some(Unresolved {
                reason: "a silence lasts 30 days at most".to_owned(),
                hint: Some("what is to be silent for ever is a rule that is off (alerts.rules)".to_owned()),
            }),
            Command::Close { .. }
            | Command::Silence { .. }
            | Command::Unsilence { .. }
            | Command::Pause { .. }
            | Command::Unpause { .. }
            | Command::Pull { .. }
            | Command::Rm { .. }
            | Command::Prune { .. }
            | Command::Stop { .. }
            | Command::Kill { .. }
            | Command::Signal { .. }
            | Command::Rotate { .. }
            | Command::Reload
            | Command::Maintenance { .. }
            | Command::Autopilot { .. } => None,
        }
    }

    /// Whether a project is being closed.
    pub(super) fn is_leaving(&self, name: &ProjectName) -> bool {
        self.projects.get(name).is_some_and(|project| project.closing.is_some())
    }

    /// Stops everything of a project; it is let go of when nothing of it is left.
    pub(super) fn close(&mut self, name: &ProjectName, by: Origin, whom: &str) {
        let Some(project) = self.projects.get_mut(name) else { return };
        project.closing = Some(by);
        self.changed = true;
        let own: Vec<ServiceId> = self.order.iter().filter(|id| id.project == *name).cloned().collect();
        for id in &own {
            self.mark(id);
        }
        let up: Vec<ServiceId> =
            own.into_iter().filter(|id| self.service(id).is_some_and(|s| !s.is_at_rest())).collect();
        let because = format!("stopped by {whom}: its project is closed");
        let manner = Manner::Ask { grace: None };
        // Those that a person stopped before keep that in their records.
        self.order_endings(&up, &Order { then: AfterStop::StayStopped, manner, by: Origin::System, because });
    }

    /// Lets go of projects that are being closed and of which nothing is left.
    pub(super) fn let_go(&mut self) {
        let closing = self.projects.iter().filter_map(|(name, project)| Some((name.clone(), project.closing?)));
        for (name, by) in closing.collect::<Vec<_>>() {
            let own = self.services.iter().filter(|(id, _)| id.project == name);
            let quiet = own.map(|(_, service)| service).all(|service| service.is_at_rest() && service.due.is_none());
            if !quiet || self.strays.values().any(|id| id.project == name) {
                continue;
            }
            self.write_marked();
            self.services.retain(|id, _| id.project != name);
            self.order.retain(|id| id.project != name);
            self.projects.remove(&name);
            self.changed = true;
            self.record(About::Project(&name), by, What::ProjectClosed, "");
            self.effects.push(Effect::CloseProject(name.clone()));
            if self.let_go.len() == LET_GO {
                self.let_go.pop_front();
            }
            self.let_go.push_back(name);
        }
    }

    /// Ends at once; every service runs on.
    pub(super) fn release(&mut self) {
        if self.life != Life::Working {
            return;
        }
        self.refuse_openings();
        let is_there = |run: &Run| !matches!(run.stage, Stage::Checking | Stage::Preparing);
        let running =
            self.services.values().filter_map(|service| service.run.as_ref()).filter(|run| is_there(run)).count();
        let why = "the next cas takes them over";
        self.record(About::Everything, Origin::System, What::Released { running }, if running > 0 { why } else { "" });
        self.settle();
        self.write_marked();
        self.life = Life::Released;
        self.changed = true;
        self.end_preparations();
        self.effects.push(Effect::Quit);
    }

    /// Stops everything and ends.
    pub(super) fn shut_down(&mut self) {
        if self.life != Life::Working {
            return;
        }
        self.life = Life::Leaving;
        self.changed = true;
        self.refuse_openings();
        self.mark_all();
        self.end_all();
    }

    pub(super) fn refuse_openings(&mut self) {
        let reply = Reply::Refused { reason: "cas is ending".to_owned(), hint: Some("start cas again".to_owned()) };
        while let Some(request) = self.opening.first().and_then(|opening| opening.requests.first().copied()) {
            self.answer_open(request, &reply);
        }
    }

    /// True where no run exists and none is on its way.
    pub(super) fn is_quiet(&self) -> bool {
        // Whoever is to be told of a failure is told before the end.
        self.services.values().all(|service| service.is_at_rest() && service.alarm.is_none()) && self.strays.is_empty()
    }
}

fn closing(name: &ProjectName) -> Reply {
    let Unresolved { reason, hint } = being_closed(name);
    Reply::Refused { reason, hint }
}

fn being_closed(name: &ProjectName) -> Unresolved {
    Unresolved {
        reason: format!("{name} is being closed"),
        hint: Some("open it again when nothing of it runs any more".to_owned()),
    }
}
