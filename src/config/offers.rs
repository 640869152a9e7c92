//! What the code needs, matched with what files of the project offer. Never: looks at the network.

use std::path::Path;

use super::{
    detect::{Need, NeedKind},
    explain::ExplainedNeed,
    import::{Candidate, Runtime},
    merge::{self, Whole},
};
use crate::model::service::Source;

/// Who offers something that is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedBy {
    /// The service.
    pub service: String,
    /// Where it is told.
    pub source: Source,
}

/// Parts of names of images and programs, and what they offer.
const OFFERS: [(&str, NeedKind); 29] = [
    ("postgres", NeedKind::Postgres),
    ("postgis", NeedKind::Postgres),
    ("pgvector", NeedKind::Postgres),
    ("timescaledb", NeedKind::Postgres),
    ("cockroach", NeedKind::Postgres),
    ("mysql", NeedKind::Mysql),
    ("mariadb", NeedKind::Mysql),
    ("percona", NeedKind::Mysql),
    ("redis", NeedKind::Redis),
    ("valkey", NeedKind::Redis),
    ("keydb", NeedKind::Redis),
    ("dragonfly", NeedKind::Redis),
    ("rabbitmq", NeedKind::Amqp),
    ("lavinmq", NeedKind::Amqp),
    ("mongo", NeedKind::Mongo),
    ("mailhog", NeedKind::Smtp),
    ("mailpit", NeedKind::Smtp),
    ("maildev", NeedKind::Smtp),
    ("mailcatcher", NeedKind::Smtp),
    ("greenmail", NeedKind::Smtp),
    ("minio", NeedKind::S3),
    ("localstack", NeedKind::S3),
    ("seaweedfs", NeedKind::S3),
    ("kafka", NeedKind::Kafka),
    ("redpanda", NeedKind::Kafka),
    ("nats", NeedKind::Nats),
    ("elasticsearch", NeedKind::Elasticsearch),
    ("opensearch", NeedKind::Elasticsearch),
    ("memcached", NeedKind::Memcached),
];

/// What a service offers by its image, its program or, of a container that is built, its name.
fn offered(candidate: &Candidate) -> Option<NeedKind> {
    let word = match &candidate.runtime {
        Runtime::Container(container) => container.image.as_ref().map_or_else(
            || candidate.name.value.clone(),
            // Registry and tag say nothing of what is in it.
            |image| {
                let path = image.value.split('@').next().unwrap_or_default();
                let last = path.rsplit('/').next().unwrap_or_default();
                last.split(':').next().unwrap_or_default().to_owned()
            },
        ),
        Runtime::Process(command) => {
            let line = command.value.display();
            let program = line.split_whitespace().next().unwrap_or_default();
            Path::new(program).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        }
    };
    let word = word.to_ascii_lowercase();
    // Exporters and consoles of a server carry its name, and are not it.
    if ["exporter", "commander", "admin", "-ui", "insight", "adminer"].iter().any(|other| word.contains(other)) {
        return None;
    }
    OFFERS.iter().find(|(part, _)| word.contains(part)).map(|(_, kind)| *kind)
}

fn suits(need: NeedKind, offer: NeedKind) -> bool {
    need == offer || (need == NeedKind::Database && matches!(offer, NeedKind::Postgres | NeedKind::Mysql))
}

/// Each need with the service that offers it: of several the one on the needed port, or of the needed name, else the first.
pub(super) fn matched(needs: Vec<Need>, whole: &Whole) -> Vec<ExplainedNeed> {
    let all: Vec<&Candidate> = whole
        .services
        .iter()
        .map(|merged| &merged.candidate)
        .chain(whole.aside.iter().map(|account| &account.candidate))
        .collect();
    let of = |need: &Need| {
        let suiting: Vec<&&Candidate> =
            all.iter().filter(|it| offered(it).is_some_and(|offer| suits(need.kind, offer))).collect();
        let (host, port) = need.endpoint.as_deref().and_then(|at| at.rsplit_once(':')).unwrap_or_default();
        let on_port = || suiting.iter().find(|it| merge::ports(it).any(|(own, _)| own.to_string() == port));
        let named = || suiting.iter().find(|it| it.name.value == host);
        let chosen = named().or_else(on_port).or_else(|| suiting.first())?;
        Some(OfferedBy { service: chosen.name.value.clone(), source: chosen.name.source.clone() })
    };
    needs
        .into_iter()
        .map(|need| {
            let offered = of(&need);
            ExplainedNeed { need, offered }
        })
        .collect()
}
