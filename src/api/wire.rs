//! The forms that travel. Plain JSON; a stream is one JSON document per line (NDJSON).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{
    command::Command,
    ids::{RunId, ServiceId},
    log::{LogBatch, LogLine, Stream},
    policy::{Consent, Origin},
};

/// Version of these forms; both sides name theirs and refuse another with a sentence.
pub const VERSION: u32 = 1;

/// The HTTP header that carries [`VERSION`].
pub const VERSION_HEADER: &str = "x-cas-api";

/// Who answers: `GET /v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Version of the forms.
    pub api: u32,
    /// Version of cas.
    pub version: String,
    /// Process of the engine.
    pub pid: u32,
}

/// A wish: `POST /v1/requests`, answered by a [`crate::model::policy::Reply`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// The command.
    #[serde(flatten)]
    pub command: Command,
    /// Who asks; `api` where it is not said. The healer and cas itself cannot be impersonated.
    #[serde(default = "api")]
    pub origin: Origin,
    /// How far it is agreed.
    #[serde(default)]
    pub consent: Consent,
}

const fn api() -> Origin {
    Origin::Api
}

/// One line of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireLine {
    /// Where it came from.
    pub stream: Stream,
    /// The next line goes on with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continued: bool,
    /// As the service wrote it: escape sequences included.
    pub text: String,
}

/// Lines that were read together: one line of `GET /v1/logs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireBatch {
    /// Whose.
    pub service: ServiceId,
    /// Which run.
    pub run: RunId,
    /// Microseconds since the Unix epoch.
    pub wall_us: i64,
    /// Number of the first line.
    pub first_seq: u64,
    /// The lines.
    pub lines: Vec<WireLine>,
}

impl From<&LogBatch> for WireBatch {
    fn from(batch: &LogBatch) -> Self {
        Self {
            service: batch.service.clone(),
            run: batch.run,
            wall_us: batch.wall_us,
            first_seq: batch.first_seq,
            lines: batch
                .lines
                .iter()
                .map(|line| WireLine {
                    stream: line.stream,
                    continued: line.continued,
                    text: batch.text_of(*line).to_owned(),
                })
                .collect(),
        }
    }
}

impl From<WireBatch> for Arc<LogBatch> {
    fn from(wire: WireBatch) -> Self {
        let mut text = String::with_capacity(wire.lines.iter().map(|line| line.text.len()).sum());
        let mut lines = Vec::with_capacity(wire.lines.len());
        for line in wire.lines {
            let (Ok(start), Ok(len)) = (u32::try_from(text.len()), u32::try_from(line.text.len())) else { break };
            text.push_str(&line.text);
            lines.push(LogLine { start, len, stream: line.stream, continued: line.continued });
        }
        Self::new(LogBatch {
            service: wire.service,
            run: wire.run,
            wall_us: wire.wall_us,
            first_seq: wire.first_seq,
            text: text.into_boxed_str(),
            lines: lines.into_boxed_slice(),
        })
    }
}
