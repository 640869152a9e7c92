//! What the console knows: the newest picture of the engine and the state of every pane. Plain data; `update` changes it,
//! `draw` reads it, neither does I/O.

use std::{
    collections::{BTreeSet, HashSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use ratatui::{layout::Size, style::Style};

use super::{
    edit::LineEdit,
    fuzzy::Fuzzy,
    keymap::Keymap,
    logs::{
        row::EntryKey,
        store::LogStore,
        tally::Count,
        view::{LogView, Showing},
    },
    modals::Modal,
    theme::{Role, Theme},
    widgets::Viewport,
    zone::Zone,
};
use crate::{
    host::handle::Link,
    insight::{
        entry::Formats,
        filter::{Pattern, Term},
    },
    model::{
        alert::AlertLevel,
        ids::{ProjectName, ServiceId},
        level::Level,
        log::{LogBatch, LogFormat},
        log_search::{Bound, Towards},
        metric::HostUsage,
        pattern::ServicePatterns,
        snapshot::{HostView, Snapshot},
        time::Timestamp,
        timeline::Severity,
    },
};

/// The five panes, in the order of their numbers, and the view that takes their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pane {
    /// Every project that cas has seen.
    Projects,
    /// The services of open projects.
    Services,
    /// The machine and the selected service over time.
    Graphs,
    /// Output.
    Logs,
    /// What happened.
    Timeline,
    /// Every container of the engine of containers; the whole screen is its own.
    Containers,
    /// The patterns behind the lines; the whole screen is its own.
    Patterns,
}

impl Pane {
    /// Those that stand beside each other, by number.
    pub const ALL: [Self; 5] = [Self::Projects, Self::Services, Self::Graphs, Self::Logs, Self::Timeline];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Projects => "projects",
            Self::Services => "services",
            Self::Graphs => "graphs",
            Self::Logs => "logs",
            Self::Timeline => "timeline",
            Self::Containers => "containers",
            Self::Patterns => "patterns",
        }
    }

    /// Whether the whole screen is its own.
    pub(crate) const fn is_alone(self) -> bool {
        match self {
            Self::Containers | Self::Patterns => true,
            Self::Projects | Self::Services | Self::Graphs | Self::Logs | Self::Timeline => false,
        }
    }

    pub(crate) const fn number(self) -> &'static str {
        match self {
            Self::Projects => "¹",
            Self::Services => "²",
            Self::Graphs => "³",
            Self::Logs => "⁴",
            Self::Timeline => "⁵",
            Self::Containers => "⁶",
            Self::Patterns => "⁷",
        }
    }
}

/// Where the borders between panes are, in thousandths of the room. Heights follow what the panes show until somebody moves them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Splits {
    /// Width of the left column.
    pub(crate) column: u16,
    /// Lower end of the projects.
    pub(crate) projects: Option<u16>,
    /// Lower end of the services.
    pub(crate) services: Option<u16>,
    /// Lower end of the graphs.
    pub(crate) graphs: Option<u16>,
    /// Lower end of the upper pane where only two are shown.
    pub(crate) stacked: Option<u16>,
}

impl Default for Splits {
    fn default() -> Self {
        Self { column: 600, projects: None, services: None, graphs: None, stacked: None }
    }
}

/// A border that can be dragged, by what is before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Divider {
    Column,
    Projects,
    Services,
    Graphs,
    Stacked,
}

#[derive(Debug, Default)]
pub(crate) struct ProjectsPane {
    pub(crate) view: Viewport,
    /// By its directory: names can be the same.
    pub(crate) selected: Option<PathBuf>,
    pub(crate) pattern: Option<Fuzzy>,
}

#[derive(Debug, Default)]
pub(crate) struct ServicesPane {
    pub(crate) view: Viewport,
    pub(crate) selected: Option<ServiceId>,
    pub(crate) marks: BTreeSet<ServiceId>,
    pub(crate) pattern: Option<Pattern>,
}

#[derive(Debug, Default)]
pub(crate) struct TimelinePane {
    pub(crate) view: Viewport,
    /// Sequence number of the selected entry; none: the newest, whichever that is.
    pub(crate) selected: Option<u64>,
    pub(crate) pattern: Option<Pattern>,
}

