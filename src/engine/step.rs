//! One input in, effects out: who is to look at it.
//!
//! Never: decides anything itself.

use std::{sync::Arc, time::Duration};

use crate::model::{
    effect::Effect,
    event::{Event, Input, TimerKey, TroubleSlot},
    ids::{Epoch, ServiceId},
    metric::{RunUsage, Sample},
    policy::{Origin, Reply},
    time::Timestamp,
    timeline::What,
};

use super::{Engine, Life, timeline::About};

/// Samples of nothing after which a series shows nothing else: pushing more would change no picture.
const SILENT: usize = 720;

/// Lost output of a service is told at most once in this time.
const DROPS_TOLD: Duration = Duration::from_mins(1);

impl Engine {
    /// Takes one input in and says what is to be done. `now` is never earlier than the last one (it is taken for the last
    /// one where it is).
    #[must_use = "effects are to be carried out"]
    pub fn step(&mut self, now: Timestamp, input: Input) -> Vec<Effect> {
        if now.has_reached(self.now) {
            self.now = now;
        }
        if self.life == Life::Working {
            self.look_at_wall_clock();
        }
        match input {
            Input::Request(request) => self.knock(&request),
            // What happens now is the next engine's to learn.
            Input::Event(_) if self.life == Life::Released => {}
            Input::Event(event) => self.learn(event),
        }
        self.settle();
        self.let_go();
        self.watch_alarms();
        if self.life == Life::Leaving && self.is_quiet() {
            self.write_marked();
            self.life = Life::Ended;
            self.effects.push(Effect::Quit);
        }
        self.take_effects()
    }

    fn learn(&mut self, event: Event) {
        match event {
            Event::ProjectLoaded { project, heritage, request } => {
                self.project_loaded(&project, heritage, request);
                self.alerts_planned();
            }
            Event::OpenRefused { request, reason, hint } => {
                self.answer_open(request, &Reply::Refused { reason, hint });
            }
            Event::ShimReplaced { service, why } => {
                if self.services.contains_key(&service) {
                    self.record(About::Service(&service), Origin::System, What::ShimReplaced, why);
                }
            }
            Event::OutputDropped { service, bytes } => self.output_dropped(&service, bytes),
            Event::ReleaseAsked => self.release(),
            Event::FilesRead { request: _, files } => self.files_read(files),
            Event::ProjectRefused { problems } => self.project_refused(&problems),
            Event::PortsChecked { service, epoch, holders } => {
                if self.is_current(&service, epoch) {
                    self.ports_checked(&service, holders);
                }
            }
            Event::RunFound { service, pid, since } => self.run_found(&service, pid, since),
            Event::RunPaused { run, is_paused } => self.run_paused(run, is_paused),
            Event::Handled { ticket, result } => self.handled(ticket, result),
            Event::DiskRead { request: _, disk } => self.disk_read(disk),
            Event::DockerKnown(reach) => {
                self.changed |= self.docker != reach;
                self.docker = reach;
            }
            Event::ContainersListed(containers) => {
                self.changed = true;
                self.containers = containers;
            }
            Event::Spawned { run, pid } => self.spawned(run, pid),
            Event::SpawnFailed { run, error } => self.spawn_failed(run, error),
            Event::Exited { run, exit, last_words, leftover } => {
                self.exited(run, exit, self.now, last_words, leftover);
            }
            Event::LeftoversGone { run } => self.leftovers_gone(run, self.now),
            Event::TreeEnded { run, survivors } => self.tree_ended(run, survivors),
            Event::Probed { run, kind, round, outcome, took } => self.probed(run, kind, round, outcome, took),
            Event::Examined { run, exam, round, result, took: _ } => self.examined(run, &exam, round, result),
            Event::RemedyDone { run, error, note } => self.remedy_done(run, error, &note),
            Event::SignSeen { service, pattern, line } => self.sign_seen(&service, &pattern, &line),
            Event::PatternNews { service, news } => self.pattern_news(&service, news),
            Event::HookEnded { service, run, hook, result } => self.hook_ended(&service, run, hook, result),
            Event::LogMatched { run, kind } => self.log_matched(run, kind),
            Event::LogFileMatched { service } => self.log_file_matched(&service),
            Event::TimerFired { key, epoch } => self.woken(key, epoch),
            Event::Sampled(sample) => self.sampled(&sample),
            Event::ContainmentKnown(containment) => {
                self.settings.containment = containment;
                self.services.values_mut().for_each(|service| service.view = None);
                self.changed = true;
            }
            Event::LimitsKnown { service, lacking } => {
                if let Some(service) = self.services.get_mut(&service) {
                    service.lacking = lacking;
                    service.view = None;
                    self.changed = true;
                }
            }
            Event::FilesChanged { service, change } => self.files_changed(&service, change),
            Event::LogFilesDue { service, files } => self.log_files_due(&service, &files),
            Event::LogFilesMoved { service, run, signal } => self.log_files_moved(&service, run, signal),
            Event::LogFilesRotated { service, files } => self.log_files_rotated(&service, files),
            Event::RanBeside { run, outcome } => self.ran_beside(run, outcome),
            Event::Fixed(fixed) => self.fixed(fixed),
            Event::Stalled { gap } => self.stalled(gap),
            Event::RegistryRead(records) => {
                if self.registry != records {
                    self.registry = records;
                    self.changed = true;
                }
            }
            Event::Trouble { slot, text } => self.trouble(slot, text),
            Event::Notified { ticket, outcome } => self.notified(ticket, outcome),
            Event::ShutdownAsked => self.shut_down(),
            Event::HaltAsked => self.halt(),
            Event::RawLogsAsked { service, origin, asker } => self.raw_logs_asked(service.as_ref(), origin, asker),
        }
    }

