//! What things look like. Panes ask for a meaning (`theme.style(Role::Warning)`, `theme.phase(&phase)`) and never name a colour.
//!
//! Promise: a theme that loads answers for every role; every built-in one is readable (a test measures its contrast). Never:
//! carries meaning by colour alone, or shows a colour where `NO_COLOR` is set.

mod builtin;
mod color;
mod depth;
mod parse;
mod role;

use std::{collections::BTreeMap, path::Path};

use ratatui::style::{Color, Modifier, Style};

use crate::model::{
    phase::{Exit, Health, Phase},
    text::{Emphasis, TextColor, TextStyle},
    timeline::Severity,
};

pub(super) use color::indexed;
pub use color::{contrast, luminance};
pub use depth::{ColorDepth, nearest_16, nearest_256};
pub use role::Role;

/// The theme of who never chose one.
pub const DEFAULT: &str = "catppuccin-mocha";

/// The name of the theme without colours.
pub const MONO: &str = "mono";

/// A complete set of answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Theme {
    name: String,
    styles: [Style; Role::ALL.len()],
    services: Vec<Color>,
    ansi: Option<[Color; 16]>,
    depth: ColorDepth,
}

impl Default for Theme {
    /// [`DEFAULT`].
    fn default() -> Self {
        Self::load(DEFAULT, None).expect("the built-in themes load: a test loads each")
    }
}

impl Theme {
    /// The theme of that name: `NAME.toml` in `user_dir` where there is one, else the built-in one.
    ///
    /// # Errors
    /// Everything that is wrong with the file and its ancestors, one problem a line, each with `file:line` where it has one.
    pub fn load(name: &str, user_dir: Option<&Path>) -> Result<Self, String> {
        if name == MONO && !user_dir.is_some_and(|dir| dir.join("mono.toml").is_file()) {
            return Ok(Self::no_color());
        }
        parse::load(name, user_dir)
    }

    /// Every name that [`Theme::load`] knows: the built-in ones in their order, then those of `user_dir` by name.
    #[must_use]
    pub fn names(user_dir: Option<&Path>) -> Vec<String> {
        let mut names: Vec<String> = builtin::THEMES.iter().map(|(name, _)| (*name).to_owned()).collect();
        names.push(MONO.to_owned());
        let entries = user_dir.and_then(|dir| std::fs::read_dir(dir).ok());
        let mut own: Vec<String> = entries
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
            .filter(|name| !names.contains(name))
            .collect();
        own.sort_unstable();
        names.append(&mut own);
        names
    }

    /// The theme for `NO_COLOR`: emphasis only, the terminal's own two colours.
    #[must_use]
    pub fn no_color() -> Self {
        let mut styles = [Style::new(); Role::ALL.len()];
        for role in Role::ALL {
            styles[role.index()] = role.without_color();
        }
        Self { name: MONO.to_owned(), styles, services: Vec::new(), ansi: None, depth: ColorDepth::NoColor }
    }

