//! Projects that come and go in one engine, at once and one upon the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use cas::{
    config::paths::Paths,
    engine::Budget,
    host::{
        self, Host,
        handle::{EngineGone, Handle, Link, LogFeed},
    },
    model::{
        command::Command,
        ids::{ProjectName, RequestId},
        policy::{Autopilot, Consent, Origin, Reply, Request},
        project::ProjectSpec,
        query::Query,
    },
    world::clock,
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::{mpsc, watch};

use crate::support::eventually_async;

/// Roots that are taken, as a project's lock takes them.
type Taken = Arc<Mutex<BTreeSet<PathBuf>>>;

struct Guard(Taken, PathBuf);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.lock().unwrap().remove(&self.1);
    }
}

struct Rig {
    home: tempfile::TempDir,
    host: Host,
    taken: Taken,
    /// What was said to be under care last.
    care: Arc<Mutex<Vec<PathBuf>>>,
}

impl Rig {
    /// `meets`: each gate waits, though not for ever, until so many are there.
    fn new(meets: usize) -> Self {
        Self::begun(meets, |_| None)
    }

    /// The same with a directory to be opened while it runs.
    fn begun(meets: usize, directory: impl FnOnce(&Path) -> Option<PathBuf>) -> Self {
        Self::made(meets, directory, false)
    }

    /// The same that takes changed files in by itself, or does not.
    fn made(meets: usize, directory: impl FnOnce(&Path) -> Option<PathBuf>, auto_reload: bool) -> Self {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::from_lookup(|name| name.starts_with("CAS_").then(|| home.path().join(name.to_lowercase())));
        paths.ensure().unwrap();
        let (taken, care) = (Taken::default(), Arc::<Mutex<Vec<PathBuf>>>::default());
        let (roots, told, there) = (Arc::clone(&taken), Arc::clone(&care), AtomicUsize::new(0));
        let gate = move |spec: &ProjectSpec| {
            there.fetch_add(1, Ordering::SeqCst);
            let begun = clock::now();
            while there.load(Ordering::SeqCst) < meets && clock::now().since(begun).as_secs() < 2 {
                std::thread::yield_now();
            }
            if !roots.lock().unwrap().insert(spec.root.clone()) {
                return Err("another cas runs it".to_owned());
            }
            Ok(Box::new(Guard(Arc::clone(&roots), spec.root.clone())) as Box<_>)
        };
        let host = host::start(host::Config {
            projects: Vec::new(),
            directory: directory(home.path()),
            paths,
            autopilot: Autopilot::On,
            learning: false,
            auto_reload,
            budget: Budget::default(),
            seed: 1,
            withheld: BTreeMap::new(),
            environment: std::env::vars().collect(),
            open_files: None,
            daemon: true,
            shim: env!("CARGO_BIN_EXE_cas-shim").into(),
            gate: Some(Arc::new(gate)),
            care: Some(Arc::new(move |specs| {
                *told.lock().unwrap() = specs.iter().map(|spec| spec.root.clone()).collect();
            })),
            log_formats: Vec::new(),
            masks: cas::model::redact::Masks::default(),
        })
        .unwrap();
        Self { home, host, taken, care }
    }

    /// A directory with a project of this name, and one service that sleeps.
    fn project(&self, directory: &str, name: &str) -> PathBuf {
        self.project_of(directory, name, "{command: [sleep, '1000'], autostart: true}")
    }

    /// The same with another service.
    fn project_of(&self, directory: &str, name: &str, web: &str) -> PathBuf {
        let root = self.home.path().join(directory);
        fs::create_dir(&root).unwrap();
        fs::write(root.join("cas.yaml"), format!("name: {name}\nservices:\n  web: {web}\n")).unwrap();
        root
    }

    async fn ask(&self, command: Command) -> Reply {
        let request = Request {
            id: RequestId(0),
            origin: Origin::Cli,
            asker: None,
            command,
            consent: Consent::Ask,
            if_rev: None,
        };
        self.host.handle.request(request).await.unwrap()
    }

