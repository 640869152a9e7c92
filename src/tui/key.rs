//! Keys as people write them: `ctrl-d`, `shift-tab`, `G`. Never decides what a key does.

use std::{fmt, str::FromStr};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// One key with its modifiers, in the one form under which it is looked up: an upper-case letter carries no shift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chord {
    code: KeyCode,
    modifiers: KeyModifiers,
}

/// Why a key's name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not a key: a character, or a name such as enter, esc, space, tab, pgup, f5, with ctrl-, alt- or shift- before it"
)]
pub struct UnknownKey(pub String);

const NAMES: [(&str, KeyCode); 16] = [
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("space", KeyCode::Char(' ')),
    ("tab", KeyCode::Tab),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
    ("insert", KeyCode::Insert),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pgup", KeyCode::PageUp),
    ("pgdn", KeyCode::PageDown),
    ("lt", KeyCode::Char('<')),
];

impl Chord {
    /// The chord of a key press.
    #[must_use]
    pub fn of(event: &KeyEvent) -> Self {
        Self::new(event.code, event.modifiers)
    }

    fn new(code: KeyCode, modifiers: KeyModifiers) -> Self {
        let kept = modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT);
        let shifted = kept.contains(KeyModifiers::SHIFT);
        if code == KeyCode::BackTab || (code == KeyCode::Tab && shifted) {
            return Self { code: KeyCode::BackTab, modifiers: kept - KeyModifiers::SHIFT };
        }
        if let (KeyCode::Char(c), true) = (code, shifted) {
            let upper = if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c };
            return Self { code: KeyCode::Char(upper), modifiers: kept - KeyModifiers::SHIFT };
        }
        Self { code, modifiers: kept }
    }

    /// The press that this chord is.
    #[must_use]
    pub const fn event(self) -> KeyEvent {
        KeyEvent::new(self.code, self.modifiers)
    }

    /// True for Esc.
    #[must_use]
    pub fn is_escape(self) -> bool {
        self.code == KeyCode::Esc && self.modifiers.is_empty()
    }

    /// The short form for footers: `^d`, `Esc`, `⏎`.
    #[must_use]
    pub fn short(self) -> String {
        let symbols = [
            (KeyCode::Enter, "⏎"),
            (KeyCode::Up, "↑"),
            (KeyCode::Down, "↓"),
            (KeyCode::Left, "←"),
            (KeyCode::Right, "→"),
            (KeyCode::BackTab, "⇧Tab"),
            (KeyCode::Char(' '), "Space"),
            (KeyCode::PageUp, "PgUp"),
            (KeyCode::PageDown, "PgDn"),
        ];
        let symbol = symbols.iter().find(|(code, _)| *code == self.code).map(|(_, symbol)| (*symbol).to_owned());
        let name = symbol.unwrap_or_else(|| {
            let plain = Self { code: self.code, modifiers: KeyModifiers::NONE }.to_string();
            let mut letters = plain.chars();
            match (letters.next(), letters.as_str()) {
                (Some(only), "") => only.to_string(),
                (Some(first), rest) => format!("{}{rest}", first.to_uppercase()),
                (None, _) => String::new(),
            }
        });
        let ctrl = if self.modifiers.contains(KeyModifiers::CONTROL) { "^" } else { "" };
        let alt = if self.modifiers.contains(KeyModifiers::ALT) { "M-" } else { "" };
        format!("{alt}{ctrl}{name}")
    }
}

impl FromStr for Chord {
    type Err = UnknownKey;
    fn from_str(text: &str) -> Result<Self, UnknownKey> {
        let mut rest = text;
        let mut modifiers = KeyModifiers::NONE;
        for (prefix, modifier) in
            [("ctrl-", KeyModifiers::CONTROL), ("alt-", KeyModifiers::ALT), ("shift-", KeyModifiers::SHIFT)]
        {
            if let Some(after) = rest.strip_prefix(prefix).filter(|after| !after.is_empty()) {
                rest = after;
                modifiers |= modifier;
            }
        }
        let mut letters = rest.chars();
        if let (Some(only), None) = (letters.next(), letters.next()) {
            return Ok(Self::new(KeyCode::Char(only), modifiers));
        }
        if let Some((_, code)) = NAMES.iter().find(|(name, _)| *name == rest) {
            return Ok(Self::new(*code, modifiers));
        }
        match rest.strip_prefix('f').and_then(|number| number.parse::<u8>().ok()) {
            Some(number @ 1..=12) => Ok(Self::new(KeyCode::F(number), modifiers)),
            Some(_) | None => Err(UnknownKey(text.to_owned())),
        }
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (modifier, prefix) in
            [(KeyModifiers::CONTROL, "ctrl-"), (KeyModifiers::ALT, "alt-"), (KeyModifiers::SHIFT, "shift-")]
        {
            if self.modifiers.contains(modifier) {
                f.write_str(prefix)?;
            }
        }
        if self.code == KeyCode::BackTab {
            return f.write_str("shift-tab");
        }
        if let Some((name, _)) = NAMES.iter().find(|(name, code)| *code == self.code && *name != "lt") {
            return f.write_str(name);
        }
        if let KeyCode::Char(c) = self.code {
            return write!(f, "{c}");
        }
        if let KeyCode::F(number) = self.code {
            return write!(f, "f{number}");
        }
        write!(f, "{:?}", self.code)
    }
}

/// Reads a line of keys: plain characters, and names between `<` and `>`: `jj<enter>`, `<ctrl-d>`, `<lt>` for `<` itself.
///
/// # Errors
/// The first name that is no key.
pub fn sequence(text: &str) -> Result<Vec<Chord>, UnknownKey> {
    let mut chords = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let named = rest.strip_prefix('<').and_then(|after| after.split_once('>')).filter(|(name, _)| !name.is_empty());
        if let Some((name, after)) = named {
            chords.push(name.parse()?);
            rest = after;
        } else {
            chords.push(Chord::new(KeyCode::Char(first), KeyModifiers::NONE));
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(chords)
}
