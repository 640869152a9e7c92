//! Deep looks at a service in its own protocol: what is measured there, and what the figures mean.
//!
//! Never: asks anything. `world::kinds` asks, the engine judges.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    own::Own,
    signal::Signal,
    time::{human, short_duration},
};

/// A protocol in which a server can be asked how it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// HTTP/1.1 or 2, in the clear or over TLS.
    Http,
    /// WebSocket (RFC 6455).
    Websocket,
    /// gRPC's health checking protocol (`grpc.health.v1`).
    Grpc,
    /// PostgreSQL's frontend/backend protocol 3.0.
    Postgres,
    /// MySQL's client/server protocol, MariaDB's too.
    Mysql,
    /// RESP (Redis, Valkey, KeyDB, Dragonfly).
    Redis,
    /// MongoDB's wire protocol (`OP_MSG`).
    Mongo,
    /// AMQP 0-9-1, with RabbitMQ's management API where it is there.
    Rabbitmq,
    /// NATS's client protocol, with its monitoring port where it is there.
    Nats,
    /// Kafka's protocol (Redpanda too).
    Kafka,
    /// memcached's text protocol.
    Memcached,
    /// Elasticsearch's and OpenSearch's REST API.
    Elasticsearch,
    /// MQTT 3.1.1.
    Mqtt,
    /// SMTP (RFC 5321).
    Smtp,
    /// DNS (RFC 1035).
    Dns,
    /// A store that speaks S3's REST API.
    S3,
    /// etcd's HTTP API.
    Etcd,
    /// Prometheus's exposition format, of any exporter.
    Prometheus,
    /// InfluxDB's HTTP API.
    Influxdb,
    /// Neo4j: Bolt's handshake and the HTTP API.
    Neo4j,
    /// Qdrant's REST API.
    Qdrant,
    /// Weaviate's REST API.
    Weaviate,
    /// nginx, with `stub_status` where it is there.
    Nginx,
    /// HAProxy, with its statistics page where it is there.
    Haproxy,
    /// PHP-FPM over `FastCGI` (its `ping.path` and `pm.status_path`).
    PhpFpm,
    /// ZooKeeper's four-letter words.
    Zookeeper,
    /// ClickHouse's HTTP interface.
    Clickhouse,
    /// The HTTP API of an OCI registry.
    Registry,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 28] = [
        Self::Http,
        Self::Websocket,
        Self::Grpc,
        Self::Postgres,
        Self::Mysql,
        Self::Redis,
        Self::Mongo,
        Self::Rabbitmq,
        Self::Nats,
        Self::Kafka,
        Self::Memcached,
        Self::Elasticsearch,
        Self::Mqtt,
        Self::Smtp,
        Self::Dns,
        Self::S3,
        Self::Etcd,
        Self::Prometheus,
        Self::Influxdb,
        Self::Neo4j,
        Self::Qdrant,
        Self::Weaviate,
        Self::Nginx,
        Self::Haproxy,
        Self::PhpFpm,
        Self::Zookeeper,
        Self::Clickhouse,
        Self::Registry,
    ];

    /// The word used in files.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Websocket => "websocket",
            Self::Grpc => "grpc",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Redis => "redis",
            Self::Mongo => "mongo",
            Self::Rabbitmq => "rabbitmq",
            Self::Nats => "nats",
            Self::Kafka => "kafka",
            Self::Memcached => "memcached",
            Self::Elasticsearch => "elasticsearch",
            Self::Mqtt => "mqtt",
            Self::Smtp => "smtp",
            Self::Dns => "dns",
            Self::S3 => "s3",
            Self::Etcd => "etcd",
            Self::Prometheus => "prometheus",
            Self::Influxdb => "influxdb",
            Self::Neo4j => "neo4j",
            Self::Qdrant => "qdrant",
            Self::Weaviate => "weaviate",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::PhpFpm => "php-fpm",
            Self::Zookeeper => "zookeeper",
            Self::Clickhouse => "clickhouse",
            Self::Registry => "registry",
        }
    }

    /// From the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.label() == text)
    }
}

/// Something that is never shown: a password, a token.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    /// That it is there, never what it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Serialize for Hidden {
    /// Never what it is.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("…")
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

