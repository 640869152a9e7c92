//! Project and user files: find, parse, merge, validate.
