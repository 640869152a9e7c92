//! Bolt 4.4 to 5.x as far as a login and a question need it: the handshake (<https://neo4j.com/docs/bolt/current/bolt/handshake/>), messages
//! (<https://neo4j.com/docs/bolt/current/bolt/message/>) and `PackStream` (<https://neo4j.com/docs/bolt/current/packstream/>).
//!
//! Never: reads a message of more than [`MESSAGE`] bytes, values deeper than [`DEPTH`], or more than [`ROWS`] rows.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{super::wire, clause};
use crate::model::exam::{Target, Trouble};

/// Most bytes of a message.
const MESSAGE: usize = 1 << 20;
/// Most rows of an answer.
const ROWS: usize = 1000;
/// How deep values may lie in values.
const DEPTH: usize = 8;
/// The begin of a handshake.
const MAGIC: [u8; 4] = [0x60, 0x60, 0xB0, 0x17];
/// What is spoken here, best first: 5.4 down to 5.0, 4.4; the second byte is how many minor versions below are meant as well.
const VERSIONS: [[u8; 4]; 4] = [[0, 4, 4, 5], [0, 0, 4, 4], [0; 4], [0; 4]];

const HELLO: u8 = 0x01;
const GOODBYE: u8 = 0x02;
const RUN: u8 = 0x10;
const PULL: u8 = 0x3F;
const LOGON: u8 = 0x6A;
const SUCCESS: u8 = 0x70;
const RECORD: u8 = 0x71;
const IGNORED: u8 = 0x7E;
const FAILURE: u8 = 0x7F;

/// A value of `PackStream`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Bytes(usize),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
    Structure(u8, Vec<Self>),
}

impl Value {
    pub(super) fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) const fn as_int(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }

    fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }
}

/// A connection after its handshake.
pub(super) struct Session<'t> {
    connection: wire::Connection,
    target: &'t Target,
    major: u8,
    minor: u8,
}

impl<'t> Session<'t> {
    /// Connects and shakes hands.
    pub(super) async fn open(target: &'t Target) -> Result<Self, Trouble> {
        let place = target.place();
        let mut connection = wire::connect(target).await?;
        let hello = [MAGIC.as_slice(), VERSIONS.as_flattened()].concat();
        let broken = |error: &io::Error| wire::broken(error, target);
        connection.write_all(&hello).await.map_err(|error| broken(&error))?;
        let mut chosen = [0; 4];
        connection.read_exact(&mut chosen).await.map_err(|error| broken(&error))?;
        match chosen {
            [b'H', b'T', b'T', b'P'] => {
                Err(Trouble::Foreign(format!("{place} answers over HTTP: Bolt listens on another port, usually 7687")))
            }
            [0, 0, 0, 0] => Err(Trouble::Foreign(format!("{place} speaks no Bolt of 4.4 to 5.4"))),
            [0, 0, minor, major] if (major, minor) == (4, 4) || major == 5 && minor <= 4 => {
                Ok(Self { connection, target, major, minor })
            }
            _ => Err(Trouble::Foreign(format!("{place} answers, and not in Bolt"))),
        }
    }

    /// What both speak.
    pub(super) const fn version(&self) -> (u8, u8) {
        (self.major, self.minor)
    }

    /// Logs in with what the target has; what the server calls itself.
    pub(super) async fn login(&mut self) -> Result<String, Trouble> {
        let user = self.target.user.clone().unwrap_or_else(|| "neo4j".to_owned());
        let password = self.target.password.as_ref().map(|hidden| hidden.0.clone()).unwrap_or_default();
        let mut out = vec![0xB1, HELLO];
        let who = [("scheme", "basic"), ("principal", &user), ("credentials", &password)];
        let agent = [("user_agent", concat!("cas-probe/", env!("CARGO_PKG_VERSION")))];
        // From 5.1 on the login is a message of its own.
        let separate = (self.major, self.minor) >= (5, 1);
        let entries: Vec<_> = agent.into_iter().chain(who.into_iter().filter(|_| !separate)).collect();
        map(&mut out, &entries);
        self.send(&out).await?;
        let said = self.success().await?;
        if separate {
            let mut out = vec![0xB1, LOGON];
            map(&mut out, &who);
            self.send(&out).await?;
            self.success().await?;
        }
        Ok(said.get("server").and_then(Value::as_str).unwrap_or("Neo4j").to_owned())
    }

