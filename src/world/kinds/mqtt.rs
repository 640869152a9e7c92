//! MQTT 3.1.1: a login and a ping for whether it serves; what the broker tells of itself below `$SYS/` for how it is.
//!
//! Wire format: <https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html>, topics: <https://mosquitto.org/man/mosquitto-8.html>
//! (section "Broker Status").
//!
//! Never: publishes; subscribes to anything but `$SYS/#`; listens there for more than 2 s.

use std::{collections::BTreeMap, io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::{
    model::exam::{Grade, Measure, Reading, Target, Trouble},
    world::clock,
};

use super::{
    cursor::Cursor,
    wire::{self, Connection},
    words,
};

/// Most bytes of a packet.
const MOST_PACKET: usize = 64 * 1024;
/// Most packets that are read of what a broker tells.
const MOST_PACKETS: usize = 1000;
/// How long it is listened to.
const LISTEN: Duration = Duration::from_secs(2);
/// What is retained comes at once: whoever is silent for so long has told all.
const SILENCE: Duration = Duration::from_millis(400);

const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const SUBACK: u8 = 9;
const PINGRESP: u8 = 13;

struct Packet {
    kind: u8,
    flags: u8,
    body: Vec<u8>,
}

struct Session<'a> {
    connection: Connection,
    target: &'a Target,
}

pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    let mut session = Session::open(target).await?;
    session.ping().await?;
    session.close().await
}

pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let mut session = Session::open(target).await?;
    let mut reading = Reading::default();
    reading.measure(Measure::new("latency", session.ping().await?));
    let told = session.told(&mut reading).await?;
    session.close().await?;
    judge(&told, &mut reading);
    Ok(reading)
}

impl<'a> Session<'a> {
    async fn open(target: &'a Target) -> Result<Self, Trouble> {
        let mut session = Self { connection: wire::connect(target).await?, target };
        session.send(connect_packet(target)?).await?;
        let mut head = [0; 4];
        let got = session.connection.read_exact(&mut head).await;
        got.map_err(|error| session.broken(&error))?;
        if head[..2] != [CONNACK << 4, 2] {
            return Err(session.foreign(&head));
        }
        accepted(head[3], target).map(|()| session)
    }

    /// One round; how long it took, in seconds.
    async fn ping(&mut self) -> Result<f64, Trouble> {
        let begun = clock::now();
        self.send(vec![0xC0, 0]).await?;
        let answer = self.receive().await?;
        if answer.kind == PINGRESP { Ok(words::seconds_since(begun)) } else { Err(self.foreign(&answer.body)) }
    }

    /// What the broker tells of itself: topics below `$SYS/` and their texts.
    async fn told(&mut self, reading: &mut Reading) -> Result<BTreeMap<String, String>, Trouble> {
        let mut told = BTreeMap::new();
        let filter = b"$SYS/#";
        let mut body = vec![0, 1, 0, 6];
        body.extend(filter);
        body.push(0);
        self.send([vec![0x82, 11], body].concat()).await?;
        let begun = clock::now();
        for _ in 0..MOST_PACKETS {
            let left = LISTEN.saturating_sub(clock::now().since(begun));
            // The first answer may take its time; from then on silence is an end.
            let patience = if told.is_empty() { left } else { left.min(SILENCE) };
            let Ok(packet) = timeout(patience, self.receive()).await else { break };
            let packet = packet?;
            if packet.kind == SUBACK && packet.body.get(2) == Some(&0x80) {
                let advice = "let the user read $SYS/#: \"topic read $SYS/#\" in the broker's acl_file";
                let sentence = "the broker does not let it read $SYS/#: its figures are not known";
                reading.remark("sys-topics", Grade::Notice, sentence, Some(advice));
                return Ok(told);
            }
            if let Some((topic, text)) = message(&packet) {
                told.insert(topic, text);
            }
        }
        if told.is_empty() {
            let advice = "let the user read $SYS/#; in mosquitto.conf sys_interval must not be 0";
            let sentence = "the broker tells nothing below $SYS/: its figures are not known";
            reading.remark("sys-topics", Grade::Notice, sentence, Some(advice));
        }
        Ok(told)
    }

    async fn close(mut self) -> Result<(), Trouble> {
        self.send(vec![0xE0, 0]).await?;
        // The server closes next; whether it manages to say so is its matter.
        let _closed = self.connection.shutdown().await;
        Ok(())
    }

    async fn send(&mut self, packet: Vec<u8>) -> Result<(), Trouble> {
        let written = async {
            self.connection.write_all(&packet).await?;
            self.connection.flush().await
        };
        written.await.map_err(|error| self.broken(&error))
    }

    async fn receive(&mut self) -> Result<Packet, Trouble> {
        let packet = read_packet(&mut self.connection).await;
        packet.map_err(|error| self.broken(&error))
    }

    fn broken(&self, error: &io::Error) -> Trouble {
        wire::broken(error, self.target)
    }

    fn foreign(&self, bytes: &[u8]) -> Trouble {
        let said = words::said_bytes(bytes);
        Trouble::Foreign(format!("{} does not speak MQTT: it says \"{said}\"", self.target.place()))
    }
}

