//! What is a secret by its look: keys of clouds and shops, tokens of web services, passwords in URLs, and what is too random to be a word.
//!
//! Never: a hash of git, a UUID, a path, a digest; they are what people look for in output.

use std::{ops::Range, sync::LazyLock};

use aho_corasick::AhoCorasick;

/// How a kind of token goes on.
struct Kind {
    begins: &'static str,
    label: &'static str,
    least: usize,
    /// Beside letters and digits.
    also: &'static [u8],
    upper: bool,
}

const fn kind(begins: &'static str, label: &'static str, least: usize, also: &'static [u8]) -> Kind {
    Kind { begins, label, least, also, upper: false }
}

const fn aws(begins: &'static str) -> Kind {
    Kind { begins, label: "aws-key", least: 16, also: b"", upper: true }
}

static KINDS: &[Kind] = &[
    aws("AKIA"),
    aws("ASIA"),
    aws("AIDA"),
    aws("AROA"),
    kind("ghp_", "github-token", 20, b""),
    kind("gho_", "github-token", 20, b""),
    kind("ghu_", "github-token", 20, b""),
    kind("ghs_", "github-token", 20, b""),
    kind("ghr_", "github-token", 20, b""),
    kind("github_pat_", "github-token", 20, b"_"),
    kind("glpat-", "gitlab-token", 20, b"-_"),
    kind("xoxb-", "slack-token", 10, b"-"),
    kind("xoxp-", "slack-token", 10, b"-"),
    kind("xoxa-", "slack-token", 10, b"-"),
    kind("xoxe-", "slack-token", 10, b"-."),
    kind("xoxr-", "slack-token", 10, b"-"),
    kind("xoxs-", "slack-token", 10, b"-"),
    kind("xapp-", "slack-token", 10, b"-"),
    kind("hooks.slack.com/services/", "slack-hook", 10, b"/"),
    kind("sk_live_", "stripe-key", 10, b"_"),
    kind("sk_test_", "stripe-key", 10, b"_"),
    kind("rk_live_", "stripe-key", 10, b"_"),
    kind("rk_test_", "stripe-key", 10, b"_"),
    kind("whsec_", "stripe-key", 10, b"+/="),
    kind("AIza", "google-key", 30, b"-_"),
    kind("ya29.", "google-token", 20, b"-_."),
    kind("sk-", "api-key", 24, b"-_"),
    kind("npm_", "npm-token", 30, b""),
    kind("pypi-", "pypi-token", 40, b"-_"),
    kind("SG.", "sendgrid-key", 30, b"-_."),
    kind("dop_v1_", "digitalocean-token", 30, b""),
    kind("hvs.", "vault-token", 20, b"-_."),
    kind("eyJ", "jwt", 0, b""),
];

/// The label of a password in a URL.
const URL: &str = "url-password";

/// The label of what is only random.
const RANDOM: &str = "high-entropy";

/// Everything that a shape may be called.
pub(super) fn labels() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.label).chain([URL, RANDOM])
}

/// Without one of these in a line it has nothing that [`begun`] finds.
pub(super) fn hints() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.begins).chain(["://"])
}

static HINTS: LazyLock<AhoCorasick> =
    LazyLock::new(|| AhoCorasick::new(hints()).expect("some thirty short words make an automaton"));

/// Whether there may be something that [`randoms`] finds.
pub(super) fn has_runs(text: &str) -> bool {
    long_run(text.as_bytes(), 0).is_some()
}

/// Where something stands in a line, and what it is.
pub(super) fn found(line: &str) -> Vec<(Range<usize>, &'static str)> {
    let mut found = begun(line);
    found.extend(randoms(line));
    found
}

/// What is known by how it begins.
pub(super) fn begun(line: &str) -> Vec<(Range<usize>, &'static str)> {
    let bytes = line.as_bytes();
    let mut found = Vec::new();
    let mut done = 0;
    for hint in HINTS.find_iter(line) {
        let Some(kind) = KINDS.get(hint.pattern().as_usize()) else {
            found.extend(password(line, hint.end()).map(|range| (range, URL)));
            continue;
        };
        let is_within = hint.start().checked_sub(1).is_some_and(|before| bytes[before].is_ascii_alphanumeric());
        if hint.start() < done || is_within {
            continue;
        }
        let end = if kind.label == "jwt" { jwt(bytes, hint.start()) } else { token(bytes, hint.end(), kind) };
        if let Some(end) = end {
            done = end;
            found.push((hint.start()..end, kind.label));
        }
    }
    found
}

/// What is only random.
pub(super) fn randoms(line: &str) -> Vec<(Range<usize>, &'static str)> {
    let bytes = line.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(run) = long_run(bytes, at) {
        at = run.end;
        random(line, run, &mut found);
    }
    found
}

fn run_from(bytes: &[u8], start: usize, is_part: impl Fn(u8) -> bool) -> usize {
    bytes[start..].iter().position(|byte| !is_part(*byte)).map_or(bytes.len(), |length| start + length)
}

