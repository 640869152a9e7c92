//! nginx 1.22.1 and `HAProxy` 2.6.12.

use std::{
    fs,
    io::Write,
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    thread,
};

use super::{
    super::rig::{Server, dir, figure, free_port, look, program, ready, until_ready},
    fake::{Fake, Reply, as_user, with},
    known, measure, remarks, silent,
};
use crate::support::eventually;
use cas::model::exam::{
    Grade,
    Protocol::{Haproxy, Nginx},
    Target, Trouble,
};

/// So many connections that say nothing.
fn idle(port: u16, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect()
}

#[test]
fn nginx_tells_its_connections_and_who_is_not_behind_it() {
    let (dir, port, bare, dead) = (dir(), free_port(), free_port(), free_port());
    fs::write(
        dir.path().join("conf"),
        format!(
            "daemon off; error_log stderr; pid pid; worker_processes 1; events {{ worker_connections 16; }}\nhttp {{ access_log off;\n\
             server {{ listen 127.0.0.1:{port}; location / {{ return 200 ok; }} location = /basic_status {{ stub_status; }}\n\
             location = /mine {{ stub_status; }} location /up {{ proxy_pass http://127.0.0.1:{dead}; }} }}\n\
             server {{ listen 127.0.0.1:{bare}; server_tokens off; return 200 ok; }} }}\n"
        ),
    )
    .unwrap();
    let prefix = format!("{}/", dir.path().display());
    let server = Server::start(dir, port, &program("nginx", "nginx-light"), &["-p", &prefix, "-c", "conf"]);
    let target = server.target();
    until_ready(&server, Nginx, &target);
    let first = look(Nginx, &target).unwrap();
    known("nginx", &first);
    assert_eq!(first.server.as_deref(), Some("nginx 1.22.1"));
    assert!(first.remarks.is_empty(), "{first:?}");
    assert_eq!(figure(&first, "dropped"), 0.0);

    let held = idle(port, 4);
    let options = with(&target, "", &[("status", "/mine")]);
    eventually("its idle connections are counted", || figure(&look(Nginx, &options).unwrap(), "connections") >= 5.0);
    let second = look(Nginx, &target).unwrap();
    assert!(
        figure(&second, "requests") > figure(&first, "requests")
            && figure(&second, "accepted") > figure(&first, "accepted")
    );
    // Those that say nothing yet are closed for others; those in the middle of a question are not.
    let mut more = Vec::new();
    eventually("it has no room for more", || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let _dropped = stream.write_all(b"GET / HT");
        more.push(stream);
        server.output().contains("worker_connections are not enough")
    });
    drop((held, more));
    eventually("what it had no room for is counted", || {
        look(Nginx, &target).is_ok_and(|reading| figure(&reading, "dropped") > 0.0)
    });

    let place = target.place();
    assert_eq!(
        ready(Nginx, &with(&target, "up", &[])),
        Err(Trouble::Unready(format!("{place} answers 502 Bad Gateway for /up: 502 Bad Gateway")))
    );
    let without = look(Nginx, &Target { port: bare, ..target.clone() }).unwrap();
    assert_eq!(without.server.as_deref(), Some("nginx"));
    assert_eq!(
        remarks(&without, "status-page"),
        [("it has no stub_status page: its connections are not known", Grade::Notice)]
    );
    let wrong = look(Nginx, &with(&target, "", &[("status", "/no")])).unwrap();
    assert_eq!(remarks(&wrong, "status-page").len(), 1, "200 of another page is not taken for it");
    server.signal("STOP");
    silent(Nginx, &target);
}

/// Answers for `HAProxy`'s checks with a status that the test sets, and holds `/slow` until it is let go.
fn application() -> (Fake, Arc<AtomicU16>, Arc<AtomicBool>) {
    let (health, held) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicBool::new(true)));
    let (status, hold) = (Arc::clone(&health), Arc::clone(&held));
    let fake = Fake::new(move |question| match question.path.as_str() {
        "/health" => Reply::new(status.load(Ordering::SeqCst), "x"),
        "/slow" => {
            eventually("the request is let go", || !hold.load(Ordering::SeqCst));
            Reply::new(200, "slow")
        }
        _ => Reply::new(200, "app"),
    });
    (fake, health, held)
}

