//! Every contact with the outside, each turning effects into events.

pub mod clock;
pub mod log_files;
pub mod store;
pub mod system;
