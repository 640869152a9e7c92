//! Arithmetic on colours.

use ratatui::style::Color;

/// Red, green, blue of a colour; the sixteen named ones as xterm shows them. None for the terminal's own default.
pub(super) const fn rgb(color: Color) -> Option<(u8, u8, u8)> {
    let index = match color {
        Color::Reset => return None,
        Color::Rgb(r, g, b) => return Some((r, g, b)),
        Color::Indexed(index) => index,
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 8,
        Color::LightRed => 9,
        Color::LightGreen => 10,
        Color::LightYellow => 11,
        Color::LightBlue => 12,
        Color::LightMagenta => 13,
        Color::LightCyan => 14,
        Color::White => 15,
    };
    Some(indexed(index))
}

/// The sixteen colours of xterm's default resources.
const XTERM: [(u8, u8, u8); 16] = [
    (0, 0, 0),
    (205, 0, 0),
    (0, 205, 0),
    (205, 205, 0),
    (0, 0, 238),
    (205, 0, 205),
    (0, 205, 205),
    (229, 229, 229),
    (127, 127, 127),
    (255, 0, 0),
    (0, 255, 0),
    (255, 255, 0),
    (92, 92, 255),
    (255, 0, 255),
    (0, 255, 255),
    (255, 255, 255),
];

/// Red, green, blue of one of the 256 colours: 16 named, a 6×6×6 cube, 24 greys (xterm's `256colres.pl`).
pub(in crate::tui) const fn indexed(index: u8) -> (u8, u8, u8) {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    match index {
        0..16 => XTERM[index as usize],
        16..232 => {
            let cube = (index - 16) as usize;
            (LEVELS[cube / 36], LEVELS[cube / 6 % 6], LEVELS[cube % 6])
        }
        232..=255 => {
            let grey = 8 + 10 * (index - 232);
            (grey, grey, grey)
        }
    }
}

/// Relative luminance, 0 (black) to 1 (white) (WCAG 2.2, "relative luminance"). None for the terminal's own default.
#[must_use]
pub fn luminance(color: Color) -> Option<f64> {
    let (r, g, b) = rgb(color)?;
    let linear = |channel: u8| {
        let value = f64::from(channel) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    Some(0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b))
}

/// Contrast ratio of two colours, 1 to 21 (WCAG 2.2, success criterion 1.4.3). None where one is the terminal's own default.
#[must_use]
pub fn contrast(one: Color, other: Color) -> Option<f64> {
    let (one, other) = (luminance(one)?, luminance(other)?);
    Some((one.max(other) + 0.05) / (one.min(other) + 0.05))
}

/// A distance of two colours that follows the eye better than the plain one (the "redmean" approximation: the weight of red and
/// blue depends on how red both are).
pub(super) fn distance(one: (u8, u8, u8), other: (u8, u8, u8)) -> i32 {
    let difference = |one: u8, other: u8| i32::from(one) - i32::from(other);
    let mean = i32::midpoint(i32::from(one.0), i32::from(other.0));
    let (r, g, b) = (difference(one.0, other.0), difference(one.1, other.1), difference(one.2, other.2));
    (((512 + mean) * r * r) >> 8) + 4 * g * g + (((767 - mean) * b * b) >> 8)
}
