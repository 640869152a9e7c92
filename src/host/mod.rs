//! The one task that owns the engine: receives, sets the clock, steps, runs effects, publishes.

pub mod handle;
