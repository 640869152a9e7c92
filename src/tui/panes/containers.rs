//! Every container of the engine, one a row: those of open projects first. Beside the list, where there is room, all that is known of the selected one.

use ratatui::{
    Frame,
    layout::Rect,
    style::{Modifier, Style},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{Picked, alarm, bar, empty, filter_spans, put_row};
use crate::{
    model::{
        container::{ContainerView, Reach},
        text,
    },
    tui::{
        containers::{Belonging, ContainerRow, healed_by, of_whom},
        format::{cell, clean, right_cell, spans_width},
        modals::container as detail,
        theme::Role,
        ui::{Pane, Ui},
        widgets::{Column, Focus, Panel, columns, units},
    },
};

/// Width from which all that is known of the selected one stands beside the list.
pub(crate) const WITH_SIDE: u16 = 120;

/// What a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    Of,
    State,
    Health,
    HealedBy,
    Cpu,
    Memory,
    Net,
    Disk,
    Pids,
    Restarts,
    Image,
    Ports,
}

const FIELDS: [Field; 13] = [
    Field::Name,
    Field::Of,
    Field::State,
    Field::Health,
    Field::HealedBy,
    Field::Cpu,
    Field::Memory,
    Field::Net,
    Field::Disk,
    Field::Pids,
    Field::Restarts,
    Field::Image,
    Field::Ports,
];

impl Field {
    /// Heading, and whether its values stand at the right.
    const fn heading(self) -> (&'static str, bool) {
        match self {
            Self::Name => ("container", false),
            Self::Of => ("of", false),
            Self::State => ("state", false),
            Self::Health => ("health", false),
            Self::HealedBy => ("healer", false),
            Self::Cpu => ("cpu%", true),
            Self::Memory => ("mem/limit", true),
            Self::Net => (" net↓  net↑", true),
            Self::Disk => (" read write", true),
            Self::Pids => ("pids", true),
            Self::Restarts => ("↻", true),
            Self::Image => ("image", false),
            Self::Ports => ("ports", false),
        }
    }

    /// What it wants, where its longest value is so long; what is of least use is left out first.
    fn column(self, longest: u16) -> Column {
        let (min, max, priority) = match self {
            Self::Name => (12, longest.clamp(12, 32), 0),
            Self::State => (longest.clamp(7, 16), longest.clamp(7, 16), 0),
            Self::Cpu => (5, 5, 1),
            Self::Memory => (9, 9, 2),
            Self::Of => (longest.clamp(6, 12), longest.clamp(6, 28), 3),
            Self::Health => (9, 9, 4),
            Self::HealedBy => (6, 6, 5),
            Self::Ports => (longest.clamp(5, 10), longest.clamp(5, 40), 6),
            Self::Image => (longest.clamp(8, 14), longest.clamp(8, 40), 7),
            Self::Net => (11, 11, 8),
            Self::Restarts => (3, 3, 9),
            Self::Disk => (11, 11, 10),
            Self::Pids => (4, 4, 11),
        };
        Column { min, max, priority }
    }
}

/// The list, and beside it the selected one where there is room for that.
pub(crate) fn areas(ui: &Ui, area: Rect) -> (Rect, Option<Rect>) {
    if area.width < WITH_SIDE || ui.selected_container().is_none() {
        return (area, None);
    }
    let side = (area.width / 4).clamp(40, 60);
    let list = Rect { width: area.width - side, ..area };
    (list, Some(Rect { x: list.right(), width: side, ..area }))
}

pub(crate) fn draw(frame: &mut Frame<'_>, ui: &Ui, area: Rect) {
    let (list, side) = areas(ui, area);
    draw_list(frame, ui, list);
    if let Some(side) = side {
        draw_side(frame, ui, side);
    }
}

fn draw_side(frame: &mut Frame<'_>, ui: &Ui, area: Rect) {
    let title = ui.selected_container().map_or_else(String::new, |container| container.name.clone());
    let title = clean(&title, usize::from(area.width).saturating_sub(6));
    let panel = Panel { title: Line::from(title), ..Panel::default() };
    let content = panel.draw(area, frame.buffer_mut(), &ui.theme);
    let padded = Rect { x: content.x + 1, width: content.width.saturating_sub(2), ..content };
    if let Some(container) = ui.selected_container() {
        frame.render_widget(Paragraph::new(detail::lines(ui, &container.id, usize::from(padded.width))), padded);
    }
}

