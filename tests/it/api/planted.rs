//! What was planted in the place of a lock, a socket or their directory: refused by name, never followed, never written to.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    },
    path::Path,
};

use cas::{
    api::{
        self,
        client::ConnectError,
        lock::{Attempt, Lock},
        server::{self, ServeOptions},
    },
    model::snapshot::Snapshot,
    world::clock,
};

use super::stage::{curl, showing, take};

fn refusal(socket: &Path) -> String {
    match Lock::take(socket) {
        Err(error) => error.to_string(),
        Ok(attempt) => panic!("taken: {attempt:?}"),
    }
}

#[test]
fn what_is_no_file_of_ours_in_the_place_of_the_lock_is_refused_by_name() {
    let home = tempfile::tempdir().unwrap();
    let lock = home.path().join("one.lock");
    let socket = home.path().join("one.sock");
    let victim = home.path().join("victim");
    fs::write(&victim, "precious").unwrap();

    symlink(&victim, &lock).unwrap();
    let said = refusal(&socket);
    assert!(said.contains("symbolic link") && said.contains(&lock.display().to_string()), "{said}");
    fs::remove_file(&lock).unwrap();

    fs::hard_link(&victim, &lock).unwrap();
    assert!(refusal(&socket).contains("another name"), "{}", refusal(&socket));
    fs::remove_file(&lock).unwrap();

    fs::create_dir(&lock).unwrap();
    assert!(refusal(&socket).contains(&lock.display().to_string()));
    fs::remove_dir(&lock).unwrap();

    rustix::fs::mknodat(rustix::fs::CWD, &lock, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    assert!(refusal(&socket).contains("not a file"), "and it does not hang on a FIFO");
    fs::remove_file(&lock).unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    drop(take(&socket));
}

#[test]
fn what_was_planted_in_the_place_of_the_socket_is_refused_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("one.sock");
    let victim = home.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, &socket).unwrap();
    let said = refusal(&socket);
    assert!(said.contains("symbolic link") && said.contains(&socket.display().to_string()), "{said}");
    assert!(socket.is_symlink(), "left as it was");
    fs::remove_file(&socket).unwrap();
    fs::create_dir(&socket).unwrap();
    assert!(refusal(&socket).contains("not a socket"));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[test]
fn a_directory_of_others_and_a_link_to_one_are_refused_by_name() {
    let home = tempfile::tempdir().unwrap();
    let open = home.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let said = refusal(&open.join("one.sock"));
    assert!(said.contains("others can write") && said.contains(&open.display().to_string()), "{said}");
    let link = home.path().join("link");
    symlink(home.path(), &link).unwrap();
    let said = refusal(&link.join("one.sock"));
    assert!(said.contains(&link.display().to_string()), "{said}");
    if rustix::process::geteuid().is_root() {
        // Only root can make a directory that belongs to somebody else.
        let foreign = home.path().join("foreign");
        fs::create_dir(&foreign).unwrap();
        std::os::unix::fs::chown(&foreign, Some(65534), Some(65534)).unwrap();
        let said = refusal(&foreign.join("one.sock"));
        assert!(said.contains("another user (uid 65534)"), "{said}");
    }
}

#[test]
fn garbage_in_lock_and_socket_files_holds_nobody_up() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("one.sock");
    let mut random = fastrand::Rng::with_seed(46);
    for round in 0..200 {
        let garbage: Vec<u8> = (0..random.usize(0..6000)).map(|_| random.u8(..)).collect();
        fs::write(socket.with_extension("lock"), &garbage).unwrap();
        if round % 2 == 0 {
            fs::write(&socket, &garbage).unwrap();
        }
        let lock = take(&socket);
        assert!(!socket.exists(), "round {round}");
        // Held, and what stands in it is not what was written: a power cut, or somebody's editor.
        fs::write(socket.with_extension("lock"), &garbage).unwrap();
        match Lock::take(&socket).unwrap() {
            Attempt::Held { socket: Some(path), .. } => assert!(path.is_absolute()),
            Attempt::Held { socket: None, .. } => {}
            Attempt::Taken(_) => panic!("two at once in round {round}"),
        }
        drop(lock);
    }
    fs::write(socket.with_extension("lock"), "1\n").unwrap();
    drop(take(&socket));
}

