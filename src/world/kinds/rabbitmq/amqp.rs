//! As much of AMQP 0-9-1 as it takes to log in, to ask for a queue, and to leave.
//!
//! Frames and methods: <https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf>, numbers of classes and methods:
//! <https://www.rabbitmq.com/amqp-0-9-1-reference>, the two extensions (`authentication_failure_close`, `connection.blocked`):
//! <https://www.rabbitmq.com/docs/auth-notification>, <https://www.rabbitmq.com/docs/connection-blocked>.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    model::exam::{Target, Trouble},
    world::kinds::{
        cursor::Cursor,
        wire::{self, Connection},
        words,
    },
};

/// Most bytes of a frame: what `RabbitMQ` itself proposes.
const MOST_FRAME: usize = 131_072;
/// Frames that may come before the one that is waited for.
const MOST_OTHERS: usize = 64;
const END: u8 = 0xCE;

const CONNECTION: u16 = 10;
const START: (u16, u16) = (CONNECTION, 10);
const START_OK: (u16, u16) = (CONNECTION, 11);
const TUNE: (u16, u16) = (CONNECTION, 30);
const TUNE_OK: (u16, u16) = (CONNECTION, 31);
const OPEN: (u16, u16) = (CONNECTION, 40);
const OPEN_OK: (u16, u16) = (CONNECTION, 41);
const CLOSE: (u16, u16) = (CONNECTION, 50);
const CLOSE_OK: (u16, u16) = (CONNECTION, 51);
const BLOCKED: (u16, u16) = (CONNECTION, 60);
const UNBLOCKED: (u16, u16) = (CONNECTION, 61);
const CHANNEL_OPEN: (u16, u16) = (20, 10);
const CHANNEL_OPEN_OK: (u16, u16) = (20, 11);
const CHANNEL_CLOSE: (u16, u16) = (20, 40);
const CHANNEL_CLOSE_OK: (u16, u16) = (20, 41);
const QUEUE_DECLARE: (u16, u16) = (50, 10);
const QUEUE_DECLARE_OK: (u16, u16) = (50, 11);

/// What is known of a queue.
pub(super) enum Queue {
    /// Messages that wait, and who takes them.
    Is { messages: u32, consumers: u32 },
    /// Why nothing is.
    Not(String),
}

/// An open connection.
pub(super) struct Session {
    connection: Connection,
    target: Target,
    channel_is_open: bool,
    /// What answers, with its version.
    pub(super) product: String,
    /// Why it holds back who publishes, where it has said so.
    pub(super) blocked: Option<String>,
}

/// A method that came.
struct Method {
    which: (u16, u16),
    arguments: Vec<u8>,
}

impl Session {
    /// Logs in and opens the virtual host.
    ///
    /// # Errors
    /// What kept it from that.
    pub(super) async fn open(target: &Target) -> Result<Self, Trouble> {
        let mut connection = wire::connect(target).await?;
        let begin = async {
            connection.write_all(b"AMQP\0\x00\x09\x01").await?;
            connection.flush().await?;
            let mut first = [0; 7];
            connection.read_exact(&mut first).await?;
            io::Result::Ok(first)
        };
        let first = begin.await.map_err(|error| wire::broken(&error, target))?;
        if let [b'A', b'M', b'Q', b'P', ..] = first {
            let sentence = format!("{} speaks another version of AMQP than 0-9-1, or does not serve", target.place());
            return Err(Trouble::Foreign(sentence));
        }
        // A frame of a method on channel 0; anything else is no AMQP.
        if first[..3] != [1, 0, 0] {
            return Err(foreign(target, &first));
        }
        let mut session = Self {
            connection,
            target: target.clone(),
            channel_is_open: false,
            product: "AMQP 0-9-1".to_owned(),
            blocked: None,
        };
        let start = session.rest_of_frame(first).await?;
        if start.which != START {
            return Err(foreign(target, &first));
        }
        session.log_in(&start.arguments).await?;
        Ok(session)
    }