/// Who answers, after the title.
fn engine(ui: &Ui) -> Vec<Span<'static>> {
    let (words, role) = match &ui.snapshot.docker {
        Reach::Reachable { engine, api, .. } => (format!(" {engine} · API {api}"), Role::Muted),
        Reach::Unknown => (" not asked yet".to_owned(), Role::Muted),
        Reach::Absent { .. } => (" not reachable".to_owned(), Role::Error),
        Reach::Hung { .. } => (" does not answer".to_owned(), Role::Error),
        Reach::TooOld { version } => (format!(" API {version}: too old"), Role::Error),
    };
    vec![Span::styled(clean(&words, 40), ui.theme.style(role))]
}

/// How many there are of each state, the running ones first.
fn counts(ui: &Ui, with_words: bool) -> Vec<Span<'static>> {
    let all = &ui.snapshot.containers;
    let count = |states: &[&str]| all.iter().filter(|one| states.contains(&one.state.as_str())).count();
    let (running, paused, restarting) = (count(&["running"]), count(&["paused"]), count(&["restarting"]));
    let down = all.len() - running - paused - restarting;
    let parts = [
        ("↻", "restarting", restarting, Role::Warning),
        ("‖", "paused", paused, Role::Warning),
        ("●", "running", running, Role::Good),
        ("○", "down", down, Role::Muted),
    ];
    let shown = parts.into_iter().filter(|(_, _, count, _)| *count > 0).enumerate();
    let spans = shown.map(|(place, (mark, word, count, role))| {
        let text = if with_words { format!("{mark} {count} {word}") } else { format!("{mark}{count}") };
        let gap = if place == 0 { "" } else { " " };
        Span::styled(format!("{gap}{text}"), ui.theme.style(role))
    });
    spans.collect()
}

fn draw_list(frame: &mut Frame<'_>, ui: &Ui, area: Rect) {
    let mut title = vec![Span::raw(format!("{}{}", Pane::Containers.number(), Pane::Containers.title()))];
    title.extend(engine(ui));
    title.extend(filter_spans(ui, ui.containers.pattern.as_ref()));
    let long = counts(ui, true);
    let is_long = spans_width(&title) + spans_width(&long) + 7 <= usize::from(area.width);
    let right = if is_long { long } else { counts(ui, false) };
    let mut bottom = String::new();
    if let Reach::Reachable { endpoint, .. } = &ui.snapshot.docker {
        let at = Span::styled(clean(&format!(" · {endpoint}"), 60), ui.theme.style(Role::Muted));
        if spans_width(&title) + at.width() + spans_width(&right) + 7 <= usize::from(area.width) {
            title.insert(2.min(title.len()), at);
        } else {
            bottom = clean(endpoint, usize::from(area.width).saturating_sub(6));
        }
    }
    let focus = if ui.focus == Pane::Containers { Focus::Focused } else { Focus::Elsewhere };
    let panel = Panel { title: Line::from(title), right: Line::from(right), bottom: Line::from(bottom), focus };
    let mut content = panel.draw(area, frame.buffer_mut(), &ui.theme);
    let rows = ui.container_rows();
    if rows.is_empty() {
        let (sentence, hint) = why_empty(ui);
        empty(frame, ui, content, &sentence, &hint);
        return;
    }
    if let Some(notice) = ui.containers_notice() {
        let notice = clean(&format!(" ▲ {notice}"), usize::from(content.width));
        frame.render_widget(
            Line::styled(notice, ui.theme.style(Role::Warning)),
            Rect { height: 1.min(content.height), ..content },
        );
        content = below(content);
    }
    let widths = widths(ui, content.width);
    if content.height > 0 {
        frame.render_widget(heading(ui, &widths), Rect { height: 1, ..content });
    }
    let list = below(content);
    let mut view = ui.containers.view;
    view.resize(rows.len(), usize::from(list.height));
    for (line, place) in (0_u16..).zip(view.visible()) {
        let row = Rect { y: list.y + line, height: 1, ..list };
        let drawn = match rows[place] {
            ContainerRow::Heading(belonging) => belonging_line(ui, belonging, &rows),
            ContainerRow::Container(index) => container_line(ui, index, &widths),
        };
        put_row(frame, ui, Pane::Containers, row, drawn, Picked::when(place == view.selected()));
    }
    bar(frame, ui, &view, list);
}

/// All but the first row.
const fn below(area: Rect) -> Rect {
    Rect { y: area.y.saturating_add(1), height: area.height.saturating_sub(1), ..area }
}

