//! Containers beside their runs: those that are no service's, frozen ones, images, and what takes up space.
//!
//! Promise: whoever asked hears when it is done, or why it could not be. Never: removes what an open project has, or anything that was not on the list that
//! was agreed to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::model::{
    command::{Command, ServiceRef, Targets, Verb},
    container::{ContainerView, EXPLICIT, MountSource, find},
    deed::{Amount, Deed, DiskUse, Kept, Subject, Thing, ThingKind, image_name, size},
    effect::Effect,
    ids::{RequestId, RunId, ServiceId},
    phase::Phase,
    policy::{Origin, Reply, Request},
    signal::Signal,
    timeline::What,
};

use super::{
    Engine, heal,
    names::{Unresolved, matches},
    plan::Draft,
    state::Service,
    timeline::About,
};

/// What a command means: services, or containers that are none.
#[derive(Debug, Default)]
pub(super) struct Meant {
    pub(super) services: Vec<ServiceId>,
    pub(super) containers: Vec<Arc<ContainerView>>,
}

/// One thing to be done.
#[derive(Debug, Clone)]
pub(super) struct Act {
    pub(super) subject: Subject,
    /// As people call it.
    pub(super) name: String,
    /// Whose it is.
    pub(super) service: Option<ServiceId>,
    pub(super) deed: Deed,
}

/// What is being done, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Deeds {
    tickets: u64,
    open: BTreeMap<u64, (RequestId, Act)>,
    waiting: BTreeMap<RequestId, Waiting>,
    /// What takes up space, as it was read for the request that comes next.
    disk: Option<Result<Arc<DiskUse>, String>>,
}

#[derive(Debug)]
struct Waiting {
    by: Origin,
    left: usize,
    title: String,
    cleared: Vec<Thing>,
    notes: Vec<String>,
    errors: Vec<String>,
}

impl Engine {
    /// From names to services, or to containers that are no service's.
    pub(super) fn meant(&self, command: &Command, targets: &Targets) -> Result<Meant, Unresolved> {
        let mut named = Targets { services: Vec::new(), all: targets.all };
        let mut containers: BTreeMap<String, Arc<ContainerView>> = BTreeMap::new();
        for reference in &targets.services {
            let found = self.containers_of(reference);
            if found.is_empty() {
                named.services.push(reference.clone());
            }
            for container in found {
                match self.owner_of(&container) {
                    Some(service) => named.services.push(ServiceRef(service.to_string())),
                    None => drop(containers.insert(container.id.clone(), container)),
                }
            }
        }
        if containers.is_empty() {
            let services = self.resolve(&named)?;
            return Ok(Meant { services: self.meant_by(command, services), containers: Vec::new() });
        }
        if named.all || !named.services.is_empty() {
            let hint = "name services in one command, and other containers in another".to_owned();
            let reason = "services and containers that are no service's are named together".to_owned();
            return Err(Unresolved { reason, hint: Some(hint) });
        }
        Ok(Meant { services: Vec::new(), containers: containers.into_values().collect() })
    }

    fn containers_of(&self, reference: &ServiceRef) -> Vec<Arc<ContainerView>> {
        let text = reference.0.as_str();
        if let Some(pattern) = text.strip_prefix(EXPLICIT) {
            if let Some(one) = find(&self.containers, pattern) {
                return vec![Arc::clone(one)];
            }
            return self.containers.iter().filter(|one| matches(pattern, &one.name)).cloned().collect();
        }
        if self.resolve_one(reference).is_ok() {
            return Vec::new();
        }
        find(&self.containers, text).cloned().into_iter().collect()
    }

    /// The service of an open project that a container is, or was made for.
    fn owner_of(&self, container: &ContainerView) -> Option<ServiceId> {
        if let Some(service) = container.of.as_ref().filter(|id| self.services.contains_key(*id)) {
            return Some(service.clone());
        }
        let is_of = |service: &Service| {
            let spec = service.spec.container.as_ref();
            spec.is_some_and(|spec| {
                container.project.as_deref() == Some(&spec.project)
                    && container.service.as_deref() == Some(&spec.service)
                    && container.name == spec.name()
            })
        };
        self.services.iter().find(|(_, service)| is_of(service)).map(|(id, _)| id.clone())
    }

