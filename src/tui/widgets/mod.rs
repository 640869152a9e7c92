//! Pieces that panes are made of: charts, lines, frames, scrolling, columns.
//!
//! Promise: every widget clips to its area, whatever its size, 0×0 included, and takes its colours from the theme. Never: reads
//! anything but its arguments, keeps state of its own, or writes text that did not go through `model::text`.

pub mod chart;
pub mod columns;
pub mod fit;
pub mod line;
pub mod log_line;
pub mod panel;
mod samples;
pub mod scroll;
pub mod sparkline;
pub mod units;

pub use chart::{Chart, Scale, Series, Shape};
pub use columns::{Column, columns};
pub use fit::{fit, fit_right};
pub use line::{badge, key_hints, tab_at, tabs};
pub use panel::{Focus, Panel, centred, overlay};
pub use scroll::{Viewport, scrollbar};
pub use units::Unit;
