//! The end of the machine, or of its user's session: everything is ended in order, and what was wanted stays on record, so that the
//! next engine starts it again as after a restart of the machine.
//!
//! Never: a record that says that somebody wanted a service to end because the machine did.

use super::{
    Engine, Life,
    ending::Order,
    state::{Manner, Service},
};
use crate::model::{ids::ServiceId, phase::AfterStop, policy::Origin, record::HALTED};

impl Engine {
    /// Ends everything, and lets the next engine start it again.
    pub(super) fn halt(&mut self) {
        if self.life != Life::Working {
            return;
        }
        self.refuse_openings();
        self.settle();
        self.boot = HALTED.into();
        self.services.values_mut().for_each(|service| service.remembered = None);
        self.mark_all();
        self.write_marked();
        self.life = Life::Leaving;
        self.changed = true;
        let order = Order {
            then: AfterStop::StayStopped,
            manner: Manner::Ask { grace: None },
            by: Origin::System,
            because: "stopped because the machine or the session of its user goes down".to_owned(),
        };
        let up: Vec<ServiceId> =
            self.order.iter().filter(|id| !self.service(id).is_none_or(Service::is_at_rest)).cloned().collect();
        self.order_endings(&up, &order);
    }

    /// Whether what is on record is to stay as it is.
    pub(super) fn is_halting(&self) -> bool {
        self.life != Life::Working && *self.boot == *HALTED
    }
}
