//! What is done about a service that is not well: a ladder of remedies, each with its conditions, each verified after it acted.
//!
//! The graph is asked first: while something that a service depends on is not well, that is healed and the service is left as it is. What did not help
//! twice is not done again, and when nothing is left a person is called. Nothing is done while it flaps, while a person works on it, with the autopilot off,
//! and to what answers late because the whole machine does.
//!
//! Never: two remedies for one service at once; a remedy that has no verdict; the same thing a third time after it failed twice.

use std::{collections::BTreeMap, time::Duration};

use crate::model::{
    deed::Remake,
    effect::{Effect, Work},
    event::{TimerKey, TroubleSlot},
    exam::Remedy,
    ids::{Epoch, RunId, ServiceId},
    phase::{AfterStop, Health, Phase, PortHolder},
    policy::{Autopilot, Origin},
    probe::ProbeKind,
    record::MaintenanceState,
    time::{Timestamp, short_duration},
    timeline::What,
};

use super::{
    Engine,
    ending::Order,
    graph,
    state::{Manner, Service, Standing},
    timeline::About,
};

/// After so many failed verifications a remedy is not tried on a service again.
const FAILED_FOR_GOOD: u32 = 2;
/// How soon after a dependency came back those who need it are asked again, and in which rhythm.
pub(super) const EAGER: (Duration, Duration) = (Duration::from_secs(15), Duration::from_millis(500));
/// Remedies that disrupt, in an hour, of all services together.
const DISRUPTIONS: usize = 3;
/// So many that answer late at once, and half of all that are asked, are no fault of theirs.
const LATE_AT_ONCE: usize = 3;
/// Share of time in which something waited for a processor, percent over ten seconds; of all that would run, for memory and disk.
const STARVED: (f32, f32, f32) = (60.0, 10.0, 40.0);

/// How far healing a service has come.
#[derive(Debug, Default)]
pub(super) struct Ladder {
    /// The next rung.
    rung: usize,
    /// What was done last and is not judged yet.
    trial: Option<Trial>,
    /// The end of a wait.
    waits_until: Option<Timestamp>,
    /// Failed verifications of each remedy, by its name.
    failed: BTreeMap<&'static str, u32>,
    /// What was tried since it was last well, in words.
    tried: Vec<String>,
    /// What would be next, and is done only where a person wants it.
    offered: Vec<&'static str>,
    /// There is nothing more to be tried.
    escalated: bool,
    /// Whoever depends on it is restarted once it is well.
    dependents_follow: bool,
}

#[derive(Debug, Clone)]
struct Trial {
    label: &'static str,
    words: String,
    since: Timestamp,
    /// A command or a clean-up is under way.
    works: bool,
}

/// A person works on a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Maintenance {
    /// When it ends; none: when somebody says so.
    pub(super) until: Option<Timestamp>,
    pub(super) by: Origin,
    /// It would have been restarted meanwhile.
    pub(super) missed: bool,
}

impl Maintenance {
    /// As it goes on after a change of engines, also over a restart of the machine.
    pub(super) fn recalled(kept: MaintenanceState, now: Timestamp) -> Self {
        let MaintenanceState { until, by, missed } = kept;
        let until = until.map(|until| {
            let left = u64::try_from(until.wall_us.saturating_sub(now.wall_us)).unwrap_or(0);
            now.plus(Duration::from_micros(left))
        });
        Self { until, by, missed }
    }

    /// The timer of its end.
    pub(super) fn timer(self, id: &ServiceId) -> Option<Effect> {
        let key = TimerKey::MaintenanceOver(id.clone());
        Some(Effect::Timer { at: self.until?, key, epoch: Epoch::default() })
    }
}

impl Ladder {
    /// What it has come to, as a clause; empty where nothing is under way.
    pub(super) fn said(&self) -> Option<String> {
        if self.escalated {
            let offered = match self.offered.as_slice() {
                [] => String::new(),
                some => format!("; left to you: {}", some.join(", ")),
            };
            return Some(format!("the healer knows nothing more; tried: {}{offered}", self.tried.join(", ")));
        }
        self.trial.as_ref().map(|trial| format!("being watched after: {}", trial.words))
    }

