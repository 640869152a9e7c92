//! One query of `PostgreSQL`. Never: anything but a transaction that can only read; more than the first row.

use futures_util::{StreamExt, pin_mut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::{Config, NoTls, SimpleQueryMessage, config::SslMode};

use crate::{
    model::exam::{Target, Trouble},
    world::kinds::{body::quoted, wire},
};

/// The request for TLS (<https://www.postgresql.org/docs/current/protocol-message-formats.html>, `SSLRequest`).
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// Most milliseconds that the server works on the query, whatever becomes of us.
const PATIENCE: u32 = 30_000;

/// The values of the first row as text; none where there is no row.
pub(super) async fn first_row(target: &Target, query: &str) -> Result<Option<Vec<Option<String>>>, Trouble> {
    let stream = connect(target).await?;
    let mut config = Config::new();
    config.user(target.user.as_deref().unwrap_or("postgres")).ssl_mode(SslMode::Disable).application_name("cas-check");
    if let Some(password) = &target.password {
        config.password(&password.0);
    }
    if !target.path.is_empty() {
        config.dbname(&target.path);
    }
    let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(|error| words(&error, target))?;
    let asked = async {
        let only_reads = format!("SET statement_timeout = {PATIENCE}; BEGIN TRANSACTION READ ONLY");
        client.batch_execute(&only_reads).await?;
        let rows = client.simple_query_raw(query).await?;
        pin_mut!(rows);
        while let Some(message) = rows.next().await {
            if let SimpleQueryMessage::Row(row) = message? {
                return Ok(Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()));
            }
        }
        Ok(None)
    };
    tokio::select! {
        row = asked => row.map_err(|error: tokio_postgres::Error| words(&error, target)),
        ended = connection => Err(match ended {
            Err(error) => words(&error, target),
            Ok(()) => Trouble::Unreachable(format!("{} closed the connection", target.place())),
        }),
    }
}

async fn connect(target: &Target) -> Result<wire::Connection, Trouble> {
    let mut stream = wire::connect_tcp(target).await?;
    if !target.tls {
        return Ok(Box::new(stream));
    }
    stream.write_all(&SSL_REQUEST).await.map_err(|error| wire::broken(&error, target))?;
    match stream.read_u8().await.map_err(|error| wire::broken(&error, target))? {
        b'S' => wire::secure(stream, target).await,
        _ => Err(Trouble::Foreign(format!("{} does not speak TLS", target.place()))),
    }
}

/// Classes of SQLSTATE: 28 is who asks, 53300 too many connections, 57P03 a server that cannot serve yet
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn words(error: &tokio_postgres::Error, target: &Target) -> Trouble {
    let place = target.place();
    let Some(told) = error.as_db_error() else {
        let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
        return Trouble::Unreachable(quoted(&format!("no answer from {place}: {cause}")));
    };
    let text = quoted(&format!("{place}: {} ({})", told.message(), told.code().code()));
    match told.code().code() {
        code if code.starts_with("28") || code == "3D000" => Trouble::Refused(text),
        "53300" => Trouble::Busy(text),
        "57P03" => Trouble::Unready(text),
        _ => Trouble::Foreign(text),
    }
}
