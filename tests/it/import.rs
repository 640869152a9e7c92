//! What files of other tools become.

mod compose;
mod formats;
mod render;
mod render_formats;