    /// A person has taken over: everything may be tried again.
    pub(super) fn begin_anew(&mut self) {
        *self = Self::default();
    }

    pub(super) const fn is_escalated(&self) -> bool {
        self.escalated
    }
}

impl Engine {
    /// Whether the healer may do anything about a service.
    pub(super) fn may_heal(&self, id: &ServiceId) -> bool {
        self.autopilot != Autopilot::Off && self.service(id).is_some_and(|service| service.maintenance.is_none())
    }

    /// A probe of a service has failed for good: the next remedy.
    pub(super) fn heal(&mut self, id: &ServiceId, kind: ProbeKind) {
        let now = self.now;
        let Some(service) = self.services.get_mut(id) else { return };
        let Phase::Running { run, .. } = service.phase else { return };
        let ladder = &mut service.ladder;
        if ladder.escalated || ladder.trial.as_ref().is_some_and(|trial| trial.works) {
            return;
        }
        if let Some(until) = ladder.waits_until {
            if !now.has_reached(until) {
                return;
            }
            ladder.waits_until = None;
            ladder.rung += 1;
        }
        if let Some(trial) = ladder.trial.take() {
            let failed = ladder.failed.entry(trial.label).or_default();
            *failed += 1;
            let repeats = *failed < FAILED_FOR_GOOD && is_repeated(trial.label);
            if !repeats {
                ladder.rung += 1;
            }
            let what = What::RemedyJudged { remedy: trial.words, worked: false, after: now.since(trial.since) };
            self.record(About::Run(id, run), Origin::Healer, what, "it is still not well");
        }
        self.climb(id, run, kind);
    }

    /// Does what stands on the next rung that may be done.
    fn climb(&mut self, id: &ServiceId, run: RunId, kind: ProbeKind) {
        let now = self.now;
        loop {
            let may_disrupt = self.may_disrupt(id);
            let Some(service) = self.services.get_mut(id) else { return };
            let are_declared = service.spec.nature.as_ref().is_some_and(|nature| nature.are_declared);
            let rungs: &[Remedy] = match &service.spec.nature {
                Some(nature) if !nature.remedies.is_empty() => &nature.remedies,
                Some(_) | None => &[Remedy::Restart],
            };
            let Some(remedy) = rungs.get(service.ladder.rung).cloned() else { return self.escalate(id, run) };
            let is_spent = service.ladder.failed.get(remedy.label()).is_some_and(|failed| *failed >= FAILED_FOR_GOOD);
            if is_spent {
                service.ladder.rung += 1;
                continue;
            }
            if remedy.is_disruptive() && !(are_declared && may_disrupt) {
                service.ladder.offered.push(remedy.label());
                service.ladder.rung += 1;
                continue;
            }
            if let Remedy::Wait { time } = remedy {
                let until = now.plus(time);
                service.ladder.waits_until = Some(until);
                service.view = None;
                self.changed = true;
                return self.arm(id, until, TimerKey::HealAgain(id.clone(), kind));
            }
            return self.remedy(id, run, kind, &remedy);
        }
    }

    fn remedy(&mut self, id: &ServiceId, run: RunId, kind: ProbeKind, remedy: &Remedy) {
        let now = self.now;
        if remedy.is_disruptive() {
            self.disrupted.push_back((now, id.clone()));
        }
        let words = words(remedy);
        let works = matches!(remedy, Remedy::Run { .. } | Remedy::Clean { .. });
        let Some(service) = self.services.get_mut(id) else { return };
        let trial = Trial { label: remedy.label(), words: words.clone(), since: now, works };
        service.ladder.trial = Some(trial);
        service.ladder.tried.push(words.clone());
        service.ladder.dependents_follow = matches!(remedy, Remedy::RestartWithDependents);
        service.view = None;
        self.changed = true;
        // It needs as many failures again until that is judged.
        if let Some(own) = service.run.as_mut() {
            own.probes.values_mut().for_each(|state| state.failures = 0);
        }
        let detail = match &service.health {
            Health::Unhealthy { detail, .. } => detail.clone(),
            Health::Unknown | Health::Starting { .. } | Health::Healthy { .. } | Health::Misconfigured { .. } => {
                String::new()
            }
        };
        match remedy {
            Remedy::Wait { .. } => return,
            Remedy::Reload { signal } => self.effects.push(Effect::Signal { run, signal: *signal }),
            Remedy::Run { command } => {
                self.effects.push(Effect::Remedy { run, work: Work::Run(command.clone()) });
            }
            Remedy::Clean { paths } => self.effects.push(Effect::Remedy { run, work: Work::Clean(paths.clone()) }),
            Remedy::Restart | Remedy::RestartWithDependents | Remedy::Recreate => {
                if let (Remedy::Recreate, Some(service)) = (remedy, self.services.get_mut(id)) {
                    service.remake = Remake::Container;
                }
                // The entries of the end and of the start tell it.
                return self.end_for_probe(id, kind);
            }
        }
        self.record(About::Run(id, run), Origin::Healer, What::Remedied { remedy: words }, detail);
    }

