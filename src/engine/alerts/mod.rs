//! Alerts that matter: conditions that last become alarms, alarms become incidents, and incidents are told to people once.
//!
//! Promise: every alarm is evaluated whoever is silenced, held back or a symptom of another; hiding hides and nothing else. Time is virtual: one
//! timer wakes it for whatever is due next.
//!
//! Never: waits for a message; tells a secret; decides anything about a service.

mod conditions;
mod incident;
mod letters;
mod memory;
mod picture;
mod silence;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use crate::model::{
    alarm::{AlarmView, Condition, DesktopNotice, Level, Rule},
    effect::Effect,
    event::TimerKey,
    ids::{Epoch, ProjectName, ServiceId},
    policy::Origin,
    route::AlertPlan,
    text::{plain, truncate},
    time::Timestamp,
    timeline::What,
};

use super::{Engine, Life, graph, timeline::About};
use incident::Incident;
use letters::Letter;

/// Columns of what a condition says; servers may have said it.
const TEXT_COLUMNS: usize = 200;

/// An alarm and how far it has come.
#[derive(Debug)]
struct Alarm {
    service: Option<ServiceId>,
    project: Option<ProjectName>,
    rule: Rule,
    level: Level,
    text: String,
    /// Since when the condition holds.
    since: Timestamp,
    hold: Duration,
    resolve_after: Duration,
    /// It has lasted.
    fires: bool,
    /// Since when the condition is gone.
    gone: Option<Timestamp>,
    /// The service from whose alarm it follows.
    follows: Option<ServiceId>,
    /// Since when it follows from none any more, where it did.
    freed: Option<Timestamp>,
    /// It would have been told but for quiet hours.
    quieted: bool,
    sent: BTreeSet<String>,
    held_back: Option<String>,
}

impl Alarm {
    /// `shop/web is down`.
    fn headline(&self) -> String {
        match &self.service {
            Some(id) => format!("{id} {}", self.rule.clause()),
            None => format!("cas {}", self.rule.clause()),
        }
    }

    /// The incident that it belongs to.
    fn group(&self) -> String {
        match (&self.follows, &self.service) {
            (Some(id), _) | (None, Some(id)) => id.to_string(),
            (None, None) => "cas".to_owned(),
        }
    }

    /// When it changes by itself.
    fn due(&self) -> Option<Timestamp> {
        match (self.gone, self.fires) {
            (Some(gone), _) => Some(gone.plus(self.resolve_after)),
            (None, false) => Some(self.since.plus(self.hold)),
            (None, true) => None,
        }
    }

    /// When it may be told though the alarm that explained it is over.
    fn free_from(&self) -> Option<Timestamp> {
        self.freed.map(|freed| freed.plus(self.hold.max(self.resolve_after)))
    }
}

/// Everything about alerts.
#[derive(Debug, Default)]
pub(super) struct Alerts {
    alarms: BTreeMap<String, Alarm>,
    incidents: BTreeMap<String, Incident>,
    letters: BTreeMap<u64, Letter>,
    last_ticket: u64,
    /// Resolved ones, newest first.
    over: VecDeque<AlarmView>,
    desktop: VecDeque<DesktopNotice>,
    last_desktop: u64,
    /// What came and went in quiet hours, by project.
    collected: BTreeMap<ProjectName, Vec<String>>,
    /// How a route went last, by project and name: what went wrong, or nothing.
    went: BTreeMap<(ProjectName, String), String>,
    /// When the timer is due.
    timer: Option<Timestamp>,
    epoch: Epoch,
    /// The timer has fired, or cas's own troubles or a plan have changed.
    stale: bool,
    /// A plan may have changed: every service is looked at again.
    planned: bool,
}

/// Name of an alarm.
fn name_of(service: Option<&ServiceId>, condition: &Condition) -> String {
    let whose = service.map_or_else(|| "cas".to_owned(), ToString::to_string);
    let key = if condition.key.is_empty() { String::new() } else { format!(":{}", condition.key) };
    format!("{whose}:{}{key}", condition.rule.label())
}

impl Engine {
    /// Alerts are looked at again at the end of this step.
    pub(super) const fn alerts_changed(&mut self) {
        self.alerts.stale = true;
    }

    /// A project was read: rules and routes may be others.
    pub(super) const fn alerts_planned(&mut self) {
        self.alerts.stale = true;
        self.alerts.planned = true;
    }

    /// The timer of alerts.
    pub(super) fn alerts_due(&mut self, epoch: Epoch) {
        if epoch == self.alerts.epoch {
            self.alerts.timer = None;
            self.alerts.stale = true;
        }
    }

