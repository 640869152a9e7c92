//! Colours and emphasis as data: what a service asked for with SGR sequences, before any theme has its say.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// A colour that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TextColor {
    /// 0 to 15: the sixteen named ones, 16 to 231: a 6×6×6 cube, 232 to 255: greys.
    Indexed(u8),
    /// Red, green, blue.
    Rgb(u8, u8, u8),
}

/// A set of emphases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Emphasis(u8);

impl Emphasis {
    /// None.
    pub const NONE: Self = Self(0);
    /// Heavier.
    pub const BOLD: Self = Self(1);
    /// Fainter.
    pub const DIM: Self = Self(2);
    /// Slanted.
    pub const ITALIC: Self = Self(4);
    /// With a line below.
    pub const UNDERLINE: Self = Self(8);
    /// Colours exchanged.
    pub const REVERSE: Self = Self(16);
    /// With a line through.
    pub const STRUCK: Self = Self(32);

    /// Each of them with its SGR number.
    pub(super) const SGR: [(Self, u16); 6] = [
        (Self::BOLD, 1),
        (Self::DIM, 2),
        (Self::ITALIC, 3),
        (Self::UNDERLINE, 4),
        (Self::REVERSE, 7),
        (Self::STRUCK, 9),
    ];

    /// True where all of `other` are in it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// How a piece of text wants to look. The default is: as the place where it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct TextStyle {
    /// Colour of the letters.
    pub fg: Option<TextColor>,
    /// Colour behind them.
    pub bg: Option<TextColor>,
    /// Bold, dim, …
    pub emphasis: Emphasis,
}

impl TextStyle {
    /// The parameters of the SGR sequence that sets exactly this style, whatever was set before: `0;1;31`.
    #[must_use]
    pub fn sgr(&self) -> String {
        let mut out = String::from("0");
        // Writing to a String cannot fail.
        for (emphasis, number) in Emphasis::SGR {
            if self.emphasis.contains(emphasis) {
                let _ = write!(out, ";{number}");
            }
        }
        for (color, base) in [(self.fg, 30), (self.bg, 40)] {
            let _ = match color {
                None => Ok(()),
                Some(TextColor::Indexed(index @ 0..=7)) => write!(out, ";{}", base + u16::from(index)),
                Some(TextColor::Indexed(index @ 8..=15)) => write!(out, ";{}", base + 52 + u16::from(index)),
                Some(TextColor::Indexed(index)) => write!(out, ";{};5;{index}", base + 8),
                Some(TextColor::Rgb(r, g, b)) => write!(out, ";{};2;{r};{g};{b}", base + 8),
            };
        }
        out
    }

    /// Applies one SGR sequence given as its parameters, each with its sub-parameters (ECMA-48 §8.3.117, ITU T.416 colours in
    /// both the `38;2;r;g;b` and the `38:2::r:g:b` spelling). What is not known is passed over.
    pub(super) fn apply<'p>(&mut self, mut params: impl Iterator<Item = &'p [u16]>) {
        while let Some(param) = params.next() {
            let Some((&code, rest)) = param.split_first() else { continue };
            match code {
                0 => *self = Self::default(),
                4 if rest.first() == Some(&0) => self.emphasis = self.emphasis.without(Emphasis::UNDERLINE),
                1..=9 => {
                    if let Some((emphasis, _)) = Emphasis::SGR.iter().find(|(_, number)| *number == code) {
                        self.emphasis = self.emphasis.with(*emphasis);
                    }
                }
                21 => self.emphasis = self.emphasis.with(Emphasis::UNDERLINE),
                22 => self.emphasis = self.emphasis.without(Emphasis::BOLD.with(Emphasis::DIM)),
                23 => self.emphasis = self.emphasis.without(Emphasis::ITALIC),
                24 => self.emphasis = self.emphasis.without(Emphasis::UNDERLINE),
                27 => self.emphasis = self.emphasis.without(Emphasis::REVERSE),
                29 => self.emphasis = self.emphasis.without(Emphasis::STRUCK),
                30..=37 => self.fg = Some(indexed(code - 30)),
                38 => self.fg = extended(rest, &mut params).or(self.fg),
                39 => self.fg = None,
                40..=47 => self.bg = Some(indexed(code - 40)),
                48 => self.bg = extended(rest, &mut params).or(self.bg),
                49 => self.bg = None,
                90..=97 => self.fg = Some(indexed(code - 90 + 8)),
                100..=107 => self.bg = Some(indexed(code - 100 + 8)),
                _ => {}
            }
        }
    }
}

const fn indexed(code: u16) -> TextColor {
    TextColor::Indexed(code as u8)
}

/// The colour after 38 or 48: in its sub-parameters, or in the parameters that follow.
fn extended<'p>(own: &[u16], params: &mut impl Iterator<Item = &'p [u16]>) -> Option<TextColor> {
    let byte = |value: u16| u8::try_from(value).ok();
    match own {
        [2, r, g, b] | [2, _, r, g, b, ..] => Some(TextColor::Rgb(byte(*r)?, byte(*g)?, byte(*b)?)),
        [5, index, ..] => Some(TextColor::Indexed(byte(*index)?)),
        [_, ..] => None,
        [] => {
            let mut next = || params.next().and_then(|param| param.first().copied());
            match next()? {
                2 => {
                    let (r, g, b) = (next()?, next()?, next()?);
                    Some(TextColor::Rgb(byte(r)?, byte(g)?, byte(b)?))
                }
                5 => Some(TextColor::Indexed(byte(next()?)?)),
                _ => None,
            }
        }
    }
}
