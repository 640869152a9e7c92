//! The shim: the real program, driven over its socket, and killed whenever it hurts.

mod adoption;
mod disk;
mod endings;
mod output;
mod rig;
mod slot;
mod terminal;
