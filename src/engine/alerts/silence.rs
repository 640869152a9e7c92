//! Silences: of a service, until then, by whom and why. They go over to the next engine with the record of their service.
//!
//! Never: keep an alarm from being evaluated or shown.

use std::time::Duration;

use crate::{
    engine::{Engine, door, state::Service, timeline::About},
    model::{
        alarm::Silence,
        ids::ServiceId,
        policy::{Asker, Origin},
        time::Timestamp,
        timeline::What,
    },
};

impl Service {
    /// Until when nobody is told of its alarms, microseconds since the Unix epoch; none where they are told.
    pub(in crate::engine) fn silenced_until(&self, now: Timestamp) -> Option<i64> {
        self.muted.as_ref().map(|silence| silence.until_us).filter(|until| *until > now.wall_us)
    }
}

impl Engine {
    pub(in crate::engine) fn silence(
        &mut self,
        ids: &[ServiceId],
        lasting: Duration,
        because: Option<&str>,
        (by, asker): (Origin, Option<&Asker>),
    ) {
        let until_us = self.now.plus(lasting).wall_us;
        for id in ids {
            let Some(service) = self.services.get_mut(id) else { continue };
            service.muted = Some(Silence { until_us, because: because.unwrap_or_default().to_owned(), by });
            self.mark(id);
            let asked = door::asked_by(asker);
            let why = match (because, asked.is_empty()) {
                (Some(because), true) => because.to_owned(),
                (Some(because), false) => format!("{because}; {asked}"),
                (None, _) => asked,
            };
            self.record(About::Service(id), by, What::Silenced { until_us }, why);
        }
        self.alerts_changed();
    }

    pub(in crate::engine) fn unsilence(&mut self, ids: &[ServiceId], by: Origin, asker: Option<&Asker>) {
        for id in ids {
            let Some(service) = self.services.get_mut(id) else { continue };
            service.muted = None;
            self.mark(id);
            self.record(About::Service(id), by, What::Unsilenced, door::asked_by(asker));
        }
        self.alerts_changed();
    }

    /// Silences whose time is over.
    pub(super) fn end_silences(&mut self) {
        let now = self.now;
        let over = |service: &Service| service.muted.is_some() && service.silenced_until(now).is_none();
        let over: Vec<ServiceId> =
            self.services.iter().filter(|(_, service)| over(service)).map(|(id, _)| id.clone()).collect();
        for id in over {
            if let Some(service) = self.services.get_mut(&id) {
                service.muted = None;
            }
            self.mark(&id);
            self.record(About::Service(&id), Origin::System, What::Unsilenced, "its time is over");
        }
    }

    /// When the next of them ends. Its end is a time of the wall clock; where that is set, whoever wakes then asks again.
    pub(super) fn next_silence_end(&self) -> Option<Timestamp> {
        let until = self.services.values().filter_map(|service| service.silenced_until(self.now)).min()?;
        let left = u64::try_from(until.saturating_sub(self.now.wall_us)).unwrap_or(0);
        Some(self.now.plus(Duration::from_micros(left)))
    }
}
