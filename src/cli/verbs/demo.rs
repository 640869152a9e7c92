//! `cas demo`: the bundled project, written to a directory of cas's own and started.

use super::{
    Place,
    up::{Face, Wish, start},
};
use crate::cli::{
    args::Demo,
    context::Context,
    demo::{self, Ports},
    outcome::{Failure, Outcome},
    outside::{Access, Outside},
};

pub(in crate::cli) async fn demo(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    place: &Place,
    demo: &Demo,
    theme: Option<&str>,
) -> Result<Outcome, Failure> {
    let dir = ctx.state_dir.join("demo");
    let file = dir.join(demo::FILE);
    // A demo that runs already is shown, not written anew below its feet.
    let runs = file.exists() && outside.connect(&file, place.access).await.map_err(Failure::failed)?.is_some();
    // Who only looks gets no files written: that nothing runs is said further on.
    if !runs && place.access == Access::Full {
        demo::prepare(&dir, &ctx.exe, demo.seed, Ports::free())
            .map_err(|error| Failure::failed(format!("cannot write the demo to {}: {error}", dir.display())))?;
    }
    let face = if demo.no_tui || !ctx.can_show_console() { Face::Lines(&demo.lines) } else { Face::Console { theme } };
    start(ctx, outside, place, &file, &Wish::default(), &face).await
}
