//! When output is read. Never on a clock: the shim says that there is some, and is not asked again more often than a hundred
//! times a second.

use std::time::Duration;

use super::{Keeper, Turn};
use crate::{
    model::{event::Event, time::Timestamp},
    world::{clock, slot::wire},
};

/// What comes within this time of the last look is looked at together.
const TOGETHER: Duration = Duration::from_millis(10);

/// How far the reading is.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// The run's patterns are known: lines may be looked at.
    has_begun: bool,
    /// More is in the segments than was read.
    pub(super) has_more: bool,
    /// The shim will say when there is more.
    is_armed: bool,
    armed_at: Timestamp,
    again: Option<Timestamp>,
    /// Bytes that the shim said were lost, and that the index has not shown yet.
    told_as_dropped: u64,
    dropped_by_shim: u64,
}

impl Reading {
    /// When to look without being told.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.again
    }

    /// A new shim knows nothing of what the old one was asked.
    pub(super) fn disarm(&mut self) {
        self.is_armed = false;
        self.dropped_by_shim = 0;
    }
}

impl Keeper {
    /// From now on, what is there is read. Where the shim was asked to say when there is some, it says so.
    pub(super) fn begin_reading(&mut self) {
        self.reading.has_begun = true;
        self.reading.has_more |= !self.reading.is_armed;
    }

    /// The shim says that there is more.
    pub(super) async fn wrote(&mut self) -> Turn {
        self.reading.is_armed = false;
        if self.capture.has_pending() {
            self.reading.has_more = true;
            return Turn::GoOn;
        }
        self.read().await
    }

    /// Reads what is there; asks for more where that was all.
    pub(super) async fn read(&mut self) -> Turn {
        self.reading.again = None;
        if !self.reading.has_begun || self.capture.has_pending() {
            return Turn::GoOn;
        }
        self.reading.has_more = self.capture.read();
        self.after_reading().await;
        if !self.reading.has_more {
            self.arm();
        }
        Turn::GoOn
    }

    /// Asks the shim to say when there is more; a moment later where it was asked only just now.
    pub(super) fn arm(&mut self) {
        if self.reading.is_armed || !self.reading.has_begun || !self.link.is_up() {
            return;
        }
        let now = clock::now();
        let due = self.reading.armed_at.plus(TOGETHER);
        if !now.has_reached(due) && self.reading.armed_at != Timestamp::default() {
            self.reading.again = Some(due);
            self.reading.armed_at = Timestamp::default();
            return;
        }
        self.reading.armed_at = now;
        self.reading.is_armed = true;
        self.send(&wire::arm(self.capture.end()));
    }

    /// Hands on what was read and tells what was seen in it.
    pub(super) async fn after_reading(&mut self) {
        self.capture.hand_on_now(&self.shared.output);
        let answered = self.capture.take_answered();
        if let Some(run) = self.run.as_ref().map(|run| run.id) {
            for question in answered {
                self.tell(Event::LogMatched { run, kind: question }).await;
            }
        }
        let dropped = self.capture.take_dropped();
        let known = dropped.min(self.reading.told_as_dropped);
        self.reading.told_as_dropped -= known;
        self.dropped(dropped - known).await;
    }

    /// The shim says how much it could not keep in all.
    pub(super) async fn heard_dropped(&mut self, in_all: u64) {
        let bytes = in_all.saturating_sub(self.reading.dropped_by_shim);
        self.reading.dropped_by_shim = in_all;
        self.reading.told_as_dropped += bytes;
        self.dropped(bytes).await;
    }

    async fn dropped(&self, bytes: u64) {
        if bytes > 0 {
            self.tell(Event::OutputDropped { service: self.seat.service.clone(), bytes }).await;
        }
    }
}
