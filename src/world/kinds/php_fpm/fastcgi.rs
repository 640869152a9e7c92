//! `FastCGI` as far as one question needs it (<https://fastcgi-archives.github.io/FastCGI_Specification.html>, sections 3.3, 3.4, 5 and 6.2).
//!
//! Never: keeps a connection; reads more than [`MOST`] bytes of an answer.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use super::{super::wire, clause};
use crate::model::exam::{Target, Trouble};

/// Most bytes of an answer.
const MOST: usize = 1 << 20;
/// Most bytes of what it writes to its error stream that are kept.
const ERRORS: usize = 1024;

const VERSION: u8 = 1;
const BEGIN_REQUEST: u8 = 1;
const END_REQUEST: u8 = 3;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const STDOUT: u8 = 6;
const STDERR: u8 = 7;
/// The role of who answers.
const RESPONDER: u8 = 1;
/// The number of the only request.
const REQUEST: u8 = 1;

/// An answer, as of CGI (RFC 3875, 6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Response {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (end, behind) = [&b"\r\n\r\n"[..], b"\n\n"]
            .into_iter()
            .filter_map(|blank| Some((memchr::memmem::find(bytes, blank)?, blank.len())))
            .min()?;
        let head = String::from_utf8_lossy(&bytes[..end]);
        let headers: Vec<(String, String)> = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        if headers.is_empty() {
            return None;
        }
        let status = headers.iter().find(|(name, _)| name == "status");
        let status = match status {
            Some((_, words)) => words.split_whitespace().next()?.parse().ok()?,
            None => 200,
        };
        Some(Self { status, body: bytes[end + behind..].to_vec(), headers })
    }
}

/// Where it listens, as it is told.
pub(super) fn place(target: &Target) -> String {
    target.options.get("socket").map_or_else(|| target.place(), |socket| clause(socket))
}

/// Asks for a page of the server itself.
pub(super) async fn ask(target: &Target, path: &str, query: &str) -> Result<Response, Trouble> {
    let place = place(target);
    let mut connection: wire::Connection = match target.options.get("socket") {
        Some(socket) => Box::new(UnixStream::connect(socket).await.map_err(|error| socket_trouble(&error, &place))?),
        None => wire::connect(target).await?,
    };
    let mut out = Vec::new();
    record(&mut out, BEGIN_REQUEST, &[0, RESPONDER, 0, 0, 0, 0, 0, 0]);
    let mut params = Vec::new();
    let uri = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    for (name, value) in [
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("SERVER_SOFTWARE", "cas"),
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", &uri),
        ("SCRIPT_NAME", path),
        ("SCRIPT_FILENAME", path),
        ("QUERY_STRING", query),
        ("CONTENT_LENGTH", "0"),
    ] {
        pair(&mut params, name, value);
    }
    record(&mut out, PARAMS, &params);
    record(&mut out, PARAMS, &[]);
    record(&mut out, STDIN, &[]);
    let broken = |error: &io::Error| {
        let trouble = wire::broken(error, target);
        if matches!(trouble, Trouble::Unreachable(_)) {
            Trouble::Unreachable(format!(
                "{place} closed the connection without an answer: is this address in its listen.allowed_clients, and is it PHP-FPM?"
            ))
        } else {
            trouble
        }
    };
    connection.write_all(&out).await.map_err(|error| broken(&error))?;
    let (bytes, errors) = answer(&mut connection, &place).await.map_err(|failure| match failure {
        Failure::Broken(error) => broken(&error),
        Failure::Said(trouble) => trouble,
    })?;
    Response::parse(&bytes).ok_or_else(|| {
        let errors = String::from_utf8_lossy(&errors).into_owned();
        Trouble::Foreign(format!("{place} speaks FastCGI and gives no answer as PHP-FPM does: {}", clause(&errors)))
    })
}

fn socket_trouble(error: &io::Error, place: &str) -> Trouble {
    let is = |kind: io::ErrorKind| error.kind() == kind;
    if is(io::ErrorKind::PermissionDenied) {
        Trouble::Refused(format!(
            "the socket {place} does not let us in: see listen.owner, listen.group and listen.mode of its pool"
        ))
    } else if is(io::ErrorKind::NotFound) {
        Trouble::Unreachable(format!("there is no socket {place}"))
    } else if is(io::ErrorKind::WouldBlock) {
        Trouble::Busy(format!("the queue of {place} is full: all its processes are busy"))
    } else {
        Trouble::Unreachable(format!("nobody listens on the socket {place}"))
    }
}

