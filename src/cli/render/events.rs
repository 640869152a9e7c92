//! Entries of the timeline as lines: when, about whom, what, why, by whom; last words below.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    cli::{
        context::Zone,
        paint::{Paint, Tone},
        text,
        when::rfc3339,
    },
    model::timeline::Entry,
};

/// How lines look.
#[derive(Debug, Clone, Copy)]
pub struct EventLook {
    /// Columns of the longest service name.
    pub name_width: usize,
    /// Say `project/service`.
    pub with_project: bool,
    /// Zone of times.
    pub zone: Zone,
    /// Colours.
    pub paint: Paint,
}

/// About whom, as it stands in the second column.
fn about(entry: &Entry, look: &EventLook) -> String {
    match (&entry.project, &entry.service) {
        (Some(project), Some(service)) if look.with_project => format!("{project}/{service}"),
        (_, Some(service)) => service.to_string(),
        (Some(project), None) => project.to_string(),
        (None, None) => "cas".to_owned(),
    }
}

/// One entry: a line, and one more for each of its last words.
#[must_use]
pub fn lines(entry: &Entry, look: &EventLook) -> String {
    let name = about(entry, look);
    let fill = " ".repeat(look.name_width.saturating_sub(text::width(&name)));
    let time = look.paint.text(Tone::Dim, &look.zone.show(entry.at.wall_us, "%Y-%m-%d %H:%M:%S"));
    let name = look.paint.text(Tone::Strong, &name);
    let mut lines = format!("{time}  {name}{fill}  {}  {}\n", clause(entry, look.paint), who(entry, look.paint));
    for word in last_words(entry) {
        let mark = look.paint.text(Tone::Dim, "│");
        let _infallible =
            writeln!(lines, "{:20} {:width$}  {mark} {}", "", "", text::plain(word), width = look.name_width);
    }
    lines
}

fn who(entry: &Entry, paint: Paint) -> String {
    paint.text(Tone::Dim, &format!("({})", entry.who.label()))
}

/// What and why: `exited with code 1 after 3.2 s — asked for by nobody`.
#[must_use]
pub fn clause(entry: &Entry, paint: Paint) -> String {
    let sentence = entry.sentence();
    let what = paint.text(Tone::of_severity(entry.severity()), &text::plain(&sentence));
    if entry.why.is_empty() { what } else { format!("{what} — {}", text::plain(&entry.why)) }
}

/// The last words of a run or hook that ended; none of anything else.
#[must_use]
pub fn last_words(entry: &Entry) -> &[String] {
    entry.what.lines()
}

/// One entry for programs. `detail` holds what belongs to this kind of event.
#[must_use]
pub fn document(entry: &Entry) -> Value {
    let mut detail = serde_json::to_value(&entry.what).unwrap_or(Value::Null);
    let what = detail.as_object_mut().and_then(|fields| fields.shift_remove("what")).unwrap_or(Value::Null);
    json!({
        "at": rfc3339(entry.at.wall_us),
        "seq": entry.seq,
        "project": entry.project,
        "service": entry.service,
        "run": entry.run,
        "who": entry.who,
        "what": what,
        "severity": entry.severity(),
        "sentence": entry.sentence(),
        "why": entry.why,
        "detail": detail,
    })
}
