//! What takes up space on Docker's disk: the table for people, the document for programs.

use serde_json::{Value, json};

use crate::{
    cli::{
        paint::{Paint, Tone},
        table::{Cell, Side, Table},
        text::plain,
    },
    model::deed::{Amount, DiskUse, Thing, ThingKind, size},
};

/// One row a kind, or one a thing.
#[must_use]
pub fn table(disk: &DiskUse, verbose: bool, paint: Paint, columns: Option<u16>) -> String {
    let mut text = if verbose { things(disk, paint, columns) } else { kinds(disk, paint, columns) };
    let spare = Amount::of(disk.things.iter().filter(|thing| !thing.is_used));
    let (tone, line) = if spare.count == 0 {
        (Tone::Dim, "everything is used".to_owned())
    } else {
        (Tone::Plain, format!("{} could be had back: cas prune --dry-run says what it would remove", amount(spare)))
    };
    text.push_str(&paint.text(tone, &line));
    text.push('\n');
    text
}

fn kinds(disk: &DiskUse, paint: Paint, columns: Option<u16>) -> String {
    let mut table = Table::new(&[
        ("KIND", Side::Left),
        ("COUNT", Side::Right),
        ("USED", Side::Right),
        ("SIZE", Side::Right),
        ("NOT USED", Side::Right),
    ]);
    for kind in ThingKind::ALL {
        let (all, spare) = (Amount::of(disk.of(kind)), Amount::of(disk.of(kind).filter(|thing| !thing.is_used)));
        let whole = match (kind, disk.layers) {
            // Layers that images share are there once.
            (ThingKind::Images, Some(layers)) => size(layers),
            _other => amount(all),
        };
        let tone = if spare.bytes > 0 { Tone::Warning } else { Tone::Dim };
        table.push(vec![
            Cell::new(Tone::Strong, kind.label()),
            Cell::new(Tone::Plain, &all.count.to_string()),
            Cell::new(Tone::Plain, &(all.count - spare.count).to_string()),
            Cell::new(Tone::Plain, &whole),
            Cell::new(tone, &amount(spare)),
        ]);
    }
    table.render(paint, columns)
}

fn things(disk: &DiskUse, paint: Paint, columns: Option<u16>) -> String {
    let mut table = Table::new(&[
        ("KIND", Side::Left),
        ("NAME", Side::Left),
        ("SIZE", Side::Right),
        ("USED", Side::Left),
        ("PROJECT", Side::Left),
    ]);
    for thing in &disk.things {
        table.push(vec![
            Cell::new(Tone::Dim, thing.kind.one()),
            Cell::new(Tone::Strong, &plain(&thing.name)),
            Cell::new(Tone::Plain, &thing.bytes.map_or_else(|| "?".to_owned(), size)),
            Cell::new(if thing.is_used { Tone::Good } else { Tone::Dim }, if thing.is_used { "yes" } else { "no" }),
            Cell::new(Tone::Dim, &plain(thing.project.as_deref().unwrap_or("-"))),
        ]);
    }
    table.render(paint, columns)
}

/// `1.2 GB`, `1.2 GB or more` where some are not known.
fn amount(amount: Amount) -> String {
    match (amount.unknown, amount.count) {
        (0, _) => size(amount.bytes),
        (unknown, count) if unknown == count => "?".to_owned(),
        _some => format!("{} or more", size(amount.bytes)),
    }
}

/// The document: `layers_bytes`, `kinds` by name with `all` and `not_used`, and `things`.
#[must_use]
pub fn document(disk: &DiskUse) -> Value {
    let of = |kind: ThingKind| {
        let all = Amount::of(disk.of(kind));
        let spare = Amount::of(disk.of(kind).filter(|thing: &&Thing| !thing.is_used));
        (kind.label().to_owned(), json!({ "all": all, "not_used": spare }))
    };
    let kinds: serde_json::Map<String, Value> = ThingKind::ALL.into_iter().map(of).collect();
    json!({ "layers_bytes": disk.layers, "kinds": kinds, "things": disk.things })
}