enum Failure {
    Broken(io::Error),
    Said(Trouble),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// Everything up to the end of the request: its output, and the begin of its errors.
async fn answer(connection: &mut wire::Connection, place: &str) -> Result<(Vec<u8>, Vec<u8>), Failure> {
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    loop {
        let mut head = [0; 8];
        connection.read_exact(&mut head).await?;
        let [version, kind, _, request, high, low, padding, _] = head;
        if version != VERSION || request != REQUEST {
            return Err(Failure::Said(Trouble::Foreign(format!("{place} answers, and not in FastCGI"))));
        }
        let mut content = vec![0; usize::from(u16::from_be_bytes([high, low]))];
        connection.read_exact(&mut content).await?;
        let mut padded = [0; 255];
        connection.read_exact(&mut padded[..usize::from(padding)]).await?;
        match kind {
            STDOUT if out.len() + content.len() > MOST => {
                return Err(Failure::Said(Trouble::Foreign(format!("{place} answers more than 1 MiB"))));
            }
            STDOUT => out.append(&mut content),
            STDERR => errors.extend(content.into_iter().take(ERRORS.saturating_sub(errors.len()))),
            END_REQUEST => {
                // protocolStatus, 5.5.
                return match content.get(4) {
                    Some(0) => Ok((out, errors)),
                    Some(2) => {
                        Err(Failure::Said(Trouble::Busy(format!("{place} takes no more requests: FCGI_OVERLOADED"))))
                    }
                    _ => Err(Failure::Said(Trouble::Foreign(format!(
                        "{place} does not answer as a responder of FastCGI"
                    )))),
                };
            }
            _ => return Err(Failure::Said(Trouble::Foreign(format!("{place} answers, and not in FastCGI")))),
        }
    }
}

/// Content is far shorter than the 65535 bytes that a record takes.
fn record(out: &mut Vec<u8>, kind: u8, content: &[u8]) {
    let content = &content[..content.len().min(usize::from(u16::MAX))];
    let [high, low] = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    out.extend([VERSION, kind, 0, REQUEST, high, low, 0, 0]);
    out.extend(content);
}

/// A name-value pair, 3.4.
fn pair(out: &mut Vec<u8>, name: &str, value: &str) {
    for text in [name, value] {
        match u8::try_from(text.len()) {
            Ok(short) if short < 128 => out.push(short),
            _ => out.extend((u32::try_from(text.len()).unwrap_or(0) | 1 << 31).to_be_bytes()),
        }
    }
    out.extend(name.as_bytes());
    out.extend(value.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::{Response, pair, record};

    #[test]
    fn pairs_and_records_are_written_as_specified() {
        let mut out = Vec::new();
        pair(&mut out, "A", "bc");
        assert_eq!(out, [1, 2, b'A', b'b', b'c']);
        let mut long = Vec::new();
        pair(&mut long, "A", &"x".repeat(200));
        assert_eq!(long[..6], [1, 0x80, 0, 0, 200, b'A']);
        let mut whole = Vec::new();
        record(&mut whole, 4, &out);
        assert_eq!(whole[..8], [1, 4, 0, 1, 0, 5, 0, 0]);
    }

    #[test]
    fn answers_have_a_status_headers_and_a_body() {
        let response =
            Response::parse(b"Status: 404 Not Found\r\nX-Powered-By: PHP/8.2\r\n\r\nFile not found.\n").unwrap();
        assert_eq!((response.status, response.header("x-powered-by")), (404, Some("PHP/8.2")));
        assert_eq!(response.text(), "File not found.\n");
        assert_eq!(Response::parse(b"Content-type: text/plain\n\npong").unwrap().status, 200);
        for wrong in [&b""[..], b"pong", b"\r\n\r\n", b"Status: many\r\n\r\n"] {
            assert_eq!(Response::parse(wrong), None);
        }
    }
}
