//! What single commands of a check miss. Never: guesses about a program that is not known here.

use std::sync::LazyLock;

use regex::Regex;

use super::{
    About, Doubt, is_shell, port_only,
    shell::{Join, Pipeline, Simple, pipelines},
    stranger,
};
use crate::model::exam::{Grade, Protocol};

/// Programs that end with 0 whatever they read.
const READERS: [&str; 17] = [
    "cat", "tee", "head", "tail", "wc", "sort", "uniq", "tr", "cut", "rev", "nl", "column", "fold", "less", "more",
    "echo", "true",
];

/// Statements that change something.
static WRITES: LazyLock<Result<Regex, regex::Error>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)\b(insert\s+into|update\s+\S+\s+set|delete\s+from|replace\s+into|truncate\s|drop\s|create\s+(?:table|index|database)|alter\s|insertOne|insertMany|updateOne|deleteOne)",
    )
});

/// Commands of Redis that change something.
const REDIS_WRITES: [&str; 22] = [
    "set", "setex", "psetex", "setnx", "mset", "append", "incr", "incrby", "decr", "del", "unlink", "expire", "lpush",
    "rpush", "lpop", "rpop", "hset", "sadd", "zadd", "xadd", "publish", "getset",
];

fn warning(misses: impl Into<String>, better: impl Into<String>) -> Doubt {
    Doubt { grade: Grade::Warning, misses: misses.into(), better: better.into() }
}

fn notice(misses: impl Into<String>, better: impl Into<String>) -> Doubt {
    Doubt { grade: Grade::Notice, misses: misses.into(), better: better.into() }
}

/// A line of a shell.
pub(super) fn of_line(line: &str, about: About<'_>) -> Vec<Doubt> {
    let parts = pipelines(line);
    if let [one] = parts.as_slice()
        && let [command] = one.commands.as_slice()
        && is_shell(command.words.first().map_or("", String::as_str))
        && let Some(inner) = command.value(&["-c", "-ec", "-lc"])
    {
        return of_line(inner, about);
    }
    let mut doubts = Vec::new();
    if let Some(doubt) = swallowed(line, &parts) {
        doubts.push(doubt);
    }
    let has_pipefail = parts
        .iter()
        .flat_map(|part| &part.commands)
        .any(|command| command.program() == "set" && command.has("pipefail"));
    for part in &parts {
        of_pipeline(part, line.get(part.begins..part.ends).unwrap_or(line).trim(), has_pipefail, about, &mut doubts);
    }
    doubts
}

/// A command without a shell.
pub(super) fn of_words(argv: &[String], about: About<'_>) -> Vec<Doubt> {
    let command = Simple { words: argv.to_vec(), writes: Vec::new() };
    let text = shlex::try_join(argv.iter().map(String::as_str)).unwrap_or_else(|_| argv.join(" "));
    let whole = Pipeline { commands: vec![command], join: None, negated: false, begins: 0, ends: text.len() };
    let mut doubts: Vec<Doubt> = swallowed(&text, std::slice::from_ref(&whole)).into_iter().collect();
    of_pipeline(&whole, &text, false, about, &mut doubts);
    doubts
}

/// Whether a pipeline ends with 0 and does nothing else.
fn is_yes(part: &Pipeline) -> bool {
    let [command] = part.commands.as_slice() else { return false };
    match command.program() {
        "true" | ":" | "echo" | "printf" => !part.negated && command.writes.is_empty(),
        "exit" => command.arguments().first().is_none_or(|code| code == "0") && !command.arguments().is_empty(),
        _ => false,
    }
}

