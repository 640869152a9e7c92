//! The verbs of the command line and their renderers: data on stdout, talk on stderr, an exit code that scripts can use.
//! Never decides about services (the engine does), never touches the world but through [`outside::Outside`].

pub mod act;
pub mod args;
pub mod care;
pub mod context;
pub mod demo;
pub mod follow;
pub mod interrupts;
mod link;
pub mod offline;
pub mod outcome;
pub mod outside;
pub mod paint;
pub mod render;
pub mod select;
pub mod setting;
pub mod table;
mod text;
mod verbs;
pub mod when;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::Parser;

use self::{
    args::{Cli, Verb},
    context::Context,
    outcome::{Failure, Outcome},
    outside::{Access, Outside},
};

/// Reads the command line `args` (the program's name first). Help and complaints are written where they belong.
///
/// # Errors
/// The outcome with which to end now: help or version was asked for, or the usage is wrong.
pub fn parse(args: impl IntoIterator<Item = OsString>, ctx: &mut Context<'_>) -> Result<Cli, Outcome> {
    Cli::try_parse_from(args).map_err(|error| {
        let is_help = !error.use_stderr();
        let paint = if is_help { ctx.paint() } else { ctx.talk_paint() };
        let rendered = error.render();
        let shown = if paint.is_colour() { rendered.ansi().to_string() } else { rendered.to_string() };
        if is_help {
            match ctx.data(&shown) {
                Ok(()) => Outcome::Ok,
                Err(failure) => ctx.report(&failure),
            }
        } else {
            ctx.say(shown.trim_end());
            Outcome::Usage
        }
    })
}

/// Does what `cli` asks for.
pub async fn run<O: Outside>(cli: Cli, ctx: &mut Context<'_>, outside: &O) -> Outcome {
    ctx.no_color |= cli.no_color;
    if let Some(directory) = &cli.directory {
        match verbs::projects::directory(ctx, outside, directory) {
            Ok(there) => ctx.cwd = there,
            Err(failure) => return ctx.report(&failure),
        }
    }
    match verb(cli, ctx, outside).await {
        Ok(outcome) => outcome,
        Err(failure) => ctx.report(&failure),
    }
}

async fn verb<O: Outside>(cli: Cli, ctx: &mut Context<'_>, outside: &O) -> Result<Outcome, Failure> {
    if cli.look.theme.is_some() && !matches!(cli.verb, None | Some(Verb::Up(_) | Verb::Demo(_) | Verb::Config { .. })) {
        let hint = "\"cas\", \"cas up\" and \"cas demo\" open one";
        return Err(Failure::with_hint(Outcome::Usage, "--theme is about the console, and this verb opens none", hint));
    }
    let theme = cli.theme().map(str::to_owned);
    let theme = theme.as_deref();
    let access = if cli.read_only { Access::ReadOnly } else { Access::Full };
    if access == Access::ReadOnly
        && let Some(change) = cli.verb.as_ref().and_then(Verb::change)
    {
        return Err(Failure::with_hint(
            Outcome::Refused,
            format!("--read-only only looks, and {change}: nothing was done"),
            "leave --read-only out",
        ));
    }
    let place = verbs::Place { file: cli.file.as_ref().map(|file| ctx.cwd.join(file)), access };
    match cli.verb {
        None => verbs::up::console(ctx, outside, &place, theme).await,
        Some(Verb::Up(up)) => verbs::up::up(ctx, outside, &place, &up, theme).await,
        Some(Verb::Down) => verbs::down::down(ctx, outside, &place).await,
        Some(Verb::Act(act)) => verbs::act::act(ctx, outside, &place, &act).await,
        Some(Verb::Status(status)) => verbs::status::status(ctx, outside, &place, &status).await,
        Some(Verb::Health(health)) => verbs::health::health(ctx, outside, &place, &health).await,
        Some(Verb::Why(why)) => verbs::why::why(ctx, outside, &place, &why).await,
        Some(Verb::Kinds(kinds)) => verbs::kinds::kinds(ctx, &kinds),
        Some(Verb::Containers(containers)) => verbs::containers::containers(ctx, outside, &place, &containers).await,
        Some(Verb::Logs(logs)) => verbs::logs::logs(ctx, outside, &place, &logs).await,
        Some(Verb::LogFiles(files)) => verbs::log_files::log_files(ctx, outside, &place, &files).await,
        Some(Verb::Events(events)) => verbs::events::events(ctx, outside, &place, &events).await,
        Some(Verb::Insight(insight)) => verbs::insight::insight(ctx, &insight),
        Some(Verb::Alerts(alerts)) => verbs::alerts::alerts(ctx, outside, &place, &alerts).await,
        Some(Verb::Graph(graph)) => verbs::files::graph(ctx, outside, &place, &graph),
        Some(Verb::Explain(explain)) => verbs::explain::explain(ctx, outside, &place, &explain),
        Some(Verb::Check(check)) => verbs::files::check(ctx, outside, &place, &check).await,
        Some(Verb::Init(init)) => verbs::files::init(ctx, &init),
        Some(Verb::Import(import)) => verbs::files::import(ctx, &import),
        Some(Verb::Config { action }) => verbs::config::config(ctx, outside, &place, &action, theme),
        Some(Verb::Projects(projects)) => verbs::projects::projects(ctx, outside, &place, &projects).await,
        Some(Verb::Exec(exec)) => verbs::exec::exec(ctx, outside, &place, &exec).await,
        Some(Verb::Df(df)) => verbs::df::df(ctx, outside, &place, &df).await,
        Some(Verb::Attach(attach)) => verbs::attach::attach(ctx, outside, &place, &attach).await,
        Some(Verb::Daemon { action }) => verbs::daemon::daemon(ctx, outside, action).await,
        Some(Verb::Demo(demo)) => verbs::demo::demo(ctx, outside, &place, &demo, theme).await,
        Some(Verb::Completions { shell }) => verbs::papers::completions(ctx, shell),
        Some(Verb::Man(man)) => verbs::papers::man(ctx, &man),
        Some(Verb::DemoService(service)) => {
            Ok(if demo::service::run(&service) == 0 { Outcome::Ok } else { Outcome::Failed })
        }
    }
}

/// Runs a service of the demo where `args` (the program's name first) ask for one; none where they ask for anything else.
/// To be called before a runtime is started: these services need none, and should look as small as they are.
pub fn demo_service(args: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let args: Vec<OsString> = args.into_iter().collect();
    if args.get(1).is_none_or(|verb| verb != "demo-service") {
        return None;
    }
    match Cli::try_parse_from(args).map(|cli| cli.verb) {
        Ok(Some(Verb::DemoService(service))) => Some(ExitCode::from(demo::service::run(&service))),
        // A complaint: the ordinary way says it.
        Ok(_) | Err(_) => None,
    }
}

/// Where man pages, completions and tests take the definition from.
#[must_use]
pub fn definition() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// `file` as its reader wants to see it: below `cwd` without it.
fn shown_path(file: &std::path::Path, cwd: &std::path::Path) -> PathBuf {
    file.strip_prefix(cwd).unwrap_or(file).to_path_buf()
}
