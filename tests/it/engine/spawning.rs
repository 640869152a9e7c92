//! What must hold where a run begins.

use std::sync::Arc;

use cas::model::{
    ids::{RunId, ServiceId},
    phase::{Exit, Health},
    probe::ProbeKind,
    service::{Condition, ServiceSpec},
    snapshot::Snapshot,
};

use super::{
    checks::tale,
    script::{Happening, Process},
    world::World,
};

impl World {
    /// Everything that must hold where a run begins.
    pub(super) fn spawn(&mut self, run: RunId, spec: &Arc<ServiceSpec>, after: &Snapshot) {
        let service = spec.id.clone();
        for (other, process) in &self.processes {
            let there = process.main || process.leftover > 0 || !process.told;
            assert!(process.service != service || !there, "{service} spawned as {run} while {other} is there");
        }
        assert!(!self.forbidden.contains(&service), "{service} spawned after it was stopped: {}", tale(&self.entries));
        assert!(!after.engine.leaving, "{service} spawned while leaving");
        let view = after.service(&service).expect("a spawned service is seen");
        for (name, edge) in spec.depends_on.iter().filter(|(_, edge)| edge.required) {
            let dependency = ServiceId { project: service.project.clone(), service: name.clone() };
            self.check_condition(&service, &dependency, edge.condition, after);
        }
        if view.why.starts_with("restarted by the healer") {
            self.healed.push((self.now, service.clone()));
            self.take_token();
        }
        self.completed.remove(&service);
        self.spawned.push((self.now, service.clone()));
        let process = Process {
            service: service.clone(),
            born: self.now,
            told: false,
            main: false,
            leftover: 0,
            rounds: 0,
            attached: true,
            end: None,
        };
        assert!(self.processes.insert(run, process).is_none(), "run id {run} used twice");
        let wait = self.behaviours.entry(service).or_default().spawn_takes;
        let wait = self.vary(wait);
        self.at(wait, Happening::Born(run));
    }

    fn check_condition(&self, who: &ServiceId, on: &ServiceId, condition: Condition, after: &Snapshot) {
        let seen = after.service(on).expect("a dependency is seen");
        let is_there = |process: &Process| process.told && (process.main || process.leftover > 0);
        let runs = self.processes.values().any(|process| process.service == *on && is_there(process))
            && seen.phase.label() == "running";
        let holds = match condition {
            Condition::ServiceStarted => runs,
            Condition::ServiceHealthy => {
                let asked = seen.probes.iter().any(|probe| probe.kind != ProbeKind::Liveness);
                runs && (!asked || matches!(seen.health, Health::Healthy { .. }))
            }
            Condition::ServiceCompletedSuccessfully => self.completed.contains(on),
            Condition::ServiceLogReady => runs,
        };
        assert!(
            holds,
            "{who} spawned while {on} is {} ({}), not {}",
            seen.phase.label(),
            seen.health.label(),
            condition.label()
        );
    }

    fn take_token(&mut self) {
        let (burst, refill) = self.budget;
        let gained = self.now.since(self.tokens_at).as_secs_f64() * f64::from(refill) / 10.0;
        self.tokens = (self.tokens + gained).min(f64::from(burst)) - 1.0;
        self.tokens_at = self.now;
        let with_ports = self.specs.values().filter(|spec| !spec.ports.is_empty()).count();
        assert!(self.tokens >= -(with_ports as f64) - 1e-6, "more restarts than the budget allows: {}", self.tokens);
    }

    /// A signal to all of a run; what hears it ends, main process or what it left.
    pub(super) fn stop_tree(&mut self, run: RunId) {
        let Some(process) = self.processes.get(&run) else { panic!("a signal to {run}, which never was") };
        let ends_in = self.behaviours.entry(process.service.clone()).or_default().ends_in;
        let main = process.main || !process.told;
        if let Some(wait) = ends_in {
            let wait = self.vary(wait);
            self.at(wait, if main { Happening::Dies(run, Exit::Signal(15)) } else { Happening::LeftoversGone(run) });
        }
    }
}
