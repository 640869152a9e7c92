//! What was learnt from log lines: the table for people, the document for programs, a row for every line.

use std::{
    collections::HashMap,
    io::{self, Write},
};

use serde_json::{Value, json};

use crate::{
    cli::{
        paint::{Paint, Tone},
        table::{Cell, Side, Table},
        text::{plain, truncate},
    },
    insight::templates::{Miner, Template, TemplateId},
};

/// Columns that count and share take.
const BEFORE: usize = 18;

/// The most frequent first; of equals, the one that was there first.
fn by_count(miner: &Miner) -> Vec<&Template> {
    let mut templates = miner.templates();
    templates.sort_by_key(|template| std::cmp::Reverse(template.count()));
    templates
}

fn share(template: &Template, lines: u64) -> f64 {
    if lines == 0 { 0.0 } else { template.count() as f64 / lines as f64 }
}

fn text_of(template: &Template) -> String {
    let text = template.text();
    if template.id() == TemplateId::REST {
        "(templates that were too many to keep)".to_owned()
    } else if text.is_empty() {
        "(empty line)".to_owned()
    } else {
        text
    }
}

/// One row a template. On a terminal the template has half of what the numbers leave, and the example the rest.
#[must_use]
pub fn table(miner: &Miner, lines: u64, top: usize, paint: Paint, columns: Option<u16>) -> String {
    let mut table = Table::new(&[
        ("COUNT", Side::Right),
        ("SHARE", Side::Right),
        ("TEMPLATE", Side::Left),
        ("EXAMPLE", Side::Left),
    ]);
    let room = columns.map_or(usize::MAX, |columns| (usize::from(columns).saturating_sub(BEFORE) / 2).max(20));
    for template in by_count(miner).into_iter().take(top) {
        table.push(vec![
            Cell::new(Tone::Strong, &template.count().to_string()),
            Cell::new(Tone::Plain, &format!("{:.1} %", 100.0 * share(template, lines))),
            Cell::new(Tone::Plain, &truncate(&plain(&text_of(template)), room)),
            Cell::new(Tone::Dim, template.example()),
        ]);
    }
    table.render(paint, columns)
}

/// How much was folded into how much.
#[must_use]
pub fn summary(miner: &Miner, lines: u64) -> String {
    let templates = miner.templates().len();
    let counted = |count: u64, thing: &str| format!("{count} {thing}{}", if count == 1 { "" } else { "s" });
    format!("{}, {}", counted(lines, "line"), counted(templates as u64, "template"))
}

/// What `--json` prints.
#[must_use]
pub fn document(miner: &Miner, lines: u64, top: usize) -> Value {
    let one = |template: &Template| {
        json!({
            "id": template.id().number(), "count": template.count(), "share": share(template, lines),
            "template": text_of(template), "example": template.example(),
        })
    };
    let templates: Vec<Value> = by_count(miner).into_iter().take(top).map(one).collect();
    json!({ "lines": lines, "templates": templates })
}

/// A row for every line, in the form that scorers of log parsers read.
///
/// # Errors
/// That `out` cannot be written.
pub fn csv(miner: &Miner, ids: impl Iterator<Item = TemplateId>, out: &mut impl Write) -> io::Result<()> {
    let mut endings: HashMap<TemplateId, String> = HashMap::new();
    out.write_all(b"LineId,EventId,EventTemplate\n")?;
    for (line, id) in (1_u64..).zip(ids) {
        let ending = endings.entry(id).or_insert_with(|| {
            let template = miner.template(id);
            format!(",E{},\"{}\"\n", template.id().number(), plain(&template.text()).replace('"', "\"\""))
        });
        write!(out, "{line}{ending}")?;
    }
    Ok(())
}
