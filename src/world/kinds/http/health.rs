//! What a health page says in its body, whatever its status says. Known forms: Spring Boot's actuator
//! (<https://docs.spring.io/spring-boot/api/rest/actuator/health.html>), ASP.NET Core's health checks
//! (<https://learn.microsoft.com/aspnet/core/host-and-deploy/health-checks>), draft-inadarei-api-health-check
//! (<https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check>), `MicroProfile` Health, and plain `{"status": "…"}`.
//!
//! Never: goes deeper than [`DEPTH`] or names more than [`NAMED`] components.

use serde_json::{Map, Value};

use super::clause;
use crate::model::exam::Grade;

/// How deep components may lie in components.
const DEPTH: usize = 4;
/// Most components that are named.
const NAMED: usize = 4;
/// Keys that hold the state itself.
const STATES: [&str; 4] = ["status", "Status", "health", "state"];
/// Keys that hold components, by name or in a list.
const HOLDERS: [&str; 8] =
    ["components", "entries", "checks", "results", "details", "dependencies", "services", "error"];
/// Keys of a component that say why.
const REASONS: [&str; 6] = ["output", "error", "message", "description", "exception", "reason"];
/// Words of a path that make a page one of health.
const PATHS: [&str; 5] = ["health", "ready", "status", "ping", "live"];

/// What a body says against its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ill {
    pub(super) grade: Grade,
    /// `says degraded: db is DOWN`.
    pub(super) words: String,
    /// Whether it says that it does not serve as it should; false where it only warns.
    pub(super) fails: bool,
}

/// How bad one state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Warns,
    Degraded,
    Down,
}

impl State {
    fn of(value: &Value) -> Option<Self> {
        let word: String =
            value.as_str()?.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
        match word.as_str() {
            "down" | "unhealthy" | "error" | "fail" | "failed" | "failing" | "failure" | "critical"
            | "outofservice" | "unavailable" | "dead" => Some(Self::Down),
            "degraded" => Some(Self::Degraded),
            "warn" | "warning" => Some(Self::Warns),
            _ => None,
        }
    }

    const fn grade(self) -> Grade {
        match self {
            Self::Down => Grade::Critical,
            Self::Warns | Self::Degraded => Grade::Warning,
        }
    }
}

/// Whether a path is that of a page about health.
pub(super) fn is_page_of(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    let path = path.split('?').next().unwrap_or_default();
    PATHS.iter().any(|word| path.contains(word))
}

/// What is ill, where the body is JSON and says so.
pub(super) fn verdict(body: &[u8]) -> Option<Ill> {
    let document: Value = serde_json::from_slice(body).ok()?;
    let top = document.as_object()?;
    let own = own_state(top);
    let mut parts = Vec::new();
    components(top, DEPTH, &mut parts);
    let worst = parts.iter().map(|(state, _)| *state).chain(own.iter().map(|(state, _)| *state)).max()?;
    let mut words = match &own {
        Some((_, said)) => format!("says {said}"),
        None => "says".to_owned(),
    };
    // Those that weigh most are named first.
    parts.sort_by_key(|(state, _)| std::cmp::Reverse(*state));
    if !parts.is_empty() {
        let named: Vec<_> = parts.iter().take(NAMED).map(|(_, said)| said.as_str()).collect();
        words = format!("{words}: {}", named.join(", "));
        if parts.len() > NAMED {
            words = format!("{words} and {} more", parts.len() - NAMED);
        }
    } else if let Some(reason) = reason(top) {
        words = format!("{words}: {reason}");
    }
    Some(Ill { grade: worst.grade(), words: clause(&words), fails: worst > State::Warns })
}

/// The bad state that an object says of itself, with the word as it is there.
fn own_state(object: &Map<String, Value>) -> Option<(State, String)> {
    let mut said = STATES.iter().filter_map(|key| object.get(*key));
    said.find_map(|value| Some((State::of(value)?, clause(value.as_str()?)))).or_else(|| {
        let no = ["healthy", "ok"].iter().find(|key| object.get(**key) == Some(&Value::Bool(false)))?;
        Some((State::Down, format!("{no}: false")))
    })
}

