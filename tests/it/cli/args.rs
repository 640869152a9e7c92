//! What can be typed.

use cas::{
    cli::{
        args::{Cli, GraphFormat, Verb},
        definition, demo_service,
        outcome::Outcome,
        when::When,
    },
    model::command::{Command, Verb as Wish},
};
use clap::{Parser, error::ErrorKind};

fn typed(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(shlex::split(line).unwrap())
}

fn refused(line: &str) -> (ErrorKind, String) {
    let error = typed(line).expect_err(line);
    (error.kind(), error.render().to_string())
}

#[test]
fn the_definition_holds_together() {
    definition().debug_assert();
}

#[test]
fn no_verb_means_the_console() {
    assert!(typed("cas").unwrap().verb.is_none());
}

#[test]
fn every_command_of_the_model_is_a_verb_with_the_same_words_as_in_the_palette() {
    let lines = [
        "start web",
        "stop web --grace 3s",
        "restart --all --with-dependents",
        "kill web",
        "pause web",
        "unpause web",
        "recreate web --renew-volumes --grace 3s",
        "pull web",
        "rm web --force --volumes",
        "prune images volumes --everything",
        "signal HUP web",
        "rotate web",
        "reload",
        "open /srv/shop",
        "close shop",
        "maintenance on web --for 30m",
        "autopilot off",
        "silence web --for 2h --because disks",
        "unsilence web",
    ];
    assert_eq!(lines.len(), Wish::ALL.len());
    for line in lines {
        let Some(Verb::Act(act)) = typed(&format!("cas {line} --dry-run --json")).unwrap().verb else {
            panic!("{line}")
        };
        assert_eq!(act.command, Command::parse_line(line).unwrap());
        assert!(act.manner.dry_run && act.manner.json && !act.manner.no_wait);
        assert_eq!(act.manner.timeout.as_secs(), 60);
    }
}

#[test]
fn the_help_of_a_command_is_the_models_own() {
    for wish in Command::definition().get_subcommands() {
        let cas = definition();
        let verb = cas.find_subcommand(wish.get_name()).unwrap();
        assert_eq!(verb.get_about().unwrap().to_string(), wish.get_about().unwrap().to_string());
    }
}

#[test]
fn a_file_named_before_the_verb_and_a_log_that_is_followed_do_not_mix() {
    let cli = typed("cas -f other.yaml logs -f web").unwrap();
    assert_eq!(cli.file.unwrap().to_str(), Some("other.yaml"));
    let Some(Verb::Logs(logs)) = cli.verb else { panic!() };
    assert!(logs.follow);
}

#[test]
fn the_directory_of_a_command_is_not_the_one_to_work_in() {
    let cli = typed("cas open blog").unwrap();
    assert_eq!(cli.directory, None);
    let cli = typed("cas -C /srv open blog").unwrap();
    assert_eq!(cli.directory.unwrap().to_str(), Some("/srv"));
    let Some(Verb::Act(act)) = cli.verb else { panic!() };
    assert_eq!(act.command.to_line(), "open blog");
}

#[test]
fn detaching_and_the_daemon_have_their_contradictions() {
    for line in ["cas up --detach --no-tui", "cas daemon stop --keep --down"] {
        assert_eq!(refused(line).0, ErrorKind::ArgumentConflict, "{line}");
    }
    assert_eq!(refused("cas up --timeout 3s").0, ErrorKind::MissingRequiredArgument);
    assert!(typed("cas daemon status --read-only --system").unwrap().read_only);
    assert!(!definition().find_subcommand_mut("daemon").unwrap().render_long_help().to_string().contains("detached"));
}

#[test]
fn directory_and_colour_may_stand_anywhere() {
    for line in ["cas -C /srv --no-color status", "cas status -C /srv --no-color"] {
        let cli = typed(line).unwrap();
        assert_eq!(cli.directory.unwrap().to_str(), Some("/srv"));
        assert!(cli.no_color);
    }
}

