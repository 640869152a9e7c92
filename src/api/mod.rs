//! The engine over HTTP/1.1 with JSON on a Unix socket, so that a second console, a command line and `curl --unix-socket` work.
//!
//! Never on TCP. Whoever connects must be this user or root; see [`server`].

pub mod client;
pub mod lock;
pub mod server;
pub mod wire;

pub use client::connect;