/// The line ends well whatever comes.
fn swallowed(line: &str, parts: &[Pipeline]) -> Option<Doubt> {
    let (last, before) = parts.split_last()?;
    if !is_yes(last) {
        return None;
    }
    let Some(previous) = before.last() else {
        return Some(warning(
            format!("`{}` asks nothing and always ends with 0", line.trim()),
            "ask the service, such as http: 8080/health, or tcp: 8080",
        ));
    };
    // What only passes where everything before it did, is fine: `curl -f x && echo ok`.
    if previous.join == Some(Join::And) || before.iter().any(is_guard) {
        return None;
    }
    let word = if previous.join == Some(Join::Or) { "||" } else { ";" };
    let tail = line.get(last.begins..).unwrap_or_default().trim();
    let kept = line.get(..previous.ends).unwrap_or(line).trim();
    Some(warning(
        format!("`{word} {tail}` at its end makes it end with 0 whatever comes before"),
        format!("leave that out: {kept}"),
    ))
}

/// `… || exit 1` before a final `exit 0` decides by itself; so does `set -e`.
fn is_guard(part: &Pipeline) -> bool {
    part.commands.iter().any(|command| match command.program() {
        "exit" => command.arguments().first().is_some_and(|code| code != "0"),
        "set" => command.arguments().iter().any(|word| word.starts_with('-') && word.contains('e')),
        _ => false,
    })
}

fn of_pipeline(part: &Pipeline, text: &str, has_pipefail: bool, about: About<'_>, doubts: &mut Vec<Doubt>) {
    let commands: Vec<Simple> = part.commands.iter().map(stripped).collect();
    for command in &commands {
        of_command(command, commands.len() > 1, text, about, doubts);
    }
    let [first, .., last] = commands.as_slice() else { return };
    if matches!(first.program(), "docker" | "podman")
        && first.words.iter().any(|word| word == "ps")
        && commands.iter().any(|command| {
            command.program() == "grep"
                && command.arguments().iter().any(|word| matches!(word.trim(), "Up" | "up" | "running"))
        })
    {
        doubts.push(warning(
            "`grep Up` also finds \"Up 2 hours (unhealthy)\" and names of other containers",
            "docker inspect -f '{{.State.Health.Status}}' NAME | grep -qx healthy",
        ));
    }
    if first.program() == "ps"
        && let Some(pattern) = commands.iter().find(|command| matches!(command.program(), "grep" | "egrep" | "fgrep"))
        && let Some(word) = pattern.arguments().iter().find(|word| !word.starts_with('-'))
        && !word.contains('[')
        && !commands.iter().any(|command| {
            command.program() == "grep"
                && command.arguments().iter().any(|flag| flag.starts_with('-') && flag.contains('v'))
        })
    {
        doubts.push(warning(
            format!("`ps | grep {word}` finds the grep itself, so it ends with 0 also where nothing of that name runs"),
            format!("pgrep -x {word}"),
        ));
    } else if !has_pipefail && ends_well(last) && last.program() != "true" && last.program() != "echo" {
        doubts.push(warning(
            format!(
                "only the exit code of the last command of a pipe counts, and `{}` ends with 0 whatever it reads",
                last.program()
            ),
            format!(
                "put `grep -q WORD` at the end, or let bash look at all of them: bash -o pipefail -c {}",
                quoted(text)
            ),
        ));
    }
}

fn quoted(text: &str) -> String {
    shlex::try_quote(text).map_or_else(|_| text.to_owned(), std::borrow::Cow::into_owned)
}

/// Whether a command at the end of a pipe ends with 0 whatever it reads.
fn ends_well(command: &Simple) -> bool {
    match command.program() {
        "jq" => !command.arguments().iter().any(|word| {
            word == "--exit-status" || (word.starts_with('-') && !word.starts_with("--") && word.contains('e'))
        }),
        "awk" | "gawk" | "mawk" => !command.arguments().iter().any(|word| word.contains("exit")),
        "sed" => !command.arguments().iter().any(|word| word.contains('q') || word.contains('Q')),
        program => READERS.contains(&program),
    }
}

