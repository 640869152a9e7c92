//! The catalogue of kinds of services: how they are known, asked, judged and healed. Data (`assets/kinds/*.toml`), read once.

mod find;
#[cfg(test)]
mod signs;
mod unwrap;

use std::sync::LazyLock;

use serde::Deserialize;

use crate::model::{
    exam::{Protocol, Remedy, Rule, Sign},
    signal::Signal,
};

pub use find::find;

/// Programs that are no kind of their own and open their log files anew on a signal, as their manuals say.
const REOPENING: [(&str, Signal); 7] = [
    ("unicorn", Signal::Usr1),
    ("unicorn_rails", Signal::Usr1),
    ("gunicorn", Signal::Usr1),
    ("rsyslogd", Signal::Hup),
    ("syslog-ng", Signal::Hup),
    ("supervisord", Signal::Usr2),
    ("varnishncsa", Signal::Hup),
];
/// Words of a command line among which such a program is looked for: `bundle exec unicorn`.
const FIRST_WORDS: usize = 4;

/// The signal on which the program of a command line opens its log files anew, where it is no kind of its own.
#[must_use]
pub fn reopens_on(command: &[String]) -> Option<Signal> {
    let unwrap::Inner::Program(words) = unwrap::unwrapped(command)? else { return None };
    let of = |word: &String| REOPENING.iter().find(|(name, _)| *name == unwrap::base(word)).map(|(_, signal)| *signal);
    words.iter().take(FIRST_WORDS).find_map(of)
}

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
    /// Words that must all be among those of a command line that an interpreter runs (`manage.py`, `phx.server`, a main class of Java), where the
    /// name of a program is not enough. `a|b` is one of both.
    #[serde(default)]
    pub words: Vec<String>,
    /// True of a language's runtime: whatever runs in it says more of what it is.
    #[serde(default)]
    pub runtime: bool,
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
    /// The path to ask for where none is told, as `api/health`.
    #[serde(default)]
    pub path: Option<String>,
    /// Options of the target where none are told.
    #[serde(default)]
    pub options: std::collections::BTreeMap<String, String>,
    /// The signal on which its main process opens its log files anew.
    #[serde(default)]
    pub reopen: Option<Signal>,
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

/// The files.
const FILES: &[&str] = &[
    include_str!("../../assets/kinds/alertmanager.toml"),
    include_str!("../../assets/kinds/apache.toml"),
    include_str!("../../assets/kinds/caddy.toml"),
    include_str!("../../assets/kinds/celery.toml"),
    include_str!("../../assets/kinds/clickhouse.toml"),
    include_str!("../../assets/kinds/container.toml"),
    include_str!("../../assets/kinds/django.toml"),
    include_str!("../../assets/kinds/dns.toml"),
    include_str!("../../assets/kinds/docker-registry.toml"),
    include_str!("../../assets/kinds/dotnet.toml"),
    include_str!("../../assets/kinds/elasticsearch.toml"),
    include_str!("../../assets/kinds/etcd.toml"),
    include_str!("../../assets/kinds/flask.toml"),
    include_str!("../../assets/kinds/go.toml"),
    include_str!("../../assets/kinds/grafana.toml"),
    include_str!("../../assets/kinds/grpc.toml"),
    include_str!("../../assets/kinds/haproxy.toml"),
    include_str!("../../assets/kinds/http.toml"),
    include_str!("../../assets/kinds/influxdb.toml"),
    include_str!("../../assets/kinds/job.toml"),
    include_str!("../../assets/kinds/jvm.toml"),
    include_str!("../../assets/kinds/kafka.toml"),
    include_str!("../../assets/kinds/memcached.toml"),
    include_str!("../../assets/kinds/mongo.toml"),
    include_str!("../../assets/kinds/mqtt.toml"),
    include_str!("../../assets/kinds/mysql.toml"),
    include_str!("../../assets/kinds/nats.toml"),
    include_str!("../../assets/kinds/neo4j.toml"),
    include_str!("../../assets/kinds/nextjs.toml"),
    include_str!("../../assets/kinds/nginx.toml"),
    include_str!("../../assets/kinds/node-exporter.toml"),
    include_str!("../../assets/kinds/node.toml"),
    include_str!("../../assets/kinds/opensearch.toml"),
    include_str!("../../assets/kinds/phoenix.toml"),
    include_str!("../../assets/kinds/php-fpm.toml"),
    include_str!("../../assets/kinds/php.toml"),
    include_str!("../../assets/kinds/postgres.toml"),
    include_str!("../../assets/kinds/process.toml"),
    include_str!("../../assets/kinds/prometheus.toml"),
    include_str!("../../assets/kinds/python.toml"),
    include_str!("../../assets/kinds/qdrant.toml"),
    include_str!("../../assets/kinds/rabbitmq.toml"),
    include_str!("../../assets/kinds/rails.toml"),
    include_str!("../../assets/kinds/redis.toml"),
    include_str!("../../assets/kinds/ruby.toml"),
    include_str!("../../assets/kinds/s3.toml"),
    include_str!("../../assets/kinds/sidekiq.toml"),
    include_str!("../../assets/kinds/smtp.toml"),
    include_str!("../../assets/kinds/spring-boot.toml"),
    include_str!("../../assets/kinds/traefik.toml"),
    include_str!("../../assets/kinds/victoria-metrics.toml"),
    include_str!("../../assets/kinds/vite.toml"),
    include_str!("../../assets/kinds/weaviate.toml"),
    include_str!("../../assets/kinds/websocket.toml"),
    include_str!("../../assets/kinds/worker.toml"),
    include_str!("../../assets/kinds/zookeeper.toml"),
];

static KINDS: LazyLock<Vec<Kind>> =
    LazyLock::new(|| with_common_rules(FILES.iter().filter_map(|text| toml::from_str(text).ok()).collect()));

/// A kind whose protocol has a kind of the same name (every web application: `http`) takes over its rules, other than those that it has itself.
fn with_common_rules(mut kinds: Vec<Kind>) -> Vec<Kind> {
    let common: Vec<(String, Vec<Rule>)> = kinds.iter().map(|kind| (kind.id.clone(), kind.rules.clone())).collect();
    for kind in &mut kinds {
        let Some(protocol) = kind.protocol.filter(|protocol| protocol.label() != kind.id) else { continue };
        let rules = common.iter().filter(|(id, _)| id == protocol.label()).flat_map(|(_, rules)| rules);
        let missing: Vec<_> =
            rules.filter(|rule| kind.rules.iter().all(|own| own.name != rule.name)).cloned().collect();
        kind.rules.extend(missing);
    }
    kinds
}

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
