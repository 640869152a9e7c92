//! The line at the top, the one for what is wrong, and the one at the bottom, which is computed from what applies.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    text::{Line, Span},
};

use super::{
    action::{Action, ConfirmKey, GlobalKey, ListKey, LogsKey, PromptKey, ServiceKey},
    containers::ContainerRow,
    draw::set_cursor,
    format::{clean, gauge, justified, spans_width},
    logs::view::Showing,
    modals::{Modal, text::TextKind},
    panes::{alarm, containers::WITH_SIDE, projects::counted},
    theme::Role,
    ui::{Access, FilterPrompt, Leaving, LogPosition, Pane, Ui},
    when,
    widgets::{badge, key_hints, units},
};
use crate::{
    host::handle::Link,
    insight::filter::{Pattern, Reading, Term},
    model::{
        command::Verb, metric::HostUsage, policy::Autopilot, project::Problem, snapshot::Counts, standing::unwell,
        time::coarse_duration,
    },
};

pub(crate) fn header(frame: &mut Frame<'_>, ui: &Ui, area: Rect) {
    let bar = ui.theme.style(Role::HeaderBar);
    let counts = Counts::of(ui.snapshot.services.iter().map(AsRef::as_ref));
    let mut left = vec![Span::raw(" "), badge("cas", ui.theme.style(Role::Accent), &ui.theme), Span::raw(" ")];
    let title = clean(&project_title(ui), usize::from(area.width / 5).max(8));
    left.push(Span::styled(format!("{title}  "), ui.theme.style(Role::Title)));
    left.extend(tally(ui, &counts, area.width >= ROOM_FOR_WORDS));
    left.push(Span::raw(" "));
    if let Some((text, role)) = firing(ui) {
        left.push(Span::styled(text, ui.theme.style(role)));
        left.push(Span::raw(" "));
    }
    if ui.access == Access::Looking {
        left.push(badge("read-only", ui.theme.style(Role::Info), &ui.theme));
        left.push(Span::raw(" "));
    }
    if ui.leaving == Leaving::StoppingAll || ui.snapshot.engine.leaving {
        left.push(badge("leaving", ui.theme.style(Role::Warning), &ui.theme));
    }
    let clock = Span::styled(format!(" {} ", ui.zone.clock(ui.snapshot.at.wall_us)), ui.theme.style(Role::Title));
    // The roomiest form that fits; the clock alone where none does.
    let room = usize::from(area.width).saturating_sub(spans_width(&left));
    let form = [Form::Full, Form::Short, Form::Terse, Form::Bare].into_iter().map(|form| {
        let mut parts: Vec<Vec<Span<'static>>> = Vec::new();
        if form != Form::Bare {
            parts.extend(ui.host.view.usage.as_ref().map(|usage| host_spans(ui, usage, form)));
        }
        parts.push(autopilot_spans(ui, form));
        parts.extend(link_spans(ui));
        parts.push(vec![clock.clone()]);
        parts
    });
    let fits = |parts: &Vec<Vec<Span<'static>>>| {
        parts.iter().map(|part| spans_width(part)).sum::<usize>() + 2 * (parts.len() - 1) < room
    };
    let right = form.into_iter().find(fits).unwrap_or_else(|| vec![vec![clock.clone()]]);
    let separated: Vec<Span<'static>> = right
        .into_iter()
        .enumerate()
        .flat_map(|(place, part)| {
            let separator = if place == 0 { "" } else { " │" };
            std::iter::once(Span::styled(separator, ui.theme.style(Role::Faint))).chain(part)
        })
        .collect();
    frame.render_widget(justified(left, separated, area.width).style(bar), area);
}

/// How many alarms fire, coloured by the worst of them; none where none does.
fn firing(ui: &Ui) -> Option<(String, Role)> {
    let (critical, warning) = ui.snapshot.alerts.firing();
    let role = if critical > 0 { Role::Error } else { Role::Warning };
    (critical + warning > 0).then(|| (format!("▲{}", critical + warning), role))
}

/// Width from which the counts of the header say in words what they count.
const ROOM_FOR_WORDS: u16 = 150;

