//! Incidents: what belongs together is told together, once by each route, again only where it goes on, and once when it is over.
//!
//! Never: a second message about the same within the throttle, save that it is over, or has become worse.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::SecondsFormat;

use super::Alarm;
use crate::{
    engine::Engine,
    model::{
        alarm::{Level, Notice, NoticeKind},
        alert::AlertLevel,
        ids::{ProjectName, ServiceId},
        route::{AlertPlan, Route},
        time::{Timestamp, short_duration},
    },
};

/// Symptoms that a message names; more are counted.
const NAMED: usize = 10;

/// Lines that a digest has at most.
const DIGEST_LINES: usize = 50;

/// An incident.
#[derive(Debug)]
pub(super) struct Incident {
    pub(super) plan: Arc<AlertPlan>,
    pub(super) project: Option<ProjectName>,
    /// What was told, by route.
    pub(super) told: BTreeMap<String, Told>,
}

/// What a route was told of an incident.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) route: Arc<Route>,
    /// Alarms that were told and have not been over since.
    pub(super) alarms: BTreeMap<String, Level>,
    /// The first words about it.
    pub(super) headline: String,
    /// The loudest of them.
    pub(super) level: Level,
    pub(super) since: Timestamp,
    /// The last message.
    pub(super) at: Timestamp,
    /// That it is over is still to be told.
    pub(super) open: bool,
}

/// What is to be said of one incident now.
struct Scene<'a> {
    group: &'a str,
    /// Those that may be told by themselves, loudest first.
    alarms: Vec<(String, &'a Alarm)>,
    symptoms: Vec<String>,
}

/// Why an alarm may not be told now.
enum Held {
    No,
    /// A clause.
    For(String),
    /// It is gone, and waits for being over.
    Going,
}

impl Engine {
    /// Tells what is to be told. Gives when something of it is due next.
    pub(super) fn tell_incidents(&mut self) -> Option<Timestamp> {
        let mut due = self.send_letters_again();
        self.tell_collected();
        let groups: BTreeSet<String> = self
            .alerts
            .alarms
            .values()
            .filter(|alarm| alarm.fires)
            .map(Alarm::group)
            .chain(self.alerts.incidents.keys().cloned())
            .collect();
        for group in groups {
            due = earliest(due, self.tell_incident(&group));
        }
        for (project, _) in self.alerts.collected.clone() {
            due = earliest(due, self.quiet_end(&project));
        }
        due
    }

