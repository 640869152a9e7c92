//! `ssh -t box cas`, for real: an sshd on loopback, a pty on either side, and a connection that is cut in the middle.

mod attached;
mod hosted;
mod passed;
mod server;
