//! `MySQL`'s client/server protocol (<https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html>, `MariaDB`'s:
//! <https://mariadb.com/kb/en/clientserver-protocol/>): login, text queries, goodbye.
//!
//! Never: sends a password in the clear over what is not encrypted; takes more than 4 MiB of a server.

use std::{collections::BTreeMap, io};

use ring::digest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::trouble;
use crate::{
    model::exam::{Target, Trouble},
    world::kinds::{
        encrypted,
        texts::said_in,
        wire::{self, Connection, Duplex},
    },
};

/// Most bytes of one packet, and of all packets of one answer.
const MOST: usize = 4 << 20;

const LONG_PASSWORD: u32 = 1;
const CONNECT_WITH_DB: u32 = 8;
const PROTOCOL_41: u32 = 0x200;
const SSL: u32 = 0x800;
const TRANSACTIONS: u32 = 0x2000;
const SECURE_CONNECTION: u32 = 0x8000;
const PLUGIN_AUTH: u32 = 0x8_0000;

/// A row, by the names of its columns.
pub(super) type Row = BTreeMap<String, String>;

/// An error of the server: its number and its words.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) code: u16,
    pub(super) words: String,
}

/// What came of a query.
pub(super) type Answer = Result<Vec<Row>, Fault>;

/// A session.
pub(super) struct Session {
    connection: Connection,
    target: Target,
    /// As the server says it in its greeting: `8.0.36`, `5.5.5-10.11.6-MariaDB-…`.
    pub(super) version: String,
}

struct Greeting {
    version: String,
    capabilities: u32,
    salt: Vec<u8>,
    plugin: String,
}

impl Session {
    /// Connects and logs in.
    pub(super) async fn open(target: &Target) -> Result<Self, Trouble> {
        let lost = |error: io::Error| wire::broken(&error, target);
        let mode = ["sslmode", "ssl-mode"].iter().find_map(|key| target.options.get(*key));
        let mode = mode.map_or(String::new(), |mode| mode.to_ascii_lowercase().replace('-', "_"));
        let (wanted, verified) = match mode.as_str() {
            "" | "disable" | "disabled" | "prefer" | "preferred" => (target.tls, true),
            "require" | "required" => (true, false),
            _ => (true, true),
        };
        let mut stream = wire::connect_tcp(target).await?;
        let (mut number, packet) = first_packet(&mut stream).await.map_err(lost)?;
        if packet.first() == Some(&0xff) {
            return Err(trouble(&fault(&packet), target));
        }
        let greeting = greeting(&packet).ok_or_else(|| foreign(target))?;
        let database = target.path.trim_matches('/');
        let mut capabilities = LONG_PASSWORD | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION | PLUGIN_AUTH;
        if !database.is_empty() {
            capabilities |= CONNECT_WITH_DB;
        }
        let mut connection: Connection = if wanted {
            if greeting.capabilities & SSL == 0 {
                let place = target.place();
                return Err(Trouble::Refused(format!("{place} speaks no TLS, but it is asked for: take sslmode away")));
            }
            capabilities |= SSL;
            number += 1;
            send(&mut stream, number, &head(capabilities)).await.map_err(lost)?;
            if verified { wire::secure(stream, target).await? } else { encrypted::unverified(stream, target).await? }
        } else {
            Box::new(stream)
        };
        let mut response = head(capabilities);
        let user = target.user.as_deref().unwrap_or("root");
        let password = target.password.as_ref().map_or("", |hidden| hidden.0.as_str());
        response.extend_from_slice(user.as_bytes());
        response.push(0);
        // A way that is not known here is answered with none: the server then says which it takes.
        let proof = proof(&greeting.plugin, password, &greeting.salt, wanted).unwrap_or_default();
        response.push(u8::try_from(proof.len()).unwrap_or(0));
        response.extend_from_slice(&proof);
        if !database.is_empty() {
            response.extend_from_slice(database.as_bytes());
            response.push(0);
        }
        response.extend_from_slice(greeting.plugin.as_bytes());
        response.push(0);
        number += 1;
        send(&mut connection, number, &response).await.map_err(lost)?;
        let mut session = Self { connection, target: target.clone(), version: said_in(&greeting.version, 80) };
        session.let_in(password, wanted).await?;
        Ok(session)
    }

