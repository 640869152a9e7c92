//! The machine and the selected service over the last minutes.

use ratatui::{Frame, layout::Rect, text::Span};

use super::{Titles, panel};
use crate::tui::{
    theme::Role,
    ui::{Pane, Ui},
    widgets::{Chart, Scale, Series, Shape, Unit},
};

/// How far back the charts reach.
const SECONDS: usize = 300;

const KIB: f32 = 1024.0;
const MIB: f32 = 1024.0 * 1024.0;

/// The least top of each scale: below it, noise would make a quiet machine's picture dance.
const RATE_FLOOR: f32 = 64.0 * KIB;
const SERVICE_CPU_FLOOR: f32 = 10.0;
const SERVICE_MEMORY_FLOOR: f32 = 16.0 * MIB;

struct Tile<'a> {
    caption: &'static str,
    series: Vec<Series<'a>>,
    scale: Scale,
    unit: Unit,
    shape: Shape,
}

pub(crate) fn draw(frame: &mut Frame<'_>, ui: &Ui, area: Rect) {
    let right =
        ui.host.view.usage.map_or_else(Vec::new, |usage| {
            vec![Span::raw(format!("{} cores · load {:.2}", usage.cores, usage.load[0]))]
        });
    let content = panel(frame, ui, Pane::Graphs, area, Titles { right, ..Titles::default() });
    let tiles = tiles(ui);
    for (tile, place) in tiles.iter().zip(places(content, tiles.len())) {
        let chart =
            Chart { series: &tile.series, seconds: SECONDS, scale: tile.scale, unit: tile.unit, shape: tile.shape };
        chart.draw(place, frame.buffer_mut(), &ui.theme);
        caption(frame, ui, tile, place);
    }
}

/// Width from which the legends say it all.
const NAMED: u16 = 34;

/// In the middle of the time axis: what two curves that share a chart are about, for where their legend has room for no names.
fn caption(frame: &mut Frame<'_>, ui: &Ui, tile: &Tile<'_>, place: Rect) {
    let width = u16::try_from(tile.caption.len()).unwrap_or(u16::MAX);
    if tile.caption.is_empty() || place.height < 5 || place.width < width.saturating_add(16) || place.width >= NAMED {
        return;
    }
    let x = place.x + (place.width - width) / 2 + 3;
    frame.buffer_mut().set_string(x, place.bottom() - 1, tile.caption, ui.theme.style(Role::Muted));
}

fn tiles(ui: &Ui) -> Vec<Tile<'_>> {
    let host = &ui.host.view;
    let one = |label, history, role| vec![Series { label, history, role }];
    let mut tiles = vec![
        Tile {
            caption: "",
            series: one("cpu", &host.cpu, Role::GraphCpu),
            scale: Scale::Percent,
            unit: Unit::Percent,
            shape: Shape::Area,
        },
        Tile {
            caption: "",
            series: one("memory", &host.memory, Role::GraphMemory),
            scale: Scale::Percent,
            unit: Unit::Percent,
            shape: Shape::Area,
        },
        Tile {
            caption: "net",
            series: vec![
                Series { label: "net in", history: &host.net_rx, role: Role::GraphNetRx },
                Series { label: "out", history: &host.net_tx, role: Role::GraphNetTx },
            ],
            scale: Scale::Auto { floor: RATE_FLOOR },
            unit: Unit::BytesPerSecond,
            shape: Shape::Line,
        },
        Tile {
            caption: "disk",
            series: vec![
                Series { label: "disk read", history: &host.disk_read, role: Role::GraphDiskRead },
                Series { label: "write", history: &host.disk_write, role: Role::GraphDiskWrite },
            ],
            scale: Scale::Auto { floor: RATE_FLOOR },
            unit: Unit::BytesPerSecond,
            shape: Shape::Line,
        },
    ];
    if let Some(service) = ui.selected_service() {
        let name = service.id.service.as_str();
        tiles.push(Tile {
            caption: "",
            series: one(name, &service.cpu, Role::GraphCpu),
            scale: Scale::Auto { floor: SERVICE_CPU_FLOOR },
            unit: Unit::Percent,
            shape: Shape::Area,
        });
        tiles.push(Tile {
            caption: "",
            series: one(name, &service.memory, Role::GraphMemory),
            scale: Scale::Auto { floor: SERVICE_MEMORY_FLOOR },
            unit: Unit::Bytes,
            shape: Shape::Area,
        });
    }
    tiles
}

/// Two columns where they are wide enough to be read, else one; as many rows as have room, the last for the service.
fn places(area: Rect, count: usize) -> Vec<Rect> {
    let across: usize = if area.width >= 34 { 2 } else { 1 };
    let rows = count.div_ceil(across).max(1);
    let gap = u16::from(across == 2);
    let width = (area.width.saturating_sub(gap)) / u16::try_from(across).unwrap_or(1);
    let all = usize::from(area.height);
    (0..count)
        .map(|tile| {
            let (row, column) = (tile / across, tile % across);
            let (top, bottom) = (all * row / rows, all * (row + 1) / rows);
            let x = area.x + u16::try_from(column).unwrap_or(0) * (width + gap);
            let as_row = |row: usize| area.y + u16::try_from(row).unwrap_or(area.height);
            Rect { x, y: as_row(top), width, height: as_row(bottom) - as_row(top) }
        })
        .collect()
}
