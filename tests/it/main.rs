//! The one integration-test binary: sentences that wait for conditions, never for time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by failing")]

mod api;
mod architecture;
mod cgroup;
mod checks;
mod cli;
mod config;
mod daemon;
mod demo;
mod detect;
mod docker;
mod engine;
mod files;
mod hangup;
mod hooked;
mod host;
mod import;
mod journal;
mod keys;
mod kinds;
mod log_files;
mod log_forms;
mod notify;
mod output;
mod patterns;
mod picture;
mod probes;
mod process;
mod pty;
mod redaction;
mod registry;
mod remembered;
mod rows;
mod screens;
mod shim;
mod ssh;
mod store;
mod support;
mod system;
mod text;
mod theme;
mod told;
mod week;
mod whole;
mod widgets;
