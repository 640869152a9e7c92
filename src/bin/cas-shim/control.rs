//! Connections. A packet is one request or one notice. Never waits for a client: what it does not read is told later, or
//! stands in the next `Welcome`.

use std::{io::IoSliceMut, mem::MaybeUninit};

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    io::{Errno, Result},
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendFlags, SocketFlags, accept_with, recv,
        recvmsg, send, sockopt::socket_peercred,
    },
    process::geteuid,
};

use crate::{
    Run, Shim, owed,
    shim_format::{Notice, PACKET_BYTES, PROTOCOL, Request, phase},
    spawn::Order,
    sys,
};

/// Packets of one client that are answered before others have their turn.
const TURN: u32 = 16;

/// A connection.
pub(crate) struct Client {
    pub(crate) socket: OwnedFd,
    /// Order of arrival.
    came: u64,
    /// Order of greeting; 0: has not greeted.
    greeted: u64,
}

/// A packet that is being written.
pub(crate) struct Packet {
    bytes: [u8; 320],
    len: usize,
}

impl Packet {
    pub(crate) fn new(notice: Notice) -> Self {
        Self { bytes: [0; 320], len: 0 }.put((notice as u16).to_le_bytes()).put(PROTOCOL.to_le_bytes())
    }

    /// Little-endian bytes of the next field.
    pub(crate) fn put<const N: usize>(mut self, field: [u8; N]) -> Self {
        if let Some(place) = self.len.checked_add(N).and_then(|end| self.bytes.get_mut(self.len..end)) {
            place.copy_from_slice(&field);
            self.len += N;
        }
        self
    }

    pub(crate) fn send(&self, socket: BorrowedFd<'_>) -> Result<()> {
        let bytes = self.bytes.get(..self.len).unwrap_or_default();
        send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL).map(|_| ())
    }
}

/// `Refused`.
pub(crate) fn refusal(error: Errno) -> Packet {
    Packet::new(Notice::Refused).put(error.raw_os_error().to_le_bytes())
}

/// Says no and leaves. What was asked is read first: else the peer is told of a broken connection before it is told why.
pub(crate) fn refuse(socket: BorrowedFd<'_>, error: Errno) {
    let _ = refusal(error).send(socket);
    let mut request = [0_u8; 64];
    while let Ok((1.., _)) = recv(socket, &mut request, RecvFlags::DONTWAIT) {}
}

/// Whether the peer may command us.
pub(crate) fn is_trusted(socket: BorrowedFd<'_>) -> bool {
    socket_peercred(socket).is_ok_and(|peer| peer.uid == geteuid() || peer.uid.is_root())
}

/// A packet that is being read.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Errno::INVAL)?;
        self.0 = rest;
        Ok(*field)
    }

    fn u64(&mut self) -> Result<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u16(&mut self) -> Result<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u8(&mut self) -> Result<u8> {
        self.take().map(|[byte]| byte)
    }
}

impl Shim {
    /// Takes a connection; the one that is least useful goes where there are too many.
    pub(crate) fn admit(&mut self, socket: OwnedFd) {
        self.arrivals = self.arrivals.saturating_add(1);
        let notified = self.notified();
        let client = Client { socket, came: self.arrivals, greeted: 0 };
        let places = self.clients.iter_mut().enumerate().filter(|(at, _)| Some(*at) != notified);
        let worst = places.min_by_key(|(_, place)| place.as_ref().map(|client| (client.greeted, client.came)));
        if let Some((_, place)) = worst {
            *place = Some(client);
        }
    }

