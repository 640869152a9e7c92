//! The services of open projects, one a row. What needs a look is told by glyph, word and colour together.

use std::time::Duration;

use ratatui::{
    Frame,
    layout::Rect,
    style::Modifier,
    text::{Line, Span},
};

use super::{Picked, Titles, alarm, bar, empty, filter_spans, panel, projects::count_spans, put_row};
use crate::{
    model::{
        exam::Grade,
        ids::ProjectName,
        phase::{Health, Phase},
        snapshot::{Counts, ServiceView},
        standing::unwell,
        text,
        time::coarse_duration,
    },
    tui::{
        format::{cell, right_cell},
        lists::ServiceRow,
        theme::Role,
        ui::{Pane, Ui},
        widgets::{Column, columns, sparkline::sparkline, units},
    },
};

/// CPU below this share of a core fills less than the whole sparkline, so that noise of a quiet service stays flat.
const SPARK_FLOOR: f32 = 25.0;

/// The least [`ServiceView::concern`] of what is to catch the eye.
const WRONG: u8 = 2;

/// What a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    Phase,
    Health,
    Uptime,
    Restarts,
    Cpu,
    Memory,
    Spark,
    Why,
}

const FIELDS: [Field; 9] = [
    Field::Name,
    Field::Phase,
    Field::Health,
    Field::Uptime,
    Field::Restarts,
    Field::Cpu,
    Field::Memory,
    Field::Spark,
    Field::Why,
];

impl Field {
    /// Heading, and whether its values stand at the right.
    const fn heading(self) -> (&'static str, bool) {
        match self {
            Self::Name => ("service", false),
            Self::Phase => ("state", false),
            Self::Health => ("health", false),
            Self::Uptime => ("up", true),
            Self::Restarts => ("↻", true),
            Self::Cpu => ("cpu%", true),
            Self::Memory => ("mem", true),
            Self::Spark => ("cpu 60 s", false),
            Self::Why => ("why", false),
        }
    }

    const fn column(self, longest_name: u16) -> Column {
        let (min, max, priority) = match self {
            Self::Name => (
                8,
                if longest_name < 8 {
                    8
                } else if longest_name > 24 {
                    24
                } else {
                    longest_name
                },
                0,
            ),
            Self::Phase => (11, 11, 0),
            Self::Cpu => (5, 5, 1),
            Self::Memory => (5, 5, 2),
            Self::Uptime => (4, 4, 3),
            Self::Health => (9, 9, 4),
            Self::Restarts => (3, 3, 5),
            Self::Spark => (10, 15, 6),
            Self::Why => (22, u16::MAX, 7),
        };
        Column { min, max, priority }
    }
}

pub(crate) fn draw(frame: &mut Frame<'_>, ui: &Ui, area: Rect) {
    let services = &ui.snapshot.services;
    let counts = Counts::of(services.iter().map(AsRef::as_ref));
    let mut after = filter_spans(ui, ui.services.pattern.as_ref());
    let marked = ui.services.marks.len();
    if marked > 0 {
        after.push(Span::styled(format!(" ◆{marked} marked"), ui.theme.style(Role::Marked)));
    }
    let widths = widths(ui, area.width.saturating_sub(2));
    // Why the selected one is where it is, where its column is missing or too narrow: the question that a list of states raises.
    let room = widths.iter().find(|(field, _)| *field == Field::Why).map_or(0, |(_, width)| *width);
    let selected = ui.selected_service().filter(|service| text::width(&service.why) > room);
    let bottom = selected.map(|service| format!("{}: {}", service.id.service, service.why)).unwrap_or_default();
    let content = panel(frame, ui, Pane::Services, area, Titles { after, right: count_spans(ui, &counts), bottom });
    let rows = ui.service_rows();
    if rows.is_empty() {
        if ui.snapshot.revision == 0 {
            empty(frame, ui, content, "waiting for the first picture …", "");
        } else if ui.services.pattern.is_some() && !services.is_empty() {
            empty(frame, ui, content, "no service matches", "Esc clears the filter");
        } else if ui.snapshot.problems.is_empty() && !ui.snapshot.projects.iter().any(|project| project.open) {
            empty(frame, ui, content, "no project is open", ":open DIR opens one");
        } else if ui.snapshot.problems.is_empty() {
            empty(frame, ui, content, "no services", "cas init writes a cas.yaml to begin with");
        } else {
            empty(frame, ui, content, "the project file has problems", "p shows them, e opens the file");
        }
        return;
    }
    if content.height > 0 {
        frame.render_widget(heading(ui, &widths), Rect { height: 1, ..content });
    }
    let list = Rect { y: content.y + 1, height: content.height.saturating_sub(1), ..content };
    let mut view = ui.services.view;
    view.resize(rows.len(), usize::from(list.height));
    for (line, place) in (0_u16..).zip(view.visible()) {
        let row = Rect { y: list.y + line, height: 1, ..list };
        let drawn = match rows[place] {
            ServiceRow::Project(project) => project_line(ui, project),
            ServiceRow::Service(index) => service_line(ui, index, &widths),
        };
        put_row(frame, ui, Pane::Services, row, drawn, Picked::when(place == view.selected()));
    }
    bar(frame, ui, &view, list);
}