    /// Looks at what has changed in this step, and at what is due. To be called before the marks of the step are used up.
    pub(super) fn watch_alarms(&mut self) {
        if self.life != Life::Working || (self.marked.is_empty() && !self.alerts.stale) {
            return;
        }
        let touched: Vec<ServiceId> = if std::mem::take(&mut self.alerts.planned) {
            self.services.keys().cloned().collect()
        } else {
            self.marked.iter().cloned().collect()
        };
        let was = self.alerts.alarms.len();
        for id in &touched {
            self.judge_service(id);
        }
        if std::mem::take(&mut self.alerts.stale) {
            self.judge_itself();
            self.end_silences();
        }
        let nothing = self.alerts.alarms.is_empty()
            && self.alerts.incidents.is_empty()
            && self.alerts.letters.is_empty()
            && self.alerts.collected.is_empty();
        if nothing && was == 0 {
            return self.arm_alerts(None);
        }
        self.changed = true;
        self.drop_orphans();
        self.explain_alarms();
        self.advance_alarms();
        self.explain_alarms();
        let due = self.tell_incidents();
        self.arm_alerts(due);
    }

    fn judge_service(&mut self, id: &ServiceId) {
        let Some(service) = self.services.get(id).filter(|_| !self.is_leaving(&id.project)) else { return };
        let found = conditions::conditions(service);
        let Some(plan) = self.plan_of(&id.project) else { return };
        self.take_conditions(Some(id), Some(&id.project), &plan, found);
    }

    /// cas's own troubles, told to the people of the first open project.
    fn judge_itself(&mut self) {
        let first = self.projects.iter().find(|(_, project)| project.closing.is_none());
        let Some((name, plan)) = first.map(|(name, project)| (name.clone(), project.spec.alerts.clone())) else {
            return;
        };
        let found = self.troubles.iter().map(|(slot, text)| Condition {
            key: format!("{slot:?}").to_ascii_lowercase(),
            ..Condition::of(Rule::Trouble, text.clone())
        });
        let found = found.collect();
        self.take_conditions(None, Some(&name), &plan, found);
    }

    fn plan_of(&self, project: &ProjectName) -> Option<Arc<AlertPlan>> {
        self.projects.get(project).map(|project| project.spec.alerts.clone())
    }

    /// Takes in what is wrong with one service, or with cas, now.
    fn take_conditions(
        &mut self,
        id: Option<&ServiceId>,
        project: Option<&ProjectName>,
        plan: &AlertPlan,
        found: Vec<Condition>,
    ) {
        let now = self.now;
        let mut present = BTreeSet::new();
        for condition in found {
            let applied = plan.applied(condition.rule, id.map(|id| id.service.as_str()), condition.level);
            let Some(level) = applied.level else { continue };
            let name = name_of(id, &condition);
            let said = self.redactor.text(&condition.text).into_owned();
            let text = truncate(&plain(&said.replace('\n', " ")), TEXT_COLUMNS).into_owned();
            let alarm = self.alerts.alarms.entry(name.clone()).or_insert_with(|| Alarm {
                service: id.cloned(),
                project: project.cloned(),
                rule: condition.rule,
                level,
                text: String::new(),
                since: now,
                hold: applied.hold,
                resolve_after: applied.resolve_after,
                fires: false,
                gone: None,
                follows: None,
                freed: None,
                quieted: false,
                sent: BTreeSet::new(),
                held_back: None,
            });
            alarm.level = level;
            alarm.text = text;
            alarm.hold = applied.hold;
            alarm.resolve_after = applied.resolve_after;
            alarm.gone = None;
            alarm.project = project.cloned();
            present.insert(name);
        }
        let own = self.alerts.alarms.iter_mut();
        let own = own.filter(|(name, alarm)| alarm.service.as_ref() == id && !present.contains(*name));
        let mut dropped = Vec::new();
        for (name, alarm) in own {
            if alarm.fires {
                alarm.gone.get_or_insert(now);
            } else {
                dropped.push(name.clone());
            }
        }
        for name in dropped {
            self.alerts.alarms.remove(&name);
        }
    }

