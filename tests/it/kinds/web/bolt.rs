//! A fake of Neo4j that speaks Bolt 5.4 and 4.4 as documented: <https://neo4j.com/docs/bolt/current/bolt/handshake/>,
//! <https://neo4j.com/docs/bolt/current/bolt/message/>, <https://neo4j.com/docs/bolt/current/packstream/>.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    super::rig::{at, figure, free_port, look, ready},
    fake::{Fake, Reply, as_user, with},
    known, measure, remarks,
};
use cas::model::exam::{Grade, Protocol::Neo4j, Target, Trouble};

fn text(word: &str) -> Vec<u8> {
    let length = u8::try_from(word.len()).unwrap();
    let mut out = if length < 16 { vec![0x80 | length] } else { vec![0xD0, length] };
    out.extend(word.bytes());
    out
}

fn map(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut out = vec![0xA0 | u8::try_from(entries.len()).unwrap()];
    for (key, value) in entries {
        out.extend(text(key));
        out.extend(text(value));
    }
    out
}

/// A message in chunks, the first of them one byte long.
fn send(stream: &mut TcpStream, tag: u8, field: &[u8]) {
    let message = [&[0xB1, tag], field].concat();
    let [high, low] = u16::try_from(message.len() - 1).unwrap().to_be_bytes();
    let out = [&[0, 1, message[0], high, low], &message[1..], &[0, 0]].concat();
    let _gone = stream.write_all(&out);
}

fn row(fields: &[Vec<u8>]) -> Vec<u8> {
    [vec![0x90 | u8::try_from(fields.len()).unwrap()], fields.concat()].concat()
}

/// The next message; none where the connection ends.
fn receive(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let length = usize::from(u16::from_be_bytes(length));
        if length == 0 {
            return Some(message);
        }
        let begin = message.len();
        message.resize(begin + length, 0);
        stream.read_exact(&mut message[begin..]).ok()?;
    }
}

fn holds(message: &[u8], word: &str) -> bool {
    String::from_utf8_lossy(message).contains(word)
}

fn serve(mut stream: TcpStream, version: [u8; 4], farewells: &AtomicUsize) -> Option<()> {
    let mut hello = [0; 20];
    stream.read_exact(&mut hello).ok()?;
    assert_eq!(hello[..4], [0x60, 0x60, 0xB0, 0x17]);
    stream.write_all(&version).ok()?;
    let separate = version[3] == 5 && version[2] >= 1;
    let mut question = String::new();
    loop {
        let message = receive(&mut stream)?;
        let login = |message: &[u8]| holds(message, "word-right");
        match message.get(1)? {
            0x01 if separate || login(&message) => {
                assert!(!separate || !holds(&message, "credentials"), "from 5.1 on a login is no part of HELLO");
                send(&mut stream, 0x70, &map(&[("server", "Neo4j/5.13.0"), ("connection_id", "bolt-1")]));
            }
            0x6A if login(&message) => send(&mut stream, 0x70, &map(&[])),
            0x01 | 0x6A => {
                let why = [
                    ("code", "Neo.ClientError.Security.Unauthorized"),
                    ("message", "The client is unauthorized due to authentication failure."),
                ];
                send(&mut stream, 0x7F, &map(&why));
            }
            0x10 => {
                question = String::from_utf8_lossy(&message).into_owned();
                send(&mut stream, 0x70, &map(&[]));
            }
            0x3F if question.contains("SHOW DATABASES") => {
                for (name, is, why) in
                    [("neo4j", "online", ""), ("shop", "offline", "store is broken"), ("system", "online", "")]
                {
                    send(&mut stream, 0x71, &row(&[text(name), text("online"), text(is), text(why)]));
                }
                // A NOOP chunk in between.
                stream.write_all(&[0, 0]).ok()?;
                send(&mut stream, 0x70, &map(&[]));
            }
            0x3F => {
                let long = [vec![0xCA], 95_000_i32.to_be_bytes().to_vec()].concat();
                send(
                    &mut stream,
                    0x71,
                    &row(&[text("neo4j-transaction-7"), long, text("MATCH (n) RETURN n"), text("Blocked by: [x]")]),
                );
                send(
                    &mut stream,
                    0x71,
                    &row(&[text("neo4j-transaction-8"), vec![5], text("SHOW TRANSACTIONS YIELD"), text("Running")]),
                );
                send(&mut stream, 0x70, &map(&[]));
            }
            0x02 => {
                farewells.fetch_add(1, Ordering::SeqCst);
                return None;
            }
            other => panic!("message {other:#x}"),
        }
    }
}

