//! Where everything is: a pure function of the size, the focus and the splits. Both `draw` and the mouse ask it.

use ratatui::layout::{Position, Rect};

use super::ui::{Divider, Pane, Splits, Ui};

/// Below this there is only a sentence.
pub(crate) const SMALLEST: (u16, u16) = (28, 7);

/// Room from which all five panes are shown together.
const TOGETHER: (u16, u16) = (100, 30);

/// Room from which two panes are shown, one above the other.
const STACKED: (u16, u16) = (60, 32);

/// Where everything is on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Areas {
    pub(crate) header: Rect,
    pub(crate) banner: Option<Rect>,
    /// The names of the panes, where not all can be seen.
    pub(crate) tabs: Option<Rect>,
    pub(crate) body: Rect,
    pub(crate) footer: Rect,
    pub(crate) panes: Vec<(Pane, Rect)>,
    /// Borders that can be moved: the two columns or rows of cells between neighbours.
    pub(crate) dividers: Vec<(Divider, Rect)>,
}

impl Areas {
    /// Of a screen of the size that the console knows; none where it is too small.
    pub(crate) fn of(ui: &Ui) -> Option<Self> {
        let screen = Rect::new(0, 0, ui.size.width, ui.size.height);
        if screen.width < SMALLEST.0 || screen.height < SMALLEST.1 {
            return None;
        }
        let line = |y: u16| Rect { y, height: 1, ..screen };
        let mut top = 1;
        let banner = ui.has_banner().then(|| {
            top += 1;
            line(top - 1)
        });
        let is_alone = ui.zoomed || ui.focus.is_alone();
        let all_fit = screen.width >= TOGETHER.0 && screen.height >= TOGETHER.1 && !is_alone;
        let tabs = (!all_fit).then(|| {
            top += 1;
            line(top - 1)
        });
        let body = Rect { y: top, height: screen.height - top - 1, ..screen };
        let mut areas = Self {
            header: line(0),
            banner,
            tabs,
            body,
            footer: line(screen.height - 1),
            panes: Vec::new(),
            dividers: Vec::new(),
        };
        if all_fit {
            areas.place_all(ui);
        } else if screen.width >= STACKED.0 && screen.height >= STACKED.1 && !is_alone {
            areas.place_stacked(ui);
        } else {
            areas.panes.push((ui.focus, body));
        }
        Some(areas)
    }

    /// Two columns that share no row: each gives its lists what they need and the rest to what can never have enough.
    fn place_all(&mut self, ui: &Ui) {
        let body = self.body;
        let (left, right) =
            split_columns(body, of(body.width, ui.splits.column).clamp(36, body.width.saturating_sub(36)));
        self.dividers.push((Divider::Column, Rect { x: right.x.saturating_sub(1), width: 2, ..body }));
        let (projects, rest) =
            split_rows(left, Self::height(left, ui.splits.projects, projects_height(ui), LEAST.projects));
        let above = projects.height;
        let services = ui.splits.services.map(|split| of(body.height, split).saturating_sub(above));
        let wanted = services_height(ui).min(most(body.height, 45)).max(6);
        let (services, logs) = split_rows(rest, bounded(services.unwrap_or(wanted), rest.height, LEAST.lists));
        let wanted = most(body.height, 52).max(THREE_CHARTS);
        let (graphs, timeline) = split_rows(right, Self::height(right, ui.splits.graphs, wanted, LEAST.lists));
        self.panes = vec![
            (Pane::Projects, projects),
            (Pane::Services, services),
            (Pane::Graphs, graphs),
            (Pane::Logs, logs),
            (Pane::Timeline, timeline),
        ];
        self.dividers.extend([
            (Divider::Projects, border_above(services)),
            (Divider::Services, border_above(logs)),
            (Divider::Graphs, border_above(timeline)),
        ]);
    }

    /// The focused pane and its natural companion: what is operated above, what it says below.
    fn place_stacked(&mut self, ui: &Ui) {
        let (upper, lower) = match ui.focus {
            Pane::Projects | Pane::Services | Pane::Graphs => (ui.focus, Pane::Logs),
            Pane::Logs | Pane::Timeline | Pane::Containers | Pane::Patterns => (Pane::Services, ui.focus),
        };
        let wanted = match upper {
            Pane::Projects => projects_height(ui).max(LEAST.lists),
            Pane::Services => services_height(ui).min(most(self.body.height, 50)),
            Pane::Graphs | Pane::Logs | Pane::Timeline | Pane::Containers | Pane::Patterns => {
                most(self.body.height, 52).max(THREE_CHARTS)
            }
        };
        let (top, bottom) = split_rows(self.body, Self::height(self.body, ui.splits.stacked, wanted, LEAST.lists));
        self.panes = vec![(upper, top), (lower, bottom)];
        self.dividers.push((Divider::Stacked, border_above(bottom)));
    }

    /// Rows of the upper of two panes: as it was dragged, else as it is wanted.
    fn height(room: Rect, dragged: Option<u16>, wanted: u16, least: u16) -> u16 {
        bounded(dragged.map_or(wanted, |split| of(room.height, split)), room.height, least)
    }

