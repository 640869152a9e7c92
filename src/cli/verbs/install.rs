//! `cas daemon install` and `uninstall`: the daemon starts with the machine. Never writes over, or removes, a unit that it did not write.

use std::path::Path;

use crate::{
    cli::{
        args::DaemonInstall,
        context::Context,
        outcome::{Failure, Outcome},
        outside::{Access, Outside, Ran},
        render::unit::{LABEL, UNIT, Whose, is_ours, launchd, systemd},
        text::plain,
    },
    host::handle::Departure,
};

fn whose(outside: &impl Outside) -> Whose {
    if outside.is_system() { Whose::System } else { Whose::User }
}

/// systemctl for the right manager.
fn systemctl(outside: &impl Outside, arguments: &[&str]) -> Ran {
    match whose(outside) {
        Whose::User => outside.tool("systemctl", &[&["--user"], arguments].concat()),
        Whose::System => outside.tool("systemctl", arguments),
    }
}

pub(in crate::cli) async fn install(
    ctx: &mut Context<'_>,
    outside: &impl Outside,
    how: DaemonInstall,
) -> Result<Outcome, Failure> {
    if how.launchd {
        ctx.data(&launchd(&ctx.exe.clone(), whose(outside)))?;
        let (directory, domain) = match whose(outside) {
            Whose::User => ("~/Library/LaunchAgents", "gui/$(id -u)"),
            Whose::System => ("/Library/LaunchDaemons", "system"),
        };
        ctx.say(&format!(
            "save it as {directory}/{LABEL}.plist, then: launchctl bootstrap {domain} {directory}/{LABEL}.plist"
        ));
        return Ok(Outcome::Ok);
    }
    let unit = systemd(&ctx.exe, whose(outside));
    if how.print {
        ctx.data(&unit)?;
        return Ok(Outcome::Ok);
    }
    // Asks the manager, so that nothing is written where there is none.
    if let Ran::Missing | Ran::Badly(_) = systemctl(outside, &["show-environment"]) {
        ctx.data(&unit)?;
        return Err(Failure::with_hint(
            Outcome::Failed,
            "systemd does not answer here, so nothing was written",
            "above is the unit for a machine where it does; elsewhere have \"cas daemon start\" run at the start of the machine (cron: @reboot), or print a launchd job with --launchd",
        ));
    }
    let file = outside.unit_directory().join(UNIT);
    write(&file, &unit)?;
    ctx.say(&format!("wrote {}", plain(&file.to_string_lossy())));
    hand_over(ctx, outside).await?;
    for arguments in [&["daemon-reload"][..], &["enable", "--now", UNIT]] {
        if let Ran::Badly(said) = systemctl(outside, arguments) {
            return Err(Failure::failed(format!("systemctl {}: {said}", arguments.join(" "))));
        }
    }
    ctx.say(&format!("{UNIT} is enabled and runs; \"cas daemon status\" shows how it is"));
    if whose(outside) == Whose::User {
        ctx.say(
            "note: systemd starts a user's units when that user logs in, and ends them at the last logout;\n      \"loginctl enable-linger\" (as root, with the user's name, where that is refused) has them run from the start of the\n      machine, whoever is logged in",
        );
    }
    Ok(Outcome::Ok)
}

/// Ends the daemon that runs, so that the unit's takes its place and what runs under it.
async fn hand_over(ctx: &mut Context<'_>, outside: &impl Outside) -> Result<(), Failure> {
    let pid = match outside.daemon(Access::Full).await {
        Ok(None) => return Ok(()),
        Ok(Some(handle)) => {
            let pid = handle.snapshot().engine.pid;
            handle.depart(Departure::LeaveRunning).await;
            pid
        }
        // Of another version, most likely: a signal is understood by all of them.
        Err(_) => outside.terminate_daemon().await.map_err(Failure::failed)?,
    };
    outside.daemon_gone(pid).await.map_err(Failure::failed)?;
    ctx.say(&format!("the daemon that ran (pid {pid}) hands over; services run on"));
    Ok(())
}

fn write(file: &Path, unit: &str) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| Failure::failed(format!("cannot write {}: {error}", file.display()));
    match std::fs::read_to_string(file) {
        Ok(there) if !is_ours(&there) => {
            return Err(Failure::with_hint(
                Outcome::Refused,
                format!("{} is there, and cas did not write it", file.display()),
                "move it away; --print shows what would be written",
            ));
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(cannot(error)),
    }
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory).map_err(cannot)?;
    }
    std::fs::write(file, unit).map_err(cannot)
}

pub(in crate::cli) fn uninstall(ctx: &mut Context<'_>, outside: &impl Outside) -> Result<Outcome, Failure> {
    let file = outside.unit_directory().join(UNIT);
    match std::fs::read_to_string(&file) {
        Ok(there) if is_ours(&there) => {}
        Ok(_) => {
            let message = format!("{} was not written by cas and stays", file.display());
            return Err(Failure::new(Outcome::Refused, message));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            ctx.say("nothing to do: it is not installed");
            return Ok(Outcome::Ok);
        }
        Err(error) => return Err(Failure::failed(format!("cannot read {}: {error}", file.display()))),
    }
    // Its end leaves services running, as every end of the daemon does that was not asked to stop them.
    if let Ran::Badly(said) = systemctl(outside, &["disable", "--now", UNIT]) {
        ctx.say(&format!("note: systemctl disable: {}", plain(&said)));
    }
    std::fs::remove_file(&file)
        .map_err(|error| Failure::failed(format!("cannot remove {}: {error}", file.display())))?;
    let _reloaded = systemctl(outside, &["daemon-reload"]);
    ctx.say(&format!(
        "removed {}; services run on, \"cas daemon start\" takes them over",
        plain(&file.to_string_lossy())
    ));
    Ok(Outcome::Ok)
}
