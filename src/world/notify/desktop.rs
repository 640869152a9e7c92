//! The desktop of this machine, by `notify-send` (the Desktop Notifications Specification,
//! <https://specifications.freedesktop.org/notification-spec/latest/>). Terminals of consoles are told by the consoles.
//!
//! Never: an error because there is no desktop, where the way is `auto`.

use std::{path::PathBuf, process::Stdio, time::Duration};

use tokio::process::Command;

use super::{Environment, cut};
use crate::model::{
    alarm::{Level, NotSent, Notice, NoticeKind},
    route::DesktopWay,
};

/// A session that has not taken it by then will not.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn send(way: DesktopWay, notice: &Notice, environment: &Environment) -> Result<String, NotSent> {
    let program = match program(environment) {
        Ok(program) => program,
        Err(why) if way == DesktopWay::NotifySend => return Err(NotSent::for_good(why)),
        Err(_) => return Ok("there is no desktop session here: only attached consoles say it".to_owned()),
    };
    let urgency = match (notice.kind, notice.severity) {
        (NoticeKind::Firing | NoticeKind::Reminder, Level::Critical) => "critical",
        (
            NoticeKind::Firing | NoticeKind::Reminder | NoticeKind::Resolved | NoticeKind::Digest | NoticeKind::Test,
            _,
        ) => "normal",
    };
    let child = Command::new(program)
        .env_clear()
        .envs(environment.iter())
        .args(["--app-name=cas", &format!("--urgency={urgency}"), "--", &notice.title, &body(&notice.text)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status();
    match tokio::time::timeout(PATIENCE, child).await {
        Ok(Ok(status)) if status.success() => Ok("notify-send has taken it".to_owned()),
        Ok(Ok(status)) => Err(NotSent::for_now(format!("notify-send ended with {status}"))),
        Ok(Err(error)) => Err(NotSent::for_now(format!("notify-send cannot be run: {error}"))),
        Err(_) => Err(NotSent::for_now(format!("the desktop session took nothing within {} s", PATIENCE.as_secs()))),
    }
}

/// Where it is, and whether there is a session that it could talk to.
fn program(environment: &Environment) -> Result<PathBuf, &'static str> {
    let bus = environment.get("DBUS_SESSION_BUS_ADDRESS").is_some_and(|address| !address.is_empty())
        || environment.get("XDG_RUNTIME_DIR").is_some_and(|dir| PathBuf::from(dir).join("bus").exists());
    if !bus {
        return Err("there is no desktop session here (no session bus)");
    }
    let path = environment.get("PATH").map(String::as_str).unwrap_or_default();
    let found = std::env::split_paths(path).map(|dir| dir.join("notify-send")).find(|program| program.is_file());
    found.ok_or("notify-send is not in PATH: it is in the package libnotify-bin, or libnotify")
}

/// The body has a markup of its own (section "Markup" of the specification).
fn body(text: &str) -> String {
    cut(text, 1000).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
