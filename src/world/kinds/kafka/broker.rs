//! A connection to one broker, and the requests that are sent over it. Only versions with fixed fields are spoken ("non-flexible" ones), which
//! brokers from 0.11 to 4 take.

use std::{collections::BTreeMap, io};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    model::exam::{Target, Trouble},
    world::kinds::{
        cursor::Cursor,
        wire::{self, Connection},
        words,
    },
};

use super::answers::{self, Group, Metadata, Offset};

/// Most bytes of an answer: some 100 bytes for each of 40 000 partitions.
const MOST_BYTES: usize = 4 << 20;

const LIST_OFFSETS: i16 = 2;
const METADATA: i16 = 3;
const OFFSET_FETCH: i16 = 9;
const DESCRIBE_GROUPS: i16 = 15;
const LIST_GROUPS: i16 = 16;
const SASL_HANDSHAKE: i16 = 17;
const API_VERSIONS: i16 = 18;
const SASL_AUTHENTICATE: i16 = 36;

/// An open connection.
pub(super) struct Broker {
    connection: Connection,
    target: Target,
    number: i32,
    versions: BTreeMap<i16, (i16, i16)>,
}

/// Fields of a request.
#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn i16(mut self, value: i16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn i32(mut self, value: i32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn i64(mut self, value: i64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn byte(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    fn count(self, count: usize) -> Self {
        self.i32(i32::try_from(count).unwrap_or(i32::MAX))
    }

    /// Names come from the broker or are ours: they are short. A longer one is cut, and then not known.
    fn text(self, text: &str) -> Self {
        let length = text.len().min(usize::from(i16::MAX.unsigned_abs()));
        let mut fields = self.i16(i16::try_from(length).unwrap_or(i16::MAX));
        fields.0.extend(&text.as_bytes()[..length]);
        fields
    }
}

impl Broker {
    /// Connects, asks what it speaks, and logs in where a password is given.
    ///
    /// # Errors
    /// What kept it from that.
    pub(super) async fn open(target: &Target) -> Result<Self, Trouble> {
        let connection = wire::connect(target).await?;
        let mut broker = Self { connection, target: target.clone(), number: 0, versions: BTreeMap::new() };
        let answer = broker.exchange(API_VERSIONS, 0, Fields::default()).await?;
        broker.versions = answers::versions(&answer).ok_or_else(|| broker.strange("ApiVersions"))?;
        if target.password.is_some() {
            broker.log_in().await?;
        }
        Ok(broker)
    }

    async fn log_in(&mut self) -> Result<(), Trouble> {
        let place = self.target.place();
        let user = self.target.user.clone().unwrap_or_default();
        let password = self.target.password.as_ref().map_or(String::new(), |hidden| hidden.0.clone());
        let answer = self.exchange(SASL_HANDSHAKE, 1, Fields::default().text("PLAIN")).await;
        let answer = match answer {
            // A listener without SASL closes where a handshake is tried.
            Err(Trouble::Unreachable(_)) => {
                let sentence = format!(
                    "{place} closes the connection at a login: its listener takes none (no SASL); write the check without a password"
                );
                return Err(Trouble::Refused(sentence));
            }
            other => other?,
        };
        let (error, mechanisms) = answers::handshake(&answer).ok_or_else(|| self.strange("SaslHandshake"))?;
        if error != 0 {
            let offered = words::said(&mechanisms.join(", "));
            let sentence = match error {
                33 => format!("{place} takes no password (SASL PLAIN), only {offered}"),
                34 => format!("{place} takes no login on this listener; write the check without a password"),
                _ => format!("{place} refuses a login with code {error}"),
            };
            return Err(Trouble::Refused(sentence));
        }
        let token = format!("\0{user}\0{password}");
        let mut fields = Fields::default().count(token.len());
        fields.0.extend(token.as_bytes());
        let refused = |said: &str| {
            let user = words::said(&user);
            Trouble::Refused(format!("{place} refuses user {user} with the password it was given: {said}"))
        };
        let answer = match self.exchange(SASL_AUTHENTICATE, 0, fields).await {
            Err(Trouble::Unreachable(_)) => return Err(refused("it closed the connection")),
            other => other?,
        };
        let (error, said) = answers::authenticated(&answer).ok_or_else(|| self.strange("SaslAuthenticate"))?;
        if error == 0 { Ok(()) } else { Err(refused(&words::hushed(&said, &self.target))) }
    }

    /// Brokers, and where `all` the topics too.
    ///
    /// # Errors
    /// The connection's, and a refusal.
    pub(super) async fn metadata(&mut self, all: bool) -> Result<Metadata, Trouble> {
        let version = self.version(METADATA, &[5, 1])?;
        let fields = Fields::default().i32(if all { -1 } else { 0 });
        // Topics are never to be made by asking for them.
        let fields = if version >= 4 { fields.byte(0) } else { fields };
        let answer = match self.exchange(METADATA, version, fields).await {
            // It has just answered ApiVersions, which needs no login.
            Err(Trouble::Unreachable(_)) if self.target.password.is_none() => {
                let (place, key) = (self.target.place(), words::with_credentials("kafka", &self.target));
                let sentence = format!("{place} closes the connection to whoever does not log in (SASL): {key}");
                return Err(Trouble::Refused(sentence));
            }
            other => other?,
        };
        answers::metadata(&answer, version).ok_or_else(|| self.strange("Metadata"))
    }

