//! The console's own share of the output: bounded rings of shared batches, and an index of the rows that are shown.

pub mod cut;
pub mod row;
pub mod store;
pub mod tally;
pub mod view;
