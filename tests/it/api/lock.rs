//! One engine per project: the lock decides, a socket file says nothing.

use std::os::unix::{fs::symlink, net::UnixListener};

use cas::api::lock::{Attempt, Lock};

use super::stage::{curl, showing, take};
use cas::{
    api::server::{self, ServeOptions},
    model::snapshot::Snapshot,
};

#[test]
fn a_second_engine_is_told_who_holds_the_lock() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("one.sock");
    let first = take(&socket);
    match Lock::take(&socket).unwrap() {
        Attempt::Held { pid, socket: serving } => {
            assert_eq!((pid, serving), (Some(std::process::id()), Some(socket.clone())));
        }
        Attempt::Taken(_) => panic!("two engines for one project"),
    }
    drop(first);
    take(&socket);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_socket_is_replaced_and_a_socket_in_use_is_not() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("one.sock");
    drop(UnixListener::bind(&socket).unwrap());
    assert!(socket.exists(), "what an engine leaves behind that was killed");
    let (handle, _pictures) = showing(Snapshot::default());
    let server = server::serve(take(&socket), handle, ServeOptions::default()).unwrap();
    assert_eq!(curl(&socket, "GET", "/v1", &[], b"").await.status, 200);
    assert!(matches!(Lock::take(&socket).unwrap(), Attempt::Held { .. }));
    assert_eq!(curl(&socket, "GET", "/v1", &[], b"").await.status, 200, "the attempt took nothing away");
    drop(server);
    assert!(!socket.exists());
}

#[test]
fn a_symbolic_link_in_the_place_of_the_lock_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let victim = home.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    symlink(&victim, home.path().join("one.lock")).unwrap();
    Lock::take(&home.path().join("one.sock")).unwrap_err();
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
}
