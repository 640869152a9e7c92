//! What is known of a service's patterns, in a form that can be kept. Whatever reads it back need not trust it.

use serde::{Deserialize, Serialize};

use super::{
    Begun, Patterns, Settings,
    counts::{Counts, KeptCounts},
    form::Form,
    ring::{KeptRing, Ring},
};
use crate::{
    insight::templates::{self, Miner, TemplateId},
    model::{ids::RunId, mark::SpecMark},
};

/// Version of the form. Another one is not read: what was known is then learnt anew.
const VERSION: u32 = 1;

/// What is known of a service's patterns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    v: u32,
    miner: templates::State,
    form: Form,
    counts: Vec<KeptCounts>,
    since_us: i64,
    last_us: i64,
    lines: u64,
    dropped: u64,
    begun: Begun,
    run: RunId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<SpecMark>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restart_us: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deployment_us: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    healthy_hour: Option<i64>,
    observed: KeptRing,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crowded_us: Option<i64>,
}

impl Patterns {
    /// What is known, to be kept. What is not in it: what was told in the last ten minutes of the whole service, and what is to be told just now.
    #[must_use]
    pub fn state(&mut self) -> State {
        self.settle();
        let mut counts: Vec<KeptCounts> = self.counts.iter().map(|(id, counts)| counts.kept(id.number())).collect();
        counts.sort_unstable_by_key(|kept| kept.id);
        State {
            v: VERSION,
            miner: self.miner.state(),
            form: self.form.kept(),
            counts,
            since_us: self.since_us,
            last_us: self.last_us,
            lines: self.lines,
            dropped: self.dropped,
            begun: self.begun,
            run: self.run,
            mark: self.mark,
            restart_us: self.restart_us,
            deployment_us: self.deployment_us,
            healthy_hour: self.healthy_hour,
            observed: self.observed.kept(),
            crowded_us: self.desk.crowded_us,
        }
    }

    /// One that knows what another one knew; none where that is of a form that is not known here.
    #[must_use]
    pub fn restore(settings: Settings, state: &State) -> Option<Self> {
        if state.v != VERSION {
            return None;
        }
        let miner = Miner::restore(settings.miner, &state.miner);
        let mut patterns = Self::new(settings);
        patterns.merges = miner.merges();
        for kept in &state.counts {
            // Of what did not fit it is known only with the rest.
            let id = miner.resolve(TemplateId::from_number(kept.id));
            patterns.counts.entry(id).or_default().fold(&Counts::recall(kept));
        }
        patterns.miner = miner;
        patterns.form = state.form.clone();
        patterns.since_us = state.since_us;
        patterns.last_us = state.last_us;
        patterns.lines = state.lines;
        patterns.dropped = state.dropped;
        patterns.begun = Begun { lines: state.begun.lines.min(state.lines), ..state.begun };
        patterns.run = state.run;
        patterns.mark = state.mark;
        patterns.restart_us = state.restart_us;
        patterns.deployment_us = state.deployment_us;
        patterns.healthy_hour = state.healthy_hour;
        patterns.observed = Ring::recall(&state.observed);
        patterns.desk.crowded_us = state.crowded_us;
        Some(patterns)
    }
}
