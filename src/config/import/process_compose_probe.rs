//! Probes of a process of a `process-compose.yaml`. Promise: what is not said is what process-compose takes. Never: asks.

use std::time::Duration;

use super::{Candidate, Weight, page::brief, process_compose_process::Reader};
use crate::{
    config::tree::Node,
    model::{
        probe::{Check, Probe, ProbeKind},
        service::CommandLine,
    },
};

const PROBE: &[&str] = &[
    "exec",
    "http_get",
    "initial_delay_seconds",
    "period_seconds",
    "timeout_seconds",
    "success_threshold",
    "failure_threshold",
];
const HTTP: &[&str] = &["host", "path", "scheme", "port", "num_port", "headers", "status_code"];

impl Reader<'_, '_> {
    pub(super) fn probe(&mut self, kind: ProbeKind, what: &str, node: &Node, candidate: &mut Candidate) {
        let (mut check, mut is_told) = (None, false);
        let mut probe = Probe {
            check: Check::Exec(CommandLine::Shell(String::new())),
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            retries: 3,
            successes: 1,
            start_period: Duration::ZERO,
            heals: false,
            honest: true,
        };
        for (key, node) in self.page.map(what, node).unwrap_or_default() {
            let what = format!("{what}.{}", key.text);
            match &*key.text {
                "exec" => check = self.exec(&what, node),
                "http_get" => {
                    check = self.http(&what, node);
                    is_told = check.is_none();
                }
                "initial_delay_seconds" | "period_seconds" | "timeout_seconds" => {
                    let Some(seconds) = self.page.seconds(&what, node) else { continue };
                    match &*key.text {
                        "initial_delay_seconds" => probe.start_period = seconds,
                        "period_seconds" if !seconds.is_zero() => probe.interval = seconds,
                        "timeout_seconds" if !seconds.is_zero() => probe.timeout = seconds,
                        _ => {}
                    }
                }
                "success_threshold" => probe.successes = self.page.number(&what, node).unwrap_or(1).max(1),
                "failure_threshold" => {
                    probe.retries = self.page.number(&what, node).filter(|number| *number > 0).unwrap_or(3);
                }
                _ => self.page.unknown(Weight::Hint, &what, key.at, PROBE),
            }
        }
        match check {
            Some(check) => {
                probe.check = check;
                candidate.probes.insert(kind, self.page.told(node.at, probe));
            }
            None if is_told => {}
            None => self.page.error(node.at, &format!("{what}: it does not say how to ask"), "write exec or http_get"),
        }
    }

    fn exec(&mut self, what: &str, node: &Node) -> Option<Check> {
        let mut line = None;
        for (key, node) in self.page.map(what, node).unwrap_or_default() {
            match &*key.text {
                "command" => line = self.filled("exec.command", node),
                "working_dir" => self.page.lost_value(
                    &format!("{what}.working_dir"),
                    node,
                    "a probe runs in the service's directory",
                ),
                other => {
                    self.page.unknown(Weight::Hint, &format!("{what}.{other}"), key.at, &["command", "working_dir"]);
                }
            }
        }
        line.map(|line| Check::Exec(self.line(line)))
    }

    fn http(&mut self, what: &str, node: &Node) -> Option<Check> {
        let (mut host, mut path, mut scheme) = ("127.0.0.1".to_owned(), "/".to_owned(), "http".to_owned());
        let (mut port, mut status) = (None, Some(200));
        for (key, node) in self.page.map(what, node)? {
            let what = format!("{what}.{}", key.text);
            match &*key.text {
                "headers" => self.page.lost_value(&what, node, "a probe of cas sends no headers of its own"),
                "host" | "path" | "scheme" | "port" | "num_port" | "status_code" => {
                    let text = self.filled(&format!("http_get.{}", key.text), node).unwrap_or_default();
                    match (&*key.text, text.as_str()) {
                        (_, "") => {}
                        ("host", _) => host = text,
                        ("path", _) => path = text,
                        ("scheme", _) => scheme = text,
                        ("status_code", _) => {
                            status = text.parse().ok().filter(|status| (100..400).contains(status)).or(Some(200));
                        }
                        _ => match text.parse::<u16>() {
                            Ok(number) => port = (number > 0).then_some(number),
                            // A template, told as not evaluated: nothing can be asked.
                            Err(_) if text.contains("{{") => return None,
                            Err(_) => {
                                self.page.error(node.at, &format!("{what}: \"{}\" is not a port", brief(&text)), "");
                            }
                        },
                    }
                }
                _ => self.page.unknown(Weight::Hint, &what, key.at, HTTP),
            }
        }
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        Some(Check::Http { url: format!("{scheme}://{host}{port}{path}"), status })
    }
}
