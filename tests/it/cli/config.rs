//! `cas config`: what is read, written and refused, and that nothing else of a file changes.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
};

use cas::{
    cli::outcome::Outcome,
    config::user,
    model::{
        alert::AlertLevel,
        policy::Autopilot,
        service::{RestartPolicy, Strategy},
    },
};

use super::fake::{Desk, Fake, Ran};

/// A user's directory and a project.
struct Place {
    dir: tempfile::TempDir,
    desk: Desk,
}

const PROJECT: &str =
    "# shop\nservices:\n  web:\n    command: sleep 1   # serve\n    restart: 'no'\n  db: {command: sleep 2}\n";

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir(root.join("shop")).unwrap();
        fs::write(root.join("shop/cas.yaml"), PROJECT).unwrap();
        let env = BTreeMap::from([
            ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
            ("CAS_CONFIG_DIR".to_owned(), root.join("own").display().to_string()),
        ]);
        Self { desk: Desk { cwd: root.join("shop"), env, ..Desk::default() }, dir }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.desk.env.insert(name.to_owned(), value.to_owned());
        self
    }

    fn user_file(&self) -> PathBuf {
        self.dir.path().join("own/config.yaml")
    }

    fn user(&self) -> String {
        fs::read_to_string(self.user_file()).unwrap_or_default()
    }

    fn project_file(&self) -> PathBuf {
        self.desk.cwd.join("cas.yaml")
    }

    fn project(&self) -> String {
        fs::read_to_string(self.project_file()).unwrap()
    }

    async fn run(&self, line: &str) -> Ran {
        let rest = line.strip_prefix("cas ").unwrap();
        self.desk.run(&Fake::default(), &format!("cas -f cas.yaml {rest}")).await
    }

    #[track_caller]
    fn is(ran: &Ran, outcome: Outcome) {
        assert_eq!(ran.outcome, outcome, "{}{}", ran.stdout, ran.stderr);
    }

    async fn gives(&self, line: &str, value: &str) {
        let ran = self.run(line).await;
        Self::is(&ran, Outcome::Ok);
        assert_eq!(ran.stdout, format!("{value}\n"), "{line}");
    }
}

#[tokio::test]
async fn the_words_of_the_manual_work_as_they_are_written() {
    let place = Place::new();
    for (key, value, line) in [
        ("auto-heal", "off", "auto_heal: off"),
        ("auto-heal", "on", "auto_heal: on"),
        ("retry-strategy", "exponential", "retry_strategy: exponential"),
        ("retry_strategy", "fixed", "retry_strategy: fixed"),
        ("retry-strategy", "linear", "retry_strategy: linear"),
        ("retry-strategy", "fibonacci", "retry_strategy: fibonacci"),
        ("retry-strategy", "none", "retry_strategy: none"),
        ("max-restarts", "5", "max_restarts: 5"),
        ("alert_level", "critical-only", "alert_level: critical-only"),
        ("alert-level", "all", "alert_level: all"),
        ("learning-mode", "on", "learning_mode: on"),
        ("learning-mode", "off", "learning_mode: off"),
    ] {
        let ran = place.run(&format!("cas config set {key} {value}")).await;
        Place::is(&ran, Outcome::Ok);
        assert!(place.user().contains(line), "{}", place.user());
        place.gives(&format!("cas config get {key}"), value).await;
    }
    let read = user::load(&place.user_file()).config;
    assert_eq!((read.autopilot, read.alert_level), (Autopilot::On, AlertLevel::All));
    assert_eq!((read.retry_strategy, read.max_restarts), (Some(Strategy::None), Some(5)));
    assert!(!read.learning);
    assert_eq!(place.user().lines().count(), 5, "each key once: {}", place.user());
}

#[tokio::test]
async fn the_older_word_stays_where_it_was_written() {
    let place = Place::new();
    fs::create_dir(place.dir.path().join("own")).unwrap();
    fs::write(place.user_file(), "autopilot: off # mine\n").unwrap();
    place.gives("cas config get auto-heal", "off").await;
    Place::is(&place.run("cas config set auto-heal on").await, Outcome::Ok);
    assert_eq!(place.user(), "autopilot: on # mine\n");
    assert_eq!(user::load(&place.user_file()).config.autopilot, Autopilot::On);
    Place::is(&place.run("cas config unset autopilot").await, Outcome::Ok);
    assert_eq!(place.user(), "");
}

