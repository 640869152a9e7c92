//! The shim of one service slot.

fn main() {}
