//! What cas itself says about services, as it may be seen: entries, views, problems, replies.

use std::sync::Arc;

use super::Redactor;
use crate::model::{
    alarm::Notice,
    exam::Checkup,
    phase::{Exit, Health, Hold, Phase, PortHolder},
    policy::{Plan, Reply},
    probe::ProbeOutcome,
    project::Problem,
    snapshot::ServiceView,
    timeline::{Entry, What},
};

impl Redactor {
    /// A message to people.
    pub fn notice(&self, notice: &mut Notice) {
        let Notice {
            kind: _,
            severity: _,
            group: _,
            title,
            text,
            project: _,
            service: _,
            rule: _,
            since: _,
            at: _,
            symptoms: _,
            host: _,
        } = notice;
        self.own(title);
        self.own(text);
    }

    /// An entry of the timeline.
    pub fn entry(&self, entry: &mut Entry) {
        self.own(&mut entry.why);
        match &mut entry.what {
            What::Requested { line, from: _ } => self.own(line),
            What::Unhealthy { probe: _, detail } => self.own(detail),
            What::Exited { exit, after: _, last_words } => {
                self.exit(exit);
                self.lines(last_words);
            }
            What::Hook { hook: _, failed, after: _, output } => {
                if let Some(failed) = failed {
                    self.own(failed);
                }
                self.lines(output);
            }
            What::SpawnFailed { error } => self.own(error),
            What::RestartWithheld { exit } => self.exit(exit),
            What::Held { holds } => self.holds(holds),
            What::Blocked { holders } => self.holders(holders),
            What::ReloadRefused { problems: _, first } => self.own(first),
            What::Trouble { text }
            | What::Found { sentence: text, .. }
            | What::AlarmFired { rule: _, level: _, text } => self.own(text),
            What::NotSent { route: _, error, again: _ } => self.own(error),
            What::RunBegun { command } => self.own(command),
            What::RunEnded { command, error } => {
                self.own(command);
                if let Some(error) = error {
                    self.own(error);
                }
            }
            What::LogRotated { file, bytes: _, error } => {
                self.own(file);
                if let Some(error) = error {
                    self.own(error);
                }
            }
            What::Handled { container: _, deed: _, error } => {
                if let Some(error) = error {
                    self.own(error);
                }
            }
            What::Remedied { remedy } | What::RemedyJudged { remedy, .. } => self.own(remedy),
            What::Escalated { tried } => self.lines(tried),
            What::Maintenance { .. }
            | What::ProjectOpened { .. }
            | What::Started { .. }
            | What::AlarmResolved { .. }
            | What::Silenced { .. }
            | What::Unsilenced
            | What::Ready { .. }
            | What::Recovered { .. }
            | What::Flapping { .. }
            | What::Steady
            | What::Stable { .. }
            | What::Forked { .. }
            | What::RestartScheduled { .. }
            | What::GaveUp { .. }
            | What::Stopping { .. }
            | What::Killed { .. }
            | What::Stopped
            | What::Survivors { .. }
            | What::Signalled { .. }
            | What::Reloaded { .. }
            | What::AutopilotSet { .. }
            | What::Stalled { .. }
            | What::Adopted { .. }
            | What::Suspended { .. }
            | What::Paused
            | What::Resumed { .. }
            | What::Continued { .. }
            | What::Unverifiable { .. }
            | What::ProjectClosed
            | What::Released { .. }
            | What::ShimReplaced
            | What::ScheduleMissed { .. }
            | What::ScheduleSkipped { .. }
            | What::OutputDropped { .. } => {}
        }
    }

    /// A service in a picture; its checkup apart, by [`Self::checkup`].
    pub fn view(&self, view: &mut ServiceView) {
        match &mut view.phase {
            Phase::Waiting { holds, .. } => self.holds(holds),
            Phase::Blocked { holders, .. } => self.holders(holders),
            Phase::BackingOff { exit, .. } | Phase::Exited { exit, .. } | Phase::GaveUp { exit, .. } => self.exit(exit),
            Phase::Stopped { .. } | Phase::Starting { .. } | Phase::Running { .. } | Phase::Stopping { .. } => {}
        }
        match &mut view.health {
            Health::Unhealthy { detail, .. } | Health::Misconfigured { detail, .. } => self.own(detail),
            Health::Unknown | Health::Starting { .. } | Health::Healthy { .. } => {}
        }
        self.own(&mut view.why);
        self.own(&mut view.command);
        if let Some(watch) = &mut view.occasions.watch {
            self.own(watch);
        }
        for probe in &mut view.probes {
            self.own(&mut probe.check);
            match &mut probe.last {
                Some(ProbeOutcome::Failed(detail) | ProbeOutcome::Broken(detail)) => self.own(detail),
                Some(ProbeOutcome::Passed) | None => {}
            }
        }
        if let Some(description) = &mut view.description {
            self.own(description);
        }
    }

    /// What deep looks have found.
    pub fn checkup(&self, checkup: &mut Checkup) {
        for finding in &mut checkup.findings {
            self.own(&mut finding.sentence);
        }
        for failed in checkup.failed.values_mut() {
            self.own(failed);
        }
        for remedy in &mut checkup.remedies {
            self.own(remedy);
        }
    }

    /// What is wrong with a file.
    pub fn problem(&self, problem: &mut Problem) {
        self.own(&mut problem.message);
        if let Some(hint) = &mut problem.hint {
            self.own(hint);
        }
    }

    /// The same of several.
    #[must_use]
    pub fn problems(&self, problems: &[Problem]) -> Arc<[Problem]> {
        let shown = problems.iter().cloned().map(|mut problem| {
            self.problem(&mut problem);
            problem
        });
        shown.collect()
    }

    /// An answer at the door.
    pub fn reply(&self, reply: &mut Reply) {
        match reply {
            Reply::Accepted { note } | Reply::Unchanged { note } => self.own(note),
            Reply::Planned { plan } | Reply::NeedsConsent { plan } => {
                let Plan { title, steps, risk: _, fingerprint: _, revision: _ } = plan;
                self.own(title);
                self.lines(steps);
            }
            Reply::Refused { reason, hint } => {
                self.own(reason);
                if let Some(hint) = hint {
                    self.own(hint);
                }
            }
        }
    }

    /// Lines that follow one another.
    fn lines(&self, lines: &mut [String]) {
        // Together: a private key has many.
        let together = lines.join("\n");
        let shown = self.text(&together);
        if shown.split('\n').count() == lines.len() {
            for (line, shown) in lines.iter_mut().zip(shown.split('\n')) {
                if line.as_str() != shown {
                    shown.clone_into(line);
                }
            }
        } else {
            for line in lines {
                self.own(line);
            }
        }
    }

    fn exit(&self, exit: &mut Exit) {
        match exit {
            Exit::SpawnFailed(why) => self.own(why),
            Exit::Code(_)
            | Exit::Signal(_)
            | Exit::OutOfMemory { .. }
            | Exit::Rebooted
            | Exit::Removed
            | Exit::Unknown => {}
        }
    }

    fn holds(&self, holds: &mut [Hold]) {
        for hold in holds {
            match hold {
                Hold::Dependency { state, .. } => self.own(state),
                Hold::RestartBudget => {}
            }
        }
    }

    fn holders(&self, holders: &mut [PortHolder]) {
        for command in holders.iter_mut().filter_map(|holder| holder.command.as_mut()) {
            self.own(command);
        }
    }
}