/// Which columns there are in a pane that is so wide inside, and how wide each is.
fn widths(ui: &Ui, room: u16) -> Vec<(Field, usize)> {
    let names = ui.snapshot.services.iter().map(|service| {
        let mark = unwell(service).mark().map_or(0, |(_, mark)| mark.chars().count() + 1);
        service.id.service.as_str().len() + mark
    });
    let longest = u16::try_from(names.max().unwrap_or(0)).unwrap_or(u16::MAX);
    let widths = columns(room.saturating_sub(4), 1, &FIELDS.map(|field| field.column(longest)));
    FIELDS.into_iter().zip(widths).filter_map(|(field, width)| Some((field, usize::from(width?)))).collect()
}

fn heading(ui: &Ui, widths: &[(Field, usize)]) -> Line<'static> {
    let mut spans = vec![Span::raw("    ")];
    for (field, width) in widths {
        let (text, right) = field.heading();
        let text = if right { right_cell(text, *width) } else { cell(text, *width) };
        spans.push(Span::styled(format!("{text} "), ui.theme.style(Role::Faint)));
    }
    Line::from(spans)
}

fn project_line(ui: &Ui, project: &ProjectName) -> Line<'static> {
    let of_it = ui.snapshot.services.iter().filter(|service| service.id.project == *project);
    let counts = Counts::of(of_it.map(AsRef::as_ref));
    let mut spans = vec![Span::styled(format!(" {project}  "), ui.theme.style(Role::Title))];
    spans.extend(count_spans(ui, &counts));
    Line::from(spans)
}

fn service_line(ui: &Ui, index: usize, widths: &[(Field, usize)]) -> Line<'static> {
    let service = &ui.snapshot.services[index];
    let is_marked = ui.services.marks.contains(&service.id);
    let mark = if is_marked {
        Span::styled("◆", ui.theme.style(Role::Marked))
    } else {
        Span::styled("▎", ui.theme.service(index))
    };
    let (glyph, style) = match service.health {
        Health::Unhealthy { .. } | Health::Misconfigured { .. } => ("!", ui.theme.health(&service.health)),
        Health::Unknown | Health::Starting { .. } | Health::Healthy { .. } => {
            (service.phase.glyph(), ui.theme.phase(&service.phase))
        }
    };
    let (glyph, style) = if service.paused { ("‖", ui.theme.style(Role::Warning)) } else { (glyph, style) };
    let mut spans = vec![mark, Span::styled(format!(" {glyph} "), style)];
    for (field, width) in widths {
        if *field == Field::Name {
            spans.extend(name_spans(ui, service, *width));
            spans.push(Span::raw(" "));
            continue;
        }
        let span = field_span(ui, service, *field, *width);
        let mut gap = Span::raw(" ");
        if span.style.add_modifier.contains(Modifier::REVERSED) {
            // A block has a margin on both sides of its word.
            if !span.content.ends_with(' ') {
                gap.style = span.style;
            }
            spans.last_mut().into_iter().for_each(|before| before.style = span.style);
        }
        spans.extend([span, gap]);
    }
    Line::from(spans)
}

