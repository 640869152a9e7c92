//! `MongoDB`, asked in its wire protocol (`OP_MSG`, <https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/>).
//!
//! `ready`: `hello`, and a login by SCRAM-SHA-256 where a password is given. `look`: `serverStatus`, `replSetGetStatus`. Options: `authSource` (none: the
//! path, then `admin`), `tls`, `role` (`primary`: a secondary is not ready).
//!
//! Never: a command that writes; more than 4 MiB of an answer.

mod bson;
mod figures;
mod scram;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::{bson::Item, scram::Scram};
use super::{
    texts::{said, said_in},
    wire::{self, Connection},
};
use crate::model::exam::{Reading, Target, Trouble};

/// Most bytes of an answer.
const MOST: usize = 4 << 20;
const OP_MSG: u32 = 2013;

/// An error of the server: its number and its words.
struct Fault {
    code: i64,
    words: String,
}

struct Session {
    connection: Connection,
    target: Target,
    number: u32,
}

pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    let mut session = Session::open(target).await?;
    session.serves().await?;
    session.log_in().await
}

pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let mut session = Session::open(target).await?;
    let hello = session.hello().await?;
    session.log_in().await?;
    let mut reading = Reading::default();
    figures::read(&mut session, &hello, &mut reading).await?;
    Ok(reading)
}

impl Session {
    async fn open(target: &Target) -> Result<Self, Trouble> {
        let asks = |key: &str| target.options.get(key).is_some_and(|value| value == "true");
        let target = Target { tls: target.tls || asks("tls") || asks("ssl"), ..target.clone() };
        let connection = wire::connect(&target).await?;
        Ok(Self { connection, target, number: 0 })
    }

    /// `hello` needs no login (<https://www.mongodb.com/docs/manual/reference/command/hello/>); servers before 4.4.2 know it as `isMaster`.
    async fn hello(&mut self) -> Result<Value, Trouble> {
        let mut answer = self.ask("admin", &[("hello", Item::Int(1))]).await?;
        if answer.as_ref().is_err_and(|fault| fault.code == 59) {
            answer = self.ask("admin", &[("isMaster", Item::Int(1))]).await?;
        }
        answer.map_err(|fault| self.trouble(&fault))
    }

    /// Whether it is one that can be read from.
    async fn serves(&mut self) -> Result<(), Trouble> {
        let hello = self.hello().await?;
        let is = |key: &str| hello.get(key).and_then(Value::as_bool).unwrap_or(false);
        let place = self.target.place();
        let primary = is("isWritablePrimary") || is("ismaster");
        if primary || is("arbiterOnly") {
            return Ok(());
        }
        if is("secondary") {
            return if self.target.options.get("role").is_some_and(|role| role == "primary") {
                Err(Trouble::Unready(format!("{place} is a secondary, but role=primary is asked for")))
            } else {
                Ok(())
            };
        }
        let info = hello.get("info").and_then(Value::as_str).map_or(String::new(), |info| format!(": {}", said(info)));
        Err(Trouble::Unready(format!(
            "{place} is neither primary nor secondary: it starts, recovers, or has no replica set yet{info}"
        )))
    }

    async fn log_in(&mut self) -> Result<(), Trouble> {
        let (Some(user), Some(password)) = (self.target.user.clone(), self.target.password.clone()) else {
            return Ok(());
        };
        let path = self.target.path.trim_matches('/').to_owned();
        let source = self.target.options.get("authSource").cloned();
        let database = source.unwrap_or_else(|| if path.is_empty() { "admin".to_owned() } else { path });
        let mut random = [0; 24];
        let no_random = |_| Trouble::Foreign("this machine gives no random numbers".to_owned());
        SystemRandom::new().fill(&mut random).map_err(no_random)?;
        let mut scram = Scram::new(&user, &BASE64.encode(random));
        let options = [("skipEmptyExchange", Item::Bool(true))];
        let hello = scram.hello();
        let first = [
            ("saslStart", Item::Int(1)),
            ("mechanism", Item::Text("SCRAM-SHA-256")),
            ("payload", Item::Bytes(hello.as_bytes())),
            ("options", Item::Document(&options)),
        ];
        let begun = self.ask(&database, &first).await?.map_err(|fault| self.trouble(&fault))?;
        let payload = begun.get("payload").and_then(Value::as_str).unwrap_or_default();
        let place = self.target.place();
        let proof = scram.answer(payload, &password.0).ok_or_else(|| {
            Trouble::Foreign(format!(
                "{place} asks for a password in a way that is not SCRAM-SHA-256's: {}",
                said(payload)
            ))
        })?;
        let number = begun.get("conversationId").and_then(Value::as_i64).and_then(|id| i32::try_from(id).ok());
        let second = [
            ("saslContinue", Item::Int(1)),
            ("conversationId", Item::Int(number.unwrap_or(1))),
            ("payload", Item::Bytes(proof.as_bytes())),
        ];
        let ended = self.ask(&database, &second).await?.map_err(|fault| self.trouble(&fault))?;
        let payload = ended.get("payload").and_then(Value::as_str).unwrap_or_default();
        if scram.knows(payload) {
            Ok(())
        } else {
            Err(Trouble::Foreign(format!(
                "{place} takes the password and cannot prove that it knows it: it is not whom it claims to be"
            )))
        }
    }