    /// Why a command about containers cannot be taken.
    pub(super) fn objection_to_deed(&self, command: &Command, meant: &Meant) -> Option<Unresolved> {
        let verb = command.verb();
        let refuse = |reason: String, hint: &str| Some(Unresolved { reason, hint: Some(hint.to_owned()) });
        if let Command::Prune { .. } = command {
            return match &self.deeds.disk {
                Some(Ok(_)) => None,
                Some(Err(why)) => refuse(why.clone(), "cas containers says how Docker is"),
                None => refuse("nobody has looked what takes up space".to_owned(), "ask again"),
            };
        }
        let is_about_containers = matches!(verb, Verb::Pause | Verb::Unpause | Verb::Recreate | Verb::Pull | Verb::Rm);
        if let Some(first) = meant.containers.first() {
            return match verb {
                Verb::Recreate => refuse(
                    format!("{} is no service of an open project: what it is made from is not known", first.name),
                    "open its project, or remove it and make it with what made it",
                ),
                Verb::Rotate => refuse(
                    format!("{} is no service of an open project: no log files of it are declared", first.name),
                    "Docker rotates what its containers write",
                ),
                Verb::Maintenance | Verb::Silence | Verb::Unsilence => refuse(
                    format!("{} is no service of an open project: nothing of it is healed, nobody alarmed", first.name),
                    "nothing is to be done",
                ),
                Verb::Rm if !matches!(command, Command::Rm { force: true, .. }) => {
                    let running = meant.containers.iter().find(|one| one.is_up())?;
                    refuse(format!("{} runs", running.name), "stop it first, or --force")
                }
                Verb::Start
                | Verb::Stop
                | Verb::Restart
                | Verb::Kill
                | Verb::Signal
                | Verb::Pause
                | Verb::Unpause
                | Verb::Pull
                | Verb::Rm => self.docker.obstacle().and_then(|why| {
                    refuse(format!("Docker cannot be reached: {why}"), "cas containers says how it is")
                }),
                Verb::Reload | Verb::Open | Verb::Close | Verb::Autopilot | Verb::Prune => None,
            };
        }
        if !is_about_containers {
            return None;
        }
        for id in &meant.services {
            let Some(service) = self.service(id) else { continue };
            if service.spec.container.is_none() {
                let name = self.short(id);
                let hint = if verb == Verb::Pause {
                    format!("\"signal STOP {name}\" freezes its main process")
                } else if verb == Verb::Unpause {
                    format!("\"signal CONT {name}\" lets its main process go on")
                } else if verb == Verb::Recreate {
                    format!("\"restart {name}\" makes a new one each time")
                } else {
                    "only containers have images".to_owned()
                };
                let reason = format!("{name} is a process, not a container");
                return Some(Unresolved { reason, hint: Some(hint) });
            }
            if verb == Verb::Rm && !service.is_at_rest() {
                let name = self.short(id);
                let hint = format!("\"stop {name}\" first; \"recreate {name}\" makes it anew");
                return Some(Unresolved { reason: format!("{name} is up"), hint: Some(hint) });
            }
        }
        match self.docker.obstacle() {
            Some(why) if verb != Verb::Recreate => {
                refuse(format!("Docker cannot be reached: {why}"), "cas containers says how it is")
            }
            Some(_) | None => None,
        }
    }

    /// The part of a command that is about containers beside their runs; none where it is about runs.
    pub(super) fn draft_deeds(&self, command: &Command, meant: &Meant) -> Option<Draft> {
        if let Command::Prune { what, everything } = command {
            return Some(self.draft_prune(what, *everything));
        }
        let deed = deed_of(command);
        if !meant.containers.is_empty() {
            return Some(draft_loose(command.verb(), &deed?, &meant.containers));
        }
        let verb = command.verb();
        if !matches!(verb, Verb::Pause | Verb::Unpause | Verb::Pull | Verb::Rm) {
            return None;
        }
        let deed = deed?;
        let wanted = [(Verb::Pause, Some(false)), (Verb::Unpause, Some(true))].into_iter().find(|(of, _)| *of == verb);
        let touched =
            self.chosen(&meant.services, |service| wanted.is_none_or(|(_, wanted)| is_paused(service) == wanted));
        let mut acts = Vec::new();
        let mut images = BTreeSet::new();
        for id in &touched {
            let Some(container) = self.service(id).and_then(|service| service.spec.container.clone()) else { continue };
            let name = self.short(id);
            // One image is fetched once.
            if verb == Verb::Pull && !images.insert(container.tag()) {
                continue;
            }
            acts.push(Act {
                subject: Subject::Service(container),
                name,
                service: Some(id.clone()),
                deed: deed.clone(),
            });
        }
        let step = |act: &Act| match (&act.subject, verb) {
            (Subject::Service(container), Verb::Pull) => format!("pull {} ({})", container.tag(), act.name),
            (Subject::Service(container), Verb::Rm) => {
                format!("remove the container of {} ({})", act.name, container.name())
            }
            _other => format!("{} {}", deed.infinitive(), act.name),
        };
        let steps = acts.iter().map(step).collect();
        let mut draft = self.drafted(verb, &meant.services, touched, steps);
        if let (Verb::Unpause, [only]) = (verb, meant.services.as_slice()) {
            draft.idle = format!("{} is not paused", self.short(only));
        }
        draft.acts = acts;
        Some(draft)
    }

