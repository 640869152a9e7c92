//! The text of a systemd unit: sections, continued lines, quotes, specifiers (systemd.syntax(7), systemd.unit(5)). Never: knows
//! what a key means.

use super::{
    Material,
    page::{Page, brief},
};
use crate::config::problems::Place;

/// A key with its value.
pub(super) struct Setting {
    pub(super) section: String,
    pub(super) key: String,
    pub(super) at: Place,
    pub(super) value: String,
    pub(super) value_at: Place,
}

/// The settings of a unit, in the order of the file.
pub(super) fn settings(page: &mut Page<'_>, text: &str) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut section: Option<String> = None;
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let trimmed = line.trim();
        let column = line.chars().take_while(|c| c.is_whitespace()).count() + 1;
        let at = Place::new(number + 1, column);
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = Some(name.to_owned());
            continue;
        }
        let mut whole = trimmed.to_owned();
        while whole.ends_with('\\') {
            whole.pop();
            whole.push(' ');
            match lines.find(|(_, line)| !line.trim_start().starts_with(['#', ';'])) {
                Some((_, line)) => whole.push_str(line.trim()),
                None => break,
            }
        }
        let Some((key, value)) = whole.split_once('=') else {
            page.error(at, &format!("\"{}\" is not Key=value", brief(&whole)), "begin a comment with #");
            continue;
        };
        let Some(section) = &section else {
            page.error(at, &format!("{}: it stands before the first section", brief(key)), "write [Service] above it");
            continue;
        };
        let spaces = value.chars().take_while(|c| c.is_whitespace()).count();
        settings.push(Setting {
            section: section.clone(),
            key: key.trim().to_owned(),
            at,
            value_at: Place::new(number + 1, column + key.chars().count() + 1 + spaces),
            value: value.trim().to_owned(),
        });
    }
    settings
}

/// A word of a command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    /// It had quotes, so that a variable in it is one word.
    pub(super) is_quoted: bool,
}

/// Words with `"…"`, `'…'` and C's escapes taken away.
///
/// # Errors
/// What is wrong, the end of a sentence.
pub(super) fn words(text: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert(Word { text: String::new(), is_quoted: true }).is_quoted = true;
            }
            (Some(open), c) if open == c => quote = None,
            (_, '\\') => {
                let escaped = escape(&mut chars).ok_or("a backslash begins no escape that systemd knows")?;
                word.get_or_insert(Word { text: String::new(), is_quoted: false }).text.push(escaped);
            }
            (_, c) => word.get_or_insert(Word { text: String::new(), is_quoted: false }).text.push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is never closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}

fn escape(chars: &mut std::str::Chars<'_>) -> Option<char> {
    let number = |chars: &mut std::str::Chars<'_>, digits: usize, radix: u32| {
        let text: String = chars.take(digits).collect();
        u32::from_str_radix(&text, radix).ok().filter(|code| text.len() == digits && *code > 0).and_then(char::from_u32)
    };
    Some(match chars.next()? {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        's' => ' ',
        c @ ('\\' | '"' | '\'' | ';' | '$') => c,
        'x' => number(chars, 2, 16)?,
        'u' => number(chars, 4, 16)?,
        'U' => number(chars, 8, 16)?,
        first @ '0'..='7' => {
            let rest: String = chars.take(2).collect();
            char::from_u32(u32::from_str_radix(&format!("{first}{rest}"), 8).ok()?)?
        }
        _ => return None,
    })
}

/// Fills in `%n`, `%h` and their like.
pub(super) fn specified(page: &mut Page<'_>, what: &str, at: Place, text: &str) -> String {
    let material = page.material;
    let mut filled = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            filled.push(c);
            continue;
        }
        let Some(letter) = chars.next() else {
            filled.push('%');
            break;
        };
        if let Some(value) = specifier(material, letter) {
            filled.push_str(&value);
        } else {
            let hint = "cas knows %n %N %p %h %u %t %T %V %S %C %L %E %%; write what is meant";
            page.lost(at, &format!("{what}: %{} is not filled in", brief(&letter.to_string())), hint);
            filled.push('%');
            filled.push(letter);
        }
    }
    filled
}

fn specifier(material: &Material<'_>, letter: char) -> Option<String> {
    let of = |name: &str| material.environment.get(name).cloned();
    let unit = material.file.file_name()?.to_string_lossy().into_owned();
    let stem = unit.rsplit_once('.').map_or(unit.clone(), |(stem, _)| stem.to_owned());
    Some(match letter {
        '%' => "%".to_owned(),
        'n' => unit,
        'N' => stem,
        'p' | 'P' => stem.split('@').next().unwrap_or_default().to_owned(),
        'h' => of("HOME")?,
        'u' => of("USER")?,
        't' => "/run".to_owned(),
        'T' => "/tmp".to_owned(),
        'V' => "/var/tmp".to_owned(),
        'S' => "/var/lib".to_owned(),
        'C' => "/var/cache".to_owned(),
        'L' => "/var/log".to_owned(),
        'E' => "/etc".to_owned(),
        _ => return None,
    })
}
