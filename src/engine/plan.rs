//! What a command would do just now: the services that it really touches, in order, and the words for it.
//!
//! Never: does any of it.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
    time::Duration,
};

use crate::model::{
    command::{Command, Switch, Verb},
    ids::{ProjectName, ServiceId},
    phase::{AfterStop, Hold, Phase},
    policy::{Plan, Risk},
    signal::Signal,
    time::short_duration,
};

use super::{
    Engine,
    deeds::{Act, Meant},
    difference, graph,
    state::{Service, Stage},
};

/// A command worked out against the state.
#[derive(Debug)]
pub(super) struct Draft {
    /// What is really touched, in the order in which it is done.
    pub(super) touched: Vec<ServiceId>,
    /// `stop web and db`.
    pub(super) title: String,
    pub(super) steps: Vec<String>,
    /// The answer where nothing is touched.
    pub(super) idle: String,
    /// What is done to containers beside their runs.
    pub(super) acts: Vec<Act>,
}

impl Draft {
    /// The plan as shown and agreed to.
    pub(super) fn plan(&self, engine: &Engine, command: &Command, risk: Risk) -> Plan {
        let mut hasher = DefaultHasher::new();
        command.to_line().hash(&mut hasher);
        for id in &self.touched {
            id.hash(&mut hasher);
            engine.service(id).map(|service| service.phase.label()).hash(&mut hasher);
        }
        for act in &self.acts {
            (&act.name, act.deed.infinitive()).hash(&mut hasher);
        }
        if *command == Command::Reload {
            // What the file says is what is agreed to.
            self.steps.hash(&mut hasher);
        }
        Plan { title: self.title.clone(), steps: self.steps.clone(), risk, fingerprint: hasher.finish(), revision: 0 }
    }
}

impl Engine {
    /// Works `command` out for `targets`.
    pub(super) fn draft(&self, command: &Command, meant: &Meant) -> Draft {
        if let Some(draft) = self.draft_deeds(command, meant) {
            return draft;
        }
        let targets = meant.services.as_slice();
        match command {
            Command::Start { .. } => self.draft_start(targets),
            Command::Stop { grace, .. } => self.draft_stop(targets, *grace),
            Command::Restart { with_dependents, grace, .. } => {
                self.draft_restart(targets, Verb::Restart, *with_dependents, *grace)
            }
            Command::Recreate { renew_volumes, grace, .. } => {
                let mut draft = self.draft_restart(targets, Verb::Recreate, false, *grace);
                if *renew_volumes && !draft.steps.is_empty() {
                    draft
                        .steps
                        .push("note: volumes that have no name are made anew, and the data in them is lost".to_owned());
                }
                draft
            }
            // Drafted above.
            Command::Pause { .. }
            | Command::Unpause { .. }
            | Command::Pull { .. }
            | Command::Rm { .. }
            | Command::Prune { .. } => self.drafted(command.verb(), targets, Vec::new(), Vec::new()),
            Command::Kill { .. } => {
                let touched = self.chosen(targets, |service| {
                    !service.is_at_rest() || service.due.is_some() || service.is_down_for_now().is_some()
                });
                let step = |id: &ServiceId| match self.service(id).filter(|service| service.is_at_rest()) {
                    Some(_) => self.stop_step(id, None),
                    None => format!("kill {} (SIGKILL at once)", self.short(id)),
                };
                let steps = touched.iter().map(step).collect();
                self.drafted(Verb::Kill, targets, touched, steps)
            }
            Command::Maintenance { switch, lasts, .. } => self.draft_maintenance(targets, *switch, *lasts),
            Command::Signal { signal, .. } => {
                let touched = self.chosen(targets, |service| {
                    service.run.as_ref().is_some_and(|run| run.stage == Stage::Spawned && run.exit.is_none())
                });
                let steps = touched.iter().map(|id| format!("send {signal} to {}", self.short(id))).collect();
                let mut draft = self.drafted(Verb::Signal, targets, touched, steps);
                draft.title = format!("send {signal} to {}", self.subject(&draft.touched));
                draft
            }
            Command::Rotate { .. } => self.draft_rotate(targets),
            Command::Reload => self.draft_reload(),
            Command::Open { directory, .. } => self.draft_open(directory),
            Command::Close { project } => self.draft_close(project),
            Command::Silence { lasting, because, .. } => {
                let touched = targets.to_vec();
                let why = because.as_ref().map(|because| format!(": {because}")).unwrap_or_default();
                let lasting = short_duration(*lasting);
                let step =
                    |id: &ServiceId| format!("tell nobody of the alarms of {} for {lasting}{why}", self.short(id));
                let steps = touched.iter().map(step).collect();
                let title = format!("silence {} for {lasting}", self.subject(&touched));
                Draft { touched, title, steps, idle: String::new(), acts: Vec::new() }
            }
            Command::Unsilence { .. } => {
                let touched = self.chosen(targets, |service| service.silenced_until(self.now).is_some());
                let steps =
                    touched.iter().map(|id| format!("tell of the alarms of {} again", self.short(id))).collect();
                let title = format!("unsilence {}", self.subject(&touched));
                let idle = match targets {
                    [only] => format!("{} is not silenced", self.short(only)),
                    many => format!("none of {} services is silenced", many.len()),
                };
                Draft { touched, title, steps, idle, acts: Vec::new() }
            }
            Command::Autopilot { mode } => {
                let title = format!("autopilot {}", mode.label());
                let idle = format!("autopilot is {} already", mode.label());
                let steps = if *mode == self.autopilot { Vec::new() } else { vec![title.clone()] };
                Draft { touched: Vec::new(), title, steps, idle, acts: Vec::new() }
            }
        }
    }

