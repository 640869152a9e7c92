//! `MongoDB` cannot be had here: one that speaks its wire protocol (<https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/>, `OP_MSG` with
//! one section of kind 0, BSON of <https://bsonspec.org/spec.html>) and logs people in by SCRAM-SHA-256 as the server of RFC 5802 and RFC 7677 does.
//! Answers have the fields that the pages of `hello`, `serverStatus` and `replSetGetStatus` tell.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    num::NonZeroU32,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ring::{digest, hmac, pbkdf2};

use super::{Shared, about, assert_remark, assert_strangers_are_known, limit, looked, with};
use crate::kinds::rig::{self, figure};
use cas::model::exam::{Grade, Protocol, Target, Trouble};

const KIND: Protocol = Protocol::Mongo;
const PASSWORD: &str = "right-horse";
const SALT: &[u8] = b"salt of the server";

/// A value of BSON, as the fake says it.
enum Bson {
    Double(f64),
    Text(&'static str),
    Words(String),
    Document(Vec<(&'static str, Bson)>),
    List(Vec<Bson>),
    Truth(bool),
    Date(i64),
    Int(i32),
    Long(i64),
    Binary(Vec<u8>),
}

fn element(kind: u8, key: &str, value: &[u8]) -> Vec<u8> {
    [&[kind], key.as_bytes(), &[0], value].concat()
}

fn size(count: usize) -> [u8; 4] {
    i32::try_from(count).unwrap().to_le_bytes()
}

fn text(text: &str) -> Vec<u8> {
    [&size(text.len() + 1)[..], text.as_bytes(), &[0]].concat()
}

fn document(items: &[(&str, &Bson)]) -> Vec<u8> {
    let body: Vec<u8> = items
        .iter()
        .flat_map(|(key, value)| match value {
            Bson::Double(number) => element(1, key, &number.to_le_bytes()),
            Bson::Text(words) => element(2, key, &text(words)),
            Bson::Words(words) => element(2, key, &text(words)),
            Bson::Document(items) => element(3, key, &named(items)),
            Bson::List(items) => {
                let keys: Vec<String> = (0..items.len()).map(|number| number.to_string()).collect();
                element(4, key, &document(&keys.iter().map(String::as_str).zip(items).collect::<Vec<_>>()))
            }
            Bson::Binary(bytes) => element(5, key, &[&size(bytes.len())[..], &[0], bytes].concat()),
            Bson::Truth(truth) => element(8, key, &[u8::from(*truth)]),
            Bson::Date(millis) => element(9, key, &millis.to_le_bytes()),
            Bson::Int(number) => element(16, key, &number.to_le_bytes()),
            Bson::Long(number) => element(18, key, &number.to_le_bytes()),
        })
        .collect();
    [&size(body.len() + 5)[..], &body, &[0]].concat()
}

fn named(items: &[(&'static str, Bson)]) -> Vec<u8> {
    document(&items.iter().map(|(key, value)| (*key, value)).collect::<Vec<_>>())
}

/// How the fake is at the moment.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a fake")]
struct State {
    writable: bool,
    secondary: bool,
    wants_password: bool,
    monitor: bool,
    connections: i32,
    dirty: i64,
    queue: i32,
    replica_set: bool,
    primary_there: bool,
    lag: i64,
}

fn well() -> State {
    State {
        writable: true,
        secondary: false,
        wants_password: false,
        monitor: true,
        connections: 5,
        dirty: 0,
        queue: 0,
        replica_set: false,
        primary_there: true,
        lag: 0,
    }
}

fn fail(code: i32, name: &'static str) -> Vec<(&'static str, Bson)> {
    vec![
        ("ok", Bson::Double(0.0)),
        ("errmsg", Bson::Text(name)),
        ("code", Bson::Int(code)),
        ("codeName", Bson::Text(name)),
    ]
}

fn hello(state: &State) -> Vec<(&'static str, Bson)> {
    vec![
        ("isWritablePrimary", Bson::Truth(state.writable)),
        ("secondary", Bson::Truth(state.secondary)),
        ("maxBsonObjectSize", Bson::Int(16_777_216)),
        ("localTime", Bson::Date(1_700_000_000_000)),
        ("maxWireVersion", Bson::Int(21)),
        ("ok", Bson::Double(1.0)),
    ]
}

fn server_status(state: &State) -> Vec<(&'static str, Bson)> {
    let cache = vec![
        ("bytes currently in the cache", Bson::Double(300.0)),
        ("maximum bytes configured", Bson::Long(1000)),
        ("tracked dirty bytes in the cache", Bson::Long(state.dirty)),
    ];
    let tickets =
        || Bson::Document(vec![("out", Bson::Int(3)), ("available", Bson::Int(125)), ("totalTickets", Bson::Int(128))]);
    vec![
        ("host", Bson::Text("h:27017")),
        ("version", Bson::Text("7.0.5")),
        (
            "connections",
            Bson::Document(vec![
                ("current", Bson::Int(state.connections)),
                ("available", Bson::Int(100 - state.connections)),
                ("rejected", Bson::Int(2)),
            ]),
        ),
        ("globalLock", Bson::Document(vec![("currentQueue", Bson::Document(vec![("total", Bson::Int(state.queue))]))])),
        ("asserts", Bson::Document(vec![("regular", Bson::Int(1)), ("msg", Bson::Int(2)), ("user", Bson::Int(30))])),
        ("mem", Bson::Document(vec![("bits", Bson::Int(64)), ("resident", Bson::Int(10))])),
        ("metrics", Bson::Document(vec![("cursor", Bson::Document(vec![("timedOut", Bson::Long(4))]))])),
        (
            "wiredTiger",
            Bson::Document(vec![
                ("cache", Bson::Document(cache)),
                ("concurrentTransactions", Bson::Document(vec![("read", tickets()), ("write", tickets())])),
            ]),
        ),
        ("ok", Bson::Double(1.0)),
    ]
}

fn replica_status(state: &State) -> Vec<(&'static str, Bson)> {
    if !state.replica_set {
        return fail(76, "NoReplicationEnabled");
    }
    let at = 1_700_000_000_000;
    let member = |name, number: i32, words, health: f64, date| {
        Bson::Document(vec![
            ("name", Bson::Text(name)),
            ("health", Bson::Double(health)),
            ("state", Bson::Int(number)),
            ("stateStr", Bson::Text(words)),
            ("optimeDate", Bson::Date(date)),
        ])
    };
    let first = if state.primary_there {
        member("a:27017", 1, "PRIMARY", 1.0, at)
    } else {
        member("a:27017", 8, "(not reachable/healthy)", 0.0, 0)
    };
    let members = Bson::List(vec![
        first,
        member("b:27017", 2, "SECONDARY", 1.0, at - state.lag * 1000),
        member("c:27017", 2, "SECONDARY", 1.0, at),
    ]);
    vec![("set", Bson::Text("rs0")), ("members", members), ("ok", Bson::Double(1.0))]
}

fn sign(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

/// What a login has come to.
#[derive(Default)]
struct Login {
    bare: String,
    first: String,
    done: bool,
}

/// The bytes of the binary `payload` of a command.
fn payload(command: &[u8]) -> String {
    let at = command.windows(9).position(|window| window == b"\x05payload\0").unwrap() + 9;
    let count = i32::from_le_bytes(command[at..at + 4].try_into().unwrap());
    String::from_utf8(command[at + 5..at + 5 + usize::try_from(count).unwrap()].to_vec()).unwrap()
}

fn sasl(command: &[u8], name: &str, login: &mut Login) -> Vec<(&'static str, Bson)> {
    let said = payload(command);
    let reply = |words: String, done| {
        vec![
            ("conversationId", Bson::Int(7)),
            ("done", Bson::Truth(done)),
            ("payload", Bson::Binary(words.into_bytes())),
            ("ok", Bson::Double(1.0)),
        ]
    };
    if name == "saslStart" {
        said.strip_prefix("n,,").unwrap().clone_into(&mut login.bare);
        if !login.bare.starts_with("n=probe,") {
            return fail(18, "AuthenticationFailed");
        }
        let nonce = login.bare.split("r=").nth(1).unwrap().to_owned();
        login.first = format!("r={nonce}serverpart,s={},i=4096", BASE64.encode(SALT));
        return reply(login.first.clone(), false);
    }
    let (ends, proof) = said.split_once(",p=").unwrap();
    let mut salted = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, NonZeroU32::new(4096).unwrap(), SALT, PASSWORD.as_bytes(), &mut salted);
    let stored = digest::digest(&digest::SHA256, &sign(&salted, b"Client Key"));
    let all = format!("{},{},{ends}", login.bare, login.first);
    let mask = sign(stored.as_ref(), all.as_bytes());
    let key: Vec<u8> = BASE64.decode(proof).unwrap().iter().zip(&mask).map(|(a, b)| a ^ b).collect();
    if digest::digest(&digest::SHA256, &key).as_ref() != stored.as_ref() {
        return fail(18, "AuthenticationFailed");
    }
    login.done = true;
    reply(format!("v={}", BASE64.encode(sign(&sign(&salted, b"Server Key"), all.as_bytes()))), true)
}

fn serve(mut stream: TcpStream, state: &Shared<State>) {
    let mut login = Login::default();
    let mut head = [0; 16];
    while stream.read_exact(&mut head).is_ok() {
        let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
        assert_eq!(word(12), 2013, "OP_MSG");
        let mut body = vec![0; usize::try_from(word(0)).unwrap() - 16];
        stream.read_exact(&mut body).unwrap();
        assert_eq!(body[..5], [0; 5], "no flags, a section of kind 0");
        let command = &body[5..];
        assert_eq!(usize::try_from(u32::from_le_bytes(command[..4].try_into().unwrap())).unwrap(), command.len());
        assert!(command.windows(5).any(|window| window == b"\x02$db\0"), "names its database");
        let end = command[5..].iter().position(|byte| *byte == 0).unwrap();
        let name = String::from_utf8(command[5..5 + end].to_vec()).unwrap();
        let now = state.lock().unwrap().clone();
        let open = !now.wants_password || login.done;
        let answer = match name.as_str() {
            "hello" => hello(&now),
            "saslStart" | "saslContinue" => sasl(command, &name, &mut login),
            "serverStatus" | "replSetGetStatus" if !open || !now.monitor => fail(13, "Unauthorized"),
            "serverStatus" => server_status(&now),
            "replSetGetStatus" => replica_status(&now),
            _ => vec![
                ("ok", Bson::Double(0.0)),
                ("errmsg", Bson::Words(format!("no such command: {name}"))),
                ("code", Bson::Int(59)),
            ],
        };
        let answer = named(&answer);
        let words = [u32::try_from(answer.len() + 21).unwrap(), 99, word(4), 2013, 0];
        let head: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let _sent = stream.write_all(&[&head[..], &[0], &answer].concat());
    }
}

fn fake(state: State) -> (Target, Shared<State>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let state = Arc::new(Mutex::new(state));
    let shared = Arc::clone(&state);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let state = Arc::clone(&shared);
            std::thread::spawn(move || serve(stream, &state));
        }
    });
    (rig::at(port), state)
}

#[test]
fn a_mongodb_tells_how_it_is_and_its_figures_follow_what_happens() {
    assert_strangers_are_known(KIND);
    let (target, state) = fake(well());
    assert_eq!(rig::ready(KIND, &target), Ok(()));
    let first = looked(KIND, &target);
    assert_eq!(first.server.as_deref(), Some("MongoDB 7.0.5"));
    assert_eq!((figure(&first, "connections"), limit(&first, "connections")), (5.0, 100.0));
    assert_eq!((figure(&first, "cache"), limit(&first, "cache")), (300.0, 1000.0));
    assert_eq!(figure(&first, "asserts"), 3.0);
    assert_eq!(figure(&first, "cursors-timed-out"), 4.0);
    assert_eq!((figure(&first, "read-tickets"), limit(&first, "write-tickets")), (3.0, 128.0));
    assert_eq!(figure(&first, "memory"), 10.0 * 1024.0 * 1024.0);
    assert!(!first.measures.iter().any(|measure| measure.name == "replication-lag"));
    {
        let mut now = state.lock().unwrap();
        (now.connections, now.dirty, now.queue, now.replica_set, now.lag) = (90, 250, 40, true, 75);
    }
    let later = looked(KIND, &target);
    assert_eq!((figure(&later, "connections"), limit(&later, "connections")), (90.0, 100.0));
    assert_eq!(figure(&later, "cache-dirty"), 250.0);
    assert_eq!(figure(&later, "lock-queue"), 40.0);
    assert_eq!(figure(&later, "replication-lag"), 75.0);
    assert_eq!(about(&later, "replication-lag"), "secondary b:27017");
    assert_eq!(figure(&later, "members-down"), 0.0);
    state.lock().unwrap().primary_there = false;
    let headless = looked(KIND, &target);
    assert_remark(&headless, "primary", Grade::Critical);
    assert_remark(&headless, "member", Grade::Warning);
    assert_eq!(figure(&headless, "members-down"), 1.0);

    state.lock().unwrap().writable = false;
    let starting = rig::ready(KIND, &target).unwrap_err();
    assert!(
        matches!(&starting, Trouble::Unready(why) if why.contains("neither primary nor secondary")),
        "{starting:?}"
    );
    state.lock().unwrap().secondary = true;
    assert_eq!(rig::ready(KIND, &target), Ok(()));
    let primary = Target { options: [("role".to_owned(), "primary".to_owned())].into(), ..target };
    assert!(matches!(rig::ready(KIND, &primary), Err(Trouble::Unready(_))));
}

#[test]
fn a_mongodb_with_a_password_lets_in_who_proves_it() {
    let (target, state) = fake(State { wants_password: true, ..well() });
    let probe = with(target.clone(), Some("probe"), PASSWORD);
    assert_eq!(rig::ready(KIND, &probe), Ok(()));
    assert!(figure(&looked(KIND, &probe), "connections") > 0.0);
    let none = rig::look(KIND, &target).unwrap_err();
    assert!(matches!(&none, Trouble::Refused(why) if why.contains("check: mongodb://")), "{none:?}");
    let wrong = rig::ready(KIND, &with(target.clone(), Some("probe"), "wrong-horse")).unwrap_err();
    assert!(matches!(&wrong, Trouble::Refused(why) if why.contains("probe") && !why.contains("horse")), "{wrong:?}");
    assert!(matches!(rig::ready(KIND, &with(target, Some("nobody"), PASSWORD)), Err(Trouble::Refused(_))));
    state.lock().unwrap().monitor = false;
    let narrow = looked(KIND, &probe);
    assert_remark(&narrow, "privileges", Grade::Notice);
    assert!(narrow.remarks[0].advice.as_deref().is_some_and(|advice| advice.contains("clusterMonitor")));
}
