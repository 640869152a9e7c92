//! The socket that only shows: enforced behind the door, whatever is asked.

use std::os::unix::fs::PermissionsExt;

use cas::{
    api::{
        self,
        server::{self, ServeOptions, read_only_path},
    },
    model::{
        command::{Command, ServiceRef, Targets},
        ids::RequestId,
        policy::{Consent, Origin, Reply, Request},
        query::{Answer, Query},
        snapshot::Snapshot,
    },
    world::clock,
};

use super::stage::{Stage, curl, showing, take};
use crate::support::eventually_async;

#[tokio::test(flavor = "multi_thread")]
async fn it_shows_everything_and_does_nothing() {
    let stage = Stage::with("  web: {command: [sleep, '1000'], autostart: true}\n");
    eventually_async("it runs", || async { stage.picture().await["services"][0]["phase"]["name"] == "running" }).await;
    let socket = read_only_path(&stage.socket);
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    for path in
        ["/v1", "/v1/snapshot", "/v1/services", "/v1/services/shop/web", "/v1/entries", "/v1/logs", "/v1/metrics"]
    {
        assert_eq!(curl(&socket, "GET", path, &[], b"").await.status, 200, "{path}");
    }
    let stop = br#"{"command":"stop","services":["web"]}"#;
    let refused = [
        curl(&socket, "POST", "/v1/requests", &[], stop).await,
        curl(&socket, "POST", "/v1/leave", &[], b"").await,
        curl(&socket, "POST", "/v1/leave?departure=leave-running", &[], b"").await,
        curl(&socket, "GET", "/v1/services/shop/web/shell", &[], b"").await,
        curl(&socket, "GET", "/v1/services/shop/web/tty", &[], b"").await,
    ];
    for said in refused {
        assert_eq!(said.status, 403, "{said:?}");
        assert!(said.sentence().contains("only shows"), "{said:?}");
    }
    assert_eq!(stage.picture().await["services"][0]["phase"]["name"], "running");
    stage.leave().await;
    assert!(!socket.exists() || curl_fails(&socket), "it went with the engine");
}

fn curl_fails(socket: &std::path::Path) -> bool {
    std::os::unix::net::UnixStream::connect(socket).is_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_on_it_sees_and_is_refused_in_a_sentence() {
    let stage = Stage::with("  web: {command: [sleep, '1000']}\n");
    let handle = api::connect(&read_only_path(&stage.socket), clock::now).await.unwrap();
    assert_eq!(handle.snapshot().services.len(), 1);
    let targets = Targets { services: vec![ServiceRef("web".to_owned())], all: false };
    let command = Command::Start { targets };
    let request =
        Request { id: RequestId(0), origin: Origin::Key, command, consent: Consent::Ask, if_rev: None, asker: None };
    match handle.request(request).await.unwrap() {
        Reply::Refused { reason, hint } => {
            assert!(reason.starts_with("this socket only shows"), "the engine's own sentence: {reason}");
            assert_eq!(hint, None, "trying again would change nothing");
        }
        other @ (Reply::Accepted { .. }
        | Reply::Unchanged { .. }
        | Reply::Planned { .. }
        | Reply::NeedsConsent { .. }) => panic!("{other:?}"),
    }
    let service = handle.snapshot().services[0].id.clone();
    match handle.query(Query::ShellContext { service }).await.unwrap() {
        Answer::Unavailable(why) => assert!(why.contains("only shows"), "{why}"),
        other @ (Answer::Logs(_)
        | Answer::Entries(_)
        | Answer::ShellContext { .. }
        | Answer::Disk(_)
        | Answer::LogFiles(_)) => {
            panic!("{other:?}")
        }
    }
    // Waits for nothing: an engine that is not to end goes on.
    handle.leave().await;
    assert_eq!(stage.picture().await["services"][0]["phase"]["name"], "stopped");
    assert_eq!(stage.get("/v1").await.status, 200);
    stage.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_was_named_may_look_and_nothing_else() {
    if !rustix::process::geteuid().is_root() {
        // Only root can give a file to any group and become any user.
        return;
    }
    let outer = tempfile::tempdir().unwrap();
    std::fs::set_permissions(outer.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let home = outer.path().join("run");
    std::fs::create_dir(&home).unwrap();
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).unwrap();
    let socket = home.join("one.sock");
    let (handle, _pictures) = showing(Snapshot::default());
    let options = ServeOptions { group: Some(4321), ..ServeOptions::default() };
    let _server = server::serve(take(&socket), handle, options).unwrap();
    let looking = read_only_path(&socket);
    assert_eq!(std::fs::metadata(&looking).unwrap().permissions().mode() & 0o777, 0o660);
    assert_eq!(std::fs::metadata(&home).unwrap().permissions().mode() & 0o777, 0o710);
    let script = "use Socket; socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die; connect($s, sockaddr_un($ARGV[0])) or do { print 'denied'; exit };
        syswrite($s, \"GET /v1 HTTP/1.0\\r\\n\\r\\n\"); my $said = ''; sysread($s, $said, 15); print $said;";
    let ask = async |who: &[&str], socket: &std::path::Path| {
        let mut command = tokio::process::Command::new("setpriv");
        command.args(["--reuid", "65534"]).args(who).args(["perl", "-e", script]).arg(socket);
        String::from_utf8_lossy(&command.output().await.unwrap().stdout).into_owned()
    };
    assert_eq!(ask(&["--regid", "4321", "--clear-groups"], &looking).await, "HTTP/1.0 200 OK");
    assert_eq!(ask(&["--regid", "65534", "--groups", "4321"], &looking).await, "HTTP/1.0 200 OK");
    assert_eq!(ask(&["--regid", "4321", "--clear-groups"], &socket).await, "denied", "the owner's own socket");
    assert_eq!(ask(&["--regid", "65534", "--clear-groups"], &looking).await, "denied", "a stranger");
}

#[test]
fn a_group_is_a_name_or_a_number() {
    assert_eq!(server::group_number("root"), Ok(0));
    assert_eq!(server::group_number("4321"), Ok(4321));
    assert!(server::group_number("no such group").unwrap_err().contains("no such group"));
}