/// Adds every bad component below an object.
fn components(object: &Map<String, Value>, depth: usize, parts: &mut Vec<(State, String)>) {
    if depth == 0 {
        return;
    }
    for held in HOLDERS.iter().filter_map(|key| object.get(*key)) {
        match held {
            Value::Object(named) => named.iter().for_each(|(name, value)| component(name, value, depth, parts)),
            Value::Array(list) => {
                for value in list {
                    let name = ["name", "id", "componentId"].iter().find_map(|key| value.get(*key)?.as_str());
                    component(name.unwrap_or("a check"), value, depth, parts);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

fn component(name: &str, value: &Value, depth: usize, parts: &mut Vec<(State, String)>) {
    match value {
        Value::Object(object) => {
            let before = parts.len();
            components(object, depth - 1, parts);
            // What lies deeper says more than what it lies in.
            if parts.len() == before
                && let Some((state, said)) = own_state(object)
            {
                let why = reason(object).map_or_else(String::new, |why| format!(" ({why})"));
                add(parts, (state, format!("{} is {said}{why}", clause(name))));
            }
        }
        // `checks` of draft-inadarei: each name has a list of measurements.
        Value::Array(list) => list.iter().for_each(|value| component(name, value, depth - 1, parts)),
        Value::String(word) => {
            if let Some(state) = State::of(value) {
                add(parts, (state, format!("{} is {}", clause(name), clause(word))));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn add(parts: &mut Vec<(State, String)>, part: (State, String)) {
    if !parts.contains(&part) {
        parts.push(part);
    }
}

/// Why, as a component says it itself.
fn reason(object: &Map<String, Value>) -> Option<String> {
    let details = object.get("details").and_then(Value::as_object);
    let said = [Some(object), details].into_iter().flatten();
    let mut words = said.flat_map(|object| REASONS.iter().filter_map(|key| object.get(*key)?.as_str()));
    words.find(|word| !word.trim().is_empty()).map(|word| {
        let word = clause(word);
        crate::model::text::truncate(&word, 80).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::{is_page_of, verdict};
    use crate::model::exam::Grade;

    #[test]
    fn bodies_are_taken_at_their_word() {
        let table = [
            (r#"{"status":"UP"}"#, None),
            (r#"{"status":"ok","state":"running"}"#, None),
            (r#"{"items":[{"status":"error"}]}"#, None),
            (r#"["down"]"#, None),
            ("down", None),
            (r#"{"status":"DOWN"}"#, Some((Grade::Critical, "says DOWN", true))),
            (r#"{"health":"Unhealthy"}"#, Some((Grade::Critical, "says Unhealthy", true))),
            (r#"{"state":"failed","message":"no disk"}"#, Some((Grade::Critical, "says failed: no disk", true))),
            (r#"{"healthy":false}"#, Some((Grade::Critical, "says healthy: false", true))),
            (r#"{"status":"warn"}"#, Some((Grade::Warning, "says warn", false))),
            (
                r#"{"status":"degraded","components":{"db":{"status":"DOWN"},"disk":{"status":"UP"}}}"#,
                Some((Grade::Critical, "says degraded: db is DOWN", true)),
            ),
            (
                r#"{"status":"UP","components":{"db":{"status":"UNKNOWN","components":{"main":{"status":"OUT_OF_SERVICE","details":{"error":"refused"}}}}}}"#,
                Some((Grade::Critical, "says: main is OUT_OF_SERVICE (refused)", true)),
            ),
            (
                r#"{"status":"Degraded","entries":{"redis":{"status":"Degraded","description":"slow"}}}"#,
                Some((Grade::Warning, "says Degraded: redis is Degraded (slow)", true)),
            ),
            (
                r#"{"status":"pass","checks":{"cassandra:responseTime":[{"status":"fail","output":"timeout"}]}}"#,
                Some((Grade::Critical, "says: cassandra:responseTime is fail (timeout)", true)),
            ),
            (
                r#"{"status":"DOWN","checks":[{"name":"queue","status":"DOWN"},{"name":"db","status":"UP"}]}"#,
                Some((Grade::Critical, "says DOWN: queue is DOWN", true)),
            ),
            (
                r#"{"status":"error","info":{},"error":{"db":{"status":"down"}},"details":{"db":{"status":"down"}}}"#,
                Some((Grade::Critical, "says error: db is down", true)),
            ),
            (r#"{"services":{"mail":"down"}}"#, Some((Grade::Critical, "says: mail is down", true))),
        ];
        for (body, expected) in table {
            let found = verdict(body.as_bytes());
            let found = found.as_ref().map(|ill| (ill.grade, ill.words.as_str(), ill.fails));
            assert_eq!(found, expected, "{body}");
        }
    }

    #[test]
    fn depth_and_number_of_components_are_bounded() {
        let deep = format!("{}{}{}", r#"{"components":{"a":"#.repeat(60), r#"{"status":"DOWN"}"#, "}}".repeat(60));
        assert_eq!(verdict(deep.as_bytes()), None, "deeper than anyone means it");
        let many: Vec<_> = (0..500).map(|n| format!(r#""s{n}":"down""#)).collect();
        let ill = verdict(format!(r#"{{"services":{{{}}}}}"#, many.join(",")).as_bytes()).unwrap();
        assert!(ill.words.ends_with("and 496 more"), "{}", ill.words);
    }

    #[test]
    fn pages_about_health_are_known_by_their_path() {
        for path in ["/healthz", "/api/Health", "/-/ready", "/livez", "/status?x=1", "/ping"] {
            assert!(is_page_of(path), "{path}");
        }
        for path in ["/", "/users", "/?next=/health"] {
            assert!(!is_page_of(path), "{path}");
        }
    }
}
