//! What of all that is known of patterns is told: new errors, and patterns that come much more often than usual or not at all any more.
//!
//! Promise: of one pattern nothing twice in ten minutes; of one service at most [`MOST`] news in that time, and how many more there were.

use std::collections::VecDeque;

use super::{
    Patterns,
    counts::{MINUTE_US, When},
    rate::{self, Usual, Verdict},
};
use crate::{
    insight::templates::TemplateId,
    model::{level::Level, pattern::PatternNews},
};

/// Between two news of one pattern, and the time in which there are at most [`MOST`].
const AGAIN_US: i64 = 10 * MINUTE_US;
/// News of one service in that time.
pub(super) const MOST: usize = 5;
/// From the first line of a new pattern to its news: what comes with it tells how often it comes, and may show that it is one that is known.
const SETTLE_US: i64 = 2_000_000;
/// Between two looks at rates.
const LOOK_US: i64 = 5_000_000;
/// New patterns that may wait to be told.
const WAITING: usize = 64;
/// Where patterns had to be given up for want of room, nothing can be said to be new for so long.
const CROWDED_US: i64 = 60 * MINUTE_US;
/// Words from which on two patterns that differ in one of them are taken for the same news.
const ALIKE_WORDS: usize = 4;

/// What was told lately, and what is to be.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// New patterns of errors, with their first line's time.
    waiting: Vec<(TemplateId, i64)>,
    /// When news were told.
    told_us: VecDeque<i64>,
    /// Texts of new patterns that were told.
    texts: VecDeque<(i64, String)>,
    /// News that were not told, and since when.
    more: Option<(i64, u32)>,
    looked_us: i64,
    /// When silence was last told.
    silence_us: Option<i64>,
    /// When patterns were last given up.
    pub(super) crowded_us: Option<i64>,
}

/// Whether something at `then` is over by now. A clock that was set back makes everything over.
const fn is_over(then: i64, now: i64, after: i64) -> bool {
    now < then || now.saturating_sub(then) >= after
}

impl Desk {
    /// A pattern was never seen before.
    pub(super) fn is_new(&mut self, id: TemplateId, when: When) {
        if self.waiting.len() < WAITING {
            self.waiting.push((id, when.us));
        } else {
            self.hold(when.us);
        }
    }

    /// One more that is not told.
    fn hold(&mut self, now: i64) {
        let (_, count) = self.more.get_or_insert((now, 0));
        *count += 1;
    }

    /// Whether there is room for one more; where there is not, it is counted.
    fn may_tell(&mut self, now: i64) -> bool {
        while self.told_us.front().is_some_and(|told| is_over(*told, now, AGAIN_US)) {
            self.told_us.pop_front();
        }
        if self.told_us.len() >= MOST {
            self.hold(now);
            return false;
        }
        self.told_us.push_back(now);
        true
    }

    /// Whether much the same was told as new a moment ago.
    fn is_like_another(&mut self, text: &str, now: i64) -> bool {
        while self.texts.front().is_some_and(|(told, _)| is_over(*told, now, AGAIN_US)) {
            self.texts.pop_front();
        }
        self.texts.iter().any(|(_, other)| are_alike(text, other))
    }

    /// How many more there were, once that time is over.
    fn tell_more(&mut self, now: i64) -> Option<PatternNews> {
        let (_, count) = self.more.take_if(|(since, _)| is_over(*since, now, AGAIN_US))?;
        Some(PatternNews::More { count })
    }
}

fn are_alike(one: &str, other: &str) -> bool {
    let (one, other): (Vec<&str>, Vec<&str>) = (one.split_whitespace().collect(), other.split_whitespace().collect());
    one.len() == other.len()
        && one.len() >= ALIKE_WORDS
        && one.iter().zip(&other).filter(|(mine, theirs)| mine != theirs).count() <= 1
}

impl Patterns {
    /// What is to be told now.
    pub(super) fn news(&mut self, now: When) -> Vec<PatternNews> {
        let mut news = Vec::new();
        self.tell_new(now, &mut news);
        if is_over(self.desk.looked_us, now.us, LOOK_US) {
            self.desk.looked_us = now.us;
            self.tell_rates(now, &mut news);
        }
        news.extend(self.desk.tell_more(now.us));
        news
    }