/// A packet with its remaining length (section 2.2.3: seven bits a byte, at most four bytes).
async fn read_packet(connection: &mut Connection) -> io::Result<Packet> {
    let first = connection.read_u8().await?;
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        let byte = connection.read_u8().await?;
        length |= usize::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            let body = wire::exactly(connection, length, MOST_PACKET).await?;
            return Ok(Packet { kind: first >> 4, flags: first & 0x0F, body });
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "a length of more than four bytes"))
}

/// Topic and text of a PUBLISH below `$SYS/`.
fn message(packet: &Packet) -> Option<(String, String)> {
    let mut fields = Cursor::new(&packet.body);
    let length = fields.u16()?;
    let topic = fields.take(usize::from(length))?;
    if packet.kind != PUBLISH || !topic.starts_with(b"$SYS/") {
        return None;
    }
    // With a quality of service there is a number before the text.
    if packet.flags & 0b0110 != 0 {
        fields.u16()?;
    }
    Some((String::from_utf8_lossy(topic).into_owned(), words::said_bytes(fields.rest())))
}

/// CONNECT (section 3.1): a clean session of 60 s.
fn connect_packet(target: &Target) -> Result<Vec<u8>, Trouble> {
    let mut flags = 0b0000_0010;
    let client = format!("cas-{}-{}", std::process::id(), clock::now().mono_us % 1_000_000);
    let mut fields = vec![client.as_bytes()];
    // A password needs a user (section 3.1.2.9): a token goes with an empty name.
    if target.user.is_some() || target.password.is_some() {
        flags |= 0b1000_0000;
        fields.push(target.user.as_deref().unwrap_or_default().as_bytes());
    }
    if let Some(password) = &target.password {
        flags |= 0b0100_0000;
        fields.push(password.0.as_bytes());
    }
    let mut body = b"\0\x04MQTT\x04".to_vec();
    body.extend([flags, 0, 60]);
    for field in fields {
        let length = u16::try_from(field.len()).map_err(|_| {
            Trouble::Refused(format!("{} takes no user or password of more than 65535 bytes", target.place()))
        })?;
        body.extend(length.to_be_bytes());
        body.extend(field);
    }
    let mut packet = vec![0x10];
    let mut rest = body.len();
    loop {
        let low = u8::try_from(rest % 128).unwrap_or_default();
        rest /= 128;
        packet.push(if rest > 0 { low | 0x80 } else { low });
        if rest == 0 {
            break;
        }
    }
    packet.extend(body);
    Ok(packet)
}

/// Return codes of CONNACK (section 3.2.2.3).
fn accepted(code: u8, target: &Target) -> Result<(), Trouble> {
    let place = target.place();
    match code {
        0 => Ok(()),
        1 => Err(Trouble::Foreign(format!("{place} does not speak MQTT 3.1.1 (return code 1)"))),
        2 => Err(Trouble::Refused(format!("{place} refuses the client's name cas-… (return code 2)"))),
        3 => Err(Trouble::Unready(format!("{place} says that it is not available (return code 3)"))),
        4 | 5 => {
            let key = words::with_credentials("mqtt", target);
            Err(Trouble::Refused(match &target.user {
                Some(user) => {
                    format!(
                        "{place} refuses user {} with the password it was given (return code {code})",
                        words::said(user)
                    )
                }
                None => format!("{place} takes nobody without a name and password (return code {code}); {key}"),
            }))
        }
        other => Err(Trouble::Foreign(format!("{place} answers CONNECT with the unknown return code {other}"))),
    }
}

fn judge(told: &BTreeMap<String, String>, reading: &mut Reading) {
    let text = |topic: &str| told.get(&format!("$SYS/broker/{topic}")).map(String::as_str);
    if let Some(version) = text("version") {
        reading.server = Some(version.to_owned());
    }
    // What counts up: bytes and messages since its start. What stands: the rest.
    for (name, topics) in [
        ("clients", ["clients/connected", "clients/active"]),
        ("clients-peak", ["clients/maximum", "clients/maximum"]),
        ("clients-away", ["clients/disconnected", "clients/inactive"]),
        ("messages-stored", ["store/messages/count", "messages/stored"]),
        ("bytes-stored", ["store/messages/bytes", "store/messages/bytes"]),
        ("retained", ["retained messages/count", "retained messages/count"]),
        ("subscriptions", ["subscriptions/count", "subscriptions/count"]),
        ("dropped", ["publish/messages/dropped", "publish/messages/dropped"]),
        ("messages-in", ["messages/received", "messages/received"]),
        ("messages-out", ["messages/sent", "messages/sent"]),
        ("memory", ["heap/current", "heap/current size"]),
        ("memory-peak", ["heap/maximum", "heap/maximum size"]),
    ] {
        let found = topics.iter().find_map(|topic| text(topic)).and_then(|text| text.parse::<f64>().ok());
        if let Some(value) = found.filter(|value| value.is_finite()) {
            reading.measure(Measure::new(name, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::connect_packet;
    use crate::model::exam::{Hidden, Target};

    #[test]
    fn a_long_password_takes_two_bytes_of_length() {
        let target =
            Target { user: Some("u".to_owned()), password: Some(Hidden("p".repeat(300))), ..Target::default() };
        let packet = connect_packet(&target).unwrap();
        assert_eq!(packet[1] & 0x80, 0x80);
        assert_eq!(usize::from(packet[1] & 0x7F) + 128 * usize::from(packet[2]), packet.len() - 3);
        assert_eq!(packet[10], 0b1100_0010);
    }
}
