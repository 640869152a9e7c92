//! Every pane and dialog as text, driven by key strings, with a clock and a time zone that stand still.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod alert;
mod containers;
mod fixture;
mod harbour;
mod harness;
mod logbook;
mod logs;
mod looks;
mod projects;
mod robust;
mod shots;
mod talk;
