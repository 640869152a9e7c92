//! Connections for protocols of bytes. Never: reads more than it is allowed to.

use std::{io, sync::Arc};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite},
    net::TcpStream,
    sync::OnceCell,
};

use crate::model::exam::{Target, Trouble};

/// What can be read from and written to.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A connection, plain or over TLS.
pub type Connection = Box<dyn Duplex>;

/// Connects as the target says. IPv4 and IPv6 addresses of a name are tried one after the other.
///
/// # Errors
/// [`Trouble::Unreachable`], in plain words.
pub async fn connect(target: &Target) -> Result<Connection, Trouble> {
    let stream = connect_tcp(target).await?;
    if target.tls { secure(stream, target).await } else { Ok(Box::new(stream)) }
}

/// Connects without TLS, whatever the target says: for protocols that turn to it later.
///
/// # Errors
/// [`Trouble::Unreachable`], in plain words.
pub async fn connect_tcp(target: &Target) -> Result<TcpStream, Trouble> {
    let stream = TcpStream::connect((target.host.as_str(), target.port))
        .await
        .map_err(|error| Trouble::Unreachable(connect_words(&error, target)))?;
    // Small questions are not to wait for more. Where that cannot be set, they do.
    let _slower = stream.set_nodelay(true);
    Ok(stream)
}

/// Turns a connection to TLS. Certificates are verified.
///
/// # Errors
/// [`Trouble::Foreign`]: what is wrong with the certificate or the handshake.
pub async fn secure(stream: TcpStream, target: &Target) -> Result<Connection, Trouble> {
    secure_for(stream, target, &[]).await
}

/// As [`secure`], for a protocol that is agreed on in the handshake (ALPN, RFC 7301): `h2`. None: nothing is said about it.
///
/// # Errors
/// As [`secure`].
pub async fn secure_for(stream: TcpStream, target: &Target, protocols: &[&[u8]]) -> Result<Connection, Trouble> {
    let wrong = |what: String| Trouble::Foreign(format!("TLS with {} failed: {what}", target.place()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let store = roots().await;
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from(target.host.clone()).map_err(|error| wrong(error.to_string()))?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await.map_err(|error| wrong(error.to_string()))?;
    Ok(Box::new(stream))
}

/// Whom this machine trusts. Read once: that opens some hundred files, so not on a thread of the runtime.
pub(super) async fn roots() -> Arc<rustls::RootCertStore> {
    static ROOTS: OnceCell<Arc<rustls::RootCertStore>> = OnceCell::const_new();
    let read = || {
        let mut store = rustls::RootCertStore::empty();
        let (_taken, _not) = store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(store)
    };
    // An error means that the runtime ends: then nobody is asked any more.
    let roots = ROOTS.get_or_init(|| async {
        tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| Arc::new(rustls::RootCertStore::empty()))
    });
    Arc::clone(roots.await)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "not an enum of ours")]
fn connect_words(error: &io::Error, target: &Target) -> String {
    let place = target.place();
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("connection refused: nothing listens on {place}"),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => format!("no route to {place}"),
        _ if error.to_string().contains("lookup address") => format!("host {} cannot be found", target.host),
        _ => format!("no connection to {place}: {error}"),
    }
}

/// What a failed exchange on an open connection means.
#[must_use]
#[expect(clippy::wildcard_enum_match_arm, reason = "not an enum of ours")]
pub fn broken(error: &io::Error, target: &Target) -> Trouble {
    let place = target.place();
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => Trouble::Unreachable(format!("{place} closed the connection without an answer")),
        io::ErrorKind::InvalidData => Trouble::Foreign(format!("{place} does not answer as expected: {error}")),
        _ => Trouble::Unreachable(format!("the connection to {place} broke: {error}")),
    }
}

/// Reads a line up to `\n`, without its end.
///
/// # Errors
/// `UnexpectedEof` where nothing comes any more, `InvalidData` where the line is longer than `most` bytes.
pub async fn line<R: AsyncBufRead + Unpin>(reader: &mut R, most: usize) -> io::Result<String> {
    let mut bytes = Vec::new();
    let allowed = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let mut limited = reader.take(allowed);
    limited.read_until(b'\n', &mut bytes).await?;
    match bytes.pop() {
        None => Err(io::ErrorKind::UnexpectedEof.into()),
        Some(b'\n') => {
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        Some(_) if bytes.len() >= most => {
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("a line of more than {most} bytes")))
        }
        Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Reads exactly so many bytes, at most `most`.
///
/// # Errors
/// As of the connection; `InvalidData` where more is announced than allowed.
pub async fn exactly<R: AsyncRead + Unpin>(reader: &mut R, count: usize, most: usize) -> io::Result<Vec<u8>> {
    if count > most {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it announces {count} bytes where at most {most} are expected"),
        ));
    }
    let mut bytes = vec![0; count];
    reader.read_exact(&mut bytes).await?;
    Ok(bytes)
}
