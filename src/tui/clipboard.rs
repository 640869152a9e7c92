//! Text on its way to the clipboard of the terminal that somebody looks at, through whatever is between. Pure, but for the word with tmux.
//!
//! Promise: what is said is OSC 52 as xterm has it ("ctlseqs"); around it is what tmux or screen needs to let it through. Never asks what is on the
//! clipboard.

use std::{process::Stdio, time::Duration};

use crossterm::{Command, clipboard::CopyToClipboard};
use tokio::io::AsyncWriteExt;

/// A tmux that has not taken it by then will not.
const TAKEN_WITHIN: Duration = Duration::from_secs(2);

/// Bytes of one string that screen passes on; its buffer has 768 (screen(1), "string").
const SCREEN_PIECE: usize = 512;

/// What is between the program and the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Between {
    Nothing,
    Tmux,
    Screen,
}

impl Between {
    /// By the variables that each sets for what runs in it.
    pub(crate) fn of_environment(is_set: impl Fn(&str) -> bool) -> Self {
        if is_set("TMUX") {
            Self::Tmux
        } else if is_set("STY") {
            Self::Screen
        } else {
            Self::Nothing
        }
    }
}

/// What is written to put `text` there; none where it cannot be made.
pub(crate) fn sequence(text: &str, between: Between) -> Option<String> {
    let mut plain = String::new();
    CopyToClipboard::to_clipboard_from(text).write_ansi(&mut plain).ok()?;
    Some(match between {
        Between::Nothing => plain,
        // Taken where `set-clipboard` is on, passed on where `allow-passthrough` is; where neither is, tmux itself is told (`tell_tmux`).
        Between::Tmux => {
            let doubled = plain.replace('\x1b', "\x1b\x1b");
            format!("{plain}\x1bPtmux;{doubled}\x1b\\")
        }
        // In pieces, and ended by BEL: ESC would end screen's own string.
        Between::Screen => {
            let ended = format!("{}\x07", plain.strip_suffix("\x1b\\").unwrap_or(&plain));
            let pieces = ended.as_bytes().chunks(SCREEN_PIECE).map(|piece| String::from_utf8_lossy(piece).into_owned());
            pieces.flat_map(|piece| ["\x1bP".to_owned(), piece, "\x1b\\".to_owned()]).collect()
        }
    })
}

/// Gives `text` to the tmux around this program, which then sets the clipboard of each terminal that looks at it. As it comes, tmux takes no
/// OSC 52 from programs (`set-clipboard external`).
pub(crate) async fn tell_tmux(program: &str, text: &str) -> Result<(), String> {
    let cannot = |why: String| format!("tmux could not be given what was copied: {why}");
    let told = async {
        // -w: and to the clipboard; a tmux before 3.2 knows only its own buffers.
        let first = load(program, &["load-buffer", "-w", "-"], text).await?;
        if first.success() { Ok(first) } else { load(program, &["load-buffer", "-"], text).await }
    };
    match tokio::time::timeout(TAKEN_WITHIN, told).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(cannot(format!("it ended with {status}"))),
        Ok(Err(error)) => Err(cannot(error.to_string())),
        Err(_) => Err(cannot("it does not answer".to_owned())),
    }
}

async fn load(program: &str, arguments: &[&str], text: &str) -> std::io::Result<std::process::ExitStatus> {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read says why by its status.
        let _written = stdin.write_all(text.as_bytes()).await;
    }
    child.wait().await
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::{Between, SCREEN_PIECE, sequence, tell_tmux};

    #[test]
    fn each_gets_it_in_a_form_that_it_lets_through() {
        let set = |name: &'static str| Between::of_environment(move |asked| asked == name);
        assert_eq!([set("TMUX"), set("STY"), set("X")], [Between::Tmux, Between::Screen, Between::Nothing]);
        let osc = "\x1b]52;c;aGVsbG8=";
        assert_eq!(sequence("hello", Between::Nothing).unwrap(), format!("{osc}\x1b\\"));
        let tmux = sequence("hello", Between::Tmux).unwrap();
        assert!(tmux.ends_with("\x1bPtmux;\x1b\x1b]52;c;aGVsbG8=\x1b\x1b\\\x1b\\"), "{tmux:?}");
        assert_eq!(sequence("hello", Between::Screen).unwrap(), format!("\x1bP{osc}\x07\x1b\\"));
    }

    #[test]
    fn screen_gets_a_long_text_in_strings_that_it_can_hold() {
        let text = "0123456789".repeat(1000);
        let said = sequence(&text, Between::Screen).unwrap();
        let strings: Vec<&str> = said.split_inclusive("\x1b\\").collect();
        assert!(strings.len() > 10);
        let inner: String = strings
            .iter()
            .map(|string| string.strip_prefix("\x1bP").unwrap().strip_suffix("\x1b\\").unwrap())
            .inspect(|inner| assert!(inner.len() <= SCREEN_PIECE))
            .collect();
        let plain = sequence(&text, Between::Nothing).unwrap();
        assert_eq!(inner.strip_suffix('\x07'), plain.strip_suffix("\x1b\\"));
    }

    #[tokio::test]
    async fn tmux_is_given_the_text_also_by_a_version_that_knows_no_clipboard() {
        let home = tempfile::tempdir().unwrap();
        let (program, taken) = (home.path().join("tmux"), home.path().join("taken"));
        let script =
            format!("#!/bin/sh\n[ \"$2\" = -w ] && exit 1\n[ \"$1\" = load-buffer ] && cat > {}\n", taken.display());
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        tell_tmux(program.to_str().unwrap(), "a line\nand another").await.unwrap();
        assert_eq!(std::fs::read_to_string(&taken).unwrap(), "a line\nand another");
        let missing = home.path().join("none");
        let why = tell_tmux(missing.to_str().unwrap(), "x").await.unwrap_err();
        assert!(why.contains("tmux could not be given"), "{why}");
    }
}
