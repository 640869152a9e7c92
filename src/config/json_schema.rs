//! JSON Schema (draft 2020-12) of the files, for editors. Promise: it comes from the table that the reader itself uses, and has every key of it.
//! Never: says what only the reader can know, such as whether a program exists.

use serde_json::{Map, Value, json};

use super::schema::{self, Foreign, Table, Word};
use crate::model::attributes::Resource;

/// Any text that has a variable in it: what it will be is not known here.
const FILLED_IN: &str = "\\$";
const TRUTH: &str = "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[Yy][Ee][Ss]|[Nn][Oo]|[Oo][Nn]|[Oo][Ff][Ff])$";
const DURATION: &str = "^\\s*([0-9]+(\\.[0-9]+)?\\s*[a-zA-Zµ]*\\s*)+$";
const SIZE: &str = "^\\s*[0-9]+(\\.[0-9]+)?\\s*([kKmMgGtT]([iI]?[bB])?|[bB])?\\s*$";
const NUMBER: &str = "^\\s*[0-9]+(\\.[0-9]+)?\\s*$";
const SIGNAL: &str = "^([Ss][Ii][Gg])?[A-Za-z0-9+-]+$";
const SERVICE_NAME: &str = "^[A-Za-z0-9][A-Za-z0-9._-]*$";

/// Maps that other maps refer to by name.
const SHARED: [(&str, &Table); 45] = [
    ("service", &schema::SERVICE),
    ("defaults", &schema::DEFAULTS),
    ("logs", &schema::LOGS),
    ("log_file", &schema::LOG_FILE),
    ("rotate", &schema::ROTATE),
    ("backoff", &schema::BACKOFF),
    ("deploy", &schema::DEPLOY),
    ("resources", &schema::RESOURCES),
    ("limits", &schema::LIMITS),
    ("build", &schema::BUILD),
    ("joined", &schema::JOINED),
    ("probe", &schema::PROBE),
    ("http", &schema::HTTP),
    ("deep", &schema::DEEP),
    ("threshold", &schema::THRESHOLD),
    ("remedy", &schema::REMEDY),
    ("check", &schema::CHECK),
    ("token", &schema::TOKEN),
    ("receiver", &schema::RECEIVER),
    ("storage", &schema::STORAGE),
    ("keep", &schema::KEEP),
    ("fresh", &schema::FRESH),
    ("queue", &schema::QUEUE),
    ("healthcheck", &schema::HEALTHCHECK),
    ("hook", &schema::HOOK),
    ("dependency", &schema::DEPENDENCY),
    ("secret", &schema::SECRET),
    ("schedule", &schema::SCHEDULE),
    ("watch", &schema::WATCH),
    ("action", &schema::ACTION),
    ("env_file", &schema::ENV_FILE),
    ("port", &schema::PORT),
    ("api", &schema::API),
    ("mask", &schema::MASK),
    ("log_format", &schema::LOG_FORMAT),
    ("alerts", &schema::ALERTS),
    ("route", &schema::ROUTE),
    ("rule", &schema::RULE),
    ("webhook", &schema::WEBHOOK),
    ("pager", &schema::PAGER),
    ("telegram", &schema::TELEGRAM),
    ("ntfy", &schema::NTFY),
    ("email", &schema::EMAIL),
    ("quiet_hours", &schema::QUIET_HOURS),
    ("send_to", &schema::SEND_TO),
];

/// Those of them that the user's file has, too.
const OF_USERS: [&str; 13] = [
    "api",
    "mask",
    "log_format",
    "alerts",
    "route",
    "rule",
    "webhook",
    "pager",
    "telegram",
    "ntfy",
    "email",
    "quiet_hours",
    "send_to",
];

/// The schema of `cas.yaml`, or with `user` that of the user's `config.yaml`.
#[must_use]
pub fn json_schema(user: bool) -> Value {
    let (title, table) = if user { ("config.yaml of cas", &schema::USER) } else { ("cas.yaml", &schema::PROJECT) };
    let mut root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
    });
    let mut body = map_of(table);
    if let (Some(root), Some(body)) = (root.as_object_mut(), body.as_object_mut()) {
        if user {
            root.append(body);
            let shared = SHARED.iter().filter(|(name, _)| OF_USERS.contains(name));
            let defs: Map<String, Value> = shared.map(|(name, table)| ((*name).to_owned(), map_of(table))).collect();
            root.insert("$defs".to_owned(), Value::Object(defs));
        } else {
            body.insert("required".to_owned(), json!(["services"]));
            root.append(body);
            let shared = SHARED.iter().filter(|(name, _)| !["api", "mask", "log_format"].contains(name));
            let defs: Map<String, Value> = shared.map(|(name, table)| ((*name).to_owned(), map_of(table))).collect();
            root.insert("$defs".to_owned(), Value::Object(defs));
        }
    }
    root
}

