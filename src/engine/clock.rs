//! Services that a clock starts: when next, what where it still runs then, and what of times that passed unseen.
//!
//! A time is kept on both clocks. Deadlines are on the boot clock, as all are; where the wall clock is set, the times of cron expressions are reckoned anew.
//!
//! Never: asks what time it is; runs a time twice; starts what a person has stopped.

use std::time::Duration;

use crate::model::{
    effect::Effect,
    event::TimerKey,
    ids::{Epoch, ProjectName, RunId, ServiceId},
    phase::{AfterStop, Exit, Phase},
    policy::Origin,
    record::ClockState,
    schedule::{LATE, OnOverlap, Schedule, lateness},
    time::Timestamp,
    timeline::What,
};

use super::{
    Engine, Life,
    ending::Order,
    fate::is_by_hand,
    graph,
    state::{Manner, Service},
    timeline::About,
};

/// A wall clock that goes off by less was corrected, not set.
const SET_US: u64 = 500_000;

/// The clock of a service.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// By which it was reckoned.
    by: Option<Schedule>,
    /// Somebody stopped it, or it has never begun.
    suspended: bool,
    /// The last time that came, microseconds since the Unix epoch.
    last_us: Option<i64>,
    /// The next time.
    due: Option<Timestamp>,
    /// Of its timer.
    epoch: Epoch,
    /// What an earlier engine had reckoned.
    recalled: Option<ClockState>,
    /// The run for which it was told that a time was left out.
    told: Option<RunId>,
}

impl Clock {
    /// What the next engine must know; none where there is no clock.
    pub(super) fn kept(&self) -> Option<ClockState> {
        let by = self.by.as_ref()?.to_string();
        let due_us = self.due.map(|due| due.wall_us);
        Some(ClockState { by, suspended: self.suspended, last_us: self.last_us, due_us })
    }

    /// What an earlier engine knew.
    pub(super) fn recall(&mut self, known: Option<&ClockState>) {
        self.recalled = known.cloned();
    }
}

impl Service {
    /// When its clock starts it next.
    pub(super) const fn next_at(&self) -> Option<Timestamp> {
        self.clock.due
    }

    /// Whether a clock starts it and nobody has suspended that.
    pub(super) fn is_ticking(&self) -> bool {
        self.spec.occasions.schedule.is_some() && !self.clock.suspended
    }

    /// What would start it though it is down and nobody asks for it: a stop has to be about that, too.
    pub(super) fn is_down_for_now(&self) -> Option<&'static str> {
        let occasions = &self.spec.occasions;
        if self.is_ticking() {
            Some("its schedule says")
        } else if self.ended_by_itself() && occasions.schedule.is_none() && occasions.starts_it() {
            Some("its files do")
        } else {
            None
        }
    }

    /// What its clock adds to why it is down.
    pub(super) fn clock_words(&self) -> Option<String> {
        let schedule = self.spec.occasions.schedule.as_ref()?;
        if let Some(due) = self.clock.due {
            return Some(format!("next at {}", schedule.zone.show(due.wall_us)));
        }
        let words = if self.clock.suspended {
            "its schedule is suspended until it is started"
        } else {
            "its schedule has no further time"
        };
        Some(words.to_owned())
    }

    /// What is said of a run that ended well, where a clock starts the next.
    pub(super) fn clock_done(&self, exit: &Exit) -> Option<String> {
        let schedule = self.spec.occasions.schedule.as_ref().filter(|_| exit.is_success())?;
        let began = self.run.as_ref()?.since;
        Some(format!("done: ran at {}", schedule.zone.show(began.wall_us)))
    }
}

impl Engine {
    /// Clocks of services that are new, changed or gone begin, change or end.
    pub(super) fn set_clocks(&mut self, project: &ProjectName) {
        let own: Vec<ServiceId> = self.services.keys().filter(|id| id.project == *project).cloned().collect();
        for id in own {
            self.set_clock(&id);
        }
    }

