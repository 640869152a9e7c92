//! The socket: what stands on it, who may, what is refused, and a client that loses its engine.

mod door;
mod lock;
mod logs;
mod loss;
mod size;
mod stage;
