//! Secrets are had at each start, by whoever is to start, and told first to whoever shows output.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use cas::{
    model::{
        probe::{Check, ProbeOutcome},
        secret::{SecretSource, SecretValues},
        service::{BaseEnvironment, CommandLine, ServiceSpec},
    },
    world::{Learner, Settings},
};

use super::rig::Rig;

type Learned = Arc<Mutex<Vec<(String, String)>>>;

/// A world, and what it tells of secrets.
fn learning(directory: tempfile::TempDir, within: Duration) -> (Rig, Learned) {
    let learned = Learned::default();
    let told = Arc::clone(&learned);
    let learner = Learner::new(move |_, values: &SecretValues| told.lock().unwrap().extend(values.0.iter().cloned()));
    let settings = Settings { learner, secret_within: within, ..Settings::default() };
    (Rig::with_settings(directory, settings), learned)
}

fn rig() -> (Rig, Learned) {
    learning(tempfile::tempdir().unwrap(), Duration::from_secs(30))
}

fn line(line: &str) -> SecretSource {
    SecretSource::Command(CommandLine::Shell(line.to_owned()))
}

fn with(rig: &Rig, name: &str, shell: &str, secrets: &[(&str, SecretSource)]) -> ServiceSpec {
    let mut spec = rig.spec(name, CommandLine::Shell(shell.to_owned()));
    spec.secrets = secrets.iter().map(|(name, source)| ((*name).to_owned(), source.clone())).collect();
    spec
}

fn has(learned: &Learned, name: &str, value: &str) -> bool {
    learned.lock().unwrap().contains(&(name.to_owned(), value.to_owned()))
}

