//! HTTP against servers of all manners.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    super::rig::{Server, at, dir, figure, free_port, look, program, ready, run, until_ready},
    fake::{Fake, Reply, as_user, with},
    known, silent,
};
use cas::model::exam::{Grade, Protocol::Http, Reading, Trouble};

/// The sentence of the only remark of a check.
fn remark<'r>(reading: &'r Reading, check: &str) -> (&'r str, Grade) {
    let found: Vec<_> = reading.remarks.iter().filter(|remark| remark.check == check).collect();
    assert_eq!(found.len(), 1, "{check}: {reading:?}");
    (found[0].sentence.as_str(), found[0].grade)
}

#[test]
fn statuses_are_judged_by_what_was_asked_for() {
    let fake = Fake::new(|question| match question.path.trim_start_matches('/') {
        "" => Reply::new(404, "no such route"),
        "503" => Reply::new(503, "\n  warming up\nmore"),
        "500" => Reply::new(500, "<html><head><title>Oh no</title></head></html>"),
        path => Reply::new(path.parse().unwrap_or(200), "{}"),
    });
    let target = fake.target();
    let ask = |path: &str, options: &[(&str, &str)]| ready(Http, &with(&target, path, options));
    assert_eq!(ask("", &[]), Ok(()), "nobody said that there is anything at /");
    assert_eq!(ask("204", &[]), Ok(()));
    assert_eq!(ask("302", &[]), Ok(()));
    let place = target.place();
    let unready = |why: &str| Err(Trouble::Unready(format!("{place} {why}")));
    assert_eq!(
        ask("404", &[]),
        unready("answers 404 Not Found for /404: no such path there; name another one in its check")
    );
    assert_eq!(ask("503", &[]), unready("answers 503 Service Unavailable for /503: warming up"));
    assert_eq!(ask("500", &[]), unready("answers 500 Internal Server Error for /500: Oh no"));
    assert!(matches!(ask("429", &[]), Err(Trouble::Busy(_))));
    assert_eq!(
        ask("401", &[]),
        Err(Trouble::Refused(format!(
            "{place} wants a user and password and got none: 401 Unauthorized for /401; write check: http://USER:PASSWORD@{place}/401"
        )))
    );
    assert_eq!(
        ready(Http, &as_user(&with(&target, "403", &[]), "me", "secret-word")),
        Err(Trouble::Refused(format!("{place} refuses the user and password it was given: 403 Forbidden for /403")))
    );
    assert_eq!(ask("401", &[("status", "2xx,401")]), Ok(()));
    assert_eq!(ask("204", &[("status", "200")]), unready("answers 204 No Content for /204, where 200 is expected"));
    for (option, value) in [("status", "ok"), ("samples", "0"), ("samples", "21"), ("body", "("), ("json", "status:ok")]
    {
        let answer = ask("", &[(option, value)]);
        assert!(
            matches!(&answer, Err(Trouble::Refused(why)) if why.contains(&format!("option {option}={value}"))),
            "{answer:?}"
        );
    }
    // What is no option of ours is the server's.
    assert_eq!(ask("200", &[("q", "a b&c"), ("status", "200")]), Ok(()));
    assert_eq!(fake.paths().last().map(String::as_str), Some("/200?q=a+b%26c"));
}

#[test]
fn a_server_that_wants_a_login_at_its_root_is_alive_and_a_wrong_one_is_refused() {
    let fake = Fake::new(|_| Reply::new(401, "login"));
    assert_eq!(ready(Http, &fake.target()), Ok(()));
    let wrong = ready(Http, &as_user(&fake.target(), "me", "secret-word"));
    assert!(matches!(&wrong, Err(Trouble::Refused(why)) if !why.contains("secret-word")), "{wrong:?}");
    assert!(fake.saw_credentials());
}

