//! Log text as services write it: seven formats, numbers and names that vary as they do in life, always the same for one seed.

use std::fmt::Write as _;

/// Words that messages are made of.
const NOUNS: &[&str] = &[
    "order",
    "cart",
    "invoice",
    "payment",
    "session",
    "token",
    "user",
    "tenant",
    "message",
    "queue",
    "topic",
    "partition",
    "shard",
    "replica",
    "snapshot",
    "index",
    "document",
    "bucket",
    "object",
    "upload",
    "thumbnail",
    "report",
    "webhook",
    "subscription",
    "coupon",
    "shipment",
];
const VERBS: &[&str] = &[
    "created",
    "updated",
    "deleted",
    "fetched",
    "cached",
    "evicted",
    "published",
    "consumed",
    "retried",
    "scheduled",
    "locked",
    "released",
    "validated",
    "rejected",
    "merged",
    "flushed",
    "compacted",
    "rebalanced",
];
const PATHS: &[&str] = &[
    "/api/v1/orders",
    "/api/v1/orders/search",
    "/api/v1/users",
    "/api/v2/cart/items",
    "/healthz",
    "/metrics",
    "/static/app.js",
    "/static/site.css",
    "/images/products",
    "/login",
    "/logout",
    "/api/v1/payments/intents",
    "/graphql",
    "/api/v1/reports/daily",
    "/favicon.ico",
];
const AGENTS: &[&str] = &[
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "curl/8.5.0",
    "kube-probe/1.31",
    "Go-http-client/2.0",
];
const CLASSES: &[&str] = &[
    "com.shop.orders.OrderService",
    "com.shop.orders.OrderRepository",
    "com.shop.billing.InvoiceWorker",
    "org.hibernate.SQL",
    "org.apache.kafka.clients.consumer.internals.ConsumerCoordinator",
    "com.zaxxer.hikari.pool.HikariPool",
    "com.shop.web.SessionFilter",
];
const TABLES: &[&str] = &["orders", "order_items", "users", "sessions", "payments", "audit_log", "stock"];

/// A source of log text.
pub(crate) struct Corpus {
    random: fastrand::Rng,
    /// Milliseconds since midnight of its first day.
    at_ms: u64,
    text: String,
}

