//! Which program asks, in the words of the timeline. Never decides whether it may.

use crate::{
    model::policy::{Asker, Origin, Request},
    world::peer,
};

/// The program with this pid; `user` is its own where that is another than the engine's.
#[must_use]
pub fn asker(pid: u32, user: Option<u32>) -> Asker {
    Asker { pid, user, terminal: peer::terminal_of(pid) }
}

/// Names this process where a person asks in it: whoever asks from elsewhere was named by whoever let it in.
pub(super) fn name_own(request: &mut Request) {
    let person = match request.origin {
        Origin::Key | Origin::Palette | Origin::Cli | Origin::Api => true,
        Origin::Config | Origin::Healer | Origin::System => false,
    };
    if person && request.asker.is_none() {
        request.asker = Some(asker(std::process::id(), None));
    }
}