/// The counts of all services. What is broken is a block of colour, so that it is the first thing that is seen.
fn tally(ui: &Ui, counts: &Counts, with_words: bool) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    let mut parts: Vec<_> = counted(counts).collect();
    let flagged = ui.snapshot.services.iter().filter(|service| unwell(service).total() > 0).count();
    if flagged > 0 {
        let place = parts.iter().take_while(|(.., role)| *role == Role::Error).count();
        parts.insert(place, ("▲", "to look at", flagged, Role::Warning));
    }
    for (mark, word, count, role) in parts {
        let text = if with_words { format!("{mark} {count} {word}") } else { format!("{mark}{count}") };
        let style = ui.theme.style(role);
        if role == Role::Error {
            spans.push(Span::styled(format!(" {text} "), alarm(style)));
            spans.push(Span::raw(" "));
        } else {
            spans.push(Span::styled(format!("{text}{}", if with_words { "   " } else { " " }), style));
        }
    }
    spans
}

fn project_title(ui: &Ui) -> String {
    let open: Vec<&str> = ui.snapshot.projects.iter().filter(|p| p.open).map(|p| p.name.as_str()).collect();
    match open.as_slice() {
        [] => "no project".to_owned(),
        [only] => (*only).to_owned(),
        several => {
            let selected = ui.services.selected.as_ref().map_or(several[0], |id| id.project.as_str());
            format!("{selected} +{}", several.len() - 1)
        }
    }
}

/// How much room the right half of the header takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Full,
    Short,
    Terse,
    /// Without the machine.
    Bare,
}

fn host_spans(ui: &Ui, usage: &HostUsage, form: Form) -> Vec<Span<'static>> {
    let (muted, text, faint) = (ui.theme.style(Role::Muted), ui.ink(), ui.theme.style(Role::Faint));
    let memory = usage.memory_used_bytes as f32 / (usage.memory_total_bytes.max(1)) as f32;
    let mut spans = vec![Span::styled(" cpu", muted)];
    if form == Form::Full {
        spans.push(Span::raw(" "));
        spans.extend(gauge(usage.cpu_percent / 100.0, 6, ui.theme.style(Role::GraphCpu), faint));
    }
    spans.push(Span::styled(format!("{:>4.0}%", usage.cpu_percent), text));
    match form {
        Form::Full => {
            spans.push(Span::styled("  mem ", muted));
            spans.extend(gauge(memory, 6, ui.theme.style(Role::GraphMemory), faint));
            let (used, total) = (units::bytes(usage.memory_used_bytes), units::bytes(usage.memory_total_bytes));
            spans.push(Span::styled(format!(" {used:>4}/{total}"), text));
        }
        Form::Short => {
            spans.push(Span::styled(" mem", muted));
            spans.push(Span::styled(format!("{:>4.0}%", memory * 100.0), text));
        }
        Form::Terse | Form::Bare => {}
    }
    spans.push(Span::styled(" load", muted));
    spans.push(Span::styled(format!("{:>5.2}", usage.load[0]), text));
    spans
}

fn autopilot_spans(ui: &Ui, form: Form) -> Vec<Span<'static>> {
    let (role, mark) = match ui.snapshot.engine.autopilot {
        Autopilot::On => (Role::Good, "◉"),
        Autopilot::Off => (Role::Warning, "◎"),
    };
    let word = match form {
        Form::Full | Form::Short => "autopilot",
        Form::Terse | Form::Bare => "auto",
    };
    let text = format!(" {mark} {word} {}", ui.snapshot.engine.autopilot.label());
    vec![Span::styled(text, ui.theme.style(role))]
}

fn link_spans(ui: &Ui) -> Option<Vec<Span<'static>>> {
    match ui.link {
        Link::Local => None,
        Link::Connected => {
            let engine = &ui.snapshot.engine;
            let text = if engine.daemon {
                format!(" ⇄ daemon {}", coarse_duration(ui.snapshot.at.since(engine.started)))
            } else {
                " ⇄ connected".to_owned()
            };
            Some(vec![Span::styled(text, ui.theme.style(Role::Muted))])
        }
        Link::Retrying { .. } => Some(vec![Span::styled(" ⇄ retrying", ui.theme.style(Role::Error))]),
    }
}

