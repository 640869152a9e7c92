//! `config`: settings read, written, edited and described.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::Place;
use crate::{
    cli::{
        context::Context,
        outcome::{Failure, Outcome},
        outside::{Outside, Ran},
        render::json_document,
        setting::{ConfigAction, Whose},
        shown_path,
        text::{plain, plain_lines},
    },
    config::{
        self, Sentence,
        layers::{Done, Layers, Refused, Row, Scope, Source},
        user,
    },
    model::project::Problem,
};

pub(in crate::cli) fn config(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    action: &ConfigAction,
    theme: Option<&str>,
) -> Result<Outcome, Failure> {
    if let ConfigAction::Schema { user } = action {
        ctx.data(&json_document(&config::json_schema(*user)))?;
        return Ok(Outcome::Ok);
    }
    // A file that was named must be there; that there is none here is no fault.
    let project = match place.find(ctx, outside) {
        Ok(file) => Some(file),
        Err(failure) if place.file.is_some() => return Err(failure),
        Err(_none_here) => None,
    };
    let user_file = outside.user_config(&ctx.env);
    let judge = Box::new(|user: &user::UserConfig| outside.judge(user));
    let layers = Layers::open(user_file.clone(), project.clone(), &ctx.env, theme, judge);
    match action {
        ConfigAction::Get { key, service } => {
            let row = layers
                .get(key, &scope(&Whose { project: false, service: service.clone() }))
                .map_err(|sentence| usage(&sentence))?;
            let Some(value) = row.value else {
                let hint = format!("\"cas config set {key} …\" writes one");
                return Err(Failure::with_hint(Outcome::Failed, format!("nothing is set for {}", row.key), hint));
            };
            ctx.data(&format!("{}\n", plain(&value)))?;
            Ok(Outcome::Ok)
        }
        ConfigAction::Set { key, value, whose } => {
            let scope = scope(whose);
            let done = layers.set(key, value, &scope).map_err(|refused| refusal(ctx, refused))?;
            let after = Layers::open(user_file, project, &ctx.env, theme, Box::new(|_| Vec::new()));
            say_set(ctx, &done, after.get(key, &scope).ok().as_ref());
            Ok(Outcome::Ok)
        }
        ConfigAction::Unset { key, whose } => {
            let scope = scope(whose);
            let done = layers.unset(key, &scope).map_err(|refused| refusal(ctx, refused))?;
            let file = shown_path(&done.file, &ctx.cwd);
            if !done.changed {
                ctx.say(&plain(&format!("{} is not in {}: nothing to do", done.name, file.display())));
                return Ok(Outcome::Ok);
            }
            let after = Layers::open(user_file, project, &ctx.env, theme, Box::new(|_| Vec::new()));
            let holds = after.get(key, &scope).ok().and_then(|row| Some((row.value?, row.source)));
            let holds = holds.map_or_else(
                || "nothing holds now".to_owned(),
                |(value, source)| format!("what holds now is {value} ({})", shown(ctx, &source)),
            );
            ctx.say(&plain(&format!("{} is out of {}; {holds}", done.name, file.display())));
            Ok(Outcome::Ok)
        }
        ConfigAction::Edit { project: false } => edit(ctx, outside, &user_file, false),
        ConfigAction::Edit { project: true } => match project {
            Some(file) => edit(ctx, outside, &file, true),
            None => Err(place.find(ctx, outside).err().unwrap_or_else(Failure::no_engine)),
        },
        ConfigAction::List { sources, json, service } => {
            let rows = layers.list(service.as_deref()).map_err(|sentence| usage(&sentence))?;
            let text = if *json {
                let rows: Vec<Value> = rows.iter().map(Row::json).collect();
                json_document(&json!({ "settings": rows }))
            } else {
                listed(ctx, &rows, *sources)
            };
            ctx.data(&text)?;
            Ok(Outcome::Ok)
        }
        ConfigAction::Path => paths(ctx, &layers),
        ConfigAction::Schema { .. } => Ok(Outcome::Ok),
    }
}

fn scope(whose: &Whose) -> Scope {
    match &whose.service {
        Some(name) => Scope::Service(name.clone()),
        None if whose.project => Scope::Project,
        None => Scope::User,
    }
}

fn usage(sentence: &Sentence) -> Failure {
    Failure::from_sentence(Outcome::Usage, &sentence.0)
}

fn refusal(ctx: &mut Context<'_>, refused: Refused) -> Failure {
    match refused {
        Refused::Sentence(sentence) => usage(&sentence),
        Refused::Problems { file, problems } => {
            show(ctx, &problems);
            let file = shown_path(&file, &ctx.cwd);
            Failure::new(Outcome::Usage, format!("{} could not be taken with it: nothing was written", file.display()))
        }
    }
}

fn show(ctx: &mut Context<'_>, problems: &[Problem]) {
    let rendered = config::render(problems, ctx.talk_paint().is_colour());
    ctx.say(rendered.trim_end());
}