/// The name, and behind it what deep looks have found that needs a look: `db ▲2`, `db !1`.
fn name_spans(ui: &Ui, service: &ServiceView, width: usize) -> Vec<Span<'static>> {
    let Some((grade, mark)) = unwell(service).mark() else {
        return vec![field_span(ui, service, Field::Name, width)];
    };
    let role = match grade {
        Grade::Critical => Role::Error,
        Grade::Good | Grade::Notice | Grade::Warning => Role::Warning,
    };
    let long = mark.chars().count() + 1;
    let name = text::width(service.id.service.as_str()).min(width.saturating_sub(long));
    vec![
        field_span(ui, service, Field::Name, name),
        Span::raw(" "),
        Span::styled(cell(&mark, width.saturating_sub(name + 1)), ui.theme.style(role).add_modifier(Modifier::BOLD)),
    ]
}

/// An uptime that changes at most every ten seconds, also in the first minute: fifty services that were started together would
/// otherwise rewrite their column every second.
fn steady_uptime(uptime: Duration) -> String {
    let secs = uptime.as_secs();
    coarse_duration(if (10..60).contains(&secs) { Duration::from_secs(secs / 10 * 10) } else { uptime })
}

fn field_span(ui: &Ui, service: &ServiceView, field: Field, width: usize) -> Span<'static> {
    let theme = &ui.theme;
    let muted = theme.style(Role::Muted);
    match field {
        Field::Name => {
            let style = if service.phase.concern() >= WRONG { theme.phase(&service.phase) } else { ui.ink() };
            let style = match service.health {
                Health::Unhealthy { .. } | Health::Misconfigured { .. } => theme.health(&service.health),
                Health::Unknown | Health::Starting { .. } | Health::Healthy { .. } => style,
            };
            let bold = if service.concern() >= WRONG { Modifier::BOLD } else { Modifier::empty() };
            Span::styled(cell(service.id.service.as_str(), width), style.add_modifier(bold))
        }
        Field::Phase if service.paused => Span::styled(cell("paused", width), theme.style(Role::Warning)),
        Field::Phase => {
            // What is well says so by its mark; words in colour are for what is not.
            let style = if matches!(service.phase, Phase::Running { .. }) {
                muted
            } else if service.phase.concern() >= WRONG {
                alarm(theme.phase(&service.phase))
            } else {
                theme.phase(&service.phase)
            };
            Span::styled(cell(service.phase.label(), width), style)
        }
        Field::Health => {
            let word = match &service.health {
                Health::Unknown => "–",
                Health::Misconfigured { .. } => "misconfig",
                known @ (Health::Starting { .. } | Health::Healthy { .. } | Health::Unhealthy { .. }) => known.label(),
            };
            let style = theme.health(&service.health);
            let is_wrong = matches!(service.health, Health::Unhealthy { .. } | Health::Misconfigured { .. });
            Span::styled(cell(word, width), if is_wrong { alarm(style) } else { style })
        }
        Field::Uptime => {
            let text = service.uptime(ui.snapshot.at).map_or_else(|| "–".to_owned(), steady_uptime);
            Span::styled(right_cell(&text, width), muted)
        }
        Field::Restarts => {
            let (text, role) = match service.restarts {
                0 => ("·".to_owned(), Role::Faint),
                count => (count.to_string(), Role::Warning),
            };
            Span::styled(right_cell(&text, width), theme.style(role))
        }
        Field::Cpu => {
            let text = service.usage.map_or_else(|| "–".to_owned(), |usage| units::percent(usage.cpu_percent));
            let is_idle = service.usage.is_none_or(|usage| usage.cpu_percent < 0.05);
            Span::styled(right_cell(&text, width), if is_idle { muted } else { ui.ink() })
        }
        Field::Memory => {
            let text = service.usage.map_or_else(|| "–".to_owned(), |usage| units::bytes(usage.memory_bytes));
            Span::styled(right_cell(&text, width), if service.usage.is_none() { muted } else { ui.ink() })
        }
        Field::Spark => {
            let peak = service.cpu.newest(60).fold(SPARK_FLOOR, f32::max);
            Span::styled(sparkline(&service.cpu, 60, width, Some(peak)), theme.style(Role::GraphCpu))
        }
        Field::Why => {
            Span::styled(cell(&service.why, width), if service.concern() >= WRONG { ui.ink() } else { muted })
        }
    }
}
