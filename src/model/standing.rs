//! How a service stands, in a grade, a word and one sentence: what its phase, its probes and deep looks say together.
//!
//! Never: says that a service is well of which nobody has asked that; judges a figure (the engine has).

use std::{fmt::Write as _, time::Duration};

use super::{
    exam::{Checkup, Finding, Grade},
    ids::ServiceId,
    phase::{Exit, Health, Hold, Phase},
    snapshot::{ProbeView, ServiceView, Snapshot},
    time::short_duration,
};

/// How a service stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// How bad it is.
    pub grade: Grade,
    /// The word shown and written: `healthy`, `running` (nobody asks it whether it is well), `warning`, `critical`, `unhealthy`,
    /// `misconfigured`, or that of its phase.
    pub word: &'static str,
    /// The most important thing about it: one sentence without a full stop. May hold text of servers.
    pub sentence: String,
}

impl Standing {
    /// How `service`, which is in `snapshot`, stands there.
    #[must_use]
    pub fn of(snapshot: &Snapshot, service: &ServiceView) -> Self {
        let told = |grade, word, sentence: String| Self { grade, word, sentence };
        let phase = &service.phase;
        let grade = grade(snapshot, service);
        match phase {
            Phase::Running { .. } => running(snapshot, service),
            Phase::Waiting { holds, .. } => told(grade, phase.label(), waits(snapshot, service, holds)),
            Phase::Blocked { holders, .. } => {
                let holders: Vec<String> = holders.iter().map(ToString::to_string).collect();
                told(grade, phase.label(), holders.join(", "))
            }
            Phase::BackingOff { attempt, until, exit, .. } => {
                let wait = until.since(snapshot.at);
                let when = if wait.is_zero() { "now".to_owned() } else { format!("in {}", short_duration(wait)) };
                told(grade, phase.label(), format!("{}, restart {attempt} {when}", ended(exit)))
            }
            Phase::GaveUp { attempts, exit, .. } => {
                let sentence = format!("gave up after {attempts} starts that never held, the last: {}", ended(exit));
                told(grade, phase.label(), sentence)
            }
            Phase::Exited { exit, .. } if exit.is_success() => told(grade, phase.label(), "completed".to_owned()),
            Phase::Exited { exit, .. } => {
                let policy = service.restart.label();
                told(grade, phase.label(), format!("{}, and it is not restarted (restart: {policy})", ended(exit)))
            }
            Phase::Stopped { .. } | Phase::Starting { .. } | Phase::Stopping { .. } => {
                told(grade, phase.label(), service.why.clone())
            }
        }
    }
}

impl Standing {
    /// One column that tells how it stands without colour: a tick only for what was asked and is well.
    #[must_use]
    pub fn glyph(&self) -> &'static str {
        match (self.grade, self.word) {
            (Grade::Good | Grade::Notice, "healthy") | (Grade::Good, "completed") => "✓",
            (Grade::Good | Grade::Notice, "running") => "●",
            (Grade::Good, _) => "○",
            (grade @ (Grade::Notice | Grade::Warning | Grade::Critical), _) => glyph(grade),
        }
    }

    /// Whether somebody asked, and it is well.
    #[must_use]
    pub fn is_known_well(&self) -> bool {
        self.glyph() == "✓"
    }

    /// The word in a clause: `is healthy`, `has given up`.
    #[must_use]
    pub fn clause(&self) -> String {
        clause(self.word)
    }
}

/// A word of a phase or a standing in a clause: `is waiting`, `has given up`, `has a warning`.
#[must_use]
pub fn clause(word: &str) -> String {
    match word {
        "gave-up" => "has given up".to_owned(),
        "failed" => "has failed".to_owned(),
        "completed" => "has completed".to_owned(),
        "backing-off" => "is backing off".to_owned(),
        "warning" => "needs a look".to_owned(),
        other => format!("is {other}"),
    }
}

/// How an end is told in a sentence: `exited with code 1`, `ended by SIGKILL`.
#[must_use]
pub fn ended(exit: &Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exited with code {code}"),
        Exit::Signal(_) => format!("ended by {exit}"),
        Exit::OutOfMemory { .. } | Exit::Rebooted | Exit::SpawnFailed(_) | Exit::Removed | Exit::Unknown => {
            exit.to_string()
        }
    }
}

