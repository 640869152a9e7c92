//! nginx: whether it answers, and its own figures by `stub_status` (<https://nginx.org/en/docs/http/ngx_http_stub_status_module.html>).
//!
//! Options: `status` (the path of `stub_status`; `/nginx_status`, `/stub_status` and `/basic_status` are tried unless told), and those of HTTP.
//!
//! Never: takes another page for its figures.

use super::{http, web};
use crate::model::exam::{Grade, Measure, Reading, Target, Trouble};

/// Where `stub_status` usually lies.
const USUAL: [&str; 3] = ["/nginx_status", "/stub_status", "/basic_status"];

/// Asks as over HTTP.
pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    http::ready(&without_status(target)).await
}

/// Looks as over HTTP, and at `stub_status`.
pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let mut reading = http::look(&without_status(target)).await?;
    let told = target.options.get("status").filter(|path| path.starts_with('/'));
    let paths: Vec<&str> = told.map_or_else(|| USUAL.to_vec(), |path| vec![path.as_str()]);
    for path in &paths {
        let answer = web::get(target, path).await?;
        if answer.status.is_success()
            && let Some(status) = Status::parse(&answer.text())
        {
            status.report(&mut reading);
            return Ok(reading);
        }
    }
    let sentence = match told {
        Some(path) => format!("there is no stub_status at {}: its connections are not known", http::clause(path)),
        None => "it has no stub_status page: its connections are not known".to_owned(),
    };
    reading.remark(
        "status-page",
        Grade::Notice,
        sentence,
        Some("add location = /nginx_status { stub_status; allow 127.0.0.1; deny all; } to its server"),
    );
    Ok(reading)
}

/// `status=/path` is ours, `status=200` is that of HTTP.
fn without_status(target: &Target) -> Target {
    let mut target = target.clone();
    if target.options.get("status").is_some_and(|value| value.starts_with('/')) {
        target.options.remove("status");
    }
    target
}

/// What the page says.
#[derive(Debug, PartialEq, Eq)]
struct Status {
    active: u64,
    accepted: u64,
    handled: u64,
    requests: u64,
    reading: u64,
    writing: u64,
    waiting: u64,
}

impl Status {
    /// ```text
    /// Active connections: 291
    /// server accepts handled requests
    ///  16630948 16630948 31070465
    /// Reading: 6 Writing: 179 Waiting: 106
    /// ```
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim);
        let active = lines.next()?.strip_prefix("Active connections:")?.trim().parse().ok()?;
        lines.next()?.starts_with("server accepts handled requests").then_some(())?;
        let counters: Vec<u64> = lines.next()?.split_whitespace().map_while(|word| word.parse().ok()).collect();
        let words: Vec<_> = lines.next()?.split_whitespace().collect();
        let [accepted, handled, requests, ..] = counters[..] else { return None };
        let ["Reading:", reading, "Writing:", writing, "Waiting:", waiting] = words[..] else { return None };
        let number = |word: &str| word.parse().ok();
        Some(Self {
            active,
            accepted,
            handled,
            requests,
            reading: number(reading)?,
            writing: number(writing)?,
            waiting: number(waiting)?,
        })
    }

    fn report(&self, reading: &mut Reading) {
        let dropped = self.accepted.saturating_sub(self.handled);
        for (name, value) in [
            ("connections", self.active),
            ("accepted", self.accepted),
            ("dropped", dropped),
            ("requests", self.requests),
            ("connections-reading", self.reading),
            ("connections-writing", self.writing),
            ("connections-waiting", self.waiting),
        ] {
            reading.measure(Measure::new(name, value as f64));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Status;

    #[test]
    fn the_page_is_read_as_documented_and_no_other_page_is_taken_for_it() {
        let page = "Active connections: 291 \nserver accepts handled requests\n 16630948 16630940 31070465 \nReading: 6 Writing: 179 Waiting: 106 \n";
        let status = Status::parse(page).unwrap();
        assert_eq!((status.active, status.accepted - status.handled, status.waiting), (291, 8, 106));
        // Tengine adds a column.
        let more = page.replace("requests\n", "requests request_time\n").replace("31070465", "31070465 99");
        assert_eq!(Status::parse(&more).unwrap(), status);
        for other in [
            "",
            "<html>",
            "Active connections: many",
            "Active connections: 1\nserver accepts handled requests\n1 2\nReading: 1",
        ] {
            assert_eq!(Status::parse(other), None, "{other}");
        }
    }
}
