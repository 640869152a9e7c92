//! Which names say that what they name is a secret. Never looks at a value.

/// How sure a name is about its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// `password`, `API_KEY`: whatever it names is a secret.
    Strong(&'static str),
    /// `key`, `token`, `auth` alone: also words of prose, so that the value must look like a secret, too.
    Weak(&'static str),
}

impl Name {
    /// What is shown in the place of the value where it has no name of its own.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Strong(label) | Self::Weak(label) => label,
        }
    }
}

/// Everything that [`Name::label`] may be.
pub(super) const LABELS: [&str; 8] =
    ["password", "secret", "token", "key", "authorization", "cookie", "dsn", "credential"];

/// Last words of names that are about a secret and not one.
const ABOUT: &[&str] = &[
    "algorithm",
    "alg",
    "audience",
    "budget",
    "count",
    "dir",
    "directory",
    "disabled",
    "enabled",
    "endpoint",
    "error",
    "errors",
    "exception",
    "expires",
    "expiry",
    "file",
    "files",
    "header",
    "host",
    "hostname",
    "id",
    "ids",
    "issuer",
    "length",
    "len",
    "lifetime",
    "limit",
    "limits",
    "max",
    "method",
    "min",
    "mode",
    "name",
    "names",
    "path",
    "paths",
    "policy",
    "port",
    "prefix",
    "provider",
    "required",
    "size",
    "sock",
    "socket",
    "status",
    "suffix",
    "timeout",
    "ttl",
    "type",
    "uri",
    "url",
    "usage",
    "user",
    "username",
    "version",
];

/// What before `key` makes it a key of something else than a lock.
const PLAIN_KEYS: &[&str] = &[
    "cache",
    "composite",
    "error",
    "foreign",
    "group",
    "hash",
    "hot",
    "idempotency",
    "index",
    "lookup",
    "map",
    "message",
    "next",
    "object",
    "partition",
    "prev",
    "primary",
    "public",
    "range",
    "routing",
    "row",
    "shard",
    "sort",
    "unique",
];

/// What is written together with `key`, `pass` or `pwd`.
const TOGETHER: &[&str] = &[
    "access",
    "account",
    "admin",
    "api",
    "app",
    "auth",
    "client",
    "db",
    "encrypt",
    "encryption",
    "master",
    "my",
    "pg",
    "private",
    "redis",
    "root",
    "server",
    "service",
    "sign",
    "signing",
    "smtp",
    "ssh",
    "sudo",
    "user",
];

/// What `name` says. `PWD`, `KEYBOARD`, `AUTHOR`, `MONKEY`, `TOKENIZER` and `SSH_AUTH_SOCK` say nothing.
pub(super) fn of(name: &str) -> Option<Name> {
    let parts = parts(name);
    let last = parts.last()?;
    if parts.len() > 1 && ABOUT.contains(&last.as_str()) {
        return None;
    }
    let alone = parts.len() == 1;
    parts.iter().enumerate().rev().find_map(|(at, part)| {
        let before = at.checked_sub(1).map(|before| parts[before].as_str());
        of_part(part, before, alone)
    })
}

fn of_part(part: &str, before: Option<&str>, alone: bool) -> Option<Name> {
    let graded = |label| Some(if alone { Name::Weak(label) } else { Name::Strong(label) });
    let with = |end: &str| part.strip_suffix(end).is_some_and(|start| TOGETHER.contains(&start));
    if ["password", "passwd", "passphrase", "passcode"].iter().any(|word| part.contains(word)) || part == "passwort" {
        return Some(Name::Strong("password"));
    }
    if part.contains("secret") && !part.starts_with("secretar") {
        return Some(Name::Strong("secret"));
    }
    if part.contains("credential") || part == "creds" {
        return if part == "credentials" { graded("credential") } else { Some(Name::Strong("credential")) };
    }
    match part {
        "pass" => return graded("password"),
        // The working directory.
        "pwd" | "oldpwd" if alone => return None,
        "pwd" => return Some(Name::Strong("password")),
        "authorization" => return Some(Name::Strong("authorization")),
        "auth" | "oauth" => return graded("authorization"),
        "cookie" | "cookies" => return graded("cookie"),
        "dsn" => return graded("dsn"),
        "jwt" => return graded("token"),
        "tokens" => return Some(Name::Weak("token")),
        "key" | "keys" if before.is_some_and(|before| PLAIN_KEYS.contains(&before)) => return None,
        "key" | "keys" => return graded("key"),
        _ => {}
    }
    if part.contains("token") && !part.contains("tokeni") {
        return if part == "token" { graded("token") } else { Some(Name::Strong("token")) };
    }
    if with("pass") || with("pwd") {
        return Some(Name::Strong("password"));
    }
    (with("key") || with("keys")).then_some(Name::Strong("key"))
}

/// The words of a name in lower case: `dbPassword`, `DB_PASSWORD` and `db-password` have the same.
fn parts(name: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let bytes = name.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let before = at.checked_sub(1).map_or(b'_', |before| bytes[before]);
        let after = bytes.get(at + 1).copied().unwrap_or(b'_');
        let begins = byte.is_ascii_uppercase()
            && (before.is_ascii_lowercase() || (before.is_ascii_uppercase() && after.is_ascii_lowercase()));
        if (begins || !byte.is_ascii_alphanumeric()) && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
        }
        if byte.is_ascii_alphanumeric() {
            part.push(char::from(byte.to_ascii_lowercase()));
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}
