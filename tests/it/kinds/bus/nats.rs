//! Against nats-server 2.9.10 of Debian 12.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
};

use cas::model::exam::{Grade, Hidden, Protocol, Target, Trouble};

use super::{about, as_user, assert_known, assert_sign, assert_silent, remark, with};
use crate::{
    kinds::rig::{Server, dir, figure, free_port, look, program, ready, until_ready},
    support::eventually,
};

const NATS: Protocol = Protocol::Nats;

/// A client that asks and waits for the answer.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(port: u16) -> Self {
        let mut client = Self(BufReader::new(TcpStream::connect(("127.0.0.1", port)).unwrap()));
        client.write("CONNECT {\"user\":\"cas\",\"pass\":\"right\",\"verbose\":false}\r\nSUB answers 1\r\nPING\r\n");
        client.until("PONG");
        client
    }

    fn write(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn until(&mut self, begin: &str) {
        let mut line = String::new();
        while !line.starts_with(begin) {
            line.clear();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "it closed instead of {begin}");
            assert!(!line.starts_with("-ERR"), "{line}");
        }
    }

    /// A request, and the line of its answer.
    fn ask(&mut self, subject: &str, body: &str) -> String {
        self.write(&format!("PUB {subject} answers {}\r\n{body}\r\n", body.len()));
        self.until("MSG answers");
        let mut answer = String::new();
        self.0.read_line(&mut answer).unwrap();
        answer
    }
}

fn start() -> (Server, Target) {
    let (port, management, dir) = (free_port(), free_port(), dir());
    let configuration = format!(
        "listen: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:{management}\"\nmax_connections: 4\n\
         authorization {{ user: cas, password: right }}\n\
         jetstream {{ store_dir: \"{}\", max_memory_store: 16MB, max_file_store: 16MB }}\n",
        dir.path().display()
    );
    std::fs::write(dir.path().join("nats.conf"), configuration).unwrap();
    let server = Server::start(dir, port, &program("nats-server", "nats-server"), &["-c", "nats.conf"]);
    let target = with(&as_user(&server.target(), "cas", "right"), "management", &management.to_string());
    (server, target)
}

#[test]
fn nats_tells_of_connections_streams_and_who_is_behind() {
    let (server, target) = start();
    until_ready(&server, NATS, &target);
    let reading = look(NATS, &target).unwrap();
    assert_eq!(reading.server.as_deref(), Some("NATS 2.9.10"));
    assert!(reading.remarks.is_empty(), "{reading:?}");
    let before = figure(&reading, "connections");

    let mut client = Client::connect(server.port);
    let stream = r#"{"name":"ORDERS","subjects":["orders.*"],"retention":"workqueue","max_msgs":10,"storage":"file"}"#;
    assert!(client.ask("$JS.API.STREAM.CREATE.ORDERS", stream).contains("\"ORDERS\""));
    let consumer =
        r#"{"stream_name":"ORDERS","config":{"durable_name":"work","ack_policy":"explicit","max_ack_pending":4}}"#;
    assert!(client.ask("$JS.API.CONSUMER.DURABLE.CREATE.ORDERS.work", consumer).contains("\"work\""));
    for _ in 0..5 {
        assert!(client.ask("orders.new", "x").contains("\"seq\""));
    }
    let reading = look(NATS, &target).unwrap();
    assert_known("nats", &reading);
    assert_eq!(
        (figure(&reading, "queue-depth"), about(&reading, "queue-depth")),
        (5.0, "consumer work of stream ORDERS")
    );
    assert_eq!((figure(&reading, "stream-fill"), figure(&reading, "unacknowledged")), (0.5, 0.0));
    assert!(figure(&reading, "oldest-job") < 60.0 && figure(&reading, "storage") > 0.0);
    assert!(figure(&reading, "connections") > before);

    // Handed out, and not acknowledged.
    client.write("PUB $JS.API.CONSUMER.MSG.NEXT.ORDERS.work answers 1\r\n2\r\n");
    eventually("two messages are handed out", || figure(&look(NATS, &target).unwrap(), "unacknowledged") == 2.0);
    let reading = look(NATS, &target).unwrap();
    let limit = reading.measures.iter().find(|measure| measure.name == "unacknowledged").unwrap().limit;
    assert_eq!((figure(&reading, "queue-depth"), limit), (3.0, Some(4.0)));

    let silent = look(NATS, &with(&target, "management", &free_port().to_string())).unwrap();
    assert!(remark(&silent, "management", Grade::Notice).contains("monitoring port does not answer"));
    assert_known("nats", &silent);

    who_may_not_come_in(&server, &target);
    server.signal("STOP");
    assert_silent(NATS, &target);
    server.signal("CONT");

    let more: Vec<_> = (0..3).map(|_| Client::connect(server.port)).collect();
    let answer = ready(NATS, &target);
    assert!(matches!(answer, Err(Trouble::Busy(_))), "{answer:?}");
    drop(more);
    assert_sign("nats", &server, "no more connections");
    assert_sign("nats", &server, "wrong name, password");
}

fn who_may_not_come_in(server: &Server, target: &Target) {
    let answer = ready(NATS, &server.target());
    let Err(Trouble::Refused(why)) = answer else { panic!("{answer:?}") };
    assert!(why.contains("write check: nats://USER:PASSWORD@"), "{why}");
    let answer = ready(NATS, &as_user(target, "cas", "not-this-one"));
    let Err(Trouble::Refused(why)) = answer else { panic!("{answer:?}") };
    assert!(why.contains("user cas") && !why.contains("not-this-one"), "{why}");
    let token = Target { password: Some(Hidden("a-token".to_owned())), ..server.target() };
    let answer = ready(NATS, &token);
    let Err(Trouble::Refused(why)) = answer else { panic!("{answer:?}") };
    assert!(why.contains("token") && !why.contains("a-token"), "{why}");
}
