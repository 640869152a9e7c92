//! How services are: a line each for people, the document for programs. `docs/health.md` promises the document's form.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::paragraph;
use crate::{
    cli::{
        paint::{Paint, Tone},
        render::status::has_several_projects,
        text::{plain, width},
        when::rfc3339,
    },
    model::{
        exam::{Finding, Grade},
        ids::ServiceId,
        phase::Phase,
        probe::ProbeOutcome,
        snapshot::{ProbeView, ServiceView, Snapshot},
        standing::{Standing, Tally, blame},
        text::truncate,
    },
};

/// Services with how they stand, the worst first.
#[derive(Debug)]
pub struct Patients<'a> {
    /// The picture.
    pub snapshot: &'a Snapshot,
    /// Each with how it stands; what is stopped comes last.
    pub all: Vec<(&'a ServiceView, Standing)>,
}

/// What must differ for a watch to print again: of each service its grade and word, and of each check its grade.
pub type News = Vec<(ServiceId, Grade, &'static str, Vec<(String, Grade)>)>;

impl<'a> Patients<'a> {
    /// The services of `wanted`.
    #[must_use]
    pub fn of(snapshot: &'a Snapshot, wanted: &[ServiceId]) -> Self {
        let chosen = snapshot.services.iter().map(AsRef::as_ref).filter(|service| wanted.contains(&service.id));
        let mut all: Vec<(&ServiceView, Standing)> =
            chosen.map(|service| (service, Standing::of(snapshot, service))).collect();
        let is_quiet = |service: &ServiceView| !matches!(service.phase, Phase::Running { .. });
        all.sort_by_key(|(service, standing)| (std::cmp::Reverse(standing.grade), is_quiet(service)));
        Self { snapshot, all }
    }

    /// The worst grade of all.
    #[must_use]
    pub fn worst(&self) -> Grade {
        self.all.iter().map(|(_, standing)| standing.grade).max().unwrap_or_default()
    }

    /// How many stand where.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally::of(self.all.iter().map(|(_, standing)| standing))
    }

    /// What a watch compares.
    #[must_use]
    pub fn news(&self) -> News {
        let told = |(service, standing): &(&ServiceView, Standing)| {
            let findings = service.checkup.iter().flat_map(|checkup| &checkup.findings);
            let checks = findings.map(|finding| (finding.check.clone(), finding.grade)).collect();
            (service.id.clone(), standing.grade, standing.word, checks)
        };
        self.all.iter().map(told).collect()
    }
}

/// What kind of thing it is, as it says itself where it does: `PostgreSQL 15.18`.
#[must_use]
pub fn kind_of(service: &ServiceView) -> String {
    let Some(checkup) = &service.checkup else { return "-".to_owned() };
    let name = checkup.server.as_deref().filter(|server| !server.is_empty()).unwrap_or(&checkup.title);
    if name.is_empty() { "-".to_owned() } else { truncate(&plain(name), KIND).into_owned() }
}

/// Columns of the longest kind.
const KIND: usize = 24;
/// Columns between columns.
const GAP: &str = "  ";
/// A sentence that would have less room stands on lines of its own.
const ROOM: usize = 30;

/// Its colour: green only for what was asked and is well.
#[must_use]
pub fn tone_of(standing: &Standing) -> Tone {
    if standing.grade >= Grade::Notice || standing.is_known_well() { Tone::of_grade(standing.grade) } else { Tone::Dim }
}

/// One line a service, and one that counts them.
#[must_use]
pub fn table(patients: &Patients<'_>, paint: Paint, columns: Option<u16>) -> String {
    if patients.all.is_empty() {
        return "no services\n".to_owned();
    }
    let several = has_several_projects(patients.snapshot);
    let rows: Vec<[String; 3]> = patients
        .all
        .iter()
        .map(|(service, standing)| {
            let name = if several { service.id.to_string() } else { service.id.service.to_string() };
            [name, kind_of(service), standing.word.to_owned()]
        })
        .collect();
    let heads = ["SERVICE", "KIND", "HEALTH"];
    let widths: Vec<usize> = (0..heads.len())
        .map(|column| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0).max(heads[column].len()))
        .collect();
    let before = 2 + widths.iter().map(|width| width + GAP.len()).sum::<usize>();
    let beside = columns.is_none_or(|columns| usize::from(columns) >= before + ROOM);
    let fill = |cell: &str, wanted: usize| " ".repeat(wanted.saturating_sub(width(cell)));
    let mut heading = "  ".to_owned();
    for (head, width) in heads.iter().zip(&widths) {
        // Writing to a String cannot fail, here and below.
        let _ = write!(heading, "{}{}{GAP}", paint.text(Tone::Strong, head), fill(head, *width));
    }
    if beside {
        heading.push_str(&paint.text(Tone::Strong, "WHAT"));
    }
    let mut text = format!("{}\n", heading.trim_end());
    for ((_, standing), row) in patients.all.iter().zip(&rows) {
        let tone = tone_of(standing);
        let [name, kind, word] = row;
        let mut head = format!("{} ", paint.text(tone, standing.glyph()));
        for ((cell, tone), width) in [(name, Tone::Strong), (kind, Tone::Plain), (word, tone)].into_iter().zip(&widths)
        {
            let _ = write!(head, "{}{}{GAP}", paint.text(tone, cell), fill(cell, *width));
        }
        let quiet = if standing.grade >= Grade::Warning { Tone::Plain } else { Tone::Dim };
        if beside {
            text.push_str(&paragraph(&head, before, &standing.sentence, quiet, paint, columns));
        } else {
            text.push_str(head.trim_end());
            text.push('\n');
            text.push_str(&paragraph("    ", 4, &standing.sentence, quiet, paint, columns));
        }
    }
    text.push_str(&summary(patients, paint));
    text
}

