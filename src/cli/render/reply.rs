//! What the door said.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    cli::{
        paint::{Paint, Tone},
        text,
    },
    model::{
        command::Command,
        policy::{Plan, Reply, Risk},
        snapshot::ServiceView,
    },
};

/// A plan for people: its title, then its steps.
#[must_use]
pub fn plan(plan: &Plan, paint: Paint) -> String {
    let tone = match plan.risk {
        Risk::Reversible => Tone::Good,
        Risk::Disruptive => Tone::Warning,
        Risk::Irreversible => Tone::Bad,
    };
    let mut shown = format!("{} {}\n", paint.text(tone, &text::plain(&plan.title)), risk(plan.risk));
    for step in &plan.steps {
        let _infallible = writeln!(shown, "  {}", text::plain(step));
    }
    shown
}

const fn risk(risk: Risk) -> &'static str {
    match risk {
        Risk::Reversible => "(reversible)",
        Risk::Disruptive => "(disruptive)",
        Risk::Irreversible => "(cannot be undone)",
    }
}

/// `{"command", "reply", …, "services": [{name, phase, health, why}]}`; `services` only where it was waited for them.
#[must_use]
pub fn document(command: &Command, reply: &Reply, settled: Option<&[&ServiceView]>) -> Value {
    let mut document = json!({ "command": command.to_line() });
    let said = serde_json::to_value(reply).unwrap_or(Value::Null);
    if let (Some(fields), Value::Object(said)) = (document.as_object_mut(), said) {
        fields.extend(said);
        if let Some(services) = settled {
            let services: Vec<Value> = services.iter().map(|view| service(view)).collect();
            fields.insert("services".to_owned(), Value::Array(services));
        }
    }
    document
}

fn service(view: &ServiceView) -> Value {
    json!({
        "project": view.id.project,
        "name": view.id.service,
        "revision": view.revision,
        "phase": view.phase.label(),
        "health": view.health.label(),
        "pid": view.pid,
        "why": view.why,
    })
}