    /// Which border the keys for heights move: the one that the focused pane shares with its neighbour.
    pub(crate) fn divider_of(&self, focus: Pane) -> Option<Divider> {
        let own = match focus {
            Pane::Projects | Pane::Services | Pane::Logs => Divider::Services,
            Pane::Graphs | Pane::Timeline | Pane::Containers | Pane::Patterns => Divider::Graphs,
        };
        self.dividers.iter().map(|(divider, _)| *divider).find(|divider| [own, Divider::Stacked].contains(divider))
    }

    /// The row or column, counted from the top or left of the panes, at which what is behind a border begins.
    pub(crate) fn place_of(&self, divider: Divider) -> Option<u16> {
        let zone = self.dividers.iter().find(|(known, _)| *known == divider)?.1;
        Some(match divider {
            Divider::Column => zone.x + 1 - self.body.x,
            Divider::Projects | Divider::Services | Divider::Graphs | Divider::Stacked => zone.y + 1 - self.body.y,
        })
    }

    /// Where a border is that was moved to such a place.
    pub(crate) fn move_to(&self, splits: &mut Splits, divider: Divider, place: u16) {
        let part = |room: u16| part_of(place, room).clamp(50, 950);
        match divider {
            Divider::Column => splits.column = part(self.body.width),
            Divider::Projects => splits.projects = Some(part(self.body.height)),
            Divider::Services => splits.services = Some(part(self.body.height)),
            Divider::Graphs => splits.graphs = Some(part(self.body.height)),
            Divider::Stacked => splits.stacked = Some(part(self.body.height)),
        }
    }

    pub(crate) fn pane(&self, pane: Pane) -> Option<Rect> {
        self.panes.iter().find(|(known, _)| *known == pane).map(|(_, area)| *area)
    }

    pub(crate) fn pane_at(&self, at: Position) -> Option<(Pane, Rect)> {
        self.panes.iter().copied().find(|(_, area)| area.contains(at))
    }

    /// The divider whose border is under the pointer.
    pub(crate) fn divider_at(&self, at: Position) -> Option<Divider> {
        self.dividers.iter().find(|(_, zone)| zone.contains(at)).map(|(divider, _)| *divider)
    }
}

/// Rows below which a pane, its frame included, says too little.
struct Least {
    projects: u16,
    lists: u16,
}

const LEAST: Least = Least { projects: 3, lists: 6 };

/// Rows in which three charts, one above the other, keep their axes.
const THREE_CHARTS: u16 = 3 * 6 + 2;

/// Rows of the projects pane: up to five projects.
fn projects_height(ui: &Ui) -> u16 {
    rows(ui.snapshot.projects.len().clamp(1, 5)) + 2
}

/// Rows of the services pane with all that it lists, whatever its filter: a filter that is being typed moves nothing.
fn services_height(ui: &Ui) -> u16 {
    let services = &ui.snapshot.services;
    let headings = services.chunk_by(|one, next| one.id.project == next.id.project).count();
    let listed = services.len() + if headings > 1 { headings } else { 0 };
    rows(listed.clamp(6, 500)) + 3
}

fn rows(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// `percent` of so many rows.
fn most(room: u16, percent: u16) -> u16 {
    of(room, percent * 10)
}

/// `part` thousandths of `room`.
fn of(room: u16, part: u16) -> u16 {
    u16::try_from(u32::from(room) * u32::from(part) / 1000).unwrap_or(room)
}

/// The thousandths of which [`of`] makes `place` again.
fn part_of(place: u16, room: u16) -> u16 {
    u16::try_from((u32::from(place) * 1000).div_ceil(u32::from(room.max(1)))).unwrap_or(1000)
}

/// `wanted`, leaving at least `least` on both sides, or half where there is not even that.
fn bounded(wanted: u16, room: u16, least: u16) -> u16 {
    let least = least.min(room / 2);
    wanted.clamp(least, room - least)
}

/// The last row of what is above `lower` and the first of `lower`.
const fn border_above(lower: Rect) -> Rect {
    Rect { y: lower.y.saturating_sub(1), height: 2, ..lower }
}

const fn split_columns(area: Rect, left: u16) -> (Rect, Rect) {
    (
        Rect { width: left, ..area },
        Rect { x: area.x.saturating_add(left), width: area.width.saturating_sub(left), ..area },
    )
}

const fn split_rows(area: Rect, upper: u16) -> (Rect, Rect) {
    (
        Rect { height: upper, ..area },
        Rect { y: area.y.saturating_add(upper), height: area.height.saturating_sub(upper), ..area },
    )
}

/// What is left of a pane within its border.
pub(crate) const fn inside(area: Rect) -> Rect {
    Rect {
        x: area.x.saturating_add(1),
        y: area.y.saturating_add(1),
        width: area.width.saturating_sub(2),
        height: area.height.saturating_sub(2),
    }
}
