//! The engine in virtual time: tables of sentences, random worlds, a day of fifty services.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up has failed")]

mod alerts;
mod care;
mod checks;
mod deeds;
mod dependencies;
mod door;
mod foreseen;
mod forks;
mod healing;
mod heritage;
mod honest;
mod hooks;
mod memory;
mod mends;
mod namesakes;
mod news;
mod occasions;
mod openings;
mod ports;
mod probes;
mod random;
mod records;
mod reload;
mod restarts;
mod revisions;
mod rotations;
mod script;
mod spawning;
mod specs;
mod still;
mod stops;
mod succession;
mod told;
mod views;
mod world;
