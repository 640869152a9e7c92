//! What a key can do on the screen. Changing the world is a `Command`; an action at most asks for one.

/// Keys of one section of the keymap are active together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Section {
    /// Everywhere.
    Global,
    /// In every list and text.
    List,
    /// Wherever a service is selected.
    Service,
    /// In the logs.
    Logs,
    /// While a line is typed.
    Prompt,
    /// While a question is open.
    Confirm,
}

/// Sections that can be active at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layer {
    /// The panes.
    Screen,
    /// The logs. While they have the focus, their keys go before those of the panes; else those of the panes go before them.
    Logs,
    /// A line is typed.
    Prompt,
    /// A question is open.
    Confirm,
}

impl Section {
    /// Every section, in the order of the help screen.
    pub const ALL: [Self; 6] = [Self::Global, Self::List, Self::Service, Self::Logs, Self::Prompt, Self::Confirm];

    /// The word in the keymap file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::List => "list",
            Self::Service => "service",
            Self::Logs => "logs",
            Self::Prompt => "prompt",
            Self::Confirm => "confirm",
        }
    }

    /// Its heading on the help screen.
    #[must_use]
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Global => "Everywhere",
            Self::List => "In lists and texts",
            Self::Service => "On services",
            Self::Logs => "In the logs",
            Self::Prompt => "While typing",
            Self::Confirm => "When asked",
        }
    }

    /// With which others it is active.
    #[must_use]
    pub const fn layer(self) -> Layer {
        match self {
            Self::Global | Self::List | Self::Service => Layer::Screen,
            Self::Logs => Layer::Logs,
            Self::Prompt => Layer::Prompt,
            Self::Confirm => Layer::Confirm,
        }
    }
}

macro_rules! actions {
    ($($section:ident($keys:ident) { $($action:ident = $name:literal,)* })*) => {
        $(
            /// What keys of this section do; what each does for a person stands in `assets/keymap.toml`.
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
            pub enum $keys { $(#[doc = concat!("`", $name, "`")] $action,)* }
        )*

        /// A thing that a key does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Action { $(#[doc = concat!("Of section ", stringify!($section))] $section($keys),)* }

        impl Action {
            /// Every action, by section.
            pub const ALL: &[Self] = &[$($(Self::$section($keys::$action),)*)*];

            /// Its name in the keymap file.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($(Self::$section($keys::$action) => $name,)*)* }
            }

            /// Its section.
            #[must_use]
            pub const fn section(self) -> Section { match self { $(Self::$section(_) => Section::$section,)* } }
        }

        $(impl From<$keys> for Action { fn from(key: $keys) -> Self { Self::$section(key) } })*
    };
}

actions! {
    Global(GlobalKey) {
        Quit = "quit",
        Suspend = "suspend",
        Help = "help",
        Palette = "palette",
        FocusNext = "focus-next",
        FocusPrevious = "focus-previous",
        ProjectsPane = "projects-pane",
        ServicesPane = "services-pane",
        GraphsPane = "graphs-pane",
        LogsPane = "logs-pane",
        TimelinePane = "timeline-pane",
        ContainersPane = "containers-pane",
        PatternsPane = "patterns-pane",
        Zoom = "zoom",
        Back = "back",
        Wider = "wider",
        Narrower = "narrower",
        Taller = "taller",
        Shorter = "shorter",
        Fit = "fit",
        StartAll = "start-all",
        StopAll = "stop-all",
        EditProject = "edit-project",
        ShowProblems = "show-problems",
        Why = "why",
        PickTheme = "pick-theme",
        ToggleMouse = "toggle-mouse",
        Repaint = "repaint",
    }
    List(ListKey) {
        Down = "down",
        Up = "up",
        Top = "top",
        Bottom = "bottom",
        HalfPageDown = "half-page-down",
        HalfPageUp = "half-page-up",
        PageDown = "page-down",
        PageUp = "page-up",
        Filter = "filter",
        NextMatch = "next-match",
        PreviousMatch = "previous-match",
        Open = "open",
        Copy = "copy",
        Mark = "mark",
    }
    Service(ServiceKey) {
        Restart = "restart",
        RestartWithDependents = "restart-with-dependents",
        StartOrStop = "start-or-stop",
        Kill = "kill",
        Signal = "signal",
        PauseOrUnpause = "pause-or-unpause",
        Recreate = "recreate",
        Pull = "pull",
        Rm = "rm",
        Shell = "shell",
        Attach = "attach",
        MarkAll = "mark-all",
        MarkNone = "mark-none",
        Logs = "logs",
        Detail = "detail",
        Health = "health",
    }
    Logs(LogsKey) {
        ToggleFollow = "toggle-follow",
        AddFilter = "add-filter",
        DropFilter = "drop-filter",
        Level = "level",
        NextError = "next-error",
        PreviousError = "previous-error",
        NextWarning = "next-warning",
        PreviousWarning = "previous-warning",
        SinceNow = "since-now",
        SinceMinute = "since-1m",
        SinceFiveMinutes = "since-5m",
        SinceQuarter = "since-15m",
        SinceHalfHour = "since-30m",
        SinceHour = "since-1h",
        SinceDay = "since-24h",
        Around = "around",
        ToggleContext = "toggle-context",
        Histogram = "histogram",
        PickEarlier = "pick-earlier",
        PickLater = "pick-later",
        StretchEarlier = "stretch-earlier",
        StretchLater = "stretch-later",
        Unfold = "unfold",
        ToggleWritten = "toggle-as-written",
        ToggleEvents = "toggle-events",
        Visual = "visual",
        Bookmark = "bookmark",
        NextBookmark = "next-bookmark",
        PreviousBookmark = "previous-bookmark",
        Share = "share",
        ToggleWrap = "toggle-wrap",
        ToggleTimestamps = "toggle-timestamps",
        ToggleAll = "toggle-all",
        ScrollLeft = "scroll-left",
        ScrollRight = "scroll-right",
    }
    Prompt(PromptKey) {
        Accept = "accept",
        Cancel = "cancel",
        Complete = "complete",
        NextChoice = "next-choice",
        PreviousChoice = "previous-choice",
    }
    Confirm(ConfirmKey) {
        Agree = "agree",
        Decline = "decline",
        LeaveRunning = "leave-running",
        StopAndQuit = "stop-and-quit",
    }
}

impl Action {
    /// Whether it is more than looking: it asks the engine for something, types into a service or into a file.
    #[must_use]
    pub const fn is_wish(self) -> bool {
        match self {
            Self::Global(GlobalKey::StartAll | GlobalKey::StopAll | GlobalKey::EditProject) => true,
            Self::Service(key) => match key {
                ServiceKey::Restart
                | ServiceKey::RestartWithDependents
                | ServiceKey::StartOrStop
                | ServiceKey::Kill
                | ServiceKey::Signal
                | ServiceKey::PauseOrUnpause
                | ServiceKey::Recreate
                | ServiceKey::Pull
                | ServiceKey::Rm
                | ServiceKey::Shell
                | ServiceKey::Attach => true,
                ServiceKey::MarkAll
                | ServiceKey::MarkNone
                | ServiceKey::Logs
                | ServiceKey::Detail
                | ServiceKey::Health => false,
            },
            Self::Global(_) | Self::List(_) | Self::Logs(_) | Self::Prompt(_) | Self::Confirm(_) => false,
        }
    }
}
