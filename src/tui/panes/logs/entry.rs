//! An entry of the logs on the screen: folded to a row or whole, as message and fields or as it was written.

use ratatui::{
    style::Style,
    text::{Line, Span},
};

use crate::{
    insight::{
        entry::{Field, Parsed, last_word},
        filter::Look,
    },
    model::{
        level::Level,
        log::{LogBatch, LogLine, Stream},
        text,
    },
    tui::{
        format::clean,
        logs::row::{EntryRow, Standing},
        theme::Role,
        ui::Ui,
        widgets::log_line::{self, Fit},
    },
};

/// Lines of an entry that are shown at most.
const LONGEST: usize = 500;

/// Columns of the names of fields below each other.
const NAME: usize = 24;

/// Formats whose lines are easier to read as message and fields.
const STRUCTURED: [&str; 2] = ["json", "logfmt"];

/// The rows of an entry in so many columns, without what stands before them.
pub(super) fn rows(ui: &Ui, entry: EntryRow, columns: usize) -> Vec<Line<'static>> {
    let lines = ui.logs.store.lines_of(entry);
    let Some((batch, first)) = lines.first() else { return vec![Line::default()] };
    let base = base(ui, entry);
    let first_text = batch.text_of(*first);
    let plain = text::plain(first_text);
    let is_whole = is_whole(ui, entry, batch, &plain);
    let structured = structured(ui, &plain);
    let fit = if ui.logs.wrap || is_whole {
        Fit::Wrap { columns: columns.max(1) }
    } else {
        Fit::Cut { from: usize::from(ui.logs.shift), columns }
    };
    let mut rows = match &structured {
        Some(parsed) => message(ui, parsed, fit, base, !is_whole),
        None if is_whole || entry.lines == 1 => written(ui, first_text, fit, base),
        None => written(ui, &folded(&lines, &plain), fit, base),
    };
    if is_whole {
        if let Some(parsed) = &structured {
            rows.extend(parsed.fields.iter().flat_map(|field| field_rows(ui, field, columns)));
        }
        for (batch, line) in lines.iter().skip(1).take(LONGEST) {
            rows.extend(written(ui, batch.text_of(*line), fit, base));
        }
        if lines.len() - 1 > LONGEST {
            let more = format!("… {} more lines", lines.len() - 1 - LONGEST);
            rows.push(Line::styled(more, ui.theme.style(Role::Muted)));
        }
    } else if entry.lines > 1 {
        fold(ui, &mut rows, entry.lines, columns);
    }
    rows
}

/// How many rows [`rows`] makes.
pub(super) fn height(ui: &Ui, entry: EntryRow, columns: usize) -> usize {
    if !ui.logs.wrap && entry.lines == 1 && !ui.logs.unfolded.contains(&entry.key()) {
        return 1;
    }
    let lines = ui.logs.store.lines_of(entry);
    let Some((batch, first)) = lines.first() else { return 1 };
    let first_text = batch.text_of(*first);
    let plain = text::plain(first_text);
    let is_whole = is_whole(ui, entry, batch, &plain);
    if !ui.logs.wrap && !is_whole {
        return 1;
    }
    let structured = structured(ui, &plain);
    let count = |text: &str| log_line::rows(text, columns.max(1));
    let own = match &structured {
        Some(parsed) => count(&message_text(parsed, !is_whole).0),
        None if is_whole || entry.lines == 1 => count(first_text),
        None => count(&folded(&lines, &plain)),
    };
    if !is_whole {
        return own;
    }
    let fields = structured.iter().flat_map(|parsed| &parsed.fields);
    let fields: usize = fields.map(|field| log_line::rows(&field.value, value_room(columns))).sum();
    let others: usize = lines.iter().skip(1).take(LONGEST).map(|(batch, line)| count(batch.text_of(*line))).sum();
    own + fields + others + usize::from(lines.len() - 1 > LONGEST)
}

/// Whether an entry is shown whole: somebody wants it so, or what is looked for stands further down in it; not where somebody does not want that.
fn is_whole(ui: &Ui, entry: EntryRow, batch: &LogBatch, first: &str) -> bool {
    let is_unfolded = ui.logs.unfolded.contains(&entry.key()) != (ui.logs.unfold_all && entry.lines > 1);
    is_unfolded != is_further_down(ui, entry, batch, first)
}