/// Why there is nothing to list, and what to do about it.
fn why_empty(ui: &Ui) -> (String, String) {
    let (sentence, hint) = match &ui.snapshot.docker {
        _filtered if ui.containers.pattern.is_some() && !ui.snapshot.containers.is_empty() => {
            ("no container matches".to_owned(), "Esc clears the filter")
        }
        Reach::Unknown => ("nobody has asked for containers yet".to_owned(), "this takes a moment"),
        Reach::Absent { why } => (
            format!("there is no Docker here: {why}"),
            "start it (systemctl start docker), or say where it is (DOCKER_HOST, docker context); it is looked for again by itself, \
             and processes go on without it",
        ),
        Reach::Hung { why } => (
            format!("Docker does not answer: {why}"),
            "systemctl status docker and journalctl -u docker say more; it is asked again by itself, and processes go on",
        ),
        Reach::TooOld { version } => (
            format!("this Docker speaks API {version} at most, and 1.40 is needed"),
            "update it to Docker 19.03 or later",
        ),
        Reach::Reachable { .. } => (
            "Docker runs, and has no container".to_owned(),
            "a service with image: or build: makes one, so do docker run and docker compose up",
        ),
    };
    (sentence, hint.to_owned())
}

/// Which columns there are in a list that is so wide inside, and how wide each is.
fn widths(ui: &Ui, room: u16) -> Vec<(Field, usize)> {
    let longest = |field: Field| {
        let lengths = ui.snapshot.containers.iter().map(|container| match field {
            Field::Name => text::width(&container.name),
            Field::Of => of_whom(ui, container).map_or(1, |of| text::width(&of)),
            Field::State => text::width(&container.state_words()),
            Field::Image => text::width(short_image(&container.image)),
            Field::Ports => text::width(&ports(&container.ports)),
            Field::Health
            | Field::HealedBy
            | Field::Cpu
            | Field::Memory
            | Field::Net
            | Field::Disk
            | Field::Pids
            | Field::Restarts => 0,
        });
        u16::try_from(lengths.max().unwrap_or(0)).unwrap_or(u16::MAX)
    };
    let widths = columns(room.saturating_sub(3), 1, &FIELDS.map(|field| field.column(longest(field))));
    FIELDS.into_iter().zip(widths).filter_map(|(field, width)| Some((field, usize::from(width?)))).collect()
}

fn heading(ui: &Ui, widths: &[(Field, usize)]) -> Line<'static> {
    let mut spans = vec![Span::raw("   ")];
    for (field, width) in widths {
        let (text, right) = field.heading();
        let text = if right { right_cell(text, *width) } else { cell(text, *width) };
        spans.push(Span::styled(format!("{text} "), ui.theme.style(Role::Faint)));
    }
    Line::from(spans)
}

/// Whose the next rows are, and how many they are.
fn belonging_line(ui: &Ui, belonging: Belonging, rows: &[ContainerRow]) -> Line<'static> {
    let is_of_it = |row: &&ContainerRow| match row {
        ContainerRow::Container(place) => ui.belonging(&ui.snapshot.containers[*place]) == belonging,
        ContainerRow::Heading(_) => false,
    };
    let count = rows.iter().filter(is_of_it).count();
    Line::from(vec![
        Span::styled(format!(" {}", belonging.heading()), ui.theme.style(Role::Title)),
        Span::styled(format!("  {count}"), ui.theme.style(Role::Muted)),
    ])
}

fn container_line(ui: &Ui, index: usize, widths: &[(Field, usize)]) -> Line<'static> {
    let container = &ui.snapshot.containers[index];
    let (glyph, role) = detail::mark(container);
    let mut spans = vec![Span::styled(format!(" {glyph} "), ui.theme.style(role))];
    for (field, width) in widths {
        spans.push(field_span(ui, container, *field, *width));
        spans.push(Span::raw(" "));
    }
    Line::from(spans)
}