    async fn open(&self, root: &Path) -> Reply {
        self.ask(Command::Open {
            directory: root.to_owned(),
            environment: None,
            starts: cas::model::command::Starts::Autostart,
        })
        .await
    }

    async fn close(&self, name: &str) {
        let reply = self.ask(Command::Close { project: ProjectName::new(name).unwrap() }).await;
        assert!(matches!(reply, Reply::Accepted { .. }), "{reply:?}");
    }

    fn is_open(&self, name: &str) -> bool {
        let picture = self.host.handle.snapshot();
        picture.projects.iter().any(|project| project.open && project.name.as_str() == name)
    }

    async fn runs_in(&self, root: &Path) {
        eventually_async("its service runs there", async || {
            let picture = self.host.handle.snapshot();
            let pid = picture.services.iter().find_map(|service| service.pid);
            pid.is_some() && at_work_in(root) == 1
        })
        .await;
    }

    async fn end(mut self) {
        self.host.handle.leave().await;
        (&mut self.host.task).await.unwrap();
    }
}

impl Drop for Rig {
    /// Where a test failed: nothing of it stays.
    fn drop(&mut self) {
        let home = self.home.path().canonicalize().unwrap();
        for _ in 0..50 {
            let left: Vec<Pid> =
                processes().filter(|pid| works_in(*pid).is_some_and(|cwd| cwd.starts_with(&home))).collect();
            for pid in &left {
                let _gone = kill_process(*pid, Signal::KILL);
            }
            if left.is_empty() {
                break;
            }
        }
    }
}

fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    entries.filter_map(|name| name.parse().ok()).filter_map(Pid::from_raw)
}

fn works_in(pid: Pid) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())).ok()
}

/// Processes that are at work in a directory.
fn at_work_in(root: &Path) -> usize {
    processes().filter(|pid| works_in(*pid).is_some_and(|cwd| cwd == root)).count()
}

/// The shims below a directory: each is at work in its slot.
fn shims(home: &Path) -> Vec<Pid> {
    let slots = home.join("cas_state_dir");
    processes().filter(|pid| works_in(*pid).is_some_and(|cwd| cwd.starts_with(&slots))).collect()
}