/// Whether the first line of what was found does not have what is looked for.
fn is_further_down(ui: &Ui, entry: EntryRow, batch: &LogBatch, first: &str) -> bool {
    if entry.lines == 1 || entry.standing != Standing::Hit || ui.logs.terms.is_empty() {
        return false;
    }
    let Some(line) = batch.lines.get(entry.line as usize) else { return false };
    let look = Look::at(batch.service.service.as_str(), line.stream, first, ui.logs.view.formats());
    !ui.logs.view.wanted().filter.has(&look.of_level(entry.level))
}

/// What a line says that is easier to read as message and fields.
fn structured<'p>(ui: &Ui, plain: &'p str) -> Option<Parsed<'p>> {
    let parsed = (!ui.logs.as_written && is_structured(plain)).then(|| ui.logs.view.formats().parse(plain));
    parsed.filter(|parsed| STRUCTURED.contains(&&*parsed.format))
}

/// Text that may be JSON or logfmt: others need not be parsed to be shown.
fn is_structured(plain: &str) -> bool {
    plain.starts_with('{') || plain.contains('=')
}

/// The first line, and the one that says most.
fn folded(lines: &[(&std::sync::Arc<LogBatch>, LogLine)], first: &str) -> String {
    let plain: Vec<_> = lines.iter().map(|(batch, line)| text::plain(batch.text_of(*line))).collect();
    let says_most = last_word(plain.iter().map(|line| &**line));
    match plain.get(says_most).filter(|_| says_most > 0) {
        Some(line) => format!("{first}  {}", line.trim_start()),
        None => first.to_owned(),
    }
}

/// How many lines are folded away, at the end of the last row.
fn fold(ui: &Ui, rows: &mut [Line<'static>], lines: u16, columns: usize) {
    let Some(last) = rows.last_mut() else { return };
    let words = format!(" ⤷ +{}", lines - 1);
    let room = columns.saturating_sub(text::width(&words));
    while last.width() > room {
        let Some(span) = last.spans.last_mut() else { break };
        let shorter: String = {
            let mut chars = span.content.chars();
            chars.next_back();
            chars.collect()
        };
        if shorter.is_empty() {
            last.spans.pop();
        } else {
            span.content = shorter.into();
        }
    }
    last.spans.push(Span::styled(words, ui.theme.style(Role::Accent)));
}

fn base(ui: &Ui, entry: EntryRow) -> Style {
    match (entry.standing, entry.level) {
        (Standing::Around, _) => ui.theme.style(Role::Muted),
        (_, Some(Level::Trace | Level::Debug)) => ui.theme.style(Role::Muted),
        (Standing::Plain | Standing::Hit | Standing::Out, _) => ui.ink(),
    }
}

/// A line as it was written.
fn written(ui: &Ui, text: &str, fit: Fit, base: Style) -> Vec<Line<'static>> {
    let highlights: Vec<_> = ui.logs.terms.iter().filter_map(|term| term.highlight()).collect();
    log_line::render(text, fit, &highlights, &ui.theme, base)
}

/// What a structured line says on one row, and where in it its fields begin.
fn message_text(parsed: &Parsed<'_>, with_fields: bool) -> (String, usize) {
    let mut text = String::new();
    if let Some(level) = parsed.level {
        text.push_str(&crate::tui::format::cell(&level.label().to_uppercase(), 5));
        text.push(' ');
    }
    text.push_str(&parsed.message);
    let fields_from = text.len();
    if with_fields {
        for Field { name, value } in &parsed.fields {
            text.push_str("  ");
            text.push_str(name);
            text.push('=');
            text.push_str(value);
        }
    }
    (text, fields_from)
}

