//! Requests over the socket: the same door as for everybody else.

use std::os::unix::fs::PermissionsExt;

use cas::api::wire::{OLDEST, VERSION};
use serde_json::json;

use super::stage::{Stage, curl};
use crate::support::eventually_async;

const TWO: &str = "  web: {command: [sleep, '1000']}\n  worker: {command: [sleep, '1001']}\n";

async fn eventually_is(stage: &Stage, service: usize, phase: &str) {
    eventually_async(phase, || async { stage.picture().await["services"][service]["phase"]["name"] == phase }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_who_it_is_and_shows_its_picture() {
    let stage = Stage::with(TWO);
    let hello = stage.get("/v1").await;
    assert_eq!(hello.status, 200);
    assert_eq!(
        hello.json(),
        json!({"api": VERSION, "oldest": OLDEST, "version": env!("CARGO_PKG_VERSION"), "pid": std::process::id()})
    );
    let names: Vec<_> = stage.picture().await["services"].as_array().unwrap().iter().map(|s| s["id"].clone()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(stage.get("/v2").await.status, 404);
    assert_eq!(stage.get("/v1/requests").await.status, 405);
    stage.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_accepted_planned_unchanged_or_refused() {
    let stage = Stage::with(TWO);
    let start = json!({"command": "start", "services": ["web"]});
    let mut dry = start.clone();
    dry["consent"] = json!("dry-run");
    let planned = stage.ask(&dry).await.json();
    assert_eq!(planned["reply"], "planned", "{planned}");
    assert!(planned["plan"]["title"].as_str().unwrap().contains("web"), "{planned}");
    assert_eq!(stage.picture().await["services"][0]["phase"]["name"], "stopped", "a dry run changes nothing");

    assert_eq!(stage.ask(&start).await.json()["reply"], "accepted");
    eventually_is(&stage, 0, "running").await;
    assert_eq!(stage.ask(&start).await.json()["reply"], "unchanged");
    let refused = stage.ask(&json!({"command": "stop", "services": ["wep"]})).await.json();
    assert_eq!(refused["reply"], "refused");
    assert!(refused["hint"].as_str().unwrap().contains("web"), "{refused}");
    stage.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_that_is_not_understood_is_refused_and_not_passed_over() {
    let stage = Stage::with(TWO);
    for (strange, ask) in [
        ("consnt", json!({"command": "start", "services": ["web"], "consnt": "dry-run"})),
        ("dry_run", json!({"command": "start", "services": ["web"], "dry_run": true})),
        ("service", json!({"command": "start", "service": ["web"], "all": true})),
        ("grace", json!({"command": "start", "services": ["web"], "grace": "3s"})),
    ] {
        let refused = stage.ask(&ask).await;
        assert_eq!(refused.status, 400, "{ask}: {refused:?}");
        assert!(refused.sentence().contains(&format!("\"{strange}\"")), "{ask}: {refused:?}");
    }
    for path in ["/v1/logs?tial=5", "/v1/entries?sinc=5m", "/v1/metrics?form=prometheus"] {
        let refused = stage.get(path).await;
        assert_eq!(refused.status, 400, "{path}: {refused:?}");
    }
    let refused = curl(&stage.socket, "POST", "/v1/leave?departur=leave-running", &[], b"").await;
    assert_eq!(refused.status, 400, "{refused:?}");
    let nothing_said = json!({"command": "start", "services": ["web"], "all": false, "environment": null});
    assert_eq!(stage.ask(&nothing_said).await.json()["reply"], "accepted", "and nobody has left");
    stage.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_must_be_agreed_to_and_a_program_is_taken_at_its_word() {
    let stage = Stage::with(TWO);
    stage.ask(&json!({"command": "start", "services": [], "all": true})).await;
    eventually_is(&stage, 0, "running").await;
    eventually_is(&stage, 1, "running").await;

    let stop = json!({"command": "stop", "services": ["web"], "origin": "key"});
    let asked = stage.ask(&stop).await.json();
    assert_eq!(asked["reply"], "needs-consent", "{asked}");
    assert_eq!(stage.picture().await["services"][0]["phase"]["name"], "running");
    let mut agreed = stop.clone();
    agreed["consent"] = json!({"given": asked["plan"]["fingerprint"].as_u64().unwrap() ^ 1});
    assert_eq!(stage.ask(&agreed).await.json()["reply"], "needs-consent", "agreed to another plan");
    agreed["consent"] = json!({"given": asked["plan"]["fingerprint"]});
    assert_eq!(stage.ask(&agreed).await.json()["reply"], "accepted");
    eventually_is(&stage, 0, "stopped").await;

    assert_eq!(stage.ask(&json!({"command": "stop", "services": ["worker"]})).await.json()["reply"], "accepted");
    eventually_is(&stage, 1, "stopped").await;
    stage.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_pose_as_the_healer_or_as_cas() {
    let stage = Stage::with(TWO);
    for (index, origin) in ["healer", "system", "config"].into_iter().enumerate() {
        let verb = if index % 2 == 0 { "start" } else { "stop" };
        let said = stage.ask(&json!({"command": verb, "services": ["web"], "origin": origin})).await;
        assert_eq!(said.json()["reply"], "accepted", "{said:?}");
        eventually_is(&stage, 0, if index % 2 == 0 { "running" } else { "stopped" }).await;
    }
    let picture = stage.picture().await;
    let entries = picture["timeline"].as_array().unwrap();
    let asked: Vec<_> = entries.iter().filter(|entry| entry["what"]["what"] == "requested").collect();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|entry| entry["who"] == "api"), "{asked:?}");
    stage.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_refused_with_a_sentence_and_changes_nothing() {
    let stage = Stage::with(TWO);
    let bodies: [&[u8]; 8] = [
        b"",
        b"garbage",
        b"\xff\xfe\x00",
        b"[]",
        b"{\"command\": \"explode\"}",
        b"{\"command\": \"stop\", \"services\": 7}",
        b"{\"command\": \"start\", \"services\": [\"web\"], \"origin\": \"root\"}",
        b"{\"command\": \"start\", \"services\": [\"web\"], \"consent\": \"maybe\"}",
    ];
    for body in bodies {
        let said = curl(&stage.socket, "POST", "/v1/requests", &[], body).await;
        assert_eq!(said.status, 400, "{said:?}");
        assert!(said.sentence().starts_with("the body is not a request: "), "{said:?}");
    }
    let large = format!("{{\"command\": \"start\", \"services\": [\"{}\"]}}", "w".repeat(1024 * 1024));
    assert_eq!(curl(&stage.socket, "POST", "/v1/requests", &[], large.as_bytes()).await.status, 413);
    let said = stage.get("/v1/logs?service=web").await;
    assert_eq!((said.status, said.sentence().contains("project/name")), (400, true), "{said:?}");
    assert_eq!(stage.picture().await["services"][0]["phase"]["name"], "stopped");
    stage.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_its_owners_alone() {
    let stage = Stage::with(TWO);
    let mode = std::fs::metadata(&stage.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    if !rustix::process::geteuid().is_root() {
        // Only root can become another user; the mode above is what protects until then.
        stage.leave().await;
        return;
    }
    for directory in stage.socket.ancestors().skip(1).take_while(|dir| dir.starts_with(stage.home.path())) {
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    std::fs::set_permissions(&stage.socket, std::fs::Permissions::from_mode(0o666)).unwrap();
    // perl, because every Debian has it where another user can run it.
    let script = "use Socket; $| = 1; socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die;
        connect($s, sockaddr_un($ARGV[0])) or die \"refused before: $!\";
        $SIG{PIPE} = 'IGNORE'; syswrite($s, \"GET /v1 HTTP/1.0\\r\\n\\r\\n\");
        my $said = ''; sysread($s, $said, 100); print $said, 'connected';";
    let ask = |uid: &'static str| {
        let mut command = tokio::process::Command::new("setpriv");
        command.args(["--reuid", uid, "--clear-groups", "perl", "-e", script]).arg(&stage.socket);
        command
    };
    let stranger = ask("65534").output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&stranger.stdout), "connected", "{stranger:?}");
    let owner = ask("0").output().await.unwrap();
    assert!(owner.stdout.starts_with(b"HTTP/1.0 200 OK"), "{owner:?}");
    stage.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leave_is_answered_when_nothing_is_left() {
    let stage = Stage::with("  web: {command: [sleep, '1000'], autostart: true}\n");
    eventually_is(&stage, 0, "running").await;
    let pid = stage.picture().await["services"][0]["pid"].as_i64().unwrap();
    let said = curl(&stage.socket, "POST", "/v1/leave", &[], b"").await;
    assert_eq!(said.status, 204);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    stage.leave().await;
}
