//! A connection of which only so much is read, and which is known for a stranger's by its first bytes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::{
    model::exam::{Target, Trouble},
    world::kinds::{
        encrypted,
        wire::{self, Connection},
    },
};

/// Most bytes that are read of one connection.
const MOST: usize = 8 << 20;
/// Most bytes that the first message of a server has.
const FIRST: usize = 64 << 10;

/// Connects as `sslmode` says: `SSLRequest` first where TLS is wanted (<https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>).
pub(super) async fn open(target: &Target) -> Result<Bounded, Trouble> {
    let mode = target.options.get("sslmode").map_or("", String::as_str);
    let (wanted, verified) = match mode {
        "" | "disable" | "allow" | "prefer" => (target.tls, true),
        "require" => (true, false),
        "verify-ca" | "verify-full" => (true, true),
        other => {
            let other = crate::world::kinds::texts::said_in(other, 40);
            return Err(Trouble::Refused(format!("sslmode={other} is none of disable, prefer, require, verify-full")));
        }
    };
    let mut stream = wire::connect_tcp(target).await?;
    let inner: Connection = if wanted {
        let asked = async {
            stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await?;
            stream.read_u8().await
        };
        match asked.await.map_err(|error| wire::broken(&error, target))? {
            b'S' if verified => wire::secure(stream, target).await?,
            b'S' => encrypted::unverified(stream, target).await?,
            b'N' => {
                return Err(Trouble::Refused(format!(
                    "{} speaks no TLS, but it is asked for: take sslmode away",
                    target.place()
                )));
            }
            _ => return Err(Trouble::Foreign(format!("{} does not answer as PostgreSQL does", target.place()))),
        }
    } else {
        Box::new(stream)
    };
    Ok(Bounded { inner, left: MOST, first: Vec::new() })
}

/// A connection that fails where more comes than may, or where the first message is none of a `PostgreSQL`.
pub(super) struct Bounded {
    inner: Connection,
    left: usize,
    first: Vec<u8>,
}

impl Bounded {
    fn check(&mut self, new: &[u8]) -> io::Result<()> {
        let strange = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        self.left = self.left.checked_sub(new.len()).ok_or_else(|| strange("more than 8 MiB of answers"))?;
        if self.first.len() == 5 || new.is_empty() {
            return Ok(());
        }
        self.first.extend(new.iter().take(5 - self.first.len()));
        // Authentication, error, notice, negotiation of the version: what a server says first.
        if !b"RENv".contains(&self.first[0]) {
            return Err(strange("its first byte is none of PostgreSQL's"));
        }
        if let [_, a, b, c, d] = self.first[..] {
            let length = u32::from_be_bytes([a, b, c, d]);
            if usize::try_from(length).map_or(true, |length| !(4..FIRST).contains(&length)) {
                return Err(strange("its first message is longer than any of PostgreSQL's"));
            }
        }
        Ok(())
    }
}

impl AsyncRead for Bounded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        Poll::Ready(self.check(&buf.filled()[before..]))
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