/// Whom to ask, and as whom.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Target {
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port (UDP for DNS), 1 to 65535.
    pub port: u16,
    /// The port is only the usual one of its kind: where nothing listens there, another on which the run listens is taken.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guessed: bool,
    /// Whether it is asked over TLS.
    pub tls: bool,
    /// As whom; none: as nobody, or as the protocol's usual user.
    pub user: Option<String>,
    /// With which password or token.
    #[schemars(with = "Option<String>")]
    pub password: Option<Hidden>,
    /// What a URL has behind the port, without the first slash: a database, a virtual host, a bucket, a path. May be empty.
    pub path: String,
    /// What a URL has behind the question mark, and what a kind adds, such as `management=15672`; each protocol says what it takes.
    pub options: BTreeMap<String, String>,
}

impl Target {
    /// `host:port`, with brackets where the host is an IPv6 address.
    #[must_use]
    pub fn place(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// Why a server could not be asked, or did not answer as one that is well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Nobody is there: nothing listens, no route, a name that is not found, a connection that was closed at once.
    #[error("{0}")]
    Unreachable(String),
    /// Somebody answers, and not in this protocol (or not so that it could be understood).
    #[error("{0}")]
    Foreign(String),
    /// It is alive and says itself that it cannot serve (yet): starting, loading, recovering, read-only, degraded.
    #[error("{0}")]
    Unready(String),
    /// It is alive and takes nobody more: too many connections.
    #[error("{0}")]
    Busy(String),
    /// It is alive and does not let us in: wrong password, unknown user, not permitted. A fault of who asks, never "down".
    #[error("{0}")]
    Refused(String),
}

impl Trouble {
    /// Whether whoever answered so is alive.
    #[must_use]
    pub const fn is_alive(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Foreign(_) => false,
            Self::Unready(_) | Self::Busy(_) | Self::Refused(_) => true,
        }
    }
}

/// How bad something is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// As it should be.
    #[default]
    Good,
    /// Worth knowing, nothing to do.
    Notice,
    /// Worth a look soon.
    Warning,
    /// Broken, or about to be.
    Critical,
}

impl Grade {
    /// The word shown and written.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// One figure that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// Which, the name of a rule of its kind where one judges it: `connections`, `memory`. Lower case, words joined by `-`.
    pub name: &'static str,
    /// The figure, in the unit that the rule says; of counters, the counter as the server has it.
    pub value: f64,
    /// The most that it can be, where it has such: 100 connections, the bytes of `maxmemory`.
    pub limit: Option<f64>,
    /// What it is about, where a clause helps: `pid 4711 since 32 s: UPDATE orders …`. Plain text of one line.
    pub about: Option<String>,
}

impl Measure {
    /// A figure alone.
    #[must_use]
    pub const fn new(name: &'static str, value: f64) -> Self {
        Self { name, value, limit: None, about: None }
    }

    /// With the most that it can be.
    #[must_use]
    pub fn of(self, limit: f64) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// With what it is about.
    #[must_use]
    pub fn about(self, about: impl Into<String>) -> Self {
        Self { about: Some(about.into()), ..self }
    }
}

/// What was seen that is no figure, judged by whoever saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Remark {
    /// Which check, as of a [`Measure`].
    pub check: String,
    /// How bad it is.
    pub grade: Grade,
    /// What was seen: a sentence without a full stop.
    pub sentence: String,
    /// What to do about it.
    pub advice: Option<String>,
}

/// All that one look has read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// What answers, with its version, as it says itself: `PostgreSQL 15.18`. Plain text.
    pub server: Option<String>,
    /// Figures.
    pub measures: Vec<Measure>,
    /// What is no figure.
    pub remarks: Vec<Remark>,
}

impl Reading {
    /// Adds a figure.
    pub fn measure(&mut self, measure: Measure) {
        self.measures.push(measure);
    }