fn running(snapshot: &Snapshot, service: &ServiceView) -> Standing {
    let told = |grade, word, sentence: String| Standing { grade, word, sentence };
    match &service.health {
        Health::Unhealthy { since, probe, detail } => {
            let ill = short_duration(snapshot.at.since(*since));
            return told(
                Grade::Critical,
                service.health.label(),
                format!("{} probe fails for {ill}: {detail}", probe.label()),
            );
        }
        Health::Misconfigured { probe, detail } => {
            let sentence = format!("{} probe cannot be put: {detail}", probe.label());
            return told(Grade::Critical, service.health.label(), sentence);
        }
        Health::Unknown | Health::Starting { .. } | Health::Healthy { .. } => {}
    }
    let checkup = service.checkup.as_deref();
    if let Some(worst) = checkup.and_then(worst).filter(|worst| worst.grade >= Grade::Warning) {
        let others = unwell(service).total().saturating_sub(1);
        let more = if others > 0 { format!(" (and {others} more)") } else { String::new() };
        return told(worst.grade, worst.grade.label(), format!("{}{more}", worst.sentence));
    }
    if let Health::Starting { .. } = service.health {
        return told(Grade::Notice, service.health.label(), "its probes have not passed yet".to_owned());
    }
    if let Some((exam, why)) = checkup.and_then(|checkup| checkup.failed.first_key_value()) {
        return told(Grade::Warning, Grade::Warning.label(), format!("could not be looked at ({exam}): {why}"));
    }
    let notice = checkup.and_then(worst).filter(|worst| worst.grade == Grade::Notice);
    let grade = if notice.is_some() { Grade::Notice } else { Grade::Good };
    let checks = checkup.map_or(0, |checkup| checkup.findings.len());
    let is_asked = matches!(service.health, Health::Healthy { .. }) || checkup.is_some_and(|it| it.at.is_some());
    if !is_asked {
        return told(grade, "running", "runs; nothing asks it whether it is well".to_owned());
    }
    let mut sentence = "healthy".to_owned();
    if checks > 0 {
        // Writing to a String cannot fail, here and below.
        let _ = write!(sentence, ", {checks} check{}", if checks == 1 { "" } else { "s" });
    }
    if let Some(took) = answered(service) {
        let _ = write!(sentence, ", answered in {}", took_words(took));
    }
    if let Some(notice) = notice {
        let _ = write!(sentence, "; {}", notice.sentence);
    }
    told(grade, "healthy", sentence)
}

/// The worst finding; none where there is none.
fn worst(checkup: &Checkup) -> Option<&Finding> {
    // The first of the worst: they are sorted.
    checkup.findings.iter().rev().max_by_key(|finding| finding.grade)
}

/// How long its last answer took: that of the readiness probe where it has one.
fn answered(service: &ServiceView) -> Option<Duration> {
    let asked: Vec<&ProbeView> = service.probes.iter().filter(|probe| probe.last.is_some()).collect();
    let readiness = asked.iter().find(|probe| probe.kind == super::probe::ProbeKind::Readiness);
    readiness.or_else(|| asked.last()).map(|probe| Duration::from_micros(probe.last_took_us))
}

/// `less than 0.1 ms`, `0.4 ms`, `3 ms`, `1.2 s`.
#[must_use]
pub fn took_words(took: Duration) -> String {
    if took < Duration::from_micros(100) {
        "less than 0.1 ms".to_owned()
    } else if took < Duration::from_millis(1) {
        format!("{}.{} ms", took.as_micros() / 1000, took.as_micros() % 1000 / 100)
    } else {
        short_duration(took)
    }
}

fn waits(snapshot: &Snapshot, service: &ServiceView, holds: &[Hold]) -> String {
    let named: Vec<String> = holds
        .iter()
        .map(|hold| match hold {
            Hold::Dependency { service: other, state, .. } => format!("{other}, which {}", clause(state)),
            Hold::RestartBudget => "its turn: many services are being restarted".to_owned(),
        })
        .collect();
    let mut sentence = format!("waits for {}", named.join(" and for "));
    let chain = blame(snapshot, service);
    if chain.len() > 1
        && let Some(root) = chain.last()
    {
        let _ = write!(sentence, "; behind it all: {}, which {}", root.id.service, clause(root.phase.label()));
    }
    sentence
}

/// How bad it is, dependencies not looked at.
fn own_grade(service: &ServiceView) -> Grade {
    match &service.phase {
        Phase::Stopped { .. } => Grade::Good,
        Phase::Exited { exit, .. } if exit.is_success() => Grade::Good,
        Phase::Waiting { .. } | Phase::Starting { .. } | Phase::Stopping { .. } => Grade::Notice,
        Phase::Blocked { .. } | Phase::BackingOff { .. } | Phase::Exited { .. } | Phase::GaveUp { .. } => {
            Grade::Critical
        }
        Phase::Running { .. } => {
            let looked = service.checkup.as_ref().map_or(Grade::Good, |checkup| {
                let failed = if checkup.failed.is_empty() { Grade::Good } else { Grade::Warning };
                checkup.worst().max(failed)
            });
            match service.health {
                Health::Unhealthy { .. } | Health::Misconfigured { .. } => Grade::Critical,
                Health::Starting { .. } => looked.max(Grade::Notice),
                Health::Unknown | Health::Healthy { .. } => looked,
            }
        }
    }
}

/// How bad it is. Waiting is worth a look where what it waits for does not come by itself.
fn grade(snapshot: &Snapshot, service: &ServiceView) -> Grade {
    let own = own_grade(service);
    if !matches!(service.phase, Phase::Waiting { .. }) {
        return own;
    }
    let is_stuck = |root: &&ServiceView| match &root.phase {
        Phase::Stopped { .. } | Phase::Exited { .. } => true,
        Phase::Waiting { .. }
        | Phase::Blocked { .. }
        | Phase::Starting { .. }
        | Phase::Running { .. }
        | Phase::Stopping { .. }
        | Phase::BackingOff { .. }
        | Phase::GaveUp { .. } => own_grade(root) >= Grade::Warning,
    };
    if blame(snapshot, service).last().is_some_and(is_stuck) { Grade::Warning } else { own }
}