fn token(bytes: &[u8], start: usize, kind: &Kind) -> Option<usize> {
    let is_part = |byte: u8| {
        let own =
            if kind.upper { byte.is_ascii_uppercase() || byte.is_ascii_digit() } else { byte.is_ascii_alphanumeric() };
        own || kind.also.contains(&byte)
    };
    let end = run_from(bytes, start, is_part);
    let fits = end - start >= kind.least;
    // `sk-` begins words, too: `sk-this-is-a-long-sentence`.
    let is_word = kind.begins == "sk-" && !bytes[start..end].iter().any(u8::is_ascii_digit);
    (fits && !is_word && (!kind.upper || end - start == 16)).then_some(end)
}

/// `header.payload.signature`, the last of which may be missing.
fn jwt(bytes: &[u8], start: usize) -> Option<usize> {
    let part =
        |from: usize| run_from(bytes, from, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'='));
    let header = part(start);
    if header - start < 10 || bytes.get(header) != Some(&b'.') {
        return None;
    }
    let payload = part(header + 1);
    if payload - header < 6 {
        return None;
    }
    Some(if bytes.get(payload) == Some(&b'.') { part(payload + 1) } else { payload })
}

/// Passwords in the URLs of a text.
pub(super) fn userinfo(text: &str) -> Vec<Range<usize>> {
    memchr::memmem::find_iter(text.as_bytes(), "://").filter_map(|at| password(text, at + 3)).collect()
}

/// The password of a URL whose authority begins at `start`; a user that is long enough to be a token counts as one.
fn password(line: &str, start: usize) -> Option<Range<usize>> {
    let bytes = line.as_bytes();
    let ends = |byte: u8| {
        byte.is_ascii_whitespace() || matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b'`' | 0x1b)
    };
    let end = run_from(bytes, start, |byte| !ends(byte));
    let at = start + bytes[start..end].iter().rposition(|byte| *byte == b'@')?;
    let password = match bytes[start..at].iter().position(|byte| *byte == b':') {
        Some(colon) => start + colon + 1..at,
        None if at - start >= 20 => start..at,
        None => return None,
    };
    let text = &line[password.clone()];
    (!text.is_empty() && !text.starts_with("${") && !text.bytes().all(|byte| byte == b'*')).then_some(password)
}

/// What is shorter is not looked at.
const LEAST: usize = 20;

/// What is longer is data, not a secret.
const LONGEST: usize = 512;

const fn is_of_run(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-')
}

/// The next run of [`LEAST`] or more from `from` on. A run of so many has a byte at every place of that step, so that most bytes are not looked at.
fn long_run(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let mut probe = from + LEAST - 1;
    while probe < bytes.len() {
        if is_of_run(bytes[probe]) {
            let mut start = probe;
            while start > from && is_of_run(bytes[start - 1]) {
                start -= 1;
            }
            let end = run_from(bytes, probe, is_of_run);
            if end - start >= LEAST {
                return Some(start..end);
            }
            probe = end;
        }
        probe += LEAST;
    }
    None
}

/// The random parts of a run: of a path, its segments one by one.
fn random(line: &str, run: Range<usize>, found: &mut Vec<(Range<usize>, &'static str)>) {
    let text = &line[run.clone()];
    let before = &line.as_bytes()[..run.start];
    let is_digest = ["sha1-", "sha256-", "sha384-", "sha512-"].iter().any(|kind| text.starts_with(kind))
        || [&b"SHA256:"[..], b"h1:", b"sha256:", b"sha512:"].iter().any(|kind| before.ends_with(kind));
    if is_digest {
        return;
    }
    let is_path = text.starts_with('/')
        || before.last().is_some_and(|byte| matches!(byte, b'.' | b'~'))
        || text.split('/').all(|segment| !is_random(segment) && segment.len() < LEAST);
    if text.contains('/') && is_path {
        let mut start = run.start;
        for segment in text.split('/') {
            if is_random(segment) {
                found.push((start..start + segment.len(), RANDOM));
            }
            start += segment.len() + 1;
        }
    } else if is_random(text.trim_start_matches('-')) {
        found.push((run, RANDOM));
    }
}

/// More than four bits a letter, letters of both cases and digits, and none of it in words.
fn is_random(text: &str) -> bool {
    // Most of what is so long is an id in small letters.
    let capitals = text.bytes().filter(u8::is_ascii_uppercase).count();
    if !(LEAST..=LONGEST).contains(&text.len()) || capitals < 2 {
        return false;
    }
    let mut counts = [0_u16; 128];
    let (mut lower, mut digits, mut turns) = (0, 0, 0);
    let mut before = 0;
    for byte in text.bytes() {
        counts[usize::from(byte & 127)] += 1;
        let class = match byte {
            b'a'..=b'z' => 1,
            b'A'..=b'Z' => 2,
            b'0'..=b'9' => 3,
            _ => 0,
        };
        lower += usize::from(class == 1);
        digits += usize::from(class == 3);
        turns += usize::from(class != before && class != 0 && before != 0);
        before = class;
    }
    if lower < 2 || digits < 1 || turns * 10 < (lower + capitals + digits) * 4 {
        return false;
    }
    let length = text.len() as f64;
    let parts = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / length);
    parts.map(|part| -part * part.log2()).sum::<f64>() > 4.0
}
