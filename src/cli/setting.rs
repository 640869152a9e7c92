//! `cas config` as it is typed.

use clap::{Args, Subcommand};

/// What the help ends with.
pub(super) const EXAMPLES: &str = "\
Examples:
  cas config set auto-heal on
  cas config set retry-strategy exponential       for all your projects
  cas config set --project max-restarts 5         for this one
  cas config set --service web restart always     for one service of it
  cas config get auto-heal                        what holds now
  cas config list --sources                       all of it, and who says so

Each wins over those before it: built in, your file, the project's defaults, the environment
(CAS_AUTO_HEAL=off), a flag, a service's own keys.";

/// What to do with settings.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ConfigAction {
    /// Print what holds for a key
    Get {
        /// The key, such as auto-heal or services.web.restart
        key: String,
        /// For this service
        #[arg(long, value_name = "NAME")]
        service: Option<String>,
    },
    /// Write a value into your file, the project's, or a service's part of it
    Set {
        /// The key
        key: String,
        /// The value
        #[arg(allow_hyphen_values = true)]
        value: String,
        /// Whose it is.
        #[command(flatten)]
        whose: Whose,
    },
    /// Take a key out of the file again
    Unset {
        /// The key
        key: String,
        /// Whose it is.
        #[command(flatten)]
        whose: Whose,
    },
    /// Open your file in $VISUAL or $EDITOR, then check it
    Edit {
        /// The project's file
        #[arg(long)]
        project: bool,
    },
    /// Print every key and what holds for it
    List {
        /// And who says so
        #[arg(long)]
        sources: bool,
        /// JSON
        #[arg(long)]
        json: bool,
        /// For this service
        #[arg(long, value_name = "NAME")]
        service: Option<String>,
    },
    /// Print the JSON Schema of cas.yaml, for editors
    Schema {
        /// That of your own file
        #[arg(long)]
        user: bool,
    },
    /// Print which files are read, and whether they are there
    Path,
}

/// Whose a value is; neither: yours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Whose {
    /// Of every service of this project (its `defaults`)
    #[arg(long, conflicts_with = "service")]
    pub project: bool,
    /// Of this service
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
}

impl ConfigAction {
    /// What it changes, for a sentence; none where it only looks.
    #[must_use]
    pub const fn change(&self) -> Option<&'static str> {
        match self {
            Self::Set { .. } => Some("config set writes a file"),
            Self::Unset { .. } => Some("config unset writes a file"),
            Self::Edit { .. } => Some("config edit changes a file"),
            Self::Get { .. } | Self::List { .. } | Self::Schema { .. } | Self::Path => None,
        }
    }
}