    fn set_clock(&mut self, id: &ServiceId) {
        let now = self.now;
        let withheld = self.settings.withheld.contains_key(id);
        let Some(service) = self.services.get_mut(id) else { return };
        let schedule = if service.is_undeclared() { None } else { service.spec.occasions.schedule.clone() };
        if service.clock.by == schedule {
            return;
        }
        let is_new = service.clock.by.is_none();
        service.clock.by.clone_from(&schedule);
        let Some(schedule) = schedule else { return self.halt_clock(id) };
        let recalled = service.clock.recalled.take();
        if is_new {
            service.clock.suspended = match &recalled {
                Some(known) => known.suspended,
                None => withheld || service.withheld || service.spec.occasions.profiles.dormant,
            };
        }
        if let Some(known) = recalled.filter(|known| known.by == schedule.to_string()) {
            service.clock.last_us = known.last_us;
            if let Some(due_us) = known.due_us.filter(|_| !known.suspended) {
                // One that has passed comes with the next step, when all services stand where they are.
                return self.arm_clock(id, at_wall(due_us, now));
            }
        }
        self.reckon(id);
    }

    /// Sets the timer for the next time.
    fn reckon(&mut self, id: &ServiceId) {
        let now = self.now;
        let Some(service) = self.services.get(id) else { return };
        let next = match &service.clock.by {
            Some(schedule) if !service.clock.suspended => schedule.next_after(service.clock.last_us, now.wall_us),
            Some(_) | None => None,
        };
        match next {
            Some(next_us) => self.arm_clock(id, at_wall(next_us, now)),
            None => self.halt_clock(id),
        }
    }

    fn arm_clock(&mut self, id: &ServiceId, due: Timestamp) {
        let Some(service) = self.services.get_mut(id) else { return };
        service.clock.due = Some(due);
        service.clock.epoch.0 += 1;
        let epoch = service.clock.epoch;
        service.view = None;
        self.changed = true;
        self.mark(id);
        self.effects.push(Effect::Timer { at: due, key: TimerKey::ScheduleDue(id.clone()), epoch });
    }

    fn halt_clock(&mut self, id: &ServiceId) {
        let Some(service) = self.services.get_mut(id) else { return };
        service.clock.due = None;
        service.clock.epoch.0 += 1;
        service.view = None;
        self.changed = true;
        self.mark(id);
    }

    /// A person has stopped it: no clock starts it until somebody does.
    pub(super) fn suspend_clock(&mut self, id: &ServiceId) {
        let Some(service) = self.services.get_mut(id) else { return };
        if service.is_ticking() {
            service.clock.suspended = true;
            self.halt_clock(id);
        }
    }

    /// A person has started it: its clock goes on.
    pub(super) fn resume_clock(&mut self, id: &ServiceId) {
        let Some(service) = self.services.get_mut(id) else { return };
        if service.clock.by.is_some() && std::mem::take(&mut service.clock.suspended) {
            service.clock.last_us = None;
            self.reckon(id);
        }
    }

    /// The timer of a clock.
    pub(super) fn clock_fired(&mut self, id: &ServiceId, epoch: Epoch) {
        let now = self.now;
        let Some(service) = self.service(id).filter(|service| service.clock.epoch == epoch) else { return };
        let (Some(due), Some(schedule)) = (service.clock.due, &service.clock.by) else { return };
        if schedule.follows_wall_clock() && now.wall_us < due.wall_us {
            // The wall clock was slowed down meanwhile.
            return self.arm_clock(id, at_wall(due.wall_us, now));
        }
        if now.has_reached(due) {
            let opened = self.projects.get(&id.project).map_or(self.started, |project| project.opened);
            let ran = due.wall_us >= opened.wall_us;
            self.clock_comes(id, if ran { "the machine slept, or cas was stopped" } else { "cas did not run" });
        }
    }

    /// Its time has come, or has passed unseen.
    fn clock_comes(&mut self, id: &ServiceId, asleep: &str) {
        let now = self.now;
        if self.life != Life::Working || self.is_leaving(&id.project) {
            return;
        }
        let Some(service) = self.services.get_mut(id) else { return };
        let (Some(due), Some(schedule)) = (service.clock.due, service.clock.by.clone()) else { return };
        service.clock.last_us = Some(due.wall_us);
        // Of both clocks this one also knows of the time before the machine was started.
        let late = Duration::from_micros(u64::try_from(now.wall_us.saturating_sub(due.wall_us)).unwrap_or(0));
        let when = schedule.zone.show(due.wall_us);
        if late <= LATE {
            let because = format!("started by its schedule ({schedule})");
            self.run_by_clock(id, &schedule, &when, &because);
        } else {
            let what = What::ScheduleMissed { due: when.clone(), made_up: schedule.catch_up };
            let why = format!("{asleep} then, {} ago", lateness(due.wall_us, now.wall_us));
            self.record(About::Service(id), Origin::Config, what, why);
            if schedule.catch_up {
                let because = format!("started by its schedule ({schedule}), to make up for {when}");
                self.run_by_clock(id, &schedule, &when, &because);
            }
        }
        self.reckon(id);
    }

