//! The statistics in CSV (<https://docs.haproxy.org/2.6/management.html#9.1>). Never: relies on the order of columns; names more than [`NAMED`] servers.

use std::collections::HashMap;

use super::http::clause;
use crate::model::exam::{Grade, Measure, Reading};

/// Most backends and servers that are named.
const NAMED: usize = 8;
/// Most lines that are read.
const LINES: usize = 20_000;

/// Every line, by column.
#[derive(Debug)]
pub(super) struct Stats {
    columns: HashMap<String, usize>,
    lines: Vec<Vec<String>>,
}

impl Stats {
    /// None where it is something else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let head = lines.next()?.strip_prefix("# ").filter(|head| head.starts_with("pxname,svname,"))?;
        let columns = fields(head).into_iter().enumerate().map(|(at, name)| (name, at)).collect();
        let lines = lines.filter(|line| !line.trim().is_empty()).take(LINES).map(fields).collect();
        Some(Self { columns, lines })
    }

    fn word<'l>(&self, line: &'l [String], column: &str) -> &'l str {
        self.columns.get(column).and_then(|at| line.get(*at)).map_or("", String::as_str)
    }

    fn number(&self, line: &[String], column: &str) -> Option<f64> {
        self.word(line, column).parse().ok()
    }

    fn of<'s>(&'s self, service: impl Fn(&str) -> bool + 's) -> impl Iterator<Item = &'s [String]> {
        self.lines.iter().map(Vec::as_slice).filter(move |line| service(self.word(line, "svname")))
    }

    fn sum<'s>(&'s self, lines: impl Iterator<Item = &'s [String]>, column: &str) -> f64 {
        lines.filter_map(|line| self.number(line, column)).sum()
    }

    /// Adds figures and what is down.
    pub(super) fn report(&self, reading: &mut Reading) {
        let frontends = || self.of(|name| name == "FRONTEND");
        let backends = || self.of(|name| name == "BACKEND");
        let servers =
            || self.of(|name| name != "FRONTEND" && name != "BACKEND").filter(|line| self.word(line, "type") == "2");
        let is_down = |line: &&[String]| self.word(line, "status").starts_with("DOWN");
        let (down, all) = (servers().filter(is_down).count(), servers().count());
        reading.measure(Measure::new("servers-down", down as f64).of(all as f64));
        let (down, all) = (backends().filter(is_down).count(), backends().count());
        reading.measure(Measure::new("backends-down", down as f64).of(all as f64));
        self.name_those_down(reading, backends().filter(is_down), servers().filter(is_down));
        let waiting = backends().filter_map(|line| Some((self.number(line, "qcur")?, line)));
        if let Some((_, line)) = waiting.max_by(|a, b| a.0.total_cmp(&b.0)) {
            let about = format!("most in backend {}", clause(self.word(line, "pxname")));
            reading.measure(Measure::new("queue", self.sum(backends(), "qcur")).about(about));
        }
        if let Some(sessions) = self.fullest(frontends().chain(servers())) {
            reading.measure(sessions);
        }
        let requests = self.sum(frontends(), "req_tot");
        let errors = self.sum(frontends(), "hrsp_5xx");
        reading.measure(Measure::new("requests", requests));
        reading.measure(Measure::new("server-errors", errors).of(requests));
        reading.measure(Measure::new("server-error-rate", errors));
        for (name, column) in [
            ("retries", "wretr"),
            ("redispatches", "wredis"),
            ("connection-errors", "econ"),
            ("response-errors", "eresp"),
        ] {
            reading.measure(Measure::new(name, self.sum(backends(), column)));
        }
    }

    fn name_those_down<'s>(
        &'s self,
        reading: &mut Reading,
        backends: impl Iterator<Item = &'s [String]>,
        servers: impl Iterator<Item = &'s [String]>,
    ) {
        let advice = "see whether its servers run and listen where the configuration says";
        for line in backends.take(NAMED) {
            let sentence =
                format!("backend {} is down: none of its servers is left", clause(self.word(line, "pxname")));
            reading.remark("backends", Grade::Critical, sentence, Some(advice));
        }
        for line in servers.take(NAMED) {
            let sentence = format!(
                "server {}/{} is down{}",
                clause(self.word(line, "pxname")),
                clause(self.word(line, "svname")),
                self.check_words(line)
            );
            reading.remark("servers", Grade::Warning, clause(&sentence), Some(advice));
        }
    }

    /// Why a check failed: `: L4CON, connection refused, since 32 s`.
    fn check_words(&self, line: &[String]) -> String {
        let status = self.word(line, "check_status").trim_start_matches("* ");
        let said = match status {
            "L4TOUT" => "nobody takes its connections in time",
            "L4CON" => "connection refused or no way to it",
            "L6TOUT" | "L6RSP" => "TLS fails",
            "L7TOUT" => "it does not answer in time",
            "L7STS" => "it answers with a bad status",
            "L7RSP" => "its answer is not understood",
            "SOCKERR" => "no socket could be made",
            _ => "",
        };
        let code = self.word(line, "check_code");
        let last = self.word(line, "last_chk");
        let mut words =
            format!(": {}", [status, said].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", "));
        for more in [code, last].into_iter().filter(|word| !word.is_empty()) {
            words = format!("{words} ({})", clause(more));
        }
        if let Some(since) = self.number(line, "lastchg") {
            words = format!("{words}, since {since} s");
        }
        words
    }

    /// The one with the largest share of its sessions in use, of those that have a limit.
    fn fullest<'s>(&'s self, lines: impl Iterator<Item = &'s [String]>) -> Option<Measure> {
        lines
            .filter_map(|line| {
                let limit = self.number(line, "slim").filter(|limit| *limit > 0.0)?;
                let now = self.number(line, "scur")?;
                let about = format!("{}/{}", clause(self.word(line, "pxname")), clause(self.word(line, "svname")));
                Some(Measure::new("sessions", now).of(limit).about(about))
            })
            .max_by(|a, b| (a.value / a.limit.unwrap_or(1.0)).total_cmp(&(b.value / b.limit.unwrap_or(1.0))))
    }
}

/// Fields of one line; those in quotes may hold commas and doubled quotes (RFC 4180).
fn fields(line: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                if let Some(last) = found.last_mut() {
                    last.push('"');
                }
            }
            '"' => quoted = !quoted,
            ',' if !quoted => found.push(String::new()),
            c => {
                if let Some(last) = found.last_mut() {
                    last.push(c);
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Stats, fields};

    #[test]
    fn quoted_fields_hold_commas() {
        assert_eq!(fields("a,\"b, \"\"c\"\"\",,d"), ["a", "b, \"c\"", "", "d"]);
    }

    #[test]
    fn only_its_own_csv_is_taken() {
        assert!(Stats::parse("# pxname,svname,qcur\nweb,FRONTEND,\n").is_some());
        for other in ["", "pxname,svname", "<html>", "# a,b"] {
            assert!(Stats::parse(other).is_none(), "{other}");
        }
    }
}
