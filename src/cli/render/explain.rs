//! What is known of services, and from where.

use std::{fmt::Write as _, path::Path};

use serde_json::{Value as Json, json};

use crate::{
    cli::{
        paint::{Paint, Tone},
        table::{Cell, Side, Table},
        text::plain,
    },
    config::{Explained, ExplainedNeed, Explanation},
    model::{phase::PortHolder, service::Source},
};

/// For people: each service with its tellings, values and disagreements; then what the code needs.
#[must_use]
pub fn text(explanation: &Explanation, listening: &[PortHolder], paint: Paint, columns: Option<u16>) -> String {
    let mut text = String::new();
    for service in &explanation.services {
        if !text.is_empty() {
            text.push('\n');
        }
        one(&mut text, &explanation.root, service, paint, columns);
    }
    if text.is_empty() {
        text.push_str("nothing tells a service here\n");
    }
    needs(&mut text, explanation, listening, paint, columns);
    text
}

fn one(text: &mut String, root: &Path, service: &Explained, paint: Paint, columns: Option<u16>) {
    let standing = match (service.is_taken, service.runs) {
        (true, true) => "",
        (_, false) | (false, true) => "  told, and not taken: other files list what is to run here",
    };
    text.push_str(&paint.text(Tone::Strong, &plain(&service.name)));
    text.push_str(&paint.text(Tone::Dim, standing));
    text.push('\n');
    for told in &service.sources {
        let (mark, tone) = if told.is_run { ("●", Tone::Good) } else { ("○", Tone::Dim) };
        let line = format!("{}  {} ({})", told.tool, told.what, place(root, &told.source));
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(text, "  {} {}", paint.text(tone, mark), plain(&line));
    }
    for conflict in &service.conflicts {
        let line = format!(
            "{}: {} at {} is taken, {} at {} is not",
            conflict.key,
            conflict.taken.value,
            place(root, &conflict.taken.source),
            conflict.left.value,
            place(root, &conflict.left.source),
        );
        let _ = writeln!(text, "  {} {}", paint.text(Tone::Warning, "▲"), plain(&line));
    }
    for (misses, better) in &service.doubts {
        let line = format!("{misses}; better: {better}");
        let _ = writeln!(text, "  {} {}", paint.text(Tone::Warning, "▲"), plain(&line));
    }
    let mut table = Table::new(&[("  KEY", Side::Left), ("FROM", Side::Left), ("VALUE", Side::Left)]);
    for value in &service.values {
        let from = match (&value.source, value.is_default) {
            (Some(source), false) => place(root, source),
            (Some(source), true) => format!("{} defaults", place(root, source)),
            (None, _) => "built in".to_owned(),
        };
        let tone = if value.source.is_some() { Tone::Plain } else { Tone::Dim };
        table.push(vec![
            Cell::new(tone, &format!("  {}", value.key)),
            Cell::new(Tone::Dim, &from),
            Cell::new(tone, &value.value),
        ]);
    }
    text.push_str(&table.render(paint, columns));
}

fn needs(text: &mut String, explanation: &Explanation, listening: &[PortHolder], paint: Paint, columns: Option<u16>) {
    if explanation.needs.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{}", paint.text(Tone::Strong, "What the code expects to be there"));
    let mut table =
        Table::new(&[("  VARIABLE", Side::Left), ("WHAT", Side::Left), ("FROM", Side::Left), ("THERE", Side::Left)]);
    for ExplainedNeed { need, offered } in &explanation.needs {
        let at = need.endpoint.as_ref().map_or_else(String::new, |endpoint| format!(" at {endpoint}"));
        let from = need.sources.first().map_or_else(String::new, |source| place(&explanation.root, source));
        let listens = holder(need.endpoint.as_deref(), listening);
        let there = match (offered, listens) {
            (Some(by), Some(holder)) => {
                (Tone::Good, format!("{} ({}); {holder}", by.service, place(&explanation.root, &by.source)))
            }
            (Some(by), None) => (Tone::Plain, format!("{} ({})", by.service, place(&explanation.root, &by.source))),
            (None, Some(holder)) => (Tone::Good, holder),
            (None, None) => (Tone::Warning, "nothing here offers it".to_owned()),
        };
        table.push(vec![
            Cell::new(Tone::Plain, &format!("  {}", need.variable)),
            Cell::new(Tone::Plain, &format!("{}{at}", need.kind.label())),
            Cell::new(Tone::Dim, &from),
            Cell::new(there.0, &there.1),
        ]);
    }
    text.push_str(&table.render(paint, columns));
}

fn holder(endpoint: Option<&str>, listening: &[PortHolder]) -> Option<String> {
    let (_, port) = endpoint?.rsplit_once(':')?;
    let holder = listening.iter().find(|holder| holder.port.to_string() == port)?;
    Some(holder.to_string())
}

fn place(root: &Path, source: &Source) -> String {
    format!("{}:{}", source.file.strip_prefix(root).unwrap_or(&source.file).display(), source.line)
}

/// `{"root", "services": […], "needs": […]}`; `docs/cli.md` describes it.
#[must_use]
pub fn document(explanation: &Explanation, listening: &[PortHolder]) -> Json {
    let source = |source: &Source| source.to_string();
    let service = |service: &Explained| {
        json!({
            "name": service.name,
            "taken": service.is_taken,
            "runs": service.runs,
            "sources": service.sources.iter().map(|told| json!({
                "tool": told.tool,
                "source": source(&told.source),
                "what": told.what,
                "run": told.is_run,
            })).collect::<Vec<_>>(),
            "values": service.values.iter().map(|value| json!({
                "key": value.key,
                "value": value.value,
                "source": value.source.as_ref().map(source),
                "default": value.is_default,
            })).collect::<Vec<_>>(),
            "doubts": service.doubts.iter().map(|(misses, better)| json!({
                "misses": misses,
                "better": better,
            })).collect::<Vec<_>>(),
            "conflicts": service.conflicts.iter().map(|conflict| json!({
                "key": conflict.key,
                "taken": {"value": conflict.taken.value, "source": source(&conflict.taken.source)},
                "left": {"value": conflict.left.value, "source": source(&conflict.left.source)},
            })).collect::<Vec<_>>(),
        })
    };
    let need = |needed: &ExplainedNeed| {
        json!({
            "variable": needed.need.variable,
            "kind": needed.need.kind.label(),
            "endpoint": needed.need.endpoint,
            "sources": needed.need.sources.iter().map(source).collect::<Vec<_>>(),
            "offered_by": needed.offered.as_ref().map(|by| json!({"service": by.service, "source": source(&by.source)})),
            "listening": holder(needed.need.endpoint.as_deref(), listening),
        })
    };
    json!({
        "root": explanation.root,
        "services": explanation.services.iter().map(service).collect::<Vec<_>>(),
        "needs": explanation.needs.iter().map(need).collect::<Vec<_>>(),
    })
}