    /// The rest of the login, until the server says yes or no.
    async fn let_in(&mut self, password: &str, encrypted: bool) -> Result<(), Trouble> {
        // Each of these comes once or twice; more is no login.
        for _ in 0..8 {
            let (number, packet) = self.packet().await?;
            let answer = match packet.first() {
                Some(0) => return Ok(()),
                Some(0xff) => return Err(trouble(&fault(&packet), &self.target)),
                Some(0xfe) => {
                    let (plugin, rest) = until_zero(packet.get(1..).unwrap_or_default());
                    let plugin = said_in(&plugin, 60);
                    let salt = rest.strip_suffix(&[0]).unwrap_or(rest);
                    match proof(&plugin, password, salt, encrypted) {
                        Some(proof) => proof,
                        None => return Err(self.unknown_way(&plugin)),
                    }
                }
                // The server has forgotten (or never had) the quick proof and wants the password itself.
                Some(1) if packet.get(1) == Some(&4) => {
                    if !encrypted {
                        return Err(self.unknown_way("caching_sha2_password without its cache"));
                    }
                    [password.as_bytes(), &[0]].concat()
                }
                Some(1) => continue,
                _ => return Err(foreign(&self.target)),
            };
            self.send(number.wrapping_add(1), &answer).await?;
        }
        Err(foreign(&self.target))
    }

    fn unknown_way(&self, way: &str) -> Trouble {
        Trouble::Refused(format!(
            "{} wants a password by {way}, which goes over TLS only or not at all here: add ?sslmode=require to check, or let the user log in by \
             mysql_native_password",
            self.target.place()
        ))
    }

    /// Asks, and takes what comes.
    ///
    /// # Errors
    /// Only where there is no answer; an error of the server is one.
    pub(super) async fn ask(&mut self, sql: &str) -> Result<Answer, Trouble> {
        self.send(0, &[&[3], sql.as_bytes()].concat()).await?;
        let (_, first) = self.packet().await?;
        match first.first() {
            Some(0) => return Ok(Ok(Vec::new())),
            Some(0xff) => return Ok(Err(fault(&first))),
            Some(0xfb) | None => return Err(foreign(&self.target)),
            Some(_) => {}
        }
        let (count, _) = integer(&first).filter(|(count, _)| *count <= 4096).ok_or_else(|| foreign(&self.target))?;
        let mut names = Vec::new();
        let mut taken = 0;
        for _ in 0..count {
            let (_, packet) = self.packet().await?;
            taken += packet.len();
            names.push(column_name(&packet).ok_or_else(|| foreign(&self.target))?);
        }
        let mut rows = Vec::new();
        let mut ends = 0;
        loop {
            let (_, packet) = self.packet().await?;
            taken += packet.len();
            if taken > MOST {
                return Err(foreign(&self.target));
            }
            match packet.first() {
                Some(0xff) => return Ok(Err(fault(&packet))),
                // The first ends the columns, the second the rows.
                Some(0xfe) if packet.len() < 9 => {
                    ends += 1;
                    if ends == 2 {
                        return Ok(Ok(rows));
                    }
                }
                _ if ends == 1 => rows.push(row(&packet, &names).ok_or_else(|| foreign(&self.target))?),
                _ => return Err(foreign(&self.target)),
            }
        }
    }

    /// Says goodbye.
    pub(super) async fn close(mut self) {
        // It is gone anyway where that cannot be said.
        let _said = send(&mut self.connection, 0, &[1]).await;
        let _closed = self.connection.shutdown().await;
    }

    async fn send(&mut self, number: u8, payload: &[u8]) -> Result<(), Trouble> {
        send(&mut self.connection, number, payload).await.map_err(|error| wire::broken(&error, &self.target))
    }

