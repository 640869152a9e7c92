//! The console.

pub mod picture;
pub mod theme;
pub mod widgets;
