//! What the code expects to be there, by the names of variables in `.env` files and in code. Never: keeps a value; of a URL only host and port stay.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use regex::Regex;

use super::{
    super::{
        dotenv::Assigned,
        import::{Note, Weight},
        nearest::{is_within, nearest},
    },
    Need, NeedKind,
    text::pattern,
    walk::Tree,
};
use crate::model::service::Source;

static LINE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?m)^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*="));
static READ: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?:process\.env\.|import\.meta\.env\.|Deno\.env\.get\(\s*["']|process\.env\[\s*["']|os\.environ\.get\(\s*["']|os\.environ\[\s*["']|os\.getenv\(\s*["']|os\.Getenv\(\s*"|os\.LookupEnv\(\s*"|ENV\[\s*["']|ENV\.fetch\(\s*["']|env::var\(\s*"|System\.get_env\(\s*"|System\.getenv\(\s*"|getenv\(\s*["']|\benv\(\s*["'])([A-Z][A-Z0-9_]{2,})"#,
    )
});

const CODE: [&str; 16] = [
    ".js", ".ts", ".mjs", ".cjs", ".tsx", ".jsx", ".py", ".rb", ".rs", ".go", ".php", ".ex", ".exs", ".java", ".kt",
    ".prisma",
];
/// Files of code that are read for variables; `.env` files are read first and always.
const MOST: usize = 250;

fn kind_of(variable: &str) -> Option<NeedKind> {
    let name = variable.to_ascii_uppercase();
    let has = |word: &str| name.split('_').any(|part| part == word);
    let is_place =
        ["URL", "URI", "HOST", "DSN", "ENDPOINT", "SERVER", "SERVERS", "BROKERS", "NODE", "ADDR", "ADDRESS", "HOSTS"]
            .iter()
            .any(|word| name.rsplit('_').next() == Some(*word) && !has("USE"));
    match () {
        () if !is_place => None,
        () if has("REDIS") || has("VALKEY") || name == "CELERY_RESULT_BACKEND_URL" => Some(NeedKind::Redis),
        () if has("AMQP") || has("RABBITMQ") || has("CLOUDAMQP") => Some(NeedKind::Amqp),
        () if has("MONGO") || has("MONGODB") => Some(NeedKind::Mongo),
        () if has("SMTP") || (has("MAIL") && has("HOST")) || (has("EMAIL") && (has("HOST") || has("SERVER"))) => {
            Some(NeedKind::Smtp)
        }
        () if has("S3") || has("MINIO") || (has("AWS") && has("ENDPOINT")) => Some(NeedKind::S3),
        () if has("KAFKA") => Some(NeedKind::Kafka),
        () if has("NATS") => Some(NeedKind::Nats),
        () if has("ELASTICSEARCH") || has("OPENSEARCH") || has("ELASTIC") => Some(NeedKind::Elasticsearch),
        () if has("MEMCACHED") || has("MEMCACHE") || has("MEMCACHIER") => Some(NeedKind::Memcached),
        () if has("POSTGRES") || has("POSTGRESQL") || name == "PGHOST" || has("PG") => Some(NeedKind::Postgres),
        () if has("MYSQL") || has("MARIADB") => Some(NeedKind::Mysql),
        () if has("DATABASE") || has("DB") || has("SQLALCHEMY") => Some(NeedKind::Database),
        () => None,
    }
}

/// The scheme says more than the name.
fn kind_of_scheme(value: &str) -> Option<NeedKind> {
    let (scheme, _) = value.split_once("://")?;
    Some(match scheme.split('+').next().unwrap_or(scheme) {
        "postgres" | "postgresql" => NeedKind::Postgres,
        "mysql" | "mysql2" | "mariadb" => NeedKind::Mysql,
        "redis" | "rediss" => NeedKind::Redis,
        "amqp" | "amqps" => NeedKind::Amqp,
        "mongodb" => NeedKind::Mongo,
        "smtp" | "smtps" => NeedKind::Smtp,
        "nats" => NeedKind::Nats,
        "kafka" => NeedKind::Kafka,
        _ => return None,
    })
}

fn default_port(kind: NeedKind) -> Option<u16> {
    match kind {
        NeedKind::Postgres => Some(5432),
        NeedKind::Mysql => Some(3306),
        NeedKind::Redis => Some(6379),
        NeedKind::Amqp => Some(5672),
        NeedKind::Mongo => Some(27017),
        NeedKind::Kafka => Some(9092),
        NeedKind::Nats => Some(4222),
        NeedKind::Elasticsearch => Some(9200),
        NeedKind::Memcached => Some(11211),
        NeedKind::Database | NeedKind::Smtp | NeedKind::S3 => None,
    }
}

/// `host:port` of a URL or of a plain host; whatever looks like anything else gives nothing.
pub(super) fn endpoint(kind: NeedKind, value: &str) -> Option<String> {
    let value = value.trim();
    let has_scheme = value.contains("://");
    let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
    // A password may hold any of these, so the host begins behind the last @.
    let rest = rest.rsplit('@').next().unwrap_or(rest);
    let authority = rest.split(['/', '?', '#', ',', ';']).next().unwrap_or(rest);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse::<u16>().ok()?)),
        None => (authority, None),
    };
    let is_host = !host.is_empty()
        && host.len() < 254
        && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '[' | ']' | ':'));
    // Without a scheme or a port, a word could be anything, a secret too.
    let is_certain = has_scheme || port.is_some() || host == "localhost" || host.parse::<std::net::IpAddr>().is_ok();
    if !is_host || !is_certain || value.starts_with("sqlite") || value.starts_with("file:") {
        return None;
    }
    let by_scheme = || match value.split_once("://").map(|(scheme, _)| scheme) {
        Some("http") => Some(80),
        Some("https") => Some(443),
        Some(_) | None => default_port(kind),
    };
    let port = port.or_else(by_scheme)?;
    Some(format!("{host}:{port}"))
}

