//! One connection to a shim. Never waits: what the socket does not take at once means that the shim does not read.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net as std_net,
    },
};

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use tokio::net::UnixDatagram;

use super::wire::{self, Heard};
use crate::shim_format::PACKET_BYTES;

/// A `SOCK_SEQPACKET` end. It is read and written as a datagram socket is: a packet at a time; an empty one is its end.
#[derive(Debug)]
pub(super) struct Socket(UnixDatagram);

impl Socket {
    /// A pair: our end, and the one for a shim that is started with it.
    pub(super) fn pair() -> io::Result<(Self, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Self::adopt(ours)?, theirs))
    }

    /// Connects to `ctl.sock` of a slot whose directory is open.
    pub(super) fn connect(directory: BorrowedFd<'_>) -> io::Result<Self> {
        use std::os::fd::AsRawFd;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        // A socket's address holds 108 bytes only; this way the directory's path may have any length.
        let address = SocketAddrUnix::new(format!("/proc/self/fd/{}/ctl.sock", directory.as_raw_fd()))?;
        rustix::net::connect(&socket, &address)?;
        Self::adopt(socket)
    }

    fn adopt(socket: OwnedFd) -> io::Result<Self> {
        UnixDatagram::from_std(std_net::UnixDatagram::from(socket)).map(Self)
    }

    /// Who listens at the other end: user and process.
    pub(super) fn peer(&self) -> io::Result<(u32, u32)> {
        let credentials = rustix::net::sockopt::socket_peercred(self.0.as_fd())?;
        Ok((credentials.uid.as_raw(), credentials.pid.as_raw_nonzero().get().cast_unsigned()))
    }

    /// Sends a packet, past the runtime: it may not have heard yet that there is room.
    ///
    /// # Errors
    /// `WouldBlock` where the shim has not read for long; any other: it is gone.
    pub(super) fn send(&self, packet: &[u8]) -> io::Result<()> {
        rustix::net::send(&self.0, packet, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?;
        Ok(())
    }

    /// Sends a packet and a descriptor.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub(super) fn send_with(&self, packet: &[u8], descriptor: BorrowedFd<'_>) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = [descriptor];
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        rustix::net::sendmsg(&self.0, &[IoSlice::new(packet)], &mut control, flags)?;
        Ok(())
    }

    /// The next packet. Nothing is lost where this is dropped while it waits.
    ///
    /// # Errors
    /// The shim is gone, or hung up.
    pub(super) async fn hear(&self) -> io::Result<Heard> {
        loop {
            self.0.readable().await?;
            match self.receive() {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                heard => return heard,
            }
        }
    }

    fn receive(&self) -> io::Result<Heard> {
        let mut buffer = [0; PACKET_BYTES];
        match self.0.try_recv(&mut buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => Ok(wire::decode(&buffer[..length])),
        }
    }
}