/// The most urgent thing that is wrong, in one line.
pub(crate) fn banner(frame: &mut Frame<'_>, ui: &Ui, area: Rect) {
    let (role, text) = if let Link::Retrying { since, next } = ui.link {
        let (lost, wait) = (ui.zone.clock(since.wall_us), coarse_duration(next.since(since)));
        (
            Role::Error,
            format!(
                "⇄ the engine does not answer since {lost}; this is its last picture; trying again every {wait} or so"
            ),
        )
    } else if let Some(first) = ui.snapshot.problems.first() {
        let count = ui.snapshot.problems.len();
        (
            Role::Error,
            format!(
                "✗ project file not taken, {count} problem{}: {}{}",
                if count == 1 { "" } else { "s" },
                place(first),
                first.message
            ),
        )
    } else if let Some(trouble) = ui.snapshot.troubles.values().next() {
        (Role::Warning, format!("▲ {trouble}"))
    } else if let Some(note) = ui.other_version() {
        (Role::Info, format!("▲ {note}"))
    } else {
        return;
    };
    let key = ui.keymap.key(GlobalKey::ShowProblems.into()).unwrap_or_default();
    let style = ui.theme.style(role);
    let more = vec![
        Span::styled(format!(" {key} "), ui.theme.style(Role::Key)),
        Span::styled("shows all ", ui.theme.style(Role::KeyLabel)),
    ];
    let room = usize::from(area.width).saturating_sub(spans_width(&more) + 3);
    let line = justified(vec![Span::styled(format!(" {}", clean(&text, room)), style)], more, area.width);
    frame.render_widget(line.style(ui.theme.style(Role::HeaderBar)), area);
}

/// `cas.yaml:3:14 `: before the message and without directories, so that it is never what has no room.
fn place(problem: &Problem) -> String {
    let Some(source) = &problem.source else { return String::new() };
    let file = source.file.file_name().unwrap_or(source.file.as_os_str());
    format!("{}:{}:{} ", file.display(), source.line, source.column)
}

/// A key and what it does just now.
type Hint = (Action, String);

pub(crate) fn footer(frame: &mut Frame<'_>, ui: &Ui, area: Rect) {
    let hints: Vec<(String, String)> =
        hints(ui).into_iter().filter_map(|(action, label)| Some((ui.keymap.key(action)?, label))).collect();
    let hints: Vec<(&str, &str)> = hints.iter().map(|(key, label)| (key.as_str(), label.as_str())).collect();
    let always = if ui.modal.is_none() { always(ui) } else { Line::default() };
    let fixed: usize = spans_width(&always.spans);
    let room = usize::from(area.width).saturating_sub(fixed + 1);
    let left = key_hints(&hints, room, &ui.theme);
    let line = justified(left.spans, always.spans, area.width);
    frame.render_widget(line.style(ui.theme.style(Role::HeaderBar)), area);
}

/// Keys that are good to know on any pane.
fn always(ui: &Ui) -> Line<'static> {
    let keys: Vec<(String, String)> = [GlobalKey::Palette, GlobalKey::Help, GlobalKey::Quit]
        .into_iter()
        .filter_map(|key| {
            let binding = ui.keymap.binding(key.into())?;
            Some((binding.keys.first()?.short(), binding.label.clone()))
        })
        .collect();
    let keys: Vec<(&str, &str)> = keys.iter().map(|(key, label)| (key.as_str(), label.as_str())).collect();
    key_hints(&keys, usize::MAX, &ui.theme)
}