#[derive(Default)]
struct Seen {
    examples: BTreeMap<String, Source>,
    real: BTreeMap<String, Source>,
    code: BTreeMap<String, Vec<Source>>,
    values: BTreeMap<String, String>,
}

fn is_example(name: &str) -> bool {
    name.starts_with(".env")
        && ["example", "sample", "template", "dist", "defaults"].iter().any(|end| name.ends_with(end))
}

pub(super) fn find(tree: &Tree, notes: &mut Vec<Note>) -> Vec<Need> {
    let mut seen = Seen::default();
    let directories: Vec<PathBuf> = tree.directories().map(Path::to_owned).collect();
    for directory in &directories {
        for name in tree.names(directory).iter().filter(|name| name.starts_with(".env")) {
            let Some(text) = tree.read(&directory.join(name)) else { continue };
            for found in LINE.captures_iter(text.as_str()).filter_map(|found| found.get(1)) {
                let into = if is_example(name) { &mut seen.examples } else { &mut seen.real };
                into.entry(found.as_str().to_owned()).or_insert_with(|| text.at(found.start()));
            }
            for (variable, value) in super::super::dotenv::read(text.as_str(), &BTreeMap::new()).variables {
                let Assigned::Value(value) = value else { continue };
                // What is set here wins over what an example proposes.
                if !is_example(name) || !seen.values.contains_key(&variable) {
                    seen.values.insert(variable, value);
                }
            }
        }
    }
    for file in tree.files_ending(&CODE).take(MOST) {
        let Some(text) = tree.read(&file) else { continue };
        for found in READ.captures_iter(text.as_str()).filter_map(|found| found.get(1)) {
            let places = seen.code.entry(found.as_str().to_owned()).or_default();
            if places.len() < 6 {
                places.push(text.at(found.start()));
            }
        }
    }
    near_misses(&seen, notes);
    needs_of(&seen)
}

fn needs_of(seen: &Seen) -> Vec<Need> {
    let mut needs: BTreeMap<&String, Need> = BTreeMap::new();
    let set = seen.real.iter().chain(&seen.examples).map(|(name, source)| (name, vec![source.clone()]));
    let read = seen.code.iter().map(|(name, sources)| (name, sources.clone()));
    for (variable, sources) in set.chain(read) {
        let value = seen.values.get(variable);
        let by_value = value
            .filter(|_| variable.ends_with("URL") || variable.ends_with("URI"))
            .and_then(|value| kind_of_scheme(value));
        let Some(kind) = by_value.or_else(|| kind_of(variable)) else { continue };
        let need = needs.entry(variable).or_insert_with(|| Need {
            kind,
            variable: variable.clone(),
            sources: Vec::new(),
            endpoint: value.and_then(|value| endpoint(kind, value)),
        });
        need.sources.extend(sources);
        need.sources.truncate(8);
    }
    needs.into_values().collect()
}

