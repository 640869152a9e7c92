//! Is a TCP connection accepted? Never sends a byte.

use std::{io, net::SocketAddr};

use futures_util::future::select_ok;
use tokio::net::{TcpStream, lookup_host};

use crate::model::probe::ProbeOutcome;

/// Tries every address of `host` at once; one that accepts is enough.
pub(super) async fn ask(host: &str, port: u16) -> ProbeOutcome {
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() || port == 0 {
        return ProbeOutcome::Broken(format!(
            "\"{host}:{port}\" is not an address: give a host and a port from 1 to 65535"
        ));
    }
    let addresses: Vec<SocketAddr> = match lookup_host((host, port)).await {
        Ok(found) => found.collect(),
        Err(error) => return ProbeOutcome::Failed(format!("host {host} cannot be found: {error}")),
    };
    if addresses.is_empty() {
        return ProbeOutcome::Failed(format!("host {host} has no address"));
    }
    match select_ok(addresses.into_iter().map(|address| Box::pin(TcpStream::connect(address)))).await {
        Ok(_accepted) => ProbeOutcome::Passed,
        Err(error) => ProbeOutcome::Failed(explain(&error, host, port)),
    }
}

fn explain(error: &io::Error, host: &str, port: u16) -> String {
    let kind = error.kind();
    if kind == io::ErrorKind::ConnectionRefused {
        format!("connection refused: nothing listens on {host}:{port}")
    } else if matches!(kind, io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) {
        format!("no route to {host}:{port}")
    } else {
        format!("no connection to {host}:{port}: {error}")
    }
}