    /// This theme for a terminal of that depth: colours become the nearest that it can show. Text keeps a colour other than
    /// its background's.
    #[must_use]
    pub fn for_depth(mut self, depth: ColorDepth) -> Self {
        match depth {
            ColorDepth::TrueColor => return self,
            ColorDepth::NoColor => return Self { name: self.name, ..Self::no_color() },
            ColorDepth::Indexed256 | ColorDepth::Ansi16 => {}
        }
        let ground = self.styles[Role::Text.index()].bg.unwrap_or(Color::Reset);
        for style in &mut self.styles {
            *style = depth.style(*style, ground);
        }
        let text = |color: &mut Color| *color = depth.text_color(*color, ground);
        self.services.iter_mut().for_each(text);
        self.ansi.iter_mut().flatten().for_each(text);
        self.depth = depth;
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the terminal can show, as told to [`Theme::for_depth`].
    #[must_use]
    pub const fn depth(&self) -> ColorDepth {
        self.depth
    }

    /// The style of a meaning. [`Role::Text`] has the background of the whole screen; most others have none of their own and
    /// are meant to be patched over what is there.
    #[must_use]
    pub const fn style(&self, role: Role) -> Style {
        self.styles[role as usize]
    }

    /// The style of a phase's glyph and word.
    #[must_use]
    pub const fn phase(&self, phase: &Phase) -> Style {
        self.style(match phase {
            Phase::Running { .. } => Role::Good,
            Phase::Starting { .. } | Phase::Waiting { .. } | Phase::Stopping { .. } => Role::Info,
            Phase::BackingOff { .. } | Phase::Blocked { .. } => Role::Warning,
            Phase::GaveUp { .. } => Role::Error,
            Phase::Exited { exit, .. } => match exit {
                Exit::Code(0) | Exit::Rebooted => Role::Muted,
                Exit::OutOfMemory { .. } => Role::Error,
                Exit::Code(_) | Exit::Signal(_) | Exit::SpawnFailed(_) | Exit::Removed | Exit::Unknown => Role::Error,
            },
            Phase::Stopped { .. } => Role::Muted,
        })
    }

    /// The style of a health's word.
    #[must_use]
    pub const fn health(&self, health: &Health) -> Style {
        self.style(match health {
            Health::Unknown => Role::Muted,
            Health::Starting { .. } => Role::Info,
            Health::Healthy { .. } => Role::Good,
            Health::Unhealthy { .. } | Health::Misconfigured { .. } => Role::Error,
        })
    }

    /// The style of a severity.
    #[must_use]
    pub const fn severity(&self, severity: Severity) -> Style {
        self.style(match severity {
            Severity::Info => Role::Info,
            Severity::Good => Role::Good,
            Severity::Warning => Role::Warning,
            Severity::Error => Role::Error,
        })
    }

    /// A colour that stays with the service number `index` (of any numbering that is stable).
    #[must_use]
    pub fn service(&self, index: usize) -> Style {
        match self.services.len() {
            0 => Style::new(),
            count => Style::new().fg(self.services[index % count]),
        }
    }

    /// What a service asked for with SGR sequences, in this theme: its sixteen colours where it has some, the nearest that the
    /// terminal can show, none under `NO_COLOR`.
    #[must_use]
    pub fn text_style(&self, wanted: &TextStyle) -> Style {
        let mut style = Style::new();
        for (emphasis, modifier) in [
            (Emphasis::BOLD, Modifier::BOLD),
            (Emphasis::DIM, Modifier::DIM),
            (Emphasis::ITALIC, Modifier::ITALIC),
            (Emphasis::UNDERLINE, Modifier::UNDERLINED),
            (Emphasis::REVERSE, Modifier::REVERSED),
            (Emphasis::STRUCK, Modifier::CROSSED_OUT),
        ] {
            if wanted.emphasis.contains(emphasis) {
                style = style.add_modifier(modifier);
            }
        }
        style.fg = wanted.fg.and_then(|color| self.text_color(color));
        style.bg = wanted.bg.and_then(|color| self.text_color(color));
        if style.fg.is_some() || style.bg.is_some() {
            style.fg = self.readable(style.fg, style.bg).or(style.fg);
        }
        style
    }

    /// Other letters, where those that a service chose could not be told from what is behind them: black on a dark screen, or bright
    /// white on the red that this theme has.
    fn readable(&self, fg: Option<Color>, bg: Option<Color>) -> Option<Color> {
        let own = self.style(Role::Text);
        let (letters, ground) = (fg.or(own.fg)?, bg.or(own.bg)?);
        if contrast(letters, ground)? >= if bg.is_some() { 3.0 } else { 1.9 } {
            return None;
        }
        if bg.is_none() {
            return self.style(Role::Faint).fg;
        }
        [own.fg?, own.bg?].into_iter().max_by(|one, other| {
            let ratio = |color| contrast(color, ground).unwrap_or(0.0);
            ratio(*one).total_cmp(&ratio(*other))
        })
    }

    fn text_color(&self, color: TextColor) -> Option<Color> {
        if self.depth == ColorDepth::NoColor {
            return None;
        }
        let color = match (color, &self.ansi) {
            // A palette of the theme was fitted to the depth already.
            (TextColor::Indexed(index @ 0..=15), Some(ansi)) => return Some(ansi[usize::from(index)]),
            (TextColor::Indexed(index), _) => Color::Indexed(index),
            (TextColor::Rgb(r, g, b), _) => Color::Rgb(r, g, b),
        };
        Some(self.depth.color(color))
    }
}

/// What [`parse`] has gathered, palette names already looked up.
struct Parts {
    name: String,
    roles: BTreeMap<Role, Style>,
    services: Vec<Color>,
    ansi: Option<[Color; 16]>,
}

impl Parts {
    /// Every role must be there.
    fn into_theme(self) -> Result<Theme, Vec<Role>> {
        let missing: Vec<Role> = Role::ALL.into_iter().filter(|role| !self.roles.contains_key(role)).collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        let mut styles = [Style::new(); Role::ALL.len()];
        for (role, style) in self.roles {
            styles[role.index()] = style;
        }
        Ok(Theme { name: self.name, styles, services: self.services, ansi: self.ansi, depth: ColorDepth::TrueColor })
    }
}