    fn tell_new(&mut self, now: When, news: &mut Vec<PatternNews>) {
        let due = |waiting: &(TemplateId, i64)| is_over(waiting.1, now.us, SETTLE_US);
        if !self.desk.waiting.iter().any(due) {
            return;
        }
        self.settle();
        let due: Vec<(TemplateId, i64)> = self.desk.waiting.extract_if(.., |waiting| due(waiting)).collect();
        let is_crowded = self.desk.crowded_us.is_some_and(|then| !is_over(then, now.us, CROWDED_US));
        for (id, _) in due {
            let text = self.miner.template(id).text();
            // What has become part of a known one is none; nor is one that was told in its name already.
            if is_crowded || self.miner.resolve(id) != id || self.was_told_lately(id, now) {
                continue;
            }
            if self.desk.is_like_another(&text, now.us) {
                self.desk.hold(now.us);
                continue;
            }
            if !self.desk.may_tell(now.us) {
                continue;
            }
            let Some(counts) = self.counts.get_mut(&id) else { continue };
            counts.told.at_us = Some(now.us);
            let (level, count) = (counts.level().unwrap_or(Level::Error), counts.count);
            let example = self.miner.template(id).example().to_owned();
            self.desk.texts.push_back((now.us, text.clone()));
            news.push(PatternNews::New { pattern: text, example, level, count });
        }
    }

    fn was_told_lately(&self, id: TemplateId, now: When) -> bool {
        let told = self.counts.get(&id).and_then(|counts| counts.told.at_us);
        told.is_some_and(|told| !is_over(told, now.us, AGAIN_US))
    }

    fn tell_rates(&mut self, now: When, news: &mut Vec<PatternNews>) {
        if self.is_learning() {
            return;
        }
        let alive_since = self.alive_since;
        let mut surges: Vec<(u64, TemplateId)> = Vec::new();
        let mut silences: Vec<(u64, TemplateId)> = Vec::new();
        for (id, counts) in &mut self.counts {
            let grave = counts.level() >= Some(Level::Warn);
            let verdict = rate::judge(counts, &self.observed, now, alive_since, grave);
            match verdict {
                Verdict::Surge if !counts.told.surging => {
                    (counts.told.surging, counts.told.silent) = (true, false);
                    surges.push((rate::last_minute(counts, now), *id));
                }
                Verdict::Silence if !counts.told.silent => {
                    (counts.told.surging, counts.told.silent) = (false, true);
                    silences.push((Usual::of(counts, &self.observed, now).mean as u64, *id));
                }
                Verdict::Usual => (counts.told.surging, counts.told.silent) = (false, false),
                Verdict::Quiet => counts.told.surging = false,
                Verdict::Surge | Verdict::Silence | Verdict::Open => {}
            }
        }
        // The same lines give the same news: not in the order of a hash table.
        surges.sort_unstable_by_key(|(lines, id)| (std::cmp::Reverse(*lines), *id));
        silences.sort_unstable_by_key(|(lines, id)| (std::cmp::Reverse(*lines), *id));
        for (_, id) in surges {
            news.extend(self.tell_rate(id, now));
        }
        // A service that says nothing more is one piece of news, not one for each of its patterns.
        let told_lately = self.desk.silence_us.is_some_and(|told| !is_over(told, now.us, AGAIN_US));
        if let Some((_, id)) = silences.first().filter(|_| !told_lately) {
            self.desk.silence_us = Some(now.us);
            news.extend(self.tell_rate(*id, now));
        }
    }

    fn tell_rate(&mut self, id: TemplateId, now: When) -> Option<PatternNews> {
        if id == TemplateId::REST || self.was_told_lately(id, now) || !self.desk.may_tell(now.us) {
            return None;
        }
        let counts = self.counts.get_mut(&id)?;
        counts.told.at_us = Some(now.us);
        let usual = Usual::of(counts, &self.observed, now);
        // A slow surge shows over five minutes only.
        let lately =
            counts.minutes.sum(now.minute - (rate::RECENT - 1), now.minute).div_ceil(rate::RECENT.unsigned_abs());
        let per_minute = if counts.told.silent { 0 } else { rate::last_minute(counts, now).max(lately) };
        let (level, template) = (counts.level(), self.miner.template(id));
        Some(PatternNews::Rate {
            pattern: template.text(),
            example: template.example().to_owned(),
            level,
            per_minute,
            usual_per_hour: (usual.mean * 60.0).round() as u64,
        })
    }
}

/// To a hundredth.
pub(super) fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::are_alike;

    #[test]
    fn patterns_that_differ_in_one_word_of_several_are_the_same_news() {
        assert!(are_alike("user alice was not found", "user bob was not found"));
        assert!(!are_alike("user alice was not found", "user bob was found not"));
        assert!(!are_alike("disk full", "disk failed"), "too few words to say so");
        assert!(!are_alike("user alice was not found", "user alice was not found here"));
    }
}