/// What applies to what is selected, the most useful first.
fn hints(ui: &Ui) -> Vec<Hint> {
    let label = |action: Action| ui.keymap.binding(action).map_or_else(String::new, |binding| binding.label.clone());
    let named = |action: Action| (action, label(action));
    if let Some(modal) = &ui.modal {
        let mut hints: Vec<Hint> = modal_keys(modal).iter().copied().map(named).collect();
        if let Modal::Text { kind: TextKind::Container { .. }, .. } = modal {
            hints.extend(container_hints(ui));
            hints.retain(|(action, _)| ui.access == Access::Full || !action.is_wish());
        }
        return hints;
    }
    if ui.focus == Pane::Patterns {
        return pattern_hints(ui);
    }
    if ui.focus == Pane::Containers {
        let mut hints = container_hints(ui);
        if ui.selected_container().is_some() {
            // Where all that is known stands beside the list, to open it says little more.
            let place = if ui.size.width < WITH_SIDE { 2 } else { hints.len() };
            hints.insert(place.min(hints.len()), named(ListKey::Open.into()));
            hints.push(named(ListKey::Filter.into()));
            hints.push(named(ListKey::Copy.into()));
        } else if ui.containers.pattern.is_some() {
            hints.push(named(ListKey::Filter.into()));
        }
        hints.push(named(GlobalKey::Back.into()));
        hints.retain(|(action, _)| ui.access == Access::Full || !action.is_wish());
        return hints;
    }
    let mut hints = Vec::new();
    if ui.focus == Pane::Logs {
        hints.extend(log_hints(ui));
    }
    let marked = ui.services.marks.len();
    let of = if marked > 1 { format!(" {marked}") } else { String::new() };
    if ui.focus != Pane::Projects {
        let start_or_stop = ui.start_or_stop();
        if ui.applies(Verb::Restart) {
            hints.push((ServiceKey::Restart.into(), format!("{}{of}", Verb::Restart.label())));
        }
        if let Some(verb) = start_or_stop {
            hints.push((ServiceKey::StartOrStop.into(), format!("{}{of}", verb.label())));
        }
        let looks = !ui.targets().is_empty() && matches!(ui.focus, Pane::Services | Pane::Graphs);
        if looks {
            let keys =
                [GlobalKey::Why.into(), ServiceKey::Health.into(), ServiceKey::Detail.into(), ServiceKey::Logs.into()];
            hints.extend(keys.map(named));
        }
        if ui.applies(Verb::Kill) {
            hints.push((ServiceKey::Kill.into(), format!("{}{of}", Verb::Kill.label())));
        }
        if ui.applies(Verb::Signal) {
            hints.push((ServiceKey::Signal.into(), Verb::Signal.label().to_owned()));
        }
        if let Some(verb) = ui.pause_or_unpause() {
            hints.push((ServiceKey::PauseOrUnpause.into(), format!("{}{of}", verb.label())));
        }
        hints.extend(about_containers(ui).map(|(action, label)| (action, format!("{label}{of}"))));
    }
    let has_service = !ui.targets().is_empty();
    match ui.focus {
        Pane::Projects => {
            hints.extend([ListKey::Open.into(), ListKey::Mark.into(), GlobalKey::Why.into()].map(named));
        }
        Pane::Services | Pane::Graphs if has_service => {
            hints.push(named(ListKey::Mark.into()));
            hints.push(named(ServiceKey::Shell.into()));
        }
        Pane::Timeline => hints.extend([ListKey::Open.into(), GlobalKey::Why.into()].map(named)),
        Pane::Services | Pane::Graphs | Pane::Logs | Pane::Containers | Pane::Patterns => {}
    }
    if ui.focus != Pane::Logs {
        hints.push(named(ListKey::Filter.into()));
    }
    if ui.has_engine_of_containers() {
        hints.push(named(GlobalKey::ContainersPane.into()));
    }
    if !ui.snapshot.services.is_empty() {
        hints.extend([GlobalKey::StartAll, GlobalKey::StopAll].map(Action::from).map(named));
    }
    hints.extend([GlobalKey::Zoom, GlobalKey::EditProject, GlobalKey::PickTheme].map(Action::from).map(named));
    hints.push(named(ListKey::Copy.into()));
    if ui.access == Access::Looking {
        hints.retain(|(action, _)| !action.is_wish());
    }
    hints
}

/// What is about containers only, as far as it would do anything.
fn about_containers(ui: &Ui) -> impl Iterator<Item = Hint> {
    let keys = [(ServiceKey::Recreate, Verb::Recreate), (ServiceKey::Pull, Verb::Pull), (ServiceKey::Rm, Verb::Rm)];
    keys.into_iter().filter(|(_, verb)| ui.applies(*verb)).map(|(key, verb)| (key.into(), verb.label().to_owned()))
}

