//! How far output was taken in, and the minutes derived from it: merged in memory, written in one transaction, read back.
//!
//! Promise: each line counts exactly once. What is waiting becomes a batch with a number of its own; a batch stays as it is
//! until a commit of it succeeded, and one whose commit may have reached the disk all the same is recognised there by its number.
//! Bounded: of each service one cursor and a day of minutes; older minutes are folded into the oldest that is kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::model::{
    ids::ServiceName,
    intake::{Cursor, Intake, Minute, Position},
};

/// Minutes of a service that are kept in memory.
const MINUTES: usize = 1440;

/// A place and a service there.
pub(super) type Key = (Arc<str>, ServiceName);

/// Of one service.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Taken {
    cursor: Cursor,
    minutes: BTreeMap<i64, Minute>,
}

impl Taken {
    fn add(&mut self, cursor: Cursor, minutes: impl IntoIterator<Item = Minute>) {
        self.cursor = cursor;
        for minute in minutes {
            add(self.minutes.entry(minute.minute).or_default(), &minute, minute.minute);
        }
        while self.minutes.len() > MINUTES
            && let Some((_, oldest)) = self.minutes.pop_first()
            && let Some(mut next) = self.minutes.first_entry()
        {
            let at = *next.key();
            add(next.get_mut(), &oldest, at);
        }
    }

    fn lines(&self) -> u64 {
        self.minutes
            .values()
            .map(|minute| minute.stdout_lines.saturating_add(minute.stderr_lines))
            .fold(0, u64::saturating_add)
    }

    /// Takes `lines` lines off, oldest first, and of the bytes as large a part.
    fn skip(&mut self, mut lines: u64) {
        for minute in self.minutes.values_mut() {
            let here = minute.stdout_lines.saturating_add(minute.stderr_lines);
            let off = here.min(lines);
            let of_stdout = off.min(minute.stdout_lines);
            minute.stdout_lines -= of_stdout;
            minute.stderr_lines -= off - of_stdout;
            if here > 0 {
                let part = u128::from(minute.bytes) * u128::from(here - off) / u128::from(here);
                minute.bytes = u64::try_from(part).unwrap_or(u64::MAX);
            }
            lines -= off;
        }
        self.minutes.retain(|_, minute| minute.stdout_lines + minute.stderr_lines > 0);
    }
}

fn add(to: &mut Minute, more: &Minute, minute: i64) {
    to.minute = minute;
    to.stdout_lines = to.stdout_lines.saturating_add(more.stdout_lines);
    to.stderr_lines = to.stderr_lines.saturating_add(more.stderr_lines);
    to.bytes = to.bytes.saturating_add(more.bytes);
}

/// What came since the last batch was made.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    services: BTreeMap<Key, Taken>,
    /// Places whose cursors were asked for and could not be read: what comes from there may be stored already.
    doubtful: BTreeSet<Arc<str>>,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    pub(super) fn add(&mut self, intake: Vec<Intake>) {
        for Intake { place, service, cursor, minutes } in intake {
            self.services.entry((place, service.service)).or_default().add(cursor, minutes);
        }
    }

    /// How far each service of a place is, as far as is known here.
    pub(super) fn cursors(&self, place: &str) -> BTreeMap<ServiceName, Cursor> {
        let of_place = self.services.iter().filter(|((of, _), _)| **of == *place);
        of_place.map(|((_, service), taken)| (service.clone(), taken.cursor)).collect()
    }

    /// The reader begins at `place` without knowing how far it was.
    pub(super) fn doubt(&mut self, place: &str) {
        self.doubtful.insert(Arc::from(place));
    }
}

/// What is being written.
#[derive(Debug, Default)]
pub(super) struct Batches {
    /// With its number; unchanged from the first try to the first success.
    trying: Option<(i64, BTreeMap<Key, Taken>)>,
    /// Places in doubt, with the services there that have caught up.
    doubtful: BTreeMap<Arc<str>, BTreeSet<ServiceName>>,
}

