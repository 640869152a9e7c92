//! PHP-FPM 8.2.36.

use std::{fs, io::Write, net::TcpStream, os::unix::fs::PermissionsExt};

use super::{
    super::rig::{Server, at, dir, figure, free_port, look, program, ready, until_ready},
    fake::{Fake, Reply, with},
    known, measure, remarks, silent,
};
use crate::support::eventually;
use cas::model::exam::{Grade, Protocol::PhpFpm, Trouble};

/// Begins a script and does not wait for it (<https://fastcgi-archives.github.io/FastCGI_Specification.html>).
fn begin(port: u16, script: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut params = Vec::new();
    for (name, value) in [
        ("SCRIPT_FILENAME", script),
        ("SCRIPT_NAME", "/slow.php"),
        ("REQUEST_URI", "/slow.php?n=1"),
        ("REQUEST_METHOD", "GET"),
        ("QUERY_STRING", "n=1"),
    ] {
        params.extend([u8::try_from(name.len()).unwrap(), u8::try_from(value.len()).unwrap()]);
        params.extend(name.bytes().chain(value.bytes()));
    }
    for (kind, content) in [(1, vec![0, 1, 0, 0, 0, 0, 0, 0]), (4, params), (4, Vec::new()), (5, Vec::new())] {
        let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
        stream.write_all(&[&[1, kind, 0, 1, high, low, 0, 0], content.as_slice()].concat()).unwrap();
    }
    stream
}

#[test]
fn a_pool_tells_its_busy_processes() {
    let (dir, port) = (dir(), free_port());
    let path = dir.path().display().to_string();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(
        dir.path().join("slow.php"),
        "<?php while (!file_exists(__DIR__ . '/go')) { usleep(20000); clearstatcache(); } echo 'done';",
    )
    .unwrap();
    fs::write(
        dir.path().join("conf"),
        format!(
            "[global]\nerror_log = /proc/self/fd/2\ndaemonize = no\n\
             [shop]\nuser = nobody\nlisten = 127.0.0.1:{port}\npm = static\npm.max_children = 3\nping.path = /ping\npm.status_path = /status\n\
             [bare]\nuser = nobody\nlisten = {path}/bare.sock\npm = static\npm.max_children = 1\n"
        ),
    )
    .unwrap();
    let server = Server::start(dir, port, &program("php-fpm8.2", "php-fpm"), &["-F", "-n", "-R", "-y", "conf"]);
    let target = server.target();
    until_ready(&server, PhpFpm, &target);
    let reading = look(PhpFpm, &target).unwrap();
    assert_eq!(reading.server.as_deref(), Some("PHP 8.2.36"));
    assert_eq!((measure(&reading, "active").value, measure(&reading, "active").limit), (1.0, Some(3.0)), "{reading:?}");
    assert!(
        reading.measures.iter().all(|measure| measure.name != "longest-request"),
        "the question itself is no request"
    );
    assert_eq!((figure(&reading, "queue"), figure(&reading, "slow-requests")), (0.0, 0.0));

    let script = format!("{path}/slow.php");
    let running = [begin(port, &script), begin(port, &script)];
    eventually("two scripts run", || figure(&look(PhpFpm, &target).unwrap(), "active") == 3.0);
    let busy = look(PhpFpm, &target).unwrap();
    known("php-fpm", &busy);
    let longest = measure(&busy, "longest-request");
    assert!(longest.value > 0.0 && longest.about.as_deref().unwrap().ends_with(": GET /slow.php?n=1"), "{longest:?}");
    assert!(figure(&busy, "accepted") > figure(&reading, "accepted"));
    fs::write(server.dir.path().join("go"), "").unwrap();
    // A process is done with a request once whoever asked has gone.
    drop(running);
    eventually("they are done", || figure(&look(PhpFpm, &target).unwrap(), "active") == 1.0);
    let told = look(PhpFpm, &with(&target, "", &[("max-children", "7")])).unwrap();
    assert_eq!(measure(&told, "active").limit, Some(7.0));

    let bare = with(&target, "", &[("socket", &format!("{path}/bare.sock"))]);
    assert_eq!(ready(PhpFpm, &bare), Ok(()), "a pool without ping.path is there, too");
    let without = look(PhpFpm, &bare).unwrap();
    assert_eq!(
        remarks(&without, "status-page"),
        [("its pool tells no status at /status (404: File not found.)", Grade::Notice)]
    );
    let nowhere = ready(PhpFpm, &with(&target, "", &[("socket", "/no/such/socket")]));
    assert_eq!(nowhere, Err(Trouble::Unreachable("there is no socket /no/such/socket".to_owned())));
    server.signal("STOP");
    silent(PhpFpm, &target);
}

#[test]
fn what_speaks_http_is_no_php_fpm() {
    let fake = Fake::new(|_| Reply::new(200, "hello"));
    let answer = ready(PhpFpm, &fake.target());
    assert!(matches!(answer, Err(Trouble::Unreachable(_) | Trouble::Foreign(_))), "{answer:?}");
    let web = Fake::raw("127.0.0.1:0", |_, _| {});
    assert!(matches!(ready(PhpFpm, &web.target()), Err(Trouble::Unreachable(_))));
    assert!(matches!(ready(PhpFpm, &at(free_port())), Err(Trouble::Unreachable(_))));
}