/// The keys of one kind of map.
fn map_of(table: &Table) -> Value {
    let mut properties = Map::new();
    for word in table.words {
        let mut property = form(word).unwrap_or_else(|| json!({}));
        if let Some(property) = property.as_object_mut() {
            property.insert("description".to_owned(), json!(word.about));
        }
        properties.insert(word.name.to_owned(), property);
    }
    for (name, foreign) in table.foreign {
        let about = match foreign {
            Foreign::Unused(why) => format!("Not used: {why}."),
            Foreign::Refused(_) => continue,
        };
        properties.insert((*name).to_owned(), json!({ "description": about, "deprecated": true }));
    }
    json!({
        "type": ["object", "null"],
        "properties": properties,
        "patternProperties": { "^x-": {} },
        "additionalProperties": false,
    })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn scalar() -> Value {
    json!({ "type": ["string", "number", "boolean", "null"] })
}

/// One of several, a text with a variable, or nothing.
fn any_of(mut forms: Vec<Value>) -> Value {
    forms.push(json!({ "type": "string", "pattern": FILLED_IN }));
    forms.push(json!({ "type": "null" }));
    json!({ "anyOf": forms })
}

fn list_of(item: &Value) -> Value {
    json!({ "type": "array", "items": item })
}

fn map_to(value: &Value) -> Value {
    json!({ "type": "object", "additionalProperties": value })
}

fn matching(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

fn number_from(least: u32, most: Option<u32>) -> Value {
    let mut number = json!({ "type": "integer", "minimum": least });
    if let (Some(most), Some(number)) = (most, number.as_object_mut()) {
        number.insert("maximum".to_owned(), json!(most));
    }
    any_of(vec![number, matching("^\\s*[0-9]+\\s*$")])
}

/// What the words of a form mean; none for words that are not known here.
#[expect(clippy::too_many_lines, reason = "one table")]
fn form(word: &Word) -> Option<Value> {
    Some(match (word.name, word.form) {
        ("env_file", _) => any_of(vec![scalar(), list_of(&json!({ "anyOf": [scalar(), reference("env_file")] }))]),
        ("depends_on", _) => any_of(vec![list_of(&scalar()), map_to(&reference("dependency"))]),
        ("ports", _) => any_of(vec![list_of(&json!({ "anyOf": [scalar(), reference("port")] }))]),
        (_, "map of name to service") => json!({
            "type": "object",
            "minProperties": 1,
            "propertyNames": { "pattern": SERVICE_NAME },
            "additionalProperties": reference("service"),
        }),
        (_, "hook") => {
            let one = json!({ "anyOf": [scalar(), list_of(&scalar()), reference("hook")] });
            any_of(vec![scalar(), list_of(&one), reference("hook")])
        }
        (_, "map of variable to source") => any_of(vec![map_to(&reference("secret")), list_of(&scalar())]),
        (_, "map of action to key or list of keys") => {
            any_of(vec![map_to(&json!({ "anyOf": [scalar(), list_of(&scalar())] }))])
        }
        ("ulimits", _) => {
            let both = json!({ "type": "object", "properties": { "soft": scalar(), "hard": scalar() }, "additionalProperties": false });
            let names = Resource::ALL.map(Resource::label);
            json!({
                "type": ["object", "null"],
                "propertyNames": { "enum": names },
                "additionalProperties": { "anyOf": [scalar(), both] },
            })
        }
        (_, "octal number, quoted") => any_of(vec![matching("^(0o)?[0-7]{1,4}$"), number_from(0, Some(777))]),
        (_, "-20 to 19") => {
            any_of(vec![json!({ "type": "integer", "minimum": -20, "maximum": 19 }), matching("^\\s*-?[0-9]+\\s*$")])
        }
        ("volumes", _) => any_of(vec![list_of(&json!({ "anyOf": [scalar(), { "type": "object" }] }))]),
        ("networks", _) => any_of(vec![list_of(&scalar()), map_to(&any_of(vec![reference("joined")]))]),
        ("build", "text or map") => any_of(vec![scalar(), reference("build")]),
        ("schedule", "text or map") => any_of(vec![scalar(), reference("schedule")]),
        ("watch", "text, list or map") => any_of(vec![scalar(), list_of(&scalar()), reference("watch")]),
        (_, "list of log files") => {
            any_of(vec![scalar(), list_of(&json!({ "anyOf": [scalar(), reference("log_file")] }))])
        }
        (_, "kind, or none") => scalar(),
        (_, "true, false or map") => any_of(vec![json!({ "type": "boolean" }), matching(TRUTH), reference("deep")]),
        (_, "map of figure to thresholds") => any_of(vec![map_to(&reference("threshold"))]),
        (_, "number, share, size or time" | "host:port, or file") => scalar(),
        (_, "map of name to check") => any_of(vec![map_to(&reference("check"))]),
        (_, "map of source") => reference("token"),
        (_, "URL, or webhook") => any_of(vec![scalar(), reference("receiver")]),
        (_, "map of storage") => reference("storage"),
        (_, "map of data") => reference("fresh"),
        (_, "URL, or queue") => any_of(vec![scalar(), reference("queue")]),
        (_, "duration, or newest") => any_of(vec![json!({ "type": "number" }), matching(DURATION), reference("keep")]),
        (_, "list of formats") => any_of(vec![list_of(&reference("log_format"))]),
        (_, "list of remedies") => {
            let words = json!({ "enum": ["restart", "restart-with-dependents", "recreate"] });
            any_of(vec![list_of(&json!({ "anyOf": [words, reference("remedy")] }))])
        }
        ("action", _) => any_of(vec![json!({ "enum": ["restart"] }), reference("action")]),
        (_, "map of name to route") => {
            any_of(vec![map_to(&json!({ "anyOf": [reference("route"), json!({ "enum": ["off", false, null] })] }))])
        }
        (_, "map of rule to change" | "map of pattern to change") => {
            any_of(vec![map_to(&json!({ "anyOf": [scalar(), reference("rule")] }))])
        }
        (_, "map of name to value") => any_of(vec![map_to(&scalar())]),
        (_, "list, or {warning, critical}") => any_of(vec![scalar(), list_of(&scalar()), reference("send_to")]),
        (_, "hours, or {hours, days, timezone}") => any_of(vec![scalar(), reference("quiet_hours")]),
        (_, "key, or {key, url}") => any_of(vec![scalar(), reference("pager")]),
        (_, "URL, or {url, method, headers, body}") => any_of(vec![scalar(), reference("webhook")]),
        (_, "URL, or {url, token}") => any_of(vec![scalar(), reference("ntfy")]),
        ("telegram" | "email", _) => any_of(vec![reference(word.name)]),
        (_, "hours" | "duration, or off" | "address" | "host, or host:port") => scalar(),
        ("desktop" | "severity", form) => {
            let words: Vec<Value> = form.split(", ").map(|word| json!(word)).chain([json!(false)]).collect();
            any_of(vec![json!({ "enum": words })])
        }
        (_, "list") => any_of(vec![list_of(&scalar())]),
        (name, "map") => reference(name),
        (_, "probe") => reference("probe"),
        (_, "URL, or {url, status}") => any_of(vec![scalar(), reference("http")]),
        (_, "map or list") => any_of(vec![map_to(&scalar()), list_of(&scalar())]),
        (_, "text or list") => any_of(vec![scalar(), list_of(&scalar())]),
        (_, "text" | "user, or user:group" | "cron expression" | "directory" | "file" | "regex" | "URL" | "key") => {
            scalar()
        }
        (_, "port, or host:port" | "port" | "port or range") => {
            any_of(vec![json!({ "type": "integer", "minimum": 1, "maximum": 65535 }), json!({ "type": "string" })])
        }
        (_, "true or false" | "on or off") => any_of(vec![json!({ "type": "boolean" }), matching(TRUTH)]),
        (_, "duration") => any_of(vec![json!({ "type": "number", "minimum": 0 }), matching(DURATION)]),
        (_, "size") => any_of(vec![json!({ "type": "number", "minimum": 0 }), matching(SIZE)]),
        (_, "number") => any_of(vec![json!({ "type": "number", "exclusiveMinimum": 0 }), matching(NUMBER)]),
        ("factor", _) => any_of(vec![json!({ "type": "number", "minimum": 1 }), matching(NUMBER)]),
        (_, "signal") => any_of(vec![json!({ "type": "integer", "minimum": 1 }), matching(SIGNAL)]),
        (_, "tcp or udp") => any_of(vec![json!({ "enum": ["tcp", "udp"] })]),
        (_, form) => match form.strip_prefix("number from ") {
            Some(range) => {
                let (least, most) = range.split_once(" to ").map_or((range, None), |(a, b)| (a, Some(b)));
                number_from(least.parse().ok()?, most.and_then(|most| most.parse().ok()))
            }
            None => words(form)?,
        },
    })
}

/// `no, on-failure, on-failure:N`: the words themselves, and a pattern for each that has a number.
fn words(form: &str) -> Option<Value> {
    let words: Vec<&str> = form.split(", ").collect();
    let is_word = |word: &&str| word.chars().all(|c| c.is_ascii_alphanumeric() || "-_:".contains(c));
    if words.len() < 2 || !words.iter().all(is_word) {
        return None;
    }
    let (open, closed): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.ends_with(":N"));
    let patterns = open.iter().map(|word| matching(&format!("^{}[ ]*[1-9][0-9]*$", word.trim_end_matches('N'))));
    Some(any_of(std::iter::once(json!({ "enum": closed })).chain(patterns).collect()))
}

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum")]
mod tests {
    use std::collections::BTreeSet;

    use regex::Regex;
    use serde_json::{Value, json};

    use super::{SHARED, form, json_schema};
    use crate::config::{
        schema::{self, Table},
        tree::{self, Node, Shape},
    };

    /// As YAML's core schema understands it.
    fn value(node: &Node) -> Value {
        match &node.shape {
            Shape::Scalar { .. } if node.is_null() => Value::Null,
            Shape::Scalar { text, plain: true } => match &**text {
                "true" | "True" | "TRUE" => json!(true),
                "false" | "False" | "FALSE" => json!(false),
                text => match (text.parse::<i64>(), text.parse::<f64>()) {
                    (Ok(number), _) => json!(number),
                    (_, Ok(number)) if text.starts_with(|c: char| c.is_ascii_digit()) => json!(number),
                    _ => json!(text),
                },
            },
            Shape::Scalar { text, plain: false } => json!(&**text),
            Shape::List(items) => items.iter().map(|item| value(item)).collect(),
            Shape::Map(entries) => {
                Value::Object(entries.iter().map(|(key, node)| (key.text.to_string(), value(node))).collect())
            }
        }
    }

    fn is_of(type_name: &str, value: &Value) -> bool {
        match type_name {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("a type that is not known: {other}"),
        }
    }

    /// The keywords that the schema uses, and no other.
    fn wrong(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let mut faults = Vec::new();
        for (keyword, what) in schema.as_object().unwrap() {
            let fine = match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" | "deprecated" | "patternProperties" => true,
                "$ref" => {
                    let name = what.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                    faults.extend(wrong(root, &root["$defs"][name], value, at));
                    true
                }
                "type" => match what {
                    Value::String(name) => is_of(name, value),
                    names => names.as_array().unwrap().iter().any(|name| is_of(name.as_str().unwrap(), value)),
                },
                "enum" => what.as_array().unwrap().contains(value),
                "pattern" => {
                    value.as_str().is_none_or(|text| Regex::new(what.as_str().unwrap()).unwrap().is_match(text))
                }
                "minimum" => value.as_f64().is_none_or(|number| number >= what.as_f64().unwrap()),
                "maximum" => value.as_f64().is_none_or(|number| number <= what.as_f64().unwrap()),
                "exclusiveMinimum" => value.as_f64().is_none_or(|number| number > what.as_f64().unwrap()),
                "anyOf" => what.as_array().unwrap().iter().any(|one| wrong(root, one, value, at).is_empty()),
                "required" => value.as_object().is_none_or(|map| {
                    what.as_array().unwrap().iter().all(|key| map.contains_key(key.as_str().unwrap()))
                }),
                "minProperties" => value.as_object().is_none_or(|map| map.len() as u64 >= what.as_u64().unwrap()),
                "propertyNames" => value
                    .as_object()
                    .is_none_or(|map| map.keys().all(|key| wrong(root, what, &json!(key), at).is_empty())),
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        faults.extend(wrong(root, what, item, &format!("{at}[{index}]")));
                    }
                    true
                }
                "properties" => {
                    for (key, item) in value.as_object().into_iter().flatten() {
                        if let Some(schema) = what.get(key) {
                            faults.extend(wrong(root, schema, item, &format!("{at}.{key}")));
                        }
                    }
                    true
                }
                "additionalProperties" => {
                    for (key, item) in value.as_object().into_iter().flatten() {
                        if key.starts_with("x-") || schema["properties"].get(key).is_some() {
                            continue;
                        }
                        match what {
                            Value::Bool(false) => faults.push(format!("{at}: {key} is no key")),
                            schema => faults.extend(wrong(root, schema, item, &format!("{at}.{key}"))),
                        }
                    }
                    true
                }
                other => panic!("a keyword that is not known: {other}"),
            };
            if !fine {
                faults.push(format!("{at}: {value} is not {keyword} {what}"));
            }
        }
        faults
    }

    fn check(user: bool, yaml: &str) -> Vec<String> {
        let tree = tree::parse(yaml);
        let schema = json_schema(user);
        wrong(&schema, &schema, &value(&tree.root.unwrap()), "")
    }

    #[test]
    fn every_key_of_every_table_is_in_it_with_a_form_that_is_understood() {
        let all = |user: bool| {
            let schema = json_schema(user);
            let names = |map: &Value| map["properties"].as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
            (names(&schema), schema)
        };
        let has = |names: &BTreeSet<String>, table: &Table| table.words.iter().all(|word| names.contains(word.name));
        let ((project, of_project), (user, of_user)) = (all(false), all(true));
        assert!(has(&project, &schema::PROJECT) && has(&user, &schema::USER));
        for (name, table) in SHARED {
            let document = if ["api", "mask", "log_format"].contains(&name) { &of_user } else { &of_project };
            let own = document["$defs"][name]["properties"].as_object().unwrap_or_else(|| panic!("{name}"));
            let names: BTreeSet<String> = own.keys().cloned().collect();
            assert!(has(&names, table), "{name}");
        }
        for table in SHARED.iter().map(|(_, table)| *table).chain([&schema::PROJECT, &schema::USER]) {
            for word in table.words {
                assert!(form(word).is_some(), "json_schema::form does not know \"{}\" of {}", word.form, word.name);
            }
        }
        for document in [&of_project, &of_user] {
            let text = document.to_string();
            for reference in text.split("#/$defs/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
                assert!(document["$defs"].get(reference).is_some(), "{reference} is not defined");
            }
        }
    }

    #[test]
    fn what_cas_writes_and_shows_as_examples_is_valid() {
        let page = include_str!("../../docs/cas-yaml.md");
        let examples = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let init = include_str!("../../assets/init.yaml");
        let lines = init.lines().skip_while(|line| !line.starts_with("#  api:"));
        let commented = lines.map(|line| line.trim_start_matches('#')).collect::<Vec<_>>().join("\n");
        assert!(commented.contains("readiness"), "{commented}");
        let template = format!("services:\n{commented}");
        for yaml in examples.chain([include_str!("../../assets/demo/cas.yaml"), &template]) {
            assert_eq!(check(false, yaml), [] as [&str; 0], "{yaml}");
        }
        let whole = "theme: nord\nmouse: no\nauto_heal: off\nkeys: {quit: [q, ctrl-c], help: '?', top: ~}\n\
                     alert_level: all\nretry_strategy: linear\nmax_restarts: 5\napi: {group: ops}\ndetach_key: ctrl-]\n";
        assert_eq!(check(true, whole), [] as [&str; 0]);
    }

    #[test]
    fn what_the_reader_refuses_by_its_form_is_invalid() {
        for yaml in [
            "servces: {web: {command: x}}",
            "services: {web: {comand: x}}",
            "services: {web: {command: x, restart: sometimes}}",
            "services: {web: {command: x, restart: on-failure:0}}",
            "services: {web: {command: x, stop_grace_period: soon}}",
            "services: {web: {command: x, mem_limit: lots}}",
            "services: {web: {command: x, autostart: maybe}}",
            "services: {web: {command: x, pids_limit: 0}}",
            "services: {web: {command: x, backoff: {strategy: cubic}}}",
            "services: {web: {command: x, readiness: {tpc: 80}}}",
            "services: {web: {command: x, depends_on: {db: {condition: up}}}}",
            "services: {\"a b\": {command: x}}",
            "services: {}",
            "name: shop",
        ] {
            assert_ne!(check(false, yaml), [] as [&str; 0], "{yaml}");
        }
        for yaml in ["them: nord", "mouse: maybe", "alert_level: loud", "api: {grup: x}", "max_restarts: -1"] {
            assert_ne!(check(true, yaml), [] as [&str; 0], "{yaml}");
        }
    }

    #[test]
    fn a_variable_may_stand_for_anything() {
        let yaml =
            "services: {web: {command: x, restart: '${R:-no}', autostart: $A, pids_limit: '${P}', x-mine: {a: 1}}}";
        assert_eq!(check(false, yaml), [] as [&str; 0]);
    }
}
