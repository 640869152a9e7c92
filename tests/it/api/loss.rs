//! A client that loses its engine: a state, not an error.

use cas::{
    api::{
        self,
        client::ConnectError,
        server::{self, ServeOptions},
    },
    host::handle::Link,
    model::snapshot::Snapshot,
    world::clock,
};

use super::{
    logs::provide,
    stage::{showing, take},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_engine_is_retried_and_a_new_one_on_the_same_socket_is_found() {
    provide();
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("one.sock");
    let (handle, pictures) = showing(Snapshot { revision: 7, ..Snapshot::default() });
    let server = server::serve(take(&socket), handle, ServeOptions::default()).unwrap();

    let mut client = api::connect(&socket, clock::now).await.unwrap();
    assert_eq!(client.snapshot().revision, 7);
    assert_eq!(*client.link.borrow(), Link::Connected);
    pictures.send_modify(|picture| *picture = Snapshot { revision: 8, ..Snapshot::default() }.into());
    client.snapshots.wait_for(|picture| picture.revision == 8).await.unwrap();

    drop((server, pictures));
    let retrying = *client.link.wait_for(|link| matches!(link, Link::Retrying { .. })).await.unwrap();
    let Link::Retrying { since, next } = retrying else { panic!("{retrying:?}") };
    assert!(next.since(since).as_secs_f64() > 0.1, "it says when it tries again");
    assert_eq!(client.snapshot().revision, 8, "the last picture stays");

    let (handle, _pictures) = showing(Snapshot { revision: 1, ..Snapshot::default() });
    let _server = server::serve(take(&socket), handle, ServeOptions::default()).unwrap();
    client.link.wait_for(|link| *link == Link::Connected).await.unwrap();
    client.snapshots.wait_for(|picture| picture.revision == 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_on_the_socket_is_absence_and_somebody_else_is_a_sentence() {
    provide();
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("one.sock");
    assert!(matches!(api::connect(&socket, clock::now).await, Err(ConnectError::Absent(_))));
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let stranger = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 smtp.example ESMTP\r\n").await.unwrap();
        }
    });
    let error = api::connect(&socket, clock::now).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unusable { .. }), "{error:?}");
    assert!(error.to_string().contains("does not answer as expected"), "{error}");
    stranger.abort();
    let _aborted = stranger.await;
    assert!(matches!(api::connect(&socket, clock::now).await, Err(ConnectError::Absent(_))), "a stale socket");
}
