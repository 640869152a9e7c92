//! What whoever follows an engine is told of the way to it. Promise: an engine that is away is said once, and so is its return. Never ends the
//! following: another engine may come in its place.

use tokio::sync::watch;

use crate::host::handle::{Handle, Link};

/// Listens to how an engine is reached.
pub(super) struct LinkWatch {
    link: watch::Receiver<Link>,
    is_lost: bool,
}

impl LinkWatch {
    pub(super) fn new(handle: &Handle) -> Self {
        let mut link = handle.link.clone();
        // How it is reached now is news, too.
        link.mark_changed();
        Self { link, is_lost: false }
    }

    /// The next sentence. Nothing is lost where it is not waited for to the end.
    pub(super) async fn news(&mut self) -> &'static str {
        loop {
            if self.link.changed().await.is_err() {
                // The engine was in this process and has ended, which is told by its pictures.
                return std::future::pending().await;
            }
            let link = *self.link.borrow_and_update();
            match (link, self.is_lost) {
                (Link::Retrying { .. }, false) => {
                    self.is_lost = true;
                    return "cas: the engine does not answer; trying again until it does (Ctrl-C ends)";
                }
                (Link::Connected | Link::Local, true) => {
                    self.is_lost = false;
                    return "cas: the engine answers again";
                }
                (Link::Retrying { .. }, true) | (Link::Connected | Link::Local, false) => {}
            }
        }
    }
}
