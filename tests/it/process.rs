//! Processes: real children that misbehave in every way we know.

mod attributes;
mod children;
mod errors;
mod flood;
mod holders;
mod hooks;
mod many;
mod outlive;
mod ports;
pub(crate) mod rig;
mod secrets;
mod trees;
