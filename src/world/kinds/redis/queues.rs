//! Job queues that live in Redis: how much waits, since when, and what has failed.
//!
//! Sidekiq and Resque (set `queues`), RQ (set `rq:queues`), Celery (`celery` and what `_kombu.binding.*` names), `BullMQ` (`bull:NAME:wait`), streams with
//! their groups, and lists that an option names. Found by bounded `SCAN`s, or named by the options `streams`, `lists`, `bull`.
//!
//! Never: takes a job, or looks at more than [`QUEUES`] queues of a kind.

use std::collections::{BTreeMap, BTreeSet};

use super::resp::{Reply, Resp};
use crate::{
    model::exam::{Grade, Measure, Reading, Target, Trouble},
    world::kinds::texts::{list, said, said_in},
};

/// Most queues of one kind that are looked at.
const QUEUES: usize = 50;
/// Most rounds of one `SCAN`, of a thousand keys each.
const ROUNDS: usize = 10;
/// What kombu puts between the parts of a binding and of a priority (<https://github.com/celery/kombu/blob/main/kombu/transport/redis.py>).
const SEPARATOR: &str = "\u{6}\u{16}";

/// What is looked at, and how it goes.
struct Tour<'a> {
    resp: &'a mut Resp,
    reading: &'a mut Reading,
    /// Seconds since the epoch, by the server's clock.
    now: f64,
    /// Error of the first command that was not permitted.
    denied: Option<String>,
    /// Queues seen.
    seen: usize,
}

/// Adds the figures of all job queues.
pub(super) async fn read(
    resp: &mut Resp,
    target: &Target,
    info: &BTreeMap<String, String>,
    reading: &mut Reading,
) -> Result<(), Trouble> {
    let time = resp.ask(&["TIME"]).await?;
    let now = time.list().first().and_then(Reply::number).unwrap_or(0.0);
    let mut tour = Tour { resp, reading, now, denied: None, seen: 0 };
    tour.sidekiq_and_resque().await?;
    tour.rq().await?;
    tour.celery().await?;
    tour.bull(&list(&target.options, "bull")).await?;
    tour.streams(&list(&target.options, "streams")).await?;
    for name in list(&target.options, "lists").into_iter().take(QUEUES) {
        tour.depth(name, &format!("list {}", said_in(name, 80))).await?;
    }
    let (denied, seen) = (tour.denied.take(), tour.seen);
    if let Some(why) = denied {
        reading.remark(
            "job-queues",
            Grade::Notice,
            format!("job queues cannot be read: {}", said(&why)),
            Some("allow its user to read: ACL SETUSER NAME +@read ~*"),
        );
    }
    let policy = info.get("maxmemory_policy").map_or("", String::as_str);
    let bounded = info.get("maxmemory").is_some_and(|most| most != "0");
    if seen > 0 && bounded && policy.starts_with("allkeys") {
        reading.remark(
            "queue-eviction",
            Grade::Warning,
            format!("it holds job queues and may evict them (maxmemory-policy {})", said_in(policy, 40)),
            Some("use noeviction where jobs are kept, and another Redis as a cache"),
        );
    }
    Ok(())
}

