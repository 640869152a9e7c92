//! How many colours a terminal can show, and the nearest of them.

use ratatui::style::{Color, Style};

use super::color::{distance, indexed, rgb};

/// What a terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColorDepth {
    /// Nothing but its two own colours, or the user wants nothing else (`NO_COLOR`).
    NoColor,
    /// The sixteen named colours.
    Ansi16,
    /// Those, a cube of 216 and 24 greys.
    Indexed256,
    /// 24 bits.
    TrueColor,
}

impl ColorDepth {
    /// Reads it from the environment: `NO_COLOR` (set and not empty: <https://no-color.org>), `COLORTERM`, `TERM`, and
    /// `TERM_PROGRAM`/`WT_SESSION` of terminals that have 24 bits and do not say so.
    #[must_use]
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| variable(name).unwrap_or_default();
        let term = value("TERM");
        if !value("NO_COLOR").is_empty() || matches!(term.as_str(), "dumb" | "vt100" | "vt102" | "vt220") {
            return Self::NoColor;
        }
        let program = value("TERM_PROGRAM");
        if matches!(value("COLORTERM").as_str(), "truecolor" | "24bit")
            || matches!(program.as_str(), "iTerm.app" | "WezTerm" | "ghostty" | "vscode" | "Hyper")
            || !value("WT_SESSION").is_empty()
            || ["direct", "kitty", "ghostty", "alacritty", "foot", "wezterm"].iter().any(|word| term.contains(word))
        {
            return Self::TrueColor;
        }
        if term.contains("256") { Self::Indexed256 } else { Self::Ansi16 }
    }

    /// The nearest colour that can be shown; the terminal's default stays.
    pub(super) fn color(self, color: Color) -> Color {
        match self {
            Self::TrueColor => color,
            Self::NoColor => Color::Reset,
            Self::Indexed256 => nearest_256(color),
            Self::Ansi16 => nearest_16(color),
        }
    }

    /// The nearest colour for letters on `ground`, which must not vanish in it.
    pub(super) fn text_color(self, color: Color, ground: Color) -> Color {
        let (near, ground) = (self.color(color), self.color(ground));
        if near != ground || color == Color::Reset {
            return near;
        }
        // It fell on its own ground: the neutral colour next to it.
        match rgb(ground) {
            Some((r, g, b)) if u16::from(r) + u16::from(g) + u16::from(b) > 450 => Color::DarkGray,
            Some((0, 0, 0)) => Color::DarkGray,
            Some(_) => Color::Gray,
            None => near,
        }
    }

    pub(super) fn style(self, style: Style, ground: Color) -> Style {
        let mut fitted = style;
        let ground = style.bg.unwrap_or(ground);
        fitted.fg = style.fg.map(|color| self.text_color(color, ground));
        fitted.bg = style.bg.map(|color| self.color(color));
        fitted
    }
}

/// The nearest of the 240 colours that are the same on every terminal (16 to 255); named ones and the default stay.
#[must_use]
pub fn nearest_256(color: Color) -> Color {
    let Color::Rgb(r, g, b) = color else { return color };
    let nearest = (16..=255_u8).min_by_key(|index| distance((r, g, b), indexed(*index)));
    Color::Indexed(nearest.unwrap_or(16))
}

/// The nearest of the sixteen named colours; named ones and the default stay. A colour without a hue becomes a grey, one with a
/// hue keeps it (plain distance would turn every pastel into grey).
#[must_use]
pub fn nearest_16(color: Color) -> Color {
    if !matches!(color, Color::Rgb(..) | Color::Indexed(16..)) {
        return color;
    }
    let Some((r, g, b)) = rgb(color) else { return color };
    let (max, min) = (r.max(g).max(b), r.min(g).min(b));
    let chroma = max - min;
    if chroma < 40 || max < 64 {
        return match max {
            0..64 => Color::Black,
            64..145 => Color::DarkGray,
            145..215 => Color::Gray,
            215..=255 => Color::White,
        };
    }
    // Hue in degrees, in the usual hexagon.
    let (red, green, blue, span) = (f32::from(r), f32::from(g), f32::from(b), f32::from(chroma));
    let hue = if max == r {
        60.0 * ((green - blue) / span)
    } else if max == g {
        60.0 * ((blue - red) / span + 2.0)
    } else {
        60.0 * ((red - green) / span + 4.0)
    };
    let light = max > 215;
    let pair = match hue.rem_euclid(360.0) {
        hue if !(20.0..340.0).contains(&hue) => (Color::Red, Color::LightRed),
        hue if hue < 75.0 => (Color::Yellow, Color::LightYellow),
        hue if hue < 160.0 => (Color::Green, Color::LightGreen),
        hue if hue < 205.0 => (Color::Cyan, Color::LightCyan),
        hue if hue < 255.0 => (Color::Blue, Color::LightBlue),
        _ => (Color::Magenta, Color::LightMagenta),
    };
    if light { pair.1 } else { pair.0 }
}
