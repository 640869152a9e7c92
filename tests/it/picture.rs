//! Screens as pictures. `CAS_PICTURES=DIR cargo test` writes every screen that a test shows there, as SVG.

use std::path::PathBuf;

use cas::tui::picture;
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier, Style},
};

/// The picture of a screen buffer.
pub(crate) fn svg(buffer: &Buffer, title: &str) -> String {
    picture::svg(buffer, title)
}

/// The picture of what a real terminal would show after a run in a pty.
pub(crate) fn svg_from_vt100(screen: &vt100::Screen, title: &str) -> String {
    picture::svg(&buffer_of(screen), title)
}

/// True where `CAS_PICTURES` asks for pictures.
pub(crate) fn is_wanted() -> bool {
    std::env::var_os("CAS_PICTURES").is_some()
}

/// Writes the picture of a terminal's screen, as [`show`].
pub(crate) fn show_screen(screen: &vt100::Screen, name: &str) {
    show(&buffer_of(screen), name);
}

/// Writes the picture of `buffer` as `NAME.svg` into the directory that `CAS_PICTURES` names; nothing where it names none.
pub(crate) fn show(buffer: &Buffer, name: &str) {
    let Some(directory) = std::env::var_os("CAS_PICTURES").map(PathBuf::from) else { return };
    std::fs::create_dir_all(&directory).expect("CAS_PICTURES names a directory that can be made");
    std::fs::write(directory.join(format!("{name}.svg")), svg(buffer, &format!("cas — {name}")))
        .expect("a picture can be written");
}

/// A terminal's screen as a buffer.
pub(crate) fn buffer_of(screen: &vt100::Screen) -> Buffer {
    let (rows, columns) = screen.size();
    let mut buffer = Buffer::empty(Rect::new(0, 0, columns.get(), rows.get()));
    let color = |color| match color {
        vt100::Color::Default => Color::Reset,
        vt100::Color::Idx(index) => Color::Indexed(index),
        vt100::Color::Rgb(r, g, b) => Color::Rgb(r, g, b),
    };
    for row in 0..rows.get() {
        for column in 0..columns.get() {
            let Some(cell) = screen.cell(row, column) else { continue };
            if cell.is_wide_continuation() {
                continue;
            }
            let mut style = Style::new().fg(color(cell.fgcolor())).bg(color(cell.bgcolor()));
            for (is, modifier) in [
                (cell.bold(), Modifier::BOLD),
                (cell.dim(), Modifier::DIM),
                (cell.italic(), Modifier::ITALIC),
                (cell.underline(), Modifier::UNDERLINED),
                (cell.inverse(), Modifier::REVERSED),
            ] {
                if is {
                    style = style.add_modifier(modifier);
                }
            }
            let symbol = if cell.has_contents() { cell.contents() } else { " " };
            buffer[(column, row)].set_symbol(symbol).set_style(style);
        }
    }
    buffer
}

fn line(text: &str, style: Style) -> Buffer {
    let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 1));
    buffer.set_string(0, 0, text, style);
    buffer
}

#[test]
fn the_same_screen_gives_the_same_picture() {
    let buffer = line("─ok● ⣿█", Style::new().fg(Color::Green));
    assert_eq!(svg(&buffer, "t"), svg(&buffer, "t"));
}

#[test]
fn text_keeps_to_its_columns_and_is_escaped() {
    let picture = svg(&line("a<b&c", Style::new().bg(Color::Rgb(1, 2, 3)).add_modifier(Modifier::BOLD)), "");
    assert!(picture.contains("textLength=\"50\""), "{picture}");
    assert!(picture.contains(">a&lt;b&amp;c</text>"), "{picture}");
    assert!(picture.contains("font-weight=\"bold\""), "{picture}");
    assert!(picture.contains("width=\"50\" height=\"20\" fill=\"#010203\""), "{picture}");
}

#[test]
fn lines_blocks_and_dots_are_shapes_not_letters() {
    for character in ('\u{2500}'..='\u{259f}').chain('\u{2801}'..='\u{28ff}') {
        let picture = svg(&line(&character.to_string(), Style::new()), "");
        assert!(picture.contains("<path d=\"M"), "U+{:04X}", u32::from(character));
        assert!(!picture.contains("</text>"), "U+{:04X}", u32::from(character));
    }
}

#[test]
fn a_wide_character_takes_two_cells() {
    let picture = svg(&line("字x", Style::new()), "");
    assert!(picture.contains("x=\"10\" y=\"15\" text-anchor=\"middle\""), "{picture}");
    assert!(picture.contains("x=\"20\" y=\"15\" textLength=\"10\""), "{picture}");
}

#[test]
fn a_terminal_and_a_buffer_give_the_same_picture() {
    use std::num::NonZero;
    let mut terminal = vt100::Parser::new(NonZero::new(1).unwrap(), NonZero::new(12).unwrap(), 0);
    terminal.process("\u{1b}[1;38;2;9;8;7mbold\u{1b}[0m \u{1b}[7m字\u{1b}[0m┃".as_bytes());
    let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 1));
    buffer.set_string(0, 0, "bold", Style::new().fg(Color::Rgb(9, 8, 7)).add_modifier(Modifier::BOLD));
    buffer.set_string(5, 0, "字", Style::new().add_modifier(Modifier::REVERSED));
    buffer.set_string(7, 0, "┃", Style::new());
    assert_eq!(svg_from_vt100(terminal.screen(), "same"), svg(&buffer, "same"));
}

#[test]
fn an_empty_screen_has_a_picture() {
    assert!(svg(&Buffer::empty(Rect::ZERO), "").starts_with("<svg "));
}