fn shown(ctx: &Context<'_>, source: &Source) -> String {
    match source {
        Source::File { file, line } => format!("{}:{line}", shown_path(file, &ctx.cwd).display()),
        Source::BuiltIn | Source::Variable(_) | Source::Flag(_) => source.to_string(),
    }
}

/// What was written, what wins over it, and when it counts.
fn say_set(ctx: &mut Context<'_>, done: &Done, holds: Option<&Row>) {
    let file = shown_path(&done.file, &ctx.cwd);
    let word = if done.changed { "written" } else { "there already" };
    ctx.say(&plain(&format!("{} is {word}: {}:{}", done.name, file.display(), done.line.max(1))));
    if let Some(row) = holds
        && let Some(value) = &row.value
        && !matches!(&row.source, Source::File { file, .. } if *file == done.file)
    {
        let who = shown(ctx, &row.source);
        ctx.say(&plain(&format!("note: {who} says {value}, and wins over it")));
    }
    if done.changed {
        ctx.say(when(&done.name));
    }
}

/// When a setting counts.
fn when(name: &str) -> &'static str {
    match name {
        "auto_heal" => {
            "it counts for engines that start from now on; \"cas autopilot on\" or \"off\" switches the one that runs"
        }
        "theme" | "mouse" | "detach_key" | "alert_level" => "it counts for consoles that open from now on",
        "api.group" | "auto_reload" | "learning_mode" => "it counts for engines that start from now on",
        name if name.starts_with("keys.") => "it counts for consoles that open from now on",
        _ => "\"cas reload\" takes it into an engine that runs",
    }
}

fn listed(ctx: &Context<'_>, rows: &[Row], sources: bool) -> String {
    let values: Vec<&str> = rows.iter().map(|row| row.value.as_deref().unwrap_or("-")).collect();
    let widest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0);
    let keys = widest(&mut rows.iter().map(|row| row.key.chars().count()));
    let width = widest(&mut values.iter().map(|value| value.chars().count())).min(40);
    let mut text = String::new();
    for (row, value) in rows.iter().zip(values) {
        // Writing to a String cannot fail.
        let _ = if sources {
            let source = shown(ctx, &row.source);
            writeln!(text, "{:keys$}  {:width$}  {}", row.key, plain(value), plain(&source))
        } else {
            writeln!(text, "{:keys$}  {}", row.key, plain(value))
        };
    }
    plain_lines(&text)
}

fn paths(ctx: &mut Context<'_>, layers: &Layers<'_>) -> Result<Outcome, Failure> {
    let mut text = String::new();
    for (what, file, there) in layers.files() {
        let there = if there { "there" } else { "not there" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{what:<9}  {there:<9}  {}", plain(&file.to_string_lossy()));
    }
    ctx.data(&text)?;
    Ok(Outcome::Ok)
}

/// Opens a file in an editor until it is sound, or whoever edits it has enough.
fn edit(ctx: &mut Context<'_>, outside: &impl Outside, file: &Path, is_project: bool) -> Result<Outcome, Failure> {
    let set = |name: &str| ctx.env.get(name).filter(|editor| !editor.trim().is_empty()).cloned();
    let Some(editor) = set("VISUAL").or_else(|| set("EDITOR")) else {
        let hint =
            format!("set VISUAL or EDITOR, or open {} yourself; \"cas check\" checks a project file", file.display());
        return Err(Failure::with_hint(Outcome::Failed, "no editor is known here", hint));
    };
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory)
            .map_err(|error| Failure::failed(format!("{} cannot be made: {error}", directory.display())))?;
    }
    loop {
        match outside.edit(&editor, file) {
            Ran::Well => {}
            Ran::Badly(why) => {
                let hint = "set VISUAL or EDITOR to an editor that works here";
                return Err(Failure::with_hint(
                    Outcome::Failed,
                    format!("the editor \"{editor}\" failed: {why}"),
                    hint,
                ));
            }
            Ran::Missing => return Err(Failure::failed(format!("there is no editor \"{editor}\""))),
        }
        let problems = problems_of(ctx, outside, file, is_project);
        let shown = shown_path(file, &ctx.cwd);
        if problems.is_empty() {
            ctx.say(&plain(&format!("{}: good", shown.display())));
            if is_project {
                ctx.say("\"cas reload\" takes it into an engine that runs");
            }
            return Ok(Outcome::Ok);
        }
        show(ctx, &problems);
        if !ctx.confirm("Edit again?") {
            let count = problems.len();
            let plural = if count == 1 { "" } else { "s" };
            let message = format!("{} is saved, and has {count} problem{plural}", shown.display());
            return Err(Failure::with_hint(Outcome::Usage, message, "\"cas config edit\" opens it again"));
        }
    }
}

fn problems_of(ctx: &Context<'_>, outside: &impl Outside, file: &Path, is_project: bool) -> Vec<Problem> {
    if is_project {
        return outside.load(&PathBuf::from(file), &ctx.env).errors;
    }
    let loaded = user::load(file);
    if !loaded.errors.is_empty() {
        return loaded.errors;
    }
    outside.judge(&loaded.config)
}