    /// Where the files were not read for it, it is only said that they will be.
    fn draft_reload(&self) -> Draft {
        let title = "read the project file again";
        let (mut foreseen, mut lines) = (Vec::new(), Vec::new());
        for (name, project) in self.projects.iter().filter(|(_, project)| project.closing.is_none()) {
            let file = project.spec.file.display();
            match self.read.get(name) {
                Some(Ok(read)) => {
                    let steps = self.foreseen(read);
                    if steps.is_empty() {
                        lines.push(format!("{file}: nothing changes"));
                    }
                    lines.extend(steps.iter().map(|step| step.line.clone()));
                    foreseen.extend(steps);
                }
                Some(Err(problems)) => {
                    let first = problems.first().map(ToString::to_string).unwrap_or_default();
                    lines.push(format!("{file} cannot be taken: {first}; everything stays as it is"));
                }
                None => lines.push(format!("read {file} again and apply what changed")),
            }
        }
        let known = self.read.values().filter(|read| read.is_ok()).count();
        let title = if known == 0 {
            title.to_owned()
        } else {
            format!("{title}: {}", difference::summary(&foreseen, |id| self.short(id)))
        };
        let touched = foreseen.into_iter().filter(|step| step.ends).map(|step| step.id).collect();
        Draft { touched, title, steps: lines, idle: "no project is open".to_owned(), acts: Vec::new() }
    }

    fn draft_start(&self, targets: &[ServiceId]) -> Draft {
        let mut touched = graph::needed_for_start(&self.services, targets);
        touched.retain(|id| self.service(id).is_some_and(would_start));
        let asked: BTreeSet<&ServiceId> = targets.iter().collect();
        let mut steps: Vec<String> = touched
            .iter()
            .map(|id| {
                let name = self.short(id);
                if asked.contains(id) { format!("start {name}") } else { format!("start {name} (needed first)") }
            })
            .collect();
        steps.extend(self.shared_ports(&touched));
        self.drafted(Verb::Start, targets, touched, steps)
    }

    /// Of what is to be started, the ports that another service of this engine has or will have.
    fn shared_ports(&self, touched: &[ServiceId]) -> Vec<String> {
        let mut notes = Vec::new();
        for id in touched {
            let Some(service) = self.service(id) else { continue };
            for (other_id, other) in self.services.iter().filter(|(other, _)| *other != id) {
                let will_start = touched.contains(other_id);
                // Of two that are to be started the first says it.
                if (will_start && other_id < id) || !(will_start || other.has_process()) {
                    continue;
                }
                let does = if other.has_process() { "has" } else { "wants" };
                let shared = service.spec.ports.iter().filter(|port| other.effective_spec().ports.contains(port));
                notes.extend(shared.map(|port| format!("note: {id} wants port {}, which {other_id} {does}", port.0)));
            }
        }
        notes
    }

