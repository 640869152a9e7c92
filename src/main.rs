//! The `cas` binary.
fn main() {}