/// What applies to the selected container, be it a service's or not.
fn container_hints(ui: &Ui) -> Vec<Hint> {
    let Some(container) = ui.selected_container() else { return Vec::new() };
    let label = |action: ServiceKey| {
        let binding = ui.keymap.binding(action.into());
        (Action::from(action), binding.map_or_else(String::new, |binding| binding.label.clone()))
    };
    let verbs = [
        (ServiceKey::Restart, Some(Verb::Restart).filter(|verb| ui.applies(*verb))),
        (ServiceKey::StartOrStop, ui.start_or_stop()),
        (ServiceKey::PauseOrUnpause, ui.pause_or_unpause()),
        (ServiceKey::Kill, Some(Verb::Kill).filter(|verb| ui.applies(*verb))),
        (ServiceKey::Signal, Some(Verb::Signal).filter(|verb| ui.applies(*verb))),
    ];
    let mut hints: Vec<Hint> =
        verbs.into_iter().filter_map(|(key, verb)| Some((key.into(), verb?.label().to_owned()))).collect();
    if container.state == "running" && ui.snapshot.docker.obstacle().is_none() {
        hints.insert(hints.len().min(3), label(ServiceKey::Shell));
    }
    hints.extend(about_containers(ui));
    if ui.owner(container).is_some() {
        hints.extend([ServiceKey::Logs, ServiceKey::Health].map(label));
    }
    hints
}

/// What can be done with the thing over the panes.
const fn modal_keys(modal: &Modal) -> &'static [Action] {
    match modal {
        Modal::Palette(_) => &[
            Action::Prompt(PromptKey::Accept),
            Action::Prompt(PromptKey::Complete),
            Action::Prompt(PromptKey::NextChoice),
            Action::Prompt(PromptKey::PreviousChoice),
            Action::Prompt(PromptKey::Cancel),
        ],
        Modal::Confirm { .. } => &[Action::Confirm(ConfirmKey::Agree), Action::Confirm(ConfirmKey::Decline)],
        Modal::Leave { .. } => &[
            Action::Confirm(ConfirmKey::LeaveRunning),
            Action::Confirm(ConfirmKey::StopAndQuit),
            Action::Confirm(ConfirmKey::Decline),
        ],
        Modal::Signals { .. } | Modal::Themes { .. } | Modal::Share(_) => &[
            Action::List(ListKey::Open),
            Action::List(ListKey::Down),
            Action::List(ListKey::Up),
            Action::Global(GlobalKey::Back),
        ],
        Modal::Text {
            kind: TextKind::Service(_) | TextKind::Health(_) | TextKind::Why(_) | TextKind::Entry(_),
            ..
        } => &[
            Action::Global(GlobalKey::Back),
            Action::List(ListKey::Down),
            Action::List(ListKey::Up),
            Action::Global(GlobalKey::Why),
            Action::Service(ServiceKey::Health),
            Action::Service(ServiceKey::Detail),
            Action::List(ListKey::PageDown),
            Action::List(ListKey::Copy),
        ],
        Modal::Text { kind: TextKind::Container { .. }, .. } => {
            &[Action::Global(GlobalKey::Back), Action::List(ListKey::Down), Action::List(ListKey::Up)]
        }
        Modal::Text { kind: TextKind::Help | TextKind::Problems, .. } => &[
            Action::Global(GlobalKey::Back),
            Action::List(ListKey::Down),
            Action::List(ListKey::Up),
            Action::List(ListKey::PageDown),
            Action::List(ListKey::Copy),
        ],
    }
}

/// What can be done with patterns.
fn pattern_hints(ui: &Ui) -> Vec<Hint> {
    let named =
        |action: Action| (action, ui.keymap.binding(action).map_or_else(String::new, |binding| binding.label.clone()));
    let mut hints = vec![(Action::List(ListKey::Mark), "new since …".to_owned()), named(ListKey::Filter.into())];
    if ui.selected_pattern().is_some() {
        hints.insert(0, (ListKey::Open.into(), "its lines".to_owned()));
        hints.push(named(ListKey::Copy.into()));
    }
    hints.push(named(LogsKey::ToggleAll.into()));
    hints.push(named(GlobalKey::Back.into()));
    hints
}