#[tokio::test]
async fn a_call_that_an_ending_engine_neither_answers_nor_lets_go_of_is_answered_by_its_end() {
    let (calls, mut door) = mpsc::channel(4);
    let (_snapshots, snapshots) = watch::channel(host::empty_picture());
    let (_link, link) = watch::channel(Link::Local);
    let handle = Handle { calls, snapshots, logs: LogFeed::new(), link };
    let engine = tokio::spawn(async move {
        // As one that came into the channel while the engine's end was dropped: it stays there.
        std::mem::forget((door.recv().await, door.recv().await));
    });
    let (left, asked) = tokio::join!(handle.leave(), handle.query(Query::Entries { limit: 1 }));
    assert_eq!((left, asked.err()), ((), Some(EngineGone)));
    engine.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_projects_of_one_name_that_are_opened_at_once_one_is_open_and_the_other_lets_go() {
    let rig = Rig::new(2);
    let (one, other) = (rig.project("one", "shop"), rig.project("other", "shop"));
    let replies = tokio::join!(rig.open(&one), rig.open(&other));
    let (winner, loser) = match &replies {
        (Reply::Accepted { .. }, Reply::Refused { reason, .. }) => (&one, reason),
        (Reply::Refused { reason, .. }, Reply::Accepted { .. }) => (&other, reason),
        replies => panic!("{replies:?}"),
    };
    assert!(loser.starts_with("a project named shop is open already"), "{loser}");
    assert_eq!(
        *rig.taken.lock().unwrap(),
        BTreeSet::from([winner.clone()]),
        "who is open has its lock, and nobody else"
    );
    rig.runs_in(winner).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_namesake_that_is_refused_is_not_taken_for_the_project_that_is_open() {
    let rig = Rig::new(0);
    let (one, other, third) = (rig.project("one", "shop"), rig.project("other", "shop"), rig.project("third", "bar"));
    assert!(matches!(rig.open(&one).await, Reply::Accepted { .. }));
    assert!(matches!(rig.open(&other).await, Reply::Refused { .. }));
    assert!(matches!(rig.open(&third).await, Reply::Accepted { .. }));
    assert_eq!(*rig.care.lock().unwrap(), [third, one], "what the next daemon opens");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_project_that_is_opened_again_while_its_shims_still_end_waits_for_them() {
    let rig = Rig::new(0);
    let root = rig.project("one", "shop");
    assert!(matches!(rig.open(&root).await, Reply::Accepted { .. }));
    rig.runs_in(&root).await;
    // Its shim is slow to go: the project is closed for the engine, and not for the world yet.
    eventually_async("its service has gone", async || {
        let web = rig.host.handle.snapshot().services.first().and_then(|web| web.pid);
        if let Some(web) = web.and_then(|web| Pid::from_raw(web.cast_signed())) {
            rig.ask(Command::Stop {
                targets: cas::model::command::Targets { all: true, services: Vec::new() },
                grace: None,
            })
            .await;
            let _gone = kill_process(web, Signal::KILL);
        }
        web.is_none()
    })
    .await;
    eventually_async("it rests", async || {
        rig.host.handle.snapshot().services.first().is_some_and(|web| web.phase.label() == "stopped")
    })
    .await;
    for shim in shims(rig.home.path()) {
        kill_process(shim, Signal::STOP).unwrap();
    }
    rig.close("shop").await;
    eventually_async("it is closed", async || !rig.is_open("shop")).await;
    let reply = rig.open(&root).await;
    assert!(matches!(reply, Reply::Accepted { .. }), "{reply:?}");
    rig.runs_in(&root).await;
    assert_eq!(*rig.taken.lock().unwrap(), BTreeSet::from([root]));
    let home = rig.home.path().to_owned();
    rig.close("shop").await;
    eventually_async("no shim is left", async || shims(&home).is_empty()).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn row_4_a_service_that_goes_into_the_background_is_running_forked_and_stopped_whole() {
    let rig = Rig::new(0);
    let root = rig.project_of("one", "shop", "{shell: 'setsid sleep 1000 & exit 0', restart: always, autostart: true}");
    assert!(matches!(rig.open(&root).await, Reply::Accepted { .. }));
    eventually_async("it is known as one that forked", async || {
        let picture = rig.host.handle.snapshot();
        let web = picture.services.first().cloned();
        web.is_some_and(|web| web.phase.label() == "running" && web.why.starts_with("running (forked)"))
    })
    .await;
    assert_eq!((at_work_in(&root), rig.host.handle.snapshot().services[0].restarts), (1, 0));
    rig.close("shop").await;
    eventually_async("nothing of it is left", async || !rig.is_open("shop") && at_work_in(&root) == 0).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn row_59_what_stands_in_a_variable_is_never_run() {
    let rig = Rig::new(0);
    let root = rig.project_of(
        "one",
        "shop",
        "{command: [printf, '%s+%s', '${EVIL}', end], environment: {E: '${EVIL}'}, restart: 'no', autostart: true}",
    );
    let evil = "EVIL='a \"b\" ; touch x; $(touch x) `touch x` | touch x #'\n";
    fs::write(root.join(".env"), evil).unwrap();
    // In one string it would be split into words: what only a shell understands is refused there.
    let split = rig.project_of("split", "split", "{command: 'printf ${EVIL}', autostart: true}");
    fs::write(split.join(".env"), evil).unwrap();
    assert!(matches!(rig.open(&split).await, Reply::Refused { .. }));
    assert!(matches!(rig.open(&root).await, Reply::Accepted { .. }));
    eventually_async("it has ended", async || {
        rig.host.handle.snapshot().services.first().is_some_and(|web| web.phase.label() == "completed")
    })
    .await;
    assert!(!root.join("x").exists() && !split.join("x").exists());
    let slots: Vec<_> = fs::read_dir(rig.home.path().join("cas_state_dir/projects")).unwrap().collect();
    let log = slots.into_iter().next().unwrap().unwrap().path().join("slots/web/log.000001");
    let said = fs::read_to_string(log).unwrap();
    assert_eq!(said, "a \"b\" ; touch x; $(touch x) `touch x` | touch x #+end", "one argument, as it stands");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn row_59_a_shell_line_that_reads_the_variable_itself_does_not_run_what_it_holds() {
    let rig = Rig::new(0);
    let root = rig.project_of(
        "one",
        "shop",
        "{shell: 'printf %s+end \"$$E\"', environment: {E: '${EVIL}'}, restart: 'no', autostart: true}",
    );
    fs::write(root.join(".env"), "EVIL='a ; touch x; $(touch x) `touch x` #'\n").unwrap();
    assert!(matches!(rig.open(&root).await, Reply::Accepted { .. }));
    eventually_async("it has ended", async || {
        rig.host.handle.snapshot().services.first().is_some_and(|web| web.phase.label() == "completed")
    })
    .await;
    assert!(!root.join("x").exists());
    let place = fs::read_dir(rig.home.path().join("cas_state_dir/projects")).unwrap().next().unwrap().unwrap();
    let said = fs::read_to_string(place.path().join("slots/web/log.000001")).unwrap();
    assert_eq!(said, "a ; touch x; $(touch x) `touch x` #+end");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_directory_is_found_read_and_opened_while_the_engine_runs_already() {
    let rig = Rig::begun(0, |home| {
        let root = home.join("shop");
        fs::create_dir_all(root.join("web")).unwrap();
        fs::write(root.join("Procfile"), "web: exec sleep 1000\n").unwrap();
        fs::write(root.join("web/package.json"), r#"{"scripts": {"dev": "vite"}, "devDependencies": {"vite": "5"}}"#)
            .unwrap();
        Some(root)
    });
    eventually_async("it is open", async || rig.is_open("shop")).await;
    let picture = rig.host.handle.snapshot();
    let web = picture.services.first().unwrap();
    assert_eq!((web.id.service.as_str(), web.phase.label()), ("web", "stopped"));
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_directory_that_tells_no_service_is_said_in_the_picture() {
    let rig = Rig::begun(0, |home| {
        let root = home.join("lib");
        fs::create_dir_all(&root).unwrap();
        fs::write(root.join("Makefile"), "all:\n\ttrue\n").unwrap();
        Some(root)
    });
    eventually_async("it is said", async || {
        rig.host.handle.snapshot().problems.iter().any(|problem| problem.message.contains("tells a service"))
    })
    .await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_changed_file_is_taken_in_by_itself_where_that_is_wanted_and_a_wrong_one_never_is() {
    let rig = Rig::made(0, |_| None, true);
    let root = rig.project("one", "shop");
    assert!(matches!(rig.open(&root).await, Reply::Accepted { .. }));
    let declared =
        |name: &str| rig.host.handle.snapshot().services.iter().any(|service| service.id.service.as_str() == name);
    eventually_async("it runs", async || rig.host.handle.snapshot().services.iter().any(|web| web.pid.is_some())).await;
    let pid = rig.host.handle.snapshot().services[0].pid;
    let yaml = "name: shop\nservices:\n  web: {command: [sleep, '1000'], autostart: true}\n";
    fs::write(root.join("cas.yaml"), format!("{yaml}  more: {{comand: x}}\n")).unwrap();
    eventually_async("a mistake is told", async || {
        rig.host.handle.snapshot().troubles.values().any(|trouble| trouble.contains("cannot be taken"))
    })
    .await;
    assert!(!declared("more"));
    fs::write(root.join("cas.yaml"), format!("{yaml}  more: {{command: [sleep, '1001'], autostart: true}}\n")).unwrap();
    eventually_async("the new service is there", async || declared("more")).await;
    assert_eq!(rig.host.handle.snapshot().services.iter().find(|it| it.id.service.as_str() == "web").unwrap().pid, pid);
    rig.end().await;
}
