//! Against mosquitto 2.0.11 of Debian 12.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
};

use cas::model::exam::{Grade, Protocol, Target, Trouble};

use super::{as_user, assert_known, assert_sign, assert_silent, remark, speaker};
use crate::{
    kinds::{
        rig::{Server, at, dir, figure, free_port, look, program, ready, until_ready},
        web::tls::make_certificates,
    },
    support::eventually,
};

const MQTT: Protocol = Protocol::Mqtt;

/// A client with a name, and a session that stays.
struct Client(TcpStream);

impl Client {
    fn connect(port: u16, name: &str) -> Self {
        let mut body = b"\0\x04MQTT\x04\xC0\0\x3C".to_vec();
        for field in [name, "cas", "right"] {
            body.extend(u16::try_from(field.len()).unwrap().to_be_bytes());
            body.extend(field.bytes());
        }
        let mut client = Self(TcpStream::connect(("127.0.0.1", port)).unwrap());
        client.send(0x10, &body);
        client.expect(0x20);
        client
    }

    fn send(&mut self, first: u8, body: &[u8]) {
        let head = [first, u8::try_from(body.len()).unwrap()];
        self.0.write_all(&[&head, body].concat()).unwrap();
    }

    fn expect(&mut self, first: u8) {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).unwrap();
        assert_eq!(head[0], first);
        self.0.read_exact(&mut vec![0; usize::from(head[1])]).unwrap();
    }

    fn publish(&mut self, number: u8) {
        self.send(0x32, &[b"\0\x04jobs\0".as_slice(), &[number], b"x"].concat());
        self.expect(0x40);
    }
}

fn start() -> Server {
    let (port, dir) = (free_port(), dir());
    let password = program("mosquitto_passwd", "mosquitto");
    let made = Command::new(password).args(["-b", "-c", "users", "cas", "right"]).current_dir(dir.path()).status();
    assert!(made.unwrap().success());
    let added = Command::new(program("mosquitto_passwd", "mosquitto"))
        .args(["-b", "users", "stranger", "right"])
        .current_dir(dir.path())
        .status();
    assert!(added.unwrap().success());
    std::fs::write(
        dir.path().join("rights"),
        "user cas\ntopic readwrite #\ntopic read $SYS/#\nuser stranger\ntopic readwrite own\n",
    )
    .unwrap();
    let configuration = format!(
        "user root\nlistener {port} 127.0.0.1\nallow_anonymous false\npassword_file {0}/users\nacl_file {0}/rights\n\
         sys_interval 1\npersistence false\nmax_queued_messages 2\nmax_inflight_messages 1\n",
        dir.path().display()
    );
    std::fs::write(dir.path().join("mosquitto.conf"), configuration).unwrap();
    Server::start(dir, port, &program("mosquitto", "mosquitto"), &["-c", "mosquitto.conf"])
}

#[test]
fn mosquitto_tells_of_clients_and_of_messages_that_it_drops() {
    let server = start();
    let target = as_user(&server.target(), "cas", "right");
    until_ready(&server, MQTT, &target);
    eventually("it tells of itself", || look(MQTT, &target).unwrap().server.is_some());
    let reading = look(MQTT, &target).unwrap();
    assert_eq!(reading.server.as_deref(), Some("mosquitto version 2.0.11"));
    assert!(reading.remarks.is_empty(), "{reading:?}");
    assert_eq!(figure(&reading, "dropped"), 0.0);
    let before = figure(&reading, "clients");

    let here: Vec<_> = (0..5).map(|number| Client::connect(server.port, &format!("here-{number}"))).collect();
    let mut away = Client::connect(server.port, "away");
    away.send(0x82, b"\0\x01\0\x04jobs\x01");
    away.expect(0x90);
    drop(away);
    let mut publisher = Client::connect(server.port, "publisher");
    // The broker has seen that it is gone as soon as its session is told to be away.
    eventually("a client is away", || figure(&look(MQTT, &target).unwrap(), "clients-away") > 0.0);
    for number in 1..=20 {
        publisher.publish(number);
    }
    eventually("it has dropped most of them", || figure(&look(MQTT, &target).unwrap(), "dropped") >= 15.0);
    let reading = look(MQTT, &target).unwrap();
    assert!(figure(&reading, "clients") >= before + 5.0, "{reading:?}");
    assert!(figure(&reading, "messages-in") >= 20.0 && figure(&reading, "memory") > 0.0);
    assert_known("mqtt", &reading);
    drop(here);

    let reading = look(MQTT, &as_user(&target, "stranger", "right")).unwrap();
    assert!(remark(&reading, "sys-topics", Grade::Notice).contains("$SYS/"));
    assert_known("mqtt", &reading);

    who_may_not_come_in(&server, &target);
    server.signal("STOP");
    assert_silent(MQTT, &target);
    server.signal("CONT");
    assert_eq!(ready(MQTT, &target), Ok(()));
    assert_sign("mqtt", &server, "wrong name or password");
    assert_sign("mqtt", &server, "reads too slowly");
}

