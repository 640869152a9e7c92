//! Messages on their way. One that is not taken is tried again three times, later each time; nothing waits for it.
//!
//! Never: more than [`MOST`] of them at once; an older message about an incident after a newer one by the same route.

use std::{sync::Arc, time::Duration};

use super::incident::earliest;
use crate::{
    engine::{Engine, timeline::About},
    model::{
        alarm::{DESKTOP_CAPACITY, DesktopNotice, Level, NotSent, Notice, NoticeKind},
        effect::Effect,
        ids::ProjectName,
        policy::Origin,
        route::{Destination, Route},
        time::Timestamp,
        timeline::What,
    },
};

/// Messages that may be under way or wait for another try.
const MOST: usize = 256;

/// From one try to the next.
const AGAIN: [Duration; 3] = [Duration::from_secs(10), Duration::from_mins(1), Duration::from_mins(5)];

/// A server that wants a longer pause is not asked again.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// A message on its way.
#[derive(Debug)]
pub(super) struct Letter {
    project: Option<ProjectName>,
    route: Arc<Route>,
    notice: Arc<Notice>,
    tries: usize,
    /// When it is tried again; none while it is under way.
    again: Option<Timestamp>,
}

impl Letter {
    pub(super) const fn due(&self) -> Option<Timestamp> {
        self.again
    }
}

impl Engine {
    /// Sends a message.
    pub(super) fn post(&mut self, project: Option<&ProjectName>, route: &Arc<Route>, mut notice: Notice) {
        self.redactor.notice(&mut notice);
        self.say_on_consoles(route, &notice);
        if let Destination::Desktop(way) = &route.to
            && !way.is_for_session()
        {
            self.went_well(project, &route.name);
            return;
        }
        // What waits for another try is out of date by this one.
        let outdated = |letter: &Letter| {
            letter.again.is_some() && letter.route.name == route.name && letter.notice.group == notice.group
        };
        self.alerts.letters.retain(|_, letter| !outdated(letter));
        if self.alerts.letters.len() >= MOST {
            self.not_sent(project, route, &NotSent::for_good("too many messages are on their way"), None);
            return;
        }
        self.alerts.last_ticket += 1;
        let (ticket, notice) = (self.alerts.last_ticket, Arc::new(notice));
        let letter =
            Letter { project: project.cloned(), route: route.clone(), notice: notice.clone(), tries: 0, again: None };
        self.alerts.letters.insert(ticket, letter);
        self.effects.push(Effect::Notify { ticket, route: route.clone(), notice });
    }

    fn say_on_consoles(&mut self, route: &Route, notice: &Notice) {
        let Destination::Desktop(way) = route.to else { return };
        if !way.is_for_consoles() {
            return;
        }
        self.alerts.last_desktop += 1;
        let body = notice.text.lines().next().unwrap_or_default().to_owned();
        let urgent = notice.severity == Level::Critical && notice.kind != NoticeKind::Resolved;
        let said = DesktopNotice { seq: self.alerts.last_desktop, way, title: notice.title.clone(), body, urgent };
        if self.alerts.desktop.len() == DESKTOP_CAPACITY {
            self.alerts.desktop.pop_front();
        }
        self.alerts.desktop.push_back(said);
        self.changed = true;
    }

    /// What came of a message.
    pub(in crate::engine) fn notified(&mut self, ticket: u64, outcome: Result<(), NotSent>) {
        let Some(letter) = self.alerts.letters.get_mut(&ticket) else { return };
        self.changed = true;
        let (project, route) = (letter.project.clone(), letter.route.clone());
        let Err(error) = outcome else {
            self.alerts.letters.remove(&ticket);
            self.went_well(project.as_ref(), &route.name);
            return;
        };
        let pause = AGAIN.get(letter.tries).map(|pause| (*pause).max(error.retry_after.unwrap_or_default()));
        let pause = pause.filter(|pause| !error.is_final && *pause <= LONGEST_PAUSE);
        letter.tries += 1;
        let is_first = letter.tries == 1;
        match pause {
            Some(pause) => letter.again = Some(self.now.plus(pause)),
            None => {
                self.alerts.letters.remove(&ticket);
            }
        }
        if is_first || pause.is_none() {
            self.not_sent(project.as_ref(), &route, &error, pause);
        }
        self.alerts_changed();
    }

    fn went_well(&mut self, project: Option<&ProjectName>, route: &str) {
        if let Some(project) = project {
            self.alerts.went.insert((project.clone(), route.to_owned()), String::new());
        }
    }

    fn not_sent(&mut self, project: Option<&ProjectName>, route: &Route, error: &NotSent, again: Option<Duration>) {
        let why = self.redactor.text(&error.why).into_owned();
        if let Some(project) = project {
            self.alerts.went.insert((project.clone(), route.name.clone()), why.clone());
        }
        let what = What::NotSent { route: route.name.clone(), error: why, again };
        let about = project.map_or(About::Everything, About::Project);
        self.record(about, Origin::System, what, "");
    }

    /// Sends what is due again; gives when the next is.
    pub(super) fn send_letters_again(&mut self) -> Option<Timestamp> {
        let now = self.now;
        let mut due = None;
        let mut effects = Vec::new();
        for (ticket, letter) in &mut self.alerts.letters {
            if letter.again.is_some_and(|again| now.has_reached(again)) {
                letter.again = None;
                let (route, notice) = (letter.route.clone(), letter.notice.clone());
                effects.push(Effect::Notify { ticket: *ticket, route, notice });
            }
            due = earliest(due, letter.again);
        }
        self.effects.append(&mut effects);
        due
    }
}
