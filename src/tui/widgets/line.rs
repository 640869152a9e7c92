//! Lines of small things: tabs, badges, keys.

use ratatui::{
    style::{Modifier, Style},
    text::{Line, Span},
};

use crate::{
    model::text::width,
    tui::theme::{Role, Theme},
};

const TAB_GAP: &str = "│";

/// Tabs as `1 projects │ 2 services`, each a key and a label; the active one stands out, also without colours.
#[must_use]
pub fn tabs(tabs: &[(&str, &str)], active: usize, theme: &Theme) -> Line<'static> {
    let mut spans = Vec::with_capacity(tabs.len() * 4);
    for (index, (key, label)) in tabs.iter().enumerate() {
        if index > 0 {
            spans.push(Span::styled(TAB_GAP, theme.style(Role::Faint)));
        }
        let (key_style, label_style) = if index == active {
            let style = theme.style(Role::Accent).add_modifier(Modifier::BOLD | Modifier::UNDERLINED);
            (style, style)
        } else {
            (theme.style(Role::Key), theme.style(Role::KeyLabel))
        };
        spans.push(Span::raw(" "));
        spans.push(Span::styled((*key).to_owned(), key_style));
        spans.push(Span::styled((*label).to_owned(), label_style));
        spans.push(Span::raw(" "));
    }
    Line::from(spans)
}

/// The tab at column `column` (from 0) of the line that [`tabs`] makes.
#[must_use]
pub fn tab_at(tabs: &[(&str, &str)], column: u16) -> Option<usize> {
    let mut left = usize::from(column);
    for (index, (key, label)) in tabs.iter().enumerate() {
        let wide = width(key) + width(label) + 2;
        if left < wide {
            return Some(index);
        }
        left = left.checked_sub(wide + width(TAB_GAP))?;
    }
    None
}

/// A word on a ground of its own colour: ` 3 down `. Without a colour it is in brackets.
#[must_use]
pub fn badge(text: &str, style: Style, theme: &Theme) -> Span<'static> {
    match (style.fg, theme.style(Role::Text).bg) {
        (Some(color), Some(ground)) if style.bg.is_none() && ground != ratatui::style::Color::Reset => {
            Span::styled(format!(" {text} "), Style::new().fg(ground).bg(color).add_modifier(Modifier::BOLD))
        }
        (Some(_), _) if style.bg.is_none() => Span::styled(format!(" {text} "), style.add_modifier(Modifier::REVERSED)),
        _ => Span::styled(format!("[{text}]"), style.add_modifier(Modifier::BOLD)),
    }
}

/// Keys and what they do, as many as fit into `columns`, first come first: ` r restart  s stop `. None is cut in the middle; where
/// some were left out the line ends with `…`.
#[must_use]
pub fn key_hints(hints: &[(&str, &str)], columns: usize, theme: &Theme) -> Line<'static> {
    let mut spans = Vec::with_capacity(hints.len() * 3);
    let mut used = 0;
    for (index, (key, label)) in hints.iter().enumerate() {
        let wide = width(key) + width(label) + 3;
        let reserve = if index + 1 < hints.len() { 2 } else { 0 };
        if used + wide + reserve > columns {
            if used + 2 <= columns {
                spans.push(Span::styled(" …", theme.style(Role::Faint)));
            }
            break;
        }
        used += wide;
        spans.push(Span::raw(" "));
        spans.push(Span::styled((*key).to_owned(), theme.style(Role::Key)));
        spans.push(Span::styled(format!(" {label} "), theme.style(Role::KeyLabel)));
    }
    Line::from(spans)
}
