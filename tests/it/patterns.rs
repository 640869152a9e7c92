//! Patterns that are learnt while services write, with the real binary: live, over engines, on the timeline, and without secrets.

use std::{path::PathBuf, sync::Arc};

use cas::{
    config::paths::Paths,
    host::patterns::{pack, unpack},
    insight::patterns::{Look, Patterns, Settings},
    model::{
        ids::{ProjectName, RunId, ServiceName},
        level::Level,
    },
    world::{
        clock,
        store::{self, Store},
    },
};
use serde_json::Value;

use crate::{
    daemon::{good, json},
    pty::terminal::Project,
    remembered::{end, start_daemon},
    support::eventually,
};

/// What is known of `web`.
fn known(project: &Project) -> Value {
    json(project, &["insight", "patterns", "web", "--json"])["services"][0].clone()
}

fn pattern(known: &Value, text: &str) -> Value {
    let all = known["patterns"].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|pattern| pattern["text"] == text).unwrap_or_default()
}

fn count(project: &Project, text: &str) -> u64 {
    pattern(&known(project), text)["count"].as_u64().unwrap_or(0)
}

/// Entries of the timeline of this kind, each once.
fn told(project: &Project, what: &str) -> Vec<Value> {
    let events = project.cas(&["events", "--json"], &[]);
    let lines = String::from_utf8_lossy(&events.stdout).into_owned();
    let entries = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    entries.filter(|entry| entry["what"]["what"] == what || entry["what"] == what).collect()
}

fn database(project: &Project) -> (PathBuf, Arc<str>) {
    let environment = project.environment();
    let paths =
        Paths::from_lookup(|name| environment.iter().find(|(known, _)| *known == name).map(|(_, path)| path.clone()));
    let name: ProjectName = project.root().file_name().unwrap().to_str().unwrap().parse().unwrap();
    (paths.database(), Paths::place(&name, &project.root()).into())
}

fn web() -> ServiceName {
    "web".parse().unwrap()
}

/// As an engine would have kept it that has looked at `web` for more than an hour, in which each of `every_minute` came in every minute.
fn looked_at_for_an_hour(project: &Project, every_minute: &[&str]) {
    let mut patterns = Patterns::new(Settings::default());
    let now_us = clock::now().wall_us;
    for minute in (0..75).rev() {
        let us = now_us - minute * 60_000_000;
        for line in 0..10 {
            patterns.take(&format!("request {line} took {minute} ms"), None, us, RunId(1));
        }
        for line in every_minute {
            patterns.take(line, Some(Level::Error), us, RunId(1));
        }
        patterns.look(Look { now_us: us, runs: true, is_well: true });
    }
    let (database, place) = database(project);
    let store = Store::open(database, |trouble| assert!(trouble.is_none(), "{trouble:?}"));
    store.keep_patterns(&place, &web(), pack(&patterns.state()).unwrap().into());
    store.flush();
}

/// A service that runs `script` once the file `go` is there.
fn when_told(script: &str) -> Project {
    let project = Project::yaml("  web: {command: [sh, web.sh]}\n");
    project.write("web.sh", &format!("while [ ! -e go ]; do sleep 0.05; done\n{script}\n"));
    project
}

#[test]
fn what_a_service_writes_is_learnt_while_it_comes_and_kept_over_engines() {
    let project = Project::yaml("  web: {command: [sh, web.sh]}\n");
    project.write(
        "web.sh",
        "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo \"2026-01-02 03:04:05 INFO request $i took 5 ms\"; done
         printf '2026-01-02 03:04:06 \\033[31mERROR\\033[0m no route to 10.0.0.1\\n' >&2; exec sleep 1000\n",
    );
    good(&project, &["up", "--detach"]);
    eventually("all is learnt", || known(&project)["lines"] == 301);
    let first = known(&project);
    let request = pattern(&first, "request <*> took <*> ms");
    assert_eq!((&request["count"], &request["level"]), (&300.into(), &"info".into()), "{first}");
    let route = pattern(&first, "no route to <*>");
    assert_eq!((&route["level"], &route["example"]), (&"error".into(), &"no route to 10.0.0.1".into()), "{first}");
    assert_eq!((&first["learning"], &first["marks"]["restart_us"]), (&true.into(), &Value::Null));
    let trend: u64 = request["trend"].as_array().unwrap().iter().filter_map(Value::as_u64).sum();
    assert_eq!((request["trend"].as_array().unwrap().len(), trend), (60, 300));

    good(&project, &["daemon", "restart"]);
    eventually("the next engine knows it", || known(&project)["lines"] == 301);
    let second = known(&project);
    assert_eq!(pattern(&second, "request <*> took <*> ms")["first_us"], request["first_us"], "{second}");
    good(&project, &["restart", "web"]);
    eventually("the next run is learnt from", || known(&project)["lines"] == 602);
    let third = known(&project);
    assert!(third["marks"]["restart_us"].is_i64() && third["marks"]["deployment_us"].is_null(), "{third}");
    assert_eq!(pattern(&third, "request <*> took <*> ms")["new_since"]["restart"], false, "{third}");
    let only_new = json(&project, &["insight", "patterns", "--new", "restart", "--json"]);
    assert_eq!(only_new["services"][0]["patterns"].as_array().map(Vec::len), Some(0), "{only_new}");

    // Another command is another deployment.
    project.write("more.sh", "echo 'a line of today'; exec sleep 1000\n");
    project.write("cas.yaml", &project.yaml_of("  web: {command: [sh, more.sh]}\n"));
    good(&project, &["reload"]);
    eventually("it is told apart", || pattern(&known(&project), "a line of today")["new_since"]["deployment"] == true);

    good(&project, &["daemon", "stop", "--keep"]);
    let ran = project.cas(&["insight", "patterns"], &[]);
    let (table, said) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && said.contains("no engine runs"), "{ran:?}");
    assert!(table.contains("request <*> took <*> ms") && table.contains("error"), "{table}");
    start_daemon(&project);
    end(&project);
}