impl Tour<'_> {
    /// Asks; what is not permitted or of another type is nothing.
    async fn ask(&mut self, words: &[&str]) -> Result<Reply, Trouble> {
        let reply = self.resp.ask(words).await?;
        if let Reply::Error(why) = &reply {
            if why.starts_with("NOPERM") {
                self.denied.get_or_insert_with(|| why.clone());
            }
            return Ok(Reply::Nothing);
        }
        Ok(reply)
    }

    async fn count(&mut self, command: &str, key: &str) -> Result<f64, Trouble> {
        Ok(self.ask(&[command, key]).await?.number().unwrap_or(0.0))
    }

    /// Members of a set, at most [`QUEUES`], in order.
    async fn members(&mut self, key: &str) -> Result<Vec<String>, Trouble> {
        let mut members = self.ask(&["SRANDMEMBER", key, &(QUEUES + 1).to_string()]).await?.texts();
        members.sort();
        if members.len() > QUEUES {
            members.pop();
            let sentence = format!("there are more than {QUEUES} queues: the figures are of {QUEUES} of them");
            self.reading.remark("job-queues", Grade::Notice, sentence, None);
        }
        Ok(members)
    }

    /// Keys of a pattern, at most [`QUEUES`], of the first ten thousand keys or so.
    async fn scan(&mut self, pattern: &str, kind: &str) -> Result<BTreeSet<String>, Trouble> {
        let mut found = BTreeSet::new();
        let mut cursor = "0".to_owned();
        for _ in 0..ROUNDS {
            let words = ["SCAN", &cursor, "MATCH", pattern, "COUNT", "1000", "TYPE", kind];
            let reply = self.ask(&words).await?;
            let [next, keys] = reply.list() else { break };
            found.extend(keys.texts());
            next.text().unwrap_or("0").clone_into(&mut cursor);
            if cursor == "0" || found.len() >= QUEUES {
                break;
            }
        }
        Ok(found.into_iter().take(QUEUES).collect())
    }

    fn note(&mut self, depth: f64, about: &str) {
        self.seen += 1;
        self.reading.measure(Measure::new("queue-depth", depth).about(about));
    }

    fn age(&mut self, since: Option<f64>, about: &str) {
        if let Some(since) = since.filter(|since| *since > 0.0 && self.now > 0.0) {
            self.reading.measure(Measure::new("oldest-job", (self.now - since).max(0.0)).about(about));
        }
    }

    fn dead(&mut self, count: f64, about: &str) {
        self.reading.measure(Measure::new("dead-letters", count).about(about));
    }

    async fn depth(&mut self, key: &str, about: &str) -> Result<f64, Trouble> {
        let depth = self.count("LLEN", key).await?;
        self.note(depth, about);
        Ok(depth)
    }

    /// <https://github.com/sidekiq/sidekiq/wiki/Job-Format>; Resque: <https://github.com/resque/resque>.
    async fn sidekiq_and_resque(&mut self) -> Result<(), Trouble> {
        let mut names = self.members("queues").await?;
        // A set of that name may be anybody's: Sidekiq leaves other traces as well.
        let mut traces = vec!["stat:processed".to_owned(), "processes".to_owned()];
        traces.extend(names.iter().map(|name| format!("queue:{name}")));
        let mut asked = vec!["EXISTS"];
        asked.extend(traces.iter().map(String::as_str));
        if !names.is_empty() && self.ask(&asked).await?.number() == Some(0.0) {
            names.clear();
        }
        let mut waiting = 0.0;
        for name in &names {
            let about = format!("queue {} (Sidekiq)", said_in(name, 80));
            let key = format!("queue:{name}");
            let depth = self.depth(&key, &about).await?;
            waiting += depth;
            if depth > 0.0 {
                let oldest = self.ask(&["LINDEX", &key, "-1"]).await?;
                self.age(oldest.text().and_then(enqueued_at), &about);
            }
        }
        if !names.is_empty() {
            let retry = self.count("ZCARD", "retry").await?;
            self.reading.measure(Measure::new("jobs-retried", retry).about("retry set (Sidekiq)"));
            let dead = self.count("ZCARD", "dead").await?;
            self.dead(dead, "dead set (Sidekiq)");
            let mut alive = 0;
            for process in self.members("processes").await? {
                alive += u32::from(self.count("EXISTS", &process).await? > 0.0);
            }
            if waiting > 0.0 && alive == 0 && self.denied.is_none() {
                let sentence = format!("{waiting:.0} jobs wait and no Sidekiq process is alive");
                self.reading.remark(
                    "workers",
                    Grade::Critical,
                    sentence,
                    Some("start its workers (bundle exec sidekiq)"),
                );
            }
        }
        let names = self.members("resque:queues").await?;
        for name in &names {
            self.depth(&format!("resque:queue:{name}"), &format!("queue {} (Resque)", said_in(name, 80))).await?;
        }
        if !names.is_empty() {
            let failed = self.count("LLEN", "resque:failed").await?;
            self.dead(failed, "failed (Resque)");
        }
        Ok(())
    }

    /// <https://python-rq.org/docs/jobs/>: lists of job ids, pushed to the right, taken from the left.
    async fn rq(&mut self) -> Result<(), Trouble> {
        for key in self.members("rq:queues").await? {
            let name = key.strip_prefix("rq:queue:").unwrap_or(&key).to_owned();
            let about = format!("queue {} (RQ)", said_in(&name, 80));
            if self.depth(&key, &about).await? > 0.0
                && let Some(id) = self.ask(&["LINDEX", &key, "0"]).await?.text().map(str::to_owned)
            {
                let since = self.ask(&["HGET", &format!("rq:job:{id}"), "enqueued_at"]).await?;
                self.age(since.text().and_then(iso_seconds), &about);
            }
            let failed = self.count("ZCARD", &format!("rq:failed:{name}")).await?;
            self.dead(failed, &format!("failed registry of {} (RQ)", said_in(&name, 80)));
        }
        Ok(())
    }

    /// Kombu's Redis transport: a list per queue and priority; messages in the hands of workers are in the hash `unacked`, their times in `unacked_index`.
    async fn celery(&mut self) -> Result<(), Trouble> {
        let bindings = self.scan("_kombu.binding.*", "set").await?;
        let mut names = BTreeSet::new();
        for binding in &bindings {
            if binding.ends_with(".pidbox") || binding.contains("celeryev") {
                continue;
            }
            for member in self.members(binding).await? {
                names.extend(member.rsplit(SEPARATOR).next().filter(|name| !name.is_empty()).map(str::to_owned));
            }
        }
        // The default queue is there without a binding where nobody has declared it yet.
        if self.count("LLEN", "celery").await? > 0.0 {
            names.insert("celery".to_owned());
        }
        for name in names.iter().take(QUEUES) {
            let mut depth = self.count("LLEN", name).await?;
            for priority in ["3", "6", "9"] {
                depth += self.count("LLEN", &format!("{name}{SEPARATOR}{priority}")).await?;
            }
            self.note(depth, &format!("queue {} (Celery)", said_in(name, 80)));
        }
        let unacked = self.count("HLEN", "unacked").await?;
        if !names.is_empty() || unacked > 0.0 {
            self.reading.measure(Measure::new("jobs-unacked", unacked).about("unacked (Celery)"));
        }
        if unacked > 0.0 {
            let first = self.ask(&["ZRANGE", "unacked_index", "0", "0", "WITHSCORES"]).await?;
            if let Some(since) = first.list().get(1).and_then(Reply::number) {
                let age = (self.now - since).max(0.0);
                self.reading.measure(Measure::new("oldest-unacked", age).about("unacked (Celery)"));
            }
        }
        Ok(())
    }

    /// <https://docs.bullmq.io/guide/architecture>: `bull:NAME:wait` and `:active` (lists), `:prioritized`, `:delayed`, `:failed` (sorted sets), a hash per job.
    async fn bull(&mut self, named: &[&str]) -> Result<(), Trouble> {
        let mut names: BTreeSet<String> = named.iter().map(|name| (*name).to_owned()).collect();
        if names.is_empty() {
            for (pattern, kind) in [("bull:*:meta", "hash"), ("bull:*:wait", "list"), ("bull:*:failed", "zset")] {
                let tail = pattern.trim_start_matches("bull:*");
                for key in self.scan(pattern, kind).await? {
                    let name = key.strip_prefix("bull:").and_then(|rest| rest.strip_suffix(tail));
                    names.extend(name.map(str::to_owned));
                }
            }
        }
        for name in names.iter().take(QUEUES) {
            let about = format!("queue {} (BullMQ)", said_in(name, 80));
            let waiting = self.count("LLEN", &format!("bull:{name}:wait")).await?;
            let ranked = self.count("ZCARD", &format!("bull:{name}:prioritized")).await?;
            let paused = self.count("LLEN", &format!("bull:{name}:paused")).await?;
            self.note(waiting + ranked + paused, &about);
            if waiting > 0.0 {
                let oldest = self.ask(&["LINDEX", &format!("bull:{name}:wait"), "-1"]).await?;
                if let Some(id) = oldest.text() {
                    let since = self.ask(&["HGET", &format!("bull:{name}:{id}"), "timestamp"]).await?;
                    self.age(since.number().map(|millis| millis / 1000.0), &about);
                }
            }
            let failed = self.count("ZCARD", &format!("bull:{name}:failed")).await?;
            self.dead(failed, &format!("failed of {} (BullMQ)", said_in(name, 80)));
        }
        Ok(())
    }

    /// <https://redis.io/docs/latest/commands/xinfo-groups/>: `lag` is what a group has not been given yet, `pending` what it has and did not acknowledge.
    async fn streams(&mut self, named: &[&str]) -> Result<(), Trouble> {
        let mut names: BTreeSet<String> = named.iter().map(|name| (*name).to_owned()).collect();
        if names.is_empty() {
            names = self.scan("*", "stream").await?;
            // `BullMQ` tells its events in streams; nobody works them off.
            names.retain(|name| !(name.starts_with("bull:") && name.ends_with(":events")));
        }
        for name in names.iter().take(QUEUES) {
            let shown = said_in(name, 80);
            let length = self.count("XLEN", name).await?;
            self.reading.measure(Measure::new("stream-length", length).about(format!("stream {shown}")));
            let groups = self.ask(&["XINFO", "GROUPS", name]).await?;
            for group in groups.list().iter().take(QUEUES) {
                let Some(title) = group.field("name").and_then(Reply::text).map(str::to_owned) else { continue };
                let about = format!("stream {shown}, group {}", said_in(&title, 80));
                let of = |key| group.field(key).and_then(Reply::number);
                let pending = of("pending").unwrap_or(0.0);
                // `lag` is there since Redis 7, and nil where entries in its midst were deleted.
                self.note(of("lag").unwrap_or(0.0) + pending, &about);
                if of("consumers") == Some(0.0) && length > 0.0 && of("lag").is_some_and(|lag| lag > 0.0) {
                    let sentence = format!("nobody reads {about}");
                    self.reading.remark(
                        "workers",
                        Grade::Warning,
                        sentence,
                        Some("start its consumers, or destroy the group"),
                    );
                }
                if pending > 0.0 {
                    let first = self.ask(&["XPENDING", name, &title, "-", "+", "1"]).await?;
                    let idle = first.list().first().and_then(|entry| entry.list().get(2)).and_then(Reply::number);
                    if let Some(idle) = idle {
                        self.reading.measure(
                            Measure::new("oldest-job", idle / 1000.0).about(format!("{about}: not acknowledged")),
                        );
                    }
                }
            }
        }
        Ok(())
    }
}

