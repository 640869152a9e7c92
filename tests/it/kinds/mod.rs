//! Kinds of services against real servers, or where none can be had here, against one that speaks their protocol as it is documented.

mod bus;
mod rig;
mod store;
mod web;