#[test]
fn an_error_that_is_new_comes_on_the_timeline_once_and_not_again_under_the_next_engine() {
    let project = when_told("while :; do echo 'ERROR disk 5 is full'; sleep 0.1; done");
    looked_at_for_an_hour(&project, &["ERROR disk 7 is slow"]);
    good(&project, &["up", "--detach"]);
    eventually("what was kept is known", || count(&project, "ERROR disk <*> is slow") == 75);
    project.write("go", "");
    eventually("it is told", || told(&project, "new-pattern").len() == 1);
    let entry = told(&project, "new-pattern").remove(0).to_string();
    assert!(entry.contains("ERROR disk 5 is full") && entry.contains("\"web\""), "{entry}");
    let more = |by: u64| {
        let before = count(&project, "ERROR disk <*> is full");
        eventually("more of it has come", || count(&project, "ERROR disk <*> is full") >= before + by);
    };
    more(30);
    good(&project, &["daemon", "restart"]);
    more(30);
    assert_eq!(told(&project, "new-pattern").len(), 1, "{:?}", told(&project, "new-pattern"));
    let known = known(&project);
    assert_eq!(pattern(&known, "ERROR disk <*> is full")["new_since"]["restart"], true, "{known}");
    end(&project);
}

#[test]
fn an_error_that_comes_ten_times_as_often_is_told_within_seconds() {
    let project = when_told("for i in $(seq 200); do echo \"ERROR payment $i failed\"; done; exec sleep 1000");
    looked_at_for_an_hour(&project, &["ERROR payment 17 failed", "ERROR payment 18 failed"]);
    good(&project, &["up", "--detach"]);
    eventually("what was kept is known", || count(&project, "ERROR payment <*> failed") == 150);
    assert_eq!(told(&project, "rate-changed"), Vec::<Value>::new());
    project.write("go", "");
    eventually("it is told", || told(&project, "rate-changed").len() == 1);
    let entry = told(&project, "rate-changed").remove(0).to_string();
    assert!(entry.contains("usually 2 a minute: ERROR payment <*> failed"), "{entry}");
    assert_eq!(told(&project, "new-pattern"), Vec::<Value>::new(), "it is not new");
    end(&project);
}

#[test]
fn no_secret_gets_into_a_pattern_neither_shown_nor_kept() {
    let services = "  web: {command: [sh, web.sh], environment: {DB_PASSWORD: CANARYqx-of-the-database}}\n";
    let project = Project::yaml(services);
    // The second hides the secret from whoever looks before escape sequences are gone.
    project.write(
        "web.sh",
        "echo \"login as bob with $DB_PASSWORD failed\"
         printf 'pass\\033[1mword=CANARYqx\\033[0mother is wrong\\n'
         printf -- '-----BEGIN RSA PRIVATE KEY-----\\nMIIEowCANARYqx\\n'; sleep 0.5; echo CANARYqxInTheNextBatch00000000000000
         echo '-----END RSA PRIVATE KEY-----'; echo 'the end'; exec sleep 1000\n",
    );
    good(&project, &["up", "--detach"]);
    eventually("all is learnt", || count(&project, "the end") == 1);
    let shown = known(&project).to_string();
    assert!(shown.contains("login as bob with ‹redacted:") && !shown.contains("CANARYqx"), "{shown}");
    let table = project.cas(&["--read-only", "insight", "patterns"], &[]);
    assert!(!String::from_utf8_lossy(&table.stdout).contains("CANARYqx") && table.status.success(), "{table:?}");
    end(&project);
    let (database, place) = database(&project);
    let kept = store::read_patterns(&database, &place).unwrap();
    let state = unpack(Settings::default(), &kept[&web()]).unwrap().state();
    let state = serde_json::to_string(&state).unwrap();
    assert!(state.contains("login as bob") && !state.contains("CANARYqx"), "{state}");
}