/// When a job of Sidekiq was enqueued: seconds with a fraction, from version 8 on milliseconds.
fn enqueued_at(job: &str) -> Option<f64> {
    let job: serde_json::Value = serde_json::from_str(job).ok()?;
    let at = job.get("enqueued_at").or_else(|| job.get("created_at"))?.as_f64()?;
    Some(if at > 1e11 { at / 1000.0 } else { at })
}

/// Seconds since the epoch of `2024-01-02T03:04:05.678Z`.
fn iso_seconds(text: &str) -> Option<f64> {
    let zoned = if text.ends_with('Z') || text.contains('+') { text.to_owned() } else { format!("{text}Z") };
    let at = chrono::DateTime::parse_from_rfc3339(&zoned.replacen(' ', "T", 1)).ok()?;
    Some(at.timestamp_millis() as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::{enqueued_at, iso_seconds};

    #[test]
    fn times_of_jobs_are_read_in_all_their_forms() {
        assert_eq!(enqueued_at(r#"{"class":"A","enqueued_at":1700000000.25}"#), Some(1_700_000_000.25));
        assert_eq!(enqueued_at(r#"{"class":"A","enqueued_at":1700000000250}"#), Some(1_700_000_000.25));
        assert_eq!(enqueued_at("{"), None);
        assert_eq!(iso_seconds("2023-11-14T22:13:20.500000Z"), Some(1_700_000_000.5));
        assert_eq!(iso_seconds("2023-11-14 22:13:20"), Some(1_700_000_000.0));
        assert_eq!(iso_seconds("soon"), None);
    }
}