fn written(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_source_gives_its_value_anew_at_each_start_and_probes_have_it_too() {
    let (mut rig, learned) = rig();
    let file = rig.path().join("db.pass");
    fs::write(&file, "from a file\n").unwrap();
    let shell = "printf '%s|%s|%s|%s' \"$A\" \"$B\" \"$C\" \"$D\" > out; sleep 1000";
    let mut spec = with(
        &rig,
        "web",
        shell,
        &[
            ("A", SecretSource::File(file.clone())),
            ("B", line("echo asked >> asked; echo \"of $GREETING\"")),
            (
                "C",
                SecretSource::Command(CommandLine::Argv(vec!["printf".to_owned(), "%s".to_owned(), "x y".to_owned()])),
            ),
            ("D", SecretSource::Env("OUTSIDE".to_owned())),
        ],
    );
    spec.environment.insert("GREETING".to_owned(), "hello".to_owned());
    spec.environment.insert("A".to_owned(), "the secret wins".to_owned());
    let base = BTreeMap::from([
        ("OUTSIDE".to_owned(), "as opened".to_owned()),
        ("PATH".to_owned(), std::env::var("PATH").unwrap()),
    ]);
    spec.base_environment = Some(BaseEnvironment(Arc::new(base)));
    let run = rig.start_spec(spec.clone());
    rig.spawned(run).await;
    for (name, value) in [("A", "from a file"), ("B", "of hello"), ("C", "x y"), ("D", "as opened")] {
        assert!(has(&learned, name, value), "{name} is learned before the start is told");
    }
    let out = rig.path().join("out");
    crate::support::eventually("it has written", || written(&out) == "from a file|of hello|x y|as opened");
    let check = Check::Exec(CommandLine::Shell("test \"$A\" = 'from a file'".to_owned()));
    assert_eq!(rig.probe(run, check, Duration::from_mins(1)).await, ProbeOutcome::Passed);
    rig.end(run, Duration::ZERO).await;

    fs::write(&file, "changed").unwrap();
    let run = rig.start_spec(spec);
    rig.spawned(run).await;
    crate::support::eventually("it has the new one", || written(&out).starts_with("changed|"));
    assert!(has(&learned, "A", "changed"));
    assert_eq!(written(&rig.path().join("asked")), "asked\nasked\n", "once for each start");
    rig.end(run, Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_be_had_fails_the_start_and_says_which_and_why() {
    let (mut rig, learned) = rig();
    let path = |name: &str| rig.path().join(name);
    fs::write(path("empty"), "\n").unwrap();
    fs::write(path("nul"), "a\0b").unwrap();
    let shown = rig.path().display().to_string();
    let cases = [
        (
            SecretSource::File(path("gone")),
            format!("the secret KEY cannot be had from file {shown}/gone: there is no such file"),
        ),
        (SecretSource::File(path(".")), format!("the secret KEY cannot be had from file {shown}/.: it is not a file")),
        (SecretSource::File(path("empty")), format!("the secret KEY cannot be had from file {shown}/empty: it is empty")),
        (
            SecretSource::File(path("nul")),
            format!("the secret KEY cannot be had from file {shown}/nul: it contains a NUL byte"),
        ),
        (
            SecretSource::Env("CAS_TEST_NEVER_SET".to_owned()),
            "the secret KEY cannot be had from env CAS_TEST_NEVER_SET: it is not set in the environment that the project was opened with".to_owned(),
        ),
        (
            line("echo canary-out; printf '\\nlocked\\nmore' >&2; exit 3"),
            "the secret KEY cannot be had from command echo canary-out; printf '\\nlocked\\nmore' >&2; exit 3: exit code 3: locked".to_owned(),
        ),
        (
            line("echo canary; echo no such canary here >&2; exit 3"),
            "the secret KEY cannot be had from command echo canary; echo no such canary here >&2; exit 3: exit code 3: no such ‹redacted:KEY› here".to_owned(),
        ),
        (line("kill -9 $$"), "the secret KEY cannot be had from command kill -9 $$: ended by SIGKILL".to_owned()),
        (line("true"), "the secret KEY cannot be had from command true: it is empty".to_owned()),
    ];
    for (source, why) in cases {
        let spec = with(&rig, "web", "echo > started", &[("KEY", source)]);
        let run = rig.start_spec(spec);
        assert_eq!(rig.refused(run).await, why);
    }
    assert!(!rig.path().join("started").exists(), "nothing was started");
    assert!(learned.lock().unwrap().is_empty());
    assert!(rig.world.runs().is_empty());
    let run = rig.start("sleep 1000");
    rig.spawned(run).await;
    rig.end(run, Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_does_not_answer_is_ended_with_all_that_it_began() {
    let (mut rig, _) = learning(tempfile::tempdir().unwrap(), Duration::from_secs(3));
    let spec = with(&rig, "web", "true", &[("KEY", line("sleep 4711 & echo $! > pid; wait"))]);
    let run = rig.start_spec(spec);
    let why = rig.refused(run).await;
    assert!(why.ends_with(": no answer within 3 s; it was ended"), "{why}");
    let pid = written(&rig.path().join("pid"));
    let of = format!("/proc/{}", pid.trim());
    assert!(of.len() > "/proc/".len());
    crate::support::eventually("the sleep is gone", || !Path::new(&of).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_of_a_run_while_its_secrets_are_had_is_not_lost() {
    let (mut rig, _) = rig();
    let go = rig.path().join("go");
    rustix::fs::mknodat(rustix::fs::CWD, &go, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    let mut spec = with(&rig, "web", "echo listening; sleep 1000", &[("KEY", line("cat go"))]);
    spec.ready_log_line = Some("listening".to_owned());
    let run = rig.start_spec(spec);
    rig.world.perform(cas::model::effect::Effect::WatchLog { run, kind: None, pattern: "listening".to_owned() });
    fs::write(&go, "opened").unwrap();
    rig.spawned(run).await;
    assert_eq!(rig.log_matched(run).await, None);
    rig.end(run, Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_world_learns_what_an_adopted_run_was_given() {
    let (mut rig, _) = rig();
    let file = rig.path().join("db.pass");
    fs::write(&file, "given once").unwrap();
    let spec = with(&rig, "web", "sleep 1000", &[("KEY", SecretSource::File(file.clone()))]);
    let run = rig.start_spec(spec.clone());
    rig.spawned(run).await;
    fs::remove_file(&file).unwrap();

    let (mut rig, learned) = learning(rig.abandon(), Duration::from_secs(30));
    let found = rig.survey().await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(learned.lock().unwrap().is_empty());
    rig.adopt(run, spec);
    crate::support::eventually("it is learned", || has(&learned, "KEY", "given once"));
    let check = Check::Exec(CommandLine::Shell("test \"$KEY\" = 'given once'".to_owned()));
    assert_eq!(rig.probe(run, check, Duration::from_mins(1)).await, ProbeOutcome::Passed);
    rig.end(run, Duration::ZERO).await;
}
