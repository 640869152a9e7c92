//! `checks` of a service, and doubts about its probes, in a project file.

use std::time::Duration;

use cas::model::{
    exam::{Exam, Grade, Reads, Subject},
    own::{CertificateOf, Fix, FreshOf, Keep, Own, OwnCheck, QueueOf, TokenOf},
    service::CommandLine,
};

use super::{Project, load, sound};

fn exam(check: &str) -> Exam {
    let spec = sound(&format!("services: {{web: {{command: sleep 1, checks: {{it: {check}}}}}}}"));
    let nature = spec.services[0].nature.clone().unwrap();
    assert_eq!(nature.kind, "process");
    (*nature.exams[0]).clone()
}

fn own(exam: &Exam) -> &Own {
    let Subject::Own(own) = &exam.subject else { panic!("{exam:?}") };
    own
}

#[test]
fn a_certificate_is_of_a_server_or_a_file_and_has_its_thresholds() {
    let server = exam("{certificate: 'localhost:8443'}");
    let OwnCheck::Certificate(CertificateOf::Server(target)) = &own(&server).check else { panic!("{server:?}") };
    assert_eq!((target.host.as_str(), target.port, server.interval), ("localhost", 8443, Duration::from_hours(1)));
    assert_eq!(server.rules[0].warn, Some(14.0 * 86_400.0));
    assert!(server.rules[0].below);
    let file = exam("{certificate: certs/shop.pem, warn: 30d, critical: 5d, every: 5m}");
    assert!(
        matches!(&own(&file).check, OwnCheck::Certificate(CertificateOf::File(path)) if path.ends_with("certs/shop.pem"))
    );
    assert_eq!((file.rules[0].warn, file.rules[0].critical), (Some(30.0 * 86_400.0), Some(5.0 * 86_400.0)));
    assert_eq!(file.interval, Duration::from_mins(5));
}

#[test]
fn every_subject_is_understood() {
    let token = exam("{token: {env: API_TOKEN}}");
    assert!(matches!(&own(&token).check, OwnCheck::Token(TokenOf::Env(name)) if name == "API_TOKEN"));
    let webhook = exam(
        "{webhook: {url: 'http://localhost:9/hooks?a=1', secret_env: S, send: true, deadletter: dead}, fix: replay}",
    );
    let OwnCheck::Webhook(hook) = &own(&webhook).check else { panic!("{webhook:?}") };
    assert_eq!((hook.path.as_str(), hook.method.as_str(), hook.send), ("/hooks?a=1", "POST", true));
    assert_eq!(
        own(&webhook).mending.as_ref().map(|mending| (mending.fix.clone(), mending.at)),
        Some((Fix::Replay, Grade::Warning))
    );
    let echo = exam("{echo: 'wss://localhost/socket', text: hello}");
    let OwnCheck::Echo { target, text } = &own(&echo).check else { panic!("{echo:?}") };
    assert_eq!((target.port, target.tls, target.path.as_str(), text.as_str()), (443, true, "/socket", "hello"));
    let storage = exam("{storage: {paths: [data/a, data/b], quota: 10G, keep: {newest: 3}}, fix: clean, cooldown: 1h}");
    let OwnCheck::Storage(files) = &own(&storage).check else { panic!("{storage:?}") };
    assert_eq!((files.paths.len(), files.quota, files.keep), (2, Some(10 << 30), Some(Keep::Newest(3))));
    assert_eq!((storage.rules[0].reads, storage.rules[0].warn), (Reads::Share, Some(0.8)));
    assert_eq!(own(&storage).mending.as_ref().map(|mending| mending.cooldown), Some(Duration::from_hours(1)));
    let fresh = exam(
        "{fresh: {query: 'postgres://shop:pw@localhost:5432/shop?query=select max(created_at) from orders'}, within: 15m}",
    );
    let OwnCheck::Fresh(FreshOf::Postgres { target, query }) = &own(&fresh).check else { panic!("{fresh:?}") };
    assert_eq!((target.path.as_str(), query.as_str()), ("shop", "select max(created_at) from orders"));
    assert_eq!(fresh.rules[0].critical, Some(900.0));
    let sqlite = exam("{fresh: {sqlite: a.db, query: select 1}, within: 1h, warn: 30m}");
    assert!(matches!(&own(&sqlite).check, OwnCheck::Fresh(FreshOf::Sqlite { .. })));
    let http = exam("{fresh: {http: 'http://localhost:1/x', pointer: /a/0}, within: 1h}");
    assert!(matches!(&own(&http).check, OwnCheck::Fresh(FreshOf::Http { pointer, .. }) if pointer == "/a/0"));
    let queue = exam("{queue: 'redis://:pw@localhost:6379/2?list=mail', warn: 100, critical: 1000, oldest: 10m}");
    let OwnCheck::Queue(QueueOf::Redis { target, key }) = &own(&queue).check else { panic!("{queue:?}") };
    assert_eq!((key.as_str(), target.path.as_str(), target.options.len()), ("mail", "2", 0));
    assert_eq!((queue.rules[0].critical, queue.rules[1].critical), (Some(1000.0), Some(600.0)));
    let dir = exam("{queue: {dir: spool}, warn: 1, fix: ./retry, fix_at: warn}");
    assert!(matches!(&own(&dir).check, OwnCheck::Queue(QueueOf::Dir(_))));
    let mending = own(&dir).mending.clone().unwrap();
    assert_eq!((mending.fix, mending.at), (Fix::Run(CommandLine::Shell("./retry".to_owned())), Grade::Warning));
    let figure = exam("{exec: 'df --output=pcent / | tail -1', warn: 80%, critical: 95%}");
    assert_eq!((figure.rules[0].reads, figure.rules[0].critical), (Reads::Share, Some(0.95)));
}

