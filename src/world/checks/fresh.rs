//! How old the newest data is. Never: takes a value that is no time for one.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, InterruptHandle, OpenFlags, types::ValueRef};

use super::{blocking, place, seconds_since, sql, told};
use crate::{
    model::{
        exam::{Grade, Measure, Reading, Trouble},
        own::{FreshOf, figures},
    },
    world::kinds::{
        body::{moment, moment_of, quoted},
        web,
    },
};

/// Most entries of a directory that are looked at.
const ENTRIES: usize = 100_000;

/// Where the newest time is told, and what stands there; none: there is nothing yet.
struct Newest {
    place: String,
    text: Option<String>,
}

/// The age of the newest data.
pub(super) async fn look(of: &FreshOf) -> Result<Reading, Trouble> {
    let newest = match of {
        FreshOf::File(file) => {
            let path = file.clone();
            let changed = blocking(move || of_file(&path)).await??;
            return Ok(aged(changed, &format!("{} was changed last", file.display())));
        }
        FreshOf::Postgres { target, query } => {
            let row = sql::first_row(target, query).await?;
            Newest { place: target.place(), text: row.and_then(|row| row.into_iter().next().flatten()) }
        }
        FreshOf::Sqlite { file, query } => of_sqlite(file, query).await?,
        FreshOf::Http { target, path, pointer } => {
            let page = web::json(target, path).await?;
            let place = format!("{}{path}", target.place());
            let value = page.pointer(pointer);
            let Some(value) = value else {
                return Err(Trouble::Foreign(quoted(&format!("{place} has nothing at {pointer}"))));
            };
            if let Some(at) = moment_of(value) {
                return Ok(aged(at, &format!("{place} tells of data")));
            }
            Newest { place, text: (!value.is_null()).then(|| value.to_string()) }
        }
    };
    let Newest { place, text } = newest;
    let Some(text) = text else {
        let mut reading = Reading::default();
        let advice = "see whether whoever writes it has ever run";
        reading.remark("no-data", Grade::Critical, format!("{place} has no data at all"), Some(advice));
        return Ok(reading);
    };
    let Some(at) = moment(&text) else {
        return Err(Trouble::Foreign(quoted(&format!(
            "{place} answers {text}, which is no time: ISO 8601, or seconds since 1970"
        ))));
    };
    Ok(aged(at, &format!("{place} has data")))
}

fn aged(at: i64, what: &str) -> Reading {
    let about = format!("{}, of {}", quoted(what), told(at));
    Reading { measures: vec![Measure::new(figures::AGE, seconds_since(at)).about(about)], ..Reading::default() }
}

/// When a file was changed, or the newest file of a directory.
fn of_file(path: &Path) -> Result<i64, Trouble> {
    let stat = rustix::fs::stat(path).map_err(|error| place::trouble(path, &error.into()))?;
    if place::is_file(&stat) {
        return Ok(place::changed(&stat));
    }
    let open = rustix::fs::open(
        path,
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .map_err(|error| place::trouble(path, &error.into()))?;
    let entries = rustix::fs::Dir::read_from(&open).map_err(|error| place::trouble(path, &error.into()))?;
    let times = entries.flatten().take(ENTRIES).filter_map(|entry| {
        let stat = rustix::fs::statat(&open, entry.file_name(), rustix::fs::AtFlags::SYMLINK_NOFOLLOW).ok()?;
        place::is_file(&stat).then(|| place::changed(&stat))
    });
    times.max().ok_or_else(|| Trouble::Foreign(format!("there is no file in {}", path.display())))
}

/// Ends a query that nobody waits for any more.
struct Interrupts(InterruptHandle);

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}

async fn of_sqlite(file: &Path, query: &str) -> Result<Newest, Trouble> {
    let shown = file.display().to_string();
    let wrong = |error: &rusqlite::Error| Trouble::Foreign(quoted(&format!("{shown}: {error}")));
    let path: PathBuf = file.to_owned();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = blocking(move || Connection::open_with_flags(path, flags)).await?;
    let connection = opened.map_err(|error| wrong(&error))?;
    let _interrupts = Interrupts(connection.get_interrupt_handle());
    let query = query.to_owned();
    let asked = blocking(move || first_value(&connection, &query)).await?;
    Ok(Newest { text: asked.map_err(|error| wrong(&error))?, place: shown })
}

fn first_value(connection: &Connection, query: &str) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query([])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(match row.get_ref(0)? {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(text) | ValueRef::Blob(text) => Some(String::from_utf8_lossy(text).into_owned()),
    })
}
