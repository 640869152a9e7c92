//! What packagers need: completion scripts and manual pages, from the one definition.

use std::path::Path;

use clap_complete::Shell;

use crate::cli::{
    args::Man,
    context::Context,
    definition,
    outcome::{Failure, Outcome},
};

pub(in crate::cli) fn completions(ctx: &mut Context<'_>, shell: Shell) -> Result<Outcome, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut definition(), "cas", &mut script);
    ctx.data(&String::from_utf8_lossy(&script))?;
    Ok(Outcome::Ok)
}

pub(in crate::cli) fn man(ctx: &mut Context<'_>, man: &Man) -> Result<Outcome, Failure> {
    let Some(dir) = &man.dir else {
        let page = page(definition())?;
        ctx.data(&String::from_utf8_lossy(&page))?;
        return Ok(Outcome::Ok);
    };
    let dir = ctx.cwd.join(dir);
    std::fs::create_dir_all(&dir).map_err(|error| cannot_write(&dir, &error))?;
    let mut cas = definition();
    cas.build();
    let mut pages = vec![("cas.1".to_owned(), page(definition())?)];
    for verb in cas.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let name = format!("cas-{}", verb.get_name());
        pages.push((format!("{name}.1"), page(verb.clone().name(name))?));
    }
    for (name, page) in &pages {
        let file = dir.join(name);
        std::fs::write(&file, page).map_err(|error| cannot_write(&file, &error))?;
    }
    ctx.say(&format!("wrote {} pages to {}", pages.len(), dir.display()));
    Ok(Outcome::Ok)
}

fn page(command: clap::Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(page)
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("cannot write {}: {error}", path.display()))
}