    async fn packet(&mut self) -> Result<(u8, Vec<u8>), Trouble> {
        packet(&mut self.connection).await.map_err(|error| wire::broken(&error, &self.target))
    }
}

fn foreign(target: &Target) -> Trouble {
    Trouble::Foreign(format!("{} does not answer as MySQL does", target.place()))
}

/// The fixed part of an answer to the greeting; charset 45 is `utf8mb4_general_ci`.
fn head(capabilities: u32) -> Vec<u8> {
    let mut bytes = capabilities.to_le_bytes().to_vec();
    bytes.extend_from_slice(&u32::try_from(MOST).unwrap_or(u32::MAX).to_le_bytes());
    bytes.push(45);
    bytes.extend_from_slice(&[0; 23]);
    bytes
}

async fn send<W: Duplex + ?Sized>(stream: &mut W, number: u8, payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = vec![length[0], length[1], length[2], number];
    bytes.extend_from_slice(payload);
    stream.write_all(&bytes).await?;
    stream.flush().await
}

async fn packet<R: Duplex + ?Sized>(stream: &mut R) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let length = usize::from(head[0]) | usize::from(head[1]) << 8 | usize::from(head[2]) << 16;
    if length > MOST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a packet of {length} bytes")));
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await?;
    Ok((head[3], payload))
}

/// The greeting is short, the first of its kind, and begins with 10 or (an error) 255: who says something else is somebody else.
async fn first_packet<R: Duplex + ?Sized>(stream: &mut R) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    stream.read_exact(&mut head).await?;
    let length = usize::from(head[0]) | usize::from(head[1]) << 8;
    if head[2] != 0 || head[3] != 0 || length < 1 || !(head[4] == 10 || head[4] == 0xff) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not begin as MySQL does"));
    }
    let mut payload = vec![0; length];
    payload[0] = head[4];
    stream.read_exact(&mut payload[1..]).await?;
    Ok((head[3], payload))
}

/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html>
fn greeting(packet: &[u8]) -> Option<Greeting> {
    let (version, rest) = until_zero(packet.get(1..)?);
    let mut salt = rest.get(4..12)?.to_vec();
    let low = u16::from_le_bytes(rest.get(13..15)?.try_into().ok()?);
    let Some(high) = rest.get(18..20) else {
        return Some(Greeting { version, capabilities: u32::from(low), salt, plugin: NATIVE.to_owned() });
    };
    let capabilities = u32::from(low) | u32::from(u16::from_le_bytes(high.try_into().ok()?)) << 16;
    let length = usize::from(*rest.get(20)?).saturating_sub(8).max(13);
    let second = rest.get(31..)?;
    let (more, plugin) = second.split_at(length.min(second.len()));
    salt.extend_from_slice(more.strip_suffix(&[0]).unwrap_or(more));
    let (plugin, _) = until_zero(plugin);
    let plugin = if plugin.is_empty() { NATIVE.to_owned() } else { plugin };
    Some(Greeting { version, capabilities, salt, plugin })
}

const NATIVE: &str = "mysql_native_password";

/// What proves that we know the password; none where that way is not known, or not safe.
fn proof(plugin: &str, password: &str, salt: &[u8], encrypted: bool) -> Option<Vec<u8>> {
    match plugin {
        NATIVE | "caching_sha2_password" if password.is_empty() => Some(Vec::new()),
        NATIVE => Some(scramble(&digest::SHA1_FOR_LEGACY_USE_ONLY, password, salt, true)),
        "caching_sha2_password" => Some(scramble(&digest::SHA256, password, salt, false)),
        "mysql_clear_password" | "dialog" if encrypted => Some([password.as_bytes(), &[0]].concat()),
        _ => None,
    }
}