#[tokio::test]
async fn each_place_wins_over_those_before_it() {
    let place = Place::new();
    place.gives("cas config get max-restarts", "8").await;
    Place::is(&place.run("cas config set max-restarts 5").await, Outcome::Ok);
    place.gives("cas config get max-restarts", "5").await;
    Place::is(&place.run("cas config set --project max-restarts 6").await, Outcome::Ok);
    place.gives("cas config get max-restarts", "6").await;
    let place = place.with("CAS_MAX_RESTARTS", "7");
    place.gives("cas config get max-restarts", "7").await;
    Place::is(&place.run("cas config set --service web max-restarts 9").await, Outcome::Ok);
    place.gives("cas config get services.web.max_restarts", "9").await;
    place.gives("cas config get max_restarts --service db", "7").await;
    // What is shown is what the project's reader makes of it.
    let loaded = cas::config::load(&place.project_file(), None, &place.desk.env);
    let project = loaded.project.unwrap();
    let after: Vec<u32> = project.services.iter().map(|service| service.backoff.give_up_after).collect();
    assert_eq!(after, [9, 7]);
    let sources = place.run("cas config list --sources").await.stdout;
    for line in ["max_restarts", "CAS_MAX_RESTARTS", "services.web.max_restarts", "cas.yaml:"] {
        assert!(sources.contains(line), "{line}: {sources}");
    }
    place.gives("cas --theme nord config get theme", "nord").await;
}

#[tokio::test]
async fn a_strategy_reaches_services_and_none_means_no_restarts() {
    let place = Place::new().with("CAS_RETRY_STRATEGY", "fibonacci");
    let load = |place: &Place| cas::config::load(&place.project_file(), None, &place.desk.env).project.unwrap();
    assert_eq!(load(&place).services[1].backoff.strategy, Strategy::Fibonacci);
    assert_eq!(load(&place).services[1].restart, RestartPolicy::OnFailure { max_retries: None });
    Place::is(&place.run("cas config set services.db.retry-strategy none").await, Outcome::Ok);
    assert_eq!(load(&place).services[1].restart, RestartPolicy::No);
    let place = place.with("CAS_RETRY_STRATEGY", "cubic");
    let wrong = cas::config::load(&place.project_file(), None, &place.desk.env);
    assert!(wrong.errors[0].message.starts_with("CAS_RETRY_STRATEGY"), "{:?}", wrong.errors);
    assert!(wrong.errors[0].hint.as_ref().unwrap().contains("fibonacci"));
}

#[tokio::test]
async fn a_project_s_file_keeps_its_comments_quotes_mode_and_link() {
    let place = Place::new();
    let real = place.dir.path().canonicalize().unwrap().join("elsewhere.yaml");
    fs::rename(place.project_file(), &real).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&real, place.project_file()).unwrap();
    Place::is(&place.run("cas config set --service web restart always").await, Outcome::Ok);
    assert_eq!(place.project(), PROJECT.replace("'no'", "'always'"));
    Place::is(&place.run("cas config set services.db.stop_grace_period 3s").await, Outcome::Ok);
    assert!(place.project().contains("db: {command: sleep 2, stop_grace_period: 3s}"), "{}", place.project());
    assert!(fs::symlink_metadata(place.project_file()).unwrap().is_symlink());
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    Place::is(&place.run("cas config set --project backoff.strategy linear").await, Outcome::Ok);
    assert!(place.project().ends_with("defaults:\n  backoff:\n    strategy: linear\n"), "{}", place.project());
    Place::is(&place.run("cas config unset --project retry-strategy").await, Outcome::Ok);
    assert!(!place.project().contains("defaults"), "{}", place.project());
    let left: Vec<_> = fs::read_dir(real.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "nothing is left beside it: {left:?}");
}

#[tokio::test]
async fn what_is_wrong_is_refused_in_the_reader_s_words_and_nothing_is_written() {
    let place = Place::new();
    for (line, words) in [
        ("cas config set max-restarts many", &["not a whole number"][..]),
        ("cas config set retry-strategy expontential", &["did you mean \"exponential\"", "fibonacci"]),
        ("cas config set alert-level loud", &["critical-only"]),
        ("cas config set auto-heal perhaps", &["one of: on, off"]),
        ("cas config set auto-hael on", &["did you mean \"auto_heal\""]),
        ("cas config set learning-mode perhaps", &["learning_mode"]),
        ("cas config set restart always", &["--project", "--service NAME"]),
        ("cas config set --project theme nord", &["about you"]),
        ("cas config set --service web restart allways", &["did you mean \"always\""]),
        ("cas config set --service wbe restart always", &["did you mean \"web\""]),
        ("cas config set --service web resart always", &["did you mean \"restart\""]),
        ("cas config set services.web.command nosuchprogram", &["nosuchprogram"]),
        ("cas config set theme ''", &["cas config unset theme"]),
    ] {
        let ran = place.run(line).await;
        Place::is(&ran, Outcome::Usage);
        for word in words {
            assert!(ran.stderr.contains(word), "{line}: {}", ran.stderr);
        }
    }
    assert_eq!((place.user().as_str(), place.project().as_str()), ("", PROJECT));
}

