//! RESP 2, the protocol of Redis (<https://redis.io/docs/latest/develop/reference/protocol-spec/>): commands as arrays of strings, answers bounded.
//!
//! Never: keeps more of an answer than [`KEPT`] bytes, nor reads more than [`READ`].

use std::{io, pin::Pin};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::{
    model::exam::{Target, Trouble},
    world::kinds::wire::{self, Connection},
};

/// Most bytes that are kept of one answer; a longer string is cut.
const KEPT: usize = 1 << 20;
/// Most bytes that are read (and forgotten) of one string.
const READ: usize = 16 << 20;
/// Most elements of one answer.
const ELEMENTS: usize = 20_000;
/// How deep answers are nested at most.
const DEPTH: u8 = 6;

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reply {
    /// `+OK`, or a string; cut where it is very long.
    Text(String),
    /// `-ERR …`, without the dash.
    Error(String),
    /// `:1`.
    Integer(i64),
    /// A string or an array that is not there.
    Nothing,
    /// An array.
    List(Vec<Reply>),
}

impl Reply {
    /// The text of a string; none of anything else.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Error(_) | Self::Integer(_) | Self::Nothing | Self::List(_) => None,
        }
    }

    /// The number of an integer, or of a string that is one.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Text(text) => crate::world::kinds::texts::number(text),
            Self::Error(_) | Self::Nothing | Self::List(_) => None,
        }
    }

    /// The elements of an array; none of anything else.
    pub(super) fn list(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            Self::Error(_) | Self::Integer(_) | Self::Nothing | Self::Text(_) => &[],
        }
    }

    /// The strings of an array.
    pub(super) fn texts(&self) -> Vec<String> {
        self.list().iter().filter_map(Self::text).map(str::to_owned).collect()
    }

    /// What is behind a key, of an array that is `key, value, key, value`.
    pub(super) fn field(&self, key: &str) -> Option<&Self> {
        let list = self.list();
        list.chunks_exact(2).find(|pair| pair[0].text() == Some(key)).map(|pair| &pair[1])
    }
}

/// A connection.
pub(super) struct Resp {
    stream: BufReader<Connection>,
    target: Target,
}

impl Resp {
    /// Connects; nothing is said yet.
    pub(super) async fn connect(target: &Target) -> Result<Self, Trouble> {
        let stream = BufReader::new(wire::connect(target).await?);
        Ok(Self { stream, target: target.clone() })
    }

    /// Says a command and takes its answer.
    ///
    /// # Errors
    /// Why there is no answer; an error of the server is an answer.
    pub(super) async fn ask(&mut self, words: &[&str]) -> Result<Reply, Trouble> {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            bytes.extend_from_slice(word.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        let answer = async {
            // One that is refused (too many clients) hears why before anything is asked; the write may fail then, the answer is there.
            let written = self.stream.write_all(&bytes).await;
            let mut room = KEPT;
            let mut elements = ELEMENTS;
            match self.reply(&mut room, &mut elements, 0).await {
                Ok(reply) => Ok(reply),
                Err(error) => Err(written.err().unwrap_or(error)),
            }
        };
        answer.await.map_err(|error| wire::broken(&error, &self.target))
    }

    fn reply<'a>(
        &'a mut self,
        room: &'a mut usize,
        elements: &'a mut usize,
        depth: u8,
    ) -> Pin<Box<dyn Future<Output = io::Result<Reply>> + Send + 'a>> {
        Box::pin(async move {
            // What is no RESP is known by its first byte: somebody else may never end a line.
            let first = self.stream.fill_buf().await?.first().copied();
            let kind = first.ok_or(io::ErrorKind::UnexpectedEof)?;
            if !b"+-:$*".contains(&kind) {
                return Err(strange("it does not begin as RESP does"));
            }
            let line = wire::line(&mut self.stream, 64 << 10).await?;
            let rest = line.get(1..).unwrap_or_default();
            match kind {
                b'+' => Ok(Reply::Text(rest.to_owned())),
                b'-' => Ok(Reply::Error(rest.to_owned())),
                b':' => rest.parse().map(Reply::Integer).map_err(|_| strange("an integer that is none")),
                b'$' => match length(rest)? {
                    None => Ok(Reply::Nothing),
                    Some(count) => self.string(count, room).await,
                },
                _ => match length(rest)? {
                    None => Ok(Reply::Nothing),
                    Some(count) => {
                        if depth == DEPTH || count > *elements {
                            return Err(strange("a longer or deeper list than any that was asked for"));
                        }
                        *elements -= count;
                        let mut list = Vec::new();
                        for _ in 0..count {
                            list.push(self.reply(room, elements, depth + 1).await?);
                        }
                        Ok(Reply::List(list))
                    }
                },
            }
        })
    }

    async fn string(&mut self, count: usize, room: &mut usize) -> io::Result<Reply> {
        if count > READ {
            return Err(strange(&format!("a string of {count} bytes, more than {READ}")));
        }
        let kept = count.min(*room);
        *room -= kept;
        let bytes = wire::exactly(&mut self.stream, kept, KEPT).await?;
        let mut left = count - kept + 2;
        let mut forgotten = [0; 4096];
        while left > 0 {
            let some = left.min(forgotten.len());
            self.stream.read_exact(&mut forgotten[..some]).await?;
            left -= some;
        }
        Ok(Reply::Text(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

fn length(text: &str) -> io::Result<Option<usize>> {
    if text == "-1" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| strange("a length that is none"))
}

fn strange(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}
