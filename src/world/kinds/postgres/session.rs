//! One session with a `PostgreSQL`: text in, rows of text out. Never: leaves a transaction open, or its connection behind.

use tokio::task::JoinHandle;
use tokio_postgres::{
    Client, Config, Error, NoTls, SimpleQueryMessage, SimpleQueryRow, config::SslMode, error::SqlState,
};

use super::{stream, trouble};
use crate::model::exam::{Target, Trouble};

/// A session; it ends where it is dropped.
pub(super) struct Session {
    client: Option<Client>,
    worker: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

/// What came of a question that may not be permitted.
pub(super) enum Asked {
    /// Rows.
    Rows(Vec<SimpleQueryRow>),
    /// It is not permitted, and why.
    Denied(String),
    /// It cannot be answered: too slow, or not there in this version; and why.
    Skipped(String),
}

impl Session {
    /// Logs in.
    pub(super) async fn open(target: &Target) -> Result<Self, Trouble> {
        let user = target.user.as_deref().unwrap_or("postgres");
        let named = target.path.trim_matches('/');
        let first = if named.is_empty() { user } else { named };
        match Self::log_in(target, user, first).await {
            // Nobody named that database: it is only the usual one.
            Err(Failed::Said(error))
                if named.is_empty() && user != "postgres" && error.code() == Some(&SqlState::INVALID_CATALOG_NAME) =>
            {
                Self::log_in(target, user, "postgres").await.map_err(|failed| failed.trouble(target))
            }
            other => other.map_err(|failed| failed.trouble(target)),
        }
    }

    async fn log_in(target: &Target, user: &str, database: &str) -> Result<Self, Failed> {
        let mut config = Config::new();
        config.user(user).dbname(database).application_name("cas").ssl_mode(SslMode::Disable);
        if let Some(password) = &target.password {
            config.password(&password.0);
        }
        let stream = stream::open(target).await.map_err(Failed::Before)?;
        let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(Failed::Said)?;
        let worker = tokio::spawn(async move {
            // Whoever asks hears of it as well.
            let _ended = connection.await;
        });
        Ok(Self { client: Some(client), worker })
    }

    /// Asks one question in a read-only transaction of its own (so that nothing is left behind a pooler either).
    pub(super) async fn ask(&self, sql: &str) -> Result<Vec<SimpleQueryRow>, Error> {
        let Some(client) = &self.client else { return Ok(Vec::new()) };
        let whole = format!(
            "BEGIN READ ONLY; SET LOCAL statement_timeout = 4000; SET LOCAL lock_timeout = 1000; {sql}; COMMIT"
        );
        match client.simple_query(&whole).await {
            Ok(messages) => Ok(messages
                .into_iter()
                .filter_map(|message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None })
                .collect()),
            Err(error) => {
                if error.as_db_error().is_some() {
                    client.simple_query("ROLLBACK").await?;
                }
                Err(error)
            }
        }
    }

    /// Asks what may not be permitted.
    ///
    /// # Errors
    /// Only where there is nobody any more who could be asked.
    pub(super) async fn try_ask(&self, target: &Target, sql: &str) -> Result<Asked, Trouble> {
        let error = match self.ask(sql).await {
            Ok(rows) => return Ok(Asked::Rows(rows)),
            Err(error) => error,
        };
        let Some(db) = error.as_db_error() else { return Err(trouble(error, target)) };
        let words = crate::world::kinds::texts::said(db.message());
        match db.code() {
            code if *code == SqlState::INSUFFICIENT_PRIVILEGE => Ok(Asked::Denied(words)),
            code if [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW]
                .contains(code) =>
            {
                Err(trouble(error, target))
            }
            _ => Ok(Asked::Skipped(words)),
        }
    }

    /// Says goodbye (`Terminate`) and waits until that is said.
    pub(super) async fn close(mut self) {
        drop(self.client.take());
        // One that was aborted is gone as well.
        let _done = (&mut self.worker).await;
    }
}

enum Failed {
    Before(Trouble),
    Said(Error),
}

impl Failed {
    fn trouble(self, target: &Target) -> Trouble {
        match self {
            Self::Before(trouble) => trouble,
            Self::Said(error) => trouble(error, target),
        }
    }
}

/// A column as a number.
pub(super) fn number(row: &SimpleQueryRow, column: usize) -> Option<f64> {
    row.try_get(column).ok().flatten().and_then(crate::world::kinds::texts::number)
}

/// A column as text; empty where it is null.
pub(super) fn text(row: &SimpleQueryRow, column: usize) -> &str {
    row.try_get(column).ok().flatten().unwrap_or_default()
}
