//! Decides. Pure: no I/O, no clock, no tokio.
