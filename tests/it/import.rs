//! What files of other tools become.

mod compose;
mod crowded;
mod evaluate;
mod formats;
mod render;
mod render_formats;
