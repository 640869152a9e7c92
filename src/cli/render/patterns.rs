//! What is known of patterns in output: the table for people, the document for programs.

use serde_json::{Value, json};

use crate::{
    cli::{
        context::Zone,
        paint::{Paint, Tone},
        table::{Cell, Side, Table},
        text::plain,
    },
    model::{
        level::Level,
        pattern::{NewSince, Pattern, ServicePatterns, Since},
        time::Timestamp,
        time::short_duration,
    },
};

/// Columns of a trend; each is so many minutes of the hour.
const COLUMNS: usize = 12;
/// Blank, and eighths of a column.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What of all patterns is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// Those that are new since then.
    pub new: Option<Since>,
    /// Those that are so serious or more.
    pub level: Option<Level>,
    /// So many.
    pub top: Option<usize>,
}

impl Wanted {
    fn takes(self, pattern: &Pattern) -> bool {
        let is_new = self.new.is_none_or(|since| pattern.new_since.is(since));
        is_new && self.level.is_none_or(|level| pattern.level >= Some(level))
    }

    /// Leaves what is wanted, what wants a look first; of all services together no more than that many.
    pub fn keep(self, all: &mut [ServicePatterns]) {
        for service in &mut *all {
            service.sort();
            service.patterns.retain(|pattern| self.takes(pattern));
        }
        let Some(top) = self.top else { return };
        // Of equals in two services that of the first, as in the table.
        let order = |place: usize, pattern: &Pattern| (pattern.order(), place);
        let mut all_in_order: Vec<_> = all
            .iter()
            .enumerate()
            .flat_map(|(place, service)| service.patterns.iter().map(move |pattern| order(place, pattern)))
            .collect();
        all_in_order.sort_unstable();
        let Some(first_out) = all_in_order.get(top).copied() else { return };
        for (place, service) in all.iter_mut().enumerate() {
            service.patterns.retain(|pattern| order(place, pattern) < first_out);
        }
    }
}

/// One row a pattern, those of all services in one order.
#[must_use]
pub fn table(all: &[ServicePatterns], paint: Paint, columns: Option<u16>) -> String {
    let mut rows: Vec<(&ServicePatterns, &Pattern)> =
        all.iter().flat_map(|service| service.patterns.iter().map(move |pattern| (service, pattern))).collect();
    rows.sort_by_key(|(_, pattern)| pattern.order());
    if rows.is_empty() {
        return "no patterns\n".to_owned();
    }
    let several = all.len() > 1;
    let mut headings = vec![
        ("NEW", Side::Left),
        ("LEVEL", Side::Left),
        ("COUNT", Side::Right),
        ("A MINUTE", Side::Right),
        ("LAST HOUR", Side::Left),
        ("LAST", Side::Right),
        ("PATTERN", Side::Left),
    ];
    if several {
        headings.insert(0, ("SERVICE", Side::Left));
    }
    let mut table = Table::new(&headings);
    for (service, pattern) in rows {
        let tone = tone(pattern);
        let mut row = vec![
            Cell::new(Tone::Warning, &marks(pattern.new_since)),
            Cell::new(tone, pattern.level.map_or("", Level::label)),
            Cell::new(Tone::Strong, &pattern.count.to_string()),
            Cell::new(Tone::Plain, &rate(pattern.per_minute)),
            Cell::new(Tone::Plain, &trend(&pattern.trend)),
            Cell::new(Tone::Dim, &ago(pattern.last_us, service.at_us)),
            Cell::new(tone, &plain(text_of(pattern))),
        ];
        if several {
            row.insert(0, Cell::new(Tone::Plain, &service.service.to_string()));
        }
        table.push(row);
    }
    table.render(paint, columns)
}

/// What the marks mean, and what is not in the counts; a sentence each.
#[must_use]
pub fn notes(all: &[ServicePatterns], zone: Zone) -> Vec<String> {
    let mut notes = Vec::new();
    for service in all {
        let id = &service.service;
        let at = |us: i64| zone.show(us, "%Y-%m-%d %H:%M");
        let marks = [
            ('r', "the restart", service.marks.restart_us),
            ('d', "the deployment", service.marks.deployment_us),
            ('h', "the last healthy hour", service.marks.healthy_hour_us),
        ];
        let is_marked = service.patterns.iter().any(|pattern| pattern.new_since.any());
        if is_marked {
            let known = marks.into_iter().filter_map(|(mark, what, at_us)| Some((mark, what, at_us?)));
            let told: Vec<String> =
                known.map(|(mark, what, us)| format!("{mark}: new since {what} ({})", at(us))).collect();
            notes.push(format!("{id}: {}", told.join(", ")));
        }
        if service.learning {
            notes.push(format!("{id}: little is known of it yet ({} lines), nothing new is told", service.lines));
        }
        if service.dropped > 0 {
            let dropped = service.dropped;
            notes.push(format!("{id}: {dropped} lines came too fast to be learnt from, counts are that much too low"));
        }
    }
    notes
}