/// Without what only says where or for how long it runs.
fn stripped(command: &Simple) -> Simple {
    let mut words = command.words.as_slice();
    loop {
        let name = words.first().map_or("", |word| word.rsplit('/').next().unwrap_or(word));
        let skips_values: &[&str] = match name {
            "timeout" => &["-s", "-k", "--signal", "--kill-after"],
            "sudo" | "gosu" | "su-exec" => &["-u", "-g"],
            "env" | "exec" | "command" | "nice" => &["-n"],
            "docker" | "podman" if words.iter().take(4).any(|word| word == "exec") => {
                &["-u", "--user", "-e", "--env", "-w", "--workdir", "-f", "--file", "-p", "--project-name"]
            }
            _ => break,
        };
        let mut rest = match name {
            "docker" | "podman" => match words.iter().position(|word| word == "exec") {
                Some(at) => words.get(at + 1..).unwrap_or_default(),
                None => break,
            },
            _ => words.get(1..).unwrap_or_default(),
        };
        while let Some(flag) =
            rest.first().filter(|word| word.starts_with('-') || (name == "env" && word.contains('=')))
        {
            let taken = if skips_values.contains(&flag.as_str()) { 2 } else { 1 };
            rest = rest.get(taken..).unwrap_or_default();
        }
        // The time of `timeout`, the container of `docker exec`, the user of `gosu`.
        if matches!(name, "timeout" | "docker" | "podman" | "gosu" | "su-exec") {
            rest = rest.get(1..).unwrap_or_default();
        }
        words = rest;
    }
    Simple { words: words.to_vec(), writes: command.writes.clone() }
}

fn of_command(command: &Simple, is_piped: bool, text: &str, about: About<'_>, doubts: &mut Vec<Doubt>) {
    match command.program() {
        "redis-cli" | "valkey-cli" | "keydb-cli" => redis(command, is_piped, text, about, doubts),
        "curl" => curl(command, is_piped, text, about, doubts),
        "wget" => wget(command, about, doubts),
        "mysqladmin" | "mariadb-admin" if command.has("ping") && !is_piped => {
            doubts.push(warning(
                format!(
                    "`{} ping` ends with 0 although it prints \"Access denied\": any server that answers is well to it",
                    command.program()
                ),
                about.check(Protocol::Mysql, number(command, &["-P", "--port"])),
            ));
        }
        "pg_isready" => doubts.push(notice(
            "pg_isready says that the server takes connections, nothing about logging in, the database or a query",
            about.check(Protocol::Postgres, number(command, &["-p", "--port"])),
        )),
        "nc" | "ncat" | "netcat" => {
            let scans = |word: &String| word.starts_with('-') && !word.starts_with("--") && word.contains('z');
            if command.arguments().iter().any(scans) {
                doubts.extend(port_only(about));
            }
        }
        "psql" | "mysql" | "mariadb" | "sqlite3" | "mongosh" | "mongo" | "clickhouse-client" => {
            let statement = command.arguments().iter().find_map(|word| WRITES.as_ref().ok()?.find(word));
            if let Some(found) = statement {
                doubts.push(writes(
                    &format!("its statement ({} …)", found.as_str()),
                    "select 1, or a count of what is there",
                ));
            }
        }
        "touch" if !command.arguments().is_empty() => {
            doubts.push(writes("`touch`", "test -w DIRECTORY, which only looks"));
        }
        _ => {}
    }
    for file in &command.writes {
        let is_harmless = matches!(file.as_str(), "/dev/null" | "/dev/stdout" | "/dev/stderr" | "/dev/tty")
            || file.starts_with("/proc/")
            || file.starts_with("/dev/fd/");
        if !is_harmless {
            doubts.push(writes(&format!("`> {file}`"), "> /dev/null, or nothing: what a probe prints is kept"));
        }
    }
}

fn writes(what: &str, better: &str) -> Doubt {
    warning(format!("{what} writes something on every round, thousands of times a day"), format!("only look: {better}"))
}

fn number(command: &Simple, flags: &[&str]) -> Option<u16> {
    command.value(flags)?.parse().ok()
}

