//! The one door: who asks for what, may they, what would it do, did they agree; then it is done and written down.
//!
//! Never: a change that somebody asked for and that does not stand on the timeline.

use std::collections::BTreeSet;

use crate::model::{
    command::{Command, Switch},
    deed::Remake,
    effect::Effect,
    ids::ServiceId,
    phase::AfterStop,
    policy::{Asker, Autopilot, Consent, Origin, Reply, Request, Verdict, verdict},
    record::Choice,
    timeline::What,
};

use super::{
    Engine, Life, deeds::Meant, ending::Order, names::Unresolved, plan::Draft, state::Manner, timeline::About,
};

impl Engine {
    /// Answers a request, and does it where it may be done.
    pub(super) fn knock(&mut self, request: &Request) {
        let request = &Request { command: request.command.clone().settled(), ..request.clone() };
        if let Some(reply) = self.answer(request) {
            self.effects.push(Effect::Reply { request: request.id, reply });
        }
        if request.command == Command::Reload {
            // Read for this plan; the next one is made from what the files say then.
            self.read.clear();
        }
        if let Command::Prune { .. } = request.command {
            self.forget_disk();
        }
    }

    /// The answer; none where it comes later.
    fn answer(&mut self, request: &Request) -> Option<Reply> {
        let Request { origin, command, consent, .. } = request;
        if self.life == Life::Released {
            return Some(Reply::Refused {
                reason: "cas is ending; services run on".to_owned(),
                hint: Some("start cas again: it takes them over".to_owned()),
            });
        }
        if self.life != Life::Working && starts_something(command) {
            return Some(Reply::Refused {
                reason: "cas is ending and stops everything".to_owned(),
                hint: Some("start cas again".to_owned()),
            });
        }
        let meant = match command.targets().map(|targets| self.meant(command, targets)) {
            None => Meant::default(),
            Some(Ok(meant)) => meant,
            Some(Err(Unresolved { reason, hint })) => return Some(Reply::Refused { reason, hint }),
        };
        let objection = self.objection(command, &meant.services).or_else(|| self.objection_to_deed(command, &meant));
        if let Some(Unresolved { reason, hint }) = objection {
            return Some(Reply::Refused { reason, hint });
        }
        let draft = self.draft(command, &meant);
        let targets = meant.services;
        let news = match self.news_for(request, &targets, &draft) {
            Ok(news) => news,
            Err(Unresolved { reason, hint }) => return Some(Reply::Refused { reason, hint }),
        };
        if draft.steps.is_empty() {
            return Some(Reply::Unchanged { note: draft.idle });
        }
        let risk = command.risk(draft.touched.len().max(draft.acts.len()));
        let mut plan = draft.plan(self, command, risk);
        plan.revision = self.newest_of(targets.iter().chain(&draft.touched));
        let what = || What::Requested { line: command.to_line(), from: request.asker.clone() };
        Some(match (consent, verdict(*origin, risk)) {
            (_, Verdict::Deny(why)) => {
                self.record(About::Everything, *origin, what(), format!("refused: {why}"));
                Reply::Refused { reason: why.to_owned(), hint: None }
            }
            (Consent::Given(_), Verdict::Allow | Verdict::Confirm) if !news.is_empty() => {
                plan.steps.splice(0..0, news);
                Reply::NeedsConsent { plan }
            }
            (Consent::DryRun, Verdict::Allow | Verdict::Confirm) => Reply::Planned { plan },
            (Consent::Ask, Verdict::Confirm) => Reply::NeedsConsent { plan },
            (Consent::Given(seen), Verdict::Allow | Verdict::Confirm) if *seen != plan.fingerprint => {
                Reply::NeedsConsent { plan }
            }
            (Consent::Ask, Verdict::Allow) | (Consent::Given(_), Verdict::Allow | Verdict::Confirm) => {
                let about = if let [one] = draft.touched.as_slice() { About::Service(one) } else { About::Everything };
                self.record(about, *origin, what(), draft.title.clone());
                if let Command::Open { directory, environment, starts } = command {
                    self.ask_open(directory, environment.as_ref(), *starts, request.id);
                    return None;
                }
                self.carry_out(request, &targets, &draft);
                if self.begin_deeds(request, &draft) {
                    return None;
                }
                Reply::Accepted { note: draft.title }
            }
        })
    }

    /// What has changed since the revision that a request is about: for one that was agreed to, to be asked again with; an objection to any other.
    fn news_for(&self, request: &Request, targets: &[ServiceId], draft: &Draft) -> Result<Vec<String>, Unresolved> {
        let Some(seen) = request.if_rev else { return Ok(Vec::new()) };
        let named = match &request.command {
            Command::Close { .. } => &draft.touched,
            Command::Reload | Command::Open { .. } | Command::Autopilot { .. } | Command::Prune { .. } => {
                let reason =
                    format!("{} is not about a service, so it takes no revision", request.command.verb().label());
                return Err(Unresolved { reason, hint: Some("ask without one".to_owned()) });
            }
            Command::Start { .. }
            | Command::Stop { .. }
            | Command::Restart { .. }
            | Command::Kill { .. }
            | Command::Maintenance { .. }
            | Command::Silence { .. }
            | Command::Unsilence { .. }
            | Command::Pause { .. }
            | Command::Unpause { .. }
            | Command::Recreate { .. }
            | Command::Pull { .. }
            | Command::Rm { .. }
            | Command::Rotate { .. }
            | Command::Signal { .. } => targets,
        };
        let agreed = matches!(request.consent, Consent::Given(_));
        let news = self.outdated(seen, named, draft, agreed)?;
        if agreed || news.is_empty() {
            return Ok(news);
        }
        let hint = "look again, and ask with the revision that you see then, or without one".to_owned();
        Err(Unresolved { reason: news.join("; "), hint: Some(hint) })
    }

