//! Entries and projects as rows, and back. A row that cannot be read (damage, or a word of a newer cas) is passed over.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use rusqlite::{
    Connection, Row, Transaction, params,
    types::{Null, ToSql, ToSqlOutput, ValueRef},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{EntryFilter, open};
use crate::model::{
    ids::{ProjectName, RunId, ServiceName},
    project::ProjectRecord,
    time::Timestamp,
    timeline::Entry,
};

/// A path: text where it is UTF-8, else bytes.
struct PathCell<'a>(&'a Path);

impl ToSql for PathCell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let bytes = self.0.as_os_str().as_bytes();
        let value = if self.0.to_str().is_some() { ValueRef::Text(bytes) } else { ValueRef::Blob(bytes) };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

fn path_of(row: &Row<'_>, column: usize) -> Option<PathBuf> {
    match row.get_ref(column).ok()? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(PathBuf::from(OsString::from_vec(bytes.to_vec()))),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => None,
    }
}

/// The word that serde writes for a value without a payload.
fn word(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

fn from_word<T: DeserializeOwned>(word: String) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(word)).ok()
}

/// `SQLite`'s integers are signed: the same 64 bits.
const fn signed(number: u64) -> i64 {
    number.cast_signed()
}

/// Adds entries, oldest first.
pub(super) fn insert<'a>(
    change: &Transaction<'_>,
    engine_started: i64,
    entries: impl Iterator<Item = &'a Entry>,
) -> rusqlite::Result<()> {
    let mut insert = change.prepare_cached(
        "INSERT INTO event (engine_started, seq, at_wall_us, at_mono_us, project, service, run, who, what_json, why, severity)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11
         WHERE NOT EXISTS (SELECT 1 FROM event WHERE at_wall_us = ?3 AND seq = ?2 AND at_mono_us = ?4)",
    )?;
    for entry in entries {
        let what = serde_json::to_string(&entry.what)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        insert.execute(params![
            engine_started,
            signed(entry.seq),
            entry.at.wall_us,
            signed(entry.at.mono_us),
            entry.project.as_ref().map(ProjectName::as_str),
            entry.service.as_ref().map(ServiceName::as_str),
            entry.run.map(|run| signed(run.0)),
            word(entry.who),
            what,
            entry.why,
            word(entry.severity()),
        ])?;
    }
    Ok(())
}

/// Keeps the newest `keep` events.
pub(super) fn prune(change: &Transaction<'_>, keep: u32) -> rusqlite::Result<()> {
    change.execute("DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - ?1", [keep]).map(|_deleted| ())
}

/// Keeps the `keep` projects that were opened last.
pub(super) fn prune_projects(change: &Transaction<'_>, keep: u32) -> rusqlite::Result<()> {
    let all: i64 = change.query_row("SELECT count(*) FROM project", [], |row| row.get(0))?;
    if all <= i64::from(keep) {
        return Ok(());
    }
    let oldest = "SELECT root FROM project ORDER BY last_opened_us LIMIT ?1";
    let delete = format!("DELETE FROM project WHERE root IN ({oldest})");
    change.execute(&delete, [all - i64::from(keep)])?;
    change.execute("DELETE FROM origin WHERE root NOT IN (SELECT root FROM project)", []).map(|_deleted| ())
}

/// Keeps or forgets a project. One that was moved takes the place of the record that it had.
pub(super) fn set_project(
    change: &Transaction<'_>,
    root: &Path,
    record: Option<&ProjectRecord>,
) -> rusqlite::Result<()> {
    let Some(record) = record else { return delete_project(change, root) };
    let moved_from = match moved_from(change, record)? {
        Some(from) => {
            delete_project(change, &from)?;
            Some(from)
        }
        None => record.moved_from.clone(),
    };
    change.execute(
        "INSERT INTO project (root, name, file, services, last_opened_us) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (root) DO UPDATE SET name = excluded.name, file = excluded.file, services = excluded.services,
                                          last_opened_us = excluded.last_opened_us",
        params![
            PathCell(root),
            record.name.as_str(),
            PathCell(&record.file),
            i64::try_from(record.services).unwrap_or(i64::MAX),
            record.last_opened_us
        ],
    )?;
    change.execute(
        "INSERT INTO origin (root, remote, moved_from) VALUES (?1, ?2, ?3)
         ON CONFLICT (root) DO UPDATE SET remote = excluded.remote,
                                          moved_from = coalesce(excluded.moved_from, moved_from)",
        params![PathCell(root), record.remote, moved_from.as_deref().map(PathCell)],
    )?;
    Ok(())
}