    fn draft_prune(&self, what: &[ThingKind], everything: bool) -> Draft {
        let kinds = if what.is_empty() {
            vec![ThingKind::Containers, ThingKind::Images, ThingKind::BuildCache]
        } else {
            what.to_vec()
        };
        let disk = match &self.deeds.disk {
            Some(Ok(disk)) => Arc::clone(disk),
            Some(Err(_)) | None => Arc::default(),
        };
        let spare = disk.spare(&kinds, everything, &self.kept());
        let mut steps: Vec<String> = spare.iter().map(|thing| format!("remove {thing}")).collect();
        let amount = Amount::of(spare.iter().copied());
        if spare.iter().any(|thing| thing.kind == ThingKind::Volumes) {
            steps.push("note: volumes hold data, and what is removed cannot be had back".to_owned());
        }
        let title = format!("free {}: {}", size(amount.bytes), counted(spare.iter().copied()));
        let act = |thing: &&Thing| Act {
            subject: Subject::Thing(Arc::new((*thing).clone())),
            name: thing.to_string(),
            service: None,
            deed: Deed::Clear,
        };
        let acts = spare.iter().map(act).collect();
        let kinds: Vec<&str> = kinds.iter().map(|kind| kind.label()).collect();
        let idle = format!(
            "nothing to remove among {}: what is there is used, is of an open project{}",
            kinds.join(", "),
            if everything { "" } else { ", or has a name or a compose project (--everything)" }
        );
        Draft { touched: Vec::new(), title, steps, idle, acts }
    }

    /// What open projects have.
    fn kept(&self) -> Kept {
        let mut kept = Kept::default();
        for spec in self.services.values().filter_map(|service| service.spec.container.as_ref()) {
            kept.projects.push(spec.project.clone());
            kept.images.push(image_name(&spec.tag()));
            let volumes = spec.mounts.iter().filter_map(|mount| match &mount.source {
                MountSource::Volume(key) => Some(spec.volume_name(key)),
                MountSource::Bind(_) | MountSource::Anonymous | MountSource::Tmpfs => None,
            });
            kept.volumes.extend(volumes);
        }
        kept
    }

    /// Does what was drafted; true where the answer comes when it is done.
    pub(super) fn begin_deeds(&mut self, request: &Request, draft: &Draft) -> bool {
        if draft.acts.is_empty() {
            return false;
        }
        let waiting = Waiting {
            by: request.origin,
            left: draft.acts.len(),
            title: draft.title.clone(),
            cleared: Vec::new(),
            notes: Vec::new(),
            errors: Vec::new(),
        };
        self.deeds.waiting.insert(request.id, waiting);
        for act in &draft.acts {
            let run = act.service.as_ref().and_then(|id| self.services.get_mut(id)?.run.as_mut());
            if let (Deed::Pause, Some(run)) = (&act.deed, run) {
                run.pause_wanted = true;
            }
            if let Some(id) = &act.service {
                self.mark(id);
            }
            self.deeds.tickets += 1;
            let ticket = self.deeds.tickets;
            self.effects.push(Effect::Handle { ticket, subject: act.subject.clone(), deed: act.deed.clone() });
            self.deeds.open.insert(ticket, (request.id, act.clone()));
        }
        true
    }