/// What `--json` prints: the form of `GET /v1/patterns`.
#[must_use]
pub fn document(all: &[ServicePatterns]) -> Value {
    json!({ "services": all })
}

const fn text_of(pattern: &Pattern) -> &str {
    if pattern.text.is_empty() { "(no text)" } else { pattern.text.as_str() }
}

fn tone(pattern: &Pattern) -> Tone {
    match pattern.level {
        Some(Level::Fatal | Level::Error) => Tone::Bad,
        Some(Level::Warn) => Tone::Warning,
        Some(Level::Info) | None => Tone::Plain,
        Some(Level::Debug | Level::Trace) => Tone::Dim,
    }
}

fn marks(new: NewSince) -> String {
    let marks = [('r', new.restart), ('d', new.deployment), ('h', new.healthy_hour)];
    if new.any() { marks.map(|(mark, is)| if is { mark } else { '-' }).iter().collect() } else { String::new() }
}

/// Lines a minute in few columns.
fn rate(per_minute: f64) -> String {
    if per_minute == 0.0 {
        "0".to_owned()
    } else if per_minute < 9.95 {
        format!("{per_minute:.1}")
    } else {
        format!("{per_minute:.0}")
    }
}

/// An hour in few columns, each as full as its minutes are to those of the fullest.
fn trend(minutes: &[u32]) -> String {
    let sums: Vec<u64> = minutes
        .chunks(minutes.len().div_ceil(COLUMNS).max(1))
        .map(|few| few.iter().map(|count| u64::from(*count)).sum())
        .collect();
    let fullest = sums.iter().copied().max().unwrap_or(0).max(1);
    let column = |sum: u64| EIGHTHS[usize::try_from((sum * 8).div_ceil(fullest)).unwrap_or(8).min(8)];
    sums.into_iter().map(column).collect()
}

fn ago(then_us: i64, now_us: i64) -> String {
    let at = |us: i64| Timestamp { mono_us: u64::try_from(us).unwrap_or(0), wall_us: us };
    short_duration(at(now_us).since(at(then_us)))
}

#[cfg(test)]
mod tests {
    use super::{Wanted, rate, trend};
    use crate::model::pattern::{Marks, NewSince, Pattern, ServicePatterns};

    #[test]
    fn the_first_of_all_services_are_those_of_the_table_also_where_several_are_equal() {
        let pattern = |id, count| Pattern {
            id,
            text: String::new(),
            level: None,
            count,
            first_us: 0,
            last_us: 0,
            per_minute: 0.0,
            usual_per_minute: None,
            trend: Vec::new(),
            example: String::new(),
            new_since: NewSince::default(),
        };
        let service = |name: &str, patterns| ServicePatterns {
            service: name.parse().unwrap(),
            at_us: 0,
            since_us: 0,
            lines: 0,
            dropped: 0,
            learning: false,
            marks: Marks::default(),
            patterns,
        };
        let all = [
            service("shop/db", vec![pattern(1, 5), pattern(2, 5), pattern(3, 1)]),
            service("shop/web", vec![pattern(1, 5), pattern(2, 9)]),
        ];
        let first = |top| {
            let mut kept = all.clone();
            Wanted { top: Some(top), ..Wanted::default() }.keep(&mut kept);
            kept.map(|of| of.patterns.iter().map(|pattern| pattern.id).collect::<Vec<_>>())
        };
        assert_eq!(first(0), [Vec::<u32>::new(), vec![]]);
        assert_eq!(first(1), [vec![], vec![2_u32]]);
        assert_eq!(first(2), [vec![1_u32], vec![2]]);
        assert_eq!(first(3), [vec![1_u32], vec![2, 1]]);
        assert_eq!(first(9), [vec![1_u32, 2, 3], vec![2, 1]]);
    }

    #[test]
    fn an_hour_and_a_rate_take_few_columns() {
        let mut minutes = vec![0; 60];
        minutes[0] = 1;
        minutes[59] = 16;
        minutes[54] = 7;
        assert_eq!(trend(&minutes), "▁         ▄█");
        assert_eq!(trend(&[]), "");
        assert_eq!([0.0, 0.04, 9.94, 9.96, 1234.5].map(rate), ["0", "0.0", "9.9", "10", "1234"]);
    }
}
