//! A sentence for the desktop on its way through the terminal. Pure: what is written, never the writing.
//!
//! Promise: one control sequence, ended, without a control character of its own. Never: one that a terminal would show as text.
//!
//! OSC 9: <https://iterm2.com/documentation-escape-codes.html> ("Post a notification"). OSC 777: urxvt's `notify` extension, also foot(1), Ghostty,
//! `WezTerm`. OSC 99: <https://sw.kovidgoyal.net/kitty/desktop-notifications/>.

use super::clipboard::Between;
use crate::model::{alarm::DesktopNotice, route::DesktopWay, text::plain};

/// Characters of title and body.
const MOST: usize = 200;

/// As what a terminal is told, where that is left to us.
pub(crate) fn way_of(variable: impl Fn(&str) -> Option<String>) -> DesktopWay {
    let is = |name: &str, word: &str| variable(name).is_some_and(|value| value.contains(word));
    if is("TERM", "kitty") || variable("KITTY_WINDOW_ID").is_some() {
        DesktopWay::Osc99
    } else if is("TERM_PROGRAM", "iTerm") || variable("WT_SESSION").is_some() {
        DesktopWay::Osc9
    } else {
        DesktopWay::Osc777
    }
}

/// The sequence for one message at a terminal that no console has, and its name.
#[must_use]
pub fn message(title: &str, body: &str, is_urgent: bool, way: DesktopWay) -> (String, &'static str) {
    let variable = |name: &str| std::env::var(name).ok();
    let way = if way == DesktopWay::Auto { way_of(variable) } else { way };
    let between = Between::of_environment(|name| std::env::var_os(name).is_some());
    let notice = DesktopNotice { seq: 1, way, title: title.to_owned(), body: body.to_owned(), urgent: is_urgent };
    let name = match way {
        DesktopWay::Osc99 => "OSC 99",
        DesktopWay::Osc777 => "OSC 777",
        DesktopWay::Osc9 | DesktopWay::Auto | DesktopWay::NotifySend => "OSC 9",
    };
    (sequence(&notice, way, between), name)
}

/// Whether the engine's own `notify-send` reaches the same desktop: then the terminal says nothing.
pub(crate) fn is_on_a_desktop(variable: impl Fn(&str) -> Option<String>) -> bool {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let is_remote = is_set("SSH_CONNECTION") || is_set("SSH_TTY");
    !is_remote && is_set("DBUS_SESSION_BUS_ADDRESS") && (is_set("DISPLAY") || is_set("WAYLAND_DISPLAY"))
}

/// What is written.
pub(crate) fn sequence(notice: &DesktopNotice, way: DesktopWay, between: Between) -> String {
    let clean = |text: &str| -> String {
        let text = plain(text);
        text.chars().filter(|c| !c.is_control()).take(MOST).collect()
    };
    let (title, body) = (clean(&notice.title), clean(&notice.body));
    let inner = match way {
        DesktopWay::Osc99 => {
            let (id, urgency) = (notice.seq, if notice.urgent { 2 } else { 1 });
            format!("\x1b]99;i=cas{id}:d=0:u={urgency};{title}\x1b\\\x1b]99;i=cas{id}:d=1:p=body;{body}\x1b\\")
        }
        // Its parts are parted by semicolons.
        DesktopWay::Osc777 => format!("\x1b]777;notify;{};{}\x07", title.replace(';', ","), body.replace(';', ",")),
        DesktopWay::Osc9 | DesktopWay::Auto | DesktopWay::NotifySend => format!("\x1b]9;{title}: {body}\x07"),
    };
    match between {
        Between::Nothing => inner,
        // Passed on where `allow-passthrough` is on.
        Between::Tmux => format!("\x1bPtmux;{}\x1b\\", inner.replace('\x1b', "\x1b\x1b")),
        Between::Screen => {
            let ended = inner.replace("\x1b\\", "\x07");
            format!("\x1bP{ended}\x1b\\")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Between, sequence, way_of};
    use crate::model::{alarm::DesktopNotice, route::DesktopWay};

    fn notice() -> DesktopNotice {
        let (title, body) = ("CRITICAL: shop/db is down".to_owned(), "a;b\x1b]0;x\x07\nc".to_owned());
        DesktopNotice { seq: 3, way: DesktopWay::Auto, title, body, urgent: true }
    }

    #[test]
    fn what_a_server_said_ends_no_sequence_and_begins_none() {
        for way in [DesktopWay::Osc9, DesktopWay::Osc777, DesktopWay::Osc99] {
            let text = sequence(&notice(), way, Between::Nothing);
            let begins = text.matches("\x1b]").count();
            let ends = text.matches('\x07').count() + text.matches("\x1b\\").count();
            assert_eq!((begins, ends), if way == DesktopWay::Osc99 { (2, 2) } else { (1, 1) }, "{text:?}");
            assert!(text.contains("CRITICAL: shop/db is down") && !text.contains('\n'), "{text:?}");
        }
        assert!(sequence(&notice(), DesktopWay::Osc777, Between::Nothing).starts_with("\x1b]777;notify;CRITICAL"));
    }

    #[test]
    fn a_terminal_is_told_in_its_own_words() {
        let of =
            |name: &'static str, value: &'static str| way_of(move |asked| (asked == name).then(|| value.to_owned()));
        assert_eq!(of("TERM", "xterm-kitty"), DesktopWay::Osc99);
        assert_eq!(of("TERM_PROGRAM", "iTerm.app"), DesktopWay::Osc9);
        assert_eq!(of("TERM", "foot"), DesktopWay::Osc777);
    }
}
