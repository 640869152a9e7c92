//! Kinds of services against real servers, or where none can be had here, against one that speaks their protocol as it is documented.

mod bus;
pub(crate) mod rig;
mod store;
mod web;
