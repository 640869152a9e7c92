//! A screen as an SVG picture: to look at in a review, a README, a failed test.
//!
//! Promise: the same screen gives the same bytes; every cell is where it is on a terminal, because lines, blocks and braille dots
//! are drawn as shapes and every piece of text is told its length, whatever fonts the viewer has. Never: reads files, fonts or clock.

mod glyph;

use std::fmt::Write as _;

use ratatui::{
    buffer::{Buffer, Cell},
    style::{Color, Modifier},
};
use unicode_width::UnicodeWidthStr;

use glyph::{HEIGHT, Ink, WIDTH};

/// Space around the screen, in pixels.
const MARGIN: u32 = 12;
/// Height of the bar with the title.
const BAR: u32 = 36;
/// The letters' size: a monospaced letter is about 0.6 of it wide.
const FONT: &str = "16.5";
const FAMILY: &str = "'JetBrains Mono','DejaVu Sans Mono','Cascadia Mono',Menlo,Consolas,monospace";
/// A terminal's own two colours, which a screen does not tell.
const GROUND: &str = "#1e1e2e";
const LETTERS: &str = "#cdd6f4";

/// The picture of `buffer`. With a title it gets a window's frame and bar.
#[must_use]
pub fn svg(buffer: &Buffer, title: &str) -> String {
    let (columns, rows) = (u32::from(buffer.area.width), u32::from(buffer.area.height));
    let top = if title.is_empty() { MARGIN } else { BAR };
    let (wide, high) = (columns * WIDTH + 2 * MARGIN, rows * HEIGHT + top + MARGIN);
    let mut out = String::with_capacity(16 * 1024);
    let ground = screen_ground(buffer);
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide}\" height=\"{high}\" viewBox=\"0 0 {wide} {high}\">\n\
         <style>text{{font-family:{FAMILY};font-size:{FONT}px;white-space:pre}}</style>\n\
         <rect width=\"{wide}\" height=\"{high}\" rx=\"{}\" fill=\"{ground}\"/>",
        if title.is_empty() { 0 } else { 9 }
    );
    if !title.is_empty() {
        draw_bar(&mut out, title, wide);
    }
    let _ = writeln!(out, "<g transform=\"translate({MARGIN} {top})\">");
    for y in 0..rows {
        let cells = row(buffer, y);
        draw_grounds(&mut out, &cells, y, &ground);
        draw_shapes(&mut out, &cells, y);
        draw_letters(&mut out, &cells, y);
    }
    out.push_str("</g>\n</svg>\n");
    out
}

/// One cell with its colours decided.
struct Drawn<'b> {
    symbol: &'b str,
    /// Columns, 1 or 2.
    wide: u32,
    x: u32,
    fg: String,
    bg: String,
    modifier: Modifier,
}

fn row(buffer: &Buffer, y: u32) -> Vec<Drawn<'_>> {
    let mut cells = Vec::with_capacity(usize::from(buffer.area.width));
    let mut covered = 0;
    for x in 0..u32::from(buffer.area.width) {
        if x < covered {
            continue;
        }
        let place = (buffer.area.x + x as u16, buffer.area.y + y as u16);
        let Some(cell) = buffer.cell(place) else { continue };
        let wide = (cell.symbol().width() as u32).clamp(1, 2);
        covered = x + wide;
        cells.push(drawn(cell, x, wide));
    }
    cells
}

fn drawn(cell: &Cell, x: u32, wide: u32) -> Drawn<'_> {
    let (mut fg, mut bg) = (hex(cell.fg, LETTERS), hex(cell.bg, GROUND));
    if cell.modifier.contains(Modifier::REVERSED) {
        std::mem::swap(&mut fg, &mut bg);
    }
    let symbol = if cell.modifier.contains(Modifier::HIDDEN) { " " } else { cell.symbol() };
    Drawn { symbol, wide, x, fg, bg, modifier: cell.modifier }
}

