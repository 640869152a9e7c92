//! A cache with a line protocol: `PING` → `PONG`, `SET key value` → `OK`, `GET key` → the value or `NONE`.
//! One thread owns the map; connections ask it.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use super::stage::Stage;

/// Keys that it keeps; the first in order goes when another comes.
const MOST_KEYS: usize = 1_000;
/// Connections at a time; more are closed at once.
const MOST_CLIENTS: usize = 32;
/// Bytes of a request.
const LONGEST: usize = 4096;
/// A client that says nothing for so long is left.
const PATIENCE: Duration = Duration::from_mins(1);

type Question = (String, mpsc::Sender<String>);

pub(super) fn run(stage: &mut Stage, port: u16) -> io::Result<u8> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    stage.say("cache 1.4.2 starting, max keys 1000, eviction: first key")?;
    stage.say(&format!("listening on {}", listener.local_addr()?))?;
    stage.say("ready to accept connections")?;
    let (ask, questions) = mpsc::sync_channel::<Question>(64);
    std::thread::spawn(move || accept(&listener, &ask));
    serve(stage, &questions)
}

fn serve(stage: &mut Stage, questions: &mpsc::Receiver<Question>) -> io::Result<u8> {
    let mut kept: BTreeMap<String, String> = BTreeMap::new();
    let (mut hits, mut misses, mut asked) = (0_u64, 0_u64, 0_u64);
    loop {
        match questions.recv_timeout(Duration::from_secs(5)) {
            Ok((line, reply)) => {
                let said = answer(&mut kept, &line);
                if line.starts_with("GET ") {
                    *if said == "NONE" { &mut misses } else { &mut hits } += 1;
                }
                // The client has left: its own matter.
                let _left = reply.send(said);
                asked += 1;
                if !asked.is_multiple_of(40) {
                    continue;
                }
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(1),
        }
        stage.say(&format!("stats keys={} hits={hits} misses={misses} commands={asked}", kept.len()))?;
    }
}

fn answer(kept: &mut BTreeMap<String, String>, line: &str) -> String {
    let mut words = line.splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some("PING"), None, None) => "PONG".to_owned(),
        (Some("GET"), Some(key), None) => kept.get(key).cloned().unwrap_or_else(|| "NONE".to_owned()),
        (Some("SET"), Some(key), Some(value)) => {
            kept.insert(key.to_owned(), value.to_owned());
            if kept.len() > MOST_KEYS {
                kept.pop_first();
            }
            "OK".to_owned()
        }
        _ => "ERROR say PING, GET key or SET key value".to_owned(),
    }
}

fn accept(listener: &TcpListener, ask: &mpsc::SyncSender<Question>) {
    let clients = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let Ok(stream) = stream else { return };
        if clients.load(Ordering::Relaxed) >= MOST_CLIENTS {
            continue;
        }
        clients.fetch_add(1, Ordering::Relaxed);
        let (ask, clients) = (ask.clone(), Arc::clone(&clients));
        std::thread::spawn(move || {
            // A client that breaks off is the client's matter.
            let _broken_off = converse(stream, &ask);
            clients.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

fn converse(mut stream: TcpStream, ask: &mpsc::SyncSender<Question>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = String::new();
        if io::Read::take(&mut reader, LONGEST as u64).read_line(&mut line)? == 0 {
            return Ok(());
        }
        let (reply, replied) = mpsc::channel();
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        ask.send((line.trim_end().to_owned(), reply)).map_err(|_| gone())?;
        let said = replied.recv().map_err(|_| gone())?;
        stream.write_all(format!("{said}\n").as_bytes())?;
    }
}

/// A client of the cache.
pub(super) struct Client {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Client {
    /// Connects to the cache on this machine.
    pub(super) fn connect(port: u16) -> io::Result<Self> {
        let address = (Ipv4Addr::LOCALHOST, port).into();
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let reader = BufReader::new(stream.try_clone()?);
        Ok(Self { stream, reader })
    }

    /// One question, one answer.
    pub(super) fn ask(&mut self, question: &str) -> io::Result<String> {
        self.stream.write_all(format!("{question}\n").as_bytes())?;
        let mut answer = String::new();
        if self.reader.read_line(&mut answer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(answer.trim_end().to_owned())
    }
}

/// 0 where the cache answers as it should.
pub(super) fn ping(port: u16) -> io::Result<u8> {
    let answer = Client::connect(port)?.ask("PING")?;
    if answer == "PONG" { Ok(0) } else { Err(io::Error::other(format!("the cache said {answer} instead of PONG"))) }
}
