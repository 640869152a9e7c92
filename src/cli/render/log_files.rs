//! Files that services write themselves: the table for people, the document for programs.

use serde_json::{Value, json};

use crate::{
    cli::{
        paint::{Paint, Tone},
        table::{Cell, Side, Table},
        text::plain,
        when::rfc3339,
    },
    model::{
        log_file::{LogFileView, short_bytes},
        time::{Timestamp, coarse_duration},
    },
};

/// What is said of a file that nobody has declared.
const FOUND: &str = "not declared: add to log_files to follow and rotate it";

/// One row a file; below it what is wrong with some.
#[must_use]
pub fn table(
    files: &[LogFileView],
    is_one_project: bool,
    now: Timestamp,
    paint: Paint,
    columns: Option<u16>,
) -> String {
    if files.is_empty() {
        return "no log files: log_files in cas.yaml names those that services write themselves\n".to_owned();
    }
    let mut table = Table::new(&[
        ("SERVICE", Side::Left),
        ("FILE", Side::Left),
        ("SIZE", Side::Right),
        ("GROWTH", Side::Right),
        ("SHOWN", Side::Left),
        ("ROTATED", Side::Left),
        ("LAST", Side::Right),
        ("NEXT", Side::Left),
        ("HOW", Side::Left),
    ]);
    for file in files {
        let service = if is_one_project { file.service.service.to_string() } else { file.service.to_string() };
        let policy = file.rotate.map_or_else(|| "never".to_owned(), |rotate| rotate.words());
        let policy = if file.declared { policy } else { FOUND.to_owned() };
        let last = file.rotated_us.map_or_else(|| "-".to_owned(), |at| ago(at, now));
        table.push(vec![
            Cell::new(Tone::Strong, &service),
            Cell::new(if file.trouble.is_some() { Tone::Bad } else { Tone::Plain }, &plain(&file.file)),
            Cell::new(Tone::Plain, &file.bytes.map_or_else(|| "-".to_owned(), short_bytes)),
            Cell::new(Tone::Dim, &file.bytes_per_s.map_or_else(|| "-".to_owned(), pace)),
            Cell::new(Tone::Dim, if file.follow { "yes" } else { "no" }),
            Cell::new(if file.declared { Tone::Plain } else { Tone::Warning }, &policy),
            Cell::new(Tone::Dim, &last),
            Cell::new(Tone::Dim, file.next.as_deref().unwrap_or("-")),
            Cell::new(Tone::Dim, &file.rotate.map_or_else(|| "-".to_owned(), |rotate| rotate.how.label())),
        ]);
    }
    let mut text = table.render(paint, columns);
    for file in files {
        if let Some(trouble) = &file.trouble {
            text.push_str(&paint.text(Tone::Bad, &format!("{}: {}", plain(&file.file), plain(trouble))));
            text.push('\n');
        }
    }
    text
}

/// `1.5K/s`.
fn pace(bytes_per_s: f64) -> String {
    format!("{}/s", short_bytes(bytes_per_s.max(0.0) as u64))
}

/// `3h ago`.
fn ago(wall_us: i64, now: Timestamp) -> String {
    let passed = u64::try_from(now.wall_us.saturating_sub(wall_us)).unwrap_or(0);
    format!("{} ago", coarse_duration(std::time::Duration::from_micros(passed)))
}

/// The document: `files`, each with what is known of it.
#[must_use]
pub fn document(files: &[LogFileView]) -> Value {
    let one = |file: &LogFileView| {
        json!({
            "project": file.service.project,
            "service": file.service.service,
            "file": file.file,
            "path": file.path,
            "declared": file.declared,
            "bytes": file.bytes,
            "bytes_per_s": file.bytes_per_s,
            "follow": file.follow,
            "lines": file.lines,
            "rotate": file.rotate.map(|rotate| json!({
                "max_bytes": rotate.max_bytes,
                "max_age_seconds": rotate.max_age.map(|age| age.as_secs()),
                "keep": rotate.keep,
                "keep_for_seconds": rotate.keep_for.map(|time| time.as_secs()),
                "compress": rotate.compress,
                "how": rotate.how.label(),
            })),
            "rotated_at": file.rotated_us.map(rfc3339),
            "next": file.next,
            "trouble": file.trouble,
        })
    };
    json!({ "files": files.iter().map(one).collect::<Vec<_>>() })
}