#[test]
fn a_lock_says_where_its_holder_listens_and_leaves_that_socket_alone() {
    let home = tempfile::tempdir().unwrap();
    let daemon = home.path().join("daemon.sock");
    let _listening = UnixListener::bind(&daemon).unwrap();
    let project = home.path().join("0123.lock");
    let Attempt::Taken(lock) = Lock::take_for(&project, &daemon).unwrap() else { panic!("it is free") };
    assert!(daemon.exists(), "protected by another lock");
    match Lock::take_for(&project, &home.path().join("0123.sock")).unwrap() {
        Attempt::Held { pid, socket } => {
            assert_eq!((pid, socket), (Some(std::process::id()), Some(daemon.clone())));
        }
        Attempt::Taken(_) => panic!("two engines for one project"),
    }
    drop(lock);
    assert!(daemon.exists());
}

#[test]
fn of_a_hundred_that_race_for_a_lock_exactly_one_has_it() {
    let home = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let socket = home.path().join(format!("{round}.sock"));
        // What a power cut left.
        drop(UnixListener::bind(&socket).unwrap());
        fs::write(socket.with_extension("lock"), "4194304\n/nowhere\n").unwrap();
        let start = std::sync::Barrier::new(100);
        let attempts: Vec<Attempt> = std::thread::scope(|scope| {
            let racing: Vec<_> = (0..100)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        Lock::take(&socket).unwrap()
                    })
                })
                .collect();
            racing.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        let taken = attempts.iter().filter(|attempt| matches!(attempt, Attempt::Taken(_))).count();
        assert_eq!(taken, 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_says_nothing_to_a_link_or_to_another_user() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("one.sock");
    let (handle, _pictures) = showing(Snapshot::default());
    let _server = server::serve(take(&socket), handle, ServeOptions::default()).unwrap();
    let link = home.path().join("link.sock");
    symlink(&socket, &link).unwrap();
    let said = api::connect(&link, clock::now).await.unwrap_err();
    assert!(matches!(said, ConnectError::Unusable { .. }) && said.to_string().contains("symbolic link"), "{said}");
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // Only root can make a server of another user; perl, because every Debian has it.
    let foreign = home.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::set_permissions(&foreign, fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = foreign.join("one.sock");
    let script = "use Socket; socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die; bind($s, sockaddr_un($ARGV[0])) or die;
        listen($s, 8); $| = 1; print \"listening\\n\"; accept(my $c, $s) or die; my $said = ''; sysread($c, $said, 100); print 'heard ', length($said);";
    let mut command = tokio::process::Command::new("setpriv");
    command.args(["--reuid", "65534", "--clear-groups", "perl", "-e", script]).arg(&path);
    let server = command.stdout(std::process::Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    crate::support::eventually("it listens", || path.exists());
    let said = loop {
        match api::connect(&path, clock::now).await.unwrap_err() {
            // Bound, and not yet listening.
            ConnectError::Absent(_) => tokio::task::yield_now().await,
            error @ (ConnectError::Unusable { .. } | ConnectError::Refused(_)) => break error.to_string(),
        }
    };
    assert!(said.contains("another user (uid 65534)") && said.contains("nothing was sent"), "{said}");
    let output = server.wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "listening\nheard 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_in_paths_are_names_or_go_no_further() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("one.sock");
    let (handle, _pictures) = showing(Snapshot::default());
    let _server = server::serve(take(&socket), handle, ServeOptions::default()).unwrap();
    let long = "a".repeat(255);
    for name in ["..%2f..%2fx", "%2e%2e", "%00", "%F0%9F%92%A3", "-x", "a%20b", "%ff", &long] {
        for tail in ["", "/shell", "/tty"] {
            let said = curl(&socket, "GET", &format!("/v1/services/shop/{name}{tail}"), &[], b"").await;
            assert_eq!(said.status, 400, "{name}{tail}: {said:?}");
            assert!(!said.sentence().is_empty());
        }
        let said = curl(&socket, "GET", &format!("/v1/logs?service=shop/{name}"), &[], b"").await;
        assert_eq!(said.status, 400, "{name}: {said:?}");
    }
    let said = curl(&socket, "GET", "/v1/services/../../etc/passwd", &[], b"").await;
    assert_eq!(said.status, 404, "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_ends_before_it_takes_a_connection_is_not_there() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("one.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let path = socket.clone();
    let asking = tokio::spawn(async move { api::connect(&path, clock::now).await });
    let mut waiting = [rustix::event::PollFd::new(&listener, rustix::event::PollFlags::IN)];
    while rustix::event::poll(&mut waiting, None) != Ok(1) {}
    drop(listener);
    let said = asking.await.unwrap().unwrap_err();
    assert!(matches!(said, ConnectError::Absent(_)), "{said}");
}
