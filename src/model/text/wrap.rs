//! Text broken into lines. Never: gives a line that is wider than asked, save one character that is.

use super::{plain, width};

/// `source` made [`plain`](super::plain) and broken into lines of at most `columns`, at spaces where there are any; its own lines stay.
/// At least one line.
#[must_use]
pub fn wrap(source: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    for paragraph in source.lines() {
        let paragraph = plain(paragraph);
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let mut word = word.to_owned();
            let room = columns.saturating_sub(width(&line) + usize::from(!line.is_empty()));
            if width(&word) > room && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            while width(&word) > columns {
                let head = hard_cut(&word, columns);
                word = word[head.len()..].to_owned();
                lines.push(head);
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
        }
        lines.push(line);
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

/// The longest beginning of `word` that fits; at least one character.
fn hard_cut(word: &str, columns: usize) -> String {
    let mut head = String::new();
    for letter in word.chars() {
        let mut longer = head.clone();
        longer.push(letter);
        if width(&longer) > columns && !head.is_empty() {
            break;
        }
        head = longer;
    }
    head
}
