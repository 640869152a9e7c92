//! What can be learnt from what services write and measure. Pure: no clock, no I/O; whoever calls brings the lines and says when.

pub mod entry;
pub mod filter;
pub mod header;
pub mod patterns;
pub mod templates;