    /// Accepts whoever asks.
    pub(crate) fn accept(&mut self, now: u64) {
        loop {
            match accept_with(&self.listener, SocketFlags::CLOEXEC) {
                Ok(socket) if is_trusted(socket.as_fd()) => self.admit(socket),
                Ok(_) | Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::AGAIN) => return,
                // No descriptors: the queue waits, and so do we.
                Err(_) => return self.deaf_until = now.saturating_add(1000),
            }
        }
    }

    /// The connection that notices go to.
    pub(crate) fn notified(&self) -> Option<usize> {
        let clients = self.clients.iter().enumerate();
        let greeted = clients.filter_map(|(at, client)| Some((client.as_ref()?.greeted, at)).filter(|(no, _)| *no > 0));
        greeted.max().map(|(_, at)| at)
    }

    /// Sends what is owed, oldest first.
    pub(crate) fn pay(&mut self) {
        for bit in owed::ALL {
            if self.owed & bit == 0 {
                continue;
            }
            let Some(at) = self.notified() else { return };
            let Some(client) = self.clients.get(at).and_then(Option::as_ref) else { return };
            match self.notice(bit).send(client.socket.as_fd()) {
                Ok(()) => self.owed &= !bit,
                Err(Errno::AGAIN | Errno::INTR | Errno::NOBUFS | Errno::NOMEM) => return,
                Err(_) => return self.close(at),
            }
        }
    }

    fn close(&mut self, at: usize) {
        if let Some(place) = self.clients.get_mut(at) {
            *place = None;
        }
    }

    fn notice(&self, bit: u8) -> Packet {
        let (segment, offset) = self.log.end();
        let (facts, exit) = self.run.parts();
        match bit {
            owed::SPAWNED => Packet::new(Notice::Spawned)
                .put(facts.run.to_le_bytes())
                .put(facts.pid.to_le_bytes())
                .put(facts.start.to_le_bytes())
                .put(facts.wall_us.to_le_bytes()),
            owed::FAILED => {
                let (run, stage, errno) =
                    self.failed.map_or((0, 0, 0), |failed| (failed.run, failed.stage, failed.errno));
                Packet::new(Notice::SpawnFailed).put(run.to_le_bytes()).put(errno.to_le_bytes()).put([stage])
            }
            owed::EXITED => Packet::new(Notice::Exited)
                .put(facts.run.to_le_bytes())
                .put([exit.kind])
                .put(exit.value.to_le_bytes())
                .put(exit.wall_us.to_le_bytes())
                .put(exit.cpu_us.0.to_le_bytes())
                .put(exit.cpu_us.1.to_le_bytes())
                .put(exit.max_rss_kib.to_le_bytes())
                .put(exit.leftover.to_le_bytes())
                .put(exit.end.0.to_le_bytes())
                .put(exit.end.1.to_le_bytes()),
            owed::EMPTY => {
                let named = (self.left.count as usize).min(self.left.pids.len());
                let packet = Packet::new(Notice::Empty).put(facts.run.to_le_bytes()).put(self.left.count.to_le_bytes());
                self.left.pids.iter().take(named).fold(packet, |packet, pid| packet.put(pid.to_le_bytes()))
            }
            owed::DROPPED => Packet::new(Notice::Dropped).put(self.log.dropped.to_le_bytes()),
            owed::TYPED => Packet::new(Notice::Typed),
            _ => Packet::new(Notice::Wrote).put(segment.to_le_bytes()).put(offset.to_le_bytes()),
        }
    }

    fn welcome(&self) -> Packet {
        let (segment, offset) = self.log.end();
        let (facts, exit) = self.run.parts();
        let phase = match &self.run {
            Run::Fresh => phase::FRESH,
            Run::Running(..) => phase::RUNNING,
            Run::Ended(..) => phase::ENDED,
            Run::Unverifiable(..) => phase::UNVERIFIABLE,
        };
        Packet::new(Notice::Welcome)
            .put(std::process::id().to_le_bytes())
            .put([phase])
            .put(facts.run.to_le_bytes())
            .put(facts.pid.to_le_bytes())
            .put(facts.start.to_le_bytes())
            .put(facts.wall_us.to_le_bytes())
            .put([exit.kind])
            .put(exit.value.to_le_bytes())
            .put(exit.wall_us.to_le_bytes())
            .put(facts.flags.to_le_bytes())
            .put(segment.to_le_bytes())
            .put(offset.to_le_bytes())
    }

    /// Reads what a client has to say.
    pub(crate) fn hear(&mut self, at: usize, has_hung_up: bool) {
        for _ in 0..TURN {
            let Some(client) = self.clients.get(at).and_then(Option::as_ref) else { return };
            let mut bytes = [0_u8; PACKET_BYTES];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
            let received = recvmsg(&client.socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags);
            let (len, flags) = match received {
                Ok(received) if received.bytes == 0 && has_hung_up => return self.close(at),
                Ok(received) => (received.bytes, received.flags),
                Err(Errno::AGAIN | Errno::INTR) => return,
                Err(_) => return self.close(at),
            };
            let mut descriptor = None;
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                    // Whatever else came is closed here.
                    for each in descriptors {
                        descriptor.get_or_insert(each);
                    }
                }
            }
            let answer = if flags.contains(ReturnFlags::TRUNC) {
                Err(Errno::INVAL)
            } else {
                self.obey(at, bytes.get(..len).unwrap_or_default(), descriptor.as_ref().map(AsFd::as_fd))
            };
            let packet = match answer {
                Ok(None) => continue,
                Ok(Some(packet)) => packet,
                Err(error) => refusal(error),
            };
            if let Some(client) = self.clients.get(at).and_then(Option::as_ref) {
                // A client that does not read its answers goes without.
                let _ = packet.send(client.socket.as_fd());
            }
        }
    }

    fn obey(&mut self, at: usize, packet: &[u8], descriptor: Option<BorrowedFd<'_>>) -> Result<Option<Packet>> {
        let mut fields = Fields(packet);
        let request = Request::from_number(fields.u16()?).ok_or(Errno::INVAL)?;
        // A newer engine's request is what we know, and perhaps more fields behind.
        let _version = fields.u16()?;
        let now = sys::now_ms();
        match request {
            Request::Greet => {
                self.arrivals = self.arrivals.saturating_add(1);
                let order = self.arrivals;
                if let Some(client) = self.clients.get_mut(at).and_then(Option::as_mut) {
                    client.greeted = order;
                }
                // The answer says all of these.
                self.owed &= owed::EMPTY | owed::DROPPED;
                self.armed = None;
                return Ok(Some(self.welcome()));
            }
            Request::Spawn => {
                let (run, flags) = (fields.u64()?, fields.u32()?);
                let (rows, cols, open_files) = (fields.u16()?, fields.u16()?, fields.u64()?);
                // Older engines do not say it.
                let processes = fields.u64().unwrap_or(0);
                self.pay();
                let is_there = matches!(self.run, Run::Running(..) | Run::Unverifiable(..)) || self.ending.is_some();
                // What is still to be told of the run before would be told of the new one.
                if is_there || self.owed & (owed::EXITED | owed::EMPTY) != 0 {
                    return Err(Errno::BUSY);
                }
                self.spawn(Order { run, flags, rows, cols, open_files, processes }, descriptor);
            }
            Request::Escalate => {
                let after_ms = fields.u64()?;
                if matches!(self.run, Run::Unverifiable(..)) {
                    return Err(Errno::PERM);
                }
                self.escalate(after_ms, now);
            }
            Request::Arm => self.armed = Some((fields.u64()?, fields.u64()?)),
            Request::Keep => {
                let (segment, total) = (fields.u64()?, fields.u64()?);
                match fields.u8()? {
                    on_full @ 0..=1 => self.log.keep(segment, total, on_full == 1),
                    _ => return Err(Errno::INVAL),
                }
            }
            Request::Input => {
                self.pty.as_mut().ok_or(Errno::NOTTY)?.type_in(fields.0)?;
                self.type_on();
            }
            Request::Resize => {
                let (rows, cols) = (fields.u16()?, fields.u16()?);
                self.pty.as_ref().ok_or(Errno::NOTTY)?.resize(rows, cols)?;
            }
            Request::Retire => self.retiring = true,
            Request::Count => {
                return Ok(Some(Packet::new(Notice::Census).put(self.survivors().count.to_le_bytes())));
            }
        }
        Ok(None)
    }
}
