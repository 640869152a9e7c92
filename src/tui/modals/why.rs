//! Why something is as it is: the answer of `model::why` in short paragraphs, with the keys of this console.

use ratatui::text::{Line, Span};

use super::{
    health::{hung, role},
    text::{Subject, heading},
};
use crate::{
    model::{
        ids::ServiceId,
        log::LogBatch,
        standing::{clause, glyph},
        text::plain,
        time::short_duration,
        timeline::Entry,
        why::{self, Answer, Deed, Happened, Next, Step},
    },
    tui::{
        action::{Action, GlobalKey, ServiceKey},
        format,
        panes::timeline::icon,
        theme::Role,
        ui::Ui,
    },
};

/// Lines of output that are shown from before an entry.
const BEFORE: usize = 6;
/// … and from after it.
const AFTER: usize = 3;
/// Batches of output that are looked through for them.
const LOOKED_THROUGH: usize = 5000;

pub(crate) fn lines(ui: &Ui, subject: &Subject, width: usize) -> Vec<Line<'static>> {
    let snapshot = &ui.snapshot;
    match subject {
        Subject::Service(id) => match why::service(snapshot, id) {
            Some(answer) => told(ui, &answer, width),
            None => vec![Line::styled(format!("{id} is no longer in its project"), ui.theme.style(Role::Muted))],
        },
        Subject::Project(project) => told(ui, &why::project(snapshot, project.as_ref()), width),
        Subject::Entry(entry) => {
            let mut lines = told(ui, &why::entry(snapshot, entry), width);
            lines.extend(output(ui, entry, width));
            lines
        }
    }
}

fn told(ui: &Ui, answer: &Answer, width: usize) -> Vec<Line<'static>> {
    let mark = format!("{} ", glyph(answer.grade));
    let mut lines = hung(ui, &mark, role(answer.grade), &answer.headline, width);
    for because in &answer.because {
        lines.extend(hung(ui, "  ", Role::Muted, because, width));
    }
    part(&mut lines, ui, "What led to it", &answer.led_to, |happened| happened_lines(ui, happened, width));
    part(&mut lines, ui, "Whom it is up to", &answer.blame, |blamed| {
        let sentence = format!("{} {}: {}", blamed.service.service, clause(blamed.word), blamed.sentence);
        hung(ui, &format!("{} ", glyph(blamed.grade)), role(blamed.grade), &sentence, width)
    });
    part(&mut lines, ui, "What comes next", &answer.next, |next| {
        hung(ui, "  ", Role::Muted, &next_words(ui, next), width)
    });
    part(&mut lines, ui, "What you can do", &answer.can, |step| step_lines(ui, step, width));
    lines
}

fn part<T>(
    lines: &mut Vec<Line<'static>>,
    ui: &Ui,
    title: &str,
    things: &[T],
    tell: impl Fn(&T) -> Vec<Line<'static>>,
) {
    if things.is_empty() {
        return;
    }
    lines.push(Line::default());
    lines.push(heading(ui, title));
    lines.extend(things.iter().flat_map(tell));
}

fn happened_lines(ui: &Ui, happened: &Happened, width: usize) -> Vec<Line<'static>> {
    let mark = format!("{} {} ", ui.zone.clock(happened.at.wall_us), icon(happened.severity));
    let who = happened.service.as_ref().map_or_else(String::new, |id| format!("{}: ", id.service));
    let sentence = format!("{who}{} ({})", happened.told(), happened.who);
    let mut lines = hung(ui, &mark, Role::Muted, &sentence, width);
    let indent = " ".repeat(crate::model::text::width(&mark));
    for line in &happened.lines {
        lines.extend(hung(ui, &format!("{indent}│ "), Role::Faint, line, width));
    }
    lines
}

/// With when it is, and how long until then.
fn next_words(ui: &Ui, next: &Next) -> String {
    let Some(at) = next.at else { return next.text.clone() };
    let clock = ui.zone.clock(at.wall_us);
    if at.mono_us > ui.snapshot.at.mono_us {
        format!("{} (at {clock}, in {})", next.text, short_duration(at.since(ui.snapshot.at)))
    } else {
        format!("{} (at {clock})", next.text)
    }
}

/// The key that does it on the selected service.
const fn action(deed: Deed) -> Action {
    match deed {
        Deed::StartOrStop => Action::Service(ServiceKey::StartOrStop),
        Deed::Restart => Action::Service(ServiceKey::Restart),
        Deed::Logs => Action::Service(ServiceKey::Logs),
        Deed::Health => Action::Service(ServiceKey::Health),
        Deed::Edit => Action::Global(GlobalKey::EditProject),
    }
}

/// The key, what it does, and the command that does the same.
fn step_lines(ui: &Ui, step: &Step, width: usize) -> Vec<Line<'static>> {
    let key = step.deed.and_then(|deed| ui.keymap.key(action(deed))).unwrap_or_default();
    let mut lines = hung(ui, &format!("{} ", format::cell(&key, 3)), Role::Key, &step.what, width);
    if let Some(command) = &step.command {
        let text = format::clean(&format!("    cas {command}"), width);
        lines.push(Line::styled(text, ui.theme.style(Role::Muted)));
    }
    lines
}

/// What its service wrote around an entry.
fn output(ui: &Ui, entry: &Entry, width: usize) -> Vec<Line<'static>> {
    let Some(id) = entry.service.clone().zip(entry.project.clone()) else { return Vec::new() };
    let id = ServiceId { project: id.1, service: id.0 };
    let Some(ring) = ui.logs.store.rings().iter().find(|ring| ring.service == id) else { return Vec::new() };
    let (mut before, mut after): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let mut held = ring.newest();
    for _ in 0..LOOKED_THROUGH {
        let Some(found) = held.filter(|_| before.len() < BEFORE) else { break };
        if found.batch.wall_us > entry.at.wall_us {
            // Newest first while it is gathered, so that the nearest remain.
            after = newest_first(&found.batch).into_iter().rev().chain(after).take(AFTER).collect();
        } else {
            before.extend(newest_first(&found.batch));
        }
        held = ring.before(found.serial);
    }
    before.truncate(BEFORE);
    before.reverse();
    if before.is_empty() && after.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![Line::default(), heading(ui, "Its output around then")];
    for line in &before {
        lines.extend(hung(ui, "│ ", Role::Faint, line, width));
    }
    let rule = format!("├─ {} ", ui.zone.clock(entry.at.wall_us));
    lines.push(Line::from(vec![Span::styled(rule, ui.theme.style(Role::Muted))]));
    for line in &after {
        lines.extend(hung(ui, "│ ", Role::Faint, line, width));
    }
    lines
}

fn newest_first(batch: &LogBatch) -> Vec<String> {
    batch.lines.iter().rev().map(|line| plain(batch.text_of(*line)).into_owned()).collect()
}