/// A variable that code reads and no file sets, while an example file has one that is nearly the same and nobody reads.
fn near_misses(seen: &Seen, notes: &mut Vec<Note>) {
    let unread: Vec<&str> =
        seen.examples.keys().filter(|name| !seen.code.contains_key(*name)).map(String::as_str).collect();
    for (variable, places) in &seen.code {
        if seen.examples.contains_key(variable) || seen.real.contains_key(variable) {
            continue;
        }
        let alike = unread.iter().copied().filter(|name| is_alike(variable, name));
        let Some(near) = nearest(variable, alike.clone()).or_else(|| alike.clone().next()) else { continue };
        let (Some(place), Some(said)) = (places.first(), seen.examples.get(near)) else { continue };
        let file = said.file.file_name().unwrap_or_default().to_string_lossy();
        notes.push(Note {
            weight: Weight::Hint,
            source: place.clone(),
            message: format!("the code reads {variable}, and {file} names {near}"),
            hint: Some(format!("one of them may be misspelt: see line {} of {file}", said.line)),
        });
    }
}

/// One long word is misspelt, or the same words stand in another order or without their `_`, or both name the same kind of place in the same
/// form. Words that differ in a digit, and short ones (`HOST`, `PORT`), name different things.
fn is_alike(a: &str, b: &str) -> bool {
    let words = |name: &str| -> Vec<String> { name.split('_').map(str::to_owned).collect() };
    let (of_a, of_b) = (words(a), words(b));
    if a == b || a.len().min(b.len()) < 5 {
        return false;
    }
    if of_a.concat() == of_b.concat() {
        return true;
    }
    if of_a.len() != of_b.len() {
        return false;
    }
    let sorted = |mut words: Vec<String>| {
        words.sort();
        words
    };
    if sorted(of_a.clone()) == sorted(of_b.clone()) {
        return true;
    }
    let mut differ = of_a.iter().zip(&of_b).filter(|(a, b)| a != b);
    if let (Some((x, y)), None) = (differ.next(), differ.next()) {
        let has_digit = x.chars().chain(y.chars()).any(|c| c.is_ascii_digit());
        let is_same_word = ["URL", "URI"].contains(&x.as_str()) && ["URL", "URI"].contains(&y.as_str());
        let most = match x.len().min(y.len()) {
            0..=4 => 0,
            5..=7 => 1,
            _ => 2,
        };
        // `MAIL` and `EMAIL`, `KEY` and `KEYS`: one letter more at an end makes another word.
        let is_longer = x.starts_with(y.as_str())
            || y.starts_with(x.as_str())
            || x.ends_with(y.as_str())
            || y.ends_with(x.as_str());
        if is_same_word || (!has_digit && !is_longer && most > 0 && is_within(x, y, most)) {
            return true;
        }
    }
    let means_same = kind_of(a).is_some() && kind_of(a) == kind_of(b);
    of_a.last() == of_b.last() && of_a.len() == 2 && means_same
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_url_only_host_and_port_stay() {
        for (value, kept) in [
            ("postgres://ada:s3cret@db.local:5433/shop", Some("db.local:5433")),
            ("postgres://ada:p@ss/w@db/shop", Some("db:5432")),
            ("postgresql+psycopg://localhost/shop", Some("localhost:5432")),
            ("s3cret", None),
            ("ada:s3cret", None),
            ("localhost", Some("localhost:5432")),
            ("sqlite:///db.sqlite3", None),
            ("", None),
        ] {
            assert_eq!(endpoint(NeedKind::Postgres, value).as_deref(), kept, "{value}");
        }
    }

    #[test]
    fn names_are_alike_where_one_is_a_slip_of_the_other() {
        for (a, b, holds) in [
            ("REDIS_URI", "REDIS_URL", true),
            ("DB_URL", "DATABASE_URL", true),
            ("DATABSE_URL", "DATABASE_URL", true),
            ("SECRET_SESSION", "SESSION_SECRET", true),
            ("DATABASEURL", "DATABASE_URL", true),
            ("STRIPE_SECERT_KEY", "STRIPE_SECRET_KEY", true),
            ("REDIS_HOST", "REDIS_PORT", false),
            ("API_KEY", "APP_KEY", false),
            ("API_TOKEN", "API_TOKENS", false),
            ("MAIL_SERVER", "EMAIL_SERVER", false),
            ("S3_BUCKET", "S4_BUCKET", false),
            ("DB_USER", "DB_NAME", false),
            ("MYSQL_HOST", "MYSQL_REPLICA_HOST", false),
            ("SMTP_USERNAME", "SMTP_PASSWORD", false),
            ("PUBLIC_URL", "PUBLIC_URL", false),
        ] {
            assert_eq!(is_alike(a, b), holds, "{a} {b}");
            assert_eq!(is_alike(b, a), holds, "{b} {a}");
        }
    }

    #[test]
    fn all_patterns_compile() {
        assert!(
            LINE.is_match("export A=1") && READ.is_match("process.env.PORT") && READ.is_match("os.getenv(\"PORT\")")
        );
    }
}