    /// A command or a clean-up is over.
    pub(super) fn remedy_done(&mut self, run: RunId, error: Option<String>, note: &str) {
        let now = self.now;
        let Some(id) = self.runs.get(&run).cloned() else { return };
        let Some(service) = self.services.get_mut(&id) else { return };
        let Some(trial) = service.ladder.trial.as_mut().filter(|trial| trial.works) else { return };
        trial.works = false;
        if let Some(own) = service.run.as_mut() {
            own.probes.values_mut().for_each(|state| state.failures = 0);
        }
        let words = trial.words.clone();
        match error {
            None if note.is_empty() => {}
            None => {
                let remedy = format!("{words}: {note}");
                self.record(About::Run(&id, run), Origin::Healer, What::Remedied { remedy }, "");
            }
            Some(error) => {
                // It could not be done: its verdict is known.
                if let Some(service) = self.services.get_mut(&id) {
                    let since = service.ladder.trial.take().map_or(now, |trial| trial.since);
                    service.ladder.rung += 1;
                    let what = What::RemedyJudged { remedy: words, worked: false, after: now.since(since) };
                    self.record(About::Run(&id, run), Origin::Healer, what, error);
                }
            }
        }
    }

    /// The end of a wait, or of whatever else stood between.
    pub(super) fn heal_again(&mut self, id: &ServiceId, kind: ProbeKind) {
        let is_ill = self
            .service(id)
            .and_then(|service| service.run.as_ref())
            .and_then(|run| run.probes.get(&kind))
            .is_some_and(|state| state.standing == Standing::Ill && state.failures >= state.probe.retries.max(1));
        if is_ill {
            self.act_on(id, kind);
        }
    }

    /// Whether a remedy that disrupts may be done to a service now: once an hour, and three times an hour in all.
    fn may_disrupt(&mut self, id: &ServiceId) -> bool {
        let now = self.now;
        self.disrupted.retain(|(at, _)| now.since(*at) < Duration::from_hours(1));
        self.disrupted.len() < DISRUPTIONS && !self.disrupted.iter().any(|(_, other)| other == id)
    }

    fn escalate(&mut self, id: &ServiceId, run: RunId) {
        let Some(service) = self.services.get_mut(id) else { return };
        service.ladder.escalated = true;
        service.view = None;
        self.changed = true;
        let tried = service.ladder.tried.clone();
        let offered: Vec<String> =
            service.ladder.offered.iter().map(|label| offer(label, id.service.as_str())).collect();
        self.mark(id);
        let why = if offered.is_empty() {
            "it is left running as it is; find the cause, then restart it, and the healer begins anew".to_owned()
        } else {
            format!("it is left running as it is; what may help disrupts and is left to you: {}", offered.join(", "))
        };
        self.record(About::Run(id, run), Origin::Healer, What::Escalated { tried }, why);
    }

    /// It is well: what was done is judged when it has held.
    pub(super) fn begin_verdict(&mut self, id: &ServiceId) {
        let Some(service) = self.services.get_mut(id) else { return };
        service.ladder.waits_until = None;
        if std::mem::take(&mut service.ladder.dependents_follow) {
            self.restart_dependents(id);
        }
        let Some(service) = self.service(id) else { return };
        if service.ladder.trial.is_some() || service.ladder.escalated {
            let at = self.now.plus(service.effective_spec().backoff.stable);
            self.arm(id, at, TimerKey::VerdictDue(id.clone()));
        }
    }