#[derive(Debug, Default)]
pub(crate) struct ContainersPane {
    pub(crate) view: Viewport,
    /// By its id.
    pub(crate) selected: Option<String>,
    pub(crate) pattern: Option<Pattern>,
    /// From where it was opened.
    pub(crate) from: Option<Pane>,
}

/// Since when a pattern must be new to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Since {
    /// All are shown.
    #[default]
    Ever,
    Restart,
    Deployment,
    HealthyHour,
}

#[derive(Debug, Default)]
pub(crate) struct PatternsPane {
    pub(crate) view: Viewport,
    /// Service and number; none: the first, whichever that is.
    pub(crate) selected: Option<(ServiceId, u32)>,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) since: Since,
    pub(crate) known: Vec<ServicePatterns>,
    pub(crate) trouble: Option<String>,
    /// When and for which services it was last asked.
    pub(crate) asked_us: Option<u64>,
    pub(crate) asked_for: BTreeSet<ServiceId>,
    /// No answer has come yet.
    pub(crate) waits: bool,
    /// From where it was opened.
    pub(crate) from: Option<Pane>,
}

/// What is known of output from before this console.
#[derive(Debug)]
pub(crate) enum Earlier {
    /// It was asked for; what comes meanwhile waits, so that lines stand in their order.
    Asked { meanwhile: Vec<Arc<LogBatch>> },
    /// It is here, or cannot be had.
    Known,
}

impl Default for Earlier {
    fn default() -> Self {
        Self::Asked { meanwhile: Vec::new() }
    }
}

/// Where the logs stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum LogPosition {
    /// At the newest line, and with it.
    #[default]
    Following,
    /// Pinned, however many lines come.
    At {
        /// The selected row.
        row: i64,
        /// The first visible row.
        top: i64,
        /// Where a selection of several rows began.
        anchor: Option<i64>,
    },
}

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, with a key of its own")]
pub(crate) struct LogsPane {
    pub(crate) store: LogStore,
    pub(crate) view: LogView,
    pub(crate) position: LogPosition,
    pub(crate) wrap: bool,
    pub(crate) timestamps: bool,
    pub(crate) everyone: bool,
    pub(crate) showing: Showing,
    /// Columns that long lines are shifted to the left while they are not wrapped.
    pub(crate) shift: u16,
    /// What lines must have to be shown.
    pub(crate) terms: Vec<Term>,
    pub(crate) level: Option<Level>,
    pub(crate) range: Option<TimeRange>,
    /// Entries that are shown before and after each that is looked for.
    pub(crate) around: usize,
    /// What happened to services is left out between their lines.
    pub(crate) without_events: bool,
    /// Structured lines are shown as they were written.
    pub(crate) as_written: bool,
    pub(crate) histogram: Histogram,
    /// Entries of several lines that are shown whole.
    pub(crate) unfolded: HashSet<EntryKey>,
    pub(crate) unfold_all: bool,
    /// The entry to go to as soon as it is among the rows.
    pub(crate) goal: Option<EntryKey>,
    pub(crate) past: Past,
    /// Batches that came faster than they could be taken.
    pub(crate) missed: u64,
    pub(crate) earlier: Earlier,
}

/// When lines must have come to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimeRange {
    /// As it is called: `last 5 m`, `14:03–14:07`.
    pub(crate) label: String,
    pub(crate) since_us: i64,
    pub(crate) until_us: Option<i64>,
}

/// What came when, above the lines.
#[derive(Debug, Clone, Default)]
pub(crate) struct Histogram {
    pub(crate) shown: bool,
    /// The stretch that was chosen, seconds since the Unix epoch.
    pub(crate) picked: Option<(u32, u32)>,
    /// What was shown when a stretch was first chosen: the rest is no more among the rows, but still to be chosen from.
    pub(crate) frozen: Option<Bars>,
}

/// Bars of a histogram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bars {
    /// Where the first begins, seconds since the Unix epoch.
    pub(crate) from: u32,
    /// Seconds of each.
    pub(crate) width: u32,
    pub(crate) counts: Vec<Count>,
}