fn field_span(ui: &Ui, container: &ContainerView, field: Field, width: usize) -> Span<'static> {
    let (muted, faint) = (ui.theme.style(Role::Muted), ui.theme.style(Role::Faint));
    // What does not run is dim, so that the eye finds what does.
    let ink = if container.is_up() { ui.ink() } else { muted };
    let quiet = if container.is_up() { muted } else { faint };
    let used = container.usage.as_ref();
    let number = |text: Option<String>, style: Style| match text {
        Some(text) => Span::styled(right_cell(&text, width), style),
        None => Span::styled(right_cell("·", width), faint),
    };
    match field {
        Field::Name => {
            let (_, role) = detail::mark(container);
            let is_wrong = role == Role::Error;
            let style = if is_wrong { ui.theme.style(role).add_modifier(Modifier::BOLD) } else { ink };
            Span::styled(cell(&container.name, width), style)
        }
        Field::Of => Span::styled(cell(of_whom(ui, container).as_deref().unwrap_or("–"), width), quiet),
        Field::State => {
            let (_, role) = detail::mark(container);
            let is_plain = matches!(role, Role::Good | Role::Muted | Role::Faint);
            let style = if is_plain { quiet } else { ui.theme.style(role) };
            Span::styled(cell(&container.state_words(), width), style)
        }
        Field::Health => {
            let word = container.health.as_deref().filter(|_| container.is_up());
            let style = detail::health_style(ui, word);
            let style = if word == Some("unhealthy") { alarm(style) } else { style };
            Span::styled(cell(word.unwrap_or("–"), width), style)
        }
        Field::HealedBy => Span::styled(cell(healed_by(ui, container), width), quiet),
        Field::Cpu => {
            let is_idle = used.is_none_or(|used| used.cpu_percent < 0.05);
            number(used.map(|used| units::percent(used.cpu_percent)), if is_idle { muted } else { ink })
        }
        Field::Memory => number(used.map(|used| detail::memory(used, "/")), ink),
        Field::Net => number(used.and_then(|used| pair(used.net_rx_bytes_per_s, used.net_tx_bytes_per_s)), quiet),
        Field::Disk => {
            number(used.and_then(|used| pair(used.disk_read_bytes_per_s, used.disk_write_bytes_per_s)), quiet)
        }
        Field::Pids => number(used.map(|used| used.pids.to_string()), quiet),
        Field::Restarts => match container.restart_count {
            0 => number(None, quiet),
            count => number(Some(count.to_string()), ui.theme.style(Role::Warning)),
        },
        Field::Image => Span::styled(cell(short_image(&container.image), width), quiet),
        Field::Ports => Span::styled(cell(&ports(&container.ports), width), quiet),
    }
}

/// Two rates, each at its own place; none where nothing moves.
fn pair(first: f64, second: f64) -> Option<String> {
    let moves = first >= 0.5 || second >= 0.5;
    moves.then(|| format!("{:>5} {:>5}", units::bytes(first.max(0.0) as u64), units::bytes(second.max(0.0) as u64)))
}

/// An image as people say it: an id is short, and a registry that all use goes without saying.
fn short_image(image: &str) -> &str {
    if let Some(id) = image.strip_prefix("sha256:") {
        return id.get(..12).unwrap_or(id);
    }
    ["docker.io/library/", "docker.io/"].into_iter().find_map(|known| image.strip_prefix(known)).unwrap_or(image)
}

/// Published ports in short: `8080→80 127.0.0.1:5432→5432`, each once.
fn ports(published: &[String]) -> String {
    let mut all: Vec<String> = Vec::new();
    for port in published {
        let everywhere = port.strip_prefix("0.0.0.0:").or_else(|| port.strip_prefix("[::]:")).unwrap_or(port);
        let short = everywhere.replace("->", "→").replace("/tcp", "");
        if !all.contains(&short) {
            all.push(short);
        }
    }
    all.join(" ")
}

#[cfg(test)]
mod tests {
    use super::{pair, ports, short_image};

    #[test]
    fn ports_are_said_once_and_without_what_goes_without_saying() {
        let published = ["0.0.0.0:8080->80/tcp", "[::]:8080->80/tcp", "127.0.0.1:53->53/udp"].map(str::to_owned);
        assert_eq!(ports(&published), "8080→80 127.0.0.1:53→53/udp");
        assert_eq!(ports(&[]), "");
    }

    #[test]
    fn images_are_as_people_say_them() {
        for (image, short) in [
            ("docker.io/library/redis:7", "redis:7"),
            ("ghcr.io/a/b:1", "ghcr.io/a/b:1"),
            ("sha256:0123456789abcdef", "0123456789ab"),
        ] {
            assert_eq!(short_image(image), short);
        }
    }

    #[test]
    fn rates_have_places_of_their_own_and_nothing_is_nothing() {
        assert_eq!(pair(0.0, 0.2), None);
        assert_eq!(pair(1536.0, 0.0).as_deref(), Some(" 1.5K    0B"));
    }
}
