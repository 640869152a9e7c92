//! `cas`, the Contextual Autonomous System: an operations console for the terminal that also does the operating.
//!
//! `ARCHITECTURE.md` says where things belong and why.

pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod engine;
pub mod host;
pub mod insight;
pub mod model;
pub mod shim_format;
pub mod tui;
pub mod world;