/// What is known of lines that are not in memory.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// Counts up whenever something else is shown: answers to earlier questions are nobody's.
    pub(crate) ticket: u64,
    pub(crate) asked: Option<Towards>,
    /// Where to go on towards what is older; none: where memory begins.
    pub(crate) older: Option<Vec<Bound>>,
    /// Where to go on towards what is newer, from the gap on.
    pub(crate) newer: Vec<Bound>,
    /// There is nothing older.
    pub(crate) is_complete: bool,
    /// Why it cannot be had.
    pub(crate) trouble: Option<String>,
    /// Bytes that were looked through, and that are still to be.
    pub(crate) looked_bytes: u64,
    pub(crate) left_bytes: u64,
    /// The oldest lines of all were asked for.
    pub(crate) from_the_oldest: bool,
    /// The line to go to, with what stands around it from a time on, microseconds since the Unix epoch.
    pub(crate) jump: Option<(ServiceId, u64, i64)>,
}

/// A filter that is being typed.
#[derive(Debug)]
pub(crate) struct FilterPrompt {
    pub(crate) pane: Pane,
    pub(crate) edit: LineEdit,
    /// As it was typed.
    pub(crate) before: Option<String>,
    /// Which of several filters of the pane it is.
    pub(crate) place: usize,
}

/// A sentence shown for a few seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Toast {
    pub(crate) severity: Severity,
    pub(crate) text: String,
    pub(crate) hint: Option<String>,
    pub(crate) until: Timestamp,
}

/// What the engine takes from this console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Commands.
    Full,
    /// Questions only.
    Looking,
}

/// Whether the console is being left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Leaving {
    #[default]
    Staying,
    /// Services are being stopped first.
    StoppingAll,
}

/// With what a console begins.
#[derive(Debug)]
pub struct Setup {
    /// Colours.
    pub theme: Theme,
    /// Keys.
    pub keymap: Keymap,
    /// Time zone of everything that is shown.
    pub zone: Zone,
    /// Whether clicks and the wheel are ours at first.
    pub mouse: bool,
    /// The project whose services are selected at first.
    pub project: Option<ProjectName>,
    /// The file that `e` opens where nothing is selected.
    pub project_file: Option<PathBuf>,
    /// Commands are refused behind the door; this only says so.
    pub read_only: bool,
}

/// The machine as it is shown: taken anew at once where it changed much, else every few seconds, so that the noise of a quiet
/// machine costs no traffic.
#[derive(Debug, Default)]
pub(crate) struct CalmHost {
    pub(crate) view: HostView,
    taken: Timestamp,
}

impl CalmHost {
    /// How long small changes wait.
    const PATIENCE: Duration = Duration::from_secs(15);

    /// Percent points of CPU, or bytes per second, that are shown at once.
    const MUCH: (f32, f64) = (4.0, 512.0 * 1024.0);

    pub(crate) fn look(&mut self, snapshot: &Snapshot) {
        let is_much = match (&self.view.usage, &snapshot.host.usage) {
            (Some(old), Some(new)) => {
                let rates = |usage: &HostUsage| {
                    [
                        usage.net_rx_bytes_per_s,
                        usage.net_tx_bytes_per_s,
                        usage.disk_read_bytes_per_s,
                        usage.disk_write_bytes_per_s,
                    ]
                };
                (old.cpu_percent - new.cpu_percent).abs() >= Self::MUCH.0
                    || rates(old).iter().zip(rates(new)).any(|(old, new)| (old - new).abs() >= Self::MUCH.1)
            }
            (None, None) => false,
            (Some(_), None) | (None, Some(_)) => true,
        };
        if is_much || snapshot.at.since(self.taken) >= Self::PATIENCE {
            self.view = snapshot.host.clone();
            self.taken = snapshot.at;
        }
    }
}

/// Everything that the console knows.
#[derive(Debug)]
pub struct Ui {
    pub(crate) size: Size,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) host: CalmHost,
    pub(crate) link: Link,
    pub(crate) theme: Theme,
    pub(crate) keymap: Keymap,
    pub(crate) zone: Zone,
    pub(crate) mouse: bool,
    pub(crate) project_file: Option<PathBuf>,
    pub(crate) access: Access,
    pub(crate) focus: Pane,
    pub(crate) zoomed: bool,
    pub(crate) splits: Splits,
    pub(crate) drag: Option<Divider>,
    pub(crate) projects: ProjectsPane,
    pub(crate) services: ServicesPane,
    pub(crate) logs: LogsPane,
    pub(crate) timeline: TimelinePane,
    pub(crate) containers: ContainersPane,
    pub(crate) patterns: PatternsPane,
    pub(crate) prompt: Option<FilterPrompt>,
    pub(crate) modal: Option<Modal>,
    pub(crate) toast: Option<Toast>,
    pub(crate) alerts: Alerts,
    /// Lines that were run from the palette, oldest first.
    pub(crate) lines: Vec<String>,
    pub(crate) leaving: Leaving,
    pub(crate) wanted_project: Option<ProjectName>,
    /// The directory of a project that was asked for and is not open yet.
    pub(crate) opening: Option<PathBuf>,
    /// The picture on the screen is older than this.
    pub(crate) stale: bool,
}

