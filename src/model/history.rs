//! A bounded series of samples that is cheap to share: full blocks are behind an `Arc`, so a clone copies a few pointers.

use std::{collections::VecDeque, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Samples in one shared block.
const BLOCK: usize = 60;

/// The newest samples of one quantity, one a second, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    full: VecDeque<Arc<[f32]>>,
    tail: Vec<f32>,
    capacity: usize,
}

impl Default for History {
    fn default() -> Self {
        Self::new(600)
    }
}

impl History {
    /// An empty series that keeps at least the newest `capacity` samples (and at most one block of 60 more).
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self { full: VecDeque::new(), tail: Vec::new(), capacity }
    }

    /// Adds the newest sample.
    pub fn push(&mut self, value: f32) {
        self.tail.push(value);
        if self.tail.len() == BLOCK {
            self.full.push_back(Arc::from(std::mem::take(&mut self.tail)));
            while (self.full.len() - 1) * BLOCK >= self.capacity {
                self.full.pop_front();
            }
        }
    }

    /// How many samples there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.full.len() * BLOCK + self.tail.len()
    }

    /// True before the first sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The newest sample.
    #[must_use]
    pub fn last(&self) -> Option<f32> {
        self.tail.last().or_else(|| self.full.back().and_then(|block| block.last())).copied()
    }

    /// The newest `count` samples, oldest first; fewer where there are fewer.
    pub fn newest(&self, count: usize) -> impl Iterator<Item = f32> + '_ {
        let skip = self.len().saturating_sub(count);
        let blocks = skip / BLOCK;
        self.full
            .iter()
            .skip(blocks)
            .flat_map(|block| block.iter())
            .chain(self.tail.iter())
            .copied()
            .skip(if blocks >= self.full.len() { skip - self.full.len() * BLOCK } else { skip - blocks * BLOCK })
    }
}

/// Samples that travel with a serialized series: one minute. Longer ones are asked for.
const ON_THE_WIRE: usize = 60;

impl Serialize for History {
    /// The newest minute, as a list.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.newest(ON_THE_WIRE))
    }
}

impl schemars::JsonSchema for History {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "History".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.subschema_for::<Vec<f32>>()
    }
}

impl<'de> Deserialize<'de> for History {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut history = Self::default();
        for value in Vec::<f32>::deserialize(from)? {
            history.push(value);
        }
        Ok(history)
    }
}

#[cfg(test)]
mod tests {
    use super::History;

    #[test]
    fn the_newest_samples_come_oldest_first_across_blocks() {
        let mut history = History::new(120);
        for n in 0..500_u16 {
            history.push(f32::from(n));
        }
        assert!(history.len() >= 120 && history.len() <= 240, "{}", history.len());
        assert_eq!(history.last(), Some(499.0));
        for count in [0, 1, 19, 20, 21, 79, 80, 81, 120] {
            let newest: Vec<f32> = history.newest(count).collect();
            let expected: Vec<f32> = (500 - u16::try_from(count).unwrap()..500).map(f32::from).collect();
            assert_eq!(newest, expected, "{count}");
        }
    }
}
