//! The console: one screen over an engine, in this process or another.
//!
//! Promise: it only reads snapshots and asks at the door; it draws when something changed, never on a clock; whatever happens,
//! the terminal is given back as it was. Never: decides anything about a service.

pub mod action;
mod app;
mod attach;
mod backend;
mod bars;
mod carry;
mod clipboard;
mod containers;
mod detach;
mod draw;
mod edit;
mod format;
mod fuzzy;
mod input;
pub mod key;
pub mod keymap;
mod layout;
mod lists;
pub mod logs;
mod message;
mod modals;
mod motion;
mod notify;
mod panes;
mod patience;
pub mod picture;
mod placed;
mod signals;
mod terminal;
pub mod theme;
mod ui;
mod update;
mod when;
pub mod widgets;
mod zone;

pub use app::{Options, Outcome, TuiError, run};
pub use attach::{attach, sit_at};
pub use draw::draw;
pub use message::{Message, UiEffect};
pub use notify::message as desktop_message;
pub use patience::Patience;
pub use terminal::can_run;
pub use ui::{Pane, Setup, Ui};
pub use update::update;
pub use zone::Zone;