/// Which news are shown over everything, and how far the timeline was looked through for them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Alerts {
    /// None: nothing alerts.
    pub(crate) level: Option<AlertLevel>,
    /// Number of the newest entry that was looked at.
    pub(crate) seen: Option<u64>,
    /// Number of the newest sentence for terminals that was looked at.
    pub(crate) told: Option<u64>,
}

impl LogsPane {
    /// Whether not all lines are shown, or were asked for.
    pub(crate) const fn is_narrowed(&self) -> bool {
        !self.terms.is_empty() || self.level.is_some() || self.range.is_some()
    }
}

impl Ui {
    /// The engine runs in this process.
    pub(crate) fn hosts(&self) -> bool {
        self.link == Link::Local
    }

    /// From now on news of this level are shown over everything, with the bell.
    pub const fn alert_at(&mut self, level: AlertLevel) {
        self.alerts.level = Some(level);
    }

    /// From now on lines of these forms are recognised, too. What is wrong with one was said before.
    pub fn recognise(&mut self, formats: &[LogFormat]) {
        let (formats, _said) = Formats::with(formats);
        self.logs.view.recognise(Arc::new(formats));
    }

    /// A console of that size before it has seen anything.
    #[must_use]
    pub fn new(size: Size, setup: Setup) -> Self {
        Self {
            size,
            snapshot: Arc::default(),
            host: CalmHost::default(),
            link: Link::Local,
            theme: setup.theme,
            keymap: setup.keymap,
            zone: setup.zone,
            mouse: setup.mouse,
            project_file: setup.project_file,
            access: if setup.read_only { Access::Looking } else { Access::Full },
            focus: Pane::Services,
            zoomed: false,
            splits: Splits::default(),
            drag: None,
            projects: ProjectsPane::default(),
            services: ServicesPane::default(),
            logs: LogsPane { wrap: true, ..LogsPane::default() },
            timeline: TimelinePane::default(),
            containers: ContainersPane::default(),
            patterns: PatternsPane::default(),
            prompt: None,
            modal: None,
            toast: None,
            alerts: Alerts::default(),
            lines: Vec::new(),
            leaving: Leaving::Staying,
            wanted_project: setup.project,
            opening: None,
            stale: true,
        }
    }

    /// True where the picture has to be drawn anew; false from then on until something changes.
    pub const fn take_stale(&mut self) -> bool {
        std::mem::replace(&mut self.stale, false)
    }

    /// True where the picture has to be drawn anew.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        self.stale
    }

    /// True while a new filter is still being applied to old lines: call [`Self::work`] when there is nothing better to do.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.logs.view.is_behind()
    }

    /// Applies the filter to a piece of the old lines that takes a millisecond or two.
    pub fn work(&mut self) {
        const PIECE_BYTES: usize = 96 * 1024;
        self.logs.view.work(&self.logs.store, PIECE_BYTES);
        self.stale = true;
    }

    /// The newest picture.
    #[must_use]
    pub const fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// Ordinary text without a ground of its own, so that a selected row or a box shines through.
    pub(crate) const fn ink(&self) -> Style {
        Style { bg: None, ..self.theme.style(Role::Text) }
    }

    /// The colours in use.
    #[must_use]
    pub const fn theme(&self) -> &Theme {
        &self.theme
    }

    /// The pane that has the keys.
    #[must_use]
    pub const fn focus(&self) -> Pane {
        self.focus
    }

    /// Services that are marked.
    #[must_use]
    pub const fn marks(&self) -> &BTreeSet<ServiceId> {
        &self.services.marks
    }

    /// The service that is selected.
    #[must_use]
    pub const fn selected(&self) -> Option<&ServiceId> {
        self.services.selected.as_ref()
    }
}