    fn run_by_clock(&mut self, id: &ServiceId, schedule: &Schedule, when: &str, because: &str) {
        let Some(service) = self.service(id) else { return };
        if service.is_at_rest() && service.due.is_none() {
            return self.start_by_clock(id, because);
        }
        let runs = matches!(service.phase, Phase::Running { .. } | Phase::Starting { .. }) && service.due.is_none();
        match (schedule.on_overlap, &service.phase) {
            (OnOverlap::Restart, Phase::BackingOff { .. }) if service.due.is_none() => {
                self.start_by_clock(id, because);
            }
            (OnOverlap::Restart, _) if runs => {
                let order = Order {
                    then: AfterStop::StartAgain,
                    manner: Manner::Ask { grace: None },
                    by: Origin::Config,
                    because: format!("stopped by its schedule ({schedule}), as its time came again"),
                };
                self.order_endings(std::slice::from_ref(id), &order);
            }
            (OnOverlap::Skip | OnOverlap::Restart, phase) => {
                let (run, state) = (service.run.as_ref().map(|run| run.id), phase.label());
                // One entry a run: a clock may tick every second.
                if run.is_some() && service.clock.told == run {
                    return;
                }
                if let Some(service) = self.services.get_mut(id) {
                    service.clock.told = run;
                }
                let what = What::ScheduleSkipped { due: when.to_owned() };
                self.record(About::Service(id), Origin::Config, what, format!("it is still {state}"));
            }
        }
    }

    /// Starts it, and first what it needs and nobody has stopped.
    fn start_by_clock(&mut self, id: &ServiceId, because: &str) {
        for needed in graph::needed_for_start(&self.services, std::slice::from_ref(id)) {
            let Some(service) = self.service(&needed).filter(|service| !service.is_undeclared()) else { continue };
            let kept_down = service.stopped_by.is_some_and(is_by_hand);
            if needed == *id {
                self.order_start(id, Origin::Config, because.to_owned());
            } else if service.is_at_rest() && service.due.is_none() && !kept_down {
                self.order_start(&needed, Origin::Config, "started because another service needs it".to_owned());
            }
        }
    }

    /// Looks whether the wall clock was set, and reckons anew by it.
    pub(super) fn look_at_wall_clock(&mut self) {
        let ahead = ahead_us(self.now);
        if ahead.abs_diff(self.wall_ahead_us) < SET_US {
            return;
        }
        self.wall_ahead_us = ahead;
        let now = self.now;
        let ticking: Vec<(ServiceId, Timestamp)> =
            self.services.iter().filter_map(|(id, service)| Some((id.clone(), service.clock.due?))).collect();
        for (id, due) in ticking {
            let Some(service) = self.services.get_mut(&id) else { continue };
            let by_wall = service.clock.by.as_ref().is_some_and(Schedule::follows_wall_clock);
            if by_wall && now.wall_us >= due.wall_us {
                self.clock_comes(&id, "the clock was set past it");
            } else if by_wall {
                self.reckon(&id);
            } else {
                let left = due.since(now);
                self.arm_clock(&id, now.plus(left));
            }
        }
    }
}

/// How far the wall clock is ahead of the boot clock.
pub(super) fn ahead_us(now: Timestamp) -> i64 {
    now.wall_us.saturating_sub(i64::try_from(now.mono_us).unwrap_or(i64::MAX))
}

/// The instant at which the wall clock shows `wall_us`, if nobody sets it.
fn at_wall(wall_us: i64, now: Timestamp) -> Timestamp {
    let from_now = wall_us.saturating_sub(now.wall_us);
    Timestamp { mono_us: now.mono_us.saturating_add_signed(from_now), wall_us }
}