    /// One thing is done, or could not be.
    pub(super) fn handled(&mut self, ticket: u64, result: Result<String, String>) {
        let Some((request, act)) = self.deeds.open.remove(&ticket) else { return };
        let Some(waiting) = self.deeds.waiting.get_mut(&request) else { return };
        waiting.left -= 1;
        let by = waiting.by;
        let is_over = waiting.left == 0;
        let error = result.as_ref().err().cloned();
        match result {
            Ok(note) => {
                if let Subject::Thing(thing) = &act.subject {
                    waiting.cleared.push((**thing).clone());
                } else if !note.is_empty() {
                    waiting.notes.push(note.clone());
                }
            }
            Err(why) => waiting.errors.push(format!("{}: {why}", act.name)),
        }
        if error.is_none() {
            self.foresee_state(&act);
        }
        // Frozen services tell it themselves, and what was cleared is told as a whole.
        let is_told = match (&act.subject, &act.deed) {
            (Subject::Service(_), Deed::Pause | Deed::Unpause) | (Subject::Thing(_), _) => error.is_some(),
            _other => true,
        };
        if is_told {
            let about = act.service.as_ref().map_or(About::Everything, About::Service);
            let what = What::Handled { container: act.name.clone(), deed: act.deed.done(), error };
            self.record(about, by, what, "");
        }
        if is_over {
            self.answer_deeds(request);
        }
    }

    /// What was done to a container shows at once: Docker's own word comes a moment later, and whoever was answered may ask on before.
    fn foresee_state(&mut self, act: &Act) {
        let state = match &act.deed {
            Deed::Pause => "paused",
            Deed::Unpause | Deed::Start | Deed::Restart { .. } => "running",
            Deed::Stop { .. } | Deed::Signal(Signal::Kill) => "exited",
            Deed::Remove { .. } => "removing",
            Deed::Signal(_) | Deed::Pull | Deed::Clear => return,
        };
        let is_it = |container: &ContainerView| match &act.subject {
            Subject::Container(id) => container.id == *id,
            Subject::Service(spec) => container.name == spec.name(),
            Subject::Image(_) | Subject::Thing(_) => false,
        };
        let seen = |container: &Arc<ContainerView>| {
            if is_it(container) {
                Arc::new(ContainerView { state: state.to_owned(), ..(**container).clone() })
            } else {
                Arc::clone(container)
            }
        };
        self.containers = self.containers.iter().map(seen).collect();
        self.changed = true;
    }

    fn answer_deeds(&mut self, request: RequestId) {
        let Some(waiting) = self.deeds.waiting.remove(&request) else { return };
        let Waiting { by, title, cleared, notes, errors, .. } = waiting;
        let mut title = title;
        if !cleared.is_empty() {
            let freed = Amount::of(cleared.iter());
            let container = counted(&cleared);
            title = format!("freed {}: {container}", size(freed.bytes));
            let what = What::Handled { container, deed: Deed::Clear.done(), error: None };
            self.record(About::Everything, by, what, format!("{} are free", size(freed.bytes)));
        }
        let reply = if errors.is_empty() {
            let note = if notes.is_empty() { title } else { format!("{title}: {}", notes.join("; ")) };
            Reply::Accepted { note }
        } else {
            let done = if cleared.is_empty() { String::new() } else { format!(" ({title})") };
            Reply::Refused { reason: format!("{}{done}", errors.join("; ")), hint: None }
        };
        self.effects.push(Effect::Reply { request, reply });
    }

    /// What takes up space was read for the request that comes next.
    pub(super) fn disk_read(&mut self, disk: Result<Arc<DiskUse>, String>) {
        self.deeds.disk = Some(disk);
    }

    /// It is old now.
    pub(super) fn forget_disk(&mut self) {
        self.deeds.disk = None;
    }

    /// The container of a run was frozen, or goes on.
    pub(super) fn run_paused(&mut self, run_id: RunId, is_paused: bool) {
        let now = self.now;
        let Some(id) = self.runs.get(&run_id).cloned() else { return };
        let Some(service) = self.services.get_mut(&id) else { return };
        let Some(run) = service.run.as_mut() else { return };
        let wanted = run.pause_wanted;
        let what = match (run.paused, is_paused) {
            (None, true) => {
                run.paused = Some(now);
                What::Paused
            }
            (Some(since), false) => {
                (run.paused, run.pause_wanted) = (None, false);
                for state in run.probes.values_mut() {
                    state.failures = 0;
                    state.failing_since = None;
                    state.forgiven_until = state.forgiven_until.max(now.plus(heal::EAGER.0));
                }
                What::Resumed { after: now.since(since) }
            }
            (None, false) | (Some(_), true) => return,
        };
        service.view = None;
        self.changed = true;
        self.mark(&id);
        let why = match (is_paused, wanted) {
            (true, true) => "it is neither asked nor healed until it goes on",
            (true, false) => "nobody asked us to: it is healed as what hangs",
            (false, _) => "",
        };
        self.record(About::Run(&id, run_id), Origin::System, what, why);
    }
}