    /// It has been well for as long as is asked of it.
    pub(super) fn verdict_due(&mut self, id: &ServiceId) {
        let now = self.now;
        let Some(service) = self.services.get_mut(id) else { return };
        let Health::Healthy { since } = service.health else { return };
        if now.since(since) < service.effective_spec().backoff.stable {
            return;
        }
        let Some(run) = service.run.as_ref().map(|run| run.id) else { return };
        let ladder = &mut service.ladder;
        let trial = ladder.trial.take();
        let failed = std::mem::take(&mut ladder.failed);
        *ladder = Ladder { failed, ..Ladder::default() };
        service.view = None;
        self.changed = true;
        if let Some(trial) = trial {
            if let Some(service) = self.services.get_mut(id) {
                service.ladder.failed.remove(trial.label);
            }
            let what = What::RemedyJudged { remedy: trial.words, worked: true, after: now.since(trial.since) };
            self.record(About::Run(id, run), Origin::Healer, what, "");
        }
    }

    fn restart_dependents(&mut self, id: &ServiceId) {
        let all = graph::with_dependents(&self.services, std::slice::from_ref(id), |dependent, _| {
            matches!(dependent.phase, Phase::Running { .. })
        });
        let followers: Vec<ServiceId> = graph::in_order(&self.services, all.into_iter().filter(|other| other != id));
        let order = Order {
            then: AfterStop::StartAgain,
            manner: Manner::Ask { grace: None },
            by: Origin::Healer,
            because: format!("stopped because {} had to be restarted", id.service),
        };
        self.order_endings(&followers, &order);
    }

    /// A service is well again: whoever needs it is asked at once, and given some time before its failures count.
    pub(super) fn wake_dependents(&mut self, id: &ServiceId) {
        let now = self.now;
        let all = graph::with_dependents(&self.services, std::slice::from_ref(id), |dependent, _| {
            matches!(dependent.phase, Phase::Running { .. })
        });
        for other in all.into_iter().filter(|other| other != id) {
            let Some(run) = self.services.get_mut(&other).and_then(|service| service.run.as_mut()) else { continue };
            let mut due = Vec::new();
            for (kind, state) in &mut run.probes {
                if state.standing == Standing::Well || state.watches_log() {
                    continue;
                }
                state.eager_until = Some(now.plus(EAGER.0));
                state.forgiven_until = state.forgiven_until.max(now.plus(EAGER.0));
                state.failures = 0;
                due.push(*kind);
            }
            for kind in due {
                let most = u64::try_from(EAGER.1.as_micros()).unwrap_or(u64::MAX);
                let wait = Duration::from_micros(self.rng.u64(0..=most));
                self.ask_soon(&other, kind, now.plus(wait));
            }
        }
    }

    /// Whether what runs has to wait for the machine most of the time.
    pub(super) fn is_starved(&self) -> bool {
        self.host.usage.and_then(|usage| usage.pressure).is_some_and(|pressure| {
            pressure.cpu_some_percent >= STARVED.0
                || pressure.memory_full_percent >= STARVED.1
                || pressure.io_full_percent >= STARVED.2
        })
    }

    /// Whether so many answer late at once, on a machine that has too much to do, that none of them is to blame.
    pub(super) fn is_browned_out(&mut self) -> bool {
        let Some(pressure) = self.host.usage.and_then(|usage| usage.pressure) else { return false };
        let starved = self.is_starved();
        let (mut asked, mut late) = (0, 0);
        for service in self.services.values() {
            let Some(run) = service.run.as_ref() else { continue };
            asked += usize::from(!run.probes.is_empty());
            let is_late = run.probes.values().any(|state| state.failures > 0 && state.took >= state.probe.timeout);
            late += usize::from(is_late);
        }
        let is_so = starved && late >= LATE_AT_ONCE && late * 2 >= asked;
        let told = self.troubles.contains_key(&TroubleSlot::Machine);
        if is_so && !told {
            let text = format!(
                "the machine has too much to do (processor {:.0} %, memory {:.0} %, disk {:.0} % of the time waited for): {late} of {asked} services answer late and are left running",
                pressure.cpu_some_percent, pressure.memory_full_percent, pressure.io_full_percent
            );
            self.trouble(TroubleSlot::Machine, Some(text));
        }
        is_so
    }

