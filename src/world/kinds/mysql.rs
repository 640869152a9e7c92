//! `MySQL` and `MariaDB`, asked in their own protocol.
//!
//! `ready`: a login and `SELECT @@global.read_only`. `look`: `SHOW GLOBAL STATUS` and `VARIABLES`, `information_schema`, `SHOW REPLICA STATUS`, and tables of
//! job queues where a database is named. The path of a target is the database; options: `sslmode` (`require` without, `verify-full` with a look at the
//! certificate), `role` (`primary`: one that is read only is not ready).
//!
//! Never: a statement that writes.

mod figures;
mod jobs;
mod session;

use self::session::{Fault, Session};
use crate::model::exam::{Reading, Target, Trouble};

pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    let mut session = Session::open(target).await?;
    let answer = session.ask("SELECT @@global.read_only AS read_only").await?;
    session.close().await;
    let rows = answer.map_err(|fault| trouble(&fault, target))?;
    let read_only = rows.first().and_then(|row| row.get("read_only")).is_some_and(|value| value != "0");
    if read_only && target.options.get("role").is_some_and(|role| role == "primary") {
        let place = target.place();
        return Err(Trouble::Unready(format!("{place} is read only, but role=primary is asked for")));
    }
    Ok(())
}

pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let mut session = Session::open(target).await?;
    let mut reading = Reading::default();
    // One of each is known: https://dev.mysql.com/doc/refman/8.4/en/server-system-variables.html#sysvar_max_execution_time (milliseconds),
    // https://mariadb.com/kb/en/server-system-variables/#max_statement_time (seconds).
    for bound in ["SET SESSION max_execution_time = 4000", "SET SESSION max_statement_time = 4"] {
        let _known = session.ask(bound).await?;
    }
    figures::read(&mut session, target, &mut reading).await?;
    if !target.path.trim_matches('/').is_empty() {
        jobs::read(&mut session, target, &mut reading).await?;
    }
    session.close().await;
    Ok(reading)
}

/// What an error means (<https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>).
fn trouble(fault: &Fault, target: &Target) -> Trouble {
    let place = target.place();
    let words = &fault.words;
    match fault.code {
        // Too many connections, of all or of this user.
        1040 | 1203 | 1226 => Trouble::Busy(format!("{place} takes no more connections: {words}")),
        1045 | 1698 if target.password.is_none() => Trouble::Refused(format!(
            "{place} does not let us in without a password: {words}; write check: mysql://USER:PASSWORD@{place}/DATABASE"
        )),
        1129 => Trouble::Refused(format!("{place} has blocked our host: {words} (FLUSH HOSTS ends it)")),
        3159 | 4151 => Trouble::Refused(format!("{place} wants TLS: add ?sslmode=require to check: {words}")),
        // Shutting down, a node of Galera that is not ready, offline mode.
        1053 | 1047 | 3032 => Trouble::Unready(format!("{place} does not serve (yet): {words}")),
        code => Trouble::Refused(format!("{place} does not let us in: {words} (error {code})")),
    }
}