    /// Says a command to a database.
    ///
    /// # Errors
    /// Only where there is no answer; an error of the server is one.
    async fn ask(&mut self, database: &str, command: &[(&str, Item<'_>)]) -> Result<Result<Value, Fault>, Trouble> {
        self.number += 1;
        let mut document = bson::encode(command);
        // `$db` is the last element of the same document.
        let tail = bson::encode(&[("$db", Item::Text(database))]);
        document.pop();
        document.extend_from_slice(&tail[4..]);
        let size = u32::try_from(document.len()).unwrap_or(u32::MAX);
        document[..4].copy_from_slice(&size.to_le_bytes());
        let mut message = Vec::new();
        for word in [size.saturating_add(21), self.number, 0, OP_MSG, 0] {
            message.extend_from_slice(&word.to_le_bytes());
        }
        message.push(0);
        message.extend_from_slice(&document);
        let answer = async {
            self.connection.write_all(&message).await?;
            self.connection.flush().await?;
            let mut head = [0; 16];
            self.connection.read_exact(&mut head).await?;
            let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
            let size = usize::try_from(word(0)).unwrap_or(usize::MAX);
            if word(8) != self.number || word(12) != OP_MSG || size < 26 {
                return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "it does not answer as MongoDB does"));
            }
            wire::exactly(&mut self.connection, size - 16, MOST).await
        };
        let bytes = answer.await.map_err(|error| wire::broken(&error, &self.target))?;
        let document = bytes.get(5..).filter(|_| bytes[4] == 0).and_then(bson::decode);
        let value = document
            .ok_or_else(|| Trouble::Foreign(format!("{} answers with what is no document", self.target.place())))?;
        if value.get("ok").and_then(Value::as_f64) == Some(1.0) {
            return Ok(Ok(value));
        }
        let words = said(value.get("errmsg").and_then(Value::as_str).unwrap_or_default());
        Ok(Err(Fault { code: value.get("code").and_then(Value::as_i64).unwrap_or(0), words }))
    }

    /// What an error means (<https://www.mongodb.com/docs/manual/reference/error-codes/>).
    fn trouble(&self, fault: &Fault) -> Trouble {
        let place = self.target.place();
        let words = &fault.words;
        let user = said_in(self.target.user.as_deref().unwrap_or("nobody"), 60);
        match fault.code {
            18 | 11 => Trouble::Refused(format!(
                "{place} does not take user {user} and the password: {words} (a user of another database needs ?authSource=DATABASE)"
            )),
            334 => Trouble::Refused(format!(
                "{place} does not log {user} in by SCRAM-SHA-256, the only way known here: {words}"
            )),
            13 if self.target.user.is_none() => Trouble::Refused(format!(
                "{place} wants a password and got none: write check: mongodb://USER:PASSWORD@{place}/?authSource=admin"
            )),
            13 => Trouble::Refused(format!("{place} does not permit it to {user}: {words}")),
            91 | 94 | 189 | 10107 | 11600 | 11602 | 13435 | 13436 => {
                Trouble::Unready(format!("{place} does not serve (yet): {words}"))
            }
            code => Trouble::Refused(format!("{place} refuses: {words} (code {code})")),
        }
    }
}
