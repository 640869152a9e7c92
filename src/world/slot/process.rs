//! A process that is held, so that its number cannot come to mean another. Never signals by number.

use std::os::fd::OwnedFd;

use rustix::process::{self, Pid, PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus};
use tokio::io::{Interest, unix::AsyncFd};

use super::wire::Identity;
use crate::{
    model::{phase::Exit, signal::Signal},
    world::tree::stat::Stat,
};

/// A process by its pidfd, as `pidfd_open(2)` gives it.
#[derive(Debug)]
pub(super) struct Held {
    pidfd: AsyncFd<OwnedFd>,
    /// Its number and start time; the start time is 0 where it was not known when it was held.
    pub(super) identity: Identity,
}

impl Held {
    /// Holds a process; none where it is gone, or where another has its number. A start time of 0 is not compared.
    pub(super) fn hold((pid, start): Identity) -> Option<Self> {
        let pidfd = process::pidfd_open(Pid::from_raw(pid.cast_signed())?, PidfdFlags::NONBLOCK).ok()?;
        let now = Stat::read(pid).filter(|stat| start == 0 || stat.start == start)?;
        Some(Self { pidfd: register(pidfd)?, identity: (pid, now.start) })
    }

    /// Returns when it is gone, or a zombie.
    pub(super) async fn ended(&self) {
        // An error means that the runtime ends: then nobody waits.
        let _ready = self.pidfd.readable().await;
    }

    /// Delivers a signal; nothing where it is gone.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(signal) = process::Signal::from_named_raw(signal.number()) {
            let _gone = process::pidfd_send_signal(&self.pidfd, signal);
        }
    }

    /// Waits for it where it is a zombie and our child; how it ended. Does not block.
    pub(super) fn reap(&self) -> Option<Exit> {
        use std::os::fd::AsFd;
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let status = process::waitid(WaitId::PidFd(self.pidfd.get_ref().as_fd()), options).ok()??;
        exit_of(&status)
    }
}

#[expect(unsafe_code, reason = "tokio's one door for descriptors that it does not know")]
fn register(pidfd: OwnedFd) -> Option<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` stays open and the same until it is dropped, and the `AsyncFd` owns it.
    unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) }.ok()
}

fn exit_of(status: &WaitIdStatus) -> Option<Exit> {
    if let Some(code) = status.exit_status() {
        return Some(Exit::Code(code));
    }
    status.terminating_signal().map(Exit::Signal)
}
