//! [`crate::model::text`] in the words of the renderers. Nothing that came from a service or a file reaches a terminal otherwise.

use std::borrow::Cow;

pub(crate) use crate::model::text::{plain, terminal_safe_sgr, truncate, width};

/// Several lines, each made plain; the breaks between them stay.
pub(crate) fn plain_lines(lines: &str) -> String {
    lines.split('\n').map(plain).collect::<Vec<Cow<'_, str>>>().join("\n")
}
