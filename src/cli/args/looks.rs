//! What is typed behind `health`, `why` and `kinds`.

use clap::Args;

use crate::model::command::ServiceRef;

pub(super) const HEALTH_EXAMPLES: &str = "\
Examples:
  cas health              one line a service, the worst first
  cas health db --deep    every check of one: figure, threshold, course, what to do
  cas health --watch      again whenever something changes
  cas health --json | jq '.services[] | select(.grade != \"good\")'

Exit codes: 0 all is well · 10 something is worth a look · 20 something is broken
            3 no engine is running, so nobody looks";

/// `cas health`.
#[derive(Debug, Args)]
pub struct Health {
    /// Services: NAME, PROJECT/NAME, or a pattern with `*`
    #[arg(value_name = "SERVICE")]
    pub services: Vec<ServiceRef>,
    /// Every check of each: figure and threshold, course, since when, what to do, and its probes
    #[arg(short = 'd', long)]
    pub deep: bool,
    /// JSON; with --watch one document per line
    #[arg(long)]
    pub json: bool,
    /// Print again whenever something changes
    #[arg(short = 'w', long)]
    pub watch: bool,
}

/// `cas why`.
#[derive(Debug, Args)]
pub struct Why {
    /// Services: NAME, PROJECT/NAME, or a pattern with `*`; none: the project as a whole
    #[arg(value_name = "SERVICE")]
    pub services: Vec<ServiceRef>,
    /// JSON
    #[arg(long)]
    pub json: bool,
}

/// `cas kinds`.
#[derive(Debug, Args)]
pub struct Kinds {
    /// One of them, by its word or its title
    #[arg(value_name = "KIND")]
    pub kind: Option<String>,
    /// JSON
    #[arg(long)]
    pub json: bool,
}