    fn draft_stop(&self, targets: &[ServiceId], grace: Option<Duration>) -> Draft {
        let mut touched = self.chosen(targets, |service| match (&service.due, &service.phase) {
            (Some(due), _) => due.then != AfterStop::StayStopped || grace.is_some(),
            (None, Phase::Stopping { then, .. }) => *then != AfterStop::StayStopped || grace.is_some(),
            (None, phase) => Verb::Stop.applies_to(phase) || service.is_down_for_now().is_some(),
        });
        touched.reverse();
        let mut steps: Vec<String> = touched.iter().map(|id| self.stop_step(id, grace)).collect();
        let selection: BTreeSet<ServiceId> = touched.iter().cloned().collect();
        let left = self.left_up(&selection);
        if !left.is_empty() {
            let verb = if left.len() == 1 { "depends on it and stays up" } else { "depend on it and stay up" };
            steps.push(format!("note: {} {verb}", left.join(", ")));
        }
        self.drafted(Verb::Stop, targets, touched, steps)
    }

    fn draft_open(&self, directory: &Path) -> Draft {
        let open = self.projects.values().find(|project| project.spec.root == directory);
        let idle = open.map_or_else(String::new, |project| format!("{} is open already", project.spec.name));
        let title = format!("open {}", directory.display());
        let steps = if open.is_some() {
            Vec::new()
        } else {
            vec![format!("take the project in {} under care", directory.display())]
        };
        Draft { touched: Vec::new(), title, steps, idle, acts: Vec::new() }
    }

    fn draft_close(&self, project: &ProjectName) -> Draft {
        let title = format!("close {project}");
        if self.is_leaving(project) {
            return Draft {
                touched: Vec::new(),
                title,
                steps: Vec::new(),
                idle: format!("{project} is being closed already"),
                acts: Vec::new(),
            };
        }
        let own: Vec<ServiceId> = self.order.iter().filter(|id| id.project == *project).cloned().collect();
        let mut touched = self.chosen(&own, |service| !service.is_at_rest() || service.due.is_some());
        touched.reverse();
        let mut steps: Vec<String> = touched.iter().map(|id| self.stop_step(id, None)).collect();
        steps.push(format!("let go of {project}"));
        Draft { touched, title, steps, idle: String::new(), acts: Vec::new() }
    }

    fn draft_maintenance(&self, targets: &[ServiceId], switch: Switch, lasts: Option<Duration>) -> Draft {
        let touched = self.chosen(targets, |service| match switch {
            Switch::On => true,
            Switch::Off => service.maintenance.is_some(),
        });
        let step = |id: &ServiceId| {
            let name = self.short(id);
            match (switch, lasts) {
                (Switch::Off, _) => format!("look after {name} again"),
                (Switch::On, Some(lasts)) => format!("heal nothing of {name} for {}", short_duration(lasts)),
                (Switch::On, None) => format!("heal nothing of {name} until somebody says so"),
            }
        };
        let steps = touched.iter().map(step).collect();
        let mut draft = self.drafted(Verb::Maintenance, targets, touched, steps);
        draft.title = format!("maintenance {} {}", switch.label(), self.subject(&draft.touched));
        if let [only] = targets {
            draft.idle = format!("{} is not in maintenance", self.short(only));
        }
        draft
    }

    fn draft_restart(
        &self,
        targets: &[ServiceId],
        verb: Verb,
        with_dependents: bool,
        grace: Option<Duration>,
    ) -> Draft {
        let chosen = self.chosen(targets, |service| {
            !service.is_undeclared() && (service.due.is_some() || Verb::Restart.applies_to(&service.phase))
        });
        let wide = graph::with_dependents(&self.services, &chosen, |dependent, edge| {
            let runs = match dependent.phase {
                Phase::Running { .. } | Phase::Starting { .. } | Phase::BackingOff { .. } => true,
                Phase::Stopped { .. }
                | Phase::Waiting { .. }
                | Phase::Blocked { .. }
                | Phase::Stopping { .. }
                | Phase::Exited { .. }
                | Phase::GaveUp { .. } => false,
            };
            let leaves = dependent.due.as_ref().is_some_and(|due| due.then == AfterStop::StayStopped);
            runs && !leaves && !dependent.is_undeclared() && (with_dependents || edge.restart)
        });
        let touched = graph::in_order(&self.services, wide);
        let mut steps: Vec<String> = touched
            .iter()
            .rev()
            .filter(|id| self.service(id).is_some_and(|service| service.run.is_some()))
            .map(|id| self.stop_step(id, grace))
            .collect();
        let again = |id: &ServiceId| {
            let is_anew = verb == Verb::Recreate && targets.contains(id);
            format!("start {}{}", self.short(id), if is_anew { " in a new container" } else { "" })
        };
        steps.extend(touched.iter().map(again));
        self.drafted(verb, targets, touched, steps)
    }

