//! What catches the eye and what keeps still; and, with `CAS_PICTURES=DIR`, pictures of it.

use cas::tui::theme::Theme;
use cas::tui::Message;
use ratatui::style::Modifier;

use super::{
    fixture::named,
    harness::{Console, LARGE, MEDIUM, SMALL},
};

#[test]
fn every_mood_can_be_drawn_in_every_theme_and_size() {
    for theme in ["catppuccin-mocha", "catppuccin-latte", "high-contrast", "terminal"] {
        for world in ["demo", "two_down", "held", "refused"] {
            for (name, size) in [("80", SMALL), ("100", (100, 30)), ("120", MEDIUM), ("200", LARGE)] {
                let world_ = named(world);
                let logs = world_.logs.clone();
                let mut console = Console::themed(world_, size, Theme::load(theme, None).unwrap());
                console.say(Message::LogHistory(logs));
                console.keys("j");
                crate::picture::show(console.draw(), &format!("{theme}-{world}-{name}"));
            }
        }
    }
}
