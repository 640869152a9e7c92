//! Pieces of a screen.