    async fn log_in(&mut self, start: &[u8]) -> Result<(), Trouble> {
        let place = self.target.place();
        let mut fields = Cursor::new(start);
        let hello = (|| {
            fields.take(2)?;
            let properties = long_string(&mut fields)?;
            Some((properties, long_string(&mut fields)?))
        })();
        let Some((properties, mechanisms)) = hello else {
            return Err(Trouble::Foreign(format!("{place} begins AMQP with a broken connection.start")));
        };
        if let Some(product) = table_text(properties, "product") {
            let version = table_text(properties, "version").unwrap_or_default();
            self.product = words::said(&format!("{product} {version}"));
        }
        if !mechanisms.split(|byte| *byte == b' ').any(|one| one == b"PLAIN") {
            let offered = words::said_bytes(mechanisms);
            return Err(Trouble::Refused(format!("{place} takes no password (SASL PLAIN), only {offered}")));
        }
        let user = self.target.user.clone().unwrap_or_else(|| "guest".to_owned());
        let password = match (&self.target.password, &self.target.user) {
            (Some(hidden), _) => hidden.0.clone(),
            (None, None) => "guest".to_owned(),
            (None, Some(_)) => String::new(),
        };
        let mut arguments = Vec::new();
        let mut properties = Vec::new();
        table_entry(&mut properties, "product", b'S', &with_length(b"cas"));
        let mut capabilities = Vec::new();
        table_entry(&mut capabilities, "authentication_failure_close", b't', &[1]);
        table_entry(&mut capabilities, "connection.blocked", b't', &[1]);
        table_entry(&mut properties, "capabilities", b'F', &with_length(&capabilities));
        table_entry(&mut properties, "connection_name", b'S', &with_length(b"cas health check"));
        arguments.extend(with_length(&properties));
        arguments.extend(short(&place, "PLAIN")?);
        arguments.extend(with_length(format!("\0{user}\0{password}").as_bytes()));
        arguments.extend(short(&place, "en_US")?);
        self.send(0, START_OK, &arguments).await?;
        let tune = match self.next(TUNE).await {
            Ok(method) => method,
            // Servers without the extension close the connection without a word.
            Err(Trouble::Unreachable(_)) => return Err(Trouble::Refused(self.no_entry("it closed the connection"))),
            Err(trouble) => return Err(trouble),
        };
        if tune.which == CLOSE {
            return Err(self.closed(&tune.arguments));
        }
        let limits = tune.arguments.get(..6).unwrap_or(&[0, 0, 0, 2, 0, 0]).to_vec();
        // The same limits, and no heartbeats.
        self.send(0, TUNE_OK, &[limits.as_slice(), &[0, 0]].concat()).await?;
        let vhost = match words::decoded(&self.target.path) {
            path if path.is_empty() => "/".to_owned(),
            path => path,
        };
        let arguments = [short(&place, &vhost)?, vec![0], vec![0]].concat();
        self.send(0, OPEN, &arguments).await?;
        let opened = self.next(OPEN_OK).await?;
        if opened.which == CLOSE { Err(self.closed(&opened.arguments)) } else { Ok(()) }
    }

    /// How many messages wait in a queue. A queue that is not there closes the channel, which is opened again for the next.
    ///
    /// # Errors
    /// The connection's.
    pub(super) async fn queue(&mut self, name: &str) -> Result<Queue, Trouble> {
        if !self.channel_is_open {
            self.send(1, CHANNEL_OPEN, &[0]).await?;
            let opened = self.next(CHANNEL_OPEN_OK).await?;
            if opened.which != CHANNEL_OPEN_OK {
                return Err(self.closed(&opened.arguments));
            }
            self.channel_is_open = true;
        }
        let Ok(written) = short("", name) else {
            return Ok(Queue::Not("its name is longer than 255 bytes".to_owned()));
        };
        // Passive: it is only asked for.
        let arguments = [vec![0, 0], written, vec![1], vec![0; 4]].concat();
        self.send(1, QUEUE_DECLARE, &arguments).await?;
        let answer = self.next(QUEUE_DECLARE_OK).await?;
        if answer.which == CHANNEL_CLOSE {
            self.send(1, CHANNEL_CLOSE_OK, &[]).await?;
            self.channel_is_open = false;
            return Ok(Queue::Not(reason(&answer.arguments).1));
        }
        if answer.which == CLOSE {
            return Err(self.closed(&answer.arguments));
        }
        let mut fields = Cursor::new(&answer.arguments);
        let figures = (|| {
            short_string(&mut fields)?;
            Some((fields.u32()?, fields.u32()?))
        })();
        match figures {
            Some((messages, consumers)) => Ok(Queue::Is { messages, consumers }),
            None => Ok(Queue::Not("its answer is broken off".to_owned())),
        }
    }