    /// Runs a question of the system's database and takes all rows.
    pub(super) async fn rows(&mut self, question: &str) -> Result<Vec<Vec<Value>>, Trouble> {
        let mut out = vec![0xB3, RUN];
        text(&mut out, question);
        map(&mut out, &[]);
        map(&mut out, &[("db", "system"), ("mode", "r")]);
        self.send(&out).await?;
        self.success().await?;
        // PULL {n: 1000}
        let mut out = vec![0xB1, PULL, 0xA1];
        text(&mut out, "n");
        out.push(0xC9);
        out.extend((ROWS as u16).to_be_bytes());
        self.send(&out).await?;
        let mut rows = Vec::new();
        loop {
            match self.receive().await? {
                (RECORD, Value::List(row)) if rows.len() < ROWS => rows.push(row),
                (SUCCESS, _) => return Ok(rows),
                (FAILURE, said) => return Err(self.failure(&said)),
                _ => return Err(self.foreign("what it answers is no row")),
            }
        }
    }

    /// Says farewell; a server that is gone already hears it not.
    pub(super) async fn close(mut self) {
        let _gone = self.send(&[0xB0, GOODBYE]).await;
    }

    fn foreign(&self, why: &str) -> Trouble {
        Trouble::Foreign(format!("{} does not answer as Neo4j does: {why}", self.target.place()))
    }

    /// One message in one chunk, and the end of it.
    async fn send(&mut self, message: &[u8]) -> Result<(), Trouble> {
        let mut out = Vec::with_capacity(message.len() + 4);
        for chunk in message.chunks(usize::from(u16::MAX)) {
            out.extend(u16::try_from(chunk.len()).unwrap_or(u16::MAX).to_be_bytes());
            out.extend(chunk);
        }
        out.extend([0, 0]);
        self.connection.write_all(&out).await.map_err(|error| wire::broken(&error, self.target))
    }

    /// The next message: its tag and its only field.
    async fn receive(&mut self) -> Result<(u8, Value), Trouble> {
        let mut bytes = Vec::new();
        loop {
            let mut length = [0; 2];
            self.connection.read_exact(&mut length).await.map_err(|error| wire::broken(&error, self.target))?;
            let length = usize::from(u16::from_be_bytes(length));
            if length == 0 {
                // Before a message it only says that the server is still there.
                if bytes.is_empty() {
                    continue;
                }
                break;
            }
            if bytes.len() + length > MESSAGE {
                return Err(self.foreign("a message of more than 1 MiB"));
            }
            let begin = bytes.len();
            bytes.resize(begin + length, 0);
            self.connection.read_exact(&mut bytes[begin..]).await.map_err(|error| wire::broken(&error, self.target))?;
        }
        let mut reader = Reader { bytes: &bytes };
        match reader.value(DEPTH) {
            Some(Value::Structure(tag, mut fields)) => Ok((tag, fields.pop().unwrap_or(Value::Null))),
            Some(_) | None => Err(self.foreign("what it answers is no message")),
        }
    }

    async fn success(&mut self) -> Result<Value, Trouble> {
        match self.receive().await? {
            (SUCCESS, said) => Ok(said),
            (FAILURE, said) => Err(self.failure(&said)),
            (IGNORED, _) => Err(self.foreign("it ignores what it is asked")),
            _ => Err(self.foreign("an answer that was not asked for")),
        }
    }