    /// The machine breathes again.
    pub(super) fn look_at_pressure(&mut self) {
        if self.troubles.contains_key(&TroubleSlot::Machine) && !self.is_browned_out() {
            self.trouble(TroubleSlot::Machine, None);
        }
    }

    /// A port is held by what an earlier run of the same service has left: that goes.
    pub(super) fn free_own_ports(&mut self, id: &ServiceId, holders: &[PortHolder]) {
        let is_own = |holder: &PortHolder| holder.pid.is_some() && holder.service.as_ref() == Some(id);
        if holders.is_empty() || !holders.iter().all(is_own) || !self.may_heal(id) {
            return;
        }
        for holder in holders {
            let Some(pid) = holder.pid else { continue };
            self.effects.push(Effect::EndOrphan { service: id.clone(), pid });
            let remedy = format!("port {} is freed of pid {pid}, which an earlier run has left", holder.port);
            self.record(
                About::Service(id),
                Origin::Healer,
                What::Remedied { remedy },
                "it is a process of the service itself",
            );
        }
    }

    /// A person begins to work on services, for so long.
    pub(super) fn begin_maintenance(&mut self, ids: &[ServiceId], lasts: Option<Duration>, by: Origin) {
        let until = lasts.map(|lasts| self.now.plus(lasts));
        for id in ids {
            let Some(service) = self.services.get_mut(id) else { continue };
            let missed = service.maintenance.is_some_and(|before| before.missed);
            service.maintenance = Some(Maintenance { until, by, missed });
            service.view = None;
            self.changed = true;
            self.mark(id);
            self.effects.extend(Maintenance { until, by, missed }.timer(id));
            self.record(
                About::Service(id),
                by,
                What::Maintenance { on: true, lasts },
                "nothing of it is healed, and nobody is alarmed",
            );
        }
    }

    /// Its time is over.
    pub(super) fn maintenance_over(&mut self, id: &ServiceId) {
        let now = self.now;
        let is_over = self
            .service(id)
            .and_then(|service| service.maintenance)
            .is_some_and(|maintenance| maintenance.until.is_some_and(|until| now.has_reached(until)));
        if is_over {
            self.end_maintenance(std::slice::from_ref(id), Origin::System);
        }
    }

    /// The healer looks after services again; what it would have restarted meanwhile is started.
    pub(super) fn end_maintenance(&mut self, ids: &[ServiceId], by: Origin) {
        for id in ids {
            let Some(service) = self.services.get_mut(id) else { continue };
            let Some(Maintenance { missed, .. }) = service.maintenance.take() else { continue };
            service.ladder.begin_anew();
            service.view = None;
            self.changed = true;
            self.mark(id);
            self.record(About::Service(id), by, What::Maintenance { on: false, lasts: None }, "");
            if missed && self.may_heal(id) && self.service(id).is_some_and(Service::is_at_rest) {
                self.order_start(id, Origin::Healer, "started as its maintenance is over".to_owned());
            }
        }
    }
}

/// What a person types for a remedy that is left to them.
fn offer(label: &str, service: &str) -> String {
    match label {
        "restart-with-dependents" => format!("restart {service} --with-dependents"),
        other => format!("{other} {service}"),
    }
}

/// Whether it can be done again to a service that it did not help.
fn is_repeated(label: &str) -> bool {
    matches!(label, "restart" | "restart-with-dependents" | "recreate")
}

/// As the timeline has it.
fn words(remedy: &Remedy) -> String {
    match remedy {
        Remedy::Wait { time } => format!("wait {}", short_duration(*time)),
        Remedy::Reload { signal } => format!("{signal}, to read its configuration again"),
        Remedy::Run { command } => format!("run {}", command.display()),
        Remedy::Clean { paths } => {
            let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
            format!("clean {}", paths.join(", "))
        }
        Remedy::Restart => "restart".to_owned(),
        Remedy::RestartWithDependents => "restart with dependents".to_owned(),
        Remedy::Recreate => "recreate".to_owned(),
    }
}