    /// Adds something seen.
    pub fn remark(&mut self, check: &str, grade: Grade, sentence: impl Into<String>, advice: Option<&str>) {
        self.remarks.push(Remark {
            check: check.to_owned(),
            grade,
            sentence: sentence.into(),
            advice: advice.map(str::to_owned),
        });
    }
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Things.
    #[default]
    Count,
    /// Bytes.
    Bytes,
    /// Seconds, as long or as short as they are.
    Seconds,
    /// A share of one, 0 to 1, shown in percent.
    Share,
}

/// What of a figure is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reads {
    /// Itself.
    #[default]
    Value,
    /// Its share of its limit, 0 to 1; not judged where it has no limit.
    Share,
    /// How fast it grows, per second; from the second look on.
    Rate,
}

/// How a figure of a kind is judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which figure.
    pub name: String,
    /// As it is called: `connections in use`.
    pub title: String,
    /// What it counts.
    #[serde(default)]
    pub unit: Unit,
    /// What of it is judged.
    #[serde(default)]
    pub reads: Reads,
    /// From here on it is worth a look; none: never.
    #[serde(default)]
    pub warn: Option<f64>,
    /// From here on it is broken; none: never.
    #[serde(default)]
    pub critical: Option<f64>,
    /// True where little is bad: the thresholds are passed from above.
    #[serde(default)]
    pub below: bool,
    /// What to do where it is passed: a sentence.
    #[serde(default)]
    pub advice: Option<String>,
}

/// A line of output that is a known sign of failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sign {
    /// Syntax of the `regex` crate.
    pub pattern: String,
    /// How bad it is.
    pub grade: Grade,
    /// What it means: a sentence without a full stop.
    pub says: String,
    /// What to do about it.
    #[serde(default)]
    pub advice: Option<String>,
}

/// One rung of the ladder of what is done about a service that is not well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, tag = "do", rename_all = "kebab-case")]
pub enum Remedy {
    /// Nothing, for a while: it may come back by itself.
    Wait {
        /// How long.
        #[serde(rename = "for", with = "human")]
        #[schemars(with = "String")]
        time: Duration,
    },
    /// A signal that makes it read its configuration again.
    Reload {
        /// Which.
        signal: Signal,
    },
    /// A command of the project's, run where and as the service runs.
    Run {
        /// Which.
        command: super::service::CommandLine,
    },
    /// Files below declared directories are removed; the directories stay.
    Clean {
        /// Absolute directories.
        paths: Vec<std::path::PathBuf>,
    },
    /// A stop and a start.
    Restart,
    /// That, and then whoever depends on it and runs.
    RestartWithDependents,
    /// A stop, and a start in a new container: what it wrote outside of its volumes is lost. The same as a restart for a process.
    Recreate,
}

impl Remedy {
    /// Whether it takes something away from somebody: such a one is done unasked only where the project's file lists it.
    #[must_use]
    pub const fn is_disruptive(&self) -> bool {
        match self {
            Self::RestartWithDependents | Self::Recreate => true,
            Self::Wait { .. } | Self::Reload { .. } | Self::Run { .. } | Self::Clean { .. } | Self::Restart => false,
        }
    }

    /// What it is called on the timeline and in files.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Wait { .. } => "wait",
            Self::Reload { .. } => "reload",
            Self::Run { .. } => "run",
            Self::Clean { .. } => "clean",
            Self::Restart => "restart",
            Self::RestartWithDependents => "restart-with-dependents",
            Self::Recreate => "recreate",
        }
    }

    /// What is done, in words: `wait 5 s`, `send SIGHUP, so that it reads its configuration again`.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Wait { time } => format!("wait {}", short_duration(*time)),
            Self::Reload { signal } => format!("send {signal}, so that it reads its configuration again"),
            Self::Run { command } => format!("run {}", command.display()),
            Self::Clean { paths } => {
                let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
                format!("remove what is in {}", paths.join(", "))
            }
            Self::Restart => "restart it".to_owned(),
            Self::RestartWithDependents => "restart it and what depends on it".to_owned(),
            Self::Recreate => "stop and start it".to_owned(),
        }
    }
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// A server, in its own protocol.
    Server {
        /// Which.
        protocol: Protocol,
        /// Whom.
        target: Target,
    },
    /// Whatever one of the project's own `checks` says.
    Own(std::sync::Arc<Own>),
}