#[tokio::test]
async fn a_value_that_cannot_be_changed_alone_stays() {
    let place = Place::new();
    let shared = "x-all: &all {restart: always}\nservices:\n  web: {command: sleep 1, <<: *all}\n  db: *all\n";
    fs::write(place.project_file(), shared.replace("db: *all", "db: {command: sleep 2, stop_signal: &s INT}")).unwrap();
    let text = place.project();
    let ran = place.run("cas config set services.web.restart no").await;
    Place::is(&ran, Outcome::Ok);
    assert!(place.project().contains("x-all: &all {restart: always}"), "{}", place.project());
    assert_ne!(place.project(), text);
    fs::write(place.project_file(), "services:\n  web:\n    command: sleep 1\n    description: |\n      long\n")
        .unwrap();
    let ran = place.run("cas config set services.web.description short").await;
    Place::is(&ran, Outcome::Usage);
    assert!(ran.stderr.contains("several lines") && ran.stderr.contains("config edit"), "{}", ran.stderr);
}

#[tokio::test]
async fn the_file_of_another_tool_is_never_written() {
    let place = Place::new();
    fs::write(place.desk.cwd.join("Procfile"), "web: sleep 1\n").unwrap();
    let ran = place.desk.run(&Fake::default(), "cas -f Procfile config set --project restart always").await;
    Place::is(&ran, Outcome::Usage);
    assert!(ran.stderr.contains("cas import --write"), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(place.desk.cwd.join("Procfile")).unwrap(), "web: sleep 1\n");
}

#[tokio::test]
async fn a_variable_that_wins_is_named_when_something_is_written_below_it() {
    let place = Place::new().with("CAS_AUTO_HEAL", "off");
    let ran = place.run("cas config set auto-heal on").await;
    Place::is(&ran, Outcome::Ok);
    assert!(ran.stderr.contains("CAS_AUTO_HEAL says off"), "{}", ran.stderr);
    let read = cas::config::layers::effective_user(&place.user_file(), &place.desk.env);
    assert_eq!(read.config.autopilot, Autopilot::Off);
    let wrong = BTreeMap::from([("CAS_AUTO_HEAL".to_owned(), "perhaps".to_owned())]);
    let read = cas::config::layers::effective_user(&place.user_file(), &wrong);
    assert!(read.errors[0].message.starts_with("CAS_AUTO_HEAL: \"perhaps\""), "{:?}", read.errors);
}

#[tokio::test]
async fn list_path_and_schema_are_data() {
    let place = Place::new();
    Place::is(&place.run("cas config set keys.quit '[q, x]'").await, Outcome::Ok);
    assert_eq!(place.user(), "keys:\n  quit: [q, x]\n");
    let list = place.run("cas config list --json").await.json();
    let find = |key: &str| {
        let rows = list["settings"].as_array().unwrap();
        rows.iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("{key}: {list}")).clone()
    };
    assert_eq!(find("mouse")["source"]["kind"], "built-in");
    assert_eq!(find("keys.quit")["source"]["line"], 2);
    assert_eq!(find("services.web.restart")["value"], "no");
    let paths = place.run("cas config path").await.stdout;
    assert!(paths.contains("config.yaml") && paths.contains("cas.yaml") && paths.contains("not there"), "{paths}");
    let schema = place.run("cas config schema").await.json();
    assert!(schema["$defs"]["service"]["properties"]["restart"].is_object());
    let schema = place.run("cas config schema --user").await.json();
    assert!(schema["properties"]["auto_heal"].is_object());
}

#[tokio::test]
async fn an_edited_file_is_checked_and_opened_again_on_demand() {
    let place = Place::new();
    let ran = place.run("cas config edit").await;
    Place::is(&ran, Outcome::Failed);
    assert!(ran.stderr.contains("VISUAL"), "{}", ran.stderr);
    // The first time it leaves a mistake, the second time it mends it.
    let editor = place.dir.path().join("editor");
    let script =
        "#!/bin/sh\nif grep -q mose \"$1\"; then echo 'mouse: no' > \"$1\"; else echo 'mose: no' > \"$1\"; fi\n";
    fs::write(&editor, script).unwrap();
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
    let mut place = place.with("EDITOR", &editor.display().to_string());
    let ran = place.run("cas config edit").await;
    Place::is(&ran, Outcome::Usage);
    assert!(ran.stderr.contains("did you mean \"mouse\""), "{}", ran.stderr);
    fs::remove_file(place.user_file()).unwrap();
    place.desk.terminals.stdin = true;
    place.desk.answer = "y\n";
    let ran = place.run("cas config edit").await;
    Place::is(&ran, Outcome::Ok);
    assert_eq!(place.user(), "mouse: no\n");
}

#[tokio::test]
async fn whoever_only_looks_writes_nothing() {
    let place = Place::new();
    let ran = place.run("cas config set auto-heal on --read-only").await;
    Place::is(&ran, Outcome::Refused);
    assert!(!place.user_file().exists());
    place.gives("cas config get auto-heal --read-only", "on").await;
}