    fn tell_incident(&mut self, group: &str) -> Option<Timestamp> {
        let mut incident = self.alerts.incidents.remove(group).or_else(|| self.new_incident(group))?;
        if let Some(plan) = incident.project.as_ref().and_then(|project| self.plan_of(project)) {
            incident.plan = plan;
        }
        let (mut due, mut letters) = (None, Vec::new());
        let mut held: BTreeMap<String, Option<String>> = BTreeMap::new();
        let mut sent: Vec<(String, String)> = Vec::new();
        let mut quieted = Vec::new();
        {
            let mut alarms = Vec::new();
            for (name, alarm) in self.alerts.alarms.iter().filter(|(_, alarm)| alarm.fires && alarm.group() == group) {
                let (why, until) = self.held_back(alarm, &incident.plan, &mut quieted, name);
                due = earliest(due, until);
                match why {
                    Held::No => alarms.push((name.clone(), alarm)),
                    Held::For(why) => {
                        held.insert(name.clone(), Some(why));
                    }
                    Held::Going => {}
                }
            }
            alarms.sort_by_key(|(name, alarm)| (std::cmp::Reverse(alarm.level), name.clone()));
            let scene = Scene { group, symptoms: self.symptoms_of(group), alarms };
            let routes: Vec<Arc<Route>> = incident.plan.routes.clone();
            for route in &routes {
                due = earliest(due, self.tell_route(&mut incident, route, &scene, &mut letters, &mut sent, &mut held));
            }
            for (name, alarm) in &scene.alarms {
                if !incident.plan.routes.iter().any(|route| incident.plan.hears(&route.name, alarm.level)) {
                    held.insert(name.clone(), Some(format!("no route takes what is {}", alarm.level.label())));
                }
            }
            self.close_told(&mut incident, group, &mut letters);
        }
        for name in quieted {
            if let Some(alarm) = self.alerts.alarms.get_mut(&name) {
                alarm.quieted = true;
            }
        }
        for (name, why) in held {
            if let Some(alarm) = self.alerts.alarms.get_mut(&name) {
                alarm.held_back = why;
            }
        }
        if !letters.is_empty()
            && let Some((project, service)) = group.split_once('/')
        {
            let known =
                self.services.keys().find(|id| id.project.as_str() == project && id.service.as_str() == service);
            if let Some(id) = known.cloned() {
                self.mark(&id);
            }
        }
        for (name, route) in sent {
            if let Some(alarm) = self.alerts.alarms.get_mut(&name) {
                alarm.sent.insert(route);
                alarm.held_back = None;
            }
        }
        let project = incident.project.clone();
        let now = self.now;
        let recent = |told: &Told| {
            told.open || !now.has_reached(told.at.plus(told.route.throttle.unwrap_or(incident.plan.throttle)))
        };
        let is_live = self.alerts.alarms.values().any(|alarm| alarm.fires && alarm.group() == group)
            || incident.told.values().any(recent);
        if is_live {
            self.alerts.incidents.insert(group.to_owned(), incident);
        }
        for (route, notice) in letters {
            self.post(project.as_ref(), &route, notice);
        }
        due
    }

    fn new_incident(&self, group: &str) -> Option<Incident> {
        let alarm = self.alerts.alarms.values().find(|alarm| alarm.group() == group)?;
        let project = alarm.project.clone()?;
        Some(Incident { plan: self.plan_of(&project)?, project: Some(project), told: BTreeMap::new() })
    }

    /// Why an alarm is not told by itself now, and from when on it may be.
    fn held_back(
        &self,
        alarm: &Alarm,
        plan: &AlertPlan,
        quieted: &mut Vec<String>,
        name: &str,
    ) -> (Held, Option<Timestamp>) {
        if alarm.gone.is_some() {
            return (Held::Going, None);
        }
        if let Some(root) = &alarm.follows {
            return (Held::For(format!("hidden: follows from {root}")), None);
        }
        if let Some(from) = alarm.free_from().filter(|from| !self.now.has_reached(*from)) {
            return (Held::For("what it followed from is just over".to_owned()), Some(from));
        }
        let service = alarm.service.as_ref().and_then(|id| self.services.get(id));
        if let Some(until) = service.and_then(|service| service.silenced_until(self.now)) {
            let until = Timestamp { mono_us: 0, wall_us: until }.wall();
            return (Held::For(format!("silenced until {}", until.format("%Y-%m-%d %H:%M UTC"))), None);
        }
        if !plan.takes(alarm.level) {
            let why = if plan.level == AlertLevel::Off { "alert_level is off" } else { "alert_level is critical-only" };
            return (Held::For(why.to_owned()), None);
        }
        if alarm.level < Level::Critical
            && let Some(left) = plan.quiet.and_then(|quiet| quiet.left(self.now.wall_us))
        {
            quieted.push(name.to_owned());
            return (Held::For(format!("quiet hours, for {} more", short_duration(left))), Some(self.now.plus(left)));
        }
        (Held::No, None)
    }

    fn symptoms_of(&self, group: &str) -> Vec<String> {
        let of = |alarm: &&Alarm| alarm.follows.is_some() && alarm.group() == group;
        let ids: BTreeSet<&ServiceId> =
            self.alerts.alarms.values().filter(of).filter_map(|alarm| alarm.service.as_ref()).collect();
        ids.into_iter().map(ToString::to_string).collect()
    }

