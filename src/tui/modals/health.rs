//! Every check of one service: figures against their thresholds, courses, what to do, and its probes.

use ratatui::text::{Line, Span};

use super::{
    detail,
    text::{field, heading},
};
use crate::{
    model::{
        exam::{Checkup, Finding, Grade},
        figure::{judged, spark, thresholds, trend, way},
        ids::ServiceId,
        snapshot::ServiceView,
        standing::{Standing, glyph},
        time::short_duration,
    },
    tui::{format, theme::Role, ui::Ui},
};

/// Columns of a bar against a threshold.
const BAR: usize = 16;
/// Columns before what a check says.
const INDENT: usize = 2;

/// The meaning of a grade.
pub(super) const fn role(grade: Grade) -> Role {
    match grade {
        Grade::Good => Role::Good,
        Grade::Notice => Role::Info,
        Grade::Warning => Role::Warning,
        Grade::Critical => Role::Error,
    }
}

pub(crate) fn lines(ui: &Ui, id: &ServiceId, width: usize) -> Vec<Line<'static>> {
    let Some(service) = ui.snapshot.service(id) else {
        return vec![Line::styled(format!("{id} is no longer in its project"), ui.theme.style(Role::Muted))];
    };
    let standing = Standing::of(&ui.snapshot, service);
    let tone =
        if standing.grade >= Grade::Warning || standing.is_known_well() { role(standing.grade) } else { Role::Muted };
    let style = ui.theme.style(tone);
    let mut lines = vec![Line::from(vec![
        Span::styled(format!("{} {}", standing.glyph(), standing.word), style),
        Span::styled(
            format!("   {} for {}", service.phase.label(), short_duration(ui.snapshot.at.since(service.phase.since()))),
            ui.theme.style(Role::Muted),
        ),
    ])];
    lines.extend(format::wrap(&standing.sentence, width).into_iter().map(|line| Line::styled(line, ui.ink())));
    lines.push(Line::default());
    match &service.checkup {
        Some(checkup) => lines.extend(checkup_lines(ui, checkup, width)),
        None => lines.extend(unknown(ui, service, width)),
    }
    lines.extend(detail::probes(ui, service, width));
    if let Some(checkup) = service.checkup.as_ref().filter(|checkup| !checkup.remedies.is_empty()) {
        lines.push(heading(ui, "Where it is not well, in this order"));
        for (number, remedy) in checkup.remedies.iter().enumerate() {
            lines.extend(hung(ui, &format!("{}. ", number + 1), Role::Muted, remedy, width));
        }
    }
    lines
}

fn unknown(ui: &Ui, service: &ServiceView, width: usize) -> Vec<Line<'static>> {
    let sentence = if service.probes.is_empty() {
        "Nothing asks it whether it is well: it is of no kind that is known, and its file has no probe for it. \
         `kind:` names its kind, `readiness:` a probe; `cas kinds` lists the kinds."
    } else {
        "It is of no kind that is known: its probes are all that is asked. `kind:` names its kind; `cas kinds` lists them."
    };
    let mut lines: Vec<Line<'static>> =
        format::wrap(sentence, width).into_iter().map(|line| Line::styled(line, ui.theme.style(Role::Muted))).collect();
    lines.push(Line::default());
    lines
}

fn checkup_lines(ui: &Ui, checkup: &Checkup, width: usize) -> Vec<Line<'static>> {
    let server = checkup.server.as_deref().filter(|server| !server.is_empty()).unwrap_or(&checkup.title);
    let mut lines = Vec::new();
    if !server.is_empty() {
        lines.extend(field(ui, "kind", server, width));
    }
    if !checkup.how.is_empty() {
        lines.extend(field(ui, "known by", &checkup.how, width));
    }
    let at = checkup
        .at
        .map_or_else(|| "not yet".to_owned(), |at| format!("{} ago", short_duration(ui.snapshot.at.since(at))));
    lines.extend(field(ui, "looked at", &at, width));
    for (exam, why) in &checkup.failed {
        lines.extend(hung(ui, "▲ ", Role::Warning, &format!("could not be looked at ({exam}): {why}"), width));
    }
    lines.push(Line::default());
    if !checkup.findings.is_empty() {
        lines.push(heading(ui, "Checks"));
    }
    for finding in &checkup.findings {
        lines.extend(finding_lines(ui, finding, width));
    }
    if !checkup.findings.is_empty() {
        lines.push(Line::default());
    }
    lines
}

/// `mark text`, the text wrapped and indented below itself.
pub(super) fn hung(ui: &Ui, mark: &str, role: Role, text: &str, width: usize) -> Vec<Line<'static>> {
    let indent = crate::model::text::width(mark);
    format::wrap(text, width.saturating_sub(indent))
        .into_iter()
        .enumerate()
        .map(|(number, piece)| {
            let before = if number == 0 { mark.to_owned() } else { " ".repeat(indent) };
            Line::from(vec![Span::styled(before, ui.theme.style(role)), Span::styled(piece, ui.ink())])
        })
        .collect()
}

fn finding_lines(ui: &Ui, finding: &Finding, width: usize) -> Vec<Line<'static>> {
    let grade_role = role(finding.grade);
    let mut sentence = finding.sentence.clone();
    if finding.grade >= Grade::Warning {
        let since = short_duration(ui.snapshot.at.since(finding.since));
        sentence = format!("{}: {sentence} (for {since})", finding.grade.label());
    }
    let mut lines = hung(ui, &format!("{} ", glyph(finding.grade)), grade_role, &sentence, width);
    let margin = || Span::raw(" ".repeat(INDENT));
    if let Some(value) = finding.value {
        let mut spans = vec![margin()];
        if let Some(way) = way(finding) {
            let [full, empty] = format::gauge(way as f32, BAR, ui.theme.style(grade_role), ui.theme.style(Role::Faint));
            spans.extend([full, empty, Span::raw(" ")]);
        }
        spans.push(Span::styled(judged(finding.unit, finding.reads, value), ui.ink()));
        let limits = thresholds(finding);
        if !limits.is_empty() {
            let room = width.saturating_sub(format::spans_width(&spans));
            spans.push(Span::styled(format::clean(&format!("  {limits}"), room), ui.theme.style(Role::Muted)));
        }
        lines.push(Line::from(spans));
    }
    let course = trend(finding);
    if finding.history.len() > 1 || course.is_some() {
        let top = finding.critical.or(finding.warn).filter(|_| !finding.below);
        let spark = spark(&finding.history, top, BAR);
        let mut spans =
            vec![margin(), Span::styled(format::cell(&spark, BAR), ui.theme.style(Role::GraphCpu)), Span::raw(" ")];
        let room = width.saturating_sub(format::spans_width(&spans));
        spans.push(Span::styled(format::clean(&course.unwrap_or_default(), room), ui.theme.style(Role::Muted)));
        lines.push(Line::from(spans));
    }
    if let Some(advice) = &finding.advice {
        let margin = " ".repeat(INDENT);
        lines.extend(hung(ui, &format!("{margin}→ "), Role::Accent, advice, width));
    }
    lines
}