    /// Names of the groups that this broker coordinates, and an error's code.
    ///
    /// # Errors
    /// The connection's.
    pub(super) async fn groups(&mut self) -> Result<(i16, Vec<String>), Trouble> {
        let version = self.version(LIST_GROUPS, &[2, 1, 0])?;
        let answer = self.exchange(LIST_GROUPS, version, Fields::default()).await?;
        answers::groups(&answer, version).ok_or_else(|| self.strange("ListGroups"))
    }

    /// State and members of groups.
    ///
    /// # Errors
    /// The connection's.
    pub(super) async fn described(&mut self, groups: &[String]) -> Result<Vec<Group>, Trouble> {
        let version = self.version(DESCRIBE_GROUPS, &[1, 0])?;
        let fields = groups.iter().fold(Fields::default().count(groups.len()), |fields, group| fields.text(group));
        let answer = self.exchange(DESCRIBE_GROUPS, version, fields).await?;
        answers::described(&answer, version).ok_or_else(|| self.strange("DescribeGroups"))
    }

    /// Topic, partition and offset of all that a group has committed, and an error's code.
    ///
    /// # Errors
    /// The connection's.
    pub(super) async fn committed(&mut self, group: &str) -> Result<(i16, Vec<Offset>), Trouble> {
        let version = self.version(OFFSET_FETCH, &[3, 2])?;
        let answer = self.exchange(OFFSET_FETCH, version, Fields::default().text(group).i32(-1)).await?;
        answers::committed(&answer, version).ok_or_else(|| self.strange("OffsetFetch"))
    }

    /// The offsets behind the last record (`time` -1) or of the first (-2) of partitions that this broker leads; partitions that it does not tell
    /// are left out.
    ///
    /// # Errors
    /// The connection's.
    pub(super) async fn offsets(&mut self, partitions: &[(String, i32)], time: i64) -> Result<Vec<Offset>, Trouble> {
        let version = self.version(LIST_OFFSETS, &[2, 1])?;
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for (topic, index) in partitions {
            topics.entry(topic).or_default().push(*index);
        }
        // Asked as a consumer that reads whatever is there.
        let fields = Fields::default().i32(-1);
        let fields = if version >= 2 { fields.byte(0) } else { fields };
        let fields = topics.iter().fold(fields.count(topics.len()), |fields, (topic, indices)| {
            let fields = fields.text(topic).count(indices.len());
            indices.iter().fold(fields, |fields, index| fields.i32(*index).i64(time))
        });
        let answer = self.exchange(LIST_OFFSETS, version, fields).await?;
        answers::offsets(&answer, version).ok_or_else(|| self.strange("ListOffsets"))
    }

    /// The first of the versions that we speak and it too.
    fn version(&self, api: i16, ours: &[i16]) -> Result<i16, Trouble> {
        let theirs = self.versions.get(&api);
        let fitting = ours.iter().find(|version| theirs.is_some_and(|(least, most)| (least..=most).contains(version)));
        fitting.copied().ok_or_else(|| {
            let spoken =
                theirs.map_or("not at all".to_owned(), |(least, most)| format!("in versions {least} to {most}"));
            Trouble::Foreign(format!(
                "{} speaks Kafka's request {api} {spoken}: it is too old or too new",
                self.target.place()
            ))
        })
    }

    /// Request and answer: size, API, version, number, client; size, number, fields.
    async fn exchange(&mut self, api: i16, version: i16, fields: Fields) -> Result<Vec<u8>, Trouble> {
        self.number = self.number.wrapping_add(1);
        let request = Fields::default().i16(api).i16(version).i32(self.number).text("cas").0;
        let size = i32::try_from(request.len() + fields.0.len()).unwrap_or(i32::MAX);
        let bytes = [size.to_be_bytes().as_slice(), &request, &fields.0].concat();
        let exchange = async {
            self.connection.write_all(&bytes).await?;
            self.connection.flush().await?;
            let mut head = [0; 8];
            self.connection.read_exact(&mut head).await?;
            let mut cursor = Cursor::new(&head);
            let size = cursor.i32().and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
            if !(4..=MOST_BYTES).contains(&size) || cursor.i32() != Some(self.number) {
                let said = words::said_bytes(&head);
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("no answer of Kafka begins with \"{said}\""),
                ));
            }
            wire::exactly(&mut self.connection, size - 4, MOST_BYTES).await
        };
        exchange.await.map_err(|error| wire::broken(&error, &self.target))
    }

    fn strange(&self, to: &str) -> Trouble {
        Trouble::Foreign(format!("{} does not answer {to} as Kafka does", self.target.place()))
    }
}