/// Whether its container is frozen; none where it has none that runs.
fn is_paused(service: &Service) -> Option<bool> {
    if !matches!(service.phase, Phase::Running { .. }) {
        return None;
    }
    service.run.as_ref().map(|run| run.paused.is_some())
}

/// What a command does to a container that is no service's; none where it does nothing to one.
const fn deed_of(command: &Command) -> Option<Deed> {
    Some(match command {
        Command::Start { .. } => Deed::Start,
        Command::Stop { grace, .. } => Deed::Stop { grace: *grace },
        Command::Restart { grace, .. } => Deed::Restart { grace: *grace },
        Command::Kill { .. } => Deed::Signal(Signal::Kill),
        Command::Signal { signal, .. } => Deed::Signal(*signal),
        Command::Pause { .. } => Deed::Pause,
        Command::Unpause { .. } => Deed::Unpause,
        Command::Pull { .. } => Deed::Pull,
        Command::Rm { force, volumes, .. } => Deed::Remove { force: *force, volumes: *volumes },
        Command::Recreate { .. }
        | Command::Prune { .. }
        | Command::Rotate { .. }
        | Command::Reload
        | Command::Open { .. }
        | Command::Close { .. }
        | Command::Maintenance { .. }
        | Command::Autopilot { .. }
        | Command::Silence { .. }
        | Command::Unsilence { .. } => return None,
    })
}

/// Whether a deed would change anything about a container as it is.
fn would_change(deed: &Deed, container: &ContainerView) -> bool {
    let is_paused = container.state == "paused";
    match deed {
        Deed::Start => !container.is_up(),
        Deed::Stop { .. } | Deed::Signal(_) => container.is_up(),
        Deed::Pause => container.is_up() && !is_paused,
        Deed::Unpause => is_paused,
        Deed::Restart { .. } | Deed::Pull | Deed::Remove { .. } | Deed::Clear => true,
    }
}

fn draft_loose(verb: Verb, deed: &Deed, containers: &[Arc<ContainerView>]) -> Draft {
    let meant = containers.iter().filter(|container| would_change(deed, container));
    let subject = |container: &ContainerView| {
        if *deed == Deed::Pull {
            Subject::Image(container.image.clone())
        } else {
            Subject::Container(container.id.clone())
        }
    };
    let act = |container: &Arc<ContainerView>| Act {
        subject: subject(container),
        name: container.name.clone(),
        service: None,
        deed: deed.clone(),
    };
    let acts: Vec<Act> = meant.map(act).collect();
    let mut steps: Vec<String> =
        acts.iter().map(|act| format!("{} the container {}", deed.infinitive(), act.name)).collect();
    if let Deed::Remove { volumes: true, .. } = deed {
        steps.push("note: also their volumes that have no name, and the data in them".to_owned());
    }
    let idle = match containers {
        [only] => format!("{} is {}: nothing to {}", only.name, only.state, verb.label()),
        many => format!("nothing to {} among {} containers", verb.label(), many.len()),
    };
    let title = match acts.as_slice() {
        [one] => format!("{} {}", deed.infinitive(), one.name),
        many => format!("{} {} containers", deed.infinitive(), many.len()),
    };
    Draft { touched: Vec::new(), title, steps, idle, acts }
}

/// `2 containers, 1 image`.
fn counted<'a>(things: impl IntoIterator<Item = &'a Thing>) -> String {
    let kinds: Vec<ThingKind> = things.into_iter().map(|thing| thing.kind).collect();
    let count = |kind: ThingKind| {
        let count = kinds.iter().filter(|of| **of == kind).count();
        let plural = if count == 1 || kind == ThingKind::BuildCache { "" } else { "s" };
        match (count, kind) {
            (0, _) => None,
            (_, ThingKind::BuildCache) => Some("the build cache".to_owned()),
            (count, kind) => Some(format!("{count} {}{plural}", kind.one())),
        }
    };
    let parts: Vec<String> = ThingKind::ALL.into_iter().filter_map(count).collect();
    parts.join(", ")
}
