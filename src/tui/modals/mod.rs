//! What lies over the panes: at most one thing at a time.

pub(crate) mod choice;
pub(crate) mod complete;
pub(crate) mod container;
pub(crate) mod detail;
pub(crate) mod health;
pub(crate) mod help;
pub(crate) mod palette;
pub(crate) mod share;
pub(crate) mod text;
pub(crate) mod why;

use crate::{
    model::{command::ServiceRef, policy::Plan, policy::Request, signal::Signal},
    tui::{theme::Theme, widgets::Viewport},
};

/// The thing over the panes.
#[derive(Debug)]
pub(crate) enum Modal {
    Palette(Box<palette::Palette>),
    /// The engine wants a person to agree.
    Confirm {
        request: Request,
        plan: Plan,
    },
    /// Leaving would stop services.
    Leave {
        running: usize,
    },
    /// Which signal to send.
    Signals {
        view: Viewport,
        targets: Vec<ServiceRef>,
        /// As they are called.
        names: String,
    },
    /// Which colours; the first is what to go back to.
    Themes {
        before: Box<Theme>,
        themes: Vec<Theme>,
        view: Viewport,
    },
    /// Where lines of output are to go.
    Share(share::Share),
    /// Something to read.
    Text {
        kind: text::TextKind,
        scroll: usize,
    },
}

impl Modal {
    /// Something to read, from its first line.
    pub(crate) const fn text(kind: text::TextKind) -> Self {
        Self::Text { kind, scroll: 0 }
    }

    /// How many things there are to choose from.
    pub(crate) fn choices(&self) -> usize {
        match self {
            Self::Signals { .. } => Signal::ALL.len(),
            Self::Themes { themes, .. } => themes.len(),
            Self::Share(share) => share.ways().len(),
            Self::Palette(_) | Self::Confirm { .. } | Self::Leave { .. } | Self::Text { .. } => 0,
        }
    }
}
