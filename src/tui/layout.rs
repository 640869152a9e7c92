//! Where everything is: a pure function of the size, the focus and the splits. Both `draw` and the mouse ask it.

use ratatui::layout::{Position, Rect};

use super::ui::{Divider, Pane, Ui};

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
    /// First column of the right part, or first row of the lower part.
    pub(crate) dividers: Vec<(Divider, u16)>,
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
        let all_fit = screen.width >= TOGETHER.0 && screen.height >= TOGETHER.1 && !ui.zoomed;
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
        } else if screen.width >= STACKED.0 && screen.height >= STACKED.1 && !ui.zoomed {
            areas.place_stacked(ui);
        } else {
            areas.panes.push((ui.focus, body));
        }
        Some(areas)
    }

    fn place_all(&mut self, ui: &Ui) {
        let (left, right) = split_columns(self.body, share(self.body.width, ui.splits.column, 36));
        let upper = share(self.body.height, ui.splits.row, 8);
        let (left_top, left_bottom) = split_rows(left, upper);
        let (right_top, right_bottom) = split_rows(right, upper);
        let wanted = u16::try_from(ui.snapshot.projects.len().clamp(1, 5)).unwrap_or(5) + 2;
        let (projects, services) = split_rows(left_top, wanted.min(left_top.height / 3).max(3));
        self.panes = vec![
            (Pane::Projects, projects),
            (Pane::Services, services),
            (Pane::Graphs, right_top),
            (Pane::Logs, left_bottom),
            (Pane::Timeline, right_bottom),
        ];
        self.dividers = vec![(Divider::Column, right.x), (Divider::Row, left_bottom.y)];
    }

    /// The focused pane and its natural companion: what is operated above, what it says below.
    fn place_stacked(&mut self, ui: &Ui) {
        let (upper, lower) = match ui.focus {
            Pane::Projects | Pane::Services | Pane::Graphs => (ui.focus, Pane::Logs),
            Pane::Logs | Pane::Timeline => (Pane::Services, ui.focus),
        };
        let (top, bottom) = split_rows(self.body, share(self.body.height, ui.splits.row, 8));
        self.panes = vec![(upper, top), (lower, bottom)];
        self.dividers = vec![(Divider::Row, bottom.y)];
    }

    pub(crate) fn pane(&self, pane: Pane) -> Option<Rect> {
        self.panes.iter().find(|(known, _)| *known == pane).map(|(_, area)| *area)
    }

    pub(crate) fn pane_at(&self, at: Position) -> Option<(Pane, Rect)> {
        self.panes.iter().copied().find(|(_, area)| area.contains(at))
    }

    /// The divider whose border is under the pointer.
    pub(crate) fn divider_at(&self, at: Position) -> Option<Divider> {
        let hit = self.dividers.iter().find(|(divider, first)| match divider {
            Divider::Column => (at.x == *first || at.x + 1 == *first) && self.body.contains(at),
            Divider::Row => at.y == *first || at.y + 1 == *first,
        });
        hit.map(|(divider, _)| *divider)
    }
}

/// `percent` of `room`, leaving at least `least` on both sides.
fn share(room: u16, percent: u16, least: u16) -> u16 {
    let wanted = u16::try_from(u32::from(room) * u32::from(percent) / 100).unwrap_or(room);
    wanted.clamp(least.min(room / 2), room.saturating_sub(least).max(room / 2))
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
