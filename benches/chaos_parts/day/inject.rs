//! One fault, from what it does to what came of it.

use std::{
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

use cas::model::{
    phase::{Health, Phase},
    snapshot::{ServiceView, Snapshot},
    time::Timestamp,
};

use crate::rig::Rig;

use super::{
    faults::{Fault, Follows},
    town::Town,
    watch::{self, HOLDS, Verdict, Watcher},
};

/// What came of a fault.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) fault: String,
    pub(crate) service: &'static str,
    pub(crate) injected: Timestamp,
    /// Up again; of one that never was down, the injection.
    pub(crate) up: Timestamp,
    pub(crate) was_down: bool,
    /// Seconds that no healer can avoid.
    pub(crate) ideal: f64,
    /// Why it does not count as healed.
    pub(crate) wrong: Option<String>,
}

impl Outcome {
    /// Seconds from the injection to the first good answer that held.
    pub(crate) fn took(&self) -> f64 {
        self.up.since(self.injected).as_secs_f64()
    }
}

/// A fault under way.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) fault: Fault,
    pub(crate) service: &'static str,
    pub(crate) injected: Timestamp,
    pub(crate) helped: bool,
    run: Option<u64>,
    start_up: f64,
    works: Option<Child>,
}

/// The view of a service.
pub(crate) fn view<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a ServiceView> {
    snapshot.services.iter().find(|view| view.id.service.as_str() == name).map(|view| &**view)
}

/// Whether cas takes it for up and well.
pub(crate) fn is_well(view: &ServiceView) -> bool {
    matches!(view.phase, Phase::Running { .. }) && matches!(view.health, Health::Healthy { .. })
}

impl Open {
    /// Does it.
    pub(crate) fn inject(
        fault: Fault,
        service: &'static str,
        (rig, town, snapshot): (&Rig, &Town, &Snapshot),
        start_up: f64,
    ) -> Self {
        let view = view(snapshot, service);
        let run = view.and_then(|view| view.run).map(|run| run.0);
        let pid = view.and_then(|view| view.pid).unwrap_or_default();
        let shim = rig
            .processes()
            .into_iter()
            .find(|(_, command)| command.contains("cas-shim") && command.trim_end().ends_with(&format!("/{service}")));
        let injected = cas::world::clock::now();
        let works = fault.shell.as_ref().map(|line| {
            let mut command = Command::new("sh");
            command.args(["-c", line]).current_dir(&town.project).envs(town.environment(service));
            command.env("PID", pid.to_string()).env("SHIM", shim.map_or(0, |(pid, _)| pid).to_string());
            // In a group of its own: a signal to process 0 means the sender's.
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
            command.spawn().expect("a shell can be spawned")
        });
        if let Some(words) = &fault.ask {
            ask(town, service, words);
        }
        Self { fault, service, injected, helped: false, run, start_up, works }
    }

    /// Waits until what it does is done.
    pub(crate) fn finish(&mut self) {
        if let Some(mut child) = self.works.take() {
            child.wait().expect("the shell was ours");
        }
    }

    /// Seconds from the injection after which it is too late.
    pub(crate) fn limit(&self) -> f64 {
        self.fault.within + f64::from(self.fault.starts) * self.start_up
    }

    /// Whether it is over by now, and when it was.
    pub(crate) fn is_over(&self, snapshot: &Snapshot, watcher: &Watcher, now: Timestamp) -> Option<(Timestamp, bool)> {
        let elapsed = now.since(self.injected);
        if elapsed.as_secs_f64() < self.fault.lasts + HOLDS.as_secs_f64() {
            return None;
        }
        let view = view(snapshot, self.service)?;
        let is_other = view.run.is_some_and(|run| Some(run.0) != self.run);
        if !is_well(view) || (self.fault.follows == Follows::Restart && !is_other) {
            return None;
        }
        match watcher.since(self.injected) {
            Verdict::NotYet => None,
            Verdict::NeverDown => Some((self.injected, false)),
            Verdict::UpSince(up) => Some((up, true)),
        }
    }

    pub(crate) fn outcome(self, up: Timestamp, was_down: bool) -> Outcome {
        let took = up.since(self.injected).as_secs_f64();
        let wrong = if self.helped {
            Some("a person had to restart it".to_owned())
        } else if took > self.limit() {
            Some(format!("healed after {took:.1} s, later than {:.1} s", self.limit()))
        } else {
            None
        };
        let ideal = f64::from(self.fault.starts) * self.start_up + self.fault.seconds;
        Outcome {
            fault: self.fault.name.clone(),
            service: self.service,
            injected: self.injected,
            up,
            was_down,
            ideal: if was_down { ideal } else { 0.0 },
            wrong,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Asks a service to do something to itself.
fn ask(town: &Town, service: &str, words: &str) {
    if service == "worker" {
        let file = town.flags("worker").with_extension("do");
        let new = town.flags("worker").with_extension("todo");
        std::fs::write(&new, words).and_then(|()| std::fs::rename(&new, file)).expect("a word can be left");
        return;
    }
    let mut words = words.split(' ');
    let verb = words.next().unwrap_or_default();
    let (name, value) = match verb {
        "exit" => ("code", words.next().unwrap_or("0")),
        _ => ("seconds", words.next().unwrap_or("0")),
    };
    // It may be gone before it answers.
    let _answer = watch::http(town.port(service), &format!("/admin/{verb}?{name}={value}"));
}
