//! The engine in virtual time: tables of sentences, random worlds, a day of fifty services.

mod dependencies;
mod door;
mod probes;
mod random;
mod reload;
mod restarts;
mod stops;
mod views;
mod world;
