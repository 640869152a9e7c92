//! Every check of every service, for people. Never shortens: what has no room is wrapped.

use std::{fmt::Write as _, time::Duration};

use super::{
    checkup::{Patients, kind_of, summary, tone_of},
    paragraph,
};
use crate::{
    cli::{
        paint::{Paint, Tone},
        render::status::has_several_projects,
        text::plain,
    },
    model::{
        exam::{Checkup, Finding, Grade},
        figure::{judged, spark, thresholds, trend},
        probe::ProbeOutcome,
        snapshot::{ProbeView, ServiceView},
        standing::{Standing, glyph, took_words},
        time::{Timestamp, short_duration},
    },
};

/// Columns before what a check says: margin, glyph, the longest grade.
const INDENT: usize = 14;
/// Columns of the history of a figure.
const SPARK: usize = 24;

/// How it is written.
#[derive(Clone, Copy)]
struct Look {
    paint: Paint,
    columns: Option<u16>,
    now: Timestamp,
}

/// Every service with every check, the worst first, and a line that counts the services.
#[must_use]
pub fn text(patients: &Patients<'_>, paint: Paint, columns: Option<u16>) -> String {
    let look = Look { paint, columns, now: patients.snapshot.at };
    let several = has_several_projects(patients.snapshot);
    let mut text = String::new();
    for (service, standing) in &patients.all {
        one(&mut text, service, standing, several, look);
        text.push('\n');
    }
    text.push_str(&summary(patients, paint));
    text
}

fn one(text: &mut String, service: &ServiceView, standing: &Standing, several: bool, look: Look) {
    let Look { paint, columns, now } = look;
    let tone = tone_of(standing);
    let name = if several { service.id.to_string() } else { service.id.service.to_string() };
    let kind = kind_of(service);
    let kind = if kind == "-" { String::new() } else { format!("  {kind}") };
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(
        text,
        "{} {}{kind}  {}",
        paint.text(tone, standing.glyph()),
        paint.text(Tone::Strong, &name),
        paint.text(tone, standing.word)
    );
    text.push_str(&paragraph("  ", 2, &standing.sentence, Tone::Plain, paint, columns));
    let since = short_duration(now.since(service.phase.since()));
    let standing = format!("{} for {since}, probes: {}", service.phase.label(), service.health.label());
    text.push_str(&paragraph("  ", 2, &standing, Tone::Dim, paint, columns));
    if let Some(checkup) = &service.checkup {
        known(text, checkup, look);
        for finding in &checkup.findings {
            check(text, finding, look);
        }
        for (exam, why) in &checkup.failed {
            let head = format!("  {} {:<10}", paint.text(Tone::Warning, "▲"), "not seen");
            text.push_str(&paragraph(&head, INDENT, &format!("{exam}: {why}"), Tone::Warning, paint, columns));
        }
    }
    for probe in &service.probes {
        text.push_str(&probe_text(probe, look));
    }
    let remedies = service.checkup.as_ref().map(|checkup| checkup.remedies.join(", then ")).unwrap_or_default();
    if !remedies.is_empty() {
        let sentence = format!("where it is not well: {remedies}");
        text.push_str(&paragraph("  ", 2, &sentence, Tone::Dim, paint, columns));
    }
}

fn known(text: &mut String, checkup: &Checkup, look: Look) {
    let at = checkup.at.map_or_else(
        || "not looked at yet".to_owned(),
        |at| format!("looked at {} ago", short_duration(look.now.since(at))),
    );
    let kind = if checkup.kind.is_empty() {
        String::new()
    } else {
        format!("{} ({}), since {}; ", checkup.title, checkup.kind, checkup.how)
    };
    text.push_str(&paragraph("  ", 2, &format!("{kind}{at}"), Tone::Dim, look.paint, look.columns));
}

fn check(text: &mut String, finding: &Finding, look: Look) {
    let Look { paint, columns, now } = look;
    let tone = Tone::of_grade(finding.grade);
    let word = format!("{:<10}", finding.grade.label());
    let head = format!("  {} {}", paint.text(tone, glyph(finding.grade)), paint.text(tone, &word));
    text.push_str(&paragraph(&head, INDENT, &finding.sentence, Tone::Plain, paint, columns));
    let below = " ".repeat(INDENT);
    let mut figures = Vec::new();
    if let Some(value) = finding.value {
        let limits = thresholds(finding);
        let value = judged(finding.unit, finding.reads, value);
        figures.push(if limits.is_empty() { value } else { format!("{value} ({limits})") });
    }
    figures.extend(trend(finding));
    if finding.history.len() > 1 {
        figures.push(spark(&finding.history, finding.critical.or(finding.warn).filter(|_| !finding.below), SPARK));
    }
    if finding.grade >= Grade::Warning {
        figures.push(format!("for {}", short_duration(now.since(finding.since))));
    }
    if !figures.is_empty() {
        text.push_str(&paragraph(&below, INDENT, &figures.join(" · "), Tone::Dim, paint, columns));
    }
    if let Some(advice) = &finding.advice {
        let head = format!("{below}{} ", paint.text(Tone::Moving, "→"));
        text.push_str(&paragraph(&head, INDENT + 2, advice, Tone::Plain, paint, columns));
    }
}

fn probe_text(probe: &ProbeView, look: Look) -> String {
    let took = took_words(Duration::from_micros(probe.last_took_us));
    let (mark, tone, said) = match &probe.last {
        None => ("◌", Tone::Dim, "not asked yet".to_owned()),
        Some(ProbeOutcome::Passed) => ("✓", Tone::Good, format!("passed in {took}")),
        Some(ProbeOutcome::Failed(detail)) => ("✗", Tone::Bad, format!("failed after {took}: {detail}")),
        Some(ProbeOutcome::Broken(detail)) => ("⊘", Tone::Bad, format!("cannot be put: {detail}")),
    };
    let row = if probe.failures > 0 { format!(", {} failures in a row", probe.failures) } else { String::new() };
    let sentence = format!("{}: {said}, round {}{row}", plain(&probe.check), probe.rounds);
    let head = format!("  {} {:<10}", look.paint.text(tone, mark), probe.kind.label());
    paragraph(&head, INDENT, &sentence, Tone::Plain, look.paint, look.columns)
}
