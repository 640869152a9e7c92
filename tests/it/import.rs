//! What files of other tools become.

mod compose;
mod render;
