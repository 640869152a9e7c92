//! As much of Redis's protocol (RESP2, <https://redis.io/docs/latest/develop/reference/protocol-spec/>) as counts what waits. Never: changes anything.

use tokio::io::{AsyncWriteExt, BufReader};

use crate::{
    model::exam::{Target, Trouble},
    world::kinds::{body::quoted, wire},
};

/// Longest text that is taken, bytes.
const MOST: usize = 1 << 20;
/// Most entries of an array, and deepest.
const ENTRIES: (usize, usize) = (1024, 8);

/// What a server answers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    Text(String),
    Number(i64),
    None,
    List(Vec<Self>),
    Error(String),
}

/// A connection, logged in.
pub(super) struct Session<'t> {
    stream: BufReader<wire::Connection>,
    target: &'t Target,
}

impl<'t> Session<'t> {
    pub(super) async fn open(target: &'t Target) -> Result<Self, Trouble> {
        let mut session = Self { stream: BufReader::new(wire::connect(target).await?), target };
        if let Some(password) = &target.password {
            let mut words = vec!["AUTH"];
            words.extend(target.user.as_deref());
            words.push(&password.0);
            session.ask(&words).await?;
        }
        let database = target.path.trim_matches('/');
        if !database.is_empty() && database != "0" {
            session.ask(&["SELECT", database]).await?;
        }
        Ok(session)
    }

    /// Puts a command; what the server calls an error is one.
    pub(super) async fn ask(&mut self, words: &[&str]) -> Result<Answer, Trouble> {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend(format!("${}\r\n", word.len()).bytes());
            bytes.extend(word.bytes());
            bytes.extend(b"\r\n");
        }
        let target = self.target;
        self.stream.write_all(&bytes).await.map_err(|error| wire::broken(&error, target))?;
        self.stream.flush().await.map_err(|error| wire::broken(&error, target))?;
        let place = target.place();
        match self.answer(0).await.map_err(|error| wire::broken(&error, target))? {
            Answer::Error(why) => {
                let text = quoted(&format!("{place}: {why}"));
                Err(match why.split(' ').next().unwrap_or("") {
                    "NOAUTH" | "WRONGPASS" | "NOPERM" | "DENIED" => Trouble::Refused(text),
                    "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "BUSY" => Trouble::Unready(text),
                    _ => Trouble::Foreign(text),
                })
            }
            answer @ (Answer::Text(_) | Answer::Number(_) | Answer::None | Answer::List(_)) => Ok(answer),
        }
    }

    async fn answer(&mut self, depth: usize) -> std::io::Result<Answer> {
        let wrong = |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, what.to_owned());
        let line = wire::line(&mut self.stream, MOST).await?;
        let (kind, rest) = line.split_at_checked(1).ok_or_else(|| wrong("an empty line"))?;
        let number = || rest.parse::<i64>().map_err(|_| wrong("a length that is none"));
        Ok(match kind {
            "+" => Answer::Text(rest.to_owned()),
            "-" => Answer::Error(rest.to_owned()),
            ":" => Answer::Number(number()?),
            "$" => match usize::try_from(number()?) {
                Err(_) => Answer::None,
                Ok(length) => {
                    let bytes = wire::exactly(&mut self.stream, length, MOST).await?;
                    wire::exactly(&mut self.stream, 2, 2).await?;
                    Answer::Text(String::from_utf8_lossy(&bytes).into_owned())
                }
            },
            "*" => match usize::try_from(number()?) {
                Err(_) => Answer::None,
                Ok(count) if count > ENTRIES.0 || depth >= ENTRIES.1 => return Err(wrong("more than was asked for")),
                Ok(count) => {
                    let mut list = Vec::new();
                    for _ in 0..count {
                        list.push(Box::pin(self.answer(depth + 1)).await?);
                    }
                    Answer::List(list)
                }
            },
            _ => return Err(wrong("it is no Redis")),
        })
    }
}