fn log_hints(ui: &Ui) -> Vec<Hint> {
    let either = |action: LogsKey, is_on: bool, on: &str, off: &str| {
        (Action::from(action), if is_on { on.to_owned() } else { off.to_owned() })
    };
    let named = |action: LogsKey| {
        let label = ui.keymap.binding(action.into()).map_or_else(String::new, |binding| binding.label.clone());
        (Action::from(action), label)
    };
    let is_following = ui.logs.position == LogPosition::Following;
    let mut hints = vec![
        (Action::from(ListKey::Filter), "filter".to_owned()),
        named(LogsKey::NextError),
        named(LogsKey::Level),
        either(LogsKey::ToggleFollow, is_following, "hold", "follow"),
        named(LogsKey::Histogram),
        named(LogsKey::Share),
        either(LogsKey::ToggleAll, ui.logs.everyone, "selected", "all services"),
        either(LogsKey::ToggleTimestamps, ui.logs.timestamps, "no times", "times"),
    ];
    if ui.logs.is_narrowed() {
        let whole = either(LogsKey::ToggleContext, ui.logs.showing == Showing::Whole, "matches only", "whole");
        hints.splice(1..1, [named(LogsKey::AddFilter), whole, named(LogsKey::Around)]);
        hints.insert(0, (ListKey::NextMatch.into(), "next".to_owned()));
    }
    hints
}

/// The line in which a filter is typed.
pub(crate) fn prompt(frame: &mut Frame<'_>, ui: &Ui, prompt: &FilterPrompt, area: Rect) {
    let sign = if prompt.pane == Pane::Logs && prompt.place > 0 { "&" } else { "/" };
    let label = format!(" {} {sign}", prompt.pane.title());
    let typed = prompt.edit.text().to_owned();
    let found = match prompt.pane {
        Pane::Projects => ui.project_rows().len(),
        Pane::Services | Pane::Graphs => ui.service_rows().len(),
        Pane::Logs => ui.logs.view.len(),
        Pane::Timeline => ui.timeline_rows().len(),
        Pane::Containers => ui.container_rows().iter().filter(|row| matches!(row, ContainerRow::Container(_))).count(),
        Pane::Patterns => ui.pattern_rows().len(),
    };
    let reading = if prompt.pane == Pane::Logs {
        Term::parse(&typed).map(|term| term.reading())
    } else {
        Pattern::parse(&typed).map(|pattern| pattern.reading())
    };
    let how = match reading {
        None if prompt.pane == Pane::Projects => "letters of a name or a directory; Enter opens the best".to_owned(),
        Some(_) if prompt.pane == Pane::Projects => format!("{found} found · Enter opens, ↑ ↓ choose"),
        _ if prompt.pane == Pane::Logs && typed.starts_with(when::SIGN) => {
            let at = when::parse(&typed[when::SIGN.len_utf8()..], ui.snapshot.at.wall_us, ui.zone);
            at.map_or_else(
                |_| "a time: 14:05, 2026-11-28T14:05, -2h".to_owned(),
                |at| format!("to {}", ui.zone.date(at)),
            )
        }
        None if prompt.pane == Pane::Logs => "regex; !not; fields: status>=500 path~/api; @14:05".to_owned(),
        None => "regex, smart case; !pattern for what does not match".to_owned(),
        Some(Reading::Regex) => format!("{found} shown · regex"),
        Some(Reading::Text) => format!("{found} shown · not a regex, taken as text"),
        Some(Reading::Fields) => format!("{found} shown · fields"),
        Some(Reading::Template) => format!("{found} shown · pattern"),
    };
    let before = u16::try_from(label.chars().count()).unwrap_or(0);
    let left = vec![Span::styled(label, ui.theme.style(Role::Accent)), Span::styled(typed, ui.ink())];
    let right = vec![Span::styled(format!("{how} "), ui.theme.style(Role::Muted))];
    frame.render_widget(justified(left, right, area.width).style(ui.theme.style(Role::HeaderBar)), area);
    set_cursor(
        frame,
        Position::new(area.x + before, area.y),
        prompt.edit.before_cursor(),
        area.width.saturating_sub(before),
    );
}