    /// Status codes: <https://neo4j.com/docs/status-codes/current/errors/all-errors/>.
    fn failure(&self, said: &Value) -> Trouble {
        let word = |key: &str| clause(said.get(key).and_then(Value::as_str).unwrap_or_default());
        let (code, message, place) = (word("code"), word("message"), self.target.place());
        let user = clause(self.target.user.as_deref().unwrap_or("neo4j"));
        if code.contains(".Security.") {
            Trouble::Refused(format!("{place} does not let {user} in: {message}"))
        } else if code.contains("TransientError") || code.contains("DatabaseUnavailable") {
            Trouble::Unready(format!("{place} cannot serve: {message}"))
        } else {
            Trouble::Foreign(format!("{place} does not understand what it is asked: {code}: {message}"))
        }
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    let length = text.len();
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 16 => out.push(0x80 | short),
        (Ok(short), _) => out.extend([0xD0, short]),
        (_, Ok(long)) => {
            out.push(0xD1);
            out.extend(long.to_be_bytes());
        }
        (Err(_), Err(_)) => {
            out.push(0xD2);
            out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    out.extend(text.as_bytes());
}

/// A map of at most 15 entries.
fn map(out: &mut Vec<u8>, entries: &[(&str, &str)]) {
    out.push(0xA0 | u8::try_from(entries.len().min(15)).unwrap_or(15));
    for (key, value) in entries.iter().take(15) {
        text(out, key);
        text(out, value);
    }
}

/// What is left of a message.
struct Reader<'b> {
    bytes: &'b [u8],
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    fn number<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn length(&mut self, bytes: u8) -> Option<usize> {
        match bytes {
            1 => Some(usize::from(u8::from_be_bytes(self.number()?))),
            2 => Some(usize::from(u16::from_be_bytes(self.number()?))),
            _ => usize::try_from(u32::from_be_bytes(self.number()?)).ok(),
        }
    }

    fn text(&mut self, length: usize) -> Option<Value> {
        Some(Value::Text(String::from_utf8_lossy(self.take(length)?).into_owned()))
    }

    fn list(&mut self, count: usize, depth: usize) -> Option<Vec<Value>> {
        // Each value takes a byte at least: a length that lies ends here.
        (count <= self.bytes.len()).then_some(())?;
        (0..count).map(|_| self.value(depth)).collect()
    }

    fn map(&mut self, count: usize, depth: usize) -> Option<Value> {
        (count <= self.bytes.len()).then_some(())?;
        let entries: Option<Vec<_>> = (0..count)
            .map(|_| {
                let Value::Text(key) = self.value(depth)? else { return None };
                Some((key, self.value(depth)?))
            })
            .collect();
        entries.map(Value::Map)
    }

    /// The next value; none where the bytes are none.
    fn value(&mut self, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        let marker = u8::from_be_bytes(self.number()?);
        let low = usize::from(marker & 0x0F);
        Some(match marker {
            0x00..=0x7F | 0xF0..=0xFF => Value::Int(i64::from(i8::from_be_bytes([marker]))),
            0x80..=0x8F => self.text(low)?,
            0x90..=0x9F => Value::List(self.list(low, depth)?),
            0xA0..=0xAF => self.map(low, depth)?,
            0xB0..=0xBF => {
                let tag = u8::from_be_bytes(self.number()?);
                Value::Structure(tag, self.list(low, depth)?)
            }
            0xC0 => Value::Null,
            0xC1 => Value::Float(f64::from_be_bytes(self.number()?)),
            0xC2 | 0xC3 => Value::Bool(marker == 0xC3),
            0xC8 => Value::Int(i64::from(i8::from_be_bytes(self.number()?))),
            0xC9 => Value::Int(i64::from(i16::from_be_bytes(self.number()?))),
            0xCA => Value::Int(i64::from(i32::from_be_bytes(self.number()?))),
            0xCB => Value::Int(i64::from_be_bytes(self.number()?)),
            0xCC..=0xCE => {
                let length = self.length(1 << (marker - 0xCC))?;
                Value::Bytes(self.take(length)?.len())
            }
            0xD0..=0xD2 => {
                let length = self.length(1 << (marker - 0xD0))?;
                self.text(length)?
            }
            0xD4..=0xD6 => {
                let length = self.length(1 << (marker - 0xD4))?;
                Value::List(self.list(length, depth)?)
            }
            0xD8..=0xDA => {
                let length = self.length(1 << (marker - 0xD8))?;
                self.map(length, depth)?
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{DEPTH, Reader, Value, map, text};

    fn read(bytes: &[u8]) -> Option<Value> {
        Reader { bytes }.value(DEPTH)
    }

    #[test]
    fn values_are_read_as_documented() {
        let long = "x".repeat(300);
        let mut written = Vec::new();
        text(&mut written, &long);
        assert_eq!(written[..3], [0xD1, 1, 0x2C]);
        assert_eq!(read(&written), Some(Value::Text(long)));
        let mut entries = Vec::new();
        map(&mut entries, &[("one", "eins")]);
        assert_eq!(read(&entries), Some(Value::Map(vec![("one".into(), Value::Text("eins".into()))])));
        assert_eq!(read(&[0xC9, 0xFF, 0x80]), Some(Value::Int(-128)));
        assert_eq!(read(&[0xF0]), Some(Value::Int(-16)));
        assert_eq!(
            read(&[0xB1, 0x71, 0x92, 0xC3, 0xC0]),
            Some(Value::Structure(0x71, vec![Value::List(vec![Value::Bool(true), Value::Null])]))
        );
        assert_eq!(read(&[0xC1, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0]), Some(Value::Float(1.0)));
        assert_eq!(read(&[0xCC, 2, 1, 1]), Some(Value::Bytes(2)));
    }

    #[test]
    fn lengths_that_lie_and_towers_of_values_are_refused() {
        for wrong in [
            &[0xD6, 0xFF, 0xFF, 0xFF, 0xFF][..],
            &[0xDA, 0x7F, 0, 0, 0],
            &[0xD2, 0xFF, 0xFF, 0xFF, 0xFF, b'a'],
            &[0x85, b'a'],
            &[],
            &[0xC7],
            &[0xA1, 0x01, 0x01],
            &[0x91; 200],
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
