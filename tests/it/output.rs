//! Output of services: what a shim writes is read back, each line once, whatever happens to engines and files.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails there")]

mod archives;
mod asked;
mod capture;
mod exactly_once;
mod queries;
mod readers;
mod search;
mod slot;
mod tails;
