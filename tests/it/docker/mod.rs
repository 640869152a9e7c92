//! Containers, against a real engine that the tests start for themselves, and against engines that are ill.

mod adopt;
mod deeds;
pub(crate) mod dockerd;
mod ends;
mod files;
mod ill;
mod login;
mod run;
mod usage;
