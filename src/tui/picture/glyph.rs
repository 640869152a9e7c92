//! Characters that are shapes: box drawing, block elements, braille patterns.

use std::fmt::Write as _;

/// Pixels of a cell.
pub(super) const WIDTH: u32 = 10;
/// Pixels of a cell.
pub(super) const HEIGHT: u32 = 20;

/// How a path is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// Filled.
    Fill,
    /// Filled, with so many percent of the colour.
    Shade(u8),
    /// A line so many tenths of a pixel wide.
    Stroke(u32),
    /// Round dots at the beginnings of the path's pieces.
    Dots,
}

const LIGHT: u32 = 13;
const HEAVY: u32 = 28;

/// The arms of U+2500 to U+257F as the Unicode names give them: up, right, down, left; 0 none, 1 light, 2 heavy, 3 double.
const ARMS: &str = "\
    0101 0202 1010 2020 0101 0202 1010 2020 0101 0202 1010 2020 0110 0210 0120 0220 \
    0011 0012 0021 0022 1100 1200 2100 2200 1001 1002 2001 2002 1110 1210 2110 1120 \
    2120 2210 1220 2220 1011 1012 2011 1021 2021 2012 1022 2022 0111 0112 0211 0212 \
    0121 0122 0221 0222 1101 1102 1201 1202 2101 2102 2201 2202 1111 1112 1211 1212 \
    2111 1121 2121 2112 2211 1122 1221 2212 1222 2122 2221 2222 0101 0202 1010 2020 \
    0303 3030 0310 0130 0330 0013 0031 0033 1300 3100 3300 1003 3001 3003 1310 3130 \
    3330 1013 3031 3033 0313 0131 0333 1303 3101 3303 1313 3131 3333 0110 0011 1001 \
    1100 0000 0000 0000 0001 1000 0100 0010 0002 2000 0200 0020 0201 1020 0102 2010";

/// True where [`shape`] draws the character.
pub(super) const fn is_shape(character: char) -> bool {
    matches!(character, '\u{2500}'..='\u{259f}' | '\u{2800}'..='\u{28ff}')
}

/// The paths of a character whose cell begins at `x`, `y`; none where it is not a shape.
pub(super) fn shape(character: char, x: u32, y: u32) -> Vec<(Ink, String)> {
    let code = u32::from(character);
    match character {
        '\u{256d}'..='\u{2570}' => vec![(Ink::Stroke(LIGHT), arc(code - 0x256d, x, y))],
        '\u{2571}'..='\u{2573}' => vec![(Ink::Stroke(LIGHT), diagonals(code - 0x2570, x, y))],
        '\u{2500}'..='\u{257f}' => lines(character, x, y),
        '\u{2580}'..='\u{259f}' => block(code, x, y),
        '\u{2800}'..='\u{28ff}' => vec![(Ink::Dots, braille(code - 0x2800, x, y))],
        _ => Vec::new(),
    }
}

/// A quarter of a circle between two arms.
fn arc(index: u32, x: u32, y: u32) -> String {
    let (middle, centre) = (x + WIDTH / 2, y + HEIGHT / 2);
    // Down and right, down and left, up and left, up and right.
    let (end_x, end_y) = match index {
        0 => (x + WIDTH, y + HEIGHT),
        1 => (x, y + HEIGHT),
        2 => (x, y),
        _ => (x + WIDTH, y),
    };
    let bend = if end_y > centre { centre + 5 } else { centre - 5 };
    format!("M{end_x} {centre}Q{middle} {centre} {middle} {bend}V{end_y}")
}

fn diagonals(which: u32, x: u32, y: u32) -> String {
    let (right, bottom) = (x + WIDTH, y + HEIGHT);
    let mut path = String::new();
    if which & 1 != 0 {
        let _ = write!(path, "M{x} {bottom}L{right} {y}");
    }
    if which & 2 != 0 {
        let _ = write!(path, "M{x} {y}L{right} {bottom}");
    }
    path
}

fn lines(character: char, x: u32, y: u32) -> Vec<(Ink, String)> {
    let index = (u32::from(character) - 0x2500) as usize;
    let Some(arms) = ARMS.split_ascii_whitespace().nth(index) else { return Vec::new() };
    let dashes = match character {
        '┄' | '┅' | '┆' | '┇' => 3,
        '┈' | '┉' | '┊' | '┋' => 4,
        '╌' | '╍' | '╎' | '╏' => 2,
        _ => 0,
    };
    if dashes > 0 {
        let heavy = arms.contains('2');
        let across = arms.starts_with('0');
        return vec![(Ink::Stroke(if heavy { HEAVY } else { LIGHT }), dashed(dashes, across, x, y))];
    }
    let mut paths = Vec::new();
    for (direction, weight) in arms.bytes().enumerate() {
        let (ink, offsets): (_, &[i32]) = match weight {
            b'1' => (Ink::Stroke(LIGHT), &[0]),
            b'2' => (Ink::Stroke(HEAVY), &[0]),
            b'3' => (Ink::Stroke(LIGHT), &[-2, 2]),
            _ => continue,
        };
        for offset in offsets {
            paths.push((ink, arm(direction, *offset, x, y)));
        }
    }
    paths
}

