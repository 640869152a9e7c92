//! The console's own share of the output: bounded rings of shared batches, and an index of the rows that are shown.

pub mod store;
pub mod view;