impl Batches {
    pub(super) const fn is_empty(&self) -> bool {
        self.trying.is_none()
    }

    /// Makes a batch of what is waiting, unless an earlier one is still to be written.
    pub(super) fn draw(&mut self, waiting: &mut Waiting) {
        for place in std::mem::take(&mut waiting.doubtful) {
            self.doubtful.insert(place, BTreeSet::new());
        }
        if self.trying.is_none() && !waiting.is_empty() {
            self.trying = Some((fastrand::i64(1..), std::mem::take(&mut waiting.services)));
        }
    }

    /// Writes the batch; returns who has caught up, for [`Batches::written`].
    pub(super) fn write(&self, change: &Transaction<'_>) -> rusqlite::Result<Vec<Key>> {
        let mut caught_up = Vec::new();
        let Some((number, services)) = &self.trying else { return Ok(caught_up) };
        for (key, taken) in services {
            let (place, service) = key;
            let stored = stored(change, place, service)?;
            if stored.is_some_and(|(_, batch)| batch == *number) {
                continue;
            }
            let in_doubt = self.doubtful.get(place).is_some_and(|settled| !settled.contains(service));
            let mut taken = taken.clone();
            if in_doubt {
                let before = stored.map_or(taken.cursor, |(cursor, _)| cursor);
                if taken.cursor.next_seq >= before.next_seq {
                    caught_up.push(key.clone());
                }
                if stored.is_some() {
                    let begun = taken.cursor.next_seq.saturating_sub(taken.lines());
                    taken.skip(before.next_seq.saturating_sub(begun));
                    if taken.cursor.next_seq < before.next_seq {
                        taken.cursor = before;
                    }
                }
            }
            put(change, key, &taken, *number)?;
        }
        Ok(caught_up)
    }

    /// The commit succeeded.
    pub(super) fn written(&mut self, caught_up: Vec<Key>) {
        self.trying = None;
        for (place, service) in caught_up {
            if let Some(settled) = self.doubtful.get_mut(&place) {
                settled.insert(service);
            }
        }
    }

    /// The cursors of a place as they will be, given those in the database.
    pub(super) fn apply_to_cursors(
        &self,
        waiting: &Waiting,
        place: &str,
        mut stored: BTreeMap<ServiceName, Cursor>,
    ) -> BTreeMap<ServiceName, Cursor> {
        let trying = self.trying.iter().flat_map(|(_, services)| services);
        for ((of, service), taken) in trying.chain(&waiting.services) {
            if **of == *place {
                stored.insert(service.clone(), taken.cursor);
            }
        }
        stored
    }

    /// The minutes of a service as they will be, given those in the database and the number of the batch they came with.
    pub(super) fn apply_to_minutes(
        &self,
        waiting: &Waiting,
        asked: &MinuteFilter,
        (stored, batch): (Vec<Minute>, i64),
    ) -> Vec<Minute> {
        let mut all = Taken::default();
        let mut merge = |taken: &Taken| {
            let range = taken.minutes.range(asked.from_minute..=asked.to_minute.max(asked.from_minute));
            for (at, minute) in range {
                add(all.minutes.entry(*at).or_default(), minute, *at);
            }
        };
        let key = (Arc::clone(&asked.place), asked.service.clone());
        // Its commit may have succeeded without our knowing.
        let trying =
            self.trying.as_ref().filter(|(number, _)| *number != batch).and_then(|(_, services)| services.get(&key));
        trying.into_iter().chain(waiting.services.get(&key)).for_each(&mut merge);
        for minute in stored {
            add(all.minutes.entry(minute.minute).or_default(), &minute, minute.minute);
        }
        if asked.from_minute > asked.to_minute { Vec::new() } else { all.minutes.into_values().collect() }
    }
}

/// Which minutes are asked for: from the first to the last, both included.
#[derive(Debug, Clone)]
pub(super) struct MinuteFilter {
    pub(super) place: Arc<str>,
    pub(super) service: ServiceName,
    pub(super) from_minute: i64,
    pub(super) to_minute: i64,
}

