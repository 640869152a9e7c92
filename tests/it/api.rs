//! The socket: what stands on it, who may, what is refused, and a client that loses its engine.

mod crowd;
mod document;
mod door;
mod live;
mod lock;
mod logs;
mod loss;
mod planted;
mod read_only;
mod revisions;
mod search;
mod size;
pub(crate) mod stage;
mod two;
mod versions;
mod views;
