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
        let mut page = Vec::new();
        clap_mangen::Man::new(definition()).render(&mut page)?;
        ctx.data(&String::from_utf8_lossy(&page))?;
        return Ok(Outcome::Ok);
    };
    let dir = ctx.cwd.join(dir);
    std::fs::create_dir_all(&dir).map_err(|error| cannot_write(&dir, &error))?;
    clap_mangen::generate_to(definition(), &dir).map_err(|error| cannot_write(&dir, &error))?;
    ctx.say(&format!("wrote the manual pages to {}", dir.display()));
    Ok(Outcome::Ok)
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("cannot write {}: {error}", path.display()))
}
