//! The document of the interface (`OpenAPI` 3.1), made from the table of routes and from the types that travel. Never written by hand.

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    routes::{Answers, Describe, JSON, Needs, Route, Verb},
    wire::{OLDEST, RefusalBody, VERSION, VERSION_HEADER},
};

/// The document.
pub(super) fn document(table: &[Route]) -> Value {
    let mut said = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .for_serialize()
        .into_generator();
    let mut paths = Map::new();
    for route in table {
        let method = match route.verb {
            Verb::Get => "get",
            Verb::Post => "post",
        };
        let place = paths.entry(route.path).or_insert_with(|| json!({}));
        place[method] = operation(route, &mut said);
    }
    let refusal = said.subschema_for::<RefusalBody>();
    let schemas = said.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "cas",
            "version": VERSION.to_string(),
            "summary": "The engine over HTTP/1.1 on a Unix socket",
            "description": format!(
                "Forms of version {VERSION}; {OLDEST} is understood, too. A client may name its version in the header {VERSION_HEADER}. \
                 Every status from 400 on has a body with one sentence."
            ),
        },
        "servers": [{"url": "http://cas", "description": "curl --unix-socket SOCKET"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {"refusal": {"description": "Refused", "content": {JSON: {"schema": refusal}}}},
        },
    })
}

/// What a client sends: what may be left out is not required, and the forms stand where they are used.
fn taken(describe: Describe) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    describe(&mut settings.for_deserialize().into_generator()).to_value()
}

fn operation(route: &Route, said: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "summary": route.about,
        "operationId": name(route),
        "responses": {"default": {"$ref": "#/components/responses/refusal"}},
    });
    if route.needs == Needs::Hands {
        operation["description"] = json!("Refused (403) on the read-only socket.");
    }
    let parameters = parameters(route);
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    if let Some(body) = route.body {
        operation["requestBody"] = json!({"required": true, "content": {JSON: {"schema": taken(body)}}});
    }
    match &route.answers {
        Answers::Documents(status, kinds) => {
            let mut content = Map::new();
            for (kind, describe) in kinds {
                content.insert((*kind).to_owned(), json!({"schema": describe(said)}));
            }
            operation["responses"][status.as_str()] = json!({"description": route.about, "content": content});
        }
        Answers::Socket { says, takes } => {
            operation["responses"]["101"] = json!({"description": "A WebSocket"});
            operation["x-websocket"] = json!({"client": taken(*takes)});
            if let Some(says) = says {
                operation["x-websocket"]["engine"] = json!(says(said));
            }
        }
        Answers::Nothing => operation["responses"]["204"] = json!({"description": "Done"}),
    }
    operation
}

/// `get-v1-services-project-service`.
fn name(route: &Route) -> String {
    let verb = match route.verb {
        Verb::Get => "get",
        Verb::Post => "post",
    };
    let words = route.path.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    std::iter::once(verb).chain(words).collect::<Vec<_>>().join("-")
}

/// Names in the path, what may stand behind the `?`, and the version.
fn parameters(route: &Route) -> Vec<Value> {
    let names = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = names
        .map(|name| {
            let form = json!({"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"});
            json!({"name": name, "in": "path", "required": true, "schema": form})
        })
        .collect();
    let params = route.params.map(taken).unwrap_or_default();
    let required = params["required"].as_array().cloned().unwrap_or_default();
    for (name, form) in params["properties"].as_object().into_iter().flatten() {
        parameters.push(json!({
            "name": name,
            "in": "query",
            "required": required.iter().any(|needed| needed == name),
            "description": form["description"],
            "schema": form,
        }));
    }
    let form = json!({"type": "integer", "minimum": OLDEST, "maximum": VERSION});
    parameters.push(json!({"name": VERSION_HEADER, "in": "header", "required": false, "schema": form}));
    parameters
}