    fn carry_out(&mut self, request: &Request, targets: &[ServiceId], draft: &Draft) {
        let Request { command, origin: by, asker, .. } = request;
        let by = *by;
        let whom = asker.as_ref().map_or_else(|| by.label().to_owned(), |asker| format!("{} ({asker})", by.label()));
        let order = |then, manner, word: &str| Order { then, manner, by, because: format!("{word} by {whom}") };
        match command {
            Command::Start { .. } => {
                draft.touched.iter().for_each(|id| self.resume_clock(id));
                let asked: BTreeSet<&ServiceId> = targets.iter().collect();
                for id in &draft.touched {
                    let because = if asked.contains(id) {
                        format!("started by {whom}")
                    } else {
                        format!("started by {whom}, as others need it")
                    };
                    self.order_start(id, by, because);
                }
            }
            Command::Stop { grace, .. } => {
                let order = order(AfterStop::StayStopped, Manner::Ask { grace: *grace }, "stopped");
                draft.touched.iter().for_each(|id| self.suspend_clock(id));
                self.order_endings(&draft.touched, &order);
            }
            Command::Restart { grace, .. } => {
                draft.touched.iter().for_each(|id| self.resume_clock(id));
                let order = order(AfterStop::StartAgain, Manner::Ask { grace: *grace }, "stopped");
                self.order_endings(&draft.touched, &order);
            }
            Command::Recreate { renew_volumes, grace, .. } => {
                let remake = if *renew_volumes { Remake::WithVolumes } else { Remake::Container };
                for id in &draft.touched {
                    self.resume_clock(id);
                    if let Some(service) = self.services.get_mut(id).filter(|_| targets.contains(id)) {
                        service.remake = remake;
                    }
                }
                let order = order(AfterStop::StartAgain, Manner::Ask { grace: *grace }, "stopped to be made anew");
                self.order_endings(&draft.touched, &order);
            }
            // Done by what was drafted for them.
            Command::Pause { .. }
            | Command::Unpause { .. }
            | Command::Pull { .. }
            | Command::Rm { .. }
            | Command::Prune { .. } => {}
            Command::Kill { .. } => {
                draft.touched.iter().for_each(|id| self.suspend_clock(id));
                self.order_endings(&draft.touched, &order(AfterStop::StayStopped, Manner::Kill, "killed"));
            }
            Command::Signal { signal, .. } => {
                for id in &draft.touched {
                    self.signal(id, *signal, by, asker.as_ref());
                }
            }
            Command::Rotate { .. } => draft.touched.iter().for_each(|id| self.rotate_asked(id, by)),
            Command::Maintenance { switch: Switch::On, lasts, .. } => {
                self.begin_maintenance(&draft.touched, *lasts, by);
            }
            Command::Maintenance { switch: Switch::Off, .. } => self.end_maintenance(&draft.touched, by),
            Command::Reload => {
                let open = self.projects.values().filter(|project| project.closing.is_none());
                let files = open.map(|project| Effect::LoadProject {
                    file: project.spec.file.clone(),
                    name: project.spec.name.clone(),
                });
                self.effects.extend(files);
            }
            Command::Close { project } => self.close(project, by, &whom),
            // Answered later, by what it brings.
            Command::Open { .. } => {}
            Command::Silence { lasting, because, .. } => {
                self.silence(&draft.touched, *lasting, because.as_deref(), (by, asker.as_ref()));
            }
            Command::Unsilence { .. } => self.unsilence(&draft.touched, by, asker.as_ref()),
            Command::Autopilot { mode } => self.set_autopilot(*mode, by, asker.as_ref()),
        }
    }

    fn set_autopilot(&mut self, mode: Autopilot, by: Origin, asker: Option<&Asker>) {
        self.autopilot = mode;
        self.choice = Some(Choice { mode, by, wall_us: self.now.wall_us });
        self.write_all_anew();
        self.record(About::Everything, by, What::AutopilotSet { mode }, asked_by(asker));
        match mode {
            Autopilot::Off => self.withhold_all(),
            Autopilot::On => {}
        }
    }
}

/// The program that asked as a reason; empty where it is not known.
pub(super) fn asked_by(asker: Option<&Asker>) -> String {
    asker.map_or_else(String::new, |asker| format!("asked by {asker}"))
}

/// Whether a command makes something run.
const fn starts_something(command: &Command) -> bool {
    match command {
        Command::Start { .. }
        | Command::Restart { .. }
        | Command::Recreate { .. }
        | Command::Reload
        | Command::Open { .. } => true,
        Command::Stop { .. }
        | Command::Kill { .. }
        | Command::Signal { .. }
        | Command::Rotate { .. }
        | Command::Close { .. }
        | Command::Maintenance { .. }
        | Command::Silence { .. }
        | Command::Unsilence { .. }
        | Command::Pause { .. }
        | Command::Unpause { .. }
        | Command::Pull { .. }
        | Command::Rm { .. }
        | Command::Prune { .. }
        | Command::Autopilot { .. } => false,
    }
}
