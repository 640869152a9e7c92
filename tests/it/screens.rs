//! Every pane and dialog as text, driven by key strings, with a clock and a time zone that stand still.

mod fixture;
mod harness;
mod robust;
mod shots;
mod talk;