    fn stop_step(&self, id: &ServiceId, grace: Option<Duration>) -> String {
        let name = self.short(id);
        let Some(service) = self.service(id) else { return name };
        if service.is_at_rest() {
            return format!("keep {name} down, whatever {}", service.is_down_for_now().unwrap_or("comes"));
        }
        if service.run.is_none() {
            return format!("call off the start of {name}");
        }
        let stop = service.effective_spec().stop;
        let grace = short_duration(grace.unwrap_or(stop.grace));
        if stop.signal == Signal::Kill {
            return format!("stop {name} (SIGKILL)");
        }
        format!("stop {name} ({}, {grace}, then SIGKILL)", stop.signal)
    }

    /// Names of running direct dependents of `selection` that are not in it.
    fn left_up(&self, selection: &BTreeSet<ServiceId>) -> Vec<String> {
        let left: BTreeSet<ServiceId> = selection
            .iter()
            .flat_map(|id| graph::dependents(&self.services, id))
            .filter(|id| !selection.contains(id))
            .filter(|id| self.service(id).is_some_and(|service| matches!(service.phase, Phase::Running { .. })))
            .collect();
        left.iter().map(|id| self.short(id)).collect()
    }

    pub(super) fn chosen(&self, targets: &[ServiceId], wanted: impl Fn(&Service) -> bool) -> Vec<ServiceId> {
        let chosen = targets.iter().filter(|id| self.service(id).is_some_and(&wanted)).cloned();
        graph::in_order(&self.services, chosen)
    }

    pub(super) fn drafted(
        &self,
        verb: Verb,
        targets: &[ServiceId],
        touched: Vec<ServiceId>,
        steps: Vec<String>,
    ) -> Draft {
        let idle = match targets {
            [only] => self.service(only).map_or_else(String::new, |service| {
                format!("{} is {}: nothing to {}", self.short(only), service.phase.label(), verb.label())
            }),
            many => format!("nothing to {} among {} services", verb.label(), many.len()),
        };
        let title = format!("{} {}", verb.label(), self.subject_of(targets, &touched));
        Draft { touched, title, steps, idle, acts: Vec::new() }
    }

    /// `web`, `web and db`, `5 services`.
    fn subject(&self, ids: &[ServiceId]) -> String {
        match ids {
            [one] => self.short(one),
            [one, two] => format!("{} and {}", self.short(one), self.short(two)),
            many => format!("{} services", many.len()),
        }
    }

    /// The targets that are touched, and how many more with them.
    fn subject_of(&self, targets: &[ServiceId], touched: &[ServiceId]) -> String {
        let asked: BTreeSet<&ServiceId> = targets.iter().collect();
        let named: Vec<ServiceId> = touched.iter().filter(|id| asked.contains(id)).cloned().collect();
        match (named.len(), touched.len() - named.len()) {
            (0, _) | (_, 0) => self.subject(touched),
            (_, 1) => format!("{} and 1 more", self.subject(&named)),
            (_, more) => format!("{} and {more} more", self.subject(&named)),
        }
    }
}

/// Whether a start would change anything about a service.
fn would_start(service: &Service) -> bool {
    if let Some(due) = &service.due {
        return due.then == AfterStop::StayStopped;
    }
    if service.is_undeclared() {
        return false;
    }
    match &service.phase {
        Phase::Stopping { then, .. } => *then != AfterStop::StartAgain,
        // A person need not wait for the healer's budget.
        Phase::Waiting { holds, .. } => holds.contains(&Hold::RestartBudget),
        Phase::Stopped { .. }
        | Phase::Blocked { .. }
        | Phase::Starting { .. }
        | Phase::Running { .. }
        | Phase::BackingOff { .. }
        | Phase::Exited { .. }
        | Phase::GaveUp { .. } => Verb::Start.applies_to(&service.phase),
    }
}
