//! The lines of a template, by its text: `Connection from <*> closed`. Needs no miner, so that whoever has the text can look for its lines.

use regex::{Regex, RegexBuilder};

/// What a template's text has in the place of a value.
const HOLE: &str = "<*>";

/// Longer templates are looked for by their beginning.
const LONGEST: usize = 1024;

/// What finds the lines of a template; none where nothing of it is fixed.
///
/// Between two fixed parts may stand anything. The text may begin and end anywhere in a line, because what stands before it is the head that a
/// template does not have.
pub(super) fn regex(template: &str) -> Option<Regex> {
    let end = template.floor_char_boundary(LONGEST);
    let template = template[..end].trim();
    if template.split(HOLE).all(|part| part.trim().is_empty()) {
        return None;
    }
    // A run of spaces in a line is one in its template.
    let fixed = |part: &str| part.split_whitespace().map(regex::escape).collect::<Vec<_>>().join(r"\s+");
    let mut pattern = String::new();
    for (number, part) in template.split(HOLE).enumerate() {
        if number > 0 {
            pattern.push_str(".*?");
        }
        if part.starts_with(char::is_whitespace) && number > 0 {
            pattern.push_str(r"\s*");
        }
        pattern.push_str(&fixed(part));
        if part.ends_with(char::is_whitespace) && !part.trim().is_empty() {
            pattern.push_str(r"\s*");
        }
    }
    RegexBuilder::new(&pattern).build().ok()
}