impl Corpus {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), at_ms: 0, text: String::new() }
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        // Common things are common: the first of a list comes most.
        let at = self.random.usize(0..of.len()).min(self.random.usize(0..of.len()));
        of[at]
    }

    /// `2026-11-22T10:00:03.123` with another letter between day and time.
    fn time(&mut self, between: char, point: char) {
        let ms = self.at_ms;
        let (day, hour, minute) = (1 + ms / 86_400_000 % 28, ms / 3_600_000 % 24, ms / 60_000 % 60);
        let (second, milli) = (ms / 1000 % 60, ms % 1000);
        let _ = write!(self.text, "2026-11-{day:02}{between}{hour:02}:{minute:02}:{second:02}{point}{milli:03}");
    }

    fn level(&mut self) -> &'static str {
        match self.random.u32(0..100) {
            0..70 => "INFO",
            70..88 => "DEBUG",
            88..97 => "WARN",
            _ => "ERROR",
        }
    }

    /// The next lines, about so many bytes of them, whole ones.
    pub(crate) fn lines(&mut self, bytes: usize) -> &str {
        self.text.clear();
        while self.text.len() < bytes {
            self.at_ms += self.random.u64(0..4);
            match self.random.u32(0..100) {
                0..26 => self.access(),
                26..46 => self.json(),
                46..64 => self.logfmt(),
                64..82 => self.java(),
                82..90 => self.database(),
                90..97 => self.plain(),
                _ => self.trace(),
            }
        }
        &self.text
    }

    fn access(&mut self) {
        let random = &mut self.random;
        let (a, b, c) = (random.u8(10..14), random.u8(..), random.u8(..));
        let status =
            random.choice([200, 200, 200, 200, 200, 200, 201, 204, 301, 304, 304, 400, 401, 404, 404, 500, 502]);
        let (id, size, took) = (random.u32(1..900_000), random.u32(0..60_000), random.u32(0..900));
        let (path, agent) = (self.one(PATHS), self.one(AGENTS));
        let method = self.one(&["GET", "POST", "PUT", "DELETE"]);
        let seconds = self.at_ms / 1000;
        let _ = writeln!(
            self.text,
            "10.{a}.{b}.{c} - - [22/Nov/2026:{:02}:{:02}:{:02} +0000] \"{method} {path}/{id} HTTP/1.1\" {} {size} \"-\" \"{agent}\" 0.{took:03}",
            seconds / 3600 % 24,
            seconds / 60 % 60,
            seconds % 60,
            status.unwrap_or(200),
        );
    }

    fn json(&mut self) {
        self.text.push_str("{\"ts\":\"");
        self.time('T', '.');
        let level = self.level().to_lowercase();
        let (noun, verb) = (self.one(NOUNS), self.one(VERBS));
        let (trace, span, id, took) =
            (self.random.u128(..), self.random.u64(..), self.random.u32(1..2_000_000), self.random.u32(0..3000));
        let _ = writeln!(
            self.text,
            "Z\",\"level\":\"{level}\",\"msg\":\"{noun} {verb}\",\"{noun}_id\":{id},\"trace_id\":\"{trace:032x}\",\"span_id\":\"{span:016x}\",\"duration_ms\":{took},\"attempt\":{}}}",
            self.random.u32(1..4)
        );
    }

    fn logfmt(&mut self) {
        self.text.push_str("time=");
        self.time('T', '.');
        let (level, noun, verb) = (self.level().to_lowercase(), self.one(NOUNS), self.one(VERBS));
        let random = &mut self.random;
        let (line, id, timeout, bytes) =
            (random.u32(20..900), random.u32(1..50_000), random.u32(1..100) * 10, random.u32(0..1_000_000));
        let status = random.choice([200, 200, 200, 202, 404, 409, 429, 500, 503]).unwrap_or(200);
        let _ = write!(
            self.text,
            "Z level={level} source={noun}.go:{line} msg=\"{noun} {verb}\" {noun}={id} bytes={bytes}"
        );
        if random.u32(0..10) == 0 {
            let _ = write!(self.text, " status={status} timeout={timeout}");
        }
        self.text.push('\n');
    }

    fn java(&mut self) {
        self.time(' ', ',');
        let (level, class, noun, verb) = (self.level(), self.one(CLASSES), self.one(NOUNS), self.one(VERBS));
        let (thread, id, took) = (self.random.u32(1..33), self.random.u128(..), self.random.u32(0..500));
        let id = format!("{id:032x}");
        let _ = writeln!(
            self.text,
            " {level:<5} [http-nio-8080-exec-{thread}] {class} - {noun} {}-{}-{}-{}-{} {verb} in {took} ms",
            &id[..8],
            &id[8..12],
            &id[12..16],
            &id[16..20],
            &id[20..],
        );
    }

    fn database(&mut self) {
        self.time(' ', '.');
        let (table, pid, took, id) =
            (self.one(TABLES), self.random.u32(100..140), self.random.u32(0..90_000), self.random.u32(..));
        let _ = match self.random.u32(0..4) {
            0 => writeln!(
                self.text,
                " UTC [{pid}] LOG:  duration: {}.{:03} ms  statement: UPDATE {table} SET updated_at = now() WHERE id = {id}",
                took / 1000,
                took % 1000
            ),
            1 => writeln!(
                self.text,
                " UTC [{pid}] LOG:  checkpoint complete: wrote {} buffers (0.{}%); 0 WAL file(s) added, 0 removed, 1 recycled",
                took,
                took % 10
            ),
            _ => writeln!(
                self.text,
                " UTC [{pid}] LOG:  execute <unnamed>: SELECT id, state, total FROM {table} WHERE customer_id = $1 AND id > {id} LIMIT 50"
            ),
        };
    }

    fn plain(&mut self) {
        let (noun, verb, id) = (self.one(NOUNS), self.one(VERBS), self.random.u32(0..100_000));
        let worker = self.random.u32(1..17);
        let _ = writeln!(self.text, "worker {worker}: {noun} #{id} {verb}, {} left", self.random.u32(0..400));
    }

    /// An exception with its stack: long repetitive lines.
    fn trace(&mut self) {
        let class = self.one(CLASSES);
        let id = self.random.u32(..);
        let noun = self.one(NOUNS);
        let _ = writeln!(self.text, "java.lang.IllegalStateException: {noun} {id} is gone");
        for _ in 0..self.random.u32(4..14) {
            let (method, line) = (self.one(VERBS), self.random.u32(20..700));
            let short = class.rsplit('.').next().unwrap_or(class);
            let _ = writeln!(self.text, "    at {class}.{method}({short}.java:{line})");
        }
    }
}
