//! What is typed behind `insight`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::{
    cli::args::level,
    model::{command::ServiceRef, level::Level, pattern::Since},
};

pub(super) const EXAMPLES: &str = "\
Examples:
  cas insight templates app.log             the templates behind the lines of a file, the most frequent first
  cas insight templates app.log --top 20    only so many
  cas logs web | cas insight templates -     those of what a service wrote
  cas insight templates app.log --csv       the template of every line
  cas insight patterns                      what services write, new errors first
  cas insight patterns web --new restart    what web has not written before its present run
  cas insight patterns --level error        errors only";

/// `cas insight`.
#[derive(Debug, Args)]
pub struct Insight {
    /// What to learn.
    #[command(subcommand)]
    pub action: InsightAction,
}

/// What can be learnt.
#[derive(Debug, Subcommand)]
pub enum InsightAction {
    /// Fold the lines of a log file into the templates behind them
    Templates(Templates),
    /// List the patterns in what services write: how often, since when, whether new
    Patterns(Patterns),
}

/// `cas insight patterns`.
#[derive(Debug, Args)]
pub struct Patterns {
    /// Services; none named: all of the project
    #[arg(value_name = "SERVICE")]
    pub services: Vec<ServiceRef>,
    /// Only what is new since then
    #[arg(long, value_name = "SINCE")]
    pub new: Option<Since>,
    /// Only what is so serious, or more: trace, debug, info, warn, error, fatal
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    pub level: Option<Level>,
    /// Only the first N
    #[arg(long, value_name = "N")]
    pub top: Option<usize>,
    /// JSON
    #[arg(long)]
    pub json: bool,
}

/// `cas insight templates`.
#[derive(Debug, Args)]
pub struct Templates {
    /// The log file; `-`: standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// One row for every line: `LineId,EventId,EventTemplate`, with `<*>` for values
    #[arg(long, conflicts_with_all = ["json", "top"])]
    pub csv: bool,
    /// JSON
    #[arg(long)]
    pub json: bool,
    /// Only the N most frequent templates
    #[arg(long, value_name = "N")]
    pub top: Option<usize>,
}
