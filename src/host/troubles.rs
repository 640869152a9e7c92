//! Reports of trouble on their way to the engine. The newest of each kind arrives, in the order in which it was made, however far behind
//! the engine is: one that is over does not stay on the screen.
//!
//! Never waits.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::mpsc::{self, error::TrySendError};

use crate::model::event::{Event, TroubleSlot};

/// A way to the engine for whoever may not wait.
#[derive(Debug, Clone)]
pub(super) struct Troubles {
    events: mpsc::Sender<Event>,
    /// The newest of each kind for which there was no room.
    unsaid: Arc<Mutex<BTreeMap<TroubleSlot, Option<String>>>>,
}

impl Troubles {
    pub(super) fn new(events: mpsc::Sender<Event>) -> Self {
        Self { events, unsaid: Arc::default() }
    }

    /// Something is wrong, or, without a text, all is well again.
    pub(super) fn tell(&self, slot: TroubleSlot, text: Option<String>) {
        // Held over the sending, so that of two reports at once the later is the last.
        let mut unsaid = self.unsaid.lock().unwrap_or_else(PoisonError::into_inner);
        unsaid.insert(slot, text);
        self.say(&mut unsaid);
    }

    /// Says what there was no room for. To be called now and then.
    pub(super) fn say_again(&self) {
        self.say(&mut self.unsaid.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn say(&self, unsaid: &mut BTreeMap<TroubleSlot, Option<String>>) {
        while let Some((slot, text)) = unsaid.pop_first() {
            match self.events.try_send(Event::Trouble { slot, text: text.clone() }) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => {
                    unsaid.insert(slot, text);
                    return;
                }
                // The engine has ended: nobody is left to be told.
                Err(TrySendError::Closed(_)) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::Troubles;
    use crate::model::event::{Event, TroubleSlot};

    #[test]
    fn that_a_trouble_is_over_arrives_although_the_engine_was_behind() {
        let (events, mut inbox) = mpsc::channel(1);
        let troubles = Troubles::new(events);
        troubles.tell(TroubleSlot::Store, Some("no space".to_owned()));
        troubles.tell(TroubleSlot::Store, Some("locked".to_owned()));
        troubles.tell(TroubleSlot::Store, None);
        troubles.say_again();
        let mut said = Vec::new();
        while let Ok(Event::Trouble { slot: TroubleSlot::Store, text }) = inbox.try_recv() {
            said.push(text);
            troubles.say_again();
        }
        assert_eq!(said, [Some("no space".to_owned()), None]);
    }
}
