//! What output is matched with: the text of lines without what a terminal would act on.
mod clean;
mod prefilter;
pub(super) use self::clean::{clean, is_plain};
pub use self::prefilter::Prefilter;