#[test]
fn the_theme_nearest_to_the_verb_wins() {
    assert_eq!(typed("cas --theme nord up --theme gruvbox").unwrap().theme(), Some("gruvbox"));
    assert_eq!(typed("cas --theme nord demo").unwrap().theme(), Some("nord"));
    assert_eq!(typed("cas status").unwrap().theme(), None);
}

#[test]
fn times_are_taken_as_people_write_them_and_refused_with_the_forms() {
    let Some(Verb::Logs(logs)) = typed("cas logs --since 10m --until 2026-11-22T10:00:00Z").unwrap().verb else {
        panic!()
    };
    assert_eq!(logs.since, Some(When::Ago(std::time::Duration::from_mins(10))));
    assert_eq!(logs.until, Some(When::At(super::fixture::NOON)));
    let (kind, text) = refused("cas logs --since yesterday");
    assert_eq!(kind, ErrorKind::ValueValidation);
    assert!(text.contains("\"yesterday\" is not a time") && text.contains("10m"), "{text}");
}

#[test]
fn a_pattern_that_is_no_regular_expression_is_a_usage_error() {
    assert_eq!(refused("cas logs --grep '('").0, ErrorKind::ValueValidation);
}

#[test]
fn contradictions_are_refused() {
    for line in [
        "cas logs -f --until 5m",
        "cas logs --json --timestamps",
        "cas status --watch --exit-code",
        "cas restart web --no-wait --timeout 3s",
        "cas stop web --all",
    ] {
        assert_eq!(refused(line).0, ErrorKind::ArgumentConflict, "{line}");
    }
}

#[test]
fn a_command_without_services_is_refused() {
    assert_eq!(refused("cas stop").0, ErrorKind::MissingRequiredArgument);
}

#[test]
fn graphs_have_four_formats() {
    let Some(Verb::Graph(graph)) = typed("cas graph").unwrap().verb else { panic!() };
    assert_eq!(graph.format, GraphFormat::Tree);
    for format in ["tree", "mermaid", "dot", "json"] {
        typed(&format!("cas graph --format {format}")).unwrap();
    }
    assert_eq!(refused("cas graph --format svg").0, ErrorKind::InvalidValue);
}

#[test]
fn services_of_the_demo_are_not_in_the_help() {
    let help = definition().render_long_help().to_string();
    assert!(!help.contains("demo-service"), "{help}");
    assert!(help.contains("cas up --no-tui") && help.contains("130 interrupted"), "{help}");
}

#[test]
fn anything_but_a_demo_service_is_left_to_the_ordinary_way() {
    for line in ["cas", "cas up demo-service", "cas demo-service", "cas demo-service nosuch"] {
        assert!(demo_service(shlex::split(line).unwrap().into_iter().map(Into::into)).is_none(), "{line}");
    }
}

#[test]
fn exit_codes_are_the_documented_ones() {
    let codes: Vec<u8> = Outcome::ALL.into_iter().map(Outcome::code).collect();
    assert_eq!(codes, [0, 1, 2, 3, 4, 5, 10, 20, 130]);
    let page = include_str!("../../../docs/cli.md");
    for outcome in Outcome::ALL {
        let row = format!("| {} | {} |", outcome.code(), outcome.about());
        assert!(page.contains(&row), "docs/cli.md lacks {row}");
    }
}

#[test]
fn every_verb_and_every_option_is_on_the_page() {
    let page = include_str!("../../../docs/cli.md");
    for verb in definition().get_subcommands().filter(|verb| !verb.is_hide_set()) {
        assert!(page.contains(&format!("`cas {}", verb.get_name())), "docs/cli.md lacks cas {}", verb.get_name());
        let shown = verb.get_arguments().filter(|argument| !argument.is_hide_set());
        for option in shown.filter_map(|argument| argument.get_long()) {
            assert!(page.contains(&format!("--{option}")), "docs/cli.md lacks --{option} of {}", verb.get_name());
        }
    }
}
