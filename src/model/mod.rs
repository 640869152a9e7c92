//! Nouns that everyone shares: plain data, no I/O, no clock, nothing of ours above it.

pub mod command;
pub mod effect;
pub mod event;
pub mod heritage;
pub mod history;
pub mod hooks;
pub mod ids;
pub mod intake;
pub mod log;
pub mod mark;
pub mod metric;
pub mod phase;
pub mod policy;
pub mod probe;
pub mod project;
pub mod query;
pub mod record;
pub mod redact;
pub mod registry;
pub mod service;
pub mod signal;
pub mod snapshot;
pub mod text;
pub mod time;
pub mod timeline;
pub mod tty;