/// `H(password) XOR H(salt + H(H(password)))` of `mysql_native_password`; of `caching_sha2_password` the salt stands behind
/// (<https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html>).
fn scramble(hash: &'static digest::Algorithm, password: &str, salt: &[u8], salt_first: bool) -> Vec<u8> {
    let one = digest::digest(hash, password.as_bytes());
    let two = digest::digest(hash, one.as_ref());
    let joined = if salt_first { [salt, two.as_ref()].concat() } else { [two.as_ref(), salt].concat() };
    let three = digest::digest(hash, &joined);
    one.as_ref().iter().zip(three.as_ref()).map(|(a, b)| a ^ b).collect()
}

/// `0xff`, a number, `#` and five signs of SQLSTATE (not before the login), words.
fn fault(packet: &[u8]) -> Fault {
    let code = packet.get(1..3).and_then(|code| code.try_into().ok()).map_or(0, u16::from_le_bytes);
    let rest = packet.get(3..).unwrap_or_default();
    let words = if rest.first() == Some(&b'#') { rest.get(6..).unwrap_or_default() } else { rest };
    Fault { code, words: crate::world::kinds::texts::said(&String::from_utf8_lossy(words)) }
}

fn until_zero(bytes: &[u8]) -> (String, &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let rest = bytes.get(end + 1..).unwrap_or_default();
    (String::from_utf8_lossy(&bytes[..end]).into_owned(), rest)
}

/// A length-encoded integer and what is behind it.
fn integer(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let count = match first {
        0..=0xfa => return Some((usize::from(*first), rest)),
        0xfc => 2,
        0xfd => 3,
        0xfe => 8,
        _ => return None,
    };
    let mut number = [0; 8];
    number[..count].copy_from_slice(rest.get(..count)?);
    Some((usize::try_from(u64::from_le_bytes(number)).ok()?, &rest[count..]))
}

/// A length-encoded string; none inside where it is NULL.
fn string(bytes: &[u8]) -> Option<(Option<String>, &[u8])> {
    if bytes.first() == Some(&0xfb) {
        return Some((None, &bytes[1..]));
    }
    let (length, rest) = integer(bytes)?;
    let (text, rest) = rest.split_at_checked(length)?;
    Some((Some(String::from_utf8_lossy(text).into_owned()), rest))
}

/// The fifth string of a definition of a column.
fn column_name(packet: &[u8]) -> Option<String> {
    let mut rest = packet;
    for _ in 0..4 {
        rest = string(rest)?.1;
    }
    string(rest)?.0
}

fn row(packet: &[u8], names: &[String]) -> Option<Row> {
    let mut rest = packet;
    let mut row = Row::new();
    for name in names {
        let (text, next) = string(rest)?;
        if let Some(text) = text {
            row.insert(name.clone(), text);
        }
        rest = next;
    }
    Some(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .map(|half| char::from_digit(half.into(), 16).unwrap())
            .collect()
    }

    #[test]
    fn passwords_are_proved_as_the_server_reckons() {
        let salt: Vec<u8> = (1..=20).collect();
        assert_eq!(hex(&proof(NATIVE, "geheim", &salt, false).unwrap()), "1dbf8316f278106244cf82d3e90677edc9a371e6");
        assert_eq!(
            hex(&proof("caching_sha2_password", "geheim", &salt, false).unwrap()),
            "6473c806df99ceed81b3781c80e3e5434b38afc2004e452cb6ce5b1458a60404"
        );
        assert_eq!(proof(NATIVE, "", &salt, false), Some(Vec::new()));
        assert_eq!(proof("mysql_clear_password", "geheim", &salt, false), None, "never in the clear");
    }

    #[test]
    fn packets_that_lie_are_no_rows() {
        assert_eq!(string(&[5, b'a']), None);
        assert_eq!(integer(&[0xfe, 1]), None);
        assert!(row(&[1, b'x'], &["a".to_owned(), "b".to_owned()]).is_none());
        assert!(greeting(&[10, b'8', 0, 1, 2]).is_none());
        assert_eq!(string(&[0xfb, 7]), Some((None, &[7][..])));
    }
}
