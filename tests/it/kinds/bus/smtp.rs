//! Against aiosmtpd 1.4.3 of Debian 12 (`Python SMTP 1.4.3`).

use std::path::Path;

use cas::model::exam::{Grade, Protocol, Target, Trouble};

use super::{as_user, assert_known, assert_silent, remark, speaker};
use crate::kinds::rig::{Server, at, dir, figure, free_port, look, ready, until_ready};

const SMTP: Protocol = Protocol::Smtp;

const SCRIPT: &str = r#"
import sys, threading
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import AuthResult

def allow(server, session, envelope, mechanism, data):
    return AuthResult(handled=False, success=(data.login, data.password) == (b"cas", b"right"))

Controller(Sink(), hostname="127.0.0.1", port=int(sys.argv[1]), authenticator=allow, auth_require_tls=False,
           data_size_limit=12345, ident="Python SMTP 1.4.3").start()
threading.Event().wait()
"#;

fn start() -> Server {
    let python = Path::new("/usr/bin/python3");
    assert!(
        Path::new("/usr/lib/python3/dist-packages/aiosmtpd").is_dir(),
        "aiosmtpd is not installed: apt-get install python3-aiosmtpd (make test does it)"
    );
    let (dir, port) = (dir(), free_port());
    std::fs::write(dir.path().join("mail.py"), SCRIPT).unwrap();
    Server::start(dir, port, python, &["mail.py", &port.to_string()])
}

#[test]
fn a_mail_server_greets_and_lets_in_who_knows_the_password() {
    let server = start();
    let target = server.target();
    until_ready(&server, SMTP, &target);
    let reading = look(SMTP, &target).unwrap();
    assert_eq!(reading.server.as_deref(), Some("Python SMTP 1.4.3"));
    assert_eq!(figure(&reading, "max-size"), 12345.0);
    assert!(figure(&reading, "latency") < 5.0 && figure(&reading, "greeting") > 0.0);
    assert!(reading.remarks.is_empty(), "{reading:?}");
    assert_known("smtp", &reading);

    assert_eq!(ready(SMTP, &as_user(&target, "cas", "right")), Ok(()));
    let answer = ready(SMTP, &as_user(&target, "cas", "not-this-one"));
    let Err(Trouble::Refused(why)) = answer else { panic!("{answer:?}") };
    assert!(why.contains("user cas") && why.contains("535") && !why.contains("not-this-one"), "{why}");

    // An address that leads here and is not known to: no password is sent there in the clear.
    let elsewhere = Target { host: "0.0.0.0".to_owned(), ..target.clone() };
    let answer = ready(SMTP, &as_user(&elsewhere, "cas", "right"));
    let Err(Trouble::Refused(why)) = answer else { panic!("{answer:?}") };
    assert!(why.contains("in the clear"), "{why}");
    assert!(remark(&look(SMTP, &elsewhere).unwrap(), "starttls", Grade::Notice).contains("STARTTLS"));

    server.signal("STOP");
    assert_silent(SMTP, &target);
    server.signal("CONT");
    assert_eq!(ready(SMTP, &target), Ok(()));
}

/// Codes: RFC 5321, section 4.2.3; postfix's own words for too many connections.
#[test]
fn codes_of_smtp_are_told_apart() {
    let told = |words| ready(SMTP, &at(speaker(words)));
    let answer = told(b"421 4.3.2 mail.test Service shutting down\r\n");
    assert!(matches!(answer, Err(Trouble::Unready(_))), "{answer:?}");
    let answer = told(b"421 4.7.0 mail.test Error: too many connections from 10.0.0.1\r\n");
    assert!(matches!(answer, Err(Trouble::Busy(_))), "{answer:?}");
    let answer = told(b"452 4.3.1 Insufficient system storage\r\n");
    assert!(matches!(answer, Err(Trouble::Busy(_))), "{answer:?}");
    let answer = told(b"554 mail.test no mail from you\r\n");
    assert!(matches!(answer, Err(Trouble::Refused(_))), "{answer:?}");
    // EHLO is not known to it, HELO is.
    let answer = told(b"220 old\r\n500 what?\r\n250 hello\r\n250 ok\r\n221 bye\r\n");
    assert_eq!(answer, Ok(()));
    // It repeats what it was sent: "\0cas\0secret" in base64.
    let repeating = at(speaker(b"220 mail\r\n250-mail\r\n250 AUTH PLAIN\r\n535 what is AGNhcwBzZWNyZXQ=?\r\n"));
    let answer = ready(SMTP, &as_user(&repeating, "cas", "secret"));
    let Err(Trouble::Refused(why)) = answer else { panic!("{answer:?}") };
    assert!(why.contains("what is …?"), "{why}");
    let answer = told(b"220 mail\r\n250-one\r\n251 another code\r\n");
    assert!(matches!(answer, Err(Trouble::Foreign(_))), "{answer:?}");
}
