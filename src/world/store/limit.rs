//! Ends what takes too long: `sqlite3_interrupt` from a thread that watches.

use std::{sync::mpsc, thread, time::Duration};

use rusqlite::Connection;

/// Does `work`, which then fails with `SQLite`'s interruption when it takes longer than `limit`. Where no thread is to be had, it
/// takes as long as it takes.
pub(super) fn within<T>(limit: Duration, db: &Connection, work: impl FnOnce(&Connection) -> T) -> T {
    let interrupt = db.get_interrupt_handle();
    let (done, over) = mpsc::channel::<()>();
    thread::scope(|scope| {
        // It ends before this function does, so that nothing that comes later is interrupted.
        let watch = thread::Builder::new().name("cas-store-limit".to_owned());
        let _none = watch.spawn_scoped(scope, move || {
            if over.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                interrupt.interrupt();
            }
        });
        let result = work(db);
        drop(done);
        result
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rusqlite::Connection;

    use super::within;

    const FOR_EVER: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

    #[test]
    fn what_takes_too_long_is_interrupted_and_nothing_else_is() {
        let db = Connection::open_in_memory().unwrap();
        let ask = |db: &Connection, sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
        let outcome = within(Duration::from_millis(50), &db, |db| ask(db, FOR_EVER));
        assert_eq!(outcome.unwrap_err().sqlite_error_code(), Some(rusqlite::ErrorCode::OperationInterrupted));
        assert_eq!(within(Duration::from_mins(1), &db, |db| ask(db, "SELECT 7")).unwrap(), 7);
        assert_eq!(ask(&db, "SELECT 8").unwrap(), 8);
    }
}
