//! Alerts as they are seen.
//!
//! Never: a URL, a key, an address.

use super::Alarm;
use crate::{
    engine::Engine,
    model::alarm::{AlarmState, AlarmView, AlertsView, RESOLVED_CAPACITY, RouteView, SilenceView},
};

impl Engine {
    /// Everything about alerts.
    pub(in crate::engine) fn alerts_view(&self) -> AlertsView {
        let alarms = self.alerts.alarms.iter().map(|(name, alarm)| self.alarm_view(name, alarm));
        let silences = self.services.iter().filter_map(|(id, service)| {
            service.silenced_until(self.now)?;
            Some(SilenceView { service: id.clone(), silence: service.muted.clone()? })
        });
        let routes = self.projects.iter().flat_map(|(project, open)| {
            open.spec.alerts.routes.iter().map(|route| RouteView {
                project: project.clone(),
                name: route.name.clone(),
                kind: route.to.kind().to_owned(),
                last: self.alerts.went.get(&(project.clone(), route.name.clone())).cloned(),
            })
        });
        AlertsView {
            alarms: alarms.chain(self.alerts.over.iter().cloned()).collect(),
            silences: silences.collect(),
            routes: routes.collect(),
            desktop: self.alerts.desktop.iter().cloned().collect(),
        }
    }

    fn alarm_view(&self, name: &str, alarm: &Alarm) -> AlarmView {
        let service = alarm.service.as_ref().and_then(|id| self.services.get(id));
        let not_sent = alarm.held_back.clone().filter(|_| alarm.fires && alarm.sent.is_empty());
        AlarmView {
            id: name.to_owned(),
            service: alarm.service.clone(),
            rule: alarm.rule,
            severity: alarm.level,
            state: if alarm.fires { AlarmState::Firing } else { AlarmState::Pending },
            since: alarm.since,
            resolved: None,
            text: format!("{}: {}", alarm.headline(), alarm.text),
            group: alarm.group(),
            follows_from: alarm.follows.clone(),
            silenced_until_us: service.and_then(|service| service.silenced_until(self.now)),
            sent_to: alarm.sent.iter().cloned().collect(),
            not_sent,
        }
    }

    /// Keeps what is over for whoever asks later.
    pub(super) fn keep_over(&mut self, name: &str, alarm: &Alarm) {
        let view = AlarmView {
            state: AlarmState::Resolved,
            resolved: Some(self.now),
            not_sent: alarm.held_back.clone().filter(|_| alarm.sent.is_empty()),
            ..self.alarm_view(name, alarm)
        };
        self.alerts.over.push_front(view);
        self.alerts.over.truncate(RESOLVED_CAPACITY);
    }
}
