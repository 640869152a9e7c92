//! How much an engine holds: what must not grow for as long as its projects stay the same.
//!
//! Never: a decision.

use super::Engine;

/// Lengths of what an engine holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// Open projects.
    pub projects: usize,
    /// Services, those that are on their way out too.
    pub services: usize,
    /// Runs that are not over.
    pub runs: usize,
    /// Runs that nobody wants and that are not over.
    pub strays: usize,
    /// Services that wait for their turn within a step, or to be written down: none between two steps.
    pub waiting: usize,
    /// Directories that are being looked into.
    pub openings: usize,
    /// Projects that are remembered after they were closed.
    pub let_go: usize,
    /// Projects that the registry knows.
    pub registry: usize,
    /// Entries of the timeline in memory.
    pub timeline: usize,
    /// Troubles on the screen.
    pub troubles: usize,
}

impl Engine {
    /// How much it holds now.
    #[must_use]
    pub fn census(&self) -> Census {
        Census {
            projects: self.projects.len(),
            services: self.services.len().max(self.order.len()),
            runs: self.runs.len(),
            strays: self.strays.len(),
            waiting: self.worklist.queue.len() + self.marked.len() + self.records.len() + self.effects.len(),
            openings: self.opening.len(),
            let_go: self.let_go.len(),
            registry: self.registry.len(),
            timeline: self.journal.entries.len(),
            troubles: self.troubles.len(),
        }
    }
}
