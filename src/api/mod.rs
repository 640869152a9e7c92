//! The engine over HTTP/1.1 with JSON on a Unix socket, so that a second console, a command line and `curl --unix-socket` work.
//!
//! Never on TCP. Whoever connects must be this user or root (or of the group that was named, to look); see [`server`].

mod act;
pub mod client;
mod connection;
mod desk;
mod door;
mod entries;
mod live;
pub mod lock;
mod logs;
mod metrics;
mod older;
mod openapi;
mod own;
mod patterns;
mod read;
mod refusal;
mod routes;
pub mod server;
mod tty;
pub mod wire;

pub use client::connect;