#[test]
fn what_is_wrong_with_a_check_is_said_with_what_to_write() {
    for (check, message, hint) in [
        ("{every: 1m}", "does not say what to look at", "exactly one of certificate"),
        ("{exec: a, queue: {dir: b}}", "has queue and exec at once", "exactly one of"),
        ("{certificat: x}", "certificat: not a key of a check", "did you mean \"certificate\"?"),
        ("{fresh: {file: x}}", "has no within", "within: 15m"),
        ("{fresh: {}, within: 1m}", "does not say where the newest data is told", "{file: path}"),
        ("{fresh: {file: x, pointer: /a}, within: 1m}", "pointer: is a key beside http only", "remove it"),
        ("{storage: {paths: [../other]}}", "is not a directory below the project's", "outside: true"),
        ("{storage: {paths: [/]}}", "is not a directory below the project's", "outside: true"),
        ("{storage: {paths: [/], outside: true}}", "is not a directory below the project's", "outside: true"),
        ("{storage: {paths: [a]}, fix: clean}", "nothing says what to clean", "keep: 30d"),
        ("{webhook: 'http://localhost:1/', fix: replay}", "there is nothing to replay", "deadletter"),
        ("{webhook: {send: true}}", "webhook: it has no url", "http://localhost"),
        ("{webhook: {url: 'http://localhost:1/', method: GET}}", "\"GET\" is not a method of deliveries", "POST"),
        ("{echo: 'http://localhost:1/'}", "is not a URL that begins with ws://", "ws://localhost"),
        ("{queue: 'redis://localhost:6379'}", "does not say which list", "list=mail"),
        ("{queue: 'ftp://localhost'}", "has the scheme ftp", "redis://"),
        ("{exec: a, within: 1m}", "within: is a key of fresh only", "remove it"),
        ("{exec: a, cooldown: 1m}", "cooldown: there is no fix", "fix: command"),
        ("{exec: a, warn: lots}", "\"lots\" is no amount", "80%"),
        ("{exec: a, every: 10ms}", "is too short", "500ms"),
        ("{token: {file: a, env: B}}", "exactly one source", "{env: NAME}"),
        ("{certificate: '::'}", "is neither host:port nor a file", "localhost:8443"),
    ] {
        let yaml = format!("services:\n  web:\n    command: sleep 1\n    checks:\n      it: {check}\n");
        let project = Project::new().file("cas.yaml", yaml);
        let loaded = project.load("cas.yaml");
        let said = project.said(&loaded);
        assert_eq!(loaded.errors.len(), 1, "{check}: {said}");
        assert!(said.contains(message) && said.contains(hint) && said.contains("cas.yaml:5:"), "{check}: {said}");
    }
}

#[test]
fn a_path_outside_is_taken_only_where_that_is_written() {
    let exam = exam("{storage: {paths: /var/tmp/x, outside: true}}");
    assert!(matches!(&own(&exam).check, OwnCheck::Storage(storage) if storage.within.is_none()));
}

#[test]
fn a_dishonest_probe_is_a_note_and_stays_with_the_service() {
    let loaded = load(
        "services: {web: {command: sleep 1, healthcheck: {test: [CMD-SHELL, 'curl localhost:1/health || true']}}, \
         fine: {command: sleep 1, readiness: {http: '8080/health'}}, far: {command: sleep 1, readiness: {http: 'https://shop.example.com/up'}}}",
    );
    let notes: Vec<String> = loaded.notes.iter().map(ToString::to_string).collect();
    assert!(
        notes.iter().any(|note| note.contains("web: the readiness probe is doubtful: `|| true` at its end")),
        "{notes:?}"
    );
    assert!(notes.iter().any(|note| note.contains("curl ends with 0 on 404")), "{notes:?}");
    assert!(
        notes.iter().any(|note| note.contains("far: the readiness probe is doubtful: it asks shop.example.com")),
        "{notes:?}"
    );
    assert!(!notes.iter().any(|note| note.contains("fine")), "{notes:?}");
    let services = loaded.project.unwrap().services;
    let doubts = |at: usize| services[at].nature.as_ref().map_or(0, |nature| nature.doubts.len());
    assert_eq!([doubts(0), doubts(1), doubts(2)], [2, 0, 1]);
}

#[test]
fn a_probe_says_that_it_is_not_to_be_doubted() {
    let spec =
        sound("services: {web: {command: sleep 1, readiness: {http: '1/x', honest: false}, liveness: {tcp: 1}}}");
    let honest: Vec<bool> = spec.services[0].probes.values().map(|probe| probe.honest).collect();
    assert_eq!(honest, [false, true]);
}
