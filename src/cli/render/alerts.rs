//! Alarms for people and programs. Never: a route's URL or key, which no picture has.

use serde_json::{Value, json};

use crate::{
    cli::{
        context::Zone,
        paint::{Paint, Tone},
        table::{Cell, Side, Table},
    },
    model::{
        alarm::{AlarmState, AlarmView, Level},
        snapshot::Snapshot,
        time::coarse_duration,
    },
};

use super::status::has_several_projects;

/// Those that are shown: what fires, with `all` the others too.
fn shown(snapshot: &Snapshot, all: bool) -> Vec<&AlarmView> {
    let mut shown: Vec<&AlarmView> =
        snapshot.alerts.alarms.iter().filter(|alarm| all || alarm.state == AlarmState::Firing).collect();
    let rank = |alarm: &AlarmView| match alarm.state {
        AlarmState::Firing => 0,
        AlarmState::Pending => 1,
        AlarmState::Resolved => 2,
    };
    shown.sort_by_key(|alarm| (rank(alarm), alarm.follows_from.is_some(), std::cmp::Reverse(alarm.severity)));
    shown
}

/// What `cas alerts --json` prints.
#[must_use]
pub fn document(snapshot: &Snapshot, all: bool) -> Value {
    let (critical, warning) = snapshot.alerts.firing();
    json!({
        "version": 1,
        "firing": { "critical": critical, "warning": warning },
        "alarms": shown(snapshot, all),
        "silences": snapshot.alerts.silences,
        "routes": snapshot.alerts.routes,
    })
}

/// The table, then silences, then routes that failed.
#[must_use]
pub fn table(snapshot: &Snapshot, all: bool, zone: Zone, paint: Paint, width: Option<u16>) -> String {
    let alarms = shown(snapshot, all);
    let mut text = if alarms.is_empty() { "no alarm\n".to_owned() } else { rows(&alarms, snapshot, paint, width) };
    for silence in &snapshot.alerts.silences {
        let until = zone.show(silence.silence.until_us, "%Y-%m-%d %H:%M");
        let because = &silence.silence.because;
        let because = if because.is_empty() { String::new() } else { format!(": {because}") };
        let by = silence.silence.by.label();
        text.push_str(&plain(&format!("silenced: {} until {until} by {by}{because}", silence.service)));
        text.push('\n');
    }
    for route in &snapshot.alerts.routes {
        if let Some(why) = route.last.as_ref().filter(|why| !why.is_empty()) {
            let (name, kind, project) = (&route.name, &route.kind, &route.project);
            text.push_str(&plain(&format!("route {name} ({kind}) of {project}: the last message was not sent: {why}")));
            text.push('\n');
        }
    }
    text
}

fn plain(text: &str) -> String {
    crate::cli::text::plain(text).into_owned()
}

fn rows(alarms: &[&AlarmView], snapshot: &Snapshot, paint: Paint, width: Option<u16>) -> String {
    let left = Side::Left;
    let headings = [
        ("STATE", left),
        ("SEVERITY", left),
        ("SERVICE", left),
        ("SINCE", Side::Right),
        ("TOLD", left),
        ("WHAT", left),
    ];
    let mut table = Table::new(&headings);
    let with_project = has_several_projects(snapshot);
    for alarm in alarms {
        let tone = match (alarm.state, alarm.severity) {
            (AlarmState::Firing, Level::Critical) => Tone::Bad,
            (AlarmState::Firing, Level::Warning) => Tone::Warning,
            (AlarmState::Pending | AlarmState::Resolved, _) => Tone::Dim,
        };
        let name = alarm
            .service
            .as_ref()
            .map_or_else(|| "cas".to_owned(), |id| if with_project { id.to_string() } else { id.service.to_string() });
        table.push(vec![
            Cell::new(tone, alarm.state.label()),
            Cell::new(tone, alarm.severity.label()),
            Cell::new(Tone::Plain, &name),
            Cell::new(Tone::Plain, &coarse_duration(snapshot.at.since(alarm.since))),
            Cell::new(Tone::Dim, &told(alarm)),
            Cell::new(Tone::Plain, &alarm.text),
        ]);
    }
    table.render(paint, width)
}

/// Where it was sent, or why it was not.
fn told(alarm: &AlarmView) -> String {
    if !alarm.sent_to.is_empty() {
        return format!("sent to {}", alarm.sent_to.join(", "));
    }
    if let Some(why) = &alarm.not_sent {
        return why.clone();
    }
    match alarm.state {
        AlarmState::Pending => "not yet".to_owned(),
        AlarmState::Firing => "-".to_owned(),
        AlarmState::Resolved => "-".to_owned(),
    }
}
