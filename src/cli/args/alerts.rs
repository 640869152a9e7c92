//! `cas alerts` on the command line.

use clap::{Args, Subcommand};

pub(super) const EXAMPLES: &str = "\
Examples:
  cas alerts                   what is wrong, who was told, who was not and why
  cas alerts --all             also what is not told yet, and what is over
  cas alerts test ops          send a test message by the route ops
  cas silence web --for 2h --because 'we move the disks'";

/// `cas alerts`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Alerts {
    /// JSON
    #[arg(long)]
    pub json: bool,
    /// Also alarms that are pending, and those that were resolved last
    #[arg(short = 'a', long)]
    pub all: bool,
    /// What to do besides.
    #[command(subcommand)]
    pub action: Option<AlertsAction>,
}

/// What to do about alerts.
#[derive(Debug, Subcommand)]
pub enum AlertsAction {
    /// Send a test message by a route of this project, and say what came of it
    Test {
        /// Its name
        route: String,
    },
}