/// Whom it is up to that `service` is not well: from a dependency of its own to the one behind it all, which is not well by
/// itself; empty where it is well, or where it is its own fault. Each service once, so that a cycle ends.
#[must_use]
pub fn blame<'a>(snapshot: &'a Snapshot, service: &'a ServiceView) -> Vec<&'a ServiceView> {
    let mut chain: Vec<&ServiceView> = Vec::new();
    let mut current = service;
    loop {
        let is_waiting = matches!(current.phase, Phase::Waiting { .. });
        if !is_waiting && own_grade(current) < Grade::Warning {
            return chain;
        }
        let next = current
            .depends_on
            .iter()
            .filter_map(|edge| {
                let id = ServiceId { project: current.id.project.clone(), service: edge.service.clone() };
                let other = snapshot.service(&id)?.as_ref();
                let is_new = other.id != service.id && chain.iter().all(|known| known.id != other.id);
                let is_bad = if is_waiting { !edge.holds } else { !edge.holds || own_grade(other) >= Grade::Warning };
                (is_new && is_bad).then_some(other)
            })
            .reduce(|one, other| if own_grade(other) > own_grade(one) { other } else { one });
        let Some(next) = next else { return chain };
        chain.push(next);
        current = next;
    }
}

/// How many things about a service need a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unwell {
    /// Findings worth a look soon, and looks that failed.
    pub warnings: usize,
    /// Findings that are broken, or about to be.
    pub criticals: usize,
}

impl Unwell {
    /// Both.
    #[must_use]
    pub const fn total(self) -> usize {
        self.warnings + self.criticals
    }

    /// The worst with its number, told without colour: `!1`, `▲2`; none where nothing needs a look.
    #[must_use]
    pub fn mark(self) -> Option<(Grade, String)> {
        if self.criticals > 0 {
            Some((Grade::Critical, format!("!{}", self.criticals)))
        } else if self.warnings > 0 {
            Some((Grade::Warning, format!("▲{}", self.warnings)))
        } else {
            None
        }
    }
}

/// What deep looks have found of a service that needs a look, and looks that failed.
#[must_use]
pub fn unwell(service: &ServiceView) -> Unwell {
    let findings = service.checkup.iter().flat_map(|checkup| &checkup.findings);
    let failed = service.checkup.as_ref().map_or(0, |checkup| checkup.failed.len());
    let mut unwell = Unwell { warnings: failed, criticals: 0 };
    for finding in findings {
        match finding.grade {
            Grade::Good | Grade::Notice => {}
            Grade::Warning => unwell.warnings += 1,
            Grade::Critical => unwell.criticals += 1,
        }
    }
    unwell
}

/// One column that tells grades apart without colour.
#[must_use]
pub const fn glyph(grade: Grade) -> &'static str {
    match grade {
        Grade::Good => "✓",
        Grade::Notice => "·",
        Grade::Warning => "▲",
        Grade::Critical => "✗",
    }
}

/// How many services stand where, as `cas health` counts them: each once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Asked, and well; notices included.
    pub healthy: usize,
    /// Running, and nobody asks whether well.
    pub running: usize,
    /// Waiting, starting, stopping, or not well yet.
    pub moving: usize,
    /// Worth a look.
    pub warning: usize,
    /// Broken.
    pub critical: usize,
    /// Stopped or completed.
    pub quiet: usize,
}

impl Tally {
    /// Counts.
    #[must_use]
    pub fn of<'a>(standings: impl IntoIterator<Item = &'a Standing>) -> Self {
        let mut tally = Self::default();
        for standing in standings {
            let slot = match (standing.grade, standing.word) {
                (Grade::Critical, _) => &mut tally.critical,
                (Grade::Warning, _) => &mut tally.warning,
                (Grade::Good | Grade::Notice, "healthy") => &mut tally.healthy,
                (Grade::Good | Grade::Notice, "running") => &mut tally.running,
                (Grade::Good, _) => &mut tally.quiet,
                (Grade::Notice, _) => &mut tally.moving,
            };
            *slot += 1;
        }
        tally
    }

    /// `7 healthy, 1 warning, 1 critical`: what is none is left out; `no services` where there is none.
    #[must_use]
    pub fn sentence(&self) -> String {
        let parts: Vec<String> = [
            (self.healthy, "healthy"),
            (self.running, "only running"),
            (self.moving, "moving"),
            (self.quiet, "stopped"),
            (self.warning, "warning"),
            (self.critical, "critical"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
        if parts.is_empty() { "no services".to_owned() } else { parts.join(", ") }
    }

    /// The worst that is among them.
    #[must_use]
    pub const fn worst(&self) -> Grade {
        if self.critical > 0 {
            Grade::Critical
        } else if self.warning > 0 {
            Grade::Warning
        } else if self.moving > 0 {
            Grade::Notice
        } else {
            Grade::Good
        }
    }
}