impl Subject {
    /// A short text for screens: `postgres localhost:5432`.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Server { protocol, target } => format!("{} {}", protocol.label(), target.place()),
            Self::Own(own) => own.check.summary(),
        }
    }
}

/// A deep look and its rhythm.
#[derive(Debug, Clone, PartialEq)]
pub struct Exam {
    /// Its name among those of its service: its kind, or what the project calls it.
    pub name: String,
    /// What is looked at.
    pub subject: Subject,
    /// From the start of one look to the start of the next. Default 15 s.
    pub interval: Duration,
    /// A look that has not ended by then has failed. Default 10 s.
    pub timeout: Duration,
    /// How its figures are judged.
    pub rules: Vec<Rule>,
}

/// One look that the world is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct ExamRound {
    /// The run that is looked at.
    pub run: super::ids::RunId,
    /// Counts up per run and exam.
    pub round: u64,
    /// What is looked at.
    pub exam: std::sync::Arc<Exam>,
}

/// What kind of service it is, and what follows from that.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Nature {
    /// The kind's name in the catalogue: `postgres`.
    pub kind: String,
    /// As it is called: `PostgreSQL`.
    pub title: String,
    /// How that is known: `its program is postgres`, `its file says so`.
    pub how: String,
    /// Deep looks.
    pub exams: Vec<std::sync::Arc<Exam>>,
    /// Lines of its output that mean something.
    pub signs: Vec<Sign>,
    /// What is done where it is not well, in this order; empty: a restart.
    pub remedies: Vec<Remedy>,
    /// The project's file says so: whoever wrote it has agreed to what disrupts, too.
    pub are_declared: bool,
    /// What is doubtful about its probes, as far as reading them tells.
    pub doubts: Vec<Remark>,
}

/// One thing that was found, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Finding {
    /// By which look: the name of an exam, or `output` for a line of output.
    pub exam: String,
    /// Which check of it: `connections`.
    pub check: String,
    /// How bad it is.
    pub grade: Grade,
    /// What was found: `connections in use: 92 of 100 (92 %)`.
    pub sentence: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// The figure that was judged, in the unit of its rule (shares 0 to 1, rates per second).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// What it counts.
    #[serde(default)]
    pub unit: Unit,
    /// What of the figure `value` is: itself, its share of its limit, how fast it grows.
    #[serde(default)]
    pub reads: Reads,
    /// From here on `value` is worth a look; none: never, or there is no figure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn: Option<f64>,
    /// From here on it is broken; none: never, or there is no figure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical: Option<f64>,
    /// True where little is bad: the thresholds are passed from above.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub below: bool,
    /// How it moves, in its unit per minute over the last looks; none where there are too few.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trend_per_minute: Option<f64>,
    /// The last values, oldest first, at most 30.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<f64>,
    /// Since when it has this grade.
    pub since: super::time::Timestamp,
}

impl Finding {
    /// Something that is no figure and was seen, by the look `exam`; without advice.
    #[must_use]
    pub fn seen(exam: &str, check: &str, grade: Grade, sentence: String, since: super::time::Timestamp) -> Self {
        Self {
            exam: exam.to_owned(),
            check: check.to_owned(),
            grade,
            sentence,
            advice: None,
            value: None,
            unit: Unit::Count,
            reads: Reads::Value,
            warn: None,
            critical: None,
            below: false,
            trend_per_minute: None,
            history: Vec::new(),
            since,
        }
    }
}

/// What deep looks at a service have found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Checkup {
    /// Its kind in the catalogue; empty where it has none.
    pub kind: String,
    /// As it is called.
    pub title: String,
    /// How that is known.
    pub how: String,
    /// What answers, as it says itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// When it was last looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<super::time::Timestamp>,
    /// Why the last look failed, by exam; empty where none did.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<String, String>,
    /// What was found, worst first.
    pub findings: Vec<Finding>,
    /// What is done where it is not well, in this order and in words: `wait 5 s`, `restart it`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remedies: Vec<String>,
}

impl Checkup {
    /// The worst grade of all findings.
    #[must_use]
    pub fn worst(&self) -> Grade {
        self.findings.iter().map(|finding| finding.grade).max().unwrap_or_default()
    }
}