fn cursor_of(row: &Row<'_>) -> rusqlite::Result<Cursor> {
    let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
    Ok(Cursor {
        stdout: Position { segment: number(0)?, offset: number(1)? },
        stderr: Position { segment: number(2)?, offset: number(3)? },
        next_seq: number(4)?,
    })
}

fn stored(db: &Connection, place: &str, service: &ServiceName) -> rusqlite::Result<Option<(Cursor, i64)>> {
    db.prepare_cached(
        "SELECT stdout_segment, stdout_offset, stderr_segment, stderr_offset, next_seq, batch FROM cursors
         WHERE place = ?1 AND service = ?2",
    )?
    .query_row(params![place, service.as_str()], |row| Ok((cursor_of(row)?, row.get(5)?)))
    .optional()
}

fn put(change: &Transaction<'_>, (place, service): &Key, taken: &Taken, batch: i64) -> rusqlite::Result<()> {
    let Cursor { stdout, stderr, next_seq } = taken.cursor;
    change
        .prepare_cached(
            "INSERT OR REPLACE INTO cursors
             (place, service, stdout_segment, stdout_offset, stderr_segment, stderr_offset, next_seq, batch)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            place,
            service.as_str(),
            stdout.segment.cast_signed(),
            stdout.offset.cast_signed(),
            stderr.segment.cast_signed(),
            stderr.offset.cast_signed(),
            next_seq.cast_signed(),
            batch
        ])?;
    let mut add = change.prepare_cached(
        "INSERT INTO minutes (place, service, minute, stdout_lines, stderr_lines, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (place, service, minute) DO UPDATE SET stdout_lines = stdout_lines + excluded.stdout_lines,
             stderr_lines = stderr_lines + excluded.stderr_lines, bytes = bytes + excluded.bytes",
    )?;
    for minute in taken.minutes.values() {
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (out, err, bytes) = (count(minute.stdout_lines), count(minute.stderr_lines), count(minute.bytes));
        add.execute(params![place, service.as_str(), minute.minute, out, err, bytes])?;
    }
    Ok(())
}

/// How far each service of a place was taken in.
pub(super) fn cursors(db: &Connection, place: &str) -> rusqlite::Result<BTreeMap<ServiceName, Cursor>> {
    let mut select = db.prepare_cached(
        "SELECT stdout_segment, stdout_offset, stderr_segment, stderr_offset, next_seq, service FROM cursors WHERE place = ?1",
    )?;
    let mut rows = select.query([place])?;
    let mut found = BTreeMap::new();
    while let Some(row) = rows.next()? {
        if let Ok(service) = ServiceName::new(&row.get::<_, String>(5)?) {
            found.insert(service, cursor_of(row)?);
        }
    }
    Ok(found)
}

/// Minutes, oldest first, and the number of the newest batch of that service; 0 where there is none.
pub(super) fn minutes(db: &Connection, asked: &MinuteFilter) -> rusqlite::Result<(Vec<Minute>, i64)> {
    // One statement each sees one state; the number is read first, so that a batch is never missed between them.
    let batch = stored(db, &asked.place, &asked.service)?.map_or(0, |(_, batch)| batch);
    let mut select = db.prepare_cached(
        "SELECT minute, stdout_lines, stderr_lines, bytes FROM minutes
         WHERE place = ?1 AND service = ?2 AND minute BETWEEN ?3 AND ?4 ORDER BY minute",
    )?;
    let found = select
        .query_map(params![asked.place, asked.service.as_str(), asked.from_minute, asked.to_minute], |row| {
            let count = |column| row.get::<_, i64>(column).map(|count| u64::try_from(count).unwrap_or(0));
            Ok(Minute { minute: row.get(0)?, stdout_lines: count(1)?, stderr_lines: count(2)?, bytes: count(3)? })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok((found, batch))
}

#[cfg(test)]
mod tests;