    /// Says good-bye and waits until that is heard.
    ///
    /// # Errors
    /// The connection's.
    pub(super) async fn close(mut self) -> Result<(), Trouble> {
        let arguments = [vec![0, 200], short("", "done")?, vec![0; 4]].concat();
        self.send(0, CLOSE, &arguments).await?;
        let last = self.next(CLOSE_OK).await?;
        if last.which == CLOSE { Err(self.closed(&last.arguments)) } else { Ok(()) }
    }

    async fn send(&mut self, channel: u16, which: (u16, u16), arguments: &[u8]) -> Result<(), Trouble> {
        let size = u32::try_from(arguments.len() + 4).unwrap_or(u32::MAX);
        let mut frame = vec![1];
        frame.extend(channel.to_be_bytes());
        frame.extend(size.to_be_bytes());
        frame.extend(which.0.to_be_bytes());
        frame.extend(which.1.to_be_bytes());
        frame.extend(arguments);
        frame.push(END);
        let written = async {
            self.connection.write_all(&frame).await?;
            self.connection.flush().await
        };
        written.await.map_err(|error| wire::broken(&error, &self.target))
    }

    /// The method that is waited for, or the one that ends the connection or the channel.
    async fn next(&mut self, wanted: (u16, u16)) -> Result<Method, Trouble> {
        for _ in 0..MOST_OTHERS {
            let mut head = [0; 7];
            let got = self.connection.read_exact(&mut head).await;
            got.map_err(|error| wire::broken(&error, &self.target))?;
            if head[0] == 8 {
                // A heartbeat.
                let mut end = [0];
                let got = self.connection.read_exact(&mut end).await;
                got.map_err(|error| wire::broken(&error, &self.target))?;
                continue;
            }
            let method = self.rest_of_frame(head).await?;
            if method.which == BLOCKED {
                let reason = short_string(&mut Cursor::new(&method.arguments)).map(words::said_bytes);
                self.blocked = Some(reason.unwrap_or_default());
            } else if method.which == UNBLOCKED {
                self.blocked = None;
            } else if method.which == wanted || method.which == CLOSE || method.which == CHANNEL_CLOSE {
                return Ok(method);
            }
        }
        Err(Trouble::Foreign(format!("{} sends {MOST_OTHERS} frames and not the one it should", self.target.place())))
    }

    async fn rest_of_frame(&mut self, head: [u8; 7]) -> Result<Method, Trouble> {
        let [kind, _, _, a, b, c, d] = head;
        let size = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        let body = wire::exactly(&mut self.connection, size.saturating_add(1), MOST_FRAME).await;
        let body = body.map_err(|error| wire::broken(&error, &self.target))?;
        let mut fields = Cursor::new(&body);
        match (kind, fields.u16(), fields.u16(), body.last()) {
            (1, Some(class), Some(method), Some(&END)) => {
                let rest = fields.rest();
                Ok(Method { which: (class, method), arguments: rest[..rest.len() - 1].to_vec() })
            }
            _ => Err(foreign(&self.target, &head)),
        }
    }

    /// What a `connection.close` means. Codes: section "constants" of the reference.
    fn closed(&self, arguments: &[u8]) -> Trouble {
        let place = self.target.place();
        let (code, text) = reason(arguments);
        let text = words::hushed(&text, &self.target);
        if text.contains("connection limit") || text.contains("channel limit") || code == 506 {
            return Trouble::Busy(format!("{place} takes no more connections: {text}"));
        }
        match code {
            403 => Trouble::Refused(self.no_entry(&text)),
            402 | 530 if text.contains("not found") => Trouble::Refused(format!(
                "{place} has no such virtual host: {text}; write it behind the port, / is %2F"
            )),
            402 | 530 => Trouble::Refused(format!("{place} does not open the virtual host: {text}")),
            320 => Trouble::Unready(format!("{place} is shutting down or lets nobody in for now: {text}")),
            541 => Trouble::Unready(format!("{place} cannot serve: {text}")),
            _ => Trouble::Foreign(format!("{place} ends AMQP with code {code}: {text}")),
        }
    }