/// A structured line: its level, its message, its fields on the same row.
fn message(ui: &Ui, parsed: &Parsed<'_>, fit: Fit, base: Style, with_fields: bool) -> Vec<Line<'static>> {
    let (text, fields_from) = message_text(parsed, with_fields);
    let highlights: Vec<_> = ui.logs.terms.iter().filter_map(|term| term.highlight()).collect();
    let muted = [(fields_from..text.len(), ui.theme.style(Role::Muted))];
    let level = parsed.level.map(|level| (0..5, super::level_style(ui, level)));
    let painted: Vec<_> = level.into_iter().chain(muted).collect();
    log_line::render_painted(&text, &painted, fit, &highlights, &ui.theme, base)
}

/// Columns for the value of a field, behind its name.
fn value_room(columns: usize) -> usize {
    columns.saturating_sub(NAME + 3).max(8)
}

/// A field below its entry.
fn field_rows(ui: &Ui, field: &Field<'_>, columns: usize) -> Vec<Line<'static>> {
    let name = format!("  {} ", crate::tui::format::cell(&clean(&field.name, NAME), NAME));
    let fit = Fit::Wrap { columns: value_room(columns) };
    let value = log_line::render(&field.value, fit, &[], &ui.theme, ui.ink());
    value
        .into_iter()
        .enumerate()
        .map(|(number, mut line)| {
            let label = if number == 0 { name.clone() } else { " ".repeat(text::width(&name)) };
            line.spans.insert(0, Span::styled(label, ui.theme.style(Role::Accent)));
            line
        })
        .collect()
}

/// The bar before a line: how serious it is, and from which stream it came; behind it whether somebody has marked it.
pub(super) fn mark(ui: &Ui, entry: EntryRow, stream: Stream, service: usize, is_first: bool) -> [Span<'static>; 2] {
    let letter = match stream {
        Stream::Stdout => "▏",
        Stream::Stderr => "▌",
    };
    let style = match (entry.level, stream) {
        (Some(Level::Error | Level::Fatal), _) => ui.theme.style(Role::Error),
        (Some(Level::Warn), _) => ui.theme.style(Role::Warning),
        (Some(Level::Trace | Level::Debug | Level::Info) | None, _) => ui.theme.service(service),
    };
    let marked = if is_first && ui.logs.is_marked(entry) { "◆" } else { " " };
    [Span::styled(letter, style), Span::styled(marked, ui.theme.style(Role::Accent))]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ratatui::layout::Size;

    use super::{height, rows};
    use crate::{
        insight::filter::Term,
        model::{
            ids::RunId,
            log::{LogBatch, LogLine, LogNews, Source, Stream},
        },
        tui::{Message, Setup, Ui, Zone, keymap::Keymap, theme::Theme, update},
    };

    const LINES: [&str; 9] = [
        "short",
        "a line that is longer than most screens are wide, with \u{1b}[31mcolours\u{1b}[0m in it, and something wide: 世界 世界 世界",
        r#"{"level":"error","msg":"payment refused, and nobody knows why that was","order":17,"http":{"status":502}}"#,
        "level=info msg=\"queue is empty\" depth=0",
        "Traceback (most recent call last):",
        "  File \"/srv/demo/jobs.py\", line 81, in work",
        "    order = orders.get(number)",
        "ValueError: no such order: 17, which is told in more words than fit on a narrow screen",
        "",
    ];

    fn console() -> Ui {
        let (theme, keymap) = (Theme::default(), Keymap::default());
        let setup =
            Setup { theme, keymap, zone: Zone::Utc, mouse: false, project: None, project_file: None, read_only: false };
        let mut ui = Ui::new(Size { width: 80, height: 24 }, setup);
        ui.logs.everyone = true;
        update(&mut ui, Message::LogHistory(Vec::new()));
        let mut text = String::new();
        let line = |line: &str| {
            let (start, len) = (u32::try_from(text.len()).unwrap(), u32::try_from(line.len()).unwrap());
            text.push_str(line);
            LogLine { start, len, stream: Stream::Stderr, continued: false }
        };
        let lines = LINES.map(line).into();
        let batch = LogBatch {
            service: "demo/jobs".parse().unwrap(),
            source: Source::Output,
            run: RunId(1),
            wall_us: 1,
            first_seq: 0,
            text: text.into(),
            lines,
        };
        update(&mut ui, Message::Log(LogNews::Batch(Arc::new(batch))));
        ui
    }

    #[test]
    fn the_height_of_an_entry_is_the_number_of_its_rows() {
        let mut ui = console();
        let mut seen = 0;
        for term in ["", "orders"] {
            ui.logs.terms = Term::parse(term).into_iter().collect();
            update(&mut ui, Message::Worked);
            for (wrap, unfold_all, as_written) in (0..8).map(|bits| (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0)) {
                (ui.logs.wrap, ui.logs.unfold_all, ui.logs.as_written) = (wrap, unfold_all, as_written);
                for number in ui.logs.view.first()..=ui.logs.view.last() {
                    let Some(entry) = ui.logs.view.row(number).and_then(crate::tui::logs::row::Row::entry) else {
                        continue;
                    };
                    for is_opened in [false, true] {
                        ui.logs.unfolded = is_opened.then_some(entry.key()).into_iter().collect();
                        for columns in 0..100 {
                            assert_eq!(height(&ui, entry, columns), rows(&ui, entry, columns).len(), "{entry:?}");
                            seen += 1;
                        }
                    }
                }
            }
        }
        assert!(seen > 5000, "{seen}");
    }
}