#[test]
fn haproxy_names_servers_that_are_down_and_what_waits() {
    let (dir, web, stats, closed, dead) = (dir(), free_port(), free_port(), free_port(), free_port());
    let (fake, health, held) = application();
    let socket = dir.path().join("s").display().to_string();
    fs::write(
        dir.path().join("conf"),
        format!(
            "global\n maxconn 50\n stats socket {socket} mode 600 level user\ndefaults\n mode http\n timeout connect 2s\n timeout client 30s\n timeout server 30s\n timeout queue 30s\n\
             frontend web\n bind 127.0.0.1:{web}\n maxconn 10\n default_backend app\n\
             frontend stats\n bind 127.0.0.1:{stats}\n stats enable\n stats uri /stats\n\
             frontend closed\n bind 127.0.0.1:{closed}\n stats enable\n stats uri /stats\n stats auth me:word\n\
             backend app\n option httpchk GET /health\n default-server inter 200ms fall 1 rise 1\n server a {} maxconn 1 check\n server b 127.0.0.1:{dead} check\n",
            fake.address
        ),
    )
    .unwrap();
    let server = Server::start(dir, web, &program("haproxy", "haproxy"), &["-db", "-f", "conf"]);
    let (front, page) = (server.target(), Target { port: stats, ..server.target() });
    until_ready(&server, Haproxy, &front);
    assert_eq!(ready(Haproxy, &page), Ok(()), "a port that only has the page is well");
    let over_socket = with(&front, "", &[("socket", &socket)]);
    assert_eq!(ready(Haproxy, &over_socket), Ok(()));
    eventually("the dead server is found", || figure(&look(Haproxy, &page).unwrap(), "servers-down") == 1.0);
    let reading = look(Haproxy, &page).unwrap();
    assert_eq!(reading.server.as_deref().map(|name| &name[..14]), Some("HAProxy 2.6.12"), "{reading:?}");
    known("haproxy", &reading);
    known("haproxy", &look(Haproxy, &over_socket).unwrap());
    assert_eq!(measure(&reading, "servers-down").limit, Some(2.0));
    assert_eq!(figure(&reading, "backends-down"), 0.0);
    let down = remarks(&reading, "servers");
    assert!(
        down[0].0.starts_with(
            "server app/b is down: L4CON, connection refused or no way to it (Connection refused), since "
        ),
        "{down:?}"
    );
    assert_eq!(remarks(&look(Haproxy, &front).unwrap(), "status-page").len(), 1);

    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let target = with(&front, "slow", &[]);
            thread::spawn(move || ready(cas::model::exam::Protocol::Http, &target))
        })
        .collect();
    eventually("two of three wait", || {
        let reading = look(Haproxy, &over_socket).unwrap();
        figure(&reading, "queue") == 2.0 && figure(&reading, "connections") >= 3.0
    });
    let busy = look(Haproxy, &page).unwrap();
    assert_eq!((measure(&busy, "sessions").value, measure(&busy, "sessions").limit), (1.0, Some(1.0)), "{busy:?}");
    assert_eq!(measure(&busy, "sessions").about.as_deref(), Some("app/a"));
    held.store(false, Ordering::SeqCst);
    for one in waiting {
        assert_eq!(one.join().unwrap(), Ok(()));
    }

    health.store(500, Ordering::SeqCst);
    eventually("its last server is down", || figure(&look(Haproxy, &page).unwrap(), "backends-down") == 1.0);
    let reading = look(Haproxy, &page).unwrap();
    assert_eq!(remarks(&reading, "backends"), [("backend app is down: none of its servers is left", Grade::Critical)]);
    assert!(
        remarks(&reading, "servers").iter().any(
            |(sentence, _)| sentence.starts_with("server app/a is down: L7STS, it answers with a bad status (500)")
        ),
        "{reading:?}"
    );
    let before = figure(&reading, "server-errors");
    let place = front.place();
    assert_eq!(
        ready(Haproxy, &front),
        Err(Trouble::Unready(format!("{place} answers 503 Service Unavailable for /: 503 Service Unavailable")))
    );
    assert!(figure(&look(Haproxy, &page).unwrap(), "server-errors") > before);

    let closed = Target { port: closed, ..front.clone() };
    assert!(
        matches!(look(Haproxy, &closed), Err(Trouble::Refused(why)) if why.contains("write check: haproxy://USER:PASSWORD@"))
    );
    assert!(
        matches!(look(Haproxy, &as_user(&closed, "me", "wrong")), Err(Trouble::Refused(why)) if !why.contains("wrong"))
    );
    assert!(look(Haproxy, &as_user(&closed, "me", "word")).is_ok());
    let nowhere = look(Haproxy, &with(&front, "", &[("socket", "/no/such/socket")]));
    assert_eq!(nowhere, Err(Trouble::Unreachable("there is no socket /no/such/socket".to_owned())));
    server.signal("STOP");
    silent(Haproxy, &over_socket);
}
