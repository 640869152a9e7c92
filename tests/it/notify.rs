//! Messages by every route, against servers on this machine: what the vendors document, and servers that fail.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use cas::{
    model::{
        alarm::{Level, NotSent, Notice, NoticeKind},
        event::Event,
        exam::Hidden,
        route::{Concealed, DesktopWay, Destination, Mail, MailSecurity, Route},
        service::CommandLine,
        time::Timestamp,
    },
    world::notify::{Notifier, deliver},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

/// What a server was asked.
#[derive(Debug, Clone)]
struct Asked {
    line: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Asked {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A server that answers each request with `answer`, in turn the last one again and again.
async fn server(answers: &[&str]) -> (String, mpsc::UnboundedReceiver<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, asked) = mpsc::unbounded_channel();
    let answers: Vec<String> = answers.iter().map(ToString::to_string).collect();
    tokio::spawn(async move {
        for turn in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = answers[turn.min(answers.len() - 1)].clone();
            let mut text = Vec::new();
            let mut piece = [0_u8; 4096];
            let (head, want) = loop {
                let count = stream.read(&mut piece).await.unwrap();
                assert!(count > 0, "closed before the head");
                text.extend_from_slice(&piece[..count]);
                if let Some(end) = text.windows(4).position(|window| window == b"\r\n\r\n") {
                    let head = String::from_utf8(text[..end].to_vec()).unwrap();
                    let length = head.lines().find_map(|line| {
                        line.to_ascii_lowercase().strip_prefix("content-length:").map(|n| n.trim().parse().unwrap())
                    });
                    break (head, end + 4 + length.unwrap_or(0));
                }
            };
            while text.len() < want {
                let count = stream.read(&mut piece).await.unwrap();
                text.extend_from_slice(&piece[..count]);
            }
            let body = String::from_utf8(text[head.len() + 4..].to_vec()).unwrap();
            let mut lines = head.lines();
            let line = lines.next().unwrap().to_owned();
            let headers = lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect();
            let _ = told.send(Asked { line, headers, body });
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (format!("http://{address}"), asked)
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

fn notice(kind: NoticeKind) -> Notice {
    let at = "2026-11-29T09:00:00Z".to_owned();
    Notice {
        kind,
        severity: Level::Critical,
        group: "shop/db".to_owned(),
        title: "CRITICAL: shop/db is down".to_owned(),
        text: "shop/db is down: exit code 1 <b>&\nfollows from it: shop/web".to_owned(),
        project: "shop".to_owned(),
        service: "db".to_owned(),
        rule: "down".to_owned(),
        since: at.clone(),
        at,
        symptoms: vec!["shop/web".to_owned()],
        host: String::new(),
    }
}

fn value(text: &str) -> Concealed {
    Concealed::Value(Hidden(text.to_owned()))
}

fn route(to: Destination) -> Route {
    Route { name: "ops".to_owned(), to, throttle: None }
}

async fn send(to: Destination, kind: NoticeKind) -> Result<String, NotSent> {
    let environment = std::env::vars().collect::<BTreeMap<_, _>>();
    deliver(&route(to), &notice(kind), &Arc::new(environment)).await
}

async fn posted(to: impl FnOnce(&str) -> Destination, kind: NoticeKind) -> Asked {
    let (url, mut asked) = server(&[OK]).await;
    send(to(&url), kind).await.unwrap();
    let asked = asked.recv().await.unwrap();
    assert_eq!(asked.headers["content-type"], "application/json");
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_is_told_as_an_incoming_webhook_wants_it() {
    let asked = posted(|url| Destination::Slack(value(&format!("{url}/services/T/B/x"))), NoticeKind::Firing).await;
    assert_eq!(asked.line, "POST /services/T/B/x HTTP/1.1");
    let body = asked.json();
    assert_eq!(body["text"], "CRITICAL: shop/db is down");
    assert_eq!(body["attachments"][0]["color"], "#D32F2F");
    assert!(body["attachments"][0]["text"].as_str().unwrap().contains("&lt;b&gt;&amp;"));
    let over = posted(|url| Destination::Slack(value(url)), NoticeKind::Resolved).await.json();
    assert_eq!(over["attachments"][0]["color"], "#2E7D32");
}

#[tokio::test(flavor = "multi_thread")]
async fn discord_is_told_by_an_embed_that_mentions_nobody() {
    let asked = posted(|url| Destination::Discord(value(&format!("{url}/api/webhooks/1/t"))), NoticeKind::Firing).await;
    assert_eq!(asked.line, "POST /api/webhooks/1/t HTTP/1.1");
    let body = asked.json();
    assert_eq!(body["allowed_mentions"], json!({ "parse": [] }));
    let embed = &body["embeds"][0];
    assert_eq!(
        (embed["title"].as_str(), embed["color"].as_u64()),
        (Some("CRITICAL: shop/db is down"), Some(0x00D3_2F2F))
    );
    assert_eq!(embed["timestamp"], "2026-11-29T09:00:00Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn teams_is_told_by_an_adaptive_card() {
    let body = posted(|url| Destination::Teams(value(url)), NoticeKind::Firing).await.json();
    assert_eq!(body["type"], "message");
    let card = &body["attachments"][0];
    assert_eq!(card["contentType"], "application/vnd.microsoft.card.adaptive");
    assert_eq!(card["content"]["type"], "AdaptiveCard");
    assert_eq!(card["content"]["body"][0]["color"], "Attention");
}

#[tokio::test(flavor = "multi_thread")]
async fn telegram_is_told_by_the_bot_and_only_what_is_critical_rings() {
    let to =
        |url: &str| Destination::Telegram { token: value("123:abc"), chat: "@ops".to_owned(), url: url.to_owned() };
    let asked = posted(to, NoticeKind::Firing).await;
    assert_eq!(asked.line, "POST /bot123:abc/sendMessage HTTP/1.1");
    let body = asked.json();
    assert_eq!((body["chat_id"].as_str(), body["disable_notification"].as_bool()), (Some("@ops"), Some(false)));
    assert!(body["text"].as_str().unwrap().starts_with("CRITICAL: shop/db is down\n"));
    assert_eq!(posted(to, NoticeKind::Resolved).await.json()["disable_notification"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn ntfy_is_told_at_its_root_with_the_topic_in_the_message() {
    let to = |url: &str| Destination::Ntfy { url: value(&format!("{url}/alerts")), token: Some(value("tk_1234")) };
    let asked = posted(to, NoticeKind::Firing).await;
    assert_eq!(asked.line, "POST / HTTP/1.1");
    assert_eq!(asked.headers["authorization"], "Bearer tk_1234");
    let body = asked.json();
    assert_eq!((body["topic"].as_str(), body["priority"].as_u64()), (Some("alerts"), Some(5)));
}

#[tokio::test(flavor = "multi_thread")]
async fn pagerduty_opens_and_resolves_by_the_same_key() {
    let to = |url: &str| Destination::PagerDuty { key: value("r0uting"), url: url.to_owned() };
    let asked = posted(to, NoticeKind::Firing).await;
    assert_eq!(asked.line, "POST /v2/enqueue HTTP/1.1");
    let body = asked.json();
    assert_eq!(body["routing_key"], "r0uting");
    assert_eq!((body["event_action"].as_str(), body["dedup_key"].as_str()), (Some("trigger"), Some("shop/db")));
    let payload = &body["payload"];
    assert_eq!((payload["severity"].as_str(), payload["component"].as_str()), (Some("critical"), Some("db")));
    assert!(!payload["source"].as_str().unwrap().is_empty() && !payload["summary"].as_str().unwrap().is_empty());
    let over = posted(to, NoticeKind::Resolved).await.json();
    assert_eq!((over["event_action"].as_str(), over["dedup_key"].as_str()), (Some("resolve"), Some("shop/db")));
    assert!(over.get("payload").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_leaves_no_incident_open_and_a_digest_opens_none() {
    let (url, mut asked) = server(&[OK]).await;
    let to = || Destination::PagerDuty { key: value("k3y-"), url: url.clone() };
    send(to(), NoticeKind::Test).await.unwrap();
    let actions = [asked.recv().await.unwrap().json(), asked.recv().await.unwrap().json()];
    assert_eq!(actions.each_ref().map(|body| body["event_action"].clone()), [json!("trigger"), json!("resolve")]);
    assert_eq!(actions[0]["payload"]["severity"], "info");
    assert!(send(to(), NoticeKind::Digest).await.unwrap().contains("nothing was sent"));
    assert!(asked.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn opsgenie_creates_and_closes_by_alias() {
    let to = |url: &str| Destination::Opsgenie { key: value("g3nie"), url: url.to_owned() };
    let asked = posted(to, NoticeKind::Firing).await;
    assert_eq!(
        (asked.line.as_str(), asked.headers["authorization"].as_str()),
        ("POST /v2/alerts HTTP/1.1", "GenieKey g3nie")
    );
    let body = asked.json();
    assert_eq!((body["alias"].as_str(), body["priority"].as_str()), (Some("shop/db"), Some("P1")));
    let over = posted(to, NoticeKind::Resolved).await;
    assert_eq!(over.line, "POST /v2/alerts/shop%2Fdb/close?identifierType=alias HTTP/1.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_the_message_as_json_or_what_its_template_makes_of_it() {
    let plain = |url: &str| Destination::Webhook {
        url: value(&format!("{url}/in")),
        method: "PUT".to_owned(),
        headers: BTreeMap::from([("X-Key".to_owned(), value("s3cret"))]),
        body: None,
    };
    let asked = posted(plain, NoticeKind::Firing).await;
    assert_eq!((asked.line.as_str(), asked.headers["x-key"].as_str()), ("PUT /in HTTP/1.1", "s3cret"));
    let read: Notice = serde_json::from_str(&asked.body).unwrap();
    assert_eq!((read.group.as_str(), read.kind), ("shop/db", NoticeKind::Firing));
    assert!(!read.host.is_empty());
    let made = |url: &str| Destination::Webhook {
        url: value(url),
        method: "POST".to_owned(),
        headers: BTreeMap::new(),
        body: Some("{\"what\": \"{{ service }}: {{ text }}\"}".to_owned()),
    };
    assert_eq!(
        posted(made, NoticeKind::Firing).await.json()["what"],
        format!("db: {}", notice(NoticeKind::Firing).text)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_is_told_without_its_url_and_says_whether_to_try_again() {
    let table = [
        ("HTTP/1.1 500 Oops\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy", "answered 500: busy", false, None),
        (
            "HTTP/1.1 429 Slow\r\nRetry-After: 17\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            "answered 429",
            false,
            Some(17),
        ),
        ("HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "answered 404", true, None),
        (
            "HTTP/1.1 302 There\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            "answered 302",
            true,
            None,
        ),
    ];
    for (answer, why, is_final, pause) in table {
        let (url, _asked) = server(&[answer]).await;
        let error =
            send(Destination::Slack(value(&format!("{url}/s3cret-path"))), NoticeKind::Firing).await.unwrap_err();
        let want = NotSent { why: why.to_owned(), retry_after: pause.map(Duration::from_secs), is_final };
        assert_eq!(error, want);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_repeats_the_key_is_told_without_it() {
    let answer = "HTTP/1.1 403 No\r\nContent-Length: 24\r\nConnection: close\r\n\r\nkey g3nie-key is unknown.";
    let (url, _asked) = server(&[answer]).await;
    let error = send(Destination::Opsgenie { key: value("g3nie-key"), url }, NoticeKind::Firing).await.unwrap_err();
    assert_eq!(error.why, "answered 403: key ‹redacted:ops› is unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_or_says_nothing_is_given_up_in_time() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = send(Destination::Slack(value(&format!("http://{free}/x"))), NoticeKind::Firing).await.unwrap_err();
    assert_eq!(refused, NotSent::for_now(format!("connection refused: nothing listens on {free}")));
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let begin = cas::world::clock::now();
    let late = send(Destination::Slack(value(&format!("http://{address}/x"))), NoticeKind::Firing).await.unwrap_err();
    assert_eq!(late, NotSent::for_now(format!("{address} did not answer within 10 s")));
    let took = cas::world::clock::now().since(begin);
    assert!(took < Duration::from_mins(1), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_read_from_its_file_each_time() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("hook");
    let (url, mut asked) = server(&[OK]).await;
    let to = || Destination::Slack(Concealed::File(file.clone()));
    let absent = send(to(), NoticeKind::Firing).await.unwrap_err();
    assert!(absent.why.contains("hook cannot be read: ") && !absent.is_final, "{absent:?}");
    std::fs::write(&file, format!("{url}/one\n")).unwrap();
    send(to(), NoticeKind::Firing).await.unwrap();
    std::fs::write(&file, format!("{url}/two\n")).unwrap();
    send(to(), NoticeKind::Firing).await.unwrap();
    let lines = [asked.recv().await.unwrap().line, asked.recv().await.unwrap().line];
    assert_eq!(lines, ["POST /one HTTP/1.1", "POST /two HTTP/1.1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_reads_the_message_and_has_it_in_its_environment() {
    let home = tempfile::tempdir().unwrap();
    let run = |line: &str| Destination::Command {
        line: CommandLine::Shell(line.to_owned()),
        directory: home.path().to_owned(),
    };
    send(run("cat > in; echo \"$CAS_ALERT_SEVERITY $CAS_ALERT_GROUP\" > env"), NoticeKind::Firing).await.unwrap();
    let read: Notice = serde_json::from_str(&std::fs::read_to_string(home.path().join("in")).unwrap()).unwrap();
    assert_eq!(read.title, "CRITICAL: shop/db is down");
    assert_eq!(std::fs::read_to_string(home.path().join("env")).unwrap(), "critical shop/db\n");
    let failed = send(run("echo 'no such number' >&2; exit 3"), NoticeKind::Firing).await.unwrap_err();
    assert_eq!(failed.why, "ended with code 3: no such number");
    // What it left in its group is gone when it is answered.
    send(run("sleep 300 & echo $! > pid"), NoticeKind::Firing).await.unwrap();
    let pid = std::fs::read_to_string(home.path().join("pid")).unwrap();
    let stat = PathBuf::from("/proc").join(pid.trim()).join("stat");
    let gone = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
    crate::support::eventually_async("it is gone", || std::future::ready(gone())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notify_send_is_used_where_it_and_a_session_are() {
    let home = tempfile::tempdir().unwrap();
    let program = home.path().join("notify-send");
    std::fs::write(&program, format!("#!/bin/sh\necho \"$@\" > {}/said\n", home.path().display())).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut environment = BTreeMap::from([("PATH".to_owned(), format!("{}:/bin:/usr/bin", home.path().display()))]);
    let way = |way| route(Destination::Desktop(way));
    let nobody = Arc::new(environment.clone());
    let error = deliver(&way(DesktopWay::NotifySend), &notice(NoticeKind::Firing), &nobody).await.unwrap_err();
    assert_eq!((error.why.as_str(), error.is_final), ("there is no desktop session here (no session bus)", true));
    assert!(deliver(&way(DesktopWay::Auto), &notice(NoticeKind::Firing), &nobody).await.is_ok());
    assert!(!home.path().join("said").exists());
    environment.insert("DBUS_SESSION_BUS_ADDRESS".to_owned(), "unix:path=/nowhere".to_owned());
    deliver(&way(DesktopWay::Auto), &notice(NoticeKind::Firing), &Arc::new(environment)).await.unwrap();
    let said = std::fs::read_to_string(home.path().join("said")).unwrap();
    assert!(said.starts_with("--app-name=cas --urgency=critical -- CRITICAL: shop/db is down"), "{said}");
    assert!(said.contains("&lt;b&gt;&amp;"), "{said}");
}

/// A real mail server on a free port, ended with the test; what it took.
struct MailServer {
    child: Child,
    port: u16,
    taken: Arc<Mutex<String>>,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn mail_server() -> MailServer {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut child = Command::new("/usr/bin/python3")
        .args(["-u", "-m", "aiosmtpd", "-n", "-l", &format!("127.0.0.1:{port}")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let taken = Arc::new(Mutex::new(String::new()));
    let (mut out, kept) = (child.stdout.take().unwrap(), Arc::clone(&taken));
    std::thread::spawn(move || {
        let mut piece = [0_u8; 1024];
        while let Ok(count @ 1..) = out.read(&mut piece) {
            kept.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..count]));
        }
    });
    crate::support::eventually_async("python3-aiosmtpd listens (is it installed?)", || async move {
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()
    })
    .await;
    MailServer { child, port, taken }
}

fn mail(port: u16, security: MailSecurity) -> Destination {
    Destination::Email(Mail {
        host: "127.0.0.1".to_owned(),
        port,
        security,
        login: None,
        from: "cas <cas@example.org>".to_owned(),
        to: vec!["ops@example.org".to_owned(), "you@example.org".to_owned()],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_takes_the_message() {
    let server = mail_server().await;
    let taken = send(mail(server.port, MailSecurity::None), NoticeKind::Firing).await.unwrap();
    assert_eq!(taken, format!("127.0.0.1:{} has taken it with code 250", server.port));
    let is_taken = || server.taken.lock().unwrap().contains("END MESSAGE");
    crate::support::eventually_async("the mail is there", || std::future::ready(is_taken())).await;
    let text = server.taken.lock().unwrap().clone();
    for part in
        ["Subject: CRITICAL: shop/db is down", "ops@example.org", "you@example.org", "exit code 1", "incident: shop/db"]
    {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_without_starttls_gets_nothing_in_the_clear() {
    let server = mail_server().await;
    let error = send(mail(server.port, MailSecurity::StartTls), NoticeKind::Firing).await.unwrap_err();
    assert!(error.why.starts_with(&format!("127.0.0.1:{}: ", server.port)), "{error:?}");
    assert!(server.taken.lock().unwrap().is_empty());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refused = send(mail(free, MailSecurity::None), NoticeKind::Firing).await.unwrap_err();
    assert!(refused.why.contains("refused") && !refused.is_final, "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_hangs_holds_up_no_other() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, _asked) = server(&[OK]).await;
    let (events, mut inbox) = mpsc::channel(8);
    let notifier = Notifier::start(events, BTreeMap::new());
    let hanging = format!("http://{}/x", silent.local_addr().unwrap());
    let named = |name: &str, url: &str| {
        Arc::new(Route { name: name.to_owned(), to: Destination::Slack(value(url)), throttle: None })
    };
    let notice = Arc::new(Notice::test("ops", "shop", Timestamp::default()));
    notifier.send(1, named("hangs", &hanging), notice.clone());
    notifier.send(2, named("well", &url), notice);
    let first = inbox.recv().await.unwrap();
    let Event::Notified { ticket: 2, outcome: Ok(()) } = first else { panic!("{first:?}") };
    let second = inbox.recv().await.unwrap();
    let Event::Notified { ticket: 1, outcome: Err(_) } = second else { panic!("{second:?}") };
}
