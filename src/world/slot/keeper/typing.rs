//! What is typed into the service's terminal goes to the shim one packet after the other: the next when the last is typed. So nothing is
//! lost where a service reads slowly, and who types waits. Never more than one packet on its way.

use std::collections::VecDeque;

use rustix::io::Errno;
use tokio::sync::oneshot;

use super::Keeper;
use crate::world::slot::wire;

/// Input that waits. Where it is dropped, who typed hears that.
#[derive(Debug, Default)]
pub(super) struct Typing {
    /// Oldest first, each with who waits for it.
    waiting: VecDeque<(Vec<u8>, oneshot::Sender<()>)>,
    /// Where the first of them is.
    first: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// Here.
    #[default]
    Here,
    /// The shim has it.
    Sent,
    /// The shim has something older, and says when that is typed.
    Refused,
}

impl Typing {
    /// The shim or the run is gone, and what was typed with it.
    pub(super) fn give_up(&mut self) {
        *self = Self::default();
    }

    /// The shim has refused something: true where it was this, because of what an engine before us typed.
    pub(super) fn is_refused(&mut self, errno: i32) -> bool {
        if self.first != Place::Sent {
            return false;
        }
        if errno == Errno::AGAIN.raw_os_error() {
            self.first = Place::Refused;
            return true;
        }
        // It has no terminal: nobody waits for nothing.
        self.give_up();
        false
    }
}

impl Keeper {
    /// Types, after what was typed before.
    pub(super) fn type_in(&mut self, bytes: Vec<u8>, typed: oneshot::Sender<()>) {
        self.typing.waiting.push_back((bytes, typed));
        self.type_next();
    }

    /// The shim has typed what it had.
    pub(super) fn has_typed(&mut self) {
        if self.typing.first == Place::Sent
            && let Some((_, typed)) = self.typing.waiting.pop_front()
        {
            // An error means that nobody waits.
            let _nobody = typed.send(());
        }
        self.typing.first = Place::Here;
        self.type_next();
    }

    /// Sends what is next, where nothing is on its way.
    pub(super) fn type_next(&mut self) {
        if self.typing.first != Place::Here {
            return;
        }
        // Who typed it may have given up waiting.
        while self.typing.waiting.pop_front_if(|(_, typed)| typed.is_closed()).is_some() {}
        let Some((bytes, _)) = self.typing.waiting.front() else { return };
        let packet = wire::input(bytes);
        if self.is_sent(&packet) {
            self.typing.first = Place::Sent;
        } else if !self.link.is_up() {
            self.typing.give_up();
        }
    }
}
