//! Commands on the command line: [`Command`]'s own definition, and the manner in which each is put. Never a verb of its own.

use clap::{ArgMatches, Args, FromArgMatches, Subcommand, error::ErrorKind};

use super::args::Manner;
use crate::model::command::{Command, Verb};

/// A command and how it is put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// The wish.
    pub command: Command,
    /// Dry run, JSON, waiting.
    pub manner: Manner,
}

impl FromArgMatches for Act {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let (_, own) = matches.subcommand().ok_or_else(|| clap::Error::new(ErrorKind::MissingSubcommand))?;
        Ok(Self { manner: Manner::from_arg_matches(own)?, command: Command::from_arg_matches(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for Act {
    fn augment_subcommands(parent: clap::Command) -> clap::Command {
        Verb::ALL.into_iter().fold(Command::augment_subcommands(parent), |cli, verb| {
            cli.mut_subcommand(verb.label(), |verb| {
                // The manner has a description of its own, which is not that of the verb.
                let about = verb.get_about().cloned();
                let verb = Manner::augment_args(verb);
                match about {
                    Some(about) => verb.about(about),
                    None => verb,
                }
            })
        })
    }

    fn augment_subcommands_for_update(parent: clap::Command) -> clap::Command {
        Self::augment_subcommands(parent)
    }

    fn has_subcommand(name: &str) -> bool {
        Command::has_subcommand(name)
    }
}
