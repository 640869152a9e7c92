//! Reads that a snapshot does not answer.

use std::{path::PathBuf, sync::Arc};

use super::{
    deed::DiskUse,
    ids::ServiceId,
    log::LogBatch,
    log_file::LogFileView,
    policy::{Asker, Origin},
    secret::SecretValues,
    timeline::Entry,
};

/// A question.
#[derive(Debug, Clone)]
pub enum Query {
    /// Lines that are still in memory, all services (`service: None`) or one.
    Logs {
        /// Whose.
        service: Option<ServiceId>,
    },
    /// The same as they were written, secrets included. Never over a read-only socket; who asks stands on the timeline.
    RawLogs {
        /// Whose.
        service: Option<ServiceId>,
        /// How it was asked for.
        origin: Origin,
        /// By which program, where that is known.
        asker: Option<Asker>,
    },
    /// Older entries of the timeline, from the store.
    Entries {
        /// At most so many, the newest.
        limit: usize,
    },
    /// What takes up space on Docker's disk.
    Disk,
    /// Files that services write themselves, of one or all (`service: None`).
    LogFiles {
        /// Whose.
        service: Option<ServiceId>,
    },
    /// Directory and environment for a shell beside a service. Answered to a console in the same process only.
    ShellContext {
        /// Beside which.
        service: ServiceId,
    },
}

/// An answer.
#[derive(Debug, Clone)]
pub enum Answer {
    /// To [`Query::Logs`] and [`Query::RawLogs`]: batches, oldest first.
    Logs(Vec<Arc<LogBatch>>),
    /// To [`Query::Entries`]: oldest first.
    Entries(Vec<Entry>),
    /// To [`Query::Disk`].
    Disk(Arc<DiskUse>),
    /// To [`Query::LogFiles`]: declared ones first, service by service.
    LogFiles(Vec<LogFileView>),
    /// To [`Query::ShellContext`].
    ShellContext {
        /// The service's directory.
        working_dir: PathBuf,
        /// What its file sets, values included.
        environment: Vec<(String, String)>,
        /// What it was given as secrets, so that they are found in what it wrote. Not for the shell.
        secrets: SecretValues,
    },
    /// It cannot be answered; a sentence says why.
    Unavailable(String),
}
