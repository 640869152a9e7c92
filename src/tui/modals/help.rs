//! The help screen, generated from the keymap and from the definition of the commands: it cannot be out of date.

use ratatui::text::{Line, Span};

use super::text::heading;
use crate::{
    model::command::Command,
    tui::{action::Section, format, theme::Role, ui::Ui},
};

const KEYS: usize = 16;

pub(crate) fn lines(ui: &Ui, width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let order = [Section::Service, Section::Global, Section::List, Section::Logs, Section::Prompt, Section::Confirm];
    for section in order {
        lines.push(heading(ui, section.heading()));
        for binding in ui.keymap.bindings().iter().filter(|binding| binding.action.section() == section) {
            let keys = binding.keys.iter().map(|key| key.short()).collect::<Vec<_>>().join("  ");
            let keys = if keys.is_empty() { "—".to_owned() } else { keys };
            lines.extend(row(ui, &keys, &binding.help, KEYS, width));
        }
        lines.push(Line::default());
    }
    let palette = ui.keymap.key(crate::tui::action::GlobalKey::Palette.into()).unwrap_or_default();
    lines.push(heading(ui, &format!("Commands, typed after {palette} and in the shell after cas")));
    let definition = Command::definition();
    for command in definition.get_subcommands() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        lines.extend(row(ui, command.get_name(), &about, KEYS, width));
        for argument in command.get_arguments() {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            lines.extend(row(ui, &format!("  {}", spelled(argument)), &help, KEYS + 10, width));
        }
    }
    lines
}

/// An argument as it is typed: `SERVICE…`, `--all`, `--grace GRACE`.
pub(crate) fn spelled(argument: &clap::Arg) -> String {
    let value = argument
        .get_value_names()
        .and_then(|names| names.first())
        .map_or_else(|| argument.get_id().as_str().to_uppercase(), ToString::to_string);
    match argument.get_long() {
        Some(long) if argument.get_action().takes_values() => format!("--{long} {value}"),
        Some(long) => format!("--{long}"),
        None if argument.get_num_args().is_some_and(|count| count.max_values() > 1) => format!("{value}…"),
        None => value,
    }
}

fn row(ui: &Ui, name: &str, help: &str, column: usize, width: usize) -> Vec<Line<'static>> {
    let pieces = format::wrap(help, width.saturating_sub(column + 1));
    pieces
        .into_iter()
        .enumerate()
        .map(|(number, piece)| {
            let name = if number == 0 { name } else { "" };
            Line::from(vec![
                Span::styled(format::cell(name, column), ui.theme.style(Role::Key)),
                Span::raw(" "),
                Span::styled(piece, ui.ink()),
            ])
        })
        .collect()
}