/// The line that counts them.
#[must_use]
pub fn summary(patients: &Patients<'_>, paint: Paint) -> String {
    format!("{}\n", paint.text(Tone::of_grade(patients.worst()), &patients.tally().sentence()))
}

/// The document: `services`, `summary`, `grade`, `at`.
#[must_use]
pub fn document(patients: &Patients<'_>) -> Value {
    let tally = patients.tally();
    json!({
        "services": patients.all.iter().map(|one| service(patients.snapshot, one)).collect::<Vec<_>>(),
        "summary": {
            "services": patients.all.len(),
            "healthy": tally.healthy,
            "running": tally.running,
            "moving": tally.moving,
            "stopped": tally.quiet,
            "warning": tally.warning,
            "critical": tally.critical,
        },
        "grade": patients.worst().label(),
        "at": rfc3339(patients.snapshot.at.wall_us),
    })
}

fn service(snapshot: &Snapshot, (service, standing): &(&ServiceView, Standing)) -> Value {
    let checkup = service.checkup.as_ref();
    let failed: Vec<Value> = checkup
        .iter()
        .flat_map(|checkup| &checkup.failed)
        .map(|(exam, why)| json!({ "exam": exam, "why": why }))
        .collect();
    json!({
        "project": service.id.project,
        "name": service.id.service,
        "grade": standing.grade.label(),
        "word": standing.word,
        "sentence": standing.sentence,
        "phase": service.phase.label(),
        "health": service.health.label(),
        "kind": checkup.map(|checkup| checkup.kind.as_str()).filter(|kind| !kind.is_empty()),
        "title": checkup.map(|checkup| checkup.title.as_str()).filter(|title| !title.is_empty()),
        "server": checkup.and_then(|checkup| checkup.server.as_deref()),
        "known_by": checkup.map(|checkup| checkup.how.as_str()).filter(|how| !how.is_empty()),
        "looked_at": checkup.and_then(|checkup| checkup.at).map(|at| rfc3339(at.wall_us)),
        "findings": checkup.iter().flat_map(|checkup| &checkup.findings).map(finding).collect::<Vec<_>>(),
        "failed": failed,
        "probes": service.probes.iter().map(probe).collect::<Vec<_>>(),
        "remedies": checkup.map(|checkup| checkup.remedies.clone()).unwrap_or_default(),
        "blame": blame(snapshot, service).iter().map(|other| &other.id.service).collect::<Vec<_>>(),
    })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "exam": finding.exam,
        "check": finding.check,
        "grade": finding.grade.label(),
        "sentence": finding.sentence,
        "advice": finding.advice,
        "value": finding.value,
        "unit": finding.unit,
        "reads": finding.reads,
        "warn": finding.warn,
        "critical": finding.critical,
        "below": finding.below,
        "trend_per_minute": finding.trend_per_minute,
        "history": finding.history,
        "since": rfc3339(finding.since.wall_us),
    })
}

fn probe(probe: &ProbeView) -> Value {
    let (outcome, detail) = match &probe.last {
        None => (None, None),
        Some(ProbeOutcome::Passed) => (Some("passed"), None),
        Some(ProbeOutcome::Failed(detail)) => (Some("failed"), Some(detail)),
        Some(ProbeOutcome::Broken(detail)) => (Some("broken"), Some(detail)),
    };
    json!({
        "kind": probe.kind.label(),
        "check": probe.check,
        "rounds": probe.rounds,
        "failures": probe.failures,
        "outcome": outcome,
        "detail": detail,
        "took_ms": probe.last.as_ref().map(|_| probe.last_took_us as f64 / 1000.0),
    })
}
