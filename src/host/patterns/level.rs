//! How serious a line says it is: a stand-in, and the one place at which it is decided. Never: knows one program.

use crate::model::level::Level;

/// Words of a line that are looked at.
const WORDS: usize = 12;
/// Bytes of a line that are looked at.
const LOOKED_AT: usize = 160;

/// How serious a line says it is; none: it says nothing.
pub(super) fn of_line(line: &str) -> Option<Level> {
    let head = &line[..line.floor_char_boundary(LOOKED_AT)];
    let is_part = |character: char| !character.is_ascii_alphabetic();
    // A level is a whole word in capitals, or the value of a key for it; one in a sentence is a word like others.
    let mut words = head.split(is_part).filter(|word| !word.is_empty()).take(WORDS);
    let mut after_key = false;
    words.find_map(|word| {
        let is_named = std::mem::replace(&mut after_key, matches!(word, "level" | "lvl" | "severity" | "Level"));
        let is_capital = word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_uppercase());
        if is_named || is_capital { Level::of_word(word) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::of_line;

    #[test]
    fn a_level_is_a_word_in_capitals_or_the_value_of_a_key() {
        let of = |line| of_line(line).map(crate::model::level::Level::label);
        assert_eq!(of("2026-01-02 03:04:05,678 ERROR [web] no route"), Some("error"));
        assert_eq!(of(r#"{"time":"12:00","level":"warn","msg":"slow"}"#), Some("warn"));
        assert_eq!(of("ts=1 level=fatal msg=gone"), Some("fatal"));
        assert_eq!(of("an error of yours, and a warning"), None);
        assert_eq!(of("GET /fatal 200"), None);
        assert_eq!(of(&"é".repeat(500)), None);
    }
}
