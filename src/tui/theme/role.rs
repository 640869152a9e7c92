//! The meanings that a theme gives a look to.

use ratatui::style::{Modifier, Style};

macro_rules! roles {
    ($($(#[doc = $about:literal])+ $name:ident $word:literal $($modifier:ident)*,)*) => {
        /// A meaning. Files write it in kebab case: `border-focused`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Role { $($(#[doc = $about])+ $name,)* }

        impl Role {
            /// All of them, in the order of their declaration.
            pub const ALL: [Self; [$($word),*].len()] = [$(Self::$name),*];

            /// The word that theme files use.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// Its look where no colour may be shown.
            pub(super) const fn without_color(self) -> Style {
                match self { $(Self::$name => Style::new()$(.add_modifier(Modifier::$modifier))*,)* }
            }
        }
    };
}

roles! {
    /// Ordinary text, and the background of the screen.
    Text "text",
    /// Secondary text: units, times, what is unremarkable. Still to be read.
    Muted "muted",
    /// Hardly there: guides, empty cells, placeholders.
    Faint "faint" DIM,
    /// Titles of panes, heads of columns.
    Title "title" BOLD,
    /// What stands out without being good or bad: the active tab, a link, the project's name.
    Accent "accent" BOLD,
    /// The row that the keys act on. To be laid over the finished row (`buffer.set_style`): in some themes it brings letters of its
    /// own, in others it leaves theirs to the words.
    Selection "selection" REVERSED,
    /// The same in a pane that has not the focus.
    SelectionInactive "selection-inactive" BOLD UNDERLINED,
    /// Frame of a pane.
    Border "border" DIM,
    /// Frame of the pane that has the focus.
    BorderFocused "border-focused" BOLD,
    /// The line at the top and the one at the bottom.
    HeaderBar "header-bar",
    /// A key in the hints.
    Key "key" BOLD,
    /// What the key does.
    KeyLabel "key-label",
    /// Running, healthy, done.
    Good "good",
    /// Held up, backing off, degraded.
    Warning "warning" BOLD,
    /// Failed, unhealthy, given up.
    Error "error" BOLD,
    /// In motion, or just told.
    Info "info",
    /// Curve of CPU.
    GraphCpu "graph-cpu",
    /// Curve of memory.
    GraphMemory "graph-memory",
    /// Curve of bytes received.
    GraphNetRx "graph-net-rx",
    /// Curve of bytes sent.
    GraphNetTx "graph-net-tx" DIM,
    /// Curve of bytes read.
    GraphDiskRead "graph-disk-read",
    /// Curve of bytes written.
    GraphDiskWrite "graph-disk-write" DIM,
    /// Axes and their numbers.
    Axis "axis",
    /// What a filter or a search found.
    Match "match" REVERSED,
    /// A row marked for a common action.
    Marked "marked" BOLD,
    /// Ground and text of a box over the panes.
    Overlay "overlay",
}

impl Role {
    pub(super) const fn index(self) -> usize {
        self as usize
    }
}
