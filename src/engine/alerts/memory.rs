//! Alarms and what was told of them, over a change of engines: nobody is told again of what still goes on, and whoever was told hears that it is over.
//!
//! Never: keeps what has not fired.

use crate::{
    engine::Engine,
    model::{
        ids::{ProjectName, ServiceId},
        record::{AlarmRecord, ServiceState, ToldState},
        time::Timestamp,
    },
};

use super::{
    Alarm,
    incident::{Incident, Told},
};

/// An instant of an earlier engine's, perhaps of another boot: only the wall clock spans that.
fn recalled(at: Timestamp, now: Timestamp) -> Timestamp {
    let ago = u64::try_from(now.wall_us.saturating_sub(at.wall_us)).unwrap_or(0);
    Timestamp { mono_us: now.mono_us.saturating_sub(ago), wall_us: at.wall_us }
}

impl Engine {
    /// What the next engine is to know of the alarms of a service.
    pub(in crate::engine) fn alarms_kept(&self, id: &ServiceId) -> (Vec<AlarmRecord>, Vec<ToldState>) {
        let own = self.alerts.alarms.iter().filter(|(_, alarm)| alarm.fires && alarm.service.as_ref() == Some(id));
        let kept = |(name, alarm): (&String, &Alarm)| AlarmRecord {
            name: name.clone(),
            rule: alarm.rule,
            level: alarm.level,
            text: alarm.text.clone(),
            since: alarm.since,
            sent: alarm.sent.clone(),
        };
        let told = self.alerts.incidents.get(&id.to_string()).map(|incident| incident.told.iter());
        let of = |(route, told): (&String, &Told)| ToldState {
            route: route.clone(),
            alarms: told.alarms.clone(),
            headline: told.headline.clone(),
            level: told.level,
            since: told.since,
            at: told.at,
            open: told.open,
        };
        (own.map(kept).collect(), told.into_iter().flatten().map(of).collect())
    }

    /// Alarms as an earlier engine left them: they fire, until it is seen that nothing is wrong any more.
    pub(in crate::engine) fn recall_alarms(&mut self, id: &ServiceId, known: &ServiceState) {
        let now = self.now;
        let Some(plan) = self.plan_of(&id.project) else { return };
        for AlarmRecord { name, rule, level, text, since, sent } in known.alarms.iter().cloned() {
            let applied = plan.applied(rule, Some(id.service.as_str()), Some(level));
            if applied.level.is_none() {
                continue;
            }
            let alarm = Alarm {
                service: Some(id.clone()),
                project: Some(id.project.clone()),
                rule,
                level,
                text,
                since: recalled(since, now),
                hold: applied.hold,
                resolve_after: applied.resolve_after,
                fires: true,
                gone: None,
                follows: None,
                freed: None,
                quieted: false,
                sent,
                held_back: None,
            };
            self.alerts.alarms.insert(name, alarm);
        }
        if !known.told.is_empty() {
            let incident = self.recalled_incident(&id.project, &known.told);
            self.alerts.incidents.extend(incident.map(|incident| (id.to_string(), incident)));
        }
        self.alerts_planned();
    }

    /// Routes that are no more need not be told anything.
    fn recalled_incident(&self, project: &ProjectName, told: &[ToldState]) -> Option<Incident> {
        let now = self.now;
        let plan = self.plan_of(project)?;
        let of = |state: &ToldState| {
            let route = plan.routes.iter().find(|route| route.name == state.route)?.clone();
            let ToldState { route: name, alarms, headline, level, since, at, open } = state.clone();
            let (since, at) = (recalled(since, now), recalled(at, now));
            Some((name, Told { route, alarms, headline, level, since, at, open }))
        };
        let told = told.iter().filter_map(of).collect();
        Some(Incident { plan, project: Some(project.clone()), told })
    }
}