fn server(version: [u8; 4]) -> (Target, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = at(listener.local_addr().unwrap().port());
    let farewells = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&farewells);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counted = Arc::clone(&counted);
            thread::spawn(move || serve(stream, version, &counted));
        }
    });
    (target, farewells)
}

#[test]
fn neo4j_is_logged_in_to_and_tells_its_databases_and_transactions() {
    // https://neo4j.com/docs/http-api/current/endpoints/
    let http = Fake::new(|_| {
        Reply::new(200, r#"{"bolt_direct":"bolt://x:7687","neo4j_version":"5.13.0","neo4j_edition":"community"}"#)
    });
    let port = http.target().port.to_string();
    for version in [[0, 0, 4, 5], [0, 0, 4, 4]] {
        let (target, farewells) = server(version);
        let target = with(&target, "", &[("http", &port)]);
        assert_eq!(ready(Neo4j, &target), Ok(()));
        assert_eq!(ready(Neo4j, &as_user(&target, "neo4j", "word-right")), Ok(()));
        let place = target.place();
        assert_eq!(
            ready(Neo4j, &as_user(&target, "", "bad-guess")),
            Err(Trouble::Refused(format!(
                "{place} does not let neo4j in: The client is unauthorized due to authentication failure."
            )))
        );
        let reading = look(Neo4j, &as_user(&target, "", "word-right")).unwrap();
        known("neo4j", &reading);
        assert_eq!(reading.server.as_deref(), Some("Neo4j 5.13.0 community"));
        assert_eq!(
            (measure(&reading, "databases-offline").value, measure(&reading, "databases-offline").limit),
            (1.0, Some(3.0))
        );
        assert_eq!(
            remarks(&reading, "databases"),
            [("database shop is offline and should be online: store is broken", Grade::Critical)]
        );
        assert_eq!((figure(&reading, "transactions"), figure(&reading, "transactions-blocked")), (1.0, 1.0));
        assert_eq!(measure(&reading, "longest-transaction").value, 95.0);
        assert_eq!(
            measure(&reading, "longest-transaction").about.as_deref(),
            Some("neo4j-transaction-7: MATCH (n) RETURN n")
        );
        crate::support::eventually("connections are given back", || farewells.load(Ordering::SeqCst) == 3);
        let nobody = look(Neo4j, &with(&target, "", &[("http", &free_port().to_string())])).unwrap();
        assert_eq!(nobody.server, Some(format!("Neo4j (Bolt {}.{})", version[3], version[2])));
        assert_eq!(remarks(&nobody, "databases").len(), 1);
    }
}

#[test]
fn what_is_no_bolt_is_told() {
    let answering = |bytes: &'static [u8]| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = at(listener.local_addr().unwrap().port());
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut hello = [0; 20];
                let _read = stream.read_exact(&mut hello);
                let _gone = stream.write_all(bytes);
            }
        });
        target
    };
    for (bytes, why) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "answers over HTTP: Bolt listens on another port, usually 7687"),
        (&[0, 0, 0, 0], "speaks no Bolt of 4.4 to 5.4"),
        (b"-ERR x\r\n", "answers, and not in Bolt"),
        (&[0, 0, 9, 9], "answers, and not in Bolt"),
    ] {
        let target = answering(bytes);
        assert_eq!(ready(Neo4j, &target), Err(Trouble::Foreign(format!("{} {why}", target.place()))));
    }
    // A message that announces more than it may, and one that is none.
    for bytes in [&[0, 0, 4, 5, 0, 2, 0xB1, 0x70, 0, 0][..], &[0, 0, 4, 5, 0, 5, 0xD2, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0]] {
        let target = as_user(&answering(bytes), "", "x");
        assert!(matches!(ready(Neo4j, &target), Err(Trouble::Foreign(_))), "{bytes:?}");
    }
    let closed = answering(b"");
    assert!(matches!(ready(Neo4j, &closed), Err(Trouble::Unreachable(_))));
    assert!(matches!(ready(Neo4j, &at(free_port())), Err(Trouble::Unreachable(_))));
}
