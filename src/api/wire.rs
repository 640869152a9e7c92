//! The forms that travel. Plain JSON; a stream is one JSON document per line (NDJSON).

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{
    command::Command,
    ids::{RunId, ServiceId},
    log::{LogBatch, LogLine, Source, Stream},
    metric::{HostUsage, RunUsage},
    policy::{Consent, Origin, Reply},
    secret::SecretValues,
    snapshot::Snapshot,
    time::Timestamp,
    timeline::Entry,
};

/// Version of these forms; both sides name theirs. Raised when a form changes so that an older reader cannot read it.
///
/// 2 has more kinds of entries (`adopted`, `released`, …) and of ends (`out-of-memory`, `rebooted`) than 1.
pub const VERSION: u32 = 2;

/// The oldest version that is still understood: the one before.
pub const OLDEST: u32 = 1;

/// The HTTP header that carries [`VERSION`].
pub const VERSION_HEADER: &str = "x-cas-api";

/// Who answers: `GET /v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hello {
    /// Version of the forms.
    pub api: u32,
    /// The oldest version that it understands, too; 0 where it understands no other.
    #[serde(default)]
    pub oldest: u32,
    /// Version of cas.
    pub version: String,
    /// Process of the engine.
    pub pid: u32,
}

/// A wish: `POST /v1/requests`, answered by a [`crate::model::policy::Reply`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// Only where nothing that it names has changed since this revision: that of the service in the picture on which it is based, or the greatest of several. Where
    /// something has, it is refused with what changed; with consent given, it is asked again. Left out: whatever has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_rev: Option<u64>,
}

const fn api() -> Origin {
    Origin::Api
}

/// One line of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WireBatch {
    /// Whose.
    pub service: ServiceId,
    /// The file that the service writes itself, where they come from one; left out of output. Numbers count each file by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Arc<str>>,
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
            file: match &batch.source {
                Source::Output => None,
                Source::File(name) => Some(Arc::clone(name)),
            },
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
            source: wire.file.map_or(Source::Output, Source::File),
            run: wire.run,
            wall_us: wire.wall_us,
            first_seq: wire.first_seq,
            text: text.into_boxed_str(),
            lines: lines.into_boxed_slice(),
        })
    }
}

/// A refusal: the body of every answer with a status from 400 on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusalBody {
    /// A sentence: what, why, and what to do.
    pub error: String,
}

/// Something did not get here because the reader was too slow, or came too late: it is still on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// Batches of output, or entries, that were left out here.
    pub missed: u64,
}

/// One line of `GET /v1/logs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum LogNewsLine {
    /// Output.
    Batch(WireBatch),
    /// Output is missing here.
    Gap(Gap),
}

/// One line of `GET /v1/entries?follow=true`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum EntryLine {
    /// What happened.
    Entry(Arc<Entry>),
    /// Entries are missing here.
    Gap(Gap),
}

/// Where a shell beside a service begins: `GET /v1/services/{project}/{service}/shell`. Holds values, perhaps secrets: only for the
/// same user, never on the read-only socket.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShellView {
    /// The service's directory.
    pub working_dir: PathBuf,
    /// What its file sets: name and value.
    pub environment: Vec<(String, String)>,
    /// What it was given as secrets since the engine began: to find them in its output. Not for the shell.
    #[serde(default)]
    pub secrets: SecretValues,
}

impl std::fmt::Debug for ShellView {
    /// The directory; the rest may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShellView").field("working_dir", &self.working_dir).finish_non_exhaustive()
    }
}

/// What is used now: `GET /v1/metrics`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Metrics {
    /// When it was seen.
    pub at: Timestamp,
    /// The machine; none before the first sample.
    pub host: Option<HostUsage>,
    /// Every service of the open projects.
    pub services: Vec<ServiceMetrics>,
}

/// What one service uses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceMetrics {
    /// Whose.
    pub id: ServiceId,
    /// The phase in a word: `running`, `backing-off`, …
    pub phase: String,
    /// The health in a word: `healthy`, `unknown`, …
    pub health: String,
    /// Restarts by the healer since it was last started on purpose.
    pub restarts: u32,
    /// Seconds since its run began; none where none runs.
    pub uptime_s: Option<f64>,
    /// What its processes use; none while nothing runs or before the first sample.
    pub usage: Option<RunUsage>,
}

/// How the engine's own process is: `GET /v1/daemon`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SelfView {
    /// Its process.
    pub pid: u32,
    /// Version of cas.
    pub version: String,
    /// Version of the forms.
    pub api: u32,
    /// It runs in the background; else in a console or a command.
    pub daemon: bool,
    /// Seconds since the engine began.
    pub uptime_s: f64,
    /// Percent of one core since this was last asked; at the first time since the process began.
    pub cpu_percent: f64,
    /// Resident bytes.
    pub memory_bytes: u64,
    /// Open descriptors.
    pub open_files: u64,
    /// So many may be open; none: without limit.
    pub open_files_limit: Option<u64>,
    /// Threads.
    pub threads: u64,
    /// Connections to this socket.
    pub clients: u64,
    /// Slots and their shims.
    pub slots: SlotsView,
    /// Queues by name.
    pub queues: BTreeMap<String, QueueView>,
    /// What was dropped since the start, by what it was.
    pub dropped: BTreeMap<String, u64>,
    /// The last thing that went wrong with cas itself.
    pub last_error: Option<String>,
    /// What was looked at just now.
    pub checks: Vec<CheckView>,
}

/// Slots of services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct SlotsView {
    /// Open slots.
    pub slots: u64,
    /// Shims that live.
    pub shims: u64,
    /// Runs that were taken over from an earlier engine.
    pub adopted: u64,
}

/// A queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct QueueView {
    /// What waits in it.
    pub len: u64,
    /// What it holds at most.
    pub capacity: u64,
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckView {
    /// What: `engine`, `store`, …
    pub name: String,
    /// It is well.
    pub ok: bool,
    /// In words.
    pub detail: String,
}

/// Whether all is well: `GET /v1/health`, with the status 200 or 503.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HealthView {
    /// Every check passed.
    pub ok: bool,
    /// Those that did not.
    pub failed: Vec<CheckView>,
}

/// What the engine says on `GET /v1/live`: one JSON document in each text message.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum LiveNews {
    /// The picture, at first and whenever it has changed, at most ten a second.
    Snapshot {
        /// The picture.
        snapshot: Box<Snapshot>,
    },
    /// What happened since the first picture, oldest first, each entry once.
    Entries {
        /// The entries.
        entries: Vec<Arc<Entry>>,
    },
    /// Output of what `logs=` names.
    Logs {
        /// Lines.
        batch: WireBatch,
    },
    /// The reader was too slow: something is missing here.
    Gap {
        /// `logs` or `entries`.
        of: String,
        /// Batches of output, or entries.
        missed: u64,
    },
    /// Answer to a request.
    Reply {
        /// That of the request.
        id: u64,
        /// What the door says.
        reply: Reply,
    },
    /// A request could not be put.
    Refused {
        /// That of the request, where it could be read.
        id: Option<u64>,
        /// A sentence.
        error: String,
    },
}

/// What a client may say on `GET /v1/live`: a request with a number of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LiveAsk {
    /// Comes back with the reply.
    pub id: u64,
    /// The request.
    #[serde(flatten)]
    pub ask: Ask,
}

/// What a client may say on a terminal's WebSocket in a text message; what is typed goes in binary ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Columns.
    pub cols: u16,
}