/// From a hair beyond the centre to the edge, so that arms join; `offset` pixels beside the middle.
fn arm(direction: usize, offset: i32, x: u32, y: u32) -> String {
    let (left, top) = (x.cast_signed(), y.cast_signed());
    let (right, bottom) = (left + WIDTH.cast_signed(), top + HEIGHT.cast_signed());
    let (middle, centre) = (left + WIDTH.cast_signed() / 2, top + HEIGHT.cast_signed() / 2);
    let over = offset.abs();
    match direction {
        0 => format!("M{} {}V{top}", middle + offset, centre + over),
        1 => format!("M{} {}H{right}", middle - over, centre + offset),
        2 => format!("M{} {}V{bottom}", middle + offset, centre - over),
        _ => format!("M{} {}H{left}", middle + over, centre + offset),
    }
}

fn dashed(count: u32, across: bool, x: u32, y: u32) -> String {
    let mut path = String::new();
    // Tenths of pixels, so that dashes of neighbouring cells are evenly spaced.
    let length = if across { WIDTH } else { HEIGHT } * 10;
    let step = length / count;
    for index in 0..count {
        let start = index * step + step / 4;
        let (from, long) = (f64::from(start) / 10.0, f64::from(step / 2) / 10.0);
        let _ = if across {
            write!(path, "M{} {}h{long}", f64::from(x) + from, y + HEIGHT / 2)
        } else {
            write!(path, "M{} {}v{long}", x + WIDTH / 2, f64::from(y) + from)
        };
    }
    path
}

fn rectangle(x: u32, y: u32, wide: f64, high: f64, down: f64) -> String {
    format!("M{x} {}h{wide}v{high}h-{wide}z", f64::from(y) + down)
}

fn block(code: u32, x: u32, y: u32) -> Vec<(Ink, String)> {
    let (wide, high) = (f64::from(WIDTH), f64::from(HEIGHT));
    let eighth = |parts: u32, of: f64| of * f64::from(parts) / 8.0;
    let path = match code {
        0x2580 => rectangle(x, y, wide, high / 2.0, 0.0),
        0x2581..=0x2588 => {
            let part = eighth(code - 0x2580, high);
            rectangle(x, y, wide, part, high - part)
        }
        0x2589..=0x258f => rectangle(x, y, eighth(0x2590 - code, wide), high, 0.0),
        0x2590 => rectangle(x + WIDTH / 2, y, wide / 2.0, high, 0.0),
        0x2591..=0x2593 => {
            return vec![(Ink::Shade((25 * (code - 0x2590)) as u8), rectangle(x, y, wide, high, 0.0))];
        }
        0x2594 => rectangle(x, y, wide, eighth(1, high), 0.0),
        0x2595 => format!("M{} {y}h1.25v{high}h-1.25z", f64::from(x) + wide - 1.25),
        _ => quadrants(code, x, y),
    };
    vec![(Ink::Fill, path)]
}

/// U+2596 to U+259F; bits: upper left, upper right, lower left, lower right.
fn quadrants(code: u32, x: u32, y: u32) -> String {
    const BITS: [u8; 10] = [4, 8, 1, 13, 9, 7, 11, 2, 6, 14];
    let bits = BITS.get((code - 0x2596) as usize).copied().unwrap_or(0);
    let (wide, high) = (WIDTH / 2, HEIGHT / 2);
    let mut path = String::new();
    for (bit, right, down) in [(1, 0, 0), (2, wide, 0), (4, 0, high), (8, wide, high)] {
        if bits & bit != 0 {
            path.push_str(&rectangle(x + right, y + down, f64::from(wide), f64::from(high), 0.0));
        }
    }
    path
}

fn braille(bits: u32, x: u32, y: u32) -> String {
    // Column and row of each bit's dot (Unicode, "Braille Patterns").
    const DOTS: [(u32, u32); 8] = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)];
    let mut path = String::new();
    for (bit, (column, row)) in DOTS.into_iter().enumerate() {
        if bits & (1 << bit) != 0 {
            let _ = write!(
                path,
                "M{} {}h.01",
                f64::from(x) + 2.5 + 5.0 * f64::from(column),
                f64::from(y) + 2.5 + 5.0 * f64::from(row)
            );
        }
    }
    path
}