fn who_may_not_come_in(server: &Server, target: &Target) {
    let answer = ready(MQTT, &server.target());
    let Err(Trouble::Refused(why)) = answer else { panic!("{answer:?}") };
    assert!(why.contains("write check: mqtt://USER:PASSWORD@"), "{why}");
    let answer = ready(MQTT, &as_user(target, "cas", "not-this-one"));
    let Err(Trouble::Refused(why)) = answer else { panic!("{answer:?}") };
    assert!(why.contains("user cas") && !why.contains("not-this-one"), "{why}");
}

/// Return codes: section 3.2.2.3 of MQTT 3.1.1.
#[test]
fn codes_of_mqtt_that_mosquitto_does_not_say_are_told_apart() {
    let answer = ready(MQTT, &at(speaker(&[0x20, 2, 0, 3])));
    assert!(matches!(answer, Err(Trouble::Unready(_))), "{answer:?}");
    let answer = ready(MQTT, &at(speaker(&[0x20, 2, 0, 1])));
    assert!(matches!(answer, Err(Trouble::Foreign(_))), "{answer:?}");
    let answer = ready(MQTT, &at(speaker(&[0x20, 2, 0, 2])));
    assert!(matches!(answer, Err(Trouble::Refused(_))), "{answer:?}");
    // A packet that announces 256 MiB, where a pong is waited for.
    let answer = ready(MQTT, &at(speaker(&[0x20, 2, 0, 0, 0xD0, 0xFF, 0xFF, 0xFF, 0x7F])));
    assert!(matches!(answer, Err(Trouble::Foreign(_))), "{answer:?}");
}

/// Which certificates are trusted is asked of the whole process, so this test runs itself again in one that trusts the authority.
#[test]
fn a_broker_behind_tls_is_asked_over_it_and_only_where_its_certificate_can_be_trusted() {
    if let Ok(port) = std::env::var("CAS_TEST_TRUSTED_PORT") {
        let target = Target { tls: true, port: port.parse().unwrap(), ..at(0) };
        assert_eq!(ready(MQTT, &target), Ok(()));
        eventually("it tells of itself over TLS", || look(MQTT, &target).unwrap().server.is_some());
        return;
    }
    let (dir, port, plain) = (dir(), free_port(), free_port());
    make_certificates(dir.path());
    let configuration = format!(
        "user root\nper_listener_settings false\nallow_anonymous true\nsys_interval 1\npersistence false\n\
         listener {plain} 127.0.0.1\nlistener {port} 127.0.0.1\ncertfile {0}/lonely.pem\nkeyfile {0}/leaf.key\n",
        dir.path().display()
    );
    std::fs::write(dir.path().join("mosquitto.conf"), configuration).unwrap();
    let server = Server::start(dir, plain, &program("mosquitto", "mosquitto"), &["-c", "mosquitto.conf"]);
    until_ready(&server, MQTT, &server.target());
    let secure = Target { tls: true, port, ..server.target() };
    let stranger = ready(MQTT, &secure).unwrap_err().to_string();
    assert!(stranger.contains("certificate"), "nobody vouches for it: {stranger}");
    let mistaken = ready(MQTT, &Target { tls: true, ..server.target() }).unwrap_err().to_string();
    assert!(mistaken.contains("TLS"), "the other port speaks no TLS: {mistaken}");
    let this = module_path!().split_once("::").unwrap().1;
    let again = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            &format!("{this}::a_broker_behind_tls_is_asked_over_it_and_only_where_its_certificate_can_be_trusted"),
        ])
        .env("CAS_TEST_TRUSTED_PORT", port.to_string())
        .env("SSL_CERT_FILE", server.dir.path().join("ca.pem"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success() && said.contains("1 passed"), "{said}");
}