/// The background that most cells have.
fn screen_ground(buffer: &Buffer) -> String {
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for cell in buffer.content() {
        *counts.entry(hex(cell.bg, GROUND)).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map_or_else(|| GROUND.to_owned(), |(color, _)| color)
}

fn draw_bar(out: &mut String, title: &str, wide: u32) {
    for (index, color) in ["#ff5f57", "#febc2e", "#28c840"].into_iter().enumerate() {
        let _ = writeln!(out, "<circle cx=\"{}\" cy=\"18\" r=\"6\" fill=\"{color}\"/>", 20 + 20 * index);
    }
    let middle = wide / 2;
    let _ =
        write!(out, "<text x=\"{middle}\" y=\"23\" text-anchor=\"middle\" fill=\"#8b8fa3\" style=\"font-size:13px\">");
    escape(out, title);
    out.push_str("</text>\n");
}

/// Backgrounds, one rectangle for neighbours of one colour.
fn draw_grounds(out: &mut String, cells: &[Drawn<'_>], y: u32, ground: &str) {
    for run in cells.chunk_by(|one, other| one.bg == other.bg) {
        let ([first, ..], [.., last]) = (run, run) else { continue };
        if first.bg == ground {
            continue;
        }
        let wide = (last.x + last.wide - first.x) * WIDTH;
        let _ = writeln!(
            out,
            "<rect x=\"{}\" y=\"{}\" width=\"{wide}\" height=\"{HEIGHT}\" fill=\"{}\" shape-rendering=\"crispEdges\"/>",
            first.x * WIDTH,
            y * HEIGHT,
            first.bg
        );
    }
}

/// Box drawing, blocks, braille: one path for all shapes of one colour and kind in a run.
fn draw_shapes(out: &mut String, cells: &[Drawn<'_>], y: u32) {
    for run in cells.chunk_by(|one, other| one.fg == other.fg && faded(one) == faded(other)) {
        let mut paths: Vec<(Ink, String)> = Vec::new();
        for cell in run {
            let Some(character) = single(cell.symbol) else { continue };
            for (ink, path) in glyph::shape(character, cell.x * WIDTH, y * HEIGHT) {
                match paths.iter_mut().find(|(known, _)| *known == ink) {
                    Some((_, all)) => all.push_str(&path),
                    None => paths.push((ink, path)),
                }
            }
        }
        for (ink, path) in paths {
            let (color, fade) = (&run[0].fg, if faded(&run[0]) { " opacity=\".6\"" } else { "" });
            let _ = match ink {
                Ink::Fill => {
                    writeln!(out, "<path d=\"{path}\" fill=\"{color}\"{fade} shape-rendering=\"crispEdges\"/>")
                }
                Ink::Shade(percent) => writeln!(out, "<path d=\"{path}\" fill=\"{color}\" opacity=\".{percent}\"/>"),
                Ink::Stroke(tenths) => writeln!(
                    out,
                    "<path d=\"{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{}.{}\"{fade}/>",
                    tenths / 10,
                    tenths % 10
                ),
                Ink::Dots => writeln!(
                    out,
                    "<path d=\"{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"3\" stroke-linecap=\"round\"{fade}/>"
                ),
            };
        }
    }
}

/// Text, one element for neighbours that look the same; what is not ASCII goes alone, so that a font's own idea of its width moves
/// nothing.
fn draw_letters(out: &mut String, cells: &[Drawn<'_>], y: u32) {
    let plain = |cell: &Drawn<'_>| cell.symbol.len() == 1 && cell.symbol != " ";
    let together = |one: &Drawn<'_>, other: &Drawn<'_>| {
        plain(one) && plain(other) && one.fg == other.fg && one.modifier == other.modifier
    };
    for run in cells.chunk_by(together) {
        let first = &run[0];
        if first.symbol.trim().is_empty() || single(first.symbol).is_some_and(glyph::is_shape) {
            draw_lines(out, run, y);
            continue;
        }
        let wide: u32 = run.iter().map(|cell| cell.wide * WIDTH).sum();
        let (x, base) = (first.x * WIDTH, y * HEIGHT + 15);
        let place = if plain(first) {
            format!("x=\"{x}\" y=\"{base}\" textLength=\"{wide}\"")
        } else {
            format!("x=\"{}\" y=\"{base}\" text-anchor=\"middle\"", x + wide / 2)
        };
        let _ = write!(out, "<text {place} fill=\"{}\"", first.fg);
        for (modifier, attribute) in [
            (Modifier::BOLD, " font-weight=\"bold\""),
            (Modifier::ITALIC, " font-style=\"italic\""),
            (Modifier::DIM, " opacity=\".6\""),
        ] {
            if first.modifier.contains(modifier) {
                out.push_str(attribute);
            }
        }
        out.push('>');
        for cell in run {
            escape(out, cell.symbol);
        }
        out.push_str("</text>\n");
        draw_lines(out, run, y);
    }
}

/// Underlines and strokes through the text.
fn draw_lines(out: &mut String, run: &[Drawn<'_>], y: u32) {
    for (modifier, down) in [(Modifier::UNDERLINED, 18), (Modifier::CROSSED_OUT, 10)] {
        let first = &run[0];
        if first.modifier.contains(modifier) {
            let wide: u32 = run.iter().map(|cell| cell.wide * WIDTH).sum();
            let (x, y) = (first.x * WIDTH, y * HEIGHT + down);
            let _ = writeln!(out, "<rect x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"1\" fill=\"{}\"/>", first.fg);
        }
    }
}

fn faded(cell: &Drawn<'_>) -> bool {
    cell.modifier.contains(Modifier::DIM)
}

fn single(symbol: &str) -> Option<char> {
    let mut characters = symbol.chars();
    characters.next().filter(|_| characters.next().is_none())
}

fn escape(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML 1.0 has no such characters, not even escaped.
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

/// The sixteen named colours as a picture shows them (those of the default theme), then cube and greys.
fn hex(color: Color, own: &str) -> String {
    const NAMED: [&str; 16] = [
        "#45475a", "#f38ba8", "#a6e3a1", "#f9e2af", "#89b4fa", "#f5c2e7", "#94e2d5", "#bac2de", "#7f849c", "#f38ba8",
        "#a6e3a1", "#f9e2af", "#89b4fa", "#f5c2e7", "#94e2d5", "#ffffff",
    ];
    let index = match color {
        Color::Reset => return own.to_owned(),
        Color::Rgb(r, g, b) => return format!("#{r:02x}{g:02x}{b:02x}"),
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
    if let Some(named) = NAMED.get(usize::from(index)) {
        return (*named).to_owned();
    }
    let (r, g, b) = super::theme::indexed(index);
    format!("#{r:02x}{g:02x}{b:02x}")
}