    /// What one route is told of one incident.
    fn tell_route(
        &self,
        incident: &mut Incident,
        route: &Arc<Route>,
        scene: &Scene<'_>,
        letters: &mut Vec<(Arc<Route>, Notice)>,
        sent: &mut Vec<(String, String)>,
        held: &mut BTreeMap<String, Option<String>>,
    ) -> Option<Timestamp> {
        let now = self.now;
        let plan = incident.plan.clone();
        let alarms: Vec<&(String, &Alarm)> =
            scene.alarms.iter().filter(|(_, alarm)| plan.hears(&route.name, alarm.level)).collect();
        let loudest = alarms.first().map(|(_, alarm)| alarm.level)?;
        let told = incident.told.get_mut(&route.name);
        if let Some(told) = told {
            told.route = route.clone();
            told.alarms.retain(|name, _| self.alerts.alarms.get(name).is_some_and(|alarm| alarm.fires));
            let is_news =
                |(name, alarm): &&&(String, &Alarm)| told.alarms.get(name).is_none_or(|level| *level < alarm.level);
            let news = alarms.iter().filter(is_news).count();
            let is_worse = told.open && loudest > told.level;
            let next = told.at.plus(route.throttle.unwrap_or(plan.throttle));
            if news > 0 && !now.has_reached(next) && !is_worse {
                for (name, _) in alarms.iter().filter(|alarm| !told.alarms.contains_key(&alarm.0)) {
                    let why = format!("throttled, for {} more", short_duration(next.since(now)));
                    held.entry(name.clone()).or_insert(Some(why));
                }
                return Some(next);
            }
            if news == 0 {
                let reminder = plan.reminder.filter(|_| told.open && loudest == Level::Critical)?;
                let next = told.at.plus(reminder);
                if !now.has_reached(next) {
                    return Some(next);
                }
                told.at = now;
                letters.push((route.clone(), self.notice(NoticeKind::Reminder, scene, &alarms)));
                return Some(now.plus(reminder));
            }
        }
        letters.push((route.clone(), self.notice(NoticeKind::Firing, scene, &alarms)));
        sent.extend(alarms.iter().map(|(name, _)| (name.clone(), route.name.clone())));
        let headline = alarms.first().map(|(_, alarm)| alarm.headline()).unwrap_or_default();
        let since = alarms.iter().map(|(_, alarm)| alarm.since).min().unwrap_or(now);
        let told = incident.told.entry(route.name.clone()).or_insert_with(|| Told {
            route: route.clone(),
            alarms: BTreeMap::new(),
            headline: headline.clone(),
            level: loudest,
            since,
            at: now,
            open: false,
        });
        if !told.open {
            (told.headline, told.since, told.level) = (headline, since, loudest);
        }
        told.level = told.level.max(loudest);
        told.at = now;
        told.open = true;
        told.alarms.extend(alarms.iter().map(|(name, alarm)| (name.clone(), alarm.level)));
        plan.reminder.filter(|_| loudest == Level::Critical).map(|reminder| now.plus(reminder))
    }

    /// Whoever was told of an incident of which nothing is left hears that it is over; what is but a warning, after quiet hours.
    fn close_told(&self, incident: &mut Incident, group: &str, letters: &mut Vec<(Arc<Route>, Notice)>) {
        let quiet = incident.plan.quiet.and_then(|quiet| quiet.left(self.now.wall_us)).is_some();
        for told in incident.told.values_mut().filter(|told| told.open) {
            told.alarms.retain(|name, _| self.alerts.alarms.get(name).is_some_and(|alarm| alarm.fires));
            if !told.alarms.is_empty() || (quiet && told.level < Level::Critical) {
                continue;
            }
            told.open = false;
            let lasted = short_duration(self.now.since(told.since));
            let mut notice = self.blank(NoticeKind::Resolved, told.level, group, incident.project.as_ref(), told.since);
            notice.title = format!("RESOLVED: {}", told.headline);
            notice.text = format!("{}: it is over, after {lasted}", told.headline);
            letters.push((told.route.clone(), notice));
        }
    }

