//! Where the messages of a service begin: learnt from its first lines, and anew when its lines have another form. Never: more than one sample in memory.

use serde::{Deserialize, Serialize};

use crate::{
    insight::header::Header,
    model::{ids::RunId, level::Level},
};

/// Lines from which a form is learnt, and of which it is looked whether they have it.
pub(super) const SAMPLE: usize = 200;
/// So many of them without it mean that it changed.
const MISFITS: u32 = 160;
/// Lines after which a form is looked for once more where none was found: what a service writes at its start is often of no form.
const ONCE_MORE: [u64; 2] = [1_000, 10_000];

/// A line of a sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sampled {
    pub(super) text: String,
    pub(super) level: Option<Level>,
    pub(super) us: i64,
    pub(super) run: RunId,
}

/// What became of the form with a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// It is known now, from these lines: whatever was learnt from them was learnt from whole lines.
    First(Vec<Sampled>),
    /// It is another one.
    Another,
}

/// Where a service is with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stage {
    /// The first sample is being taken.
    First(Vec<Sampled>),
    /// It is known; of the lines since the last look so many do not have it.
    Known { seen: u32, misfits: u32 },
    /// It is known, and a sample is being taken to see whether it still is that.
    Again(Vec<String>),
}

/// The form of a service's lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Form {
    header: Header,
    stage: Stage,
    /// Lines since it was learnt.
    lines: u64,
}

impl Default for Form {
    fn default() -> Self {
        Self { header: Header::default(), stage: Stage::First(Vec::new()), lines: 0 }
    }
}

impl Form {
    /// What a line says.
    pub(super) fn message<'a>(&self, line: &'a str) -> &'a [u8] {
        self.header.message(line.as_bytes())
    }

    /// Looks at a line before it is learnt from.
    pub(super) fn see(&mut self, line: &str, sampled: impl FnOnce() -> Sampled) -> Change {
        self.lines += 1;
        match &mut self.stage {
            Stage::First(sample) => {
                sample.push(sampled());
                if sample.len() < SAMPLE {
                    return Change::None;
                }
                let sample = std::mem::take(sample);
                self.header = Header::learn(sample.iter().map(|line| line.text.as_bytes()));
                self.settle_on();
                Change::First(sample)
            }
            Stage::Known { seen, misfits } => {
                *seen += 1;
                *misfits += u32::from(self.header.fit(line.as_bytes()).is_none());
                if *seen as usize >= SAMPLE {
                    let is_another = *misfits >= MISFITS;
                    (*seen, *misfits) = (0, 0);
                    if is_another {
                        self.again();
                    }
                }
                if self.header.is_empty() && ONCE_MORE.contains(&self.lines) {
                    self.again();
                }
                Change::None
            }
            Stage::Again(sample) => {
                sample.push(line.to_owned());
                if sample.len() < SAMPLE {
                    return Change::None;
                }
                let header = Header::learn(sample.iter().map(String::as_bytes));
                let is_another = header != self.header;
                self.header = header;
                let lines = self.lines;
                self.settle_on();
                if is_another {
                    return Change::Another;
                }
                self.lines = lines;
                Change::None
            }
        }
    }

    fn settle_on(&mut self) {
        self.stage = Stage::Known { seen: 0, misfits: 0 };
        self.lines = 0;
    }

    /// Learns it anew from what comes, and goes by the present one meanwhile.
    pub(super) fn again(&mut self) {
        if let Stage::Known { .. } = self.stage {
            self.stage = Stage::Again(Vec::new());
        }
    }

    /// To be kept. A sample that is taken anew begins anew.
    pub(super) fn kept(&self) -> Self {
        let stage = match &self.stage {
            Stage::Again(_) => Stage::Again(Vec::new()),
            Stage::First(_) | Stage::Known { .. } => self.stage.clone(),
        };
        Self { stage, ..self.clone_head() }
    }

    fn clone_head(&self) -> Self {
        Self { header: self.header.clone(), stage: Stage::Known { seen: 0, misfits: 0 }, lines: self.lines }
    }
}
