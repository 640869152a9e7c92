//! `cas` as its user has it: the real binary in a real pty, with an emulator that shows what it drew.

mod attach;
mod end;
mod hostile;
mod inside;
mod job;
mod pipes;
mod projects;
mod share;
pub(crate) mod terminal;
mod tour;
