//! `cas projects` as clap has it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `cas projects`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Projects {
    /// JSON
    #[arg(long)]
    pub json: bool,
    /// What to do with them; none: list.
    #[command(subcommand)]
    pub action: Option<ProjectsAction>,
}

/// What to do with the list of projects.
#[derive(Debug, Subcommand)]
pub enum ProjectsAction {
    /// Put the projects of directories on the list; nothing is started
    Add {
        /// Directories, or project files
        #[arg(value_name = "DIR", required = true)]
        directories: Vec<PathBuf>,
        /// JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a project off the list; its files stay
    #[command(alias = "forget")]
    Remove {
        /// NAME, NAME@END-OF-DIRECTORY, or a directory
        #[arg(value_name = "PROJECT")]
        project: String,
        /// JSON
        #[arg(long)]
        json: bool,
    },
    /// Look for projects below a directory, and offer to put them on the list
    Scan(Scan),
}

/// `cas projects scan`.
#[derive(Debug, Args)]
pub struct Scan {
    /// Where to look (default: here)
    #[arg(value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// How many directories deep
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub depth: usize,
    /// Put all that are new on the list, without asking
    #[arg(short = 'y', long)]
    pub yes: bool,
    /// JSON; asks nothing
    #[arg(long)]
    pub json: bool,
}

impl ProjectsAction {
    /// What it changes, for a sentence; none where it only looks.
    pub(super) const fn change(&self) -> Option<&'static str> {
        match self {
            Self::Add { .. } => Some("add puts projects on the list"),
            Self::Remove { .. } => Some("remove takes a project off the list"),
            Self::Scan(scan) if scan.yes => Some("scan --yes puts projects on the list"),
            Self::Scan(_) => None,
        }
    }
}
