//! What is known of the patterns in the output of services, kept as it is given: bytes of which the store knows nothing.
//!
//! Promise: of each service the newest that was given. Never: exactly once; what is given last before a sudden end may be lost, and is learnt again.

use std::{collections::BTreeMap, sync::Arc};

use rusqlite::{Connection, Transaction, params};

use super::{intake::Key, open};
use crate::model::ids::ServiceName;

/// Services of which it is kept: those that were written last.
const SERVICES: i64 = 2000;

/// What waits to be written. Bounded: one a service.
pub(super) type Waiting = BTreeMap<Key, Arc<[u8]>>;

/// Writes what waits.
pub(super) fn write(change: &Transaction<'_>, waiting: &Waiting, now_us: i64) -> rusqlite::Result<()> {
    let mut put = change.prepare_cached(
        "INSERT OR REPLACE INTO patterns (place, service, written_us, state) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for ((place, service), state) in waiting {
        put.execute(params![place, service.as_str(), now_us, &**state])?;
    }
    Ok(())
}

/// Takes off `waiting` what was written.
pub(super) fn forget(waiting: &mut Waiting, written: &Waiting) {
    waiting.retain(|key, state| !written.get(key).is_some_and(|written| Arc::ptr_eq(written, state)));
}

/// Lets go of services that nothing was heard of for long.
pub(super) fn prune(change: &Transaction<'_>) -> rusqlite::Result<()> {
    let surplus: i64 = change.query_row("SELECT count(*) - ?1 FROM patterns", [SERVICES], |row| row.get(0))?;
    if surplus <= 0 {
        return Ok(());
    }
    let oldest = "SELECT place, service FROM patterns ORDER BY written_us LIMIT ?1";
    change.execute(&format!("DELETE FROM patterns WHERE (place, service) IN ({oldest})"), [surplus]).map(|_rows| ())
}

/// What is kept of the services of a place.
pub(super) fn read(db: &Connection, place: &str) -> rusqlite::Result<BTreeMap<ServiceName, Arc<[u8]>>> {
    let mut found = BTreeMap::new();
    if open::format_of(db)? < open::PATTERNS {
        return Ok(found);
    }
    let mut select = db.prepare_cached("SELECT service, state FROM patterns WHERE place = ?1")?;
    let mut rows = select.query([place])?;
    while let Some(row) = rows.next()? {
        if let Ok(service) = ServiceName::new(&row.get::<_, String>(0)?) {
            found.insert(service, row.get::<_, Vec<u8>>(1)?.into());
        }
    }
    Ok(found)
}

/// The same with what is not written yet.
pub(super) fn with_waiting(
    mut stored: BTreeMap<ServiceName, Arc<[u8]>>,
    waiting: &Waiting,
    place: &str,
) -> BTreeMap<ServiceName, Arc<[u8]>> {
    for ((of, service), state) in waiting {
        if **of == *place {
            stored.insert(service.clone(), Arc::clone(state));
        }
    }
    stored
}