    /// Alarms of what is no longer under care are over at once.
    fn drop_orphans(&mut self) {
        let now = self.now;
        let is_here = |id: &ServiceId| self.services.contains_key(id) && !self.is_leaving(&id.project);
        let gone: Vec<String> = self
            .alerts
            .alarms
            .iter()
            .filter(|(_, alarm)| alarm.service.as_ref().is_some_and(|id| !is_here(id)))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            if let Some(alarm) = self.alerts.alarms.get_mut(&name) {
                alarm.gone = Some(now);
                alarm.resolve_after = Duration::ZERO;
            }
        }
        let open: BTreeSet<&ProjectName> = self.projects.keys().collect();
        self.alerts.went.retain(|(project, _), _| open.contains(project));
        self.alerts.collected.retain(|project, _| open.contains(project));
    }

    /// Which alarms follow from those of a service that is depended on, near or far.
    fn explain_alarms(&mut self) {
        let now = self.now;
        let mut loud: BTreeMap<&ServiceId, Level> = BTreeMap::new();
        for alarm in self.alerts.alarms.values().filter(|alarm| alarm.rule.explains()) {
            if let Some(id) = &alarm.service {
                let level = loud.entry(id).or_insert(alarm.level);
                *level = (*level).max(alarm.level);
            }
        }
        let follows: Vec<(String, Option<ServiceId>)> = self
            .alerts
            .alarms
            .iter()
            .map(|(name, alarm)| {
                (name.clone(), alarm.service.as_ref().and_then(|id| self.root_of(id, alarm.level, &loud)))
            })
            .collect();
        for (name, root) in follows {
            let Some(alarm) = self.alerts.alarms.get_mut(&name) else { continue };
            if alarm.follows.is_some() && root.is_none() {
                alarm.freed = Some(now);
            }
            if root.is_some() {
                alarm.freed = None;
            }
            alarm.follows = root;
        }
    }

    /// The service below `id` whose own alarm, at least as loud, explains one of `id`: of several the lowest, the first in the order of starts.
    fn root_of(&self, id: &ServiceId, level: Level, loud: &BTreeMap<&ServiceId, Level>) -> Option<ServiceId> {
        let mut seen = BTreeSet::new();
        let mut stack = vec![id.clone()];
        let mut roots = Vec::new();
        while let Some(next) = stack.pop() {
            if !seen.insert(next.clone()) {
                continue;
            }
            let Some(service) = self.services.get(&next) else { continue };
            if next != *id && loud.get(&next).is_some_and(|own| *own >= level) {
                roots.push((service.rank, next.clone()));
            }
            stack.extend(service.spec.depends_on.keys().map(|name| graph::sibling(&next, name)));
        }
        roots.into_iter().min().map(|(_, id)| id)
    }

    /// What has lasted fires, what was gone long enough is over.
    fn advance_alarms(&mut self) {
        let now = self.now;
        let due: Vec<String> = self
            .alerts
            .alarms
            .iter()
            .filter(|(_, alarm)| alarm.due().is_some_and(|due| now.has_reached(due)))
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            let Some(alarm) = self.alerts.alarms.get_mut(&name) else { continue };
            if alarm.gone.is_some() {
                self.resolve_alarm(&name);
                continue;
            }
            alarm.fires = true;
            let (rule, level, text) = (alarm.rule, alarm.level, alarm.text.clone());
            let why = alarm.follows.as_ref().map(|root| format!("follows from {root}")).unwrap_or_default();
            let service = alarm.service.clone();
            if let Some(id) = &service {
                self.mark(id);
            }
            let about = service.as_ref().map_or(About::Everything, About::Service);
            self.record(about, Origin::System, What::AlarmFired { rule, level, text }, why);
        }
    }

    fn resolve_alarm(&mut self, name: &str) {
        let Some(alarm) = self.alerts.alarms.remove(name) else { return };
        if let Some(id) = alarm.service.as_ref().filter(|id| self.services.contains_key(*id)) {
            self.mark(&id.clone());
        }
        if !alarm.fires {
            return;
        }
        let after = alarm.gone.unwrap_or(self.now).since(alarm.since);
        let is_here = alarm.service.as_ref().is_none_or(|id| self.services.contains_key(id));
        if is_here {
            let about = alarm.service.as_ref().map_or(About::Everything, About::Service);
            self.record(about, Origin::System, What::AlarmResolved { rule: alarm.rule, after }, "");
        }
        self.collect(&alarm);
        self.keep_over(name, &alarm);
    }

    /// Sets the timer to what is due next.
    fn arm_alerts(&mut self, told: Option<Timestamp>) {
        let alarms = self.alerts.alarms.values().filter_map(Alarm::due);
        let letters = self.alerts.letters.values().filter_map(Letter::due);
        let next = alarms.chain(letters).chain(told).chain(self.next_silence_end()).min();
        let Some(at) = next else { return };
        let at = if at.has_reached(self.now) { at } else { self.now };
        if self.alerts.timer.is_some_and(|timer| timer.mono_us == at.mono_us) {
            return;
        }
        self.alerts.timer = Some(at);
        self.alerts.epoch.0 += 1;
        let epoch = self.alerts.epoch;
        self.effects.push(Effect::Timer { at, key: TimerKey::AlertsDue, epoch });
    }
}
