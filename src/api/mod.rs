//! The engine over HTTP/1.1 on a Unix socket.
