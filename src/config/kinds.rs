//! The catalogue of kinds of services: how they are known, asked, judged and healed. Data (`assets/kinds/*.toml`), read once.

use std::{sync::LazyLock, time::Duration};

use serde::Deserialize;

use crate::model::{
    exam::{Grade, Protocol, Rule},
    signal::Signal,
    time::human,
};

/// A kind of service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// The word used in files: `postgres`.
    pub id: String,
    /// As it is called: `PostgreSQL`.
    pub title: String,
    /// The protocol in which it is asked; none: it has none of its own.
    #[serde(default)]
    pub protocol: Option<Protocol>,
    /// The port on which it listens where nobody says otherwise.
    #[serde(default)]
    pub port: Option<u16>,
    /// Names of images, without registry's host and tag: `postgres`, `bitnami/postgresql`.
    #[serde(default)]
    pub images: Vec<String>,
    /// Names of programs: `postgres`.
    #[serde(default)]
    pub programs: Vec<String>,
    /// Schemes of URLs that lead to it.
    #[serde(default)]
    pub schemes: Vec<String>,
    /// Variables of the service itself that name the user to ask as, the first that is set counts.
    #[serde(default)]
    pub user_variables: Vec<String>,
    /// … that hold the password.
    #[serde(default)]
    pub password_variables: Vec<String>,
    /// … that name the database, virtual host or bucket.
    #[serde(default)]
    pub path_variables: Vec<String>,
    /// Flags of its program behind which the password stands.
    #[serde(default)]
    pub password_flags: Vec<String>,
    /// Flags of its program behind which the port stands (`--port 1`, `--port=1`, `-p1`).
    #[serde(default)]
    pub port_flags: Vec<String>,
    /// The user to ask as where none is told.
    #[serde(default)]
    pub user: Option<String>,
    /// Options of the target where none are told.
    #[serde(default)]
    pub options: std::collections::BTreeMap<String, String>,
    /// How its figures are judged.
    #[serde(default, rename = "rule")]
    pub rules: Vec<Rule>,
    /// Lines of its output that mean something.
    #[serde(default, rename = "sign")]
    pub signs: Vec<Sign>,
    /// What is tried where it is unhealthy, in this order.
    #[serde(default, rename = "remedy")]
    pub remedies: Vec<Remedy>,
    /// What people should know of it: plain paragraphs.
    pub page: String,
}

/// A line of output that is a known sign of failure.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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

/// One rung of the ladder.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, tag = "do", rename_all = "kebab-case")]
pub enum Remedy {
    /// Nothing, for a while: it may come back by itself.
    Wait {
        /// How long.
        #[serde(rename = "for", with = "human")]
        time: Duration,
    },
    /// A signal that makes it read its configuration again.
    Reload {
        /// Which.
        signal: Signal,
    },
    /// A stop and a start.
    Restart,
    /// That, and then whoever depends on it and runs.
    RestartWithDependents,
    /// A container is removed and made anew; its volumes stay.
    Recreate,
}

/// The files.
const FILES: &[&str] = &[
    include_str!("../../assets/kinds/clickhouse.toml"),
    include_str!("../../assets/kinds/elasticsearch.toml"),
    include_str!("../../assets/kinds/memcached.toml"),
    include_str!("../../assets/kinds/mongo.toml"),
    include_str!("../../assets/kinds/mysql.toml"),
    include_str!("../../assets/kinds/opensearch.toml"),
    include_str!("../../assets/kinds/postgres.toml"),
    include_str!("../../assets/kinds/redis.toml"),
    include_str!("../../assets/kinds/s3.toml"),
];

static KINDS: LazyLock<Vec<Kind>> =
    LazyLock::new(|| FILES.iter().filter_map(|text| toml::from_str(text).ok()).collect());

/// Every kind.
#[must_use]
pub fn all() -> &'static [Kind] {
    &KINDS
}

/// The kind of a name.
#[must_use]
pub fn named(id: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.id == id)
}

#[cfg(test)]
mod tests {
    use super::{FILES, Kind};

    #[test]
    fn every_file_of_the_catalogue_is_sound() {
        let mut seen = std::collections::BTreeSet::new();
        for text in FILES {
            let kind: Kind = toml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert!(seen.insert(kind.id.clone()), "{} is there twice", kind.id);
            assert!(!kind.page.trim().is_empty(), "{} has no page", kind.id);
            for sign in &kind.signs {
                regex::Regex::new(&sign.pattern).unwrap_or_else(|error| panic!("{}: {error}", kind.id));
            }
        }
    }
}