    fn no_entry(&self, text: &str) -> String {
        let place = self.target.place();
        let user = words::said(self.target.user.as_deref().unwrap_or("guest"));
        let key = words::with_credentials("amqp", &self.target);
        if self.target.password.is_some() {
            format!("{place} refuses user {user} with the password it was given: {text}")
        } else {
            format!("{place} refuses user {user} without a password of its own: {text}; {key}")
        }
    }
}

fn foreign(target: &Target, first: &[u8]) -> Trouble {
    Trouble::Foreign(format!("{} does not speak AMQP: it says \"{}\"", target.place(), words::said_bytes(first)))
}

/// Code and text of a `close`.
fn reason(arguments: &[u8]) -> (u16, String) {
    let mut fields = Cursor::new(arguments);
    let code = fields.u16().unwrap_or_default();
    (code, short_string(&mut fields).map(words::said_bytes).unwrap_or_default())
}

fn short_string<'a>(fields: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let length = fields.u8()?;
    fields.take(usize::from(length))
}

fn long_string<'a>(fields: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let length = fields.u32()?;
    fields.take(usize::try_from(length).ok()?)
}

fn short(place: &str, text: &str) -> Result<Vec<u8>, Trouble> {
    let length = u8::try_from(text.len()).map_err(|_| {
        Trouble::Refused(format!("{place} cannot be asked for a name of more than 255 bytes: {}", words::said(text)))
    })?;
    Ok([&[length], text.as_bytes()].concat())
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), bytes].concat()
}

/// An entry of a table: names of ours are short.
fn table_entry(table: &mut Vec<u8>, name: &str, kind: u8, value: &[u8]) {
    table.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    table.extend(name.as_bytes());
    table.push(kind);
    table.extend(value);
}

/// A text of a table. Types of fields: section 4.2.1 of the specification, with the letters that `RabbitMQ` uses
/// (<https://www.rabbitmq.com/amqp-0-9-1-errata#section_3>).
fn table_text(table: &[u8], wanted: &str) -> Option<String> {
    let mut fields = Cursor::new(table);
    while !fields.rest().is_empty() {
        let name = short_string(&mut fields)?;
        let kind = fields.u8()?;
        let value = match kind {
            b'S' | b'x' | b'F' | b'A' => long_string(&mut fields)?,
            b't' | b'b' | b'B' => fields.take(1)?,
            b's' | b'u' => fields.take(2)?,
            b'I' | b'i' | b'f' => fields.take(4)?,
            b'D' => fields.take(5)?,
            b'l' | b'L' | b'd' | b'T' => fields.take(8)?,
            b'V' => &[],
            _ => return None,
        };
        if kind == b'S' && name == wanted.as_bytes() {
            return Some(String::from_utf8_lossy(value).into_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{table_entry, table_text, with_length};

    #[test]
    fn texts_of_a_table_are_found_behind_fields_of_every_kind_and_a_cut_one_ends() {
        let mut table = Vec::new();
        for (kind, size) in [(b't', 1), (b's', 2), (b'I', 4), (b'D', 5), (b'l', 8), (b'V', 0)] {
            table_entry(&mut table, "x", kind, &vec![7; size]);
        }
        table_entry(&mut table, "caps", b'F', &with_length(b"\x01at\x01"));
        table_entry(&mut table, "version", b'S', &with_length(b"3.10.8"));
        assert_eq!(table_text(&table, "version").as_deref(), Some("3.10.8"));
        for cut in 0..table.len() {
            assert_eq!(table_text(&table[..cut], "version"), None);
        }
        assert_eq!(table_text(&[255; 40], "version"), None);
    }
}
