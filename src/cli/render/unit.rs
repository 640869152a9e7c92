//! Units by which systemd and launchd start the daemon. Pure. Every unit that we write says so in its first lines, and only such a one is ever
//! written over or removed.

use std::path::Path;

/// What makes a unit ours.
pub const MARK: &str = "Written by cas daemon install";

/// Name of the systemd unit.
pub const UNIT: &str = "cas.service";

/// Name of the launchd job.
pub const LABEL: &str = "cas.daemon";

/// Whose daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// That of a user.
    User,
    /// That of the machine.
    System,
}

/// Whether a unit that is there is ours.
#[must_use]
pub fn is_ours(text: &str) -> bool {
    text.contains(MARK)
}

/// The systemd unit (systemd.service(5)). `KillMode=process`: services are not systemd's to end. `Delegate=yes`: limits of services are kept in
/// cgroups below the unit's.
#[must_use]
pub fn systemd(exe: &Path, whose: Whose) -> String {
    let exe = quoted(&exe.to_string_lossy());
    let (option, target) = match whose {
        Whose::User => ("", "default.target"),
        Whose::System => (" --system", "multi-user.target"),
    };
    format!(
        "# {MARK}; cas daemon uninstall removes it.
[Unit]
Description=cas, the daemon that keeps projects running
# Never given up.
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart={exe} daemon run{option}
ExecReload=kill -HUP $MAINPID
# Not after \"cas daemon stop\".
Restart=on-failure
RestartSec=1
# Services outlive the daemon: only its own process is ended, and the next one takes them over.
KillMode=process
Delegate=yes
LimitNOFILE=65536
# Services have limits of their own.
TasksMax=infinity

[Install]
WantedBy={target}
"
    )
}

/// A word of `ExecStart`: quoted where it has to be, `%` and `$` doubled.
fn quoted(word: &str) -> String {
    let word = word.replace('%', "%%").replace('$', "$$");
    if word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+%$@:".contains(c)) {
        return word;
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The launchd property list (launchd.plist(5)). `AbandonProcessGroup`: services are not launchd's to end.
#[must_use]
pub fn launchd(exe: &Path, whose: Whose) -> String {
    let option = match whose {
        Whose::User => "",
        Whose::System => "<string>--system</string>",
    };
    let exe = exe.to_string_lossy().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<!-- {MARK} -->
<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">
<plist version=\"1.0\">
<dict>
    <key>Label</key><string>{LABEL}</string>
    <key>ProgramArguments</key>
    <array><string>{exe}</string><string>daemon</string><string>run</string>{option}</array>
    <key>RunAtLoad</key><true/>
    <key>KeepAlive</key><true/>
    <key>AbandonProcessGroup</key><true/>
</dict>
</plist>
"
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Whose, is_ours, launchd, systemd};

    #[test]
    fn a_unit_starts_the_daemon_and_leaves_services_alone_at_its_end() {
        let unit = systemd(Path::new("/usr/bin/cas"), Whose::User);
        for line in [
            "ExecStart=/usr/bin/cas daemon run",
            "Type=notify",
            "Restart=on-failure",
            "StartLimitIntervalSec=0",
            "KillMode=process",
            "Delegate=yes",
            "WantedBy=default.target",
        ] {
            assert!(unit.lines().any(|found| found == line), "{line} is not in\n{unit}");
        }
        assert!(is_ours(&unit));
        let system = systemd(Path::new("/usr/bin/cas"), Whose::System);
        assert!(system.contains("daemon run --system\n") && system.contains("WantedBy=multi-user.target"));
    }

    #[test]
    fn a_path_with_spaces_and_signs_is_one_word() {
        let unit = systemd(Path::new("/opt/my tools/100%/cas \"x\""), Whose::User);
        assert!(unit.contains("ExecStart=\"/opt/my tools/100%%/cas \\\"x\\\"\" daemon run\n"), "{unit}");
        assert!(launchd(Path::new("/opt/a&b/cas"), Whose::User).contains("<string>/opt/a&amp;b/cas</string>"));
    }

    #[test]
    fn a_unit_of_somebody_else_is_not_ours() {
        assert!(!is_ours("[Service]\nExecStart=/usr/bin/cas daemon run\n"));
        assert!(is_ours(&launchd(Path::new("/usr/bin/cas"), Whose::User)));
        let whole = launchd(Path::new("/usr/bin/cas"), Whose::System);
        assert!(whole.contains("<string>run</string><string>--system</string></array>"), "{whole}");
    }
}
