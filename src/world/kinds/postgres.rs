//! `PostgreSQL`, asked in its frontend/backend protocol 3.0 (<https://www.postgresql.org/docs/current/protocol.html>) by `tokio-postgres`.
//!
//! `ready`: logs in, `SELECT pg_is_in_recovery()`. `look`: catalogue views and the tables of job queues, each question in a read-only transaction of at most
//! four seconds. The path of a target is the database (none: the user's name, then `postgres`); options: `sslmode` (`disable`, `require` without, `verify-full`
//! with a look at the certificate), `role` (`primary`: a standby is not ready).
//!
//! Never: a statement that writes or waits for a lock longer than a second; takes more than 8 MiB of anybody.

mod figures;
mod jobs;
mod session;
mod stream;

use tokio_postgres::{Error, error::SqlState};

use self::session::Session;
use super::{
    texts::{said, said_in},
    wire,
};
use crate::model::exam::{Reading, Target, Trouble};

pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    let session = Session::open(target).await?;
    let rows = session.ask("SELECT pg_is_in_recovery()").await.map_err(|error| trouble(error, target))?;
    let standby = rows.first().and_then(|row| row.get(0)) == Some("t");
    let role = target.options.get("role").map_or("", String::as_str);
    session.close().await;
    match (role, standby) {
        ("primary", true) => Err(Trouble::Unready(format!(
            "{} is a standby and takes no writes, but role=primary is asked for",
            target.place()
        ))),
        ("standby", false) => {
            Err(Trouble::Unready(format!("{} is a primary, but role=standby is asked for", target.place())))
        }
        _ => Ok(()),
    }
}

pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let session = Session::open(target).await?;
    let mut reading = Reading::default();
    figures::read(&session, target, &mut reading).await?;
    jobs::read(&session, target, &mut reading).await?;
    session.close().await;
    Ok(reading)
}

/// What an error means (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn trouble(error: Error, target: &Target) -> Trouble {
    let place = target.place();
    if let Some(db) = error.as_db_error() {
        let words = said(db.message());
        let pooled_full =
            db.message().contains("no more connections allowed") || db.message().contains("query_wait_timeout");
        return match db.code() {
            code if *code == SqlState::CANNOT_CONNECT_NOW => Trouble::Unready(format!("{place} says: {words}")),
            code if [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN].contains(code) => {
                Trouble::Unready(format!("{place} is shutting down: {words}"))
            }
            code if *code == SqlState::TOO_MANY_CONNECTIONS || pooled_full => {
                Trouble::Busy(format!("{place} takes no more connections: {words}"))
            }
            code if [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION].contains(code) => {
                let advice = if db.message().contains("no encryption") {
                    "; add ?sslmode=require to check, or a host line to pg_hba.conf"
                } else {
                    ""
                };
                Trouble::Refused(format!("{place} does not let us in: {words}{advice}"))
            }
            code if [SqlState::INVALID_CATALOG_NAME, SqlState::INSUFFICIENT_PRIVILEGE].contains(code) => {
                Trouble::Refused(format!("{place} does not let us in: {words}"))
            }
            code if *code == SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE => {
                Trouble::Unready(format!("{place} says: {words}"))
            }
            code => Trouble::Refused(format!("{place} refuses: {words} (SQLSTATE {})", said_in(code.code(), 5))),
        };
    }
    let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
    let words = format!("{error}{cause}");
    if words.contains("password missing") {
        let user = target.user.as_deref().unwrap_or("postgres");
        return Trouble::Refused(format!(
            "{place} wants a password of {} and got none: write check: postgres://USER:PASSWORD@{place}/DATABASE",
            said_in(user, 40)
        ));
    }
    if words.contains("unsupported authentication method") {
        return Trouble::Refused(format!(
            "{place} wants a way of logging in that cannot be done here: {}",
            said(&words)
        ));
    }
    if error.is_closed() {
        return Trouble::Unreachable(format!("{place} closed the connection without an answer"));
    }
    let source = error.into_source();
    match source.as_ref().and_then(|source| source.downcast_ref::<std::io::Error>()) {
        Some(io) => wire::broken(io, target),
        None => Trouble::Foreign(format!("{place} does not answer as PostgreSQL does: {}", said(&words))),
    }
}