    fn notice(&self, kind: NoticeKind, scene: &Scene<'_>, alarms: &[&(String, &Alarm)]) -> Notice {
        let Some((_, main)) = alarms.first() else {
            return self.blank(kind, Level::Warning, scene.group, None, self.now);
        };
        let since = alarms.iter().map(|(_, alarm)| alarm.since).min().unwrap_or(self.now);
        let mut notice = self.blank(kind, main.level, scene.group, main.project.as_ref(), since);
        let word = main.level.label().to_ascii_uppercase();
        let headline = main.headline();
        notice.title = match kind {
            NoticeKind::Reminder => format!("STILL {word}: {headline}, for {}", short_duration(self.now.since(since))),
            NoticeKind::Firing | NoticeKind::Resolved | NoticeKind::Digest | NoticeKind::Test => {
                format!("{word}: {headline}")
            }
        };
        let mut lines: Vec<String> =
            alarms.iter().map(|(_, alarm)| format!("{}: {}", alarm.headline(), alarm.text)).collect();
        if !scene.symptoms.is_empty() {
            let named = scene.symptoms.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
            let more = scene.symptoms.len().saturating_sub(NAMED);
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            lines.push(format!("follows from it: {named}{more}"));
        }
        notice.text = lines.join("\n");
        notice.rule = if alarms.len() == 1 { main.rule.label().to_owned() } else { String::new() };
        notice.symptoms.clone_from(&scene.symptoms);
        notice
    }

    fn blank(
        &self,
        kind: NoticeKind,
        severity: Level,
        group: &str,
        project: Option<&ProjectName>,
        since: Timestamp,
    ) -> Notice {
        let wall = |at: Timestamp| at.wall().to_rfc3339_opts(SecondsFormat::Secs, true);
        let service = group.split_once('/').map(|(_, service)| service.to_owned()).unwrap_or_default();
        Notice {
            kind,
            severity,
            group: group.to_owned(),
            title: String::new(),
            text: String::new(),
            project: project.map(ToString::to_string).unwrap_or_default(),
            service,
            rule: String::new(),
            since: wall(since),
            at: wall(self.now),
            symptoms: Vec::new(),
            host: String::new(),
        }
    }

    /// What was kept from people by quiet hours and is over before they are.
    pub(super) fn collect(&mut self, alarm: &Alarm) {
        let Some(project) = alarm.project.as_ref().filter(|_| alarm.quieted && alarm.sent.is_empty()) else { return };
        let after = short_duration(alarm.gone.unwrap_or(self.now).since(alarm.since));
        let lines = self.alerts.collected.entry(project.clone()).or_default();
        if lines.len() < DIGEST_LINES {
            lines.push(format!("{}: {} (over after {after})", alarm.headline(), alarm.text));
        }
    }

    fn quiet_end(&self, project: &ProjectName) -> Option<Timestamp> {
        let left = self.plan_of(project)?.quiet?.left(self.now.wall_us)?;
        Some(self.now.plus(left))
    }

    /// Quiet hours are over: what came and went in them is told in one message.
    fn tell_collected(&mut self) {
        let projects: Vec<ProjectName> = self.alerts.collected.keys().cloned().collect();
        for project in projects {
            if self.quiet_end(&project).is_some() {
                continue;
            }
            let Some(lines) = self.alerts.collected.remove(&project) else { continue };
            let Some(plan) = self.plan_of(&project) else { continue };
            let mut notice = self.blank(NoticeKind::Digest, Level::Warning, project.as_str(), Some(&project), self.now);
            let plural = if lines.len() == 1 { "" } else { "s" };
            notice.title = format!("{project}: {} warning{plural} came and went in quiet hours", lines.len());
            notice.text = lines.join("\n");
            for route in plan.routes.iter().filter(|route| plan.hears(&route.name, Level::Warning)) {
                self.post(Some(&project), route, notice.clone());
            }
        }
    }
}

pub(super) fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).min()
}
