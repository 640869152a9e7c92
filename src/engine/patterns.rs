//! News of patterns in the output of services, as they come on the timeline.
//!
//! Never: the same twice within [`AGAIN`]; anything about a service that is not under care. Whether something is news was decided where lines are learnt from.

use std::time::Duration;

use crate::model::{
    ids::ServiceId,
    pattern::PatternNews,
    policy::Origin,
    text::truncate,
    timeline::{Entry, What},
};

use super::{Engine, timeline::About};

/// What was told is not told again before.
const AGAIN: Duration = Duration::from_mins(10);
/// Columns of a pattern and of a line that are told.
const QUOTED: usize = 300;

impl Engine {
    /// A pattern in the output of a service is news.
    pub(super) fn pattern_news(&mut self, id: &ServiceId, news: PatternNews) {
        let Some(service) = self.services.get(id) else { return };
        let run = service.run.as_ref().map(|run| run.id);
        let short = |text: String| truncate(&text, QUOTED).into_owned();
        let (what, why) = match news {
            PatternNews::New { pattern, example, level, count } => {
                let what = What::NewPattern { level, pattern: short(pattern), example: short(example), count };
                (what, "no line like it was there before")
            }
            PatternNews::Rate { pattern, example, level, per_minute, usual_per_hour } => {
                let (pattern, example) = (short(pattern), short(example));
                (What::RateChanged { level, pattern, example, per_minute, usual_per_hour }, "by the hour before")
            }
            PatternNews::More { count } => {
                (What::MorePatterns { count }, "cas insight patterns shows what is known of them")
            }
        };
        if self.was_told(id, &what) {
            return;
        }
        let about = run.map_or(About::Service(id), |run| About::Run(id, run));
        self.record(about, Origin::System, what, why);
    }

    /// Whether the same is on the timeline already: what an engine had told and not kept when it ended is news to the next one's eyes.
    fn was_told(&self, id: &ServiceId, what: &What) -> bool {
        let is_of =
            |entry: &Entry| entry.service.as_ref() == Some(&id.service) && entry.project.as_ref() == Some(&id.project);
        let recent = self.journal.entries.iter().rev().take_while(|entry| self.now.since(entry.at) < AGAIN);
        recent.filter(|entry| is_of(entry)).any(|entry| match (&entry.what, what) {
            (What::NewPattern { pattern: told, .. }, What::NewPattern { pattern, .. })
            | (What::RateChanged { pattern: told, .. }, What::RateChanged { pattern, .. }) => told == pattern,
            _ => false,
        })
    }
}