fn redis(command: &Simple, is_piped: bool, text: &str, about: About<'_>, doubts: &mut Vec<Doubt>) {
    let words: Vec<String> = command.arguments().iter().map(|word| word.to_ascii_lowercase()).collect();
    let fails = command.has("-e");
    if words.iter().any(|word| word == "ping") && !is_piped && !fails {
        let port = number(command, &["-p"]);
        let better = text.replacen(&command.words[0], &format!("{} -e", command.words[0]), 1);
        doubts.push(warning(
            format!("`{} ping` ends with 0 also where it prints NOAUTH, LOADING or MISCONF", command.program()),
            format!("{}, or {better}", about.check(Protocol::Redis, port)),
        ));
    }
    if let Some(verb) = words.iter().find(|word| REDIS_WRITES.contains(&word.as_str())) {
        doubts.push(writes(&verb.to_ascii_uppercase(), &about.check(Protocol::Redis, number(command, &["-p"]))));
    }
}

/// Short flags of curl that take a value (curl(1)): what follows them in one word is that value.
const CURL_VALUES: &str = "AbcCdDeEFhHKmoPQrtTuUwxXyYz";

/// Whether curl is given a flag, in either form: `-f`, `-sf`, `--fail`.
fn curl_has(command: &Simple, short: char, long: &[&str]) -> bool {
    command.arguments().iter().any(|word| {
        if let Some(name) = word.strip_prefix("--") {
            return long.contains(&name.split('=').next().unwrap_or(name));
        }
        let Some(flags) = word.strip_prefix('-') else { return false };
        for flag in flags.chars() {
            if flag == short {
                return true;
            }
            if CURL_VALUES.contains(flag) {
                return false;
            }
        }
        false
    })
}

fn curl(command: &Simple, is_piped: bool, text: &str, about: About<'_>, doubts: &mut Vec<Doubt>) {
    let fails = curl_has(command, 'f', &["fail", "fail-with-body"]);
    let is_telnet = command.arguments().iter().any(|word| word.starts_with("telnet:") || word.starts_with("ftp:"));
    if !fails && !is_piped && !is_telnet {
        let misses = if curl_has(command, 'w', &["write-out"]) {
            "it prints the status and compares it with nothing: curl ends with 0 on 404, 500 and 503"
        } else {
            "curl ends with 0 on 404, 500 and 503, too: it was an answer"
        };
        doubts.push(warning(misses, text.replacen(&command.words[0], &format!("{} -f", command.words[0]), 1)));
    }
    let method = command.value(&["-X", "--request"]).map(str::to_ascii_uppercase).or_else(|| {
        command
            .arguments()
            .iter()
            .find_map(|word| word.strip_prefix("-X").filter(|m| !m.is_empty()).map(str::to_ascii_uppercase))
    });
    let sends = curl_has(command, 'd', &["data", "data-raw", "data-binary", "data-urlencode", "json"])
        || curl_has(command, 'F', &["form"])
        || curl_has(command, 'T', &["upload-file"]);
    let is_get = curl_has(command, 'G', &["get"]);
    match method.as_deref() {
        Some(method @ ("POST" | "PUT" | "PATCH" | "DELETE")) => {
            doubts.push(writes(&format!("`-X {method}`"), "a GET of a health page"));
        }
        None if sends && !is_get => doubts.push(writes("sending data (a POST)", "a GET of a health page")),
        Some(_) | None => {}
    }
    doubts.extend(command.arguments().iter().find_map(|word| asked_url(word, about)));
}

fn wget(command: &Simple, about: About<'_>, doubts: &mut Vec<Doubt>) {
    let posts = command.arguments().iter().any(|word| {
        ["--post-data", "--post-file", "--body-data", "--method=POST", "--method=PUT", "--method=DELETE"]
            .iter()
            .any(|flag| word.starts_with(flag))
    });
    if posts {
        doubts.push(writes("sending data (a POST)", "wget -q --spider URL"));
    }
    doubts.extend(command.arguments().iter().find_map(|word| asked_url(word, about)));
}

fn asked_url(word: &str, about: About<'_>) -> Option<Doubt> {
    let is_url = word.starts_with("http://") || word.starts_with("https://");
    stranger(word, about).filter(|_| is_url)
}
