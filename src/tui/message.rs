//! What comes to the console, and what it asks of the terminal and the engine.

use std::{path::PathBuf, sync::Arc};

use crossterm::event::{KeyEvent, MouseEvent};
use ratatui::layout::Size;

use super::theme::Theme;
use crate::{
    host::handle::{EngineGone, Link},
    model::{
        alarm::DesktopNotice,
        ids::ServiceId,
        log::{LogBatch, LogNews},
        log_search::{LogFinds, LogSearch},
        pattern::ServicePatterns,
        policy::{Reply, Request},
        snapshot::Snapshot,
        timeline::Severity,
    },
};

/// Something that the console learns.
#[derive(Debug)]
pub enum Message {
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse did something.
    Mouse(MouseEvent),
    /// Text was pasted.
    Paste(String),
    /// The terminal has this size now.
    Resized(Size),
    /// The engine's newest picture.
    Snapshot(Arc<Snapshot>),
    /// How the engine is reached now.
    Link(Link),
    /// Output.
    Log(LogNews),
    /// Output that was there before, oldest first; empty where there is none or it cannot be had.
    LogHistory(Vec<Arc<LogBatch>>),
    /// What was found of lines that are not in memory; `ticket` is that of the question.
    LogFinds {
        /// Of which question.
        ticket: u64,
        /// What was found, or why nothing can be.
        answer: Result<LogFinds, String>,
    },
    /// A piece of the old lines was looked at.
    Worked,
    /// The patterns of services, or why they cannot be had.
    Patterns(Result<Vec<ServicePatterns>, String>),
    /// The door answered.
    Replied {
        /// What was asked.
        request: Request,
        /// The answer.
        reply: Result<Reply, EngineGone>,
    },
    /// Themes to choose from, each loaded; those with faults are left out and told by a `Said`.
    Themes(Vec<Theme>),
    /// SIGHUP: whoever sent it wants project files to be read again.
    ReloadAsked,
    /// A file was edited and closed without an error.
    Edited,
    /// A sentence to show.
    Said {
        /// How loudly.
        severity: Severity,
        /// The sentence.
        text: String,
    },
}

/// Something that the console wants done outside itself.
#[derive(Debug, Clone, PartialEq)]
pub enum UiEffect {
    /// Ask at the door; the answer comes as [`Message::Replied`].
    Request(Request),
    /// Open a shell in the container of a service, or in the directory and environment of its process.
    Shell(ServiceId),
    /// Open a shell in a container that is no service's.
    ShellInside {
        /// Its whole id.
        id: String,
        /// Its name.
        name: String,
    },
    /// Open a file in the editor; then [`Message::Edited`].
    Edit {
        /// Which.
        file: PathBuf,
        /// At this line, from 1.
        line: Option<u32>,
    },
    /// Put text on the clipboard of the terminal.
    Copy(String),
    /// Write text into a new file whose name begins so, in the directory in which the console was opened; a [`Message::Said`] tells its name.
    Save {
        /// The beginning of its name.
        name: String,
        /// What to write.
        text: String,
        /// Said before its name: why it is a file.
        why: String,
    },
    /// Read text in `$PAGER`.
    Page(String),
    /// Read text in the editor; what is changed there changes nothing here.
    Peruse(String),
    /// Look for lines that are not in memory; they come as [`Message::LogFinds`].
    SearchLogs {
        /// Goes with the answer.
        ticket: u64,
        /// What is looked for.
        search: LogSearch,
    },
    /// Ask for the patterns of these services; they come as [`Message::Patterns`].
    AskPatterns(Vec<ServiceId>),
    /// Ring the terminal's bell.
    Ring,
    /// Have the terminal tell its desktop.
    Notify(DesktopNotice),
    /// Load every theme; they come as [`Message::Themes`].
    LoadThemes,
    /// Take (true) or release (false) the mouse.
    CaptureMouse(bool),
    /// Draw every cell anew.
    Repaint,
    /// Stop this process as the shell's Ctrl-Z does, and come back.
    Suspend,
    /// Stop every service, then end the engine and the console.
    StopAllAndQuit,
    /// End the console; services are to go on under the daemon.
    LeaveRunning,
    /// Give the terminal to a service that has one.
    Attach(ServiceId),
    /// End the console now.
    Quit,
}