fn delete_project(change: &Transaction<'_>, root: &Path) -> rusqlite::Result<()> {
    change.execute("DELETE FROM origin WHERE root = ?1", [PathCell(root)])?;
    change.execute("DELETE FROM project WHERE root = ?1", [PathCell(root)]).map(|_rows| ())
}

/// The directory of the same project that is gone, where there is one.
fn moved_from(change: &Transaction<'_>, record: &ProjectRecord) -> rusqlite::Result<Option<PathBuf>> {
    if record.remote.is_none() {
        return Ok(None);
    }
    let gone = projects(change)?.into_iter().filter(|old| old.is_moved_to(record));
    Ok(gone.max_by_key(|old| old.last_opened_us).map(|old| old.root))
}

/// What is kept of a place is from now on that of another one.
pub(super) fn move_place(change: &Transaction<'_>, from: &str, to: &str) -> rusqlite::Result<()> {
    change.execute("UPDATE OR REPLACE cursors SET place = ?2 WHERE place = ?1", [from, to])?;
    change.execute("UPDATE OR REPLACE patterns SET place = ?2 WHERE place = ?1", [from, to])?;
    change.execute("UPDATE OR REPLACE minutes SET place = ?2 WHERE place = ?1", [from, to]).map(|_rows| ())
}

/// The registry by name.
pub(super) fn projects(db: &Connection) -> rusqlite::Result<Vec<ProjectRecord>> {
    let (origin, join) = if open::format_of(db)? >= open::ORIGINS {
        ("origin.remote, origin.moved_from", "LEFT JOIN origin ON origin.root = project.root")
    } else {
        ("NULL, NULL", "")
    };
    let mut select = db.prepare_cached(&format!(
        "SELECT project.root, name, file, services, last_opened_us, {origin} FROM project {join} ORDER BY name, project.root"
    ))?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.extend(project(row));
    }
    Ok(found)
}

fn project(row: &Row<'_>) -> Option<ProjectRecord> {
    let root = path_of(row, 0)?;
    Some(ProjectRecord {
        name: ProjectName::new(&row.get::<_, String>(1).ok()?).ok()?,
        exists: root.is_dir(),
        root,
        file: path_of(row, 2)?,
        services: usize::try_from(row.get::<_, i64>(3).ok()?).ok()?,
        last_opened_us: row.get(4).ok()?,
        remote: row.get(5).ok()?,
        moved_from: path_of(row, 6),
    })
}

const COLUMNS: &str = "seq, at_wall_us, at_mono_us, project, service, run, who, what_json, why";

/// The newest entries that are asked for, oldest first.
pub(super) fn entries(db: &Connection, filter: &EntryFilter) -> rusqlite::Result<Vec<Entry>> {
    let mut select = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM event
         WHERE (?1 IS NULL OR project = ?1) AND (?2 IS NULL OR at_wall_us >= ?2)
           AND (?3 IS NULL OR service IN (SELECT value FROM json_each(?3)))
         ORDER BY id DESC LIMIT ?4"
    ))?;
    let project = filter.project.as_ref().map(ProjectName::as_str);
    let services: Box<dyn ToSql> = if filter.services.is_empty() {
        Box::new(Null)
    } else {
        Box::new(serde_json::to_string(&filter.services).unwrap_or_else(|_| "[]".to_owned()))
    };
    let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
    let mut rows = select.query(params![project, filter.since_wall_us, services, limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.extend(entry(row));
    }
    found.reverse();
    Ok(found)
}

fn entry(row: &Row<'_>) -> Option<Entry> {
    let name = |column| row.get::<_, Option<String>>(column).ok();
    Some(Entry {
        seq: row.get::<_, i64>(0).ok()?.cast_unsigned(),
        at: Timestamp { wall_us: row.get(1).ok()?, mono_us: row.get::<_, i64>(2).ok()?.cast_unsigned() },
        project: name(3)?.map(|name| ProjectName::new(&name)).transpose().ok()?,
        service: name(4)?.map(|name| ServiceName::new(&name)).transpose().ok()?,
        run: row.get::<_, Option<i64>>(5).ok()?.map(|run| RunId(run.cast_unsigned())),
        who: from_word(row.get(6).ok()?)?,
        what: serde_json::from_str(&row.get::<_, String>(7).ok()?).ok()?,
        why: row.get(8).ok()?,
    })
}
