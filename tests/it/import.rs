//! What files of other tools become.

mod compose;
mod crowded;
mod formats;
mod render;
mod render_formats;
