//! A small HTTP/1.1 server (RFC 9112) that answers as a test says, one connection after the other, each in a thread of its own.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use cas::model::exam::Target;

/// A question: its first line's path, and its headers in lower case.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) path: String,
    headers: Vec<(String, String)>,
}

impl Question {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Reads one; none where the connection ends before.
    pub(crate) fn read(stream: &TcpStream) -> Option<Self> {
        let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
        let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
        let headers = lines
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty())
            .filter_map(|line| {
                line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            })
            .collect();
        Some(Self { path, headers })
    }
}

/// The server; it ends with the test's process.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Question>>>,
}

impl Fake {
    /// Serves with full control over the connection.
    pub(crate) fn raw(on: &str, serve: impl Fn(&Question, TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(on).unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (serve, log) = (Arc::new(serve), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (serve, log) = (Arc::clone(&serve), Arc::clone(&log));
                thread::spawn(move || {
                    if let Some(question) = Question::read(&stream) {
                        log.lock().unwrap().push(question.clone());
                        serve(&question, stream);
                    }
                });
            }
        });
        Self { address, asked }
    }

    /// Serves whole answers: status, headers, body.
    pub(crate) fn new(serve: impl Fn(&Question) -> Reply + Send + Sync + 'static) -> Self {
        Self::raw("127.0.0.1:0", move |question, mut stream| {
            let _gone = stream.write_all(&serve(question).bytes());
        })
    }

    pub(crate) fn target(&self) -> Target {
        Target { host: self.address.ip().to_string(), port: self.address.port(), ..Target::default() }
    }

    /// The paths that were asked for so far.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|question| question.path.clone()).collect()
    }

    /// Whether any question had credentials.
    pub(crate) fn saw_credentials(&self) -> bool {
        self.asked.lock().unwrap().iter().any(|question| question.header("authorization").is_some())
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut lines = vec![format!("HTTP/1.1 {} X", self.status), "connection: close".to_owned()];
        lines.extend(self.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        if self.status != 204 {
            lines.push(format!("content-length: {}", self.body.len()));
        }
        [format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes(), &self.body].concat()
    }
}

/// A target with options.
pub(crate) fn with(target: &Target, path: &str, options: &[(&str, &str)]) -> Target {
    let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Target { path: path.to_owned(), options, ..target.clone() }
}

/// A target with user and password; an empty user is none.
pub(crate) fn as_user(target: &Target, user: &str, password: &str) -> Target {
    let user = Some(user.to_owned()).filter(|user| !user.is_empty());
    Target { user, password: Some(cas::model::exam::Hidden(password.to_owned())), ..target.clone() }
}
