//! Checks that say "well" where the service is not, or that do harm: recognised by reading them.
//!
//! Promise: each doubt says what the check misses and what to write instead. Never: runs anything; a word about a check that looks at its answer.

mod rules;
mod shell;

use std::{collections::BTreeSet, net::IpAddr};

use super::{draft::Draft, kinds, reader::Reader};
use crate::model::{
    exam::{Grade, Nature, Protocol, Remark},
    probe::{Check, ProbeKind},
    service::CommandLine,
};

/// What is doubtful about a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Doubt {
    /// Notice or warning.
    pub(crate) grade: Grade,
    /// What it misses: a clause, `redis-cli ping ends with 0 …`.
    pub(crate) misses: String,
    /// What to write instead.
    pub(crate) better: String,
}

/// What is known of the service whose check is read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct About<'a> {
    /// The protocol in which it can be asked.
    pub(crate) protocol: Option<Protocol>,
    /// Its port, where that is known.
    pub(crate) port: Option<u16>,
    /// Names of the services of its project.
    pub(crate) services: Option<&'a BTreeSet<String>>,
}

impl About<'_> {
    /// `check: redis://localhost:6379`, for a protocol.
    fn check(&self, protocol: Protocol, port: Option<u16>) -> String {
        let kind = kinds::all().iter().find(|kind| kind.protocol == Some(protocol));
        let scheme = kind.and_then(|kind| kind.schemes.first()).map_or(protocol.label(), String::as_str);
        let own = self.port.filter(|_| self.protocol == Some(protocol));
        let usual = kind.and_then(|kind| kind.port).or_else(|| {
            let usual = [(Protocol::Postgres, 5432), (Protocol::Mysql, 3306), (Protocol::Redis, 6379)];
            usual.into_iter().find(|(known, _)| *known == protocol).map(|(_, port)| port)
        });
        let is_database = matches!(protocol, Protocol::Postgres | Protocol::Mysql);
        let (who, path) = if is_database { ("user:password@", "/database") } else { ("", "") };
        let port = port.or(own).or(usual).map_or_else(String::new, |port| format!(":{port}"));
        format!("check: {scheme}://{who}localhost{port}{path}")
    }
}

/// What is doubtful about the probes of the drafts: said as notes, and kept for their checkups.
pub(crate) fn settle(reader: &mut Reader<'_>, drafts: &mut [Draft]) {
    let names: BTreeSet<String> = drafts.iter().map(|draft| draft.name.to_string()).collect();
    for draft in drafts {
        let doubts = of_draft(draft, &names);
        if doubts.is_empty() {
            continue;
        }
        let mut remarks = Vec::new();
        for (kind, doubt) in doubts {
            let message = format!("{}: the {} probe is doubtful: {}", draft.name, kind.label(), doubt.misses);
            reader.note_in(draft.file.as_deref(), draft.at, message, doubt.better.clone());
            remarks.push(Remark {
                check: format!("{}-probe", kind.label()),
                grade: doubt.grade,
                sentence: format!("the {} probe: {}", kind.label(), doubt.misses),
                advice: Some(doubt.better),
            });
        }
        let nature = draft.nature.take().map_or_else(plain_process, |nature| (*nature).clone());
        draft.nature = Some(std::sync::Arc::new(Nature { doubts: remarks, ..nature }));
    }
}

/// The nature of what is of no known kind.
pub(crate) fn plain_process() -> Nature {
    Nature {
        kind: "process".to_owned(),
        title: "process".to_owned(),
        how: "it is of no known kind".to_owned(),
        ..Nature::default()
    }
}

fn of_draft(draft: &Draft, names: &BTreeSet<String>) -> Vec<(ProbeKind, Doubt)> {
    let kind = draft.nature.as_ref().and_then(|nature| kinds::named(&nature.kind));
    let about = About {
        protocol: kind.and_then(|kind| kind.protocol),
        port: draft.ports.first().map(|(port, _)| *port).or_else(|| kind.and_then(|kind| kind.port)),
        services: Some(names),
    };
    let doubts = draft.probes.iter().flat_map(|(kind, probe)| {
        let found = match &probe.check {
            Check::Exec(command) => of_command(command, about),
            Check::Http { url, .. } => stranger(url, about).into_iter().collect(),
            Check::Tcp { .. } => port_only(about).into_iter().collect(),
            Check::Log { .. } | Check::Server { .. } | Check::Container => Vec::new(),
        };
        found.into_iter().map(|doubt| (*kind, doubt))
    });
    doubts.collect()
}

/// What is doubtful about a command whose exit code is the answer.
pub(crate) fn of_command(command: &CommandLine, about: About<'_>) -> Vec<Doubt> {
    match command {
        CommandLine::Shell(line) => rules::of_line(line, about),
        CommandLine::Argv(argv) => match argv.as_slice() {
            [sh, flag, line, ..] if is_shell(sh) && flag.starts_with('-') && flag.ends_with('c') => {
                rules::of_line(line, about)
            }
            // Without a shell, what looks like an operator is a word.
            argv => rules::of_words(argv, about),
        },
    }
}

fn is_shell(word: &str) -> bool {
    matches!(word.rsplit('/').next(), Some("sh" | "bash" | "dash" | "ash" | "zsh" | "ksh"))
}

fn port_only(about: About<'_>) -> Option<Doubt> {
    let protocol = about.protocol.filter(|protocol| *protocol != Protocol::Http)?;
    Some(Doubt {
        grade: Grade::Notice,
        misses: "it sees the port only: a server that hangs, loads or refuses everybody accepts connections, too"
            .to_owned(),
        better: format!("ask it in its own protocol: {}", about.check(protocol, None)),
    })
}

/// Doubt about a URL that leads to somebody else's server.
fn stranger(url: &str, about: About<'_>) -> Option<Doubt> {
    let url = reqwest::Url::parse(url).ok()?;
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    if is_near(&host, about.services) {
        return None;
    }
    Some(Doubt {
        grade: Grade::Warning,
        misses: format!(
            "it asks {host}, which is neither this machine nor a service of the project: it tells how that one is, and calls it on every round"
        ),
        better: format!(
            "ask the service itself, such as http://localhost:{}{}",
            about.port.unwrap_or(8080),
            url.path()
        ),
    })
}

/// Whether a host is this machine, a service of the project, or within a private network.
fn is_near(host: &str, services: Option<&BTreeSet<String>>) -> bool {
    if services.is_some_and(|services| services.contains(host)) {
        return true;
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return match address {
            IpAddr::V4(v4) => {
                let [a, b, ..] = v4.octets();
                // Shared address space (RFC 6598) is nobody's own, either.
                v4.is_loopback()
                    || v4.is_private()
                    || v4.is_link_local()
                    || v4.is_unspecified()
                    || (a == 100 && b & 0xc0 == 64)
            }
            IpAddr::V6(v6) => {
                let first = v6.segments()[0];
                v6.is_loopback() || v6.is_unspecified() || first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80
            }
        };
    }
    // A name without a dot is looked up near by; a variable is not known here.
    !host.contains('.')
        || host.contains('$')
        || ["localhost", "local", "internal", "lan", "test", "home.arpa", "localdomain", "intranet"]
            .iter()
            .any(|end| host.ends_with(&format!(".{end}")))
}

#[cfg(test)]
#[path = "honest/tests.rs"]
mod tests;