#[test]
fn what_a_body_must_say_is_told_where_it_does_not() {
    let fake = Fake::new(|_| Reply::new(200, r#"{"status":"ok","queue":{"length":3}}"#));
    let ask = |options: &[(&str, &str)]| ready(Http, &with(&fake.target(), "state", options));
    assert_eq!(ask(&[("json", "/status:ok"), ("body", r#""length":\d+"#)]), Ok(()));
    assert_eq!(ask(&[("json", "/queue/length:3")]), Ok(()));
    for (option, value, why) in [
        ("json", "/status:up", "and /status is ok, not up"),
        ("json", "/state:up", "and there is no /state in its body, which should be up"),
        ("body", "^ok$", "and its body does not match ^ok$"),
    ] {
        let answer = ask(&[(option, value)]);
        let expected = format!("{} answers 200 for /state, {why}", fake.target().place());
        assert_eq!(answer, Err(Trouble::Unready(expected)));
        let reading = look(Http, &with(&fake.target(), "state", &[(option, value)])).unwrap();
        assert_eq!(remark(&reading, "body").1, Grade::Critical);
    }
}

#[test]
fn a_server_that_answers_200_and_says_down_is_not_believed() {
    let body = r#"{"status":"degraded","components":{"db":{"status":"DOWN"},"disk":{"status":"UP"}}}"#;
    let fake = Fake::new(move |question| {
        if question.path == "/warns" { Reply::new(200, r#"{"status":"warn"}"#) } else { Reply::new(200, body) }
    });
    let place = fake.target().place();
    assert_eq!(
        ready(Http, &with(&fake.target(), "actuator/health", &[])),
        Err(Trouble::Unready(format!("{place} answers 200 for /actuator/health and says degraded: db is DOWN")))
    );
    assert_eq!(ready(Http, &with(&fake.target(), "orders/7", &[])), Ok(()), "a page about something else");
    let reading = look(Http, &with(&fake.target(), "orders/7", &[])).unwrap();
    assert_eq!(remark(&reading, "body"), ("answers 200 and says degraded: db is DOWN", Grade::Critical));
    let reading = look(Http, &with(&fake.target(), "warns", &[])).unwrap();
    assert_eq!(remark(&reading, "body"), ("answers 200 and says warn", Grade::Warning));
}

#[test]
fn a_heartbeat_that_stands_still_is_told() {
    let fake = Fake::new(|_| Reply::new(200, r#"{"status":"ok","last_heartbeat":"2020-01-01T00:00:00Z"}"#));
    let reading = look(Http, &with(&fake.target(), "health", &[])).unwrap();
    let (sentence, grade) = remark(&reading, "heartbeat");
    assert_eq!(grade, Grade::Warning);
    assert!(sentence.contains("last_heartbeat: 2020-01-01T00:00:00Z, "), "{sentence}");
    let is_silent = |path: &str, options: &[(&str, &str)]| {
        let reading = look(Http, &with(&fake.target(), path, options)).unwrap();
        reading.remarks.iter().all(|remark| remark.check != "heartbeat")
    };
    assert!(is_silent("health", &[("heartbeat", "20000d")]), "it may be so old");
    assert!(is_silent("orders/7", &[]), "a page about something else");
    assert!(!is_silent("orders/7", &[("heartbeat", "10m")]), "where it is asked for");
    let refused = look(Http, &with(&fake.target(), "health", &[("heartbeat", "soon")])).unwrap_err().to_string();
    assert!(refused.contains("write a duration, as 10m"), "{refused}");
}

#[test]
fn redirects_are_followed_at_home_and_circles_are_named() {
    let fake = Fake::new(|question| {
        let to = |place: &str| Reply::new(302, "").header("location", place);
        match question.path.as_str() {
            "/a" => to("/b"),
            "/b" => to("/c"),
            "/c" => to("/b"),
            "/away" => to("https://login.example.org/in?x=1"),
            "/home" => to("welcome"),
            "/welcome" => Reply::new(200, r#"{"status":"down"}"#),
            path => {
                let step: usize = path.trim_start_matches("/step").parse().unwrap();
                to(&format!("/step{}", step + 1))
            }
        }
    });
    let at = |path: &str| look(Http, &with(&fake.target(), path, &[("samples", "1")])).unwrap();
    assert_eq!(remark(&at("a"), "redirect"), ("it sends in a circle: /b → /c → /b", Grade::Critical));
    assert_eq!(remark(&at("away"), "redirect"), ("it sends on to https://login.example.org/in", Grade::Notice));
    let home = at("home");
    assert_eq!(remark(&home, "body").0, "answers 200 and says down", "the page at the end counts");
    let before = fake.paths().len();
    let endless = at("step0");
    assert!(remark(&endless, "redirect").0.starts_with("it sends on more than 10 times: /step0 → /step1"));
    assert_eq!(fake.paths().len() - before, 11, "ten are followed");
}

#[test]
fn times_and_failures_of_several_requests_are_measured() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let fake = Fake::new(move |_| {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        if number % 2 == 1 { Reply::new(502, "bad") } else { Reply::new(200, "ok").header("server", "Acme/1.2") }
    });
    let reading = look(Http, &with(&fake.target(), "", &[("samples", "10")])).unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 10);
    assert_eq!(reading.server.as_deref(), Some("Acme 1.2"));
    known("http", &reading);
    let failures = reading.measures.iter().find(|measure| measure.name == "failures").unwrap();
    assert_eq!((failures.value, failures.limit), (5.0, Some(10.0)));
    assert_eq!(remark(&reading, "status"), ("the same request ends differently: 5 × 200, 5 × 502", Grade::Warning));
    let (median, most) = (figure(&reading, "latency-median"), figure(&reading, "latency-max"));
    assert!(0.0 < median && median <= figure(&reading, "latency") && figure(&reading, "latency") <= most && most < 2.0);

    // A slow server is measured as slow, and asked only as often as two seconds allow.
    let slow = Fake::raw("127.0.0.1:0", |_, mut stream| {
        thread::park_timeout(std::time::Duration::from_millis(700));
        let _gone = stream.write_all(&Reply::new(200, "ok").bytes());
    });
    let reading = look(Http, &with(&slow.target(), "", &[("samples", "20")])).unwrap();
    assert!(figure(&reading, "latency-median") >= 0.7, "{reading:?}");
    assert!(slow.paths().len() < 6, "{}", slow.paths().len());
}

#[test]
fn bodies_that_are_huge_slow_broken_or_empty_are_told_and_never_waited_for() {
    let fake = Fake::raw("127.0.0.1:0", |question, mut stream| {
        let _gone = match question.path.as_str() {
            "/huge" => {
                let chunk = vec![b'x'; 1 << 16];
                let mut sent =
                    stream.write_all(format!("HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n", 50 << 20).as_bytes());
                for _ in 0..800 {
                    sent = sent.and_then(|()| stream.write_all(&chunk));
                }
                sent
            }
            "/trickle" => {
                let mut sent = stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\n");
                for _ in 0..30 {
                    sent = sent.and_then(|()| stream.write_all(b"x"));
                    thread::park_timeout(std::time::Duration::from_secs(1));
                }
                sent
            }
            "/early" => stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\nten bytes."),
            "/empty" => stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 0\r\n\r\n"),
            _ => Ok(()),
        };
    });
    let one = |path: &str| look(Http, &with(&fake.target(), path, &[("samples", "1")])).unwrap();
    assert_eq!(ready(Http, &with(&fake.target(), "huge", &[])), Ok(()));
    let reading = one("huge");
    assert_eq!(remark(&reading, "body").1, Grade::Notice);
    assert_eq!(figure(&reading, "body"), f64::from(1 << 20));
    assert_eq!(ready(Http, &with(&fake.target(), "trickle", &[])), Ok(()), "its status is known at once");
    let (sentence, grade) = (remark(&one("trickle"), "body").0.to_owned(), Grade::Warning);
    assert!(sentence.starts_with("its answer for /trickle did not end in time: "), "{sentence}");
    assert_eq!(grade, Grade::Warning);
    let reading = one("early");
    let (sentence, grade) = remark(&reading, "body");
    assert!(sentence.starts_with("it broke off its answer for /early after 10 bytes: "), "{sentence}");
    assert_eq!(grade, Grade::Critical);
    assert_eq!(remark(&one("empty"), "body").0, "it answers 200 for /empty and sends nothing");
    let closed = ready(Http, &with(&fake.target(), "nothing", &[]));
    assert_eq!(
        closed,
        Err(Trouble::Unreachable(format!("{} closed the connection without an answer", fake.target().place())))
    );
}

#[test]
fn whoever_is_not_there_or_speaks_otherwise_is_told_apart() {
    let nobody = at(free_port());
    assert_eq!(
        ready(Http, &nobody),
        Err(Trouble::Unreachable(format!("connection refused: nothing listens on {}", nobody.place())))
    );
    assert!(matches!(look(Http, &nobody), Err(Trouble::Unreachable(_))));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut question = [0; 64];
            let _read = stream.read(&mut question);
            let _gone = stream.write_all(b"-ERR unknown command 'GET'\r\n");
        }
    });
    assert!(matches!(ready(Http, &at(port)), Err(Trouble::Foreign(_))), "{:?}", ready(Http, &at(port)));
    let lost = cas::model::exam::Target { host: "no-such-host.invalid".to_owned(), port: 80, ..at(80) };
    assert_eq!(ready(Http, &lost), Err(Trouble::Unreachable("host no-such-host.invalid cannot be found".to_owned())));
}

#[test]
fn a_server_of_ipv6_alone_is_reached() {
    let fake = Fake::raw("[::1]:0", |_, mut stream| {
        let _gone = stream.write_all(&Reply::new(500, "six").bytes());
    });
    let target = fake.target();
    assert_eq!(
        ready(Http, &with(&target, "x", &[])),
        Err(Trouble::Unready(format!("[::1]:{} answers 500 Internal Server Error for /x: six", target.port)))
    );
    let by_name = cas::model::exam::Target { host: "localhost".to_owned(), ..target };
    // Where the name is that of IPv6, too, the address that listens is found.
    if run(tokio::net::lookup_host(("localhost", 1))).unwrap().any(|address| address.is_ipv6()) {
        assert!(matches!(ready(Http, &with(&by_name, "x", &[])), Err(Trouble::Unready(_))));
    }
}

/// Python 3.11's `http.server`.
#[test]
fn pythons_own_server_is_looked_at() {
    let (dir, port) = (dir(), free_port());
    std::fs::write(dir.path().join("page"), "hello").unwrap();
    let python = program("python3", "python3");
    let server = Server::start(dir, port, &python, &["-m", "http.server", "--bind", "127.0.0.1", &port.to_string()]);
    until_ready(&server, Http, &server.target());
    let reading = look(Http, &with(&server.target(), "page", &[])).unwrap();
    assert!(reading.server.as_deref().is_some_and(|name| name.starts_with("SimpleHTTP 0.6 Python/3.")), "{reading:?}");
    assert_eq!((figure(&reading, "body"), figure(&reading, "failures")), (5.0, 0.0));
    assert!(reading.remarks.is_empty(), "{reading:?}");
    assert!(matches!(ready(Http, &with(&server.target(), "gone", &[])), Err(Trouble::Unready(_))));
    server.signal("STOP");
    silent(Http, &server.target());
}