    fn is_current(&self, id: &ServiceId, epoch: Epoch) -> bool {
        self.service(id).is_some_and(|service| service.epoch == epoch)
    }

    fn woken(&mut self, key: TimerKey, epoch: Epoch) {
        let service = match &key {
            TimerKey::BackoffOver(id)
            | TimerKey::GraceOver(id)
            | TimerKey::StableReached(id)
            | TimerKey::ProbeDue(id, _)
            | TimerKey::ExamDue(id, _)
            | TimerKey::HealAgain(id, _)
            | TimerKey::VerdictDue(id)
            | TimerKey::PortsAgain(id) => Some(id),
            // These have an epoch of their own.
            TimerKey::BudgetRefilled
            | TimerKey::ScheduleDue(_)
            | TimerKey::MaintenanceOver(_)
            | TimerKey::AlertsDue => None,
        };
        if service.is_some_and(|id| !self.is_current(id, epoch)) {
            return;
        }
        match key {
            TimerKey::BackoffOver(id) => self.backoff_over(&id),
            TimerKey::GraceOver(id) => self.grace_over(&id),
            TimerKey::StableReached(id) => self.stable_reached(&id),
            TimerKey::ProbeDue(id, kind) => self.probe_due(&id, kind),
            TimerKey::HealAgain(id, kind) => self.heal_again(&id, kind),
            TimerKey::VerdictDue(id) => self.verdict_due(&id),
            TimerKey::MaintenanceOver(id) => self.maintenance_over(&id),
            TimerKey::ExamDue(id, name) => self.exam_due(&id, &name),
            TimerKey::PortsAgain(id) => self.ports_again(&id),
            TimerKey::ScheduleDue(id) => self.clock_fired(&id, epoch),
            TimerKey::AlertsDue => self.alerts_due(epoch),
            TimerKey::BudgetRefilled => {
                if self.bucket.fired(epoch) {
                    self.budget_refilled();
                }
            }
        }
    }

    fn sampled(&mut self, sample: &Arc<Sample>) {
        self.changed = true;
        let host = sample.host;
        let percent =
            |used: u64, total: u64| if total == 0 { 0.0 } else { (used as f64 / total as f64 * 100.0) as f32 };
        self.host.usage = Some(host);
        self.host.cpu.push(host.cpu_percent);
        self.host.memory.push(percent(host.memory_used_bytes, host.memory_total_bytes));
        self.host.net_rx.push(host.net_rx_bytes_per_s as f32);
        self.host.net_tx.push(host.net_tx_bytes_per_s as f32);
        self.host.disk_read.push(host.disk_read_bytes_per_s as f32);
        self.host.disk_write.push(host.disk_write_bytes_per_s as f32);
        self.notice_stopped(sample);
        self.look_at_pressure();
        let usage: std::collections::BTreeMap<_, RunUsage> = sample.runs.iter().copied().collect();
        let dropped: Vec<ServiceId> =
            self.services.iter().filter(|(_, service)| service.dropped > 0).map(|(id, _)| id.clone()).collect();
        for id in dropped {
            self.tell_dropped(&id);
        }
        for service in self.services.values_mut() {
            let seen = service.run.as_ref().and_then(|run| usage.get(&run.id)).copied();
            match seen {
                None if service.cpu.is_empty() || service.silence > SILENT => continue,
                None => service.silence += 1,
                Some(_) => service.silence = 0,
            }
            service.usage = seen;
            let RunUsage { cpu_percent, memory_bytes, .. } = seen.unwrap_or_default();
            service.cpu.push(cpu_percent);
            service.memory.push(memory_bytes as f32);
            service.view = None;
        }
    }

    /// Output was lost; told at most once a minute for each service, all losses of that minute together.
    fn output_dropped(&mut self, id: &ServiceId, bytes: u64) {
        if let Some(service) = self.services.get_mut(id) {
            service.dropped = service.dropped.saturating_add(bytes);
            self.tell_dropped(id);
        }
    }

    fn tell_dropped(&mut self, id: &ServiceId) {
        let now = self.now;
        let Some(service) = self.services.get_mut(id) else { return };
        let told_lately = service.dropped_told.is_some_and(|told| now.since(told) < DROPS_TOLD);
        if service.dropped == 0 || told_lately {
            return;
        }
        service.dropped_told = Some(now);
        let bytes = std::mem::take(&mut service.dropped);
        let why = "the disk is full, or the limit of its log was reached before they were read; it runs on";
        self.record(About::Service(id), Origin::System, What::OutputDropped { bytes }, why);
    }

    pub(super) fn trouble(&mut self, slot: TroubleSlot, text: Option<String>) {
        self.changed = true;
        self.alerts_changed();
        let Some(text) = text else {
            self.troubles.remove(&slot);
            return;
        };
        if self.troubles.insert(slot, text.clone()).is_none() {
            self.record(About::Everything, Origin::System, What::Trouble { text }, "services are not affected");
        }
    }
}
