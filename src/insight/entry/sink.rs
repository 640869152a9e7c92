//! Where fields go: into a list, or nowhere when only the level is asked for.

use std::borrow::Cow;

use super::Field;

/// Fields of a line that are kept.
pub(super) const FIELDS: usize = 128;

/// Takes the fields of a line in their order.
pub(super) trait Sink<'a> {
    /// False where nobody will look at message and fields, so that nothing need be allocated for them.
    const WANTED: bool;

    /// A field. More than [`FIELDS`] are not kept.
    fn add(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>);

    /// How many there are.
    fn count(&self) -> usize;

    /// Forgets all but the first `count`.
    fn cut(&mut self, count: usize);

    /// Takes one out.
    fn take(&mut self, at: usize) -> Option<Field<'a>>;
}

impl<'a> Sink<'a> for Vec<Field<'a>> {
    const WANTED: bool = true;

    fn add(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        if self.len() < FIELDS {
            self.push(Field { name: name.into(), value: value.into() });
        }
    }

    fn count(&self) -> usize {
        self.len()
    }

    fn cut(&mut self, count: usize) {
        self.truncate(count);
    }

    fn take(&mut self, at: usize) -> Option<Field<'a>> {
        (at < self.len()).then(|| self.remove(at))
    }
}

/// Keeps nothing.
pub(super) struct Quiet;

impl<'a> Sink<'a> for Quiet {
    const WANTED: bool = false;

    fn add(&mut self, _: impl Into<Cow<'a, str>>, _: impl Into<Cow<'a, str>>) {}

    fn count(&self) -> usize {
        0
    }

    fn cut(&mut self, _: usize) {}

    fn take(&mut self, _: usize) -> Option<Field<'a>> {
        None
    }
}
